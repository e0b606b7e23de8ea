"""A module that is being trained is scored in the simulator, in a real run of a Trainer."""

import csv
import json
import multiprocessing
import re

import numpy as np
import pytest
import torch
from corner_episode import corner_benchmark
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader

from zoo.callbacks.simulator_evaluation import SimulatorEvaluation
from zoo.errors import ConfigError, UnknownNameError
from zoo.policy import Policy
from zoo.report import write_report


class Held(Policy):
    """Keeps the joints where a module's only weight says."""

    def __init__(self, module):
        self.module, self.seen = module, []

    def reset(self, tasks):
        self.seen += [task["instruction"] for task in tasks.values()]

    def act(self, observation, slots):
        target = self.module.weight.tanh()
        assert not target.requires_grad  # no gradients, in whichever thread it is asked
        self.module.acted_in.append((self.module.training, float(self.module.weight)))
        return np.full((len(slots), 1, 8), float(target), np.float32)


class Learner(LightningModule):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.acted_in = []

    def training_step(self, batch, batch_idx):
        return (self.weight - 1) ** 2

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Actor(Learner):
    def policy(self):
        return Held(self)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return corner_benchmark(tmp_path_factory.mktemp("benchmark"))


def fit(module, callback, folder, steps=4, **more):
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        max_steps=steps,
        callbacks=[callback],
        logger=CSVLogger(folder, name=""),
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        **more,
    )
    trainer.fit(module, DataLoader(range(100)))
    return trainer


@pytest.mark.render
def test_training_is_scored_every_so_many_steps(folder, tmp_path):
    module = Actor()
    callback = SimulatorEvaluation(benchmark=str(folder), every_n_steps=2, horizon_steps=2, videos=1)
    trainer = fit(module, callback, tmp_path)
    runs = sorted((tmp_path / "version_0" / "simulator").iterdir())
    assert [run.name for run in runs] == ["step_0000002", "step_0000004"]
    for run in runs:
        task = json.loads((run / "summary.json").read_text())["tasks"][0]
        assert (task["task"], task["episodes"], task["failures"]) == ("pick", 2, {"horizon": 2})
        assert (run / "videos" / "0.mp4").is_file()
        assert (run / "report.html").is_file()
    # It acted with the weights of the step, while evaluating, and training went on in training mode.
    assert module.training
    assert {was_training for was_training, _ in module.acted_in} == {False}
    weights = sorted({weight for _, weight in module.acted_in})
    assert weights == pytest.approx([0.36, 0.5904])  # 1 - 0.8^n of (w - 1)^2 at rate 0.1
    assert trainer.callback_metrics["sim/pick/success_at_end"] == 0
    rows = list(csv.DictReader((tmp_path / "version_0" / "metrics.csv").open()))
    assert {row["step"] for row in rows if row["sim/pick/ci95_high"]} == {"2", "4"}
    assert not multiprocessing.active_children()  # workers end with the training
    page = write_report(tmp_path / "version_0").read_text()
    assert "In the simulator, after 4 steps: 2 episodes" in page
    assert "data:video/mp4" in page


def test_episodes_can_be_limited_and_accumulated_batches_count_once(folder, tmp_path):
    callback = SimulatorEvaluation(benchmark=str(folder), every_n_steps=2, episodes=1, horizon_steps=1, videos=0)
    fit(Actor(), callback, tmp_path, steps=2, accumulate_grad_batches=3)
    summary = json.loads((tmp_path / "version_0/simulator/step_0000002/summary.json").read_text())
    assert summary["num_scored"] == 1


@pytest.mark.render
def test_a_module_says_what_it_looks_at(folder, tmp_path):
    shapes = []

    class Seeing(Held):
        cameras, image_size = ("exo", "absent"), (40, 24)

        def act(self, observation, slots):
            shapes.append({name: value.shape for name, value in observation.items() if value.dtype == np.uint8})
            return super().act(observation, slots)

    class Watcher(Actor):
        def policy(self):
            return Seeing(self)

    callback = SimulatorEvaluation(benchmark=str(folder), every_n_steps=1, episodes=1, horizon_steps=1, videos=0)
    fit(Watcher(), callback, tmp_path, steps=1)
    assert shapes == [{"exo": (1, 24, 40, 3)}]


def test_a_module_that_cannot_act_is_refused(folder, tmp_path):
    callback = SimulatorEvaluation(benchmark=str(folder))
    with pytest.raises(ConfigError, match=re.escape("Learner has no policy()")):
        fit(Learner(), callback, tmp_path)


@pytest.mark.parametrize("given", [{"every_n_steps": 0}, {"workers": 0}, {"episodes": 0}, {"max_seconds": 0}])
def test_numbers_out_of_range(folder, given):
    with pytest.raises(ConfigError, match=f"{next(iter(given))}': 0"):
        SimulatorEvaluation(benchmark=str(folder), **given)


def test_unknown_benchmark():
    with pytest.raises((UnknownNameError, ConfigError), match="mnii"):
        SimulatorEvaluation(benchmark="mnii")
