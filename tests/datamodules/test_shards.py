"""The datamodule: stages, ranks and generator, under a Trainer and alone."""

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer

from zoo.datamodules.shards import ShardDataModule, Share, Splits
from zoo.errors import ConfigError, DataError
from zoo.generator import GeneratedSample, ShardGenerator
from zoo.shards.encode import encode_mp4


class KeyCollector(LightningModule):
    """Learns nothing and remembers which keys it saw in which stage."""

    def __init__(self, processor):
        super().__init__()
        self.processor = processor
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = {"train": [], "validate": [], "test": [], "predict": []}
        self.epochs = []

    def training_step(self, batch, batch_idx):
        self.seen["train"] += batch.keys
        return self.weight * 1.0

    def on_train_epoch_end(self):
        self.epochs.append(tuple(self.seen["train"]))
        self.seen["train"].clear()

    def validation_step(self, batch, batch_idx):
        self.seen["validate"] += batch.keys

    def test_step(self, batch, batch_idx):
        self.seen["test"] += batch.keys

    def predict_step(self, batch, batch_idx):
        self.seen["predict"] += batch.keys

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(tmp_path, **arguments):
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return Trainer(default_root_dir=tmp_path, accelerator="cpu", devices=1, **(quiet | arguments))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_every_stage_under_a_trainer(blocks, processor, tmp_path, num_workers):
    module = KeyCollector(processor)
    data = ShardDataModule(path=str(blocks), batch_size=4, eval_batch_size=3, num_workers=num_workers)
    runner = trainer(tmp_path, max_epochs=2, num_sanity_val_steps=0)
    runner.fit(module, datamodule=data)
    assert [len(epoch) for epoch in module.epochs] == [28, 28]
    assert module.epochs[0] != module.epochs[1]
    assert sorted(module.seen["validate"]) == sorted([f"v{place}" for place in range(7)] * 2)
    runner.test(module, datamodule=data, verbose=False)
    runner.predict(module, datamodule=data)
    assert sorted(module.seen["test"]) == sorted(module.seen["predict"])
    assert len(set(module.seen["test"])) == 7


def test_overfitting_repeats_its_batches(blocks, processor, tmp_path):
    module = KeyCollector(processor)
    data = ShardDataModule(path=str(blocks), batch_size=2)
    trainer(tmp_path, max_epochs=2, overfit_batches=2).fit(module, datamodule=data)
    assert module.epochs[0] == module.epochs[1]
    assert len(module.epochs[0]) == 4


def test_a_later_epoch_continues_the_order(blocks, processor, tmp_path):
    def epochs(**arguments):
        module = KeyCollector(processor)
        data = ShardDataModule(path=str(blocks), batch_size=5)
        runner = trainer(tmp_path, enable_checkpointing=True, **arguments)
        return module, data, runner

    module, data, runner = epochs(max_epochs=3)
    runner.fit(module, datamodule=data)
    whole = module.epochs
    module, data, runner = epochs(max_epochs=1)
    runner.fit(module, datamodule=data)
    path = tmp_path / "one.ckpt"
    runner.save_checkpoint(path)
    module, data, runner = epochs(max_epochs=3)
    runner.fit(module, datamodule=data, ckpt_path=str(path))
    assert module.epochs == whole[1:]


def test_records_and_samples_of_a_stage(blocks, letters):
    data = ShardDataModule(path={str(blocks): 2.0, str(letters): 1.0})
    assert len(list(data.records("train"))) == 42
    found = data.samples("train", ["t00", "l23", "absent"])
    assert sorted(found) == ["l23", "t00"]
    assert found["l23"].files["mp4"]
    assert [source.weight for source in data.sources("train")] == [2.0, 1.0]


def test_splits_are_free_to_choose(blocks, processor):
    data = ShardDataModule(path=str(blocks), splits=Splits(test="val"))
    data.processor = processor
    assert sum(len(batch.keys) for batch in data.test_dataloader()) == 7


class Frames(ShardGenerator):
    """Still clips.

    Args:
        clips: In the training split.
        scored: In each of the others.
    """

    name = "frames"
    version = 1
    shard_size = 2

    def __init__(self, *, clips: int, scored: int = 2) -> None:
        self.clips, self.scored = clips, scored

    @property
    def splits(self):
        return {"train": self.clips, "val": self.scored, "test": self.scored}

    def samples(self, split, shard, count):
        for place in range(count):
            record = {
                "schema": "video_qa",
                "version": 1,
                "key": f"{split}_{shard}_{place}",
                "media": "mp4",
                "width": 16,
                "height": 16,
                "num_frames": 4,
                "fps": 8.0,
                "statements": [],
                "meta": {},
                "annotations": [{"family": "f", "question": "q", "answer": "a", "temporal": False}],
            }
            yield GeneratedSample(record, encode_mp4(np.zeros((4, 16, 16, 3), np.uint8), fps=8), None)


