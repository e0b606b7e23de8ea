"""Which samples share a sequence: a two-dimensional knapsack over a pool of waiting samples.

Planning needs sizes alone, so nothing is decoded before it is known what is decoded together. The packer knows nothing
of what it packs: items are whatever the caller hands in, and come back as they were.
Source: Molmo2 sheet A6.5. Differs: the room that rounding leaves is filled by true sizes; a sample with more frames
than a pack may hold is emitted alone, as one with too many tokens is (the sheet's packer never meets one).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import gcd
from typing import Generic, TypeVar

import numpy as np

from zoo.errors import ConfigError

Item = TypeVar("Item")

TOKEN_STEPS = 512
"""Steps into which the token limit is divided for planning."""


@dataclass(frozen=True, slots=True)
class PackSize:
    """What a sample takes of a pack.

    Args:
        tokens: Of its whole message tree, at least 1.
        frames: Images, or frames of a clip; 0 for text.
    Raises:
        ValueError: fewer.
    """

    tokens: int
    frames: int

    def __post_init__(self) -> None:
        if self.tokens < 1 or self.frames < 0:
            raise ValueError(f"a sample of {self.tokens} tokens and {self.frames} frames cannot be packed")


@dataclass(frozen=True, kw_only=True, slots=True)
class PackLimits:
    """How much a pack holds, and how it is chosen.

    Args:
        max_tokens: Most tokens of a pack.
        max_frames: Most frames of a pack.
        pool: Samples that wait while the best set among them is looked for.
        frame_weight: Tokens that a frame is worth when sets are compared; above 0, packs fill up with frames too.
    Raises:
        ConfigError: a number is too small.
    """

    max_tokens: int
    max_frames: int
    pool: int = 48
    frame_weight: int = 30

    def __post_init__(self) -> None:
        least = {"max_tokens": 1, "max_frames": 1, "pool": 1, "frame_weight": 0}
        faults = [f"{name} is {getattr(self, name)}, expected {low} or more" for name, low in least.items()
                  if getattr(self, name) < low]  # fmt: skip
        if faults:
            raise ConfigError(f"packing: {'; '.join(faults)}")

    @property
    def quantum(self) -> int:
        """Tokens of a planning step; sizes are rounded up to it."""
        return max(1, self.max_tokens // TOKEN_STEPS)

    @property
    def capacity(self) -> int:
        """Planning steps of a pack."""
        return self.max_tokens // self.quantum

    def steps(self, size: PackSize) -> int:
        """Planning steps of a sample."""
        return -(-size.tokens // self.quantum)

    def value(self, size: PackSize) -> int:
        """What a sample adds to the objective."""
        return size.tokens + self.frame_weight * size.frames

    def stands_alone(self, size: PackSize) -> bool:
        """Fills a pack by its tokens, or is beyond the limits: nothing can join it."""
        return self.steps(size) >= self.capacity or size.frames > self.max_frames


def best_set(sizes: Sequence[PackSize], limits: PackLimits) -> list[int]:
    """The places of the samples that fill a pack best.

    Args:
        sizes: Of the samples to choose from, each of which fits a pack.
        limits: What a pack holds.
    Returns:
        Growing places of a set within the limits. Among the sets that fit with their tokens rounded up to the quantum
        it maximises tokens + `frame_weight` * frames, and of equally good ones leaves out later samples; what then
        still fits by its true size has joined, the most valuable first.
    """
    # Clips of one data set tend to have equal numbers of frames: in units of their common divisor the table is small.
    unit = gcd(*(size.frames for size in sizes)) or 1
    rows = min(limits.capacity, sum(map(limits.steps, sizes)))
    columns = min(limits.max_frames, sum(size.frames for size in sizes)) // unit
    best = np.zeros((rows + 1, columns + 1), dtype=np.int64)  # by steps and frames that may be used
    takes = np.zeros((len(sizes), *best.shape), dtype=bool)
    for place, size in enumerate(sizes):
        steps, frames = limits.steps(size), size.frames // unit
        joined = best[: rows + 1 - steps, : columns + 1 - frames] + limits.value(size)
        room = best[steps:, frames:]
        np.greater(joined, room, out=takes[place, steps:, frames:])
        np.maximum(joined, room, out=room)
    chosen = []
    row, column = rows, columns
    for place in reversed(range(len(sizes))):
        if takes[place, row, column]:
            chosen.append(place)
            row -= limits.steps(sizes[place])
            column -= sizes[place].frames // unit
    return sorted(chosen + _what_still_fits(sizes, chosen, limits))


def _what_still_fits(sizes: Sequence[PackSize], chosen: Sequence[int], limits: PackLimits) -> list[int]:
    tokens = limits.max_tokens - sum(sizes[place].tokens for place in chosen)
    frames = limits.max_frames - sum(sizes[place].frames for place in chosen)
    joining = []
    left = set(range(len(sizes))).difference(chosen)
    for place in sorted(left, key=lambda place: (-limits.value(sizes[place]), place)):
        if sizes[place].tokens <= tokens and sizes[place].frames <= frames:
            joining.append(place)
            tokens -= sizes[place].tokens
            frames -= sizes[place].frames
    return joining


def first_fit_decreasing(sizes: Sequence[int], capacity: int) -> list[list[int]]:
    """Distribute items over few bins: the largest first, each into the first bin with room (molmo2_stts sheet B7).

    Args:
        sizes: Of the items, 0 or more; those of size 0 lie in no bin.
        capacity: Of a bin.
    Returns:
        The places of the items of each bin, in the order in which they came; of equal items the earlier comes first.
    Raises:
        ValueError: an item is larger than a bin, or smaller than nothing.
    """
    if sizes and not 0 <= min(sizes) <= max(sizes) <= capacity:
        raise ValueError(f"items of {min(sizes)} to {max(sizes)} do not fit into bins of {capacity}")
    bins: list[list[int]] = []
    room: list[int] = []
    for place in sorted(range(len(sizes)), key=lambda place: -sizes[place]):
        size = sizes[place]
        if not size:
            break
        number = next((number for number, left in enumerate(room) if left >= size), len(bins))
        if number == len(bins):
            bins.append([])
            room.append(capacity)
        bins[number].append(place)
        room[number] -= size
    return bins


class Packer(Generic[Item]):
    """Collects samples in a pool and emits sets of them that fit a sequence; deterministic.

    `waiting` is the whole state: a packer made from it goes on as this one would.

    Args:
        limits: What a pack holds.
        waiting: Pool of an earlier packer, to continue it.
    Raises:
        ValueError: the pool is larger than the limits allow, or holds a sample that stands alone.
    """

    def __init__(self, limits: PackLimits, waiting: Iterable[tuple[Item, PackSize]] = ()) -> None:
        self.limits = limits
        self._waiting = list(waiting)
        misfits = sum(limits.stands_alone(size) for _, size in self._waiting)
        if len(self._waiting) > limits.pool or misfits:
            raise ValueError(
                f"a pool of {len(self._waiting)} samples, {misfits} of which stand alone, "
                f"is none of a packer with {limits}"
            )

    @property
    def waiting(self) -> tuple[tuple[Item, PackSize], ...]:
        """The pool, in the order of arrival."""
        return tuple(self._waiting)

    def add(self, item: Item, size: PackSize) -> list[Item] | None:
        """Take in a sample.

        Returns:
            A pack that became ready, or None: the sample itself where it stands alone, else the best set of a full
            pool, which the sample enters afterwards.
        """
        if self.limits.stands_alone(size):
            return [item]
        pack = self._take_best() if len(self._waiting) >= self.limits.pool else None
        self._waiting.append((item, size))
        return pack

    def flush(self) -> Iterator[list[Item]]:
        """The last packs, until nothing waits."""
        while self._waiting:
            yield self._take_best()

    def _take_best(self) -> list[Item]:
        chosen = best_set([size for _, size in self._waiting], self.limits)
        pack = [self._waiting[place][0] for place in chosen]
        taken = set(chosen)
        self._waiting = [entry for place, entry in enumerate(self._waiting) if place not in taken]
        return pack
