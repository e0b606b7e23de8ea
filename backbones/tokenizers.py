"""Tokenizers: a small one that ships with the zoo, and any of transformers.

The shipped vocabulary is a byte-level BPE trained on the tabletop questions by tools/train_tokenizer.py: frequent
words are one token, and any other text still has ids.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer

from zoo.backbones.place_tokens import with_places
from zoo.errors import ConfigError, DataError
from zoo.hub import local_folder
from zoo.preprocessing.vision_tokens import TOKEN_TEXTS, VisionToken
from zoo.processor import TextTokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

IM_START, IM_END = "<|im_start|>", "<|im_end|>"
PROMPT = "{prompt}"
"""Where a user's text goes in a turn's template."""

OWN = "own"
"""Stands for the token that a vocabulary itself names."""


class FastTokenizer(TextTokenizer):
    """A `tokenizers` vocabulary as the processor needs it; picklable.

    A vocabulary that ends with Molmo2's extra tokens is taken up to them: they stand for pictures, and the language
    model has rows of its own for them.

    Args:
        tokenizer: The vocabulary.
        bos: Token that begins every sequence, or None.
        eos: Token that ends an answer.
        prompt_template: A user's turn, with `{prompt}` for the text.
        separator: Text between the end token of an answer and the next turn.
    Raises:
        ConfigError: `bos` or `eos` is not in the vocabulary, its extra tokens are not Molmo2's, or the template has no
            place for the text.
    """

    def __init__(
        self, *, tokenizer: Tokenizer, bos: str | None, eos: str, prompt_template: str, separator: str = ""
    ) -> None:
        missing = [token for token in (bos, eos) if token is not None and tokenizer.token_to_id(token) is None]
        if missing:
            raise ConfigError(f"the tokenizer's vocabulary has no {missing}")
        if prompt_template.count(PROMPT) != 1:
            raise ConfigError(f"prompt_template {prompt_template!r} must hold {PROMPT} once")
        self.tokenizer = tokenizer
        self.vocab_size = text_ids(tokenizer)
        self.bos_id = None if bos is None else tokenizer.token_to_id(bos)
        self.eos_id = tokenizer.token_to_id(eos)
        self.prompt_template = prompt_template
        self.separator = separator
        self._encode = lru_cache(maxsize=65_536)(self._encode_once)  # questions of a data set repeat all the time

    def _encode_once(self, text: str) -> tuple[int, ...]:
        ids = tuple(self.tokenizer.encode(text, add_special_tokens=False).ids)
        pictures = [self.tokenizer.id_to_token(i) for i in ids if i >= self.vocab_size]
        if pictures:
            raise DataError(f"a text holds {pictures[0]}, which stands for pictures; leave it out: {text[:80]!r}")
        return ids

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_encode"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._encode = lru_cache(maxsize=65_536)(self._encode_once)

    def encode(self, text: str) -> list[int]:
        return list(self._encode(text))

    def decode(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(list(ids), skip_special_tokens=True)

    def prompt(self, text: str) -> list[int]:
        return self.encode(self.prompt_template.replace(PROMPT, text))

    def turn_separator(self) -> list[int]:
        return self.encode(self.separator)

    def save_files(self, folder: Path) -> dict[str, Any]:
        from transformers import PreTrainedTokenizerFast

        bos, eos = (None if i is None else self.tokenizer.id_to_token(i) for i in (self.bos_id, self.eos_id))
        PreTrainedTokenizerFast(
            tokenizer_object=Tokenizer.from_str(self.tokenizer.to_str()),  # it may be marked further
            eos_token=eos,
            chat_template=chat_template(self.prompt_template, eos, self.separator),
            **({} if bos is None else {"bos_token": bos}),
        ).save_pretrained(folder)
        arguments = {"bos": bos, "eos": eos, "prompt_template": self.prompt_template}
        return {"class_path": f"hf:{folder}", "init_args": arguments}


def text_ids(tokenizer: Tokenizer) -> int:
    """Ids below this are text: all of a vocabulary, or those before Molmo2's extra tokens.

    Raises:
        ConfigError: extra tokens that do not follow one another in their order.
    """
    first = tokenizer.token_to_id(TOKEN_TEXTS[VisionToken.IM_START])
    if first is None:
        return tokenizer.get_vocab_size()
    misplaced = {text: tokenizer.token_to_id(text) for token, text in TOKEN_TEXTS.items()
                 if tokenizer.token_to_id(text) != first + token}  # fmt: skip
    if misplaced:
        raise ConfigError(
            f"the vocabulary's extra tokens begin at {first}, and {misplaced} lie elsewhere than Molmo2's; "
            f"expected {', '.join(TOKEN_TEXTS.values())}, one behind the other"
        )
    return first


class IdsOnly(TextTokenizer):
    """No vocabulary: for weights that come without one. A text is ids in decimal numbers.

    Args:
        eos_id: Ends an answer.
        bos_id: Begins every sequence, or null.
    """

    def __init__(self, *, eos_id: int, bos_id: int | None = None) -> None:
        self.vocab_size, self.bos_id, self.eos_id = 0, bos_id, eos_id

    def encode(self, text: str) -> list[int]:
        """Ids that are written as numbers.

        Raises:
            ConfigError: it is another text.
        """
        if not all(word.isdecimal() for word in text.split()):
            raise ConfigError(
                f"{text[:40]!r} cannot be read: the model came without a vocabulary and takes token ids only; put "
                "tokenizer.json and tokenizer_config.json beside its weights"
            )
        return [int(word) for word in text.split()]

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(map(str, ids))

    def prompt(self, text: str) -> list[int]:
        return self.encode(text)


def chat_template(prompt_template: str, eos: str, separator: str) -> str:
    """Turns in Jinja, as transformers keeps them: each user's prompt, each answer with its end token."""
    escaped = (
        text.replace("\\", "\\\\").replace("'", "\\'") for text in (*prompt_template.split(PROMPT), eos + separator)
    )
    before, behind, end = escaped
    return (
        "{% for message in messages %}{% if message['role'] == 'user' %}"
        f"{{{{ '{before}' + message['content'] + '{behind}' }}}}"
        f"{{% else %}}{{{{ message['content'] + '{end}' }}}}{{% endif %}}{{% endfor %}}"
    )


