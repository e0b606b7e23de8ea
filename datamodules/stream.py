"""Streams from shards to batches, dealt to ranks and loader workers so that nothing is read twice.

A *reader* is one loader worker of one rank. Training deals whole shards to readers, anew every epoch; evaluation deals
single samples, in the stored order. Whatever is drawn depends on (seed, epoch, source or sample key) alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from zoo.datamodules.packs import Packing
from zoo.datamodules.preparation import SampleProcessor, prepare
from zoo.errors import ConfigError, DataError, ZooError
from zoo.packing import PackLimits
from zoo.shards.faults import FaultCounter, OnBadSample
from zoo.shards.reader import MEDIA_AND_JSON, Sample, Shard, read_shard


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One split of one data set.

    Args:
        folder: Root of the data set.
        shards: Its shards in the order of the index.
        weight: Share of training samples drawn from it, relative to the other sources.
    """

    folder: str
    shards: tuple[Shard, ...]
    weight: float = 1.0

    @property
    def num_samples(self) -> int:
        return sum(shard.num_samples for shard in self.shards)


@dataclass(frozen=True, slots=True)
class StreamFault:
    """A user's error on its way from a worker to the main process."""

    kind: type[ZooError]
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamSpec:
    """What every stream of a rank is made from.

    Args:
        sources: Where samples come from.
        processor: Turns samples into examples and examples into a batch.
        batch_size: Samples a batch.
        seed: Of all random choices, 0 or more.
        num_workers: Loader workers of each rank, 0 for none.
        rank: Of this process.
        world_size: Number of processes that share the data.
        on_bad_sample: See `FaultCounter`.
        labels: Read label arrays in training where a head wants them.
        packing: Training batches are packs within these limits instead of `batch_size` samples.
    """

    sources: tuple[Source, ...]
    processor: SampleProcessor
    batch_size: int
    seed: int = 0
    num_workers: int = 0
    rank: int = 0
    world_size: int = 1
    on_bad_sample: OnBadSample = "skip"
    labels: bool = True
    packing: PackLimits | None = None

    @property
    def workers(self) -> int:
        """Readers of this rank; the main process is one when there are no workers."""
        return max(1, self.num_workers)

    @property
    def readers(self) -> int:
        return self.world_size * self.workers


class ClipStream(IterableDataset, ABC):
    """Batches of prepared samples for one rank.

    Args:
        spec: Data, processor and place among the readers.
    """

    def __init__(self, spec: StreamSpec) -> None:
        super().__init__()
        self.spec = spec
        self.next_epoch = 0

    @abstractmethod
    def batches(self, worker: int, epoch: int) -> Iterator[Any]:
        """The batches of one worker of this rank; a pure function."""

    @abstractmethod
    def __len__(self) -> int:
        """Batches of an epoch, over all workers of this rank."""

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        epoch = self.next_epoch
        self.next_epoch += 1
        try:
            yield from self.batches(worker.id if worker else 0, epoch)
        except ZooError as error:
            if worker is None:
                raise
            # torch would wrap the exception into the text of its traceback; one sentence must stay one.
            yield StreamFault(type(error), str(error))

    def _examples(
        self, samples: Iterable[Sample], faults: FaultCounter, *, epoch: int, training: bool
    ) -> Iterator[Any]:
        spec = self.spec
        for sample in samples:
            try:
                example = prepare(
                    sample,
                    spec.processor,
                    seed=spec.seed,
                    epoch=epoch,
                    training=training,
                    labels=training and spec.labels,
                )
            except DataError as error:
                faults.report(error)
                continue
            if example is not None:
                faults.num_good += 1
                yield example

    def _by_number(self, examples: Iterator[Any]) -> Iterator[list[Any]]:
        while group := list(islice(examples, self.spec.batch_size)):
            yield group


