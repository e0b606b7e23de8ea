"""Loaders: what a run that goes on from a saved place sees is what it would have seen."""

import gc
import io
import warnings
from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lightning.pytorch import Callback, LightningModule, Trainer

from zoo.datamodules.loader import check_settings, loader
from zoo.datamodules.shards import ShardDataModule
from zoo.datamodules.sources import Source
from zoo.datamodules.stream import Delivery, EvalStream, StreamSpec, TrainStream
from zoo.errors import ConfigError, DataError
from zoo.packing import PackLimits
from zoo.shards.reader import read_split

LIMITS = PackLimits(max_tokens=150, max_frames=12, pool=5)


def stream_of(processor, *folders, num_batches=7, shuffle_buffer=4, **arguments):
    sources = tuple(
        Source(folder=str(folder), shards=tuple(read_split(folder, "train")), weight=weight)
        for folder, weight in zip(folders, (3.0, 1.0), strict=False)
    )
    spec = StreamSpec(**({"sources": sources, "processor": processor, "batch_size": 2, "seed": 5} | arguments))
    return TrainStream(spec, num_batches=num_batches, shuffle_buffer=shuffle_buffer)


def seen(batches, number=None):
    """Keys and draws of the next batches."""
    iterator = iter(batches)
    got = []
    while number is None or len(got) < number:
        batch = next(iterator, None)
        if batch is None:
            break
        got.append((batch.keys, batch.draws))
    return got


def through_a_checkpoint(state):
    """As a `.ckpt` file would bring it back."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("packing", [None, LIMITS])
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_worker_goes_on_from_any_cursor(blocks, letters, packing_processor, packing, data):
    """Cut points, passes, mixtures and readers as drawn; a cursor of a stream that was resumed is as good as any."""
    num_workers, shuffle_buffer = data.draw(st.integers(0, 2)), data.draw(st.sampled_from([1, 3, 1000]))
    worker = data.draw(st.integers(0, max(0, num_workers - 1)))
    stream = stream_of(
        packing_processor, blocks, letters, packing=packing, num_workers=num_workers, shuffle_buffer=shuffle_buffer,
        num_batches=30,
    )  # fmt: skip
    whole = list(stream.deliveries(worker, 2))
    cut = data.draw(st.integers(0, len(whole)))
    cursor = through_a_checkpoint(whole[cut - 1].cursor) if cut else None
    rest = list(stream.deliveries(worker, 2, cursor))
    assert [(d.batch.keys, d.batch.draws) for d in rest] == [(d.batch.keys, d.batch.draws) for d in whole[cut:]]
    assert [d.cursor for d in rest] == [d.cursor for d in whole[cut:]]


def test_going_on_decodes_nothing_that_was_consumed(blocks, processor):
    decoded = []

    class Counting(type(processor)):
        def with_frames(self, tree, frames, labels):
            decoded.append(tree["key"])
            return super().with_frames(tree, frames, labels)

    stream = stream_of(Counting(), blocks)
    whole = list(stream.deliveries(0, 0))
    decoded.clear()
    rest = [key for d in stream.deliveries(0, 0, whole[4].cursor) for key in d.batch.keys]
    assert decoded == rest


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("packing", [None, LIMITS])
def test_a_loader_goes_on_in_the_midst_of_an_epoch(blocks, packing_processor, num_workers, packing):
    def make():
        return loader(stream_of(packing_processor, blocks, packing=packing, num_workers=num_workers))

    unbroken = make()
    epochs = [seen(unbroken) for _ in range(3)]
    first = make()
    seen(first)
    iterator = iter(first)
    before = [(batch.keys, batch.draws) for batch in (next(iterator) for _ in range(3))]
    state = through_a_checkpoint(first.state_dict())
    del iterator
    second = make()
    second.load_state_dict(state)
    iterator = iter(second)
    between = [(batch.keys, batch.draws) for batch in (next(iterator) for _ in range(2))]
    third = make()  # a run that was resumed is resumed again
    third.load_state_dict(through_a_checkpoint(second.state_dict()))
    assert before + between + seen(third) == epochs[1]
    assert seen(third) == epochs[2]


def test_a_finished_epoch_leaves_nothing_and_is_not_repeated(blocks, processor):
    def resumed():
        made = loader(stream_of(processor, blocks))
        made.load_state_dict(state)
        return made

    unbroken = loader(stream_of(processor, blocks))
    epochs = [seen(unbroken), seen(unbroken)]
    first = loader(stream_of(processor, blocks))
    assert seen(first) == epochs[0]
    state = first.state_dict()
    asked_for_the_rest = resumed()
    assert seen(asked_for_the_rest) == []
    assert seen(asked_for_the_rest) == epochs[1]
    asked_twice = resumed()
    iter(asked_twice)  # as Lightning does where it knows that the epoch was over
    assert seen(asked_twice) == epochs[1]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_garbage_is_not_looked_for_in_what_a_worker_inherits(blocks, processor, monkeypatch, num_workers):
    def frozen(stream, worker, epoch, cursor=None):
        yield Delivery(gc.get_freeze_count(), worker, epoch, None)

    monkeypatch.setattr(TrainStream, "deliveries", frozen)
    made = loader(stream_of(processor, blocks, num_batches=2, num_workers=num_workers))
    first, second = list(made), list(made)
    assert first == second  # what an epoch leaves behind is garbage
    assert len(first) == max(1, num_workers)
    before = gc.get_freeze_count()  # of this process
    assert all(count > before + 10_000 if num_workers else count == before for count in first)


def test_a_state_before_the_first_batch_is_the_beginning(blocks, processor):
    fresh = loader(stream_of(processor, blocks))
    resumed = loader(stream_of(processor, blocks))
    resumed.load_state_dict(through_a_checkpoint(fresh.state_dict()))
    assert seen(resumed) == seen(fresh)


def test_other_settings_are_refused_in_one_sentence(blocks, letters, processor):
    state = loader(stream_of(processor, blocks, num_workers=2)).state_dict()
    other = loader(stream_of(processor, blocks, batch_size=3))
    with pytest.raises(
        ConfigError, match=r"data\.num_workers is 0 and was 2, data\.batch_size is 3 and was 2; continue with what"
    ):
        other.load_state_dict(state)
    two_ranks = loader(stream_of(processor, blocks, num_workers=2, world_size=2, rank=1))
    with pytest.raises(ConfigError, match=r"number of processes .* is 2 and was 1"):
        two_ranks.load_state_dict(state)
    with pytest.raises(ConfigError, match="the shards or their weights are others"):
        loader(stream_of(processor, letters, num_workers=2)).load_state_dict(state)
    longer = loader(stream_of(processor, blocks, num_workers=2, num_batches=99))
    with pytest.raises(ConfigError, match=r"the number of batches of an epoch \(data\.epoch_samples\) is 99 and was"):
        longer.load_state_dict(state)
    with pytest.raises(ConfigError, match="because data.batch_size is 3 and was 2; continue"):
        loader(stream_of(processor, blocks, num_workers=2, batch_size=3, num_batches=99)).load_state_dict(state)
    with pytest.raises(ConfigError, match="version None"):
        other.load_state_dict({})


def test_every_setting_is_compared(blocks, processor):
    settings_now = stream_of(processor, blocks).settings()
    check_settings(settings_now, settings_now)
    for name in settings_now:
        with pytest.raises(ConfigError):
            check_settings(settings_now | {name: "another"}, settings_now)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_shards_that_changed_under_a_cursor_are_named(make_dataset, tmp_path, processor, num_workers):
    root = make_dataset(tmp_path / "changing", train=[["a0", "a1", "a2", "a3"], ["b0", "b1", "b2", "b3"]])
    first = loader(stream_of(processor, root, num_batches=4, num_workers=num_workers))
    iterator = iter(first)
    next(iterator), next(iterator)
    state = first.state_dict()
    del iterator
    for path in (root / "train").glob("*.tar"):
        data = path.read_bytes()
        path.write_bytes(data[:512] + bytes(len(data) - 512))
    second = loader(stream_of(processor, root, num_batches=4, num_workers=num_workers))
    second.load_state_dict(state)
    with pytest.raises(DataError, match=r"shard-00000\d\.tar is not the shard that it was"):
        list(second)


def test_the_model_s_random_numbers_are_left_alone(blocks, processor):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    stream = stream_of(processor, blocks)
    seen(loader(stream))
    list(loader(EvalStream(replace(stream.spec, sources=stream.spec.sources))))
    assert torch.equal(torch.get_rng_state(), before)


class Watcher(LightningModule):
    """Learns nothing and remembers, for every step, what it saw."""

    def __init__(self, processor):
        super().__init__()
        self.processor = processor
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = []

    def training_step(self, batch, batch_idx):
        self.seen.append(batch.keys)
        return self.weight * 1.0

    def validation_step(self, batch, batch_idx):
        self.seen.append("validation" if batch_idx == 0 else None)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class SaveEverywhere(Callback):
    """A checkpoint at every place where Lightning's own callback may save, with what had been seen by then."""

    def __init__(self, folder):
        self.folder = folder
        self.saved = []

    def save(self, trainer, module, where):
        if not trainer.sanity_checking:
            path = self.folder / f"{len(self.saved):02}-{where}.ckpt"
            trainer.save_checkpoint(path)
            self.saved.append((path, [entry for entry in module.seen if entry not in ("validation", None)]))

    def on_train_batch_end(self, trainer, module, *arguments):
        self.save(trainer, module, "batch")

    def on_validation_end(self, trainer, module):
        self.save(trainer, module, "validation")

    def on_train_epoch_end(self, trainer, module):
        self.save(trainer, module, "epoch")


