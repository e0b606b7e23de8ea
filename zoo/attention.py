"""Attention described by segments instead of masks, with three executions that give one answer.

A packed sequence is (tokens, channels); `Segments` says which tokens form an example, which are vision, and which
branch of a message tree they belong to. Token i may attend to token j iff

    segment(i) = segment(j)  and  [not causal or j <= i or (vision(i) and vision(j))]  and  branch(i) <= branch(j)

Source: Molmo2 sheet A6.2-A6.4. `dense` builds the whole mask; `segments` runs one kernel call a group of segments of
similar length; `flex` gives the rule to flex attention as a block mask.

Shapes: T packed tokens, H heads, D head_dim; G segments of a group, L their padded length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate, chain
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Execution = Literal["auto", "dense", "segments", "flex"]

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
        prefix_valid: (G, P) bool, or None where no slot is padding.
    """

    queries: Tensor
    valid: Tensor | None
    prefix: Tensor
    prefix_valid: Tensor | None


@dataclass(frozen=True, kw_only=True)
class Segments:
    """Who may attend to whom in a packed sequence.

    Args:
        runs: For each segment the lengths of its shared prefix and of its branches, in order, on the host. A segment
            without branches is one run; empty runs and segments are allowed.
        causal: Text order; false for a vision encoder, where a segment is a frame.
        is_vision: (T,) bool, tokens that see each other in both directions; None: no such tokens.
        device: Where masks are made.
    """

    runs: tuple[tuple[int, ...], ...]
    causal: bool = True
    is_vision: Tensor | None = None
    device: torch.device = CPU

    def __post_init__(self) -> None:
        if self.is_vision is not None and self.is_vision.shape != (self.num_tokens,):
            raise ValueError(f"is_vision is {tuple(self.is_vision.shape)}, the segments hold {self.num_tokens} tokens")

    @classmethod
    def plain(
        cls, lengths: Sequence[int], *, causal: bool = True, is_vision: Tensor | None = None, device: torch.device = CPU
    ) -> Segments:
        """Segments without branches."""
        return cls(runs=tuple((n,) for n in lengths), causal=causal, is_vision=is_vision, device=device)

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
        counts = torch.tensor(lengths, device=self.device)
        return torch.tensor(values, device=self.device).repeat_interleave(counts, output_size=self.num_tokens)

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

    @property
    def _has_plain_rule(self) -> bool:
        return self.is_vision is None and self.branch_ids is None

    def rule(self, query: Tensor, key: Tensor) -> Tensor:
        """May the tokens at packed indices `query` attend to those at `key`? Broadcasts; segments are not compared."""
        allowed = key <= query if self.causal else torch.ones_like(key <= query)
        if self.causal and self.is_vision is not None:
            allowed = allowed | (self.is_vision[query] & self.is_vision[key])
        if self.branch_ids is not None:
            allowed = allowed & (self.branch_ids[query] <= self.branch_ids[key])
        return allowed

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
        first = torch.tensor(starts, device=self.device)[:, None]
        slots = torch.arange(max(lengths), device=self.device)
        if min(lengths) == max(lengths):
            return first + slots, None
        valid = slots < torch.tensor(lengths, device=self.device)[:, None]
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
        is_vision = None if self.is_vision is None else self.is_vision[rows]
        lengths = [runs[0] for runs in self.runs]
        return Segments.plain(lengths, causal=self.causal, is_vision=is_vision, device=self.device), rows

    @cached_property
    def branches(self) -> tuple[Segments, Tensor]:
        """The branches as segments of their own, and (branch tokens,) their packed indices."""
        rows = (self.branch_ids != PREFIX_BRANCH).nonzero().squeeze(1)
        is_vision = None if self.is_vision is None else self.is_vision[rows]
        lengths = [length for runs in self.runs for length in runs[1:]]
        return Segments.plain(lengths, causal=self.causal, is_vision=is_vision, device=self.device), rows

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
            groups.append(TreeGroup(queries=queries, valid=valid, prefix=prefix, prefix_valid=prefix_valid))
        return tuple(groups)

    @cached_property
    def block_mask(self):
        """The rule as flex attention's block mask over a sequence of one batch row."""
        from torch.nn.attention.flex_attention import create_block_mask

        segment_ids, is_vision, branches = self.segment_ids, self.is_vision, self.branch_ids

        def may_attend(_batch: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            allowed = segment_ids[query] == segment_ids[key]
            if self.causal:
                order = key <= query
                if is_vision is not None:
                    order = order | (is_vision[query] & is_vision[key])
                allowed = allowed & order
            if branches is not None:
                allowed = allowed & (branches[query] <= branches[key])
            return allowed

        return create_block_mask(may_attend, None, None, self.num_tokens, self.num_tokens, device=self.device)

    def keep(self, keep: Tensor) -> Segments:
        """The segments of the tokens where `keep` (T,) bool is true; reads the device once for the new lengths."""
        lengths = list(chain.from_iterable(self.runs))
        run_ids = self._repeat(range(len(lengths)), lengths)
        left = iter(torch.bincount(run_ids[keep], minlength=len(lengths)).tolist())
        return Segments(
            runs=tuple(tuple(next(left) for _ in runs) for runs in self.runs),
            causal=self.causal,
            is_vision=None if self.is_vision is None else self.is_vision[keep],
            device=self.device,
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


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    segments: Segments,
    *,
    key_bias: Tensor | None = None,
    pair_bias: Tensor | None = None,
    scale: float | None = None,
    execution: Execution = "auto",
) -> Tensor:
    """Scaled dot-product attention of a packed sequence.

    Args:
        query: (T, H, D).
        key: (T, KV, D); KV divides H (grouped queries).
        value: (T, KV, D).
        segments: Who may attend to whom.
        key_bias: (T,) float added to the logits of each key, for every query.
        pair_bias: (H, T, T) float added to the logits; only `dense` can execute it.
        scale: Factor of the products; D ** -0.5 where None.
        execution: `auto` takes `segments` on a CPU and `flex` on a GPU.
    Returns:
        (T, H, D).
    Raises:
        ValueError: `pair_bias` with an execution other than `dense` or `auto`.
    """
    if pair_bias is not None and execution not in ("auto", "dense"):
        raise ValueError(f"execution {execution!r} cannot add a bias per pair; use 'dense'")
    # Norms of queries and keys leave autocast in float32; one dtype for all three, as the fused kernel takes it.
    device = query.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else value.dtype
    query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    if execution == "auto":
        execution = "dense" if pair_bias is not None else "flex" if query.is_cuda else "segments"
    if execution == "segments" and segments.has_branches and key_bias is None:
        return _attend_trees(query, key, value, segments, scale)
    if execution == "segments":
        return _attend_by_segment(query, key, value, segments, key_bias, scale)
    if execution == "flex":
        return _attend_flex(query, key, value, segments, key_bias, scale)
    mask = torch.zeros(1, *[segments.num_tokens] * 2, dtype=query.dtype, device=query.device)
    mask = mask.masked_fill(~segments.dense_mask(), -torch.inf)
    if key_bias is not None:
        mask = mask + key_bias.to(mask.dtype)
    if pair_bias is not None:
        mask = mask + pair_bias.to(mask.dtype)
    q, k, v = (x.transpose(0, 1).unsqueeze(0) for x in (query, key, value))
    return _sdpa(q, k, v, mask.unsqueeze(0), False, scale).squeeze(0).transpose(0, 1)


SHORT_KEYS = 192
"""On a CPU the fused backward pass loses to plain matrix products up to about this many keys (2.7x
at 81 keys, bfloat16)."""


def _sdpa(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, is_causal: bool, scale: float | None) -> Tensor:
    if q.device.type == "cpu" and q.requires_grad and k.shape[-2] <= SHORT_KEYS:
        return _plain_attention(q, k, v, _causal_mask(q) if is_causal else mask, scale)
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=is_causal, scale=scale, enable_gqa=q.shape[-3] != k.shape[-3]
    )


