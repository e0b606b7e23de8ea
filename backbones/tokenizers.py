"""Tokenizers: a small one that ships with the zoo, and any of transformers.

The shipped vocabulary is a byte-level BPE trained on the tabletop questions by tools/train_tokenizer.py: frequent
words are one token, and any other text still has ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files

from tokenizers import Tokenizer

from zoo.errors import ConfigError
from zoo.processor import TextTokenizer

IM_START, IM_END = "<|im_start|>", "<|im_end|>"


class FastTokenizer(TextTokenizer):
    """A `tokenizers` vocabulary as the processor needs it; picklable.

    Args:
        tokenizer: The vocabulary.
        bos: Token that begins every sequence, or None.
        eos: Token that ends an answer.
        prompt_template: A user's turn, with `{prompt}` for the text.
        separator: Text between the end token of an answer and the next turn.
    Raises:
        ConfigError: `bos` or `eos` is not in the vocabulary.
    """

    def __init__(
        self, *, tokenizer: Tokenizer, bos: str | None, eos: str, prompt_template: str, separator: str = ""
    ) -> None:
        missing = [token for token in (bos, eos) if token is not None and tokenizer.token_to_id(token) is None]
        if missing:
            raise ConfigError(f"the tokenizer's vocabulary has no {missing}")
        self.tokenizer = tokenizer
        self.vocab_size = tokenizer.get_vocab_size()
        self.bos_id = None if bos is None else tokenizer.token_to_id(bos)
        self.eos_id = tokenizer.token_to_id(eos)
        self.prompt_template = prompt_template
        self.separator = separator
        self._encode = lru_cache(maxsize=65_536)(self._encode_once)  # questions of a data set repeat all the time

    def _encode_once(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode(text, add_special_tokens=False).ids)

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
        return self.encode(self.prompt_template.format(prompt=text))

    def turn_separator(self) -> list[int]:
        return self.encode(self.separator)


def words() -> FastTokenizer:
    """The shipped vocabulary of 512 tokens for work on a CPU; a turn is one token before and one behind the prompt."""
    text = files("zoo.backbones").joinpath("words_tokenizer.json").read_text()
    return FastTokenizer(
        tokenizer=Tokenizer.from_str(text), bos=None, eos=IM_END, prompt_template=f"{IM_START}{{prompt}}{IM_END}"
    )


def from_hf(name: str) -> FastTokenizer:
    """The fast tokenizer of a folder or hub id in transformers' layout, with the ChatML turns of Qwen and SmolLM2.

    Args:
        name: Hub id such as Qwen/Qwen3-0.6B, or a local folder.
    Raises:
        ConfigError: there is none, or it lacks the ChatML tokens.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise ConfigError(f"hf:{name} holds no tokenizer that can be read: {str(error).splitlines()[0]}") from error
    return FastTokenizer(
        tokenizer=tokenizer.backend_tokenizer,
        bos=IM_END,  # Molmo2 begins sequences with Qwen's end token (sheet A1.4)
        eos=IM_END,
        prompt_template=f"{IM_START}user\n{{prompt}}{IM_END}\n{IM_START}assistant\n",
        separator="\n",  # as chat templates write it; Molmo2's native training has a second end token (sheet A5)
    )
