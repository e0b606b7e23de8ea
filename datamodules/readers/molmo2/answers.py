"""Questions about videos: AskModelAnything, VideoCapQA with LongCapQA, VideoSubtitleQA.

Source: Molmo2 sheet A10 (rows 2 to 4), A5 (styles). Wrong answers become choices in an order that hangs on the question
alone; the published code draws it once a run.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, ClassVar

from zoo.datamodules.readers.files import Row
from zoo.datamodules.readers.molmo2.reader import Found, Molmo2Reader
from zoo.datamodules.readers.molmo2.values import Values, fields, items, number, optional_text, text
from zoo.datamodules.readers.turns import family_name, said
from zoo.errors import DataError

FREE = "user_qa"
CHOICES = "video_multiple_choice"


class AskModelAnything(Molmo2Reader):
    """People's questions about videos with long answers: Molmo2-AskModelAnything."""

    name: ClassVar[str] = "molmo2_ask_model_anything"
    columns: ClassVar[tuple[str, ...]] = ("video_id", "question", "answer")

    def found(self, row: Row) -> Found | str:
        note = {
            "family": "ask",
            "question": text(row.values, "question"),
            "answer": text(row.values, "answer"),
            "temporal": False,
            "style": FREE,
        }
        return Found(names=(text(row.values, "video_id"),), annotations=[note])


class VideoCapQa(Molmo2Reader):
    """Questions with wrong answers beside the right one, made from captions: Molmo2-VideoCapQA, LongCapQA among it."""

    name: ClassVar[str] = "molmo2_video_cap_qa"
    columns: ClassVar[tuple[str, ...]] = ("video_id",)

    def found(self, row: Row) -> Found | str:
        if "qa_list" in row.values:  # LongCapQA: one row a video
            asked = [multiple_choice(fields(one, "qa_list")) for one in items(row.values, "qa_list")]
        else:
            _require(row.values, ("Question", "Answer", "NegativeAnswers"))
            asked = [multiple_choice(row.values)]
        if not asked:
            raise DataError("qa_list is empty")
        return Found(names=(text(row.values, "video_id"),), annotations=asked)


class VideoSubtitleQa(Molmo2Reader):
    """Questions about what is shown and said, with subtitles: Molmo2-VideoSubtitleQA."""

    name: ClassVar[str] = "molmo2_video_subtitle_qa"
    columns: ClassVar[tuple[str, ...]] = ("video_id", "Question", "Answer", "NegativeAnswers", "subtitle")

    def found(self, row: Row) -> Found | str:
        lines = [line for one in items(row.values, "subtitle") if (line := subtitle(fields(one, "subtitle")))]
        if not lines:
            raise DataError("no subtitle with a text")
        return Found(
            names=(text(row.values, "video_id"),),
            annotations=[multiple_choice(row.values)],
            shared={"subtitles": lines},
        )


def multiple_choice(values: Values) -> dict[str, Any]:
    """An annotation with its right answer among the wrong ones.

    Args:
        values: `Question`, `Answer`, `NegativeAnswers` and perhaps `Category`.
    Raises:
        DataError: one of them is missing, or none of the wrong answers differs from the right one.
    """
    question, answer = text(values, "Question"), text(values, "Answer")
    wrong = [said(one, "NegativeAnswers") for one in items(values, "NegativeAnswers")]
    choices = list(dict.fromkeys(one for one in wrong if one != answer))
    if not choices:
        raise DataError("NegativeAnswers holds no answer that differs from the right one")
    digest = blake2b(f"{question}\0{answer}".encode(), digest_size=4).digest()
    choices.insert(int.from_bytes(digest, "big") % (len(choices) + 1), answer)
    return {
        "family": family_name(optional_text(values, "Category") or "multiple choice"),
        "question": question,
        "answer": answer,
        "choices": choices,
        "temporal": False,
        "style": CHOICES,
    }


def subtitle(line: Mapping[str, Any]) -> dict[str, Any] | None:
    """One line, or None where nothing is said in it.

    Raises:
        DataError: its times are none.
    """
    words = optional_text(line, "text")
    start_s, end_s = number(line, "start"), number(line, "end")
    if not 0 <= start_s <= end_s:
        raise DataError(f"subtitle from {start_s:g} to {end_s:g} s")
    return {"start_s": start_s, "end_s": end_s, "text": words} if words else None


def _require(values: Values, columns: tuple[str, ...]) -> None:
    missing = [column for column in columns if column not in values]
    if missing:
        raise DataError(f"no column {', '.join(missing)} and no qa_list; found {', '.join(map(str, values))}")
