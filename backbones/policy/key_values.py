"""Keys and values of running episodes: each slot has its own length, and a step costs no more than attention to it.

Source: sheet spoc_ring_holodeck_graspmolmo 2.4. Differs: the release counts all slots by one counter and masks what
    lies before an episode's start; here each slot counts for itself, so that none runs out of places because of its
    neighbours. A head's steps lie side by side in memory, for quicker attention.

Shapes: R rows, L steps that are held, H heads, D head_dim.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.policy_trunk import PolicyCache


class Place(NamedTuple):
    """Where the next step of some slots goes.

    Args:
        slots: (R,) int64.
        positions: (R,) int64, of the step in its episode.
        longest: Steps of the longest of these episodes, the new one included.
        mask: (R, 1, 1, L) bool, steps that are the row's own; None where all rows are equally long.
        is_all: The rows are all slots, in order.
    """

    slots: Tensor
    positions: Tensor
    longest: int
    mask: Tensor | None
    is_all: bool


class KeyValueCache(PolicyCache):
    """Buffers of keys and values for every layer.

    Args:
        num_slots: Episodes that can run side by side.
        max_steps: Steps that an episode can have.
        num_layers: Layers.
        num_heads: Heads.
        head_dim: Channels of a head.
        like: A tensor whose device and dtype the buffers take.
    """

    def __init__(
        self, *, num_slots: int, max_steps: int, num_layers: int, num_heads: int, head_dim: int, like: Tensor
    ) -> None:
        super().__init__(num_slots=num_slots, max_steps=max_steps)
        shape = (num_layers, num_slots, num_heads, max_steps, head_dim)
        self.keys = torch.zeros(shape, device=like.device, dtype=like.dtype)
        self.values = torch.zeros(shape, device=like.device, dtype=like.dtype)

    def place(self, slots: Sequence[int]) -> Place:
        """Where the next step of these slots goes; once a step, for all layers."""
        device = self.keys.device
        lengths = [self.lengths[slot] for slot in slots]
        positions = torch.tensor(lengths, device=device)
        longest = max(lengths) + 1
        mask = None
        if min(lengths) + 1 < longest:
            mask = (torch.arange(longest, device=device) <= positions[:, None])[:, None, None]
        is_all = list(slots) == list(range(len(self.lengths)))
        return Place(torch.tensor(list(slots), device=device), positions, longest, mask, is_all)

    def attend(self, layer: int, place: Place, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Write a step's keys and values and attend to all that its slot holds.

        Args:
            layer: Index of the layer.
            place: Of the rows.
            query: (R, H, D) of the step.
            key: (R, H, D) of the step.
            value: (R, H, D) of the step.
        Returns:
            (R, 1, H * D).
        """
        held = []
        for buffer, new in ((self.keys[layer], key), (self.values[layer], value)):
            buffer[place.slots, :, place.positions] = new.to(buffer.dtype)
            rows = buffer[:, :, : place.longest] if place.is_all else buffer[place.slots, :, : place.longest]
            held.append(rows.to(query.dtype))  # (R, H, L, D)
        out = F.scaled_dot_product_attention(query.unsqueeze(2), *held, attn_mask=place.mask)  # (R, H, 1, D)
        return out.flatten(1).unsqueeze(1)
