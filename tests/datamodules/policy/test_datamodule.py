"""The datamodule under a Trainer and alone: stages, tasks, limits, augmentation, generator, resumption."""

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from recorded_episodes import episode_files

from zoo import registry
from zoo.datamodules.policy.datamodule import PolicyDataModule, first_shards
from zoo.datamodules.policy.windows import WindowRule
from zoo.errors import ConfigError, DataError
from zoo.generator import GeneratedSample, ShardGenerator
from zoo.shards.policy_episode import POLICY_SAMPLES
from zoo.shards.reader import Shard

RULE = WindowRule(length=6)


class Watcher(LightningModule):
    """Learns nothing and remembers the batches of each stage."""

    def __init__(self, processor):
        super().__init__()
        self.processor = processor
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = {"train": [], "validate": [], "test": [], "predict": []}

    def training_step(self, batch, batch_idx):
        self.seen["train"].append(batch)
        return self.weight * 1.0

    def validation_step(self, batch, batch_idx):
        self.seen["validate"].append(batch)

    def test_step(self, batch, batch_idx):
        self.seen["test"].append(batch)

    def predict_step(self, batch, batch_idx):
        self.seen["predict"].append(batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(tmp_path, **arguments):
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    return Trainer(
        default_root_dir=tmp_path, accelerator="cpu", devices=1, num_sanity_val_steps=0, **(quiet | arguments)
    )


def keys(batches):
    return [key for batch in batches for key in batch.keys]


def test_every_stage_under_a_trainer(walks, window_processor, tmp_path):
    module = Watcher(window_processor)
    data = PolicyDataModule(path=str(walks), window=RULE, batch_size=4, eval_batch_size=3)
    runner = trainer(tmp_path, max_epochs=2)
    runner.fit(module, datamodule=data)
    assert len(keys(module.seen["train"])) == 48
    assert sorted(keys(module.seen["validate"])) == sorted([f"wv{place}" for place in range(5)] * 2)
    runner.test(module, datamodule=data, verbose=False)
    runner.predict(module, datamodule=data)
    assert sorted(keys(module.seen["test"])) == sorted(keys(module.seen["predict"])) == ["we00", "we01", "we10", "we11"]


def test_only_what_is_learnt_from_is_augmented(walks, window_processor, tmp_path):
    """Recorded pictures are of one grey level each."""
    module = Watcher(window_processor)
    data = PolicyDataModule(path=str(walks), window=RULE, batch_size=4, augmentation="v1")
    trainer(tmp_path, max_epochs=1).fit(module, datamodule=data)
    plain = PolicyDataModule(path=str(walks), window=RULE, batch_size=4, augmentation=None)
    plain.processor = window_processor
    for learnt, recorded in zip(module.seen["train"], plain.train_dataloader(), strict=True):
        assert learnt.keys == recorded.keys
        assert not torch.equal(learnt.frames, recorded.frames)
    for shown, recorded in zip(module.seen["validate"], plain.val_dataloader(), strict=True):
        assert torch.equal(shown.frames, recorded.frames)


def test_tasks_in_a_list_take_turns_and_the_largest_gives_the_length(walks, visits, window_processor):
    data = PolicyDataModule(path=[str(walks), str(visits)], window=RULE, batch_size=6)
    data.processor = window_processor
    batches = list(data.train_dataloader())
    assert len(batches) == 2 * 24 // 6
    assert all([key[0] for key in batch.keys] == ["w", "v"] * 3 for batch in batches)
    assert len(keys(data.val_dataloader())) == 5  # the other has no such split


def test_an_episode_that_comes_again_in_an_epoch_is_cut_anew(walks, visits, window_processor):
    data = PolicyDataModule(path=[str(walks), str(visits)], window=RULE, batch_size=2)
    data.processor = window_processor
    times = [batch.time_ids[1].tolist() for batch in data.train_dataloader() if batch.keys[1] == "v00"]
    assert len(times) == len({str(t) for t in times}) == 4


def test_tasks_with_weights_are_drawn(walks, visits, window_processor):
    data = PolicyDataModule(path={str(walks): 3.0, str(visits): 1.0}, window=RULE, batch_size=5)
    data.processor = window_processor
    assert [source.weight for source in data.sources("train")] == [3.0, 1.0]
    loaded = data.train_dataloader()
    assert len(loaded) == 30 // 5
    assert len(keys(loaded)) == 30


def test_limits_are_of_whole_shards_of_each_data_set(walks, visits, window_processor):
    data = PolicyDataModule(path=[str(walks), str(visits)], max_samples=9, max_eval_samples=3, window=RULE)
    data.processor = window_processor
    assert [source.num_samples for source in data.sources("train")] == [8, 6]
    assert keys(data.test_dataloader()) == ["we00", "we01"]
    shards = tuple(Shard(path=None, num_samples=number) for number in (5, 3, 4))
    assert first_shards(shards, 1) == shards[:1]
    assert first_shards(shards, 8) == shards[:2]
    assert first_shards(shards, 11) == shards[:2]
    assert first_shards(shards, 99) == shards


def test_records_and_samples_of_a_stage(walks):
    data = PolicyDataModule(path=str(walks))
    assert [record["key"] for record in data.records("test")] == ["we00", "we01", "we10", "we11"]
    found = data.samples("train", ["w00", "absent"])
    assert list(found) == ["w00"]
    assert set(found["w00"].files) == {"manipulation.mp4", "navigation.mp4", "npz"}


class SaveInTheMiddle(Callback):
    """A checkpoint after some batches."""

    def __init__(self, path, batches):
        self.path, self.batches = path, batches

    def on_train_batch_end(self, runner, module, outputs, batch, batch_idx):
        if runner.global_step == self.batches:
            runner.save_checkpoint(self.path)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_lightning_goes_on_in_the_midst_of_an_epoch(walks, visits, window_processor, tmp_path, num_workers):
    def run(callbacks=(), ckpt_path=None):
        module = Watcher(window_processor)
        data = PolicyDataModule(
            path=[str(walks), str(visits)], batch_size=6, num_workers=num_workers,
            window=WindowRule(length=6, last_probability=1.0),
        )  # fmt: skip
        runner = trainer(tmp_path, max_steps=12, limit_val_batches=0, callbacks=list(callbacks))
        runner.fit(module, datamodule=data, ckpt_path=ckpt_path)
        return module.seen["train"]

    path = tmp_path / "middle.ckpt"
    whole = run([SaveInTheMiddle(path, 3)])
    rest = run(ckpt_path=str(path))
    assert [batch.keys for batch in rest] == [batch.keys for batch in whole[3:]]
    for ours, theirs in zip(rest, whole[3:], strict=True):
        assert torch.equal(ours.time_ids, theirs.time_ids)
        assert torch.equal(ours.frames, theirs.frames)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"max_steps": 10, "accumulate_grad_batches": 2}, 20),
        ({"max_epochs": 3}, 18),
        ({"max_steps": 10, "max_epochs": 3}, 10),
        ({"max_epochs": -1}, None),
    ],
)
def test_progress_is_of_the_training_that_the_trainer_announces(walks, window_processor, tmp_path, arguments, expected):
    module = Watcher(window_processor)
    data = PolicyDataModule(path=str(walks), window=RULE, batch_size=4)
    runner = trainer(tmp_path, **arguments)
    data.trainer, runner.strategy._lightning_module = runner, module
    assert data.train_dataloader().dataset.stream.total_batches == expected


