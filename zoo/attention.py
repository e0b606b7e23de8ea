"""Attention over packed sequences, with three executions that give one answer.

`dense` builds the whole mask; `segments` runs one kernel call a group of segments of similar length; `flex` gives the
rule of `zoo.segments.Segments` to flex attention as a block mask. Source: Molmo2 sheet A6.2-A6.4.

Shapes: T packed tokens, H heads, D head_dim; G segments of a group, L their padded length.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.segments import SegmentGroup, Segments

Execution = Literal["auto", "dense", "segments", "flex"]

SHORT_KEYS = 192
"""On a CPU the fused backward pass loses to plain matrix products up to about this many keys (2.7x
at 81 keys, bfloat16)."""

SCORES_AT_ONCE = 2**26
"""Attention weights that are held at a time where a pruner or a probe wants to see them."""

_EXECUTION: ContextVar[Execution] = ContextVar("execution", default="auto")


@contextmanager
def executing(execution: Execution) -> Iterator[None]:
    """Have `attend` execute in one way within it, where its caller names none and no bias per pair forces another.

    Threads that are started meanwhile, and those of a GPU's backward pass, know nothing of it.

    Args:
        execution: What `auto` means; `auto` itself as ever.
    """
    before = _EXECUTION.set(execution)
    try:
        yield
    finally:
        _EXECUTION.reset(before)


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
        execution: `auto` takes what `executing` says around it, else `segments` on a CPU and `flex` on a GPU.
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
        execution = "dense" if pair_bias is not None else _EXECUTION.get()
    if execution == "auto":
        execution = "flex" if query.is_cuda else "segments"
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
        asked_part = _attend_partially(q, k, v, group.additive_mask(q.dtype), scale)
        part, normaliser = (x.transpose(1, 2) for x in asked_part)
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
    query: Tensor,
    key: Tensor,
    segments: Segments,
    rows: Tensor,
    scale: float | None = None,
    *,
    reduction: Literal["mean", "max"] = "mean",
) -> Tensor:
    """Attention that every token receives from asked query rows, averaged over heads, reduced over its segment's rows.

    Fused kernels return no attention map, so the asked rows are computed here, some at a time.

    Args:
        query: (T, H, D).
        key: (T, KV, D).
        segments: Who may attend to whom.
        rows: (R,) int64, packed indices of the asking queries.
        scale: Factor of the products; D ** -0.5 where None.
        reduction: Over the rows.
    Returns:
        (T,) float32; 0 for tokens of a segment without an asking row.
    """
    heads, head_dim = query.shape[1:]
    keys = key.repeat_interleave(heads // key.shape[1], dim=1).float()
    scale = head_dim**-0.5 if scale is None else scale
    every = torch.arange(len(key), device=key.device)
    received = torch.zeros(len(key), dtype=torch.float32, device=key.device)
    for part in rows.split(max(1, SCORES_AT_ONCE // max(heads * len(key), 1))):
        with torch.autocast(query.device.type, enabled=False):
            logits = torch.einsum("rhd,thd->hrt", query[part].float(), keys) * scale
        same = segments.segment_ids[part][:, None] == segments.segment_ids[None, :]
        allowed = same & segments.rule(part[:, None], every[None, :])
        weights = logits.masked_fill(~allowed, -torch.inf).softmax(-1).mean(0)  # (R, T)
        if reduction == "mean":
            received += weights.sum(0)
        elif len(part):
            received = torch.maximum(received, weights.amax(0))
    if reduction == "max":
        return received
    asking = torch.bincount(segments.segment_ids[rows], minlength=len(segments.lengths)).clamp(min=1)
    return received / asking[segments.segment_ids]


def received_from_all(query: Tensor, key: Tensor, segments: Segments, scale: float | None = None) -> Tensor:
    """Attention that every token receives from all tokens of its segment, averaged over heads and queries.

    Args:
        query: (T, H, D).
        key: (T, KV, D).
        segments: Without branches; in a causal one a token's early neighbours ask more often than its late ones.
        scale: Factor of the products; D ** -0.5 where None.
    Returns:
        (T,) float32; those of a segment add up to 1.
    """
    received = torch.zeros(len(query), dtype=torch.float32, device=query.device)
    heads, shared = query.shape[1], query.shape[1] // key.shape[1]
    for group in segments.groups:
        mask = group.additive_mask(torch.float32)
        if group.is_causal:
            length = group.rows.shape[1]
            mask = torch.full((length, length), -torch.inf, device=query.device).triu(1)
        step = max(1, SCORES_AT_ONCE // (heads * group.rows.shape[1] ** 2))
        for start in range(0, len(group.rows), step):
            part = slice(start, start + step)
            rows = group.rows[part]
            valid = None if group.valid is None else group.valid[part]
            q, k = (_take(x, rows).transpose(1, 2).float() for x in (query, key))  # (g, H, L, D)
            k = k.repeat_interleave(shared, dim=1) if shared > 1 else k
            with torch.autocast(q.device.type, enabled=False):
                logits = _logits(q, k, None if mask is None else mask[part] if mask.dim() == 4 else mask, scale)
            weights = logits.softmax(-1)
            if valid is not None:
                weights = weights * valid[:, None, :, None]
            count = rows.shape[1] if valid is None else valid.sum(1, keepdim=True)
            share = weights.sum(2).mean(1) / count  # (g, L)
            if valid is None:
                received[rows.flatten()] = share.flatten()
            else:
                received[rows[valid]] = share[valid]
    return received