class TrainStream(ClipStream):
    """Shuffled, mixed and endless underneath; an epoch is a fixed number of batches, the same on every rank.

    Each call of `iter` begins the next epoch. A reader whose shards run out before its share of the epoch is read
    starts over with them in another order; what exceeds its share waits for an epoch with another deal.

    Args:
        spec: Data, processor and place among the readers.
        num_batches: Batches of an epoch on each rank.
        shuffle_buffer: Samples, still encoded, among which the next one is drawn; 1 keeps the order of the shards.
        first_epoch: Number of the first epoch; above 0 when a run continues.
        same_epoch: Repeat one epoch for ever, to overfit on purpose.
    Raises:
        ConfigError: fewer shards than readers.
    """

    def __init__(
        self,
        spec: StreamSpec,
        *,
        num_batches: int,
        shuffle_buffer: int = 1,
        first_epoch: int = 0,
        same_epoch: bool = False,
    ) -> None:
        super().__init__(spec)
        self.num_batches = num_batches
        self.shuffle_buffer = shuffle_buffer
        self.first_epoch = self.next_epoch = first_epoch
        self.same_epoch = same_epoch
        check_readers(spec)

    def __len__(self) -> int:
        return self.num_batches

    def batches(self, worker: int, epoch: int) -> Iterator[Any]:
        epoch = self.first_epoch if self.same_epoch else epoch
        faults = FaultCounter(self.spec.on_bad_sample)
        workers = self.spec.workers
        quota = self.num_batches // workers + (worker < self.num_batches % workers)
        samples = self._mixed(epoch, self.spec.rank * workers + worker, faults)
        yield from map(self.spec.processor.collate, islice(self._groups(samples, faults, epoch), quota))

    def _groups(self, samples: Iterator[Sample], faults: FaultCounter, epoch: int) -> Iterator[list[Any]]:
        spec = self.spec
        if spec.packing is None:
            return self._by_number(self._examples(samples, faults, epoch=epoch, training=True))
        packing = Packing(spec.packing, spec.processor, faults, seed=spec.seed, epoch=epoch, labels=spec.labels)
        return packing.groups(samples)

    def _mixed(self, epoch: int, reader: int, faults: FaultCounter) -> Iterator[Sample]:
        sources = self.spec.sources
        streams = [self._endless(index, epoch, reader, faults) for index in range(len(sources))]
        weights = np.array([source.weight for source in sources])
        generator = np.random.default_rng([self.spec.seed, epoch, reader])
        while True:
            yield next(streams[generator.choice(len(streams), p=weights / weights.sum())])

    def _endless(self, index: int, epoch: int, reader: int, faults: FaultCounter) -> Iterator[Sample]:
        """Passes over this reader's shards of a source: all readers agree on the deal, each orders its own."""
        source = self.spec.sources[index]
        deal = np.random.default_rng([self.spec.seed, epoch, index]).permutation(len(source.shards))
        mine = deal[reader :: self.spec.readers]
        generator = np.random.default_rng([self.spec.seed, epoch, index, reader])
        suffixes = self.spec.processor.suffixes if self.spec.labels else MEDIA_AND_JSON
        while True:
            good_before = faults.num_good
            yield from self._shuffled(_read(source, mine, suffixes, faults), generator)
            if faults.num_good == good_before:
                raise DataError(
                    f"{source.folder}: a pass over {len(mine)} shards gave no sample to learn from "
                    f"({faults.num_bad} bad so far; others hold no question for the heads in use)"
                )
            mine = generator.permutation(mine)

    def _shuffled(self, samples: Iterator[Sample], generator: np.random.Generator) -> Iterator[Sample]:
        """Each sample once; emptied at the end of a pass, so that no sample is seen twice before others are seen."""
        buffer: list[Sample] = []
        for sample in samples:
            buffer.append(sample)
            if len(buffer) >= self.shuffle_buffer:
                yield _pop_random(buffer, generator)
        while buffer:
            yield _pop_random(buffer, generator)


