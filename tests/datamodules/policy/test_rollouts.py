"""Rounds under a Trainer: when they are made and by which weights, what is learnt from, how a stopped run goes on."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.strategies import FSDPStrategy
from recorded_episodes import episode_files, write_episodes

from zoo import registry
from zoo.datamodules.policy.rollouts import PolicyRollouts
from zoo.datamodules.policy.windows import WindowRule
from zoo.errors import ConfigError, DataError
from zoo.navigation_actions import SpocAction
from zoo.policy import Policy
from zoo.rollout_rounds import RolloutRounds

RULE = WindowRule(length=6)
LABEL = SpocAction.DROPOFF  # which no recorded episode holds


class Weight(Policy):
    """Answers the module's only weight."""

    def __init__(self, module):
        self.module = module

    def reset(self, tasks):
        self.tasks = tasks

    def act(self, observation, slots):
        value = self.module.weight * 1.0
        assert not value.requires_grad
        return np.full((len(slots), 1, 1), float(value), np.float32)


class Learner(LightningModule):
    """Adds one to its weight at every step, and remembers what it was shown."""

    def __init__(self, processor):
        super().__init__()
        self.processor = processor
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = []

    def training_step(self, batch, batch_idx):
        self.seen.append(batch)
        return -self.weight

    def validation_step(self, batch, batch_idx):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)


class Actor(Learner):
    def policy(self):
        return Weight(self)


class Rounds(RolloutRounds):
    """Two shards of two episodes a round, whose labels are all alike; asks the policy once."""

    def __init__(self, fault_at: int | None = None) -> None:
        self.fault_at, self.asked, self.was_training = fault_at, [], []

    def check(self, policy):
        self.checked = policy

    def collect(self, folder, number, policy, *, workers):
        if number == self.fault_at:
            raise KeyboardInterrupt
        if not (folder / "dataset.json").exists():
            self.asked.append((number, float(policy.act({}, [0])[0, 0, 0]), workers))
            self.was_training.append(policy._policy.module.training)
            shards = [[labelled(f"round{number}-{shard}{place}") for place in range(2)] for shard in range(2)]
            write_episodes(folder, train=shards)
        return {"success": number / 10, "episodes": 4}


def labelled(key):
    record, videos, columns = episode_files(key, 7)
    return record, videos, columns | {"expert_actions": np.full(7, LABEL, np.int8)}


class StopAt(Callback):
    def __init__(self, step):
        self.step = step

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == self.step:
            trainer.save_checkpoint(Path(trainer.default_root_dir) / "stopped.ckpt")
            raise RuntimeError("stopped")


def trainer(folder, *, steps, callbacks=(), **arguments):
    quiet = dict.fromkeys(("enable_progress_bar", "enable_model_summary", "enable_checkpointing"), False)
    chosen = {"logger": CSVLogger(folder, name="run"), "reload_dataloaders_every_n_epochs": 1} | quiet | arguments
    return Trainer(
        default_root_dir=folder, accelerator="cpu", devices=1, num_sanity_val_steps=0, log_every_n_steps=1,
        max_steps=steps, callbacks=list(callbacks), **chosen,
    )  # fmt: skip


def data(walks, rounds, **arguments):
    chosen = {"path": str(walks), "window": RULE, "batch_size": 4, "augmentation": None, "steps_per_round": 3}
    return PolicyRollouts(rollouts=rounds, **chosen | arguments)


def keys(batches):
    return [key for batch in batches for key in batch.keys]


def shown(batches):
    return [(batch.keys, batch.time_ids.tolist()) for batch in batches]


def test_every_epoch_begins_with_a_round_of_the_weights_as_they_are(walks, window_processor, tmp_path):
    module, rounds = Actor(window_processor), Rounds()
    trainer(tmp_path, steps=9).fit(module, datamodule=data(walks, rounds, rollout_workers=3))
    assert rounds.asked == [(0, 0.0, 3), (1, 3.0, 3), (2, 6.0, 3)]
    assert rounds.was_training == [False] * 3
    assert module.training
    folders = sorted(path.name for path in (tmp_path / "run/version_0/rollouts").iterdir())
    assert folders == ["round_000", "round_001", "round_002"]
    rows = list(csv.DictReader((tmp_path / "run/version_0/metrics.csv").open()))
    assert [(r["step"], r["rollouts/success"]) for r in rows if r["rollouts/success"]] == [
        ("0", "0.0"),
        ("3", "0.1"),
        ("6", "0.2"),
    ]


