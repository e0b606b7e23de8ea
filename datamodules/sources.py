"""What one reader draws in one epoch: samples of its shards, shuffled and mixed, from wherever it stopped before.

A reader's state names samples by shard and byte instead of holding them, so that it is small enough to travel beside
every batch, and is plain data that a checkpoint may hold.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.errors import DataError
from zoo.shards.faults import FaultCounter
from zoo.shards.reader import CheckRecord, Sample, Shard, read_again, read_shard
from zoo.shards.schema import check_record

Place = tuple[int, int, int]
"""A sample as a state names it: number of the source, number of the shard in it, byte in the shard."""

UNREAD = -1
"""Byte of a shard of which nothing was read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One split of one data set.

    Args:
        folder: Root of the data set.
        shards: Its shards in the order of the index.
        weight: Share of training samples drawn from it, relative to the other sources.
        after: Samples that training draws, over all readers, before it first draws from this source.
        check: Whether a record is of the kind that the source holds; importable by name, for loader workers.
    """

    folder: str
    shards: tuple[Shard, ...]
    weight: float = 1.0
    after: int = 0
    check: CheckRecord = check_record

    @property
    def num_samples(self) -> int:
        return sum(shard.num_samples for shard in self.shards)

    @property
    def num_bytes(self) -> int:
        """Size of all shards; tells apart data sets that were made anew."""
        return sum(shard.path.stat().st_size for shard in self.shards)


class SourceReader:
    """Endless passes over the shards of one source that one reader is dealt; each pass has an order of its own.

    All readers agree on the deal. Samples wait, still encoded, in a buffer from which the next one is drawn; it is
    emptied at the end of a pass, so that no sample is seen twice before others are seen.

    Args:
        source: What is read.
        seed: Of the stream, the epoch and the source; the same in every reader.
        reader: Place among the readers.
        readers: Number of readers that share the source.
        shuffle_buffer: Samples among which the next one is drawn; 1 keeps the order of the shards.
        suffixes: Files of a sample to read.
        faults: Told of bad samples and shards.
    """

    def __init__(
        self,
        source: Source,
        *,
        seed: Sequence[int],
        reader: int,
        readers: int,
        shuffle_buffer: int,
        suffixes: Collection[str],
        faults: FaultCounter,
    ) -> None:
        self.source = source
        self.shuffle_buffer = shuffle_buffer
        self.suffixes = suffixes
        self.faults = faults
        self._seed = (*seed, reader)
        self._mine = np.random.default_rng(seed).permutation(len(source.shards))[reader::readers].tolist()
        self._begin(0)

    def _begin(self, number: int, turn: int = 0, byte: int = UNREAD) -> None:
        """Start pass `number` at the `turn`-th shard of its order, behind the sample that begins at `byte`."""
        self._number, self._turn, self._byte = number, turn, byte
        self._generator = np.random.default_rng((*self._seed, number))
        self._order = self._generator.permutation(self._mine).tolist() if number else self._mine
        self._good_before = self.faults.num_good
        self._buffer: list[Sample] = []
        self._places: list[tuple[int, int]] = []  # shard and byte of each sample in the buffer
        self._incoming = self._read()

    @property
    def pass_number(self) -> int:
        """Of the pass over the shards that the sample drawn last belongs to."""
        return self._number

    def draw(self) -> Sample:
        """The next sample.

        Raises:
            DataError: a whole pass gave no sample to learn from, or a fault that is not to be passed over.
        """
        while True:
            for sample in self._incoming:
                self._buffer.append(sample)
                self._places.append((self._order[self._turn], sample.offset))
                if len(self._buffer) >= self.shuffle_buffer:
                    return self._pop()
            if self._buffer:
                return self._pop()
            if self.faults.num_good <= self._good_before:  # below it where planned samples failed to decode
                raise DataError(
                    f"{self.source.folder}: a pass over {len(self._order)} shards gave no sample to learn from "
                    f"({self.faults.num_bad} bad so far; others hold no question for the heads in use)"
                )
            self._begin(self._number + 1)

    def _read(self) -> Iterator[Sample]:
        """The rest of a pass, in the order of the shards."""
        while self._turn < len(self._order):
            path = self.source.shards[self._order[self._turn]].path
            done = self._byte  # the sample there was read before
            for sample in read_shard(
                path,
                suffixes=self.suffixes,
                start=max(done, 0),
                report=self.faults.report,
                check=self.source.check,
            ):
                if sample.offset != done:
                    self._byte = sample.offset
                    yield sample
            self._turn, self._byte = self._turn + 1, UNREAD

    def _pop(self) -> Sample:
        place = int(self._generator.integers(len(self._buffer)))
        for column in (self._buffer, self._places):
            column[place], column[-1] = column[-1], column[place]
        self._places.pop()
        return self._buffer.pop()

    def state(self) -> dict[str, Any]:
        """Where this reader stands, as plain data."""
        return {
            "pass": self._number,
            "turn": self._turn,
            "byte": self._byte,
            "good_before": self._good_before,
            "random": random_state(self._generator),
            "buffer": list(self._places),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state()` was taken, which must have been with the same arguments.

        Raises:
            DataError: a shard has changed since.
        """
        self._begin(state["pass"], state["turn"], state["byte"])
        self._good_before = state["good_before"]
        set_random_state(self._generator, state["random"])
        self._places = [(shard, byte) for shard, byte in state["buffer"]]
        self._buffer = self.read_again(self._places)

    def read_again(self, places: Sequence[tuple[int, int]]) -> list[Sample]:
        """Samples by shard and byte.

        Raises:
            DataError: a shard has changed since they were read.
        """
        bytes_of: dict[int, set[int]] = {}
        for shard, byte in places:
            bytes_of.setdefault(shard, set()).add(byte)
        found = {
            shard: read_again(self.source.shards[shard].path, offsets, suffixes=self.suffixes, check=self.source.check)
            for shard, offsets in bytes_of.items()
        }
        return [found[shard][byte] for shard, byte in places]