def test_missing_data_is_generated_once(tmp_path, processor, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: ())  # no cores for workers: generate in this process
    data = ShardDataModule(path=str(tmp_path / "made"), generator=Frames(clips=4), batch_size=2)
    data.processor = processor
    data.prepare_data()
    data.setup("fit")
    assert len(data.train_dataloader()) == 2
    index = (tmp_path / "made/dataset.json").stat().st_mtime_ns
    data.prepare_data()
    assert (tmp_path / "made/dataset.json").stat().st_mtime_ns == index
    with pytest.raises(ConfigError, match="other settings"):
        ShardDataModule(path=str(tmp_path / "made"), generator=Frames(clips=6)).prepare_data()


def test_data_sets_of_a_mixture_have_generators_of_their_own(tmp_path, processor, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: ())
    scored, learnt = str(tmp_path / "scored"), str(tmp_path / "learnt")
    data = ShardDataModule(
        path={learnt: 3.0, scored: 1.0},
        generator={scored: Frames(clips=4), learnt: Frames(clips=6, scored=0)},
        batch_size=2,
    )
    data.processor = processor
    data.prepare_data()
    data.setup("fit")
    assert {source.folder: source.weight for source in data.sources("train")} == {learnt: 3.0, scored: 1.0}
    assert [source.folder for source in data.sources("validate")] == [scored]  # the other has no such split
    assert len(list(data.records("validate"))) == 2


def test_a_split_that_no_data_set_has_is_an_error(tmp_path, processor, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: ())
    folders = [str(tmp_path / name) for name in "ab"]
    data = ShardDataModule(path=dict.fromkeys(folders, 1.0), generator={f: Frames(clips=2, scored=0) for f in folders})
    data.prepare_data()
    with pytest.raises(DataError, match="split 'val' holds no samples"):
        data.setup("validate")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "d", "batch_size": 0, "num_workers": -1}, "batch_size is 0.*num_workers is -1"),
        ({"path": {}}, "names no data set"),
        ({"path": {"a": 0.0}}, "weight of a is 0.0"),
        ({"path": {"a": 1.0, "b": 1.0}, "generator": Frames(clips=2)}, "one generator for 2 paths"),
        ({"path": "a", "generator": {"b": Frames(clips=2)}}, "a generator for b, which is not among the paths a"),
        ({"path": {"d": Share(weight=0, after=-1)}}, "weight of d is 0.*d comes after -1 samples, expected 0 or more"),
        ({"path": "d", "epoch_samples": 0}, "epoch_samples is 0"),
        ({"path": "d", "seed": -1}, "seed is -1"),
    ],
)
def test_impossible_arguments_are_named_together(arguments, message):
    with pytest.raises(ConfigError, match=message):
        ShardDataModule(**arguments)


def test_what_is_missing_is_said_before_training(blocks, letters, processor, tmp_path):
    with pytest.raises(DataError, match="no data set was finished there"):
        ShardDataModule(path=str(tmp_path)).setup("fit")
    with pytest.raises(DataError, match="no split 'test'"):
        ShardDataModule(path=str(letters)).setup("test")
    with pytest.raises(ConfigError, match="no processor"):
        ShardDataModule(path=str(blocks)).val_dataloader()
    data = ShardDataModule(path=str(blocks), batch_size=64)
    data.processor = processor
    with pytest.raises(ConfigError, match="30 samples holds no batch of 64"):
        data.train_dataloader()


def test_one_data_set_must_be_there_from_the_start(blocks, letters, processor):
    data = ShardDataModule(path={str(blocks): Share(after=9), str(letters): Share(after=7)})
    data.processor = processor
    with pytest.raises(ConfigError, match="the first comes after 7 samples"):
        data.train_dataloader()


def test_a_module_without_processor_is_named(blocks, tmp_path):
    class Bare(LightningModule):
        def test_step(self, batch, batch_idx): ...

    with pytest.raises(ConfigError, match="Bare has no `processor`"):
        trainer(tmp_path).test(Bare(), datamodule=ShardDataModule(path=str(blocks)))