class EvalStream(ClipStream):
    """Every sample exactly once, in the stored order; the last batch of a worker may be smaller.

    Nothing is padded or repeated, so ranks may differ by a batch per worker: a step must not wait for other ranks
    (metrics are gathered at the end of the epoch, which is safe).

    Args:
        spec: Data, processor and place among the readers.
    """

    def __len__(self) -> int:
        spec = self.spec
        total = sum(source.num_samples for source in spec.sources)
        first = spec.rank * spec.workers
        mine = [len(range(reader, total, spec.readers)) for reader in range(first, first + spec.workers)]
        return sum(-(-samples // spec.batch_size) for samples in mine)

    def batches(self, worker: int, epoch: int) -> Iterator[Any]:  # the same in every epoch
        faults = FaultCounter(self.spec.on_bad_sample)
        samples = self._dealt(self.spec.rank * self.spec.workers + worker, faults)
        groups = self._by_number(self._examples(samples, faults, epoch=0, training=False))
        yield from map(self.spec.processor.collate, groups)

    def _dealt(self, reader: int, faults: FaultCounter) -> Iterator[Sample]:
        before = dealt = 0
        for source in self.spec.sources:
            for shard in source.shards:
                mine = _every(self.spec.readers, (reader - before) % self.spec.readers)
                for sample in read_shard(shard.path, suffixes=MEDIA_AND_JSON, wanted=mine, report=faults.report):
                    dealt += 1
                    yield sample
                before += shard.num_samples
        if (dealt or faults.num_bad) and not faults.num_good:
            raise DataError(
                f"{self.spec.sources[0].folder}: no sample to evaluate "
                f"({faults.num_bad} bad; others hold no question for the heads in use)"
            )


class ShardLoader(DataLoader):
    """A DataLoader over a `ClipStream`, which batches by itself, that raises a worker's fault as it was."""

    def __iter__(self) -> Iterator[Any]:
        fault = None
        for batch in super().__iter__():
            if isinstance(batch, StreamFault):
                fault = batch
                break
            yield batch
        if fault is not None:
            # End the workers, as Lightning does: left to the garbage collector, each waits 5 s and is killed.
            self._iterator._shutdown_workers()  # noqa: SLF001
            self._iterator = None
            raise fault.kind(fault.message)


def loader(stream: ClipStream) -> ShardLoader:
    """The loader of a stream; workers live as long as it does, because the stream counts epochs inside them."""
    workers = stream.spec.num_workers
    return ShardLoader(
        stream, batch_size=None, num_workers=workers, persistent_workers=workers > 0, collate_fn=as_it_is
    )


def as_it_is(batch: Any) -> Any:
    """A collate function for streams that collate by themselves; at module level, because workers pickle it."""
    return batch


def check_readers(spec: StreamSpec) -> None:
    """Refuse a split with fewer shards than readers, of which some would read nothing.

    Raises:
        ConfigError: names both numbers and the fix.
    """
    for source in spec.sources:
        shards = len(source.shards)
        if shards < spec.readers:
            fits = shards // spec.world_size
            fix = f"set num_workers to {fits} or less" if fits else f"use at most {shards} ranks"
            who = f"{spec.world_size} ranks x {spec.workers} loader workers"
            raise ConfigError(
                f"{source.folder}: {shards} shards for {spec.readers} readers ({who}), so some would read nothing; "
                f"{fix}, or write the data in {spec.readers} or more shards (smaller ones)"
            )


def _read(source: Source, order: Iterable[int], suffixes: Collection[str], faults: FaultCounter) -> Iterator[Sample]:
    for index in order:
        yield from read_shard(source.shards[index].path, suffixes=suffixes, report=faults.report)


def _pop_random(buffer: list[Sample], generator: np.random.Generator) -> Sample:
    place = int(generator.integers(len(buffer)))
    buffer[place], buffer[-1] = buffer[-1], buffer[place]
    return buffer.pop()


def _every(step: int, start: int) -> Callable[[int, str], bool]:
    def is_mine(index: int, key: str) -> bool:  # the key is for look-ups
        return index % step == start

    return is_mine
