"""Generation of nothing but what a grammar over characters allows, with any tokenizer.

A token may come next if all of its characters may. Which tokens those are is looked up once for each state of the
grammar, in the sorted texts of the vocabulary, so that few of them are looked at: 150,000 tokens cost what 500 do.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from zoo.errors import ConfigError
from zoo.point_grammar import PointGrammar, State, is_free
from zoo.processor import TextTokenizer

NO_TEXT = "\ufffd"
"""In texts of tokens that hold a part of a character; such tokens are left out."""

LAST = "\U0010ffff"
MAX_STATES = 8192
"""Whose tokens are remembered."""

PROBE = '<points coords="2.5 1 312 644;4.0 2 087 401 3 590 388">red cup</points> shows a total of 10.'


class Allowed(NamedTuple):
    """Tokens that may come.

    Args:
        ids: One by one.
        has_free_text: And all tokens of free text.
    """

    ids: tuple[int, ...]
    has_free_text: bool


class Choice(NamedTuple):
    """Tokens that may come where only so many may follow.

    Args:
        ids: One by one, (n,) int64.
        has_text: And all tokens of free text.
        has_blanks: And those of spaces alone.
    """

    ids: Tensor
    has_text: bool
    has_blanks: bool


class Vocabulary:
    """Texts of a tokenizer's tokens.

    Args:
        tokenizer: Whose decoded tokens stand behind one another in the decoded text, as those of byte-level and
            sentence-piece vocabularies do.
    Raises:
        ConfigError: the tokenizer writes something between tokens.
    """

    def __init__(self, tokenizer: TextTokenizer) -> None:
        anchor = tokenizer.encode("a")
        before = tokenizer.decode(anchor)
        self.pieces = [tokenizer.decode([*anchor, token]).removeprefix(before) for token in range(tokenizer.vocab_size)]
        ids = tokenizer.encode(PROBE)
        if "".join(self.pieces[token] for token in ids) != tokenizer.decode(ids):
            raise ConfigError(
                "constrained generation: this tokenizer's tokens do not stand behind one another in its texts; leave "
                "`constrained` out"
            )
        usable = [token for token, piece in enumerate(self.pieces) if piece and NO_TEXT not in piece]
        free = [token for token in usable if all(map(is_free, self.pieces[token]))]
        marked = set(usable).difference(free)
        self.free_ids = torch.tensor([t for t in free if self.pieces[t].strip()], dtype=torch.int64)
        self.blank_ids = torch.tensor([t for t in free if not self.pieces[t].strip()], dtype=torch.int64)
        self._all = _Sorted(self.pieces, usable)
        self._marked = _Sorted(self.pieces, marked)
        self._to_close: dict[tuple[PointGrammar, State], int] = {}
        self._known: OrderedDict[tuple[PointGrammar, State], Allowed] = OrderedDict()
        self._choices: OrderedDict[tuple[PointGrammar, State, int], Choice] = OrderedDict()

    def allowed(self, grammar: PointGrammar, state: State) -> Allowed:
        """Tokens whose characters may all come."""
        place = grammar, grammar.signature(state)
        if place in self._known:
            self._known.move_to_end(place)
            return self._known[place]
        has_free_text = grammar.takes_free_text(state)
        texts = self._marked if has_free_text else self._all
        found = Allowed(tuple(texts.accepted(grammar, state)), has_free_text)
        self._known[place] = found
        if len(self._known) > MAX_STATES:
            self._known.popitem(last=False)
            self._to_close.clear()
        return found

    def choice(self, grammar: PointGrammar, state: State, left: int) -> Choice:
        """Tokens behind which an answer can be ended within `left` tokens, themselves included."""
        # Each character of a completion takes at most one token, so a larger number leaves nothing out.
        left = min(left, grammar.longest_completion + 1)
        place = grammar, grammar.signature(state), left
        if place in self._choices:
            self._choices.move_to_end(place)
            return self._choices[place]
        ids, has_text = self.allowed(grammar, state)
        has_blanks = has_text
        if left <= grammar.longest_completion:
            ids = [token for token in ids if self.tokens_to_close(grammar, self.after(grammar, state, token)) < left]
            has_blanks = has_text and self.tokens_to_close(grammar, state) < left
            has_text = has_text and self.tokens_to_close(grammar, state._replace(text="x")) < left
        found = Choice(torch.tensor(ids, dtype=torch.int64), has_text, has_blanks)
        self._choices[place] = found
        if len(self._choices) > MAX_STATES:
            self._choices.popitem(last=False)
        return found

    def after(self, grammar: PointGrammar, state: State, token: int) -> State:
        """The state behind an allowed token."""
        for character in self.pieces[token]:
            following = grammar.step(state, character)
            assert following is not None, f"token {token} was not allowed"
            state = following
        return state

    def tokens_to_close(self, grammar: PointGrammar, state: State) -> int:
        """How many tokens surely end an answer: the grammar's completion, cut into the longest tokens from the left.

        The first of them is allowed, and behind it one fewer is enough.

        Raises:
            ConfigError: the vocabulary has no token for a character of it.
        """
        place = grammar, grammar.signature(state)
        if place not in self._to_close:
            rest, count = grammar.completion(state), 0
            while rest:
                longest = next((end for end in range(len(rest), 0, -1) if self._all.has(rest[:end])), 0)
                if not longest:
                    raise ConfigError(
                        f"constrained generation: the tokenizer has no token for {rest[0]!r}; leave `constrained` out"
                    )
                rest, count = rest[longest:], count + 1
            self._to_close[place] = count
        return self._to_close[place]


class _Sorted:
    """Texts in order, so that those with one beginning lie side by side."""

    def __init__(self, pieces: Sequence[str], ids: Sequence[int] | set[int]) -> None:
        pairs = sorted((pieces[token], token) for token in ids)
        self.texts = [text for text, _ in pairs]
        self.ids = [token for _, token in pairs]

    def _span(self, beginning: str, low: int, high: int) -> tuple[int, int]:
        low = bisect_left(self.texts, beginning, low, high)
        return low, bisect_left(self.texts, beginning + LAST, low, high)

    def has(self, text: str) -> bool:
        place = bisect_left(self.texts, text)
        return place < len(self.texts) and self.texts[place] == text

    def accepted(
        self, grammar: PointGrammar, state: State, beginning: str = "", span: tuple[int, int] | None = None
    ) -> Iterator[int]:
        """Tokens among those with a beginning, which has led to the state, that a grammar accepts."""
        low, high = (0, len(self.texts)) if span is None else span
        characters = grammar.next_characters(state)
        if grammar.takes_free_text(state):
            characters = self._characters(len(beginning), low, high)
        for character in characters:
            text = beginning + character
            inner = self._span(text, low, high)
            following = grammar.step(state, character) if inner[0] < inner[1] else None
            if following is None:
                continue
            first = inner[0]
            while first < inner[1] and self.texts[first] == text:
                yield self.ids[first]
                first += 1
            if first < inner[1]:
                yield from self.accepted(grammar, following, text, (first, inner[1]))

    def _characters(self, place: int, low: int, high: int) -> Iterator[str]:
        """The different characters at a place of the texts of a span, each of which is longer than that."""
        while low < high:
            character = self.texts[low][place]
            yield character
            low = self._span(self.texts[low][:place] + character, low, high)[1]


_vocabularies: WeakKeyDictionary[TextTokenizer, Vocabulary] = WeakKeyDictionary()


def vocabulary_of(tokenizer: TextTokenizer) -> Vocabulary:
    """The texts of a tokenizer, read once."""
    if tokenizer not in _vocabularies:
        _vocabularies[tokenizer] = Vocabulary(tokenizer)
    return _vocabularies[tokenizer]


class GrammarConstraint:
    """Which tokens may come next in each row (`zoo.head.Constraint`).

    A token is left out behind which an answer could not be ended within what may be generated, so that none is cut.

    Args:
        grammars: One a row.
        tokenizer: Of the rows.
        vocab_size: Columns of the logits.
        max_new_tokens: Tokens that will be generated at most.
    Raises:
        ConfigError: too few tokens for an answer, or a tokenizer that cannot be constrained.
    """

    def __init__(
        self, grammars: Sequence[PointGrammar], *, tokenizer: TextTokenizer, vocab_size: int, max_new_tokens: int
    ) -> None:
        self.grammars = tuple(grammars)
        self.vocabulary = vocabulary_of(tokenizer)
        self.eos_id = tokenizer.eos_id
        self.vocab_size = vocab_size
        self.max_new_tokens = max_new_tokens
        shortest = max((self.vocabulary.tokens_to_close(g, g.start) for g in self.grammars), default=0)
        if max_new_tokens < shortest:
            raise ConfigError(f"max_new_tokens is {max_new_tokens}; a constrained answer needs room for {shortest}")
        self._states = [grammar.start for grammar in self.grammars]
        self._read = [0] * len(self.grammars)

    def __call__(self, generated: Sequence[Sequence[int]], rows: Sequence[int]) -> Tensor:
        """(rows, vocabulary) bool for the ids that rows have generated; each goes on where its last call ended."""
        mask = torch.zeros(len(rows), self.vocab_size, dtype=torch.bool)
        for allowed, row, ids in zip(mask, rows, generated, strict=True):
            self._advance(row, ids)
            self._allow(allowed, self.grammars[row], self._states[row], self.max_new_tokens - len(ids))
        return mask

    def _advance(self, row: int, ids: Sequence[int]) -> None:
        for token in ids[self._read[row] :]:
            self._states[row] = self.vocabulary.after(self.grammars[row], self._states[row], token)
        self._read[row] = len(ids)

    def _allow(self, mask: Tensor, grammar: PointGrammar, state: State, left: int) -> None:
        if grammar.is_final(state):
            mask[self.eos_id] = True
        choice = self.vocabulary.choice(grammar, state, left)
        mask[choice.ids] = True
        if choice.has_text:
            mask[self.vocabulary.free_ids] = True
        if choice.has_blanks:
            mask[self.vocabulary.blank_ids] = True
        if not mask.any():
            raise ConfigError(
                f"constrained generation: the tokenizer has no token that could follow; one of "
                f"{grammar.next_characters(state)!r} is needed; leave `constrained` out"
            )