def test_all_rounds_so_far_are_learnt_from_by_their_labels(walks, window_processor, tmp_path):
    module = Actor(window_processor)
    made = data(walks, Rounds(), steps_per_round=20, rollout_share=0.5)
    trainer(tmp_path, steps=60).fit(module, datamodule=made)
    for epoch in range(3):
        batches = module.seen[20 * epoch : 20 * epoch + 20]
        own = [key for key in keys(batches) if key.startswith("round")]
        assert {key[5] for key in own} == {str(number) for number in range(epoch + 1)}
        assert 25 <= len(own) <= 55  # of 80, half
    for batch in module.seen:
        for row, key in enumerate(batch.keys):
            labels = batch.actions[row, batch.valid_mask[row]]
            assert (labels == LABEL).all() == key.startswith("round")
            if key.startswith("round"):  # what was made before is what was made, not the label
                before = batch.previous_actions[row, batch.valid_mask[row]][1:]
                assert set(before.tolist()) <= {0, 1, 2, 3}


def test_several_data_sets_share_what_rounds_leave_them(walks, visits, window_processor, tmp_path):
    paths = {str(walks): 3.0, str(visits): 1.0}
    made = data(walks, Rounds(), path=paths, rollout_share=0.2)
    trainer(tmp_path, steps=3).fit(Actor(window_processor), datamodule=made)
    assert [source.weight for source in made.sources("train")] == pytest.approx([0.6, 0.2, 0.2])
    assert [source.num_samples for source in made.sources("train")] == [24, 6, 4]
    assert [source.num_samples for source in made.sources("validate")] == [5]


@pytest.mark.parametrize(("stop", "workers"), [(1, 0), (2, 0), (3, 0), (4, 0), (6, 0), (5, 1)])
def test_a_stopped_run_goes_on_with_the_same_batches_and_rounds(walks, window_processor, tmp_path, stop, workers):
    whole, rounds = Actor(window_processor), Rounds()
    trainer(tmp_path / "whole", steps=9).fit(whole, datamodule=data(walks, rounds, num_workers=workers))
    first = Rounds()
    with pytest.raises(RuntimeError, match="stopped"):
        trainer(tmp_path, steps=9, callbacks=[StopAt(stop)]).fit(
            Actor(window_processor), datamodule=data(walks, first, num_workers=workers)
        )
    module, second = Actor(window_processor), Rounds()
    trainer(tmp_path, steps=9).fit(
        module, datamodule=data(walks, second, num_workers=workers), ckpt_path=tmp_path / "stopped.ckpt"
    )
    assert shown(module.seen) == shown(whole.seen[stop:])
    assert first.asked + second.asked == rounds.asked
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["version_0", "version_1"]
    assert len(list((tmp_path / "run/version_0/rollouts").iterdir())) == 3
    assert not (tmp_path / "run/version_1/rollouts").exists()


def test_a_run_goes_on_from_the_end_of_an_epoch(walks, window_processor, tmp_path):
    whole, rounds = Actor(window_processor), Rounds()
    saved = ModelCheckpoint(tmp_path / "ends", save_top_k=-1, save_on_train_epoch_end=True)
    trainer(tmp_path, steps=9, callbacks=[saved], enable_checkpointing=True).fit(whole, datamodule=data(walks, rounds))
    module = Actor(window_processor)
    again = Rounds()
    trainer(tmp_path, steps=9).fit(
        module, datamodule=data(walks, again), ckpt_path=tmp_path / "ends/epoch=1-step=6.ckpt"
    )
    assert shown(module.seen) == shown(whole.seen[6:])
    assert not again.asked  # the third round was there


