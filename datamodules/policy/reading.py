"""What one reader draws in one epoch: recorded episodes of several tasks, in turns or by weight.

Source: sheet spoc_ring_holodeck_graspmolmo 1.9 (mixing). Differs: turns are taken by each reader, over shuffled shards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

from zoo.datamodules.sources import MixedReader, Source
from zoo.errors import DataError
from zoo.shards.faults import FaultCounter, OnBadSample
from zoo.shards.policy_episode import EpisodeFault
from zoo.shards.reader import Sample

Mixing = Literal["turns", "weights"]

EPISODE_FILES = frozenset({"mp4", "npz"})
"""What learning needs beside the record, by the last part of a file's name."""

UNREADABLE = "unreadable"
"""Reason of faults that are of a shard rather than of an episode."""


class RejectionCounter(FaultCounter):
    """A `FaultCounter` that also counts by reason.

    Args:
        policy: See `FaultCounter`.
    """

    def __init__(self, policy: OnBadSample) -> None:
        super().__init__(policy)
        self.reasons: Counter[str] = Counter()

    def report(self, error: DataError) -> None:
        self.reasons[error.reason if isinstance(error, EpisodeFault) else UNREADABLE] += 1
        super().report(error)

    def summary(self) -> str:
        """How many episodes were rejected, and why."""
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(self.reasons.items()))
        return f"rejected {self.num_bad} of {self.num_good + self.num_bad} episodes: {reasons}"

    def state(self) -> list[Any]:
        """The counts, as plain data."""
        return [self.num_good, self.num_bad, dict(self.reasons)]

    def restore(self, state: Sequence[Any]) -> None:
        """Undo `state`."""
        self.num_good, self.num_bad, reasons = state
        self.reasons = Counter(reasons)


class EpisodeReader(MixedReader):
    """Endless episodes of all sources, with the pass over its source that each belongs to; an iterator.

    Args:
        sources: One for each task, or what else is mixed; their `check` is that of episodes.
        mixing: `turns` takes an episode of each source, one after the other, so that all give equally many and small
            ones are passed over more often; `weights` draws the source.
        seed: Of the stream.
        epoch: Every epoch has another deal and order.
        reader: Place among the readers.
        readers: Number of readers that share the sources.
        shuffle_buffer: See `SourceReader`.
        faults: Told of bad samples and shards.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        mixing: Mixing,
        seed: int,
        epoch: int,
        reader: int,
        readers: int,
        shuffle_buffer: int,
        faults: FaultCounter,
    ) -> None:
        super().__init__(
            sources,
            seed=seed,
            epoch=epoch,
            reader=reader,
            readers=readers,
            shuffle_buffer=shuffle_buffer,
            suffixes=EPISODE_FILES,
            faults=faults,
        )
        self.mixing = mixing

    def __next__(self) -> tuple[Sample, int]:
        if self.mixing == "turns":
            place = self._drawn % len(self._readers)
        else:
            place = int(self._generator.choice(len(self._readers), p=self._weights / self._weights.sum()))
        self._drawn += 1
        reader = self._readers[place]
        sample = reader.draw()
        return sample, reader.pass_number