def _take(packed: Tensor, rows: Tensor) -> Tensor:
    """Rows of any shape out of a packed tensor; the backward pass of `index_select` adds, that of indexing sorts."""
    return packed.index_select(0, rows.flatten()).unflatten(0, rows.shape)


def _real(padded: Tensor, valid: Tensor) -> Tensor:
    """(G, L, ...) without its padded slots: (tokens, ...)."""
    return padded.flatten(0, 1).index_select(0, valid.flatten().nonzero().squeeze(1))


def _logits(q: Tensor, k: Tensor, mask: Tensor | None, scale: float | None) -> Tensor:
    logits = (q * (q.shape[-1] ** -0.5 if scale is None else scale)) @ k.transpose(-1, -2)
    return logits if mask is None else logits + mask


def _plain_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float | None) -> Tensor:
    """Attention as two products and a softmax, which keeps the map for the backward pass."""
    shared = q.shape[-3] // k.shape[-3]
    if shared > 1:
        k, v = k.repeat_interleave(shared, dim=-3), v.repeat_interleave(shared, dim=-3)
    return _logits(q, k, mask, scale).softmax(-1).to(v.dtype) @ v


def _attend_trees(query: Tensor, key: Tensor, value: Tensor, segments: Segments, scale: float | None) -> Tensor:
    """Prefixes on their own; branch tokens ask their prefix and their own branch, and the two answers are merged.

    Scores are made for (branch tokens) x (prefix + own branch) instead of (whole tree) squared. The merge weighs both
    parts by their share of the softmax normaliser, so the answer is that of one attention over all allowed keys.
    """
    prefixes, prefix_rows = segments.prefixes
    branches, branch_rows = segments.branches
    whole = torch.empty_like(query)
    if len(prefix_rows):
        prefix_out = _attend_by_segment(*(_take(x, prefix_rows) for x in (query, key, value)), prefixes, None, scale)
        whole = whole.index_copy(0, prefix_rows, prefix_out)
    if not len(branch_rows):
        return whole
    shared = query.shape[1] // key.shape[1]
    if shared > 1:
        key, value = key.repeat_interleave(shared, dim=1), value.repeat_interleave(shared, dim=1)
    own, own_normaliser = _own_branch(*(_take(x, branch_rows) for x in (query, key, value)), branches, scale)
    asked, asked_normaliser = torch.zeros_like(query), query.new_full(query.shape[:2], -torch.inf, dtype=torch.float32)
    for group in segments.tree_groups:
        q, k, v = (
            _take(x, rows).transpose(1, 2)
            for x, rows in ((query, group.queries), (key, group.prefix), (value, group.prefix))
        )
        mask = None
        if group.prefix_valid is not None:
            mask = torch.zeros_like(group.prefix, dtype=q.dtype).masked_fill_(~group.prefix_valid, -torch.inf)[
                :, None, None
            ]
        part, normaliser = (x.transpose(1, 2) for x in _attend_partially(q, k, v, mask, scale))
        rows = group.queries.flatten() if group.valid is None else group.queries[group.valid]
        part, normaliser = (
            x.flatten(0, 1) if group.valid is None else _real(x, group.valid) for x in (part, normaliser)
        )
        asked = asked.index_copy(0, rows, part)
        asked_normaliser = asked_normaliser.index_copy(0, rows, normaliser)
    share = (_take(asked_normaliser, branch_rows) - own_normaliser).sigmoid().unsqueeze(-1).to(own.dtype)
    return whole.index_copy(0, branch_rows, torch.lerp(own, _take(asked, branch_rows), share))


