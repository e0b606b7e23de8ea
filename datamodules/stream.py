"""Streams from shards to batches, dealt to ranks and loader workers so that nothing is read twice.

A *reader* is one loader worker of one rank. Training deals whole shards to readers, anew every epoch; evaluation deals
single samples, in the stored order. Whatever is drawn depends on (seed, epoch, source or sample key) alone. Every
training batch comes with its reader's cursor: plain data from which a later run goes on behind that batch.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from zoo.datamodules.packs import Packing
from zoo.datamodules.preparation import Preparation, SampleProcessor
from zoo.datamodules.sources import MixedReader, Source
from zoo.errors import ConfigError, DataError
from zoo.packing import PackLimits
from zoo.shards.faults import FaultCounter, OnBadSample
from zoo.shards.reader import Sample, read_shard

Cursor = dict[str, Any]
"""Where a reader stands behind a batch, as plain data; None stands for the beginning of the epoch."""


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


@dataclass(frozen=True, slots=True)
class Delivery:
    """A batch on its way to the training loop.

    Args:
        batch: What the processor collated.
        worker: Which worker of its rank made it.
        epoch: That it belongs to.
        cursor: Where that worker goes on; None in evaluation, which starts anew.
    """

    batch: Any
    worker: int
    epoch: int
    cursor: Cursor | None


class ClipStream(ABC):
    """Batches of prepared samples for one rank.

    Args:
        spec: Data, processor and place among the readers.
        first_epoch: Number of the first epoch; above 0 when a run continues.
    """

    def __init__(self, spec: StreamSpec, *, first_epoch: int = 0) -> None:
        self.spec = spec
        self.next_epoch = first_epoch

    @abstractmethod
    def deliveries(self, worker: int, epoch: int, cursor: Cursor | None = None) -> Iterator[Delivery]:
        """What one worker of this rank makes of an epoch; a pure function.

        Args:
            worker: Counted from 0 on each rank.
            epoch: Counted from 0.
            cursor: Of the batch behind which to go on; None for the beginning.
        """

    @abstractmethod
    def __len__(self) -> int:
        """Batches of an epoch, over all workers of this rank."""

    def batches(self, worker: int, epoch: int) -> Iterator[Any]:
        """The batches of one worker alone."""
        return (delivery.batch for delivery in self.deliveries(worker, epoch))

    def __iter__(self) -> Iterator[Any]:
        """The batches of the first worker in the next epoch: of all, where there are no loader workers."""
        return self.batches(0, self.begin())

    def begin(self) -> int:
        """Number of the epoch that begins now."""
        self.next_epoch += 1
        return self.next_epoch - 1

    def _preparation(self, faults: FaultCounter, *, epoch: int, training: bool) -> Preparation:
        spec = self.spec
        return Preparation(
            processor=spec.processor,
            faults=faults,
            seed=spec.seed,
            epoch=epoch,
            training=training,
            labels=training and spec.labels,
            max_tokens=spec.packing.max_tokens if training and spec.packing is not None else None,
        )


class TrainStream(ClipStream):
    """Shuffled, mixed and endless underneath; an epoch is a fixed number of batches, the same on every rank.

    Each call of `iter` begins the next epoch. A reader whose shards run out before its share of the epoch is read
    starts over with them in another order; what exceeds its share waits for an epoch with another deal.

    Args:
        spec: Data, processor and place among the readers.
        num_batches: Batches of an epoch on each rank.
        shuffle_buffer: Samples, still encoded, among which the next one is drawn; 1 keeps the order of the shards.
        epoch_samples: Samples of an epoch over all ranks; of packs, those that it is expected to hold.
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
        epoch_samples: int = 0,
        first_epoch: int = 0,
        same_epoch: bool = False,
    ) -> None:
        super().__init__(spec, first_epoch=first_epoch)
        self.num_batches = num_batches
        self.shuffle_buffer = shuffle_buffer
        self.epoch_samples = epoch_samples
        self.same_epoch = same_epoch
        check_readers(spec)

    def __len__(self) -> int:
        return self.num_batches

    def settings(self) -> dict[str, Any]:
        """Whatever decides which batch comes when, as plain data: cursors are good for equal settings only."""
        spec = self.spec
        names = ("num_workers", "world_size", "batch_size", "seed")
        return {name: getattr(spec, name) for name in names} | {
            "packing": None if spec.packing is None else asdict(spec.packing),
            "shuffle_buffer": self.shuffle_buffer,
            "num_batches": self.num_batches,
            "sources": [
                {
                    "weight": s.weight,
                    "after": s.after,
                    "shards": len(s.shards),
                    "samples": s.num_samples,
                    "bytes": s.num_bytes,
                }
                for s in spec.sources
            ],
        }

    def deliveries(self, worker: int, epoch: int, cursor: Cursor | None = None) -> Iterator[Delivery]:
        spec, faults = self.spec, FaultCounter(self.spec.on_bad_sample)
        drawn_epoch = 0 if self.same_epoch else epoch
        samples = MixedReader(
            spec.sources,
            seed=spec.seed,
            epoch=drawn_epoch,
            reader=spec.rank * spec.workers + worker,
            readers=spec.readers,
            shuffle_buffer=self.shuffle_buffer,
            suffixes=spec.processor.suffixes if spec.labels else spec.processor.asked_suffixes,
            faults=faults,
            drawn_before=drawn_epoch * self.epoch_samples,
        )
        preparation = self._preparation(faults, epoch=drawn_epoch, training=True)
        packing = None if spec.packing is None else Packing(spec.packing, preparation)
        done = 0
        if cursor is not None:
            done, (faults.num_good, faults.num_bad) = cursor["batches"], cursor["faults"]
            samples.restore(cursor["samples"])
            if packing is not None:
                packing.resume(samples.read_again(cursor["waiting"]))
        quota = self.num_batches // spec.workers + (worker < self.num_batches % spec.workers)
        groups = preparation.batches(samples, spec.batch_size) if packing is None else packing.groups(samples)
        for number, group in enumerate(islice(groups, quota - done), start=done + 1):
            batch = spec.processor.collate(group)
            cursor = {
                "batches": number,
                "faults": [faults.num_good, faults.num_bad],
                "samples": samples.state(),
                "waiting": [] if packing is None else samples.places(packing.waiting),
            }
            yield Delivery(batch, worker, epoch, cursor)