def test_an_interrupted_round_is_gone_on_with(walks, window_processor, tmp_path):
    saved = ModelCheckpoint(tmp_path / "ends", save_top_k=-1, save_on_train_epoch_end=True)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        trainer(tmp_path, steps=9, callbacks=[saved], enable_checkpointing=True).fit(
            Actor(window_processor), datamodule=data(walks, Rounds(fault_at=1))
        )
    rounds = Rounds()
    trainer(tmp_path, steps=9).fit(
        Actor(window_processor), datamodule=data(walks, rounds), ckpt_path=tmp_path / "ends/epoch=0-step=3.ckpt"
    )
    assert rounds.asked == [(1, 3.0, 1), (2, 6.0, 1)]


def test_a_run_whose_rounds_are_gone_cannot_go_on(walks, window_processor, tmp_path):
    with pytest.raises(RuntimeError, match="stopped"):
        trainer(tmp_path, steps=9, callbacks=[StopAt(4)]).fit(Actor(window_processor), datamodule=data(walks, Rounds()))
    (tmp_path / "run/version_0/rollouts/round_000").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"round_000: the round is not there.*begin anew"):
        trainer(tmp_path, steps=9).fit(
            Actor(window_processor), datamodule=data(walks, Rounds()), ckpt_path=tmp_path / "stopped.ckpt"
        )


def test_a_quick_trial_leaves_nothing_behind(walks, window_processor, tmp_path):
    module, rounds = Actor(window_processor), Rounds()
    trainer(tmp_path, steps=9, fast_dev_run=True).fit(module, datamodule=data(walks, rounds))
    assert len(module.seen) == 1
    assert not rounds.asked
    assert not (tmp_path / "rollouts").exists()


def test_accumulated_batches_are_one_step(walks, window_processor, tmp_path):
    module, rounds = Actor(window_processor), Rounds()
    trainer(tmp_path, steps=6, accumulate_grad_batches=2).fit(module, datamodule=data(walks, rounds))
    assert [number for number, *_ in rounds.asked] == [0, 1]
    assert len(module.seen) == 12


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"steps_per_round": 0}, "steps_per_round is 0"),
        ({"rollout_share": 1.0}, "rollout_share 1.0"),
        ({"rollout_share": 0.0}, "rollout_share 0.0"),
        ({"rollout_workers": -1}, "rollout_workers -1"),
        ({"augmentation": "v3"}, "augmentation is 'v3'"),
    ],
)
def test_bad_arguments(walks, arguments, words):
    with pytest.raises(ConfigError, match=words):
        data(walks, Rounds(), **arguments)


def test_what_cannot_be_trained_so_is_refused_before_anything_is_made(walks, window_processor, tmp_path):
    rounds = Rounds()
    with pytest.raises(ConfigError, match="Learner has no policy"):
        trainer(tmp_path, steps=1).fit(Learner(window_processor), datamodule=data(walks, rounds))
    with pytest.raises(ConfigError, match="reload_dataloaders_every_n_epochs is 0.*set it to 1"):
        trainer(tmp_path, steps=1, reload_dataloaders_every_n_epochs=0).fit(
            Actor(window_processor), datamodule=data(walks, rounds)
        )
    with pytest.raises(ConfigError, match="max_epochs is 2; say how long.*max_steps alone, 3 for each round"):
        trainer(tmp_path, steps=-1, max_epochs=2).fit(Actor(window_processor), datamodule=data(walks, rounds))
    made = data(walks, rounds)
    sharded = trainer(tmp_path, steps=1)
    made.trainer = sharded
    sharded.strategy._lightning_module = Actor(window_processor)
    sharded._accelerator_connector.strategy = FSDPStrategy.__new__(FSDPStrategy)
    sharded.strategy._lightning_module = Actor(window_processor)
    with pytest.raises(ConfigError, match="under FSDPStrategy no process holds all weights.*policy_shards"):
        made.setup("fit")
    assert not rounds.asked


def test_it_has_a_name_and_evaluates_as_others_do(walks, window_processor):
    made = registry.build("datamodule", "policy_rollouts", path=str(walks), rollouts=Rounds(), window=RULE)
    made.processor = window_processor
    made.setup("test")
    assert sorted(keys(made.test_dataloader())) == ["we00", "we01", "we10", "we11"]
    assert len(made.train_dataloader()) == 200  # of what was recorded alone, where there is no trainer
    assert json.loads(json.dumps(made.state_dict())) == {}
