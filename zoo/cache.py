"""Keys and values of a generation: one row a turn, of its own length in every layer.

Rows are gathered from a packed prefill, so that many questions about one clip share its single forward pass, and a
layer whose tokens were pruned simply has shorter rows. Pruners that act while an answer is generated hide slots from
the layers behind them; nothing is deleted. Source: DESIGN contract of the language model; Molmo2 sheet A6.2 (decoding
is causal).

Shapes: R rows, L slots, T packed tokens, H heads, KV key/value heads, D head_dim.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.pruner import DecodeView, Pruner, Site

GROWTH = 32
"""Slots that are added when a layer's rows are full."""


def rows_table(rows: Sequence[Sequence[int]], device: torch.device | str) -> Tensor:
    """(R, L) int64 of the packed indices of each row, padded with -1."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[-1] * (longest - len(row))] for row in rows], dtype=torch.int64, device=device)


def put_rows(whole: Tensor, part: Tensor, rows: Tensor) -> Tensor:
    """`whole` (R, ...) with the rows of `part` (r, ...) at `rows` (r,); whichever is narrower is padded with zeros."""
    widths = [max(sizes) for sizes in zip(whole.shape[1:], part.shape[1:], strict=True)]
    whole, part = (
        F.pad(x, [n for width, own in zip(widths[::-1], x.shape[:0:-1], strict=True) for n in (0, width - own)])
        for x in (whole, part)
    )
    return whole.index_copy(0, rows, part)


def front(chosen: Tensor) -> tuple[Tensor, Tensor, int, bool]:
    """Where the chosen slots of each row are.

    Args:
        chosen: (R, L) bool.
    Returns:
        (R, L) int64, chosen slots first, all in order; (R,) int64, their number, the largest number, and whether they
        are all the same.
    """
    counts = chosen.sum(1)
    longest, shortest = counts.max().item(), counts.min().item()
    return (~chosen).long().argsort(dim=1, stable=True), counts, longest, longest == shortest


def attention_of_new_token(query: Tensor, keys: Tensor, lengths: Tensor, scale: float) -> Tensor:
    """What one new token gives to each slot of its row, a mean over heads.

    Args:
        query: (R, H, 1, D).
        keys: (R, L, KV, D).
        lengths: (R,) int64, filled slots.
        scale: Factor of the products.
    Returns:
        (R, L) float32.
    """
    heads = keys.shape[2]
    q = query.squeeze(2).unflatten(1, (heads, -1)).float() * scale
    # Head by head: one product of all, whose keys lie in strides, took 3 to 15 times as long on a CPU.
    logits = torch.cat([q[:, head] @ keys[:, :, head].float().mT for head in range(heads)], dim=1)  # (R, H, L)
    is_empty = torch.arange(keys.shape[1], device=keys.device) >= lengths[:, None]
    return logits.masked_fill(is_empty[:, None], -torch.inf).softmax(-1).mean(1)


@dataclass(kw_only=True)
class LayerCache:
    """One layer's rows.

    Args:
        keys: (R, L, KV, D).
        values: (R, L, KV, D).
        lengths: (R,) int64, filled slots.
        longest: Bounds the lengths; where rows are even, it is their length.
        is_even: All rows have the same length, which the host knows without asking the device.
    """

    keys: Tensor
    values: Tensor
    lengths: Tensor
    longest: int
    is_even: bool

    def make_room(self, longest: int) -> None:
        """Slots for rows of this length, and some more where they are too few."""
        if longest > self.keys.shape[1]:
            room = (0, 0, 0, 0, 0, longest + GROWTH - self.keys.shape[1])
            self.keys, self.values = F.pad(self.keys, room), F.pad(self.values, room)

    def write(self, keys: Tensor, values: Tensor, counts: Tensor | None) -> None:
        """Append (R, n, KV, D) keys and values.

        Args:
            keys: Of the new tokens.
            values: The same.
            counts: (R,) int64, real tokens of each row; None: all.
        """
        self.longest += keys.shape[1]
        self.make_room(self.longest)
        if self.is_even:
            new = slice(self.longest - keys.shape[1], self.longest)
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

    def part(self, rows: Tensor) -> LayerCache:
        """A copy of the rows (r,)."""
        lengths = self.lengths[rows]
        longest, shortest = lengths.max().item(), lengths.min().item()
        return LayerCache(
            keys=self.keys[rows, :longest],
            values=self.values[rows, :longest],
            lengths=lengths,
            longest=longest,
            is_even=longest == shortest,
        )

    def put(self, part: LayerCache, rows: Tensor) -> None:
        """Replace the rows (r,) by those of `part`."""
        longest = part.longest
        self.make_room(longest)
        self.keys[rows, :longest], self.values[rows, :longest] = part.keys[:, :longest], part.values[:, :longest]
        self.lengths = self.lengths.index_copy(0, rows, part.lengths)
        self.is_even = self.is_even and part.is_even and self.longest == longest
        self.longest = max(self.longest, longest)

    def taking(self, rows: Tensor | None, slots: Tensor, lengths: Tensor, longest: int, is_even: bool) -> LayerCache:
        """A copy of some slots of all rows, or of the rows (r,), with room for more; `slots` is (r, L) int64."""
        slots = slots[:, : longest + GROWTH]
        of_row = torch.arange(len(self.keys), device=slots.device) if rows is None else rows
        keys, values = self.keys[of_row[:, None], slots], self.values[of_row[:, None], slots]
        return LayerCache(keys=keys, values=values, lengths=lengths, longest=longest, is_even=is_even)

    def attend(
        self,
        query: Tensor,
        counts: Tensor | None,
        *,
        scale: float,
        local_attention: int | None = None,
        hidden: Tensor | None = None,
    ) -> Tensor:
        """Attention of the tokens that were written last to their rows, causally.

        Args:
            query: (R, H, n, D).
            counts: (R,) int64, real tokens of each row; None: all.
            scale: Factor of the products.
            local_attention: Most tokens of its row, itself included, that a token looks back at; None: all.
            hidden: (R, longest) bool, slots that are not seen; None: no such slots.
        """
        new = query.shape[2]
        k, v = (x[:, : self.longest].transpose(1, 2).to(query.dtype) for x in (self.keys, self.values))
        shared = query.shape[1] != k.shape[1]
        # Where everything is seen, no mask is needed.
        if self.is_even and new == 1 and local_attention is None and hidden is None:
            return F.scaled_dot_product_attention(query, k, v, scale=scale, enable_gqa=shared)
        before = self.lengths - (new if counts is None else counts)
        slots = torch.arange(self.longest, device=query.device)
        back = (before[:, None] + torch.arange(new, device=query.device))[:, :, None] - slots  # (R, n, L)
        mask = back >= 0 if local_attention is None else (back >= 0) & (back < local_attention)
        if hidden is not None:
            mask = mask & ~hidden[:, None]
        return F.scaled_dot_product_attention(query, k, v, attn_mask=mask.unsqueeze(1), scale=scale, enable_gqa=shared)


@dataclass(kw_only=True)
class Hiding:
    """What one pruner hides while answers are generated, from its layer on.

    Args:
        hidden: (R, columns) bool, by column of the cache's `rows`.
        memory: The pruner's, rows first.
        visible: By layer, copies of the rows without what is hidden, to which new tokens are appended as well. A mask
            over whole rows costs as much as attention to everything; with 65 % hidden, copies made a token's attention
            2.5 to 4 times as fast (one CPU core, 150 to 5000 slots), and making one cost 0.03 to 1.3 times what
            attention to everything did.
        stale: (r,) int64, rows of these copies that are to be made again at this token.
        slots: What is visible, worked out at this token; layers whose rows came from the same tokens share it.
    """

    hidden: Tensor
    memory: dict[str, Tensor] = field(default_factory=dict)
    visible: dict[int, LayerCache] = field(default_factory=dict)
    stale: Tensor | None = None
    slots: dict[tuple[int, bool], tuple[Tensor, Tensor, int, bool]] = field(default_factory=dict)

    def part(self, rows: Tensor) -> Hiding:
        return Hiding(hidden=self.hidden[rows], memory={name: value[rows] for name, value in self.memory.items()})

    def put(self, part: Hiding, rows: Tensor) -> None:
        """Replace the rows (r,) by those of `part`; rows that no pruner has seen yet remember zeros."""
        self.hidden = self.hidden.index_copy(0, rows, part.hidden)
        self.remember(part.memory, rows)
        self.visible.clear()

    def remember(self, memory: dict[str, Tensor], rows: Tensor) -> None:
        for name, value in memory.items():
            whole = self.memory.get(name)
            if whole is None:
                whole = value.new_zeros(len(self.hidden), *value.shape[1:])
            self.memory[name] = put_rows(whole, value, rows)


class KeyValueCache:
    """All layers of a generation.

    Args:
        rows: (R, columns) int64, indices into the batch's full sequence that each row continues, padded with -1.
        is_patch: (sequence,) bool, vision tokens of the full sequence; needed by pruners that act while answers are
            generated.
    """

    def __init__(self, rows: Tensor, is_patch: Tensor | None = None) -> None:
        self.rows = rows
        self.is_patch = is_patch
        self.layers: dict[int, LayerCache] = {}
        self.origins: dict[int, Tensor] = {}
        """(R, L) int64 by layer: column of `rows` that each slot was filled from, -1 behind a row's end; tokens that
        came since have none. Layers that ran over the same tokens share one tensor."""
        self.hidings: dict[int, Hiding] = {}
        """By layer of the site."""
        self.steps = 0
        """Tokens that were appended one at a time."""
        self._index: Tensor | None = None
        self._gathered: tuple[Tensor, Tensor, int, bool, Tensor] | None = None

    @property
    def num_rows(self) -> int:
        return len(self.rows)

    def part(self, rows: Tensor) -> KeyValueCache:
        """A copy of some rows, that goes on alone.

        Args:
            rows: (r,) int64.
        """
        part = KeyValueCache(self.rows[rows], self.is_patch)
        shared = {id(origin): origin for origin in self.origins.values()}
        origins = {key: origin[rows] for key, origin in shared.items()}
        part.layers = {layer: cache.part(rows) for layer, cache in self.layers.items()}
        part.origins = {layer: origins[id(origin)] for layer, origin in self.origins.items()}
        part.hidings = {layer: hiding.part(rows) for layer, hiding in self.hidings.items()}
        part.steps = self.steps
        return part

    def take_back(self, part: KeyValueCache, rows: Tensor) -> None:
        """Put rows that went on alone back in their places.

        Args:
            part: As `part(rows)` gave it, and more tokens since.
            rows: (r,) int64.
        """
        for layer, cache in self.layers.items():
            cache.put(part.layers[layer], rows)
        for layer, hiding in part.hidings.items():
            self._hiding(layer).put(hiding, rows)
        self.steps = max(self.steps, part.steps)

    def _places(self, index: Tensor) -> tuple[Tensor, Tensor, int, bool, Tensor]:
        """Where each row's surviving tokens lie in a stream whose tokens have full-sequence places `index`.

        Returns:
            (R, L) int64 places, (R,) int64 lengths, the longest, whether these are all the same, and (R, L) int64
            columns of `rows`, -1 behind a row's end.
        """
        if self._gathered is None or self._index is not index:
            size = int(torch.maximum(index.max(), self.rows.max())) + 1
            place = torch.full((size + 1,), -1, dtype=torch.int64, device=index.device)  # last slot answers row padding
            place[index] = torch.arange(len(index), device=index.device)
            places = place[self.rows]
            order, lengths, longest, is_even = front(places >= 0)
            order = order[:, :longest]
            places = places.gather(1, order)
            origin = order.masked_fill(places < 0, -1)
            self._index, self._gathered = index, (places.clamp(min=0), lengths, longest, is_even, origin)
        return self._gathered

    def fill(self, layer: int, keys: Tensor, values: Tensor, index: Tensor) -> None:
        """Take a layer's rows out of its packed (T, KV, D) keys and values."""
        places, lengths, longest, is_even, self.origins[layer] = self._places(index)
        self.layers[layer] = LayerCache(
            keys=keys[places], values=values[places], lengths=lengths, longest=longest, is_even=is_even
        )

    def restrict(self, index: Tensor, before_layer: int) -> None:
        """Take tokens out of the rows of the layers below one; while the prefill runs.

        Args:
            index: (tokens,) int64, full-sequence places of the tokens that stay.
            before_layer: The first layer whose rows stay as they are.
        """
        done: dict[int, tuple[Tensor, Tensor, Tensor, Tensor, int, bool]] = {}
        for layer in range(before_layer):
            before = self.origins[layer]
            if id(before) not in done:  # `before` stays in there, or another tensor could take its number
                keep = (before >= 0) & torch.isin(self.rows.gather(1, before.clamp(min=0)), index)
                order, lengths, longest, is_even = front(keep)
                origin = before.masked_fill(~keep, -1).gather(1, order[:, :longest])
                done[id(before)] = before, origin, order[:, :longest], lengths, longest, is_even
            _, self.origins[layer], *slots = done[id(before)]
            self.layers[layer] = self.layers[layer].taking(None, *slots)

    def append(self, layer: int, keys: Tensor, values: Tensor, counts: Tensor | None) -> None:
        """Write (R, KV, n, D) keys and values of new tokens behind a layer's rows; `counts` as in `LayerCache`."""
        keys, values = keys.transpose(1, 2), values.transpose(1, 2)
        self.layers[layer].write(keys, values, counts)
        for hiding in self.hidings.values():
            if layer in hiding.visible:
                hiding.visible[layer].write(keys, values, counts)

    def attend(
        self,
        layer: int,
        query: Tensor,
        counts: Tensor | None,
        *,
        scale: float,
        local_attention: int | None = None,
        hidden_at: int | None = None,
    ) -> Tensor:
        """Let the tokens that were appended last attend to their row, causally.

        Args:
            layer: Layer index.
            query: (R, H, n, D).
            counts: (R,) int64, real tokens of each row; None: all.
            scale: Factor of the products.
            local_attention: Most tokens of its row, itself included, that a new token looks back at; None: all.
            hidden_at: Layer where slots were hidden for this token; None: everything is seen.
        Returns:
            (R, H, n, D).
        """
        cache = self.layers[layer]
        if hidden_at is None:
            return cache.attend(query, counts, scale=scale, local_attention=local_attention)
        hiding = self.hidings[hidden_at]
        if local_attention is not None:  # hidden tokens count on the way back, and little is looked at anyway
            hidden = self._by_slot(layer, hiding.hidden)
            return cache.attend(query, counts, scale=scale, local_attention=local_attention, hidden=hidden)
        return self._visible(layer, hiding).attend(query, counts, scale=scale)

    @torch.no_grad()
    def hide(self, pruner: Pruner, layer: int, query: Tensor, counts: Tensor | None, scale: float) -> None:
        """Ask a pruner what each row's last token shall not see from this layer on; only vision tokens can be hidden.

        Args:
            pruner: Acts at `decode.layer[layer]`.
            layer: Layer index.
            query: (R, H, 1, D).
            counts: (R,) int64, 0 for rows without a new token, which are left as they are; None: all have one.
            scale: Factor of the products.
        """
        cache, hiding = self.layers[layer], self._hiding(layer)
        every = torch.arange(self.num_rows, device=query.device)
        rows = every if counts is None else every[counts > 0]
        hiding.stale = rows
        hiding.slots.clear()
        if not len(rows):
            return
        attention = attention_of_new_token(query, cache.keys[:, : cache.longest], cache.lengths, scale)
        view = DecodeView(
            site=Site("decode.layer", layer),
            attention=attention[rows],
            is_vision=self._by_slot(layer, self._is_vision)[rows],
            step=self.steps,
        )
        memory = {name: value[rows] for name, value in hiding.memory.items()}
        slots = pruner.hide(view, memory) & view.is_vision
        hiding.remember(memory, rows)
        origin = self.origins[layer][rows]
        slots = F.pad(slots, (0, origin.shape[1] - slots.shape[1]))  # what came since is text
        hidden = hiding.hidden.new_zeros(len(rows), self.rows.shape[1] + 1)  # the last column takes what has no origin
        hidden = hidden.scatter(1, origin.masked_fill(origin < 0, self.rows.shape[1]), slots)[:, :-1]
        hiding.stale = rows[(hidden != hiding.hidden[rows]).any(1)]
        hiding.hidden = hiding.hidden.index_copy(0, rows, hidden)

    def _hiding(self, layer: int) -> Hiding:
        if layer not in self.hidings:
            self.hidings[layer] = Hiding(hidden=torch.zeros_like(self.rows, dtype=torch.bool))
        return self.hidings[layer]

    @cached_property
    def _is_vision(self) -> Tensor:
        """(R, columns) bool."""
        if self.is_patch is None:
            raise ValueError("a pruner acts at decode.layer on a cache that does not know the vision tokens")
        return (self.rows >= 0) & self.is_patch[self.rows.clamp(min=0)]

    def _by_slot(self, layer: int, flags: Tensor) -> Tensor:
        """(R, longest) bool of each slot of a layer out of (R, columns); false for tokens that came since."""
        origin = self.origins[layer]
        own = (origin >= 0) & flags.gather(1, origin.clamp(min=0))
        return F.pad(own, (0, self.layers[layer].longest - own.shape[1]))

    def _visible(self, layer: int, hiding: Hiding) -> LayerCache:
        """A layer's rows without what is hidden."""
        own = hiding.visible.get(layer)
        if own is None or len(hiding.stale) == self.num_rows:
            own = hiding.visible[layer] = self._copy_visible(layer, hiding, None)
        elif len(hiding.stale):
            own.put(self._copy_visible(layer, hiding, hiding.stale), hiding.stale)
        return own

    def _copy_visible(self, layer: int, hiding: Hiding, rows: Tensor | None) -> LayerCache:
        cache, key = self.layers[layer], (id(self.origins[layer]), rows is None)
        if key not in hiding.slots:
            filled = torch.arange(cache.longest, device=cache.keys.device) < cache.lengths[:, None]
            chosen = filled & ~self._by_slot(layer, hiding.hidden)
            hiding.slots[key] = front(chosen if rows is None else chosen[rows])
        return cache.taking(rows, *hiding.slots[key])
