"""Streams of windows, dealt to ranks and loader workers and resumed like all streams (`zoo.datamodules.stream`)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from zoo.datamodules.policy.preparation import WindowPreparation
from zoo.datamodules.policy.reading import EPISODE_FILES, EpisodeReader, Mixing, RejectionCounter
from zoo.datamodules.policy.windows import WindowRule
from zoo.datamodules.stream import Cursor, Delivery, EvalStream, StreamSpec, TrainStream
from zoo.errors import DataError

logger = logging.getLogger(__name__)


class WindowTrainStream(TrainStream):
    """A `TrainStream` of windows of episodes.

    Args:
        spec: Data, processor and place among the readers; its processor is a `PolicyProcessor`.
        rule: How windows are cut out.
        mixing: How sources are mixed.
        num_batches: Batches of an epoch on each rank.
        total_batches: Batches of the whole training on each rank; None where nobody knows, and progress is 0.
        shuffle_buffer: Episodes, still encoded, among which the next one is drawn; 1 keeps the order of the shards.
        first_epoch: Number of the first epoch; above 0 when a run continues.
        same_epoch: Repeat one epoch for ever, to overfit on purpose.
        num_growing: Last sources that have more shards in every epoch, and in one that is resumed those that it had.
    Raises:
        ConfigError: fewer shards than readers.
    """

    def __init__(
        self,
        spec: StreamSpec,
        *,
        rule: WindowRule,
        mixing: Mixing,
        num_batches: int,
        total_batches: int | None = None,
        shuffle_buffer: int = 1,
        first_epoch: int = 0,
        same_epoch: bool = False,
        num_growing: int = 0,
    ) -> None:
        super().__init__(
            spec,
            num_batches=num_batches,
            shuffle_buffer=shuffle_buffer,
            first_epoch=first_epoch,
            same_epoch=same_epoch,
        )
        self.rule = rule
        self.mixing = mixing
        self.total_batches = total_batches
        self.num_growing = num_growing

    def settings(self) -> dict[str, Any]:
        # Not how long the training is: a run may be made longer, and then goes on with windows of the new length.
        own = {"window": asdict(self.rule), "mixing": self.mixing}
        found = super().settings()
        # What is saved at the end of an epoch is compared with the next one.
        return found | own | {"sources": found["sources"][: len(found["sources"]) - self.num_growing]}

    def progress(self, epoch: int, worker: int, done: int) -> float:
        """How much of the training is done, 0 to 1, when a worker begins a batch.

        Args:
            epoch: Counted from 0.
            worker: On this rank.
            done: Batches that it has made in this epoch.
        """
        if not self.total_batches:
            return 0.0
        before = epoch * self.num_batches + done * self.spec.workers + worker  # workers deliver in turn
        return min(1.0, before / max(1, self.total_batches - 1))

    def deliveries(self, worker: int, epoch: int, cursor: Cursor | None = None) -> Iterator[Delivery]:
        spec, faults = self.spec, RejectionCounter(self.spec.on_bad_sample)
        drawn_epoch = 0 if self.same_epoch else epoch
        episodes = EpisodeReader(
            spec.sources,
            mixing=self.mixing,
            seed=spec.seed,
            epoch=drawn_epoch,
            reader=spec.rank * spec.workers + worker,
            readers=spec.readers,
            shuffle_buffer=self.shuffle_buffer,
            faults=faults,
        )
        preparation = WindowPreparation(
            processor=spec.processor, rule=self.rule, faults=faults, seed=spec.seed, epoch=drawn_epoch, training=True
        )
        begin = 0
        if cursor is not None:
            begin = cursor["batches"]
            faults.restore(cursor["faults"])
            episodes.restore(cursor["samples"])
        quota = self.num_batches // spec.workers + (worker < self.num_batches % spec.workers)
        for done in range(begin, quota):
            group = preparation.group(episodes, spec.batch_size, progress=self.progress(epoch, worker, done))
            cursor = {"batches": done + 1, "faults": faults.state(), "samples": episodes.state()}
            yield Delivery(spec.processor.collate(group), worker, epoch, cursor)
        if faults.num_bad:
            logger.warning("training, epoch %d, worker %d: %s", epoch, worker, faults.summary())


class WindowEvalStream(EvalStream):
    """An `EvalStream` of one window of every episode, always the same one.

    Args:
        spec: Data, processor and place among the readers; its processor is a `PolicyProcessor`.
        rule: How windows are cut out.
    Raises:
        ConfigError: too few episodes for every rank to have one.
    """

    def __init__(self, spec: StreamSpec, *, rule: WindowRule) -> None:
        super().__init__(spec)
        self.rule = rule

    def deliveries(self, worker: int, epoch: int, cursor: Cursor | None = None) -> Iterator[Delivery]:
        assert cursor is None, "an evaluation starts anew"
        spec, faults = self.spec, RejectionCounter(self.spec.on_bad_sample)
        reader = spec.rank * spec.workers + worker
        preparation = WindowPreparation(
            processor=spec.processor, rule=self.rule, faults=faults, seed=spec.seed, epoch=0, training=False
        )
        episodes = ((sample, 0) for sample in self._dealt(reader, faults, suffixes=EPISODE_FILES))
        while group := preparation.group(episodes, spec.batch_size):
            yield Delivery(spec.processor.collate(group), worker, epoch, None)
        if faults.num_bad:
            logger.warning("evaluation, worker %d: %s", worker, faults.summary())
        if reader < sum(source.num_samples for source in spec.sources) and not faults.num_good:
            raise DataError(f"{spec.sources[0].folder}: no episode to evaluate; {faults.summary()}")
