"""Attention described by segments instead of masks, with three executions that give one answer.

A packed sequence is (tokens, channels); `Segments` says which tokens form an example, which are vision, and which branch of
a message tree they belong to. Token i may attend to token j iff

    segment(i) = segment(j)  and  [not causal or j <= i or (vision(i) and vision(j))]  and  branch(i) <= branch(j)

Source: Molmo2 sheet A6.2-A6.4. `dense` builds the whole mask; `segments` runs one kernel call a group of segments of
similar length; `flex` gives the rule to flex attention as a block mask.

Shapes: T packed tokens, H heads, D head_dim; G segments of a group, L their padded length.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Execution = Literal["auto", "dense", "segments", "flex"]

PREFIX_BRANCH = 10_000
"""Branch id of a tree's shared prefix: larger than any branch, so that every branch sees it."""

PADDING_SHARE = 0.125
"""Segments whose lengths differ by at most this share are padded into one kernel call."""


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
class Segments:
    """Who may attend to whom in a packed sequence.

    Args:
        lengths: Tokens of each segment, in order, on the host; empty segments are allowed.
        causal: Text order; false for a vision encoder, where a segment is a frame.
        is_vision: (T,) bool, tokens that see each other in both directions; None: no such tokens.
        branch_ids: (T,) int64, `PREFIX_BRANCH` for shared tokens, else the branch number, growing along a segment; None: no trees.
        device: Where masks are made.
    """

    lengths: tuple[int, ...]
    causal: bool = True
    is_vision: Tensor | None = None
    branch_ids: Tensor | None = None
    device: torch.device = torch.device("cpu")

    def __post_init__(self) -> None:
        for name in ("is_vision", "branch_ids"):
            tensor = getattr(self, name)
            if tensor is not None and tensor.shape != (self.num_tokens,):
                raise ValueError(f"{name} is {tuple(tensor.shape)}, the segments hold {self.num_tokens} tokens")

    @cached_property
    def num_tokens(self) -> int:
        return sum(self.lengths)

    @cached_property
    def segment_ids(self) -> Tensor:
        """(T,) int64: number of the segment that each token belongs to."""
        lengths = torch.tensor(self.lengths, device=self.device)
        return torch.arange(len(self.lengths), device=self.device).repeat_interleave(lengths, output_size=self.num_tokens)

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
        """Segments sorted by length and cut where padding would exceed `PADDING_SHARE`."""
        starts, total = [], 0
        for length in self.lengths:
            starts.append(total)
            total += length
        filled = [s for s, length in enumerate(self.lengths) if length]
        order = sorted(filled, key=lambda s: -self.lengths[s]) if len(set(self.lengths)) > 1 else filled
        groups, members = [], []
        for s in order:
            if members and self.lengths[s] < (1 - PADDING_SHARE) * self.lengths[members[0]]:
                groups.append(self._group(members, starts))
                members = []
            members.append(s)
        if members:
            groups.append(self._group(members, starts))
        return tuple(groups)

    def _group(self, members: list[int], starts: list[int]) -> SegmentGroup:
        lengths = torch.tensor([self.lengths[s] for s in members], device=self.device)
        first = torch.tensor([starts[s] for s in members], device=self.device)
        slots = torch.arange(self.lengths[members[0]], device=self.device)
        is_ragged = self.lengths[members[-1]] != self.lengths[members[0]]
        valid = slots < lengths[:, None] if is_ragged else None
        rows = first[:, None] + (slots if valid is None else slots * valid)  # padding repeats the first token
        if self._has_plain_rule and valid is None:
            return SegmentGroup(rows=rows, valid=None, mask=None, is_causal=self.causal)
        mask = self.rule(rows[:, :, None], rows[:, None, :])
        if valid is not None:
            # A padded query attends to the first slot alone: a row of -inf would turn into NaN.
            mask = torch.where(valid[:, :, None], mask & valid[:, None, :], slots == 0)
        return SegmentGroup(rows=rows, valid=valid, mask=mask.unsqueeze(1), is_causal=False)

    @cached_property
    def _is_one_view(self) -> bool:
        return len(self.groups) == 1 and self.groups[0].valid is None and 0 not in self.lengths

    @cached_property
    def block_mask(self):  # noqa: ANN201 - flex's BlockMask lives in an experimental module
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
        lengths = torch.bincount(self.segment_ids[keep], minlength=len(self.lengths)).tolist()
        return Segments(
            lengths=tuple(lengths),
            causal=self.causal,
            is_vision=None if self.is_vision is None else self.is_vision[keep],
            branch_ids=None if self.branch_ids is None else self.branch_ids[keep],
            device=self.device,
        )


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
    if execution == "auto":
        execution = "dense" if pair_bias is not None else "flex" if query.is_cuda else "segments"
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


def _sdpa(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, is_causal: bool, scale: float | None) -> Tensor:
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=is_causal, scale=scale, enable_gqa=q.shape[-3] != k.shape[-3]
    )


def _attend_by_segment(
    query: Tensor, key: Tensor, value: Tensor, segments: Segments, key_bias: Tensor | None, scale: float | None
) -> Tensor:
    if segments._is_one_view:
        group = segments.groups[0]
        q, k, v = (x.view(*group.rows.shape, *x.shape[1:]).transpose(1, 2) for x in (query, key, value))
        return _attend_group(q, k, v, group, key_bias, scale).transpose(1, 2).reshape(query.shape)
    parts, places = [], []
    for group in segments.groups:
        q, k, v = (x[group.rows].transpose(1, 2) for x in (query, key, value))  # (G, H, L, D)
        out = _attend_group(q, k, v, group, key_bias, scale).transpose(1, 2)
        valid = group.valid
        parts.append(out.flatten(0, 1) if valid is None else out[valid])
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
        length = q.shape[-2]
        mask = torch.full((length, length), -torch.inf, dtype=q.dtype, device=q.device).triu(1)
    bias = bias.expand(-1, 1, q.shape[-2], -1) if mask is None else bias + mask
    return _sdpa(q, k, v, bias, False, scale)


@lru_cache(maxsize=1)
def _compiled_flex():  # noqa: ANN202 - the compiled callable has no public type
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


def received_attention(query: Tensor, key: Tensor, segments: Segments, rows: Tensor, scale: float | None = None) -> Tensor:
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
