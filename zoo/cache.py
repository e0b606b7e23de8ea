"""Keys and values of a generation: one row a turn, of its own length in every layer.

Rows are gathered from a packed prefill, so that many questions about one clip share its single forward pass, and a
layer whose tokens were pruned simply has shorter rows. Source: DESIGN contract of the language model; Molmo2 sheet
A6.2 (decoding is causal).

Shapes: R rows, L slots, T packed tokens, KV key/value heads, D head_dim.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

GROWTH = 32
"""Slots that are added when a layer's rows are full."""


def rows_table(rows: Sequence[Sequence[int]], device: torch.device | str) -> Tensor:
    """(R, L) int64 of the packed indices of each row, padded with -1."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[-1] * (longest - len(row))] for row in rows], dtype=torch.int64, device=device)


@dataclass
class LayerCache:
    """One layer's rows.

    Args:
        keys: (R, L, KV, D).
        values: (R, L, KV, D).
        lengths: (R,) int64, filled slots.
        is_even: All rows have the same length, which the host knows without asking the device.
    """

    keys: Tensor
    values: Tensor
    lengths: Tensor
    is_even: bool

    def make_room(self, longest: int) -> None:
        """Slots for rows of this length, and some more where they are too few."""
        if longest > self.keys.shape[1]:
            room = (0, 0, 0, 0, 0, longest + GROWTH - self.keys.shape[1])
            self.keys, self.values = F.pad(self.keys, room), F.pad(self.values, room)

    def write(self, keys: Tensor, values: Tensor, counts: Tensor | None, longest: int) -> None:
        """Append (R, n, KV, D) keys and values.

        Args:
            keys: Of the new tokens.
            values: The same.
            counts: (R,) int64, real tokens of each row; None: all.
            longest: Bounds the lengths afterwards; where rows are even, it is their length.
        """
        self.make_room(longest)
        if self.is_even:
            new = slice(longest - keys.shape[1], longest)
            self.keys[:, new], self.values[:, new] = keys.to(self.keys.dtype), values.to(self.values.dtype)
            self.lengths = self.lengths + (keys.shape[1] if counts is None else counts)
            self.is_even = counts is None
            return
        slots = self.lengths[:, None] + torch.arange(keys.shape[1], device=keys.device)
        index = slots[:, :, None, None].expand_as(keys)
        # Padding of a short row lands behind its end and is overwritten by the row's next tokens.
        self.keys.scatter_(1, index, keys.to(self.keys.dtype))
        self.values.scatter_(1, index, values.to(self.values.dtype))
        self.lengths = self.lengths + (keys.shape[1] if counts is None else counts)


class KeyValueCache:
    """All layers of a generation.

    Args:
        rows: (R, L) int64, indices into the batch's full sequence that each row continues, padded with -1.
    """

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows
        self.layers: dict[int, LayerCache] = {}
        self.longest: dict[int, int] = {}
        self._index: Tensor | None = None
        self._gathered: tuple[Tensor, Tensor, bool] | None = None

    @property
    def num_rows(self) -> int:
        return len(self.rows)

    def part(self, rows: Tensor) -> KeyValueCache:
        """A copy of some rows, that goes on alone.

        Args:
            rows: (r,) int64.
        """
        part = KeyValueCache(self.rows[rows])
        for layer, cache in self.layers.items():
            lengths = cache.lengths[rows]
            longest, shortest = lengths.max().item(), lengths.min().item()
            keys, values = cache.keys[rows, :longest], cache.values[rows, :longest]
            part.layers[layer] = LayerCache(keys=keys, values=values, lengths=lengths, is_even=longest == shortest)
            part.longest[layer] = longest
        return part

    def take_back(self, part: KeyValueCache, rows: Tensor) -> None:
        """Put rows that went on alone back in their places.

        Args:
            part: As `part(rows)` gave it, and more tokens since.
            rows: (r,) int64.
        """
        for layer, cache in self.layers.items():
            own, longest = part.layers[layer], part.longest[layer]
            cache.make_room(longest)
            cache.keys[rows, :longest], cache.values[rows, :longest] = own.keys[:, :longest], own.values[:, :longest]
            cache.lengths = cache.lengths.index_copy(0, rows, own.lengths)
            cache.is_even = False  # others ended before
            self.longest[layer] = max(self.longest[layer], longest)

    def _places(self, index: Tensor) -> tuple[Tensor, Tensor, bool]:
        """Where each row's surviving tokens lie in a stream whose tokens have full-sequence places `index`.

        Returns:
            (R, L) int64 places, (R,) int64 lengths, and whether these are all the same.
        """
        if self._gathered is None or self._index is not index:
            size = int(torch.maximum(index.max(), self.rows.max())) + 1
            place = torch.full((size + 1,), -1, dtype=torch.int64, device=index.device)  # last slot answers row padding
            place[index] = torch.arange(len(index), device=index.device)
            places = place[self.rows]
            order = (places < 0).long().argsort(dim=1, stable=True)  # survivors first, in order
            places = places.gather(1, order)
            lengths = (places >= 0).sum(1)
            longest, shortest = lengths.max().item(), lengths.min().item()
            self._index, self._gathered = index, (places[:, :longest].clamp(min=0), lengths, longest == shortest)
        return self._gathered

    def fill(self, layer: int, keys: Tensor, values: Tensor, index: Tensor) -> None:
        """Take a layer's rows out of its packed (T, KV, D) keys and values."""
        places, lengths, is_even = self._places(index)
        self.layers[layer] = LayerCache(keys=keys[places], values=values[places], lengths=lengths, is_even=is_even)
        self.longest[layer] = places.shape[1]

    def attend(
        self,
        layer: int,
        query: Tensor,
        keys: Tensor,
        values: Tensor,
        counts: Tensor | None,
        *,
        scale: float,
        local_attention: int | None = None,
    ) -> Tensor:
        """Append new tokens to a layer and let them attend to their row, causally.

        Args:
            layer: Layer index.
            query: (R, H, n, D).
            keys: (R, KV, n, D).
            values: (R, KV, n, D).
            counts: (R,) int64, real tokens of each row; None: all.
            scale: Factor of the products.
            local_attention: Most tokens of its row, itself included, that a new token looks back at; None: all.
        Returns:
            (R, H, n, D).
        """
        cache, new = self.layers[layer], query.shape[2]
        before = cache.lengths
        self.longest[layer] += new
        cache.write(keys.transpose(1, 2), values.transpose(1, 2), counts, self.longest[layer])
        k, v = (x[:, : self.longest[layer]].transpose(1, 2).to(query.dtype) for x in (cache.keys, cache.values))
        shared = query.shape[1] != k.shape[1]
        if cache.is_even and new == 1 and local_attention is None:  # sees everything, so that no mask is needed
            return F.scaled_dot_product_attention(query, k, v, scale=scale, enable_gqa=shared)
        slots = torch.arange(self.longest[layer], device=query.device)
        back = (before[:, None] + torch.arange(new, device=query.device))[:, :, None] - slots  # (R, n, L)
        mask = back >= 0 if local_attention is None else (back >= 0) & (back < local_attention)
        return F.scaled_dot_product_attention(query, k, v, attn_mask=mask.unsqueeze(1), scale=scale, enable_gqa=shared)