def _attend_partially(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float | None
) -> tuple[Tensor, Tensor]:
    """Attention over some of the keys, and (..., queries) the float32 log normaliser that weighs it against the
    rest.
    """
    logits = _logits(q, k, mask, scale).float()
    normaliser = logits.logsumexp(-1)
    return (logits - normaliser.unsqueeze(-1)).exp().to(v.dtype) @ v, normaliser


def _own_branch(
    query: Tensor, key: Tensor, value: Tensor, branches: Segments, scale: float | None
) -> tuple[Tensor, Tensor]:
    """Every branch token's attention to its own branch, (T, H, D), and the log normaliser, (T, H)."""
    parts, normalisers, places = [], [], []
    for group in branches.groups:
        q, k, v = (_take(x, group.rows).transpose(1, 2) for x in (query, key, value))
        mask = _causal_mask(q) if group.is_causal else group.additive_mask(q.dtype)
        part, normaliser = (x.transpose(1, 2) for x in _attend_partially(q, k, v, mask, scale))
        valid = group.valid
        parts.append(part.flatten(0, 1) if valid is None else _real(part, valid))
        normalisers.append(normaliser.flatten(0, 1) if valid is None else _real(normaliser, valid))
        places.append(group.rows.flatten() if valid is None else group.rows[valid])
    back = torch.cat(places).argsort()
    return _take(torch.cat(parts), back), _take(torch.cat(normalisers), back)