def _separator(tokenizer: PreTrainedTokenizerFast, prompt_template: str, eos: str) -> str:
    """What a chat template writes between an answer's end token and the next turn."""
    if not tokenizer.chat_template:
        return ""
    turns = [("user", PROMPT), ("assistant", "{answer}"), ("user", "{next}")]
    text = tokenizer.apply_chat_template([{"role": r, "content": c} for r, c in turns], tokenize=False)
    behind = text.partition("{answer}")[2].partition("{next}")[0]
    opening = prompt_template.partition(PROMPT)[0]
    if behind.endswith(opening):
        return behind.removesuffix(opening).removeprefix(eos)
    behind = behind.removeprefix(eos)  # the first turn opens with more than later ones, such as a system prompt
    return behind[: len(behind) - len(behind.lstrip())]


def words(*, places: bool = False) -> FastTokenizer:
    """The shipped vocabulary of 474 tokens for work on a CPU; a turn is one token before and one behind the prompt.

    Args:
        places: Add 269 tokens behind them, with which points and tracks take half as many; other text keeps its ids.
            The language model then needs 743 rows.
    """
    vocabulary = json.loads(files("zoo.backbones").joinpath("words_tokenizer.json").read_text())
    text = json.dumps(with_places(vocabulary) if places else vocabulary)
    return FastTokenizer(
        tokenizer=Tokenizer.from_str(text), bos=None, eos=IM_END, prompt_template=f"{IM_START}{{prompt}}{IM_END}"
    )


def from_hf(
    name: str,
    *,
    bos: str | None = OWN,
    eos: str = OWN,
    prompt_template: str | None = None,
    separator: str = OWN,
) -> FastTokenizer:
    """The fast tokenizer of a folder or hub id in transformers' layout, with its own chat template.

    Args:
        name: Hub id such as Qwen/Qwen3-0.6B, or a local folder.
        bos: Token that begins every sequence; null: none; `own`: the vocabulary's, or its end token where it has none,
            as Molmo2 begins with Qwen's (sheet A1.4).
        eos: Token that ends an answer; `own`: the vocabulary's.
        prompt_template: A user's turn up to where the answer begins, with `{prompt}` for the text; the chat template's
            own where left out, default system prompt included.
        separator: Text between an answer's end token and the next turn; `own`: the chat template's. Molmo2 was trained
            with a second end token, "<|im_end|>" and a line break, where its template writes the break alone.
    Raises:
        ConfigError: there is none, it is no fast tokenizer, or it has no chat template and none is given.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    folder = local_folder(name, weights=False)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ConfigError(f"hf:{name} holds no tokenizer that can be read: {str(error).splitlines()[0]}") from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise ConfigError(f"hf:{name} is a {type(tokenizer).__name__}; here run those that come with a tokenizer.json")
    if prompt_template is None:
        if not tokenizer.chat_template:
            raise ConfigError(f"hf:{name} has no chat template; give prompt_template, a turn with {PROMPT} in it")
        prompt_template = tokenizer.apply_chat_template(
            [{"role": "user", "content": PROMPT}], add_generation_prompt=True, tokenize=False
        )
    own_eos = tokenizer.eos_token if eos == OWN else eos
    if own_eos is None:
        raise ConfigError(f"hf:{name} names no token that ends an answer; give eos")
    return FastTokenizer(
        tokenizer=tokenizer.backend_tokenizer,
        bos=(tokenizer.bos_token or own_eos) if bos == OWN else bos,
        eos=own_eos,
        prompt_template=prompt_template,
        separator=_separator(tokenizer, prompt_template, own_eos) if separator == OWN else separator,
    )