class MixedReader:
    """Endless samples of all sources, each drawn by weight from its beginning on; an iterator.

    Args:
        sources: What is mixed; one of them from the start.
        seed: Of the stream.
        epoch: Every epoch has another deal and order.
        reader: Place among the readers.
        readers: Number of readers that share the sources.
        shuffle_buffer: See `SourceReader`.
        suffixes: Files of a sample to read.
        faults: Told of bad samples and shards.
        drawn_before: Samples that all readers drew in earlier epochs.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        seed: int,
        epoch: int,
        reader: int,
        readers: int,
        shuffle_buffer: int,
        suffixes: Collection[str],
        faults: FaultCounter,
        drawn_before: int = 0,
    ) -> None:
        self._weights = np.array([source.weight for source in sources])
        # Each reader tells from its own draws how many all have made: they draw equally often.
        self._begins = np.array([max(0, -(-(source.after - drawn_before) // readers)) for source in sources])
        self._drawn = 0
        self._generator = np.random.default_rng([seed, epoch, reader])
        self._readers = [
            SourceReader(
                source,
                seed=(seed, epoch, number),
                reader=reader,
                readers=readers,
                shuffle_buffer=shuffle_buffer,
                suffixes=suffixes,
                faults=faults,
            )
            for number, source in enumerate(sources)
        ]
        self._place_of = {
            str(shard.path): (number, index)
            for number, source in enumerate(sources)
            for index, shard in enumerate(source.shards)
        }

    def __iter__(self) -> Iterator[Sample]:
        return self

    def __next__(self) -> Sample:
        if len(self._readers) == 1:
            return self._readers[0].draw()
        shares = self._weights * (self._begins <= self._drawn)
        self._drawn += 1
        return self._readers[self._generator.choice(len(self._readers), p=shares / shares.sum())].draw()

    def places(self, samples: Sequence[Sample]) -> list[Place]:
        """What a state calls these samples."""
        return [(*self._place_of[sample.shard], sample.offset) for sample in samples]

    def read_again(self, places: Sequence[Place]) -> list[Sample]:
        """Samples by their places.

        Raises:
            DataError: a shard has changed since they were read.
        """
        found: dict[Place, Sample] = {}
        for number, reader in enumerate(self._readers):
            wanted = [(shard, byte) for source, shard, byte in places if source == number]
            for (shard, byte), sample in zip(wanted, reader.read_again(wanted), strict=True):
                found[number, shard, byte] = sample
        return [found[number, shard, byte] for number, shard, byte in places]

    def state(self) -> dict[str, Any]:
        """Where this reader stands, as plain data."""
        sources = [reader.state() for reader in self._readers]
        return {"drawn": self._drawn, "random": random_state(self._generator), "sources": sources}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state()` was taken, which must have been with the same arguments.

        Raises:
            DataError: a shard has changed since.
        """
        self._drawn = state["drawn"]
        set_random_state(self._generator, state["random"])
        for reader, of_source in zip(self._readers, state["sources"], strict=True):
            reader.restore(of_source)


def random_state(generator: np.random.Generator) -> list[int]:
    """State of a generator that `default_rng` made, as four integers."""
    state = generator.bit_generator.state
    return [state["state"]["state"], state["state"]["inc"], state["has_uint32"], state["uinteger"]]


def set_random_state(generator: np.random.Generator, state: Sequence[int]) -> None:
    """Undo `random_state`."""
    value, increment, has_uint32, uinteger = state
    generator.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": value, "inc": increment},
        "has_uint32": has_uint32,
        "uinteger": uinteger,
    }