def _causal_mask(q: Tensor) -> Tensor:
    length = q.shape[-2]
    return torch.full((length, length), -torch.inf, dtype=q.dtype, device=q.device).triu(1)


def _attend_by_segment(
    query: Tensor, key: Tensor, value: Tensor, segments: Segments, key_bias: Tensor | None, scale: float | None
) -> Tensor:
    if segments.is_one_view:
        group = segments.groups[0]
        q, k, v = (x.view(*group.rows.shape, *x.shape[1:]).transpose(1, 2) for x in (query, key, value))
        return _attend_group(q, k, v, group, key_bias, scale).transpose(1, 2).reshape(query.shape)
    parts, places = [], []
    for group in segments.groups:
        q, k, v = (_take(x, group.rows).transpose(1, 2) for x in (query, key, value))  # (G, H, L, D)
        out = _attend_group(q, k, v, group, key_bias, scale).transpose(1, 2)
        valid = group.valid
        parts.append(out.flatten(0, 1) if valid is None else _real(out, valid))
        places.append(group.rows.flatten() if valid is None else group.rows[valid])
    if not parts:
        return torch.empty_like(query)
    return torch.empty_like(query).index_copy(0, torch.cat(places), torch.cat(parts))


def _attend_group(
    q: Tensor, k: Tensor, v: Tensor, group: SegmentGroup, key_bias: Tensor | None, scale: float | None
) -> Tensor:
    if key_bias is None:
        return _sdpa(q, k, v, group.additive_mask(q.dtype), group.is_causal, scale)
    bias = key_bias[group.rows][:, None, None, :].to(q.dtype)  # (G, 1, 1, L)
    mask = group.additive_mask(q.dtype)
    if group.is_causal:
        mask = _causal_mask(q)
    bias = bias.expand(-1, 1, q.shape[-2], -1) if mask is None else bias + mask
    return _sdpa(q, k, v, bias, False, scale)


@lru_cache(maxsize=1)
def _compiled_flex():
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention, dynamic=True)


def _attend_flex(
    query: Tensor, key: Tensor, value: Tensor, segments: Segments, key_bias: Tensor | None, scale: float | None
) -> Tensor:
    from torch.nn.attention.flex_attention import flex_attention

    def add_key_bias(score: Tensor, _batch: Tensor, _head: Tensor, _query: Tensor, key_index: Tensor) -> Tensor:
        return score + key_bias[key_index]

    run = _compiled_flex() if query.is_cuda else flex_attention  # on a CPU flex is forward only
    q, k, v = (x.transpose(0, 1).unsqueeze(0) for x in (query, key, value))
    out = run(
        q,
        k,
        v,
        score_mod=None if key_bias is None else add_key_bias,
        block_mask=segments.block_mask,
        scale=scale,
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return out.squeeze(0).transpose(0, 1)


def received_attention(
    query: Tensor, key: Tensor, segments: Segments, rows: Tensor, scale: float | None = None
) -> Tensor:
    """Attention that every token receives from asked query rows, averaged over heads and over the rows of its segment.

    Fused kernels return no attention map, so the asked rows are computed here: memory is rows x T, never T x T.

    Args:
        query: (T, H, D).
        key: (T, KV, D).
        segments: Who may attend to whom.
        rows: (R,) int64, packed indices of the asking queries.
        scale: Factor of the products; D ** -0.5 where None.
    Returns:
        (T,) float32; 0 for tokens of a segment without an asking row.
    """
    heads, head_dim = query.shape[1:]
    keys = key.repeat_interleave(heads // key.shape[1], dim=1).float()
    logits = torch.einsum("rhd,thd->hrt", query[rows].float(), keys) * (head_dim**-0.5 if scale is None else scale)
    same = segments.segment_ids[rows][:, None] == segments.segment_ids[None, :]
    allowed = same & segments.rule(rows[:, None], torch.arange(len(key), device=key.device)[None, :])
    weights = logits.masked_fill(~allowed, -torch.inf).softmax(-1).mean(0)  # (R, T)
    asking = torch.bincount(segments.segment_ids[rows], minlength=len(segments.lengths)).clamp(min=1)
    return weights.sum(0) / asking[segments.segment_ids]