class EvalStream(ClipStream):
    """Every sample exactly once, in the stored order; the last batch of a worker may be smaller.

    Nothing is padded or repeated, so ranks may differ by a batch per worker: a step must not wait for other ranks
    (metrics are gathered at the end of the epoch, which is safe).

    Args:
        spec: Data, processor and place among the readers.
    Raises:
        ConfigError: too few samples for every rank to have one. Lightning would not call such a rank's hooks at all, in
            which the others wait for it.
    """

    def __init__(self, spec: StreamSpec) -> None:
        super().__init__(spec)
        total = sum(source.num_samples for source in spec.sources)
        if 0 < total <= (spec.world_size - 1) * spec.workers:
            raise ConfigError(
                f"{spec.sources[0].folder}: {total} samples for {spec.world_size} ranks of {spec.workers} loader "
                "workers, so some ranks would have none; lower num_workers, or evaluate with fewer devices"
            )

    def __len__(self) -> int:
        spec = self.spec
        total = sum(source.num_samples for source in spec.sources)
        first = spec.rank * spec.workers
        mine = [len(range(reader, total, spec.readers)) for reader in range(first, first + spec.workers)]
        return sum(-(-samples // spec.batch_size) for samples in mine)

    def deliveries(self, worker: int, epoch: int, cursor: Cursor | None = None) -> Iterator[Delivery]:
        assert cursor is None, "an evaluation starts anew"
        spec, faults = self.spec, FaultCounter(self.spec.on_bad_sample)
        reader = spec.rank * spec.workers + worker
        preparation = self._preparation(faults, epoch=0, training=False)
        samples = self._dealt(reader, faults, suffixes=spec.processor.asked_suffixes)
        for group in preparation.batches(samples, spec.batch_size):
            yield Delivery(spec.processor.collate(group), worker, epoch, None)
        has_share = reader < sum(source.num_samples for source in spec.sources)
        if (has_share or faults.num_bad) and not faults.num_good:
            raise DataError(
                f"{spec.sources[0].folder}: no sample to evaluate "
                f"({faults.num_bad} bad; others hold no question for the heads in use)"
            )

    def _dealt(self, reader: int, faults: FaultCounter, *, suffixes: Collection[str]) -> Iterator[Sample]:
        """The samples of one of all readers, with these files."""
        before = 0
        for source in self.spec.sources:
            for shard in source.shards:
                mine = _every(self.spec.readers, (reader - before) % self.spec.readers)
                yield from read_shard(
                    shard.path, suffixes=suffixes, wanted=mine, report=faults.report, check=source.check
                )
                before += shard.num_samples


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


def _every(step: int, start: int) -> Callable[[int, str], bool]:
    def is_mine(index: int, key: str) -> bool:  # the key is for look-ups
        return index % step == start

    return is_mine
