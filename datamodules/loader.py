"""From a stream to the training loop: loader workers, their faults, and the place from which a later run goes on.

The cursors of `zoo.datamodules.stream` come with the batches and are noted when a batch is handed to the training loop,
so what workers have prepared ahead is not counted. Lightning saves and restores any training loader that has
`state_dict` and `load_state_dict`; it fetches a batch when it trains on it, because our loaders have a length.
"""

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from zoo.datamodules.stream import ClipStream, Cursor, Delivery, TrainStream
from zoo.errors import ConfigError, ZooError

STATE_VERSION = 1

BATCHES = "num_batches"
OTHER_NAMES = {
    "world_size": "the number of processes (trainer.devices x trainer.num_nodes)",
    BATCHES: "the number of batches of an epoch (data.epoch_samples)",
}
"""What a message calls the settings that are no arguments of the datamodule."""


@dataclass(frozen=True, slots=True)
class StreamFault:
    """A user's error on its way from a worker to the main process."""

    kind: type[ZooError]
    message: str


@dataclass(slots=True)
class Position:
    """How far a rank has come.

    Args:
        epoch: Counted from 0.
        batches: Batches of that epoch that were handed over.
        cursors: Of the last batch of each worker.
    """

    epoch: int
    batches: int
    cursors: list[Cursor | None]


class StreamDataset(IterableDataset):
    """What loader processes iterate over; each holds a copy, which counts epochs.

    Args:
        stream: Makes the batches.
    """

    def __init__(self, stream: ClipStream) -> None:
        super().__init__()
        self.stream = stream
        self.resumed: Position | None = None

    def __len__(self) -> int:
        return len(self.stream)

    def __iter__(self) -> Iterator[Delivery | StreamFault]:
        process = get_worker_info()
        worker = process.id if process else 0
        cursor = None
        if self.resumed is None:
            epoch = self.stream.begin()
        else:  # the first process is asked first, so it does the work of the worker whose turn it is
            worker = (worker + self.resumed.batches) % self.stream.spec.workers
            epoch, cursor = self.resumed.epoch, self.resumed.cursors[worker]
            self.end_resumption()
        try:
            yield from self.stream.deliveries(worker, epoch, cursor)
        except ZooError as error:
            if process is None:
                raise
            # torch would wrap the exception into the text of its traceback; one sentence must stay one.
            yield StreamFault(type(error), str(error))

    def end_resumption(self) -> None:
        """The next iteration is of the epoch behind the one that was resumed."""
        if self.resumed is not None:
            self.stream.next_epoch = self.resumed.epoch + 1
            self.resumed = None


class ShardLoader(DataLoader):
    """A DataLoader over a `StreamDataset`, which batches by itself, that raises a worker's fault as it was."""

    def __iter__(self) -> Iterator[Any]:
        return (delivery.batch for delivery in self._deliveries())

    def _deliveries(self) -> Iterator[Delivery]:
        fault = None
        for delivery in super().__iter__():
            if isinstance(delivery, StreamFault):
                fault = delivery
                break
            yield delivery
        if fault is not None:
            # End the workers, as Lightning does: left to the garbage collector, each waits 5 s and is killed.
            self._iterator._shutdown_workers()  # noqa: SLF001
            self._iterator = None
            raise fault.kind(fault.message)