class Walks(ShardGenerator):
    """Short episodes.

    Args:
        episodes: In each split.
    """

    name = "walks"
    version = 1
    shard_size = 2
    schema = POLICY_SAMPLES

    def __init__(self, *, episodes: int) -> None:
        self.episodes = episodes

    @property
    def splits(self):
        return dict.fromkeys(("train", "val", "test"), self.episodes)

    def samples(self, split, shard, count):
        for place in range(count):
            yield GeneratedSample(*episode_files(f"{split}_{shard}_{place}", 7))


def test_missing_data_is_generated(tmp_path, window_processor, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: ())  # no cores for workers: generate in this process
    data = PolicyDataModule(path=str(tmp_path / "made"), generator=Walks(episodes=4), batch_size=2, window=RULE)
    data.processor = window_processor
    data.prepare_data()
    data.setup("fit")
    assert len(list(data.train_dataloader())) == 2


def test_it_is_registered():
    assert registry.load("datamodule", "policy_shards") is PolicyDataModule


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"augmentation": "v3"}, "augmentation is 'v3', expected one of v1, v2, or null"),
        ({"max_samples": 0, "max_eval_samples": -1}, "max_samples is 0, max_eval_samples is -1, expected 1 or more"),
        ({"path": []}, "path names no data set"),
        ({"path": {"d": 0.0}}, "weight of d is 0.0"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_arguments_that_cannot_work_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        PolicyDataModule(**({"path": "d"} | arguments))


def test_an_epoch_without_a_batch_is_refused(walks, window_processor):
    data = PolicyDataModule(path=str(walks), batch_size=25)
    data.processor = window_processor
    with pytest.raises(ConfigError, match="an epoch of 24 windows holds no batch of 25 on 1 ranks"):
        data.train_dataloader()


def test_a_data_set_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="holds no dataset.json"):
        PolicyDataModule(path=str(tmp_path / "none")).setup("fit")
