"""A packed sequence's attention, described by segments instead of masks.

A packed sequence is (tokens, channels); `Segments` says which tokens form an example, which are vision, and which
branch of a message tree they belong to. Token i may attend to token j iff

    segment(i) = segment(j)  and  [not causal or j <= i or (vision(i) and vision(j))]  and  branch(i) <= branch(j)

Where vision tokens have groups (`vision_group`, one an image), those that see each other must share theirs too.

Layers with local attention see fewer: j <= i becomes 0 <= i - j < n, counted along i's own path (shared prefix, then
own branch) over living tokens. Vision tokens still see each other at any distance.

Source: Molmo2 sheet A6.2-A6.4; the local rule is that of transformers' masks, which count places, not position ids. How
    attention is executed is the business of `zoo.attention`.

Shapes: T packed tokens; G segments of a group, L their padded length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, chain

import torch
from torch import Tensor

from zoo.host_facts import on_device

CPU = torch.device("cpu")

PREFIX_BRANCH = 10_000
"""Branch id of a tree's shared prefix: larger than any branch, so that every branch sees it."""

PADDING_SHARE = 0.125
"""Segments whose lengths differ by at most this share are padded into one kernel call,"""

PADDING_SLOTS = 8
"""or by at most this many tokens: below that a call costs more than its padding."""


@dataclass(frozen=True, kw_only=True)
class SegmentGroup:
    """Segments of similar length that run as one batch.

    Args:
        rows: (G, L) int64, packed index of every slot; padded slots point at the segment's first token.
        valid: (G, L) bool, or None where no slot is padding.
        mask: (G, 1, L, L) bool, or None where every slot may attend to every slot.
        is_causal: The mask is the plain lower triangle, left to the kernel.
    """

    rows: Tensor
    valid: Tensor | None
    mask: Tensor | None
    is_causal: bool

    @cached_property
    def _additive(self) -> dict[torch.dtype, Tensor]:
        return {}

    def additive_mask(self, dtype: torch.dtype) -> Tensor | None:
        """The mask as 0 and -inf in a dtype, made once and shared by all layers of a forward pass."""
        if self.mask is None:
            return None
        if dtype not in self._additive:
            zeros = torch.zeros(self.mask.shape, dtype=dtype, device=self.mask.device)
            self._additive[dtype] = zeros.masked_fill_(~self.mask, -torch.inf)
        return self._additive[dtype]


@dataclass(frozen=True, kw_only=True)
class TreeGroup:
    """Message trees of similar size whose branch tokens ask their prefix as one batch.

    Args:
        queries: (G, Q) int64, packed index of every branch token; padded slots repeat the first.
        valid: (G, Q) bool, or None where no slot is padding.
        prefix: (G, P) int64, packed index of every prefix token; padded slots repeat the first.
        mask: (G, Q or 1, P) bool, prefix slots that a query may attend to, or None where it may attend to all.
    """

    queries: Tensor
    valid: Tensor | None
    prefix: Tensor
    mask: Tensor | None

    def additive_mask(self, dtype: torch.dtype) -> Tensor | None:
        """(G, 1, Q or 1, P): 0, and a number so low that it weighs nothing beside a query's own branch.

        Not -inf: under local attention a query may see nothing of its prefix, and a row of -inf would turn into NaN.
        """
        if self.mask is None:
            return None
        zeros = torch.zeros(self.mask.shape, dtype=dtype, device=self.mask.device)
        return zeros.masked_fill_(~self.mask, torch.finfo(dtype).min / 2).unsqueeze(1)


