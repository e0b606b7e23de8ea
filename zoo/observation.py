"""Observation of a language model: what its layers hold, and attention that is forbidden, while a block of code runs.

The probing of visual key/value tokens stands on this alone. Source: sheet visual_kv_probing; docs/architecture.md.
Shapes: T packed tokens, C channels, H heads, KV key/value heads, D head_dim.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from zoo.attention import received_attention
from zoo.batch import TokenStream
from zoo.errors import ConfigError


@dataclass(kw_only=True)
class Capture:
    """What was seen inside the language model, by layer index.

    Args:
        hidden: (T, C) residual stream before each asked layer; index `num_layers` is the stream after the last,
            before the norm.
        keys: (T, KV, D), after rotation.
        values: (T, KV, D).
        received: (T,) attention received from the asked rows.
        index: (T,) int64, places of the living tokens in the full sequence, for each layer seen.
    """

    hidden_layers: frozenset[int] = frozenset()
    key_layers: frozenset[int] = frozenset()
    received_layers: frozenset[int] = frozenset()
    rows: Tensor | None = None
    hidden: dict[int, Tensor] = field(default_factory=dict)
    keys: dict[int, Tensor] = field(default_factory=dict)
    values: dict[int, Tensor] = field(default_factory=dict)
    received: dict[int, Tensor] = field(default_factory=dict)
    index: dict[int, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)  # one block is told from another by identity: tensors have no truth
class Blocked:
    """Queries that may not attend to keys, in one layer and one key/value head (None: all heads)."""

    layer: int
    kv_head: int | None
    queries: Tensor
    keys: Tensor


class Observable:
    """The part of a language model that others watch: its layer loop reports here, the open captures keep.

    Attributes:
        num_layers: Layers that the loop runs.
    """

    num_layers: int

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._captures: list[Capture] = []
        self._blocked: list[Blocked] = []

    @contextmanager
    def capture(
        self,
        *,
        hidden: Sequence[int] = (),
        keys_values: Sequence[int] = (),
        received: Sequence[int] = (),
        rows: Tensor | None = None,
    ) -> Iterator[Capture]:
        """Collect what the asked layers hold while the block runs; gradients flow through what is collected.

        Args:
            hidden: Layers whose incoming residual stream is wanted; `num_layers` is the stream after the last.
            keys_values: Layers whose rotated keys, and values, are wanted.
            received: Layers whose received attention is wanted.
            rows: (asking,) int64, full-sequence places of the queries that `received` averages over.
        Raises:
            ConfigError: a layer that does not exist, or `received` without `rows`.
        """
        self._check_layers((*keys_values, *received), self.num_layers)
        self._check_layers(hidden, self.num_layers + 1)
        if received and rows is None:
            raise ConfigError("capture(received=...) averages over query rows; pass rows=, places in the sequence")
        capture = Capture(
            hidden_layers=frozenset(hidden),
            key_layers=frozenset(keys_values),
            received_layers=frozenset(received),
            rows=rows,
        )
        self._captures.append(capture)
        try:
            yield capture
        finally:
            self._captures.remove(capture)

    @contextmanager
    def block(self, layer: int, kv_head: int | None, queries: Tensor, keys: Tensor) -> Iterator[None]:
        """Forbid queries to attend to keys in one layer while the block runs.

        Args:
            layer: Layer index.
            kv_head: Key/value head, with all query heads that share it; None: every head.
            queries: (tokens,) bool over the full sequence.
            keys: (tokens,) bool over the full sequence.
        """
        self._check_layers((layer,), self.num_layers)
        blocked = Blocked(layer=layer, kv_head=kv_head, queries=queries, keys=keys)
        self._blocked.append(blocked)
        try:
            yield
        finally:
            self._blocked.remove(blocked)

    def _check_layers(self, layers: Sequence[int], count: int) -> None:
        wrong = [k for k in layers if not 0 <= k < count]
        if wrong:
            raise ConfigError(f"layers {wrong} of a model whose layers here are 0 to {count - 1}")

    def see_hidden(self, index: int, stream: TokenStream) -> None:
        """Hand the residual stream before layer `index` to the open captures."""
        for capture in self._captures:
            if index in capture.hidden_layers:
                capture.hidden[index], capture.index[index] = stream.states, stream.index

    def observe(self, layer: int, query: Tensor, key: Tensor, value: Tensor, stream: TokenStream, scale: float) -> None:
        """Hand (T, heads, D) queries, keys and values of a layer to the open captures."""
        for capture in self._captures:
            if layer in capture.key_layers:
                capture.keys[layer], capture.values[layer], capture.index[layer] = key, value, stream.index
            if layer in capture.received_layers:
                rows = torch.isin(stream.index, capture.rows).nonzero().squeeze(1)
                capture.received[layer] = received_attention(query, key, stream.segments, rows, scale)
                capture.index[layer] = stream.index

    def blocked_bias(self, layer: int, query: Tensor, key: Tensor, stream: TokenStream) -> Tensor | None:
        """(H, T, T) of 0 and a large negative number for the open blocks of a layer, or None without one."""
        blocks = [b for b in self._blocked if b.layer == layer]
        if not blocks:
            return None
        heads, shared = query.shape[1], query.shape[1] // key.shape[1]
        bias = torch.zeros(heads, *[len(query)] * 2, dtype=query.dtype, device=query.device)
        for blocked in blocks:
            pairs = blocked.queries[stream.index][:, None] & blocked.keys[stream.index][None, :]
            chosen = (
                slice(None)
                if blocked.kv_head is None
                else slice(blocked.kv_head * shared, (blocked.kv_head + 1) * shared)
            )
            # Not -inf: a query whose every key is blocked would turn into NaN.
            bias[chosen] = bias[chosen].masked_fill(pairs, torch.finfo(query.dtype).min / 2)
        return bias
