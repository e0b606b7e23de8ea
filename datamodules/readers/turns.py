"""From a row of somebody's data set to its image or video and its questions with answers.

Read are conversations in the forms of LLaVA and ShareGPT (`from` and `value`), of OpenAI's messages (`role` and
`content`, a text or parts), lists of question and answer, and plain columns. A user's turn with the answer behind it is
one annotation, which becomes a branch of its own; what was said before goes along as its history (docs/data.md).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from zoo.datamodules.readers.files import MEDIA_COLUMN, SPLIT_OF_WORD, ParquetCell, parse_json
from zoo.errors import DataError
from zoo.shards.schema import FAMILY_BYTES

COLUMNS: dict[str, tuple[str, ...]] = {
    "media": (MEDIA_COLUMN, "image", "video", "images", "videos", "file_name", "image_path", "video_path", "path"),
    "conversation": ("conversations", "messages", "conversation", "texts"),
    "question": ("question", "query", "prompt"),
    "answer": ("answer", "response"),
    "choices": ("choices", "options"),
    "references": ("references", "answers"),
    "family": ("family", "category", "question_type"),
    "temporal": ("temporal",),
    "split": ("split",),
}
"""What is looked for, and under which names; of several the first one that is there and not null."""

ROLES = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "system": "system",
}
_NEW = "new"  # in place of a role: what follows stands alone
_PAIRS = (("question", "answer"), ("user", "assistant"))
_PLACEHOLDER = re.compile(r"\s*<(?:image|video)>\s*")
_MEDIA_PARTS = ("image", "image_url", "video", "video_url", "input_image", "url", "path")
_TEXT_PARTS = ("text", "input_text", "output_text")


class ParsedRow(NamedTuple):
    """What a row says.

    Args:
        media: Path as it is written, or a cell of a Parquet file.
        annotations: As the shards' schema has them.
        split: train, val or test, or None.
    """

    media: str | ParquetCell
    annotations: list[dict[str, Any]]
    split: str | None


class Columns:
    """Where a row's values are looked for.

    Args:
        named: Of `COLUMNS`, those that are called otherwise.
    """

    def __init__(self, named: Mapping[str, str] | None = None) -> None:
        self._names = COLUMNS | {meaning: (name,) for meaning, name in (named or {}).items()}

    def find(self, values: Mapping[str, Any], meaning: str) -> Any:
        """A value, or None."""
        return next((values[name] for name in self._names[meaning] if values.get(name) is not None), None)

    def missing(self, values: Mapping[str, Any], *meanings: str) -> DataError:
        """The error that says what was looked for and what is there."""
        wanted = " and ".join(f"{meaning} ({', '.join(self._names[meaning])})" for meaning in meanings)
        there = ", ".join(map(str, values)) or "none"
        return DataError(f"no column for {wanted}; there are {there}; name yours: columns={{{meanings[0]}: NAME}}")


def parse_row(values: Mapping[str, Any], *, columns: Columns, family: str, dialogue: bool) -> ParsedRow:
    """Read a row.

    Args:
        values: Columns by name.
        columns: Where to look.
        family: Of questions whose row names none.
        dialogue: A later turn may refer to the earlier ones; else each is a question of its own.
    Raises:
        DataError: no media, no question or answer, or none that can be understood.
    """
    conversation = columns.find(values, "conversation")
    named_media = columns.find(values, "media")
    shown = [] if named_media is None else [named_media]
    if conversation is not None:
        turns, in_text = _turns(conversation)
        shown = shown or in_text
        annotations = list(_annotations(turns, dialogue=dialogue))
        if not annotations:
            raise DataError("the conversation has no turn")
    else:
        annotations = [_plain(values, columns)]
    group = columns.find(values, "family")
    common = {
        "family": family_name(family if group is None else plain_text(group, "family")),
        "temporal": columns.find(values, "temporal") is True,
    }
    split = columns.find(values, "split")
    if not shown:
        raise columns.missing(values, "media")
    return ParsedRow(
        media=_one_media(shown),
        annotations=[common | annotation for annotation in annotations],
        split=None if split is None else _split(plain_text(split, "split")),
    )


def _plain(values: Mapping[str, Any], columns: Columns) -> dict[str, Any]:
    question, answer = columns.find(values, "question"), columns.find(values, "answer")
    references = _references(columns.find(values, "references"))
    if answer is None and references:
        answer = max(references, key=references.count)  # what most people say, of several the first
    if question is None or answer is None:
        raise columns.missing(values, "conversation", "question", "answer")
    choices = columns.find(values, "choices")
    told = {"answer": said(answer, "answer")} if choices is None else _chosen(answer, choices)
    return {"question": said(question, "question")} | told | ({"references": references} if references else {})


def _references(given: Any) -> list[str]:
    """Answers that will do: texts, or objects with an `answer`, as VQA has them."""
    if given is None:
        return []
    if isinstance(given, str):
        return [said(given, "reference")]
    if not isinstance(given, Sequence) or isinstance(given, bytes):
        raise DataError(f"references are {short(given)}, expected a list of answers")
    return [said(one.get("answer") if isinstance(one, Mapping) else one, "reference") for one in given]


def _chosen(answer: Any, choices: Any) -> dict[str, Any]:
    """Choices with the answer among them, which may be given by its place or its letter."""
    if not isinstance(choices, Sequence) or isinstance(choices, str) or len(choices) < 2:
        raise DataError(f"choices are {short(choices)}, expected a list of two or more")
    texts = [said(choice, "choice") for choice in choices]
    place = answer if isinstance(answer, int) and not isinstance(answer, bool) else None
    if place is None:
        text = said(answer, "answer")
        if text in texts:
            return {"answer": text, "choices": texts}
        place = ord(text.upper()) - ord("A") if len(text) == 1 else None
    if place is None or not 0 <= place < len(texts):
        raise DataError(f"answer {short(answer)} is none of the choices {short(texts)}, nor a place or letter of one")
    return {"answer": texts[place], "choices": texts}


def _turns(conversation: Any) -> tuple[list[tuple[str, str]], list[Any]]:
    """(role, text) of every turn, and the media that stand in the texts."""
    if isinstance(conversation, str):  # a table whose cells are text holds JSON
        conversation = parse_json(conversation)
    if not isinstance(conversation, Sequence) or isinstance(conversation, str | bytes):
        raise DataError(f"the conversation is {short(conversation)}, expected a list of turns")
    turns: list[tuple[str, str]] = []
    media: list[Any] = []
    for turn in conversation:
        if not isinstance(turn, Mapping):
            raise DataError(f"turn {short(turn)}, expected an object with role and content, or from and value")
        role = turn.get("role", turn.get("from"))
        pair = next((names for names in _PAIRS if all(name in turn for name in names)), None)
        if role is None and pair is not None:
            question, answer = (said(turn[name], name) for name in pair)
            turns += [(_NEW, ""), ("user", question), ("assistant", answer), (_NEW, "")]
            continue
        if not isinstance(role, str) or role.lower() not in ROLES:
            raise DataError(f"turn of role {short(role)}, expected one of {', '.join(ROLES)}")
        text = _content(turn.get("content", turn.get("value")), media)
        turns.append((ROLES[role.lower()], text))
    return turns, media


def _content(content: Any, media: list[Any]) -> str:
    """The text of a turn; media among its parts are added to the list."""
    if isinstance(content, str):
        return _cleaned(content)
    if not isinstance(content, Sequence) or isinstance(content, bytes):
        raise DataError(f"content {short(content)}, expected a text or a list of parts")
    texts = []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
            continue
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind in _TEXT_PARTS and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind in _MEDIA_PARTS:
            found = next((part[name] for name in _MEDIA_PARTS if part.get(name) is not None), None)
            if found is not None:  # else a placeholder for the row's own column
                media.append(found)
        else:
            raise DataError(f"part {short(part)} of a turn, expected text, image or video")
    return _cleaned("\n".join(texts))


def _annotations(turns: Iterable[tuple[str, str]], *, dialogue: bool) -> Iterator[dict[str, Any]]:
    """One annotation a pair of turns, with the pairs before it in a dialogue."""
    history: list[dict[str, str]] = []
    for question, answer, is_first in _pairs(turns):
        pair = {"question": said(question, "question"), "answer": answer}
        if is_first or not dialogue:
            history = []
        yield pair | ({"history": list(history)} if history else {})
        history.append(pair)


def _pairs(turns: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str, bool]]:
    """(question, answer, whether nothing was said before).

    Turns of one role in a row are one; what a system says goes ahead of the next question.
    """
    question: list[str] = []
    answer: list[str] = []
    is_first = True
    for role, text in [*turns, (_NEW, "")]:
        if role != "assistant" and answer:
            yield "\n".join(question), "\n".join(answer), is_first
            question, answer, is_first = [], [], False
        if role == "assistant":
            if not question:
                raise DataError(f"answer {short(text)} without a question before it")
            answer.append(said(text, "answer"))
        elif role == _NEW:
            if question:
                raise DataError(f"question {short(question[-1])} has no answer")
            is_first = True
        elif text:
            question.append(text)


def _one_media(shown: Sequence[Any]) -> str | ParquetCell:
    while isinstance(shown, Sequence) and not isinstance(shown, str | bytes):
        if len(shown) != 1:
            raise DataError(f"{len(shown)} images or videos, expected one a row")
        (shown,) = shown
    if isinstance(shown, Mapping):
        shown = next((shown[name] for name in ("url", "path", "file_name") if isinstance(shown.get(name), str)), shown)
    if isinstance(shown, ParquetCell):
        return shown
    if not isinstance(shown, str) or not shown.strip():
        raise DataError(f"media {short(shown)}, expected the path of an image or a video")
    if "://" in shown or shown.startswith("data:"):
        raise DataError(f"media {short(shown)} is no path of a file; save it, and write its path")
    return plain_text(shown, "media")


def said(value: Any, name: str) -> str:
    """A question, answer or choice as text that is not empty; `name` is for the message.

    Raises:
        DataError: no text, or an empty one.
    """
    text = _cleaned(plain_text(value, name))
    if not text:
        raise DataError(f"an empty {name}")
    return text


def plain_text(value: Any, name: str) -> str:
    """A text, a number or yes or no as text; `name` is for the message.

    Raises:
        DataError: something else, or no Unicode.
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str):
        raise DataError(f"{name} {short(value)}, expected a text")
    try:
        value.encode()
    except UnicodeEncodeError as error:  # half of a surrogate pair, which JSON can spell and no tokenizer reads
        raise DataError(f"{name} {short(value)} is no valid Unicode") from error
    return value


def _cleaned(text: str) -> str:
    """Without the marks where others put the image, whose place is fixed here, and the space around them."""
    return _PLACEHOLDER.sub(" ", text).strip()


def family_name(name: str) -> str:
    """A question's group as metrics hold it."""
    return name.encode()[:FAMILY_BYTES].decode(errors="ignore").strip() or "question"


def _split(name: str) -> str:
    if name.lower() not in SPLIT_OF_WORD:
        raise DataError(f"split {short(name)}, expected one of {', '.join(SPLIT_OF_WORD)}")
    return SPLIT_OF_WORD[name.lower()]


def short(value: Any, limit: int = 60) -> str:
    """A value as messages show it."""
    text = ascii(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