@dataclass(frozen=True, kw_only=True)
class Segments:
    """Who may attend to whom in a packed sequence.

    Args:
        runs: For each segment the lengths of its shared prefix and of its branches, in order, on the host. A segment
            without branches is one run; empty runs and segments are allowed.
        causal: Text order; false for a vision encoder, where a segment is a frame.
        is_vision: (T,) bool, tokens that see each other in both directions; None: no such tokens.
        device: Where masks are made.
        local_attention: Most tokens of its own path, itself included, that a token sees in text order; None: all.
        vision_group: (T,) int64, vision tokens see each other within a group only (Molmo2's narrower option); None:
            within their segment.
    """

    runs: tuple[tuple[int, ...], ...]
    causal: bool = True
    is_vision: Tensor | None = None
    device: torch.device = CPU
    local_attention: int | None = None
    vision_group: Tensor | None = None

    def __post_init__(self) -> None:
        if self.local_attention is not None and not (self.causal and self.local_attention > 0):
            raise ValueError(f"local_attention {self.local_attention} must be positive, and its segments causal")
        if self.is_vision is not None and self.is_vision.shape != (self.num_tokens,):
            raise ValueError(f"is_vision is {tuple(self.is_vision.shape)}, the segments hold {self.num_tokens} tokens")

    @classmethod
    def plain(
        cls, lengths: Sequence[int], *, causal: bool = True, is_vision: Tensor | None = None, device: torch.device = CPU
    ) -> Segments:
        """Segments without branches."""
        return cls(runs=tuple((n,) for n in lengths), causal=causal, is_vision=is_vision, device=device)

    def within(self, local_attention: int | None) -> Segments:
        """The same segments for a layer with local attention; themselves where none of their paths is longer."""
        longest = max((runs[0] + max(runs[1:], default=0) for runs in self.runs if runs), default=0)
        if local_attention is None or longest <= local_attention:
            return self
        if local_attention not in self._local:  # layers share it, and its masks
            self._local[local_attention] = replace(self, local_attention=local_attention)
        return self._local[local_attention]

    @cached_property
    def _local(self) -> dict[int, Segments]:
        return {}

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """Tokens of each segment."""
        return tuple(map(sum, self.runs))

    @cached_property
    def num_tokens(self) -> int:
        return sum(self.lengths)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Packed index of each segment's first token."""
        return tuple(accumulate(self.lengths, initial=0))[:-1]

    def _repeat(self, values: Sequence[int], lengths: Sequence[int]) -> Tensor:
        counts = on_device(lengths, self.device)
        return on_device(values, self.device).repeat_interleave(counts, output_size=self.num_tokens)

    @cached_property
    def segment_ids(self) -> Tensor:
        """(T,) int64: number of the segment that each token belongs to."""
        return self._repeat(range(len(self.lengths)), self.lengths)

    @cached_property
    def has_branches(self) -> bool:
        return any(len(runs) > 1 for runs in self.runs)

    @cached_property
    def branch_ids(self) -> Tensor | None:
        """(T,) int64: `PREFIX_BRANCH` for shared tokens, else the number of the branch; None without branches."""
        if not self.has_branches:
            return None
        ids = [PREFIX_BRANCH if number == 0 else number - 1 for runs in self.runs for number in range(len(runs))]
        return self._repeat(ids, list(chain.from_iterable(self.runs)))

    @cached_property
    def path_index(self) -> Tensor:
        """(T,) int64: place of each token on its own path, the shared prefix and then its branch."""
        lengths = list(chain.from_iterable(self.runs))
        starts = list(accumulate(lengths, initial=0))[:-1]
        first = [0 if number == 0 else runs[0] for runs in self.runs for number in range(len(runs))]
        shift = self._repeat([place - start for place, start in zip(first, starts, strict=True)], lengths)
        return torch.arange(self.num_tokens, device=self.device) + shift

    @property
    def _has_plain_rule(self) -> bool:
        return self.is_vision is None and self.branch_ids is None and self.local_attention is None

    def rule(self, query: Tensor, key: Tensor) -> Tensor:
        """May the tokens at packed indices `query` attend to those at `key`? Broadcasts; segments are not compared."""
        allowed = key <= query if self.causal else torch.ones_like(key <= query)
        if self.local_attention is not None:
            allowed = allowed & (self.path_index[query] - self.path_index[key] < self.local_attention)
        if self.causal and self.is_vision is not None:
            allowed = allowed | self._see_each_other(query, key)
        if self.branch_ids is not None:
            allowed = allowed & (self.branch_ids[query] <= self.branch_ids[key])
        return allowed

    def _see_each_other(self, query: Tensor, key: Tensor) -> Tensor:
        both = self.is_vision[query] & self.is_vision[key]
        return both if self.vision_group is None else both & (self.vision_group[query] == self.vision_group[key])

    def dense_mask(self) -> Tensor:
        """(T, T) bool, True where a query (row) may attend to a key (column)."""
        index = torch.arange(self.num_tokens, device=self.device)
        same = self.segment_ids[:, None] == self.segment_ids[None, :]
        return same & self.rule(index[:, None], index[None, :])

    @cached_property
    def groups(self) -> tuple[SegmentGroup, ...]:
        """Segments of similar length, each group one kernel call."""
        return tuple(self._group(members) for members in similar(self.lengths))

    def _slots(self, starts: Sequence[int], lengths: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        """(G, L) packed indices of equal or padded runs, and which of them are real (None: all)."""
        first = on_device(starts, self.device)[:, None]
        slots = torch.arange(max(lengths), device=self.device)
        if min(lengths) == max(lengths):
            return first + slots, None
        valid = slots < on_device(lengths, self.device)[:, None]
        return first + slots * valid, valid  # padding repeats the first token

    def _group(self, members: list[int]) -> SegmentGroup:
        rows, valid = self._slots([self.starts[s] for s in members], [self.lengths[s] for s in members])
        slots = torch.arange(rows.shape[1], device=self.device)
        if self._has_plain_rule and valid is None:
            return SegmentGroup(rows=rows, valid=None, mask=None, is_causal=self.causal)
        mask = self.rule(rows[:, :, None], rows[:, None, :])
        if valid is not None:
            # A padded query attends to the first slot alone: a row of -inf would turn into NaN.
            mask = torch.where(valid[:, :, None], mask & valid[:, None, :], slots == 0)
        return SegmentGroup(rows=rows, valid=valid, mask=mask.unsqueeze(1), is_causal=False)

    @cached_property
    def is_one_view(self) -> bool:
        return len(self.groups) == 1 and self.groups[0].valid is None and 0 not in self.lengths

    @cached_property
    def prefixes(self) -> tuple[Segments, Tensor]:
        """The shared prefixes as segments of their own, and (prefix tokens,) their packed indices."""
        rows = (self.branch_ids == PREFIX_BRANCH).nonzero().squeeze(1)
        return self._of_rows([runs[0] for runs in self.runs], rows), rows

    @cached_property
    def branches(self) -> tuple[Segments, Tensor]:
        """The branches as segments of their own, and (branch tokens,) their packed indices."""
        rows = (self.branch_ids != PREFIX_BRANCH).nonzero().squeeze(1)
        return self._of_rows([length for runs in self.runs for length in runs[1:]], rows), rows

    def _of_rows(self, lengths: Sequence[int], rows: Tensor) -> Segments:
        """Segments without branches of the tokens at packed indices `rows`, under the same rule."""
        return replace(self, runs=tuple((n,) for n in lengths), **self._tokens_at(rows))

    def _tokens_at(self, chosen: Tensor) -> dict[str, Tensor | None]:
        """What is told of each token, of the tokens that an index or a mask chooses."""
        told = {"is_vision": self.is_vision, "vision_group": self.vision_group}
        return {name: None if of_all is None else of_all[chosen] for name, of_all in told.items()}

    @cached_property
    def tree_groups(self) -> tuple[TreeGroup, ...]:
        """Trees with similar numbers of branch tokens; prefixes are padded to the longest of their group."""
        groups = []
        for members in similar([length - runs[0] for length, runs in zip(self.lengths, self.runs, strict=True)]):
            trees = [s for s in members if self.runs[s][0]]
            if not trees:
                continue
            sizes = [self.lengths[s] - self.runs[s][0] for s in trees]
            queries, valid = self._slots([self.starts[s] + self.runs[s][0] for s in trees], sizes)
            prefix, prefix_valid = self._slots([self.starts[s] for s in trees], [self.runs[s][0] for s in trees])
            mask = None if prefix_valid is None else prefix_valid[:, None, :]
            if self.local_attention is not None:
                near = self.rule(queries[:, :, None], prefix[:, None, :])
                mask = near if mask is None else near & mask
            groups.append(TreeGroup(queries=queries, valid=valid, prefix=prefix, mask=mask))
        return tuple(groups)

    @cached_property
    def block_mask(self):
        """The rule as flex attention's block mask over a sequence of one batch row."""
        from torch.nn.attention.flex_attention import create_block_mask

        segment_ids, is_vision, branches = self.segment_ids, self.is_vision, self.branch_ids
        group = self.vision_group
        local_attention = self.local_attention
        place = None if local_attention is None else self.path_index

        def may_attend(_batch: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            allowed = segment_ids[query] == segment_ids[key]
            if self.causal:
                order = key <= query
                if local_attention is not None:
                    order = order & (place[query] - place[key] < local_attention)
                if is_vision is not None:
                    both = is_vision[query] & is_vision[key]
                    order = order | (both if group is None else both & (group[query] == group[key]))
                allowed = allowed & order
            if branches is not None:
                allowed = allowed & (branches[query] <= branches[key])
            return allowed

        return create_block_mask(may_attend, None, None, self.num_tokens, self.num_tokens, device=self.device)

    def keep(self, keep: Tensor, lengths: Sequence[int] | None = None) -> Segments:
        """The segments of the tokens where `keep` (T,) bool is true.

        Args:
            keep: (T,) bool.
            lengths: What is left of each run, in order, where the host knows; else the device is read once.
        """
        if lengths is None:
            own = list(chain.from_iterable(self.runs))
            lengths = torch.bincount(self._repeat(range(len(own)), own)[keep], minlength=len(own)).tolist()
        left = iter(lengths)
        return replace(
            self,
            runs=tuple(tuple(next(left) for _ in runs) for runs in self.runs),
            **self._tokens_at(keep),
        )


def similar(lengths: Sequence[int]) -> list[list[int]]:
    """Numbers of the non-empty lengths, grouped so that padding to the longest of a group wastes little.

    A member is shorter than the longest by at most `PADDING_SHARE` of it, or `PADDING_SLOTS` tokens.

    Equal lengths stay in order in one group; otherwise groups run from the longest to the shortest.
    """
    filled = [number for number, length in enumerate(lengths) if length]
    if len({lengths[number] for number in filled}) > 1:
        filled.sort(key=lambda number: -lengths[number])
    groups: list[list[int]] = []
    for number in filled:
        longest = lengths[groups[-1][0]] if groups else 0
        if groups and longest - lengths[number] <= max(PADDING_SLOTS, PADDING_SHARE * longest):
            groups[-1].append(number)
        else:
            groups.append([number])
    return groups