@pytest.mark.parametrize(
    ("schedule", "num_workers"),
    [
        ({"max_steps": 12}, 0),
        ({"max_steps": 12, "val_check_interval": 4, "check_val_every_n_epoch": None}, 0),
        ({"max_epochs": 2, "limit_val_batches": 0}, 0),
        ({"max_epochs": 2, "val_check_interval": 3}, 0),
        ({"max_steps": 8}, 2),
    ],
)
def test_lightning_goes_on_from_wherever_it_saved(blocks, processor, tmp_path, schedule, num_workers):
    """Epochs have seven batches."""

    def run(callbacks, ckpt_path=None):
        module = Watcher(processor)
        data = ShardDataModule(path=str(blocks), batch_size=4, num_workers=num_workers, shuffle_buffer=6)
        quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
        runner = Trainer(
            default_root_dir=tmp_path, accelerator="cpu", devices=1, num_sanity_val_steps=0, callbacks=callbacks,
            **quiet, **schedule,
        )  # fmt: skip
        runner.fit(module, datamodule=data, ckpt_path=ckpt_path)
        return [entry for entry in module.seen if entry not in ("validation", None)]

    saving = SaveEverywhere(tmp_path)
    warnings.simplefilter("ignore")
    whole = run([saving])
    stride = 1 if num_workers == 0 else 4
    assert len(saving.saved) >= 8
    for path, before in saving.saved[::stride]:
        assert before + run([], str(path)) == whole, path.name
