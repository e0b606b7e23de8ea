"""Generation over a filled cache: every row is a turn, rows may differ in length, and questions can follow answers.

Source: DESIGN contract of head sessions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.batch import Turn
from zoo.cache import KeyValueCache
from zoo.decoding import GREEDY, Decoding
from zoo.head import Constraint
from zoo.processor import TextTokenizer
from zoo.pruning_pass import PruningPass

if TYPE_CHECKING:
    from zoo.model import VideoLanguageModel


class GenerationSession:
    """Rows of a batch that are being answered.

    Args:
        model: The composed model.
        turns: What each row continues.
        cache: Filled by the prefill.
        logits: (rows, vocabulary) of the next token.
        position_ids: (rows,) int64, position of the next token.
        tokenizer: Knows the end token, and turns ids into text.
        pruning: Of the prefill: some pruners go on acting while answers are generated.
    """

    def __init__(
        self,
        *,
        model: VideoLanguageModel,
        turns: tuple[Turn, ...],
        cache: KeyValueCache,
        logits: Tensor,
        position_ids: Tensor,
        tokenizer: TextTokenizer,
        pruning: PruningPass | None = None,
    ) -> None:
        self.model, self.turns, self.cache, self.logits = model, turns, cache, logits
        self.position_ids, self.tokenizer, self.pruning = position_ids, tokenizer, pruning

    def decode(self, ids: Sequence[int]) -> str:
        """Text of generated ids."""
        return self.tokenizer.decode(ids)

    def append(self, input_ids: Tensor, counts: Tensor | None = None) -> Tensor:
        """Feed tokens to every row and return the logits of what follows.

        Args:
            input_ids: (rows, tokens) int64, padded on the right.
            counts: (rows,) int64, real tokens of each row, possibly 0; None: all.
        Returns:
            (rows, vocabulary); rows without a new token keep their logits.
        """
        rows, new = input_ids.shape
        positions = self.position_ids[:, None] + torch.arange(new, device=input_ids.device)
        hidden = self.model.language.extend(self.model.embed(input_ids), positions, counts, self.cache, self.pruning)
        if counts is None:
            self.logits, self.position_ids = self.model.language.logits(hidden[:, -1]), self.position_ids + new
            return self.logits
        last = hidden[torch.arange(rows, device=hidden.device), (counts - 1).clamp(min=0)]
        fresh = self.model.language.logits(last)
        self.logits = torch.where((counts > 0).unsqueeze(1), fresh, self.logits)
        self.position_ids = self.position_ids + counts
        return self.logits

    def generate(
        self,
        *,
        max_new_tokens: int,
        decoding: Decoding = GREEDY,
        generator: torch.Generator | None = None,
        constraint: Constraint | None = None,
    ) -> list[list[int]]:
        """Answer every row.

        Args:
            max_new_tokens: Longest answer.
            decoding: How ids are chosen.
            generator: Source of randomness.
            constraint: Which ids may come next.
        Returns:
            Ids of each row, without the end token. The cache holds what was fed, so a session can be appended to.
        """
        answers: list[list[int]] = [[] for _ in self.turns]
        # `rows` go on; they are those at `places` of `part`, at least half of which they are.
        rows = places = list(range(len(self.turns)))
        part, part_rows = self, rows
        for step in range(max_new_tokens):
            logits = part.logits[places]
            if constraint is not None:
                allowed = constraint([answers[row] for row in rows], rows)
                logits = logits.masked_fill(~allowed.to(logits.device), -torch.inf)
            ids = decoding.next_ids(logits, [answers[row] for row in rows], generator)
            kept = [number for number, token in enumerate(ids.tolist()) if token != self.tokenizer.eos_id]
            rows, places, ids = [rows[n] for n in kept], [places[n] for n in kept], ids[kept]
            for row, token in zip(rows, ids.tolist(), strict=True):
                answers[row].append(token)
            if step + 1 == max_new_tokens or not rows:
                break
            if 2 * len(rows) <= len(part_rows):
                self._take_back(part, part_rows)
                part, part_rows, places = self._part(rows), rows, list(range(len(rows)))
            feed(part, places, ids)
        self._take_back(part, part_rows)
        return answers

    def _part(self, rows: Sequence[int]) -> GenerationSession:
        """A session of some rows alone; what it does, `_take_back` brings here."""
        return GenerationSession(
            model=self.model,
            turns=tuple(self.turns[row] for row in rows),
            cache=self.cache.part(torch.tensor(rows, device=self.logits.device)),
            logits=self.logits[rows],
            position_ids=self.position_ids[rows],
            tokenizer=self.tokenizer,
            pruning=self.pruning,
        )

    def _take_back(self, part: GenerationSession, rows: Sequence[int]) -> None:
        if part is self:
            return
        index = torch.tensor(rows, device=self.logits.device)
        self.cache.take_back(part.cache, index)
        self.logits = self.logits.index_copy(0, index, part.logits)
        self.position_ids = self.position_ids.index_copy(0, index, part.position_ids)


def feed(session: GenerationSession, rows: Sequence[int], ids: Tensor) -> None:
    """One more token in some rows of a session.

    Args:
        session: Goes on.
        rows: Growing.
        ids: (rows,) int64.
    """
    if len(rows) == len(session.turns):
        session.append(ids.unsqueeze(1))
        return
    padded, counts = ids.new_zeros(len(session.turns), 1), ids.new_zeros(len(session.turns))
    padded[rows, 0], counts[rows] = ids, 1
    session.append(padded, counts)


def rows_of(turns: Sequence[Turn]) -> list[list[int]]:
    """Packed indices that each turn's answer continues: its example's prefix, then its question."""
    return [[*range(*turn.prefix), *range(*turn.prompt)] for turn in turns]
