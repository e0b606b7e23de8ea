"""Keys and values of running episodes: each slot has its own length, and a step costs no more than attention to it.

Source: sheet spoc_ring_holodeck_graspmolmo 2.4. Differs: the release counts all slots by one counter and masks what
    lies before an episode's start; here each slot counts for itself, so that none runs out of places because of its
    neighbours. A head's steps lie side by side in memory, for quicker attention, and what can be read where it lies is
    not gathered first: with 1,000 steps held, attention of four slots out of eight takes half the time on a CPU, of
    eight slots of different lengths two thirds.

Shapes: R rows, L steps that are held, H heads, D head_dim.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.policy_trunk import PolicyCache


def recent_mask(time: int, memory_steps: int, device: torch.device) -> Tensor:
    """(time, time) bool: which of the steps before, itself included, each step of a window may attend to."""
    steps = torch.arange(time, device=device)
    ago = steps[:, None] - steps
    return (ago >= 0) & (ago < memory_steps)


class Run(NamedTuple):
    """Rows whose slots lie one behind the other and hold as many steps, so that one slice of a buffer is theirs.

    Args:
        rows: Of the batch.
        slots: Of the buffers.
        position: Of the step in its episodes.
    """

    rows: slice
    slots: slice
    position: int


class Places(NamedTuple):
    """Where the next step of slots goes that are no run.

    Args:
        slots: (R,) int64.
        positions: (R,) int64, of the step in its episode.
        longest: Steps of the longest of these episodes, the new one included.
        mask: (R, 1, 1, L) bool, steps that are the row's own.
    """

    slots: Tensor
    positions: Tensor
    longest: int
    mask: Tensor


def runs_of(slots: Sequence[int], lengths: Sequence[int]) -> tuple[Run, ...]:
    """As few runs as hold these slots in their order.

    Args:
        slots: One a row, one at least.
        lengths: Steps that each slot holds already.
    """
    cuts = [
        row
        for row, ((slot, length), (following, next_length)) in enumerate(pairwise(zip(slots, lengths, strict=True)), 1)
        if following != slot + 1 or next_length != length
    ]
    return tuple(
        Run(slice(first, last), slice(slots[first], slots[first] + last - first), lengths[first])
        for first, last in pairwise((0, *cuts, len(slots)))
    )


def places_of(
    slots: Sequence[int], lengths: Sequence[int], device: torch.device, memory_steps: int | None = None
) -> Places:
    """The same for all slots together.

    Args:
        slots: One a row, one at least.
        lengths: Steps that each slot holds already.
        device: Of the tensors.
        memory_steps: Last steps of an episode that are attended to, the new one included; None for all.
    """
    positions = torch.tensor(list(lengths), device=device)
    longest = max(lengths) + 1
    steps = torch.arange(longest, device=device)
    mask = steps <= positions[:, None]
    if memory_steps is not None:
        mask &= steps > positions[:, None] - memory_steps
    mask = mask[:, None, None]
    return Places(torch.tensor(list(slots), device=device), positions, longest, mask)


def attend_by_runs(
    runs: Sequence[Run],
    keys: Tensor,
    values: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    memory_steps: int | None = None,
) -> Tensor:
    """Write a step's keys and values and attend to all that its slot holds, run by run.

    Args:
        runs: All rows.
        keys: (slots, H, steps, D) of a layer.
        values: (slots, H, steps, D) of a layer.
        query: (R, H, D) of the step.
        key: (R, H, D) of the step.
        value: (R, H, D) of the step.
        memory_steps: Last steps of an episode that are attended to, the new one included; None for all.
    Returns:
        (R, H, 1, D).
    """
    outs = []
    for rows, slots, position in runs:
        held, first = [], 0 if memory_steps is None else max(0, position + 1 - memory_steps)
        for buffer, new in ((keys, key), (values, value)):
            buffer[slots, :, position] = new[rows]
            held.append(buffer[slots, :, first : position + 1].to(query.dtype))  # (rows, H, L, D)
        outs.append(F.scaled_dot_product_attention(query[rows].unsqueeze(2), *held))
    return outs[0] if len(outs) == 1 else torch.cat(outs)


def attend_together(places: Places, keys: Tensor, values: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The same in one kernel, over copies as long as the longest episode; `places` know what is attended to."""
    held = []
    for buffer, new in ((keys, key), (values, value)):
        buffer[places.slots, :, places.positions] = new.to(buffer.dtype)
        held.append(buffer[places.slots, :, : places.longest].to(query.dtype))
    return F.scaled_dot_product_attention(query.unsqueeze(2), *held, attn_mask=places.mask)


class KeyValueCache(PolicyCache):
    """Buffers of keys and values for every layer.

    Args:
        num_slots: Episodes that can run side by side.
        max_steps: Steps that an episode can have.
        num_layers: Layers.
        num_heads: Heads.
        head_dim: Channels of a head.
        like: A tensor whose device and dtype the buffers take.
        memory_steps: Last steps of an episode that a step attends to, itself included; None for all.
    """

    def __init__(
        self,
        *,
        num_slots: int,
        max_steps: int,
        num_layers: int,
        num_heads: int,
        head_dim: int,
        like: Tensor,
        memory_steps: int | None = None,
    ) -> None:
        super().__init__(num_slots=num_slots, max_steps=max_steps)
        self.memory_steps = memory_steps
        shape = (num_layers, num_slots, num_heads, max_steps, head_dim)
        self.keys = torch.zeros(shape, device=like.device, dtype=like.dtype)
        self.values = torch.zeros(shape, device=like.device, dtype=like.dtype)

    def place(self, slots: Sequence[int]) -> tuple[Run, ...] | Places:
        """Where the next step of these slots goes; once a step, for all layers.

        A GPU is given one kernel for all rows: it copies faster than kernels start.
        """
        lengths = [self.lengths[slot] for slot in slots]
        runs = runs_of(slots, lengths)
        is_together = len(runs) > 1 and not self.keys.is_cpu
        return places_of(slots, lengths, self.keys.device, self.memory_steps) if is_together else runs

    def attend(self, layer: int, place: tuple[Run, ...] | Places, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
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
        held = self.keys[layer], self.values[layer]
        if isinstance(place, Places):
            out = attend_together(place, *held, query, key, value)
        else:
            out = attend_by_runs(place, *held, query, key, value, self.memory_steps)
        return out.flatten(1).unsqueeze(1)