class TrainLoader(ShardLoader):
    """The loader of a `TrainStream`; its state is that of all ranks.

    After `load_state_dict` the first iteration is the rest of the epoch that was left, which may be nothing. It does
    not count as one if another is asked for before it delivers: Lightning does so where the epoch was over. Where it
    does not, and takes the epoch for over all the same, `starts_epoch` tells.

    Attributes:
        starts_epoch: Whether the training loop expects the first batch of an epoch.
    """

    starts_epoch: Callable[[], bool] | None = None
    _position: Position | None = None
    _asked = False  # for the rest of an epoch that was left

    def __iter__(self) -> Iterator[Any]:
        dataset = self.dataset
        if self._asked:
            dataset.end_resumption()
        self._asked = dataset.resumed is not None
        return super().__iter__()

    def _deliveries(self) -> Iterator[Delivery]:
        left = self.dataset.resumed
        if left is not None and left.batches == len(self) and self.starts_epoch is not None and self.starts_epoch():
            self.dataset.end_resumption()
        for delivery in super()._deliveries():
            self._asked = False
            self._note(delivery)
            yield delivery

    def _note(self, delivery: Delivery) -> None:
        if self._position is None or self._position.epoch != delivery.epoch:
            self._position = self._start_of(delivery.epoch)
        self._position.batches += 1
        self._position.cursors[delivery.worker] = delivery.cursor
        self.dataset.resumed = None  # workers have copies, which went on by themselves
        self.dataset.stream.next_epoch = delivery.epoch + 1

    def _start_of(self, epoch: int) -> Position:
        return Position(epoch, 0, [None] * self.dataset.stream.spec.workers)

    def state_dict(self) -> dict[str, Any]:
        """Where every rank stands, as plain data; must be called on every rank."""
        stream: TrainStream = self.dataset.stream
        position = self._position or self._start_of(stream.next_epoch)
        own = {"epoch": position.epoch, "batches": position.batches, "workers": list(position.cursors)}
        return {
            "version": STATE_VERSION,
            "settings": stream.settings(),
            "ranks": _of_all_ranks(own, stream.spec.world_size),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken.

        Raises:
            ConfigError: the batches would be others, because a setting or the data has changed.
        """
        stream: TrainStream = self.dataset.stream
        if state.get("version") != STATE_VERSION:
            raise ConfigError(
                f"ckpt_path: the place in the data is of version {state.get('version')!r}, this installation reads "
                f"{STATE_VERSION}; go on with the version of molmo-zoo that wrote the checkpoint"
            )
        check_settings(state["settings"], stream.settings())
        own = state["ranks"][stream.spec.rank]
        self._position = Position(own["epoch"], own["batches"], list(own["workers"]))
        self.dataset.resumed = Position(own["epoch"], own["batches"], list(own["workers"]))


def check_settings(saved: dict[str, Any], current: dict[str, Any]) -> None:
    """Refuse to go on with settings that give other batches.

    Args:
        saved: `TrainStream.settings` when the checkpoint was written.
        current: Of this run.
    Raises:
        ConfigError: names what differs, before and now.
    """
    changed = [name for name in current if saved.get(name) != current[name]]
    if not changed:
        return
    changed = [name for name in changed if name != BATCHES] or [BATCHES]  # it follows from most of the others
    differences = [
        f"{OTHER_NAMES.get(name, f'data.{name}')} is {current[name]} and was {saved.get(name)}" for name in changed
    ]
    if "sources" in changed:
        differences[changed.index("sources")] = "the shards or their weights are others than they were"
    raise ConfigError(
        f"ckpt_path: the samples cannot go on where the checkpoint stopped, because {', '.join(differences)}; "
        "continue with what the checkpoint was written with"
    )


def _of_all_ranks(own: dict[str, Any], world_size: int) -> list[dict[str, Any]]:
    """Rank by rank; a checkpoint is written by the first one alone."""
    if world_size == 1:
        return [own]
    import torch.distributed

    parts: list[Any] = [None] * world_size
    torch.distributed.all_gather_object(parts, own)
    return parts


def loader(stream: ClipStream) -> ShardLoader:
    """The loader of a stream; workers live as long as it does, because the stream counts epochs inside them."""
    workers = stream.spec.num_workers
    kind = TrainLoader if isinstance(stream, TrainStream) else ShardLoader
    return kind(
        StreamDataset(stream),
        batch_size=None,
        num_workers=workers,
        persistent_workers=workers > 0,
        worker_init_fn=freeze_what_was_inherited,
        collate_fn=as_it_is,
        # DataLoader draws a seed for its workers, which nobody uses here; the model's random numbers stay as they were.
        generator=torch.Generator(),
    )


def freeze_what_was_inherited(worker: int) -> None:
    """Let a loader worker's garbage collector leave alone what it was started with.

    Walking all of torch took a tenth of a worker's time, and copied the memory that it shares with its parent.
    """
    gc.freeze()


def as_it_is(batch: Any) -> Any:
    """A collate function for streams that collate by themselves; at module level, because workers pickle it."""
    return batch
