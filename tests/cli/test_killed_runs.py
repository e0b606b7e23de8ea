"""A run that is killed and started again with `--ckpt_path last` goes on as if nothing had happened."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from fit_process import run as run_command
from small_clips import write_dataset

from zoo.cli.runs import find_checkpoint
from zoo.report.files import read_run

STEPS = 13  # of epochs with 8 batches, or some of packs
PATIENCE_S = 600


def recipe(num_workers, packed):
    """Everything that a resumption must carry: dropped-out gradients, two epochs, validations, a schedule."""
    tiny = {"hidden_size": 32, "num_heads": 2}
    return {
        "seed_everything": 7,
        "model": {
            "class_path": "vlm",
            "init_args": {
                "vision": {"class_path": "vit-tiny", "init_args": {**tiny, "image_size": 48, "num_blocks": 1}},
                "connector": {"class_path": "attention_pool", "init_args": {"head_dim": 16}},
                "language": {"class_path": "qwen3-tiny", "init_args": {**tiny, "num_layers": 1}},
                "tokenizer": "words",
                "heads": [{"class_path": "qa", "init_args": {"max_new_tokens": 2}}],
                "max_frames": 4,
            },
        },
        "data": {
            "class_path": "shards",
            "init_args": {
                "path": "clips",
                "batch_size": 3,
                "num_workers": num_workers,
                "shuffle_buffer": 5,
                "packing": {"max_tokens": 600, "max_frames": 16, "pool": 6} if packed else None,
            },
        },
        "trainer": {
            "max_steps": STEPS,
            "accelerator": "cpu",
            "devices": 1,
            "val_check_interval": 5,
            "check_val_every_n_epoch": None,
            "num_sanity_val_steps": 0,
            "log_every_n_steps": 1,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "callbacks": [
                {"class_path": "batch_log"},
                {"class_path": "run_report", "init_args": {"clips": 0}},
                {"class_path": "last_step", "init_args": {"every_minutes": 0}},
                {"class_path": "fake_parts.GradientNoise"},
            ],
        },
    }


@pytest.fixture(scope="module")
def processes():
    """Starts processes that have imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fit_process", "fake_parts", "zoo.cli.training", "zoo.module", "zoo.callbacks"])
    return context


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    shards = [[f"t{shard}{place}" for place in range(6)] for shard in range(4)]
    return write_dataset(tmp_path_factory.mktemp("clips"), train=shards, val=[["v0", "v1", "v2", "v3"]])


ARGUMENTS = ["fit", "--config", "small.yaml", "--ckpt_path", "last"]


class Runs:
    """The runs of one recipe in one folder."""

    files = ("batches.jsonl",)

    def __init__(self, folder, clips, processes, **choices):
        folder.mkdir()
        (folder / "clips").symlink_to(clips)
        (folder / "small.yaml").write_text(yaml.safe_dump(recipe(**choices)))
        self.folder, self.processes = folder, processes
        self.log = folder / "log.txt"

    def fit(self, kill_at=None):
        """Go on from the last checkpoint, to the end or until a step is logged."""
        process = self.processes.Process(target=run_command, args=(str(self.folder), str(self.log), ARGUMENTS))
        process.start()
        if kill_at is not None and self.reaches(kill_at, process.is_alive):
            os.kill(process.pid, signal.SIGKILL)
        process.join(PATIENCE_S)
        assert process.exitcode == (0 if kill_at is None else -signal.SIGKILL), self.log.read_text()[-3000:]

    def reaches(self, step, is_alive):
        """Wait until a run has logged a step; False where it ends before."""
        deadline = time.monotonic() + PATIENCE_S
        while is_alive() and time.monotonic() < deadline:
            if any(line["step"] >= step for lines in self.lines() for line in lines):
                return True
            time.sleep(0.002)
        return False

    def versions(self):
        found = (self.folder / "runs" / "small").glob("version_*")
        return sorted(found, key=lambda path: int(path.name.partition("_")[2]))

    def lines(self, name=None):
        """What each run in turn wrote about its batches."""
        files = [path / (name or self.files[0]) for path in self.versions()]
        texts = [file.read_text() if file.exists() else "" for file in files]
        return [[json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")] for text in texts]

    def checkpoint(self):
        path = find_checkpoint("last", self.folder / "runs" / "small")
        return torch.load(path, map_location="cpu", weights_only=True)


class PairedRuns(Runs):
    """Runs in two processes, typed as a user types them, because the first one starts the second."""

    files = ("batches.0.jsonl", "batches.1.jsonl")

    def fit(self, kill_at=None):
        paths = [str(Path(__file__).parents[1] / "fakes"), os.environ.get("PYTHONPATH", "")]
        flags = ["--trainer.devices=2", "--trainer.strategy=ddp"]
        with self.log.open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "zoo", *ARGUMENTS, *flags], cwd=self.folder, stdout=log, stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, paths))},
                start_new_session=True,
            )  # fmt: skip
        if kill_at is not None and self.reaches(kill_at, lambda: process.poll() is None):
            os.killpg(process.pid, signal.SIGKILL)  # both, and their loader workers: as when a machine goes down
        code = process.wait(PATIENCE_S)
        assert code == (0 if kill_at is None else -signal.SIGKILL), self.log.read_text()[-3000:]


def assert_equal(one, other):
    """Bit for bit, at any depth."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_equal(left, right)
    else:
        assert one == other


def assert_goes_on(parts, whole):
    """What killed runs logged in turn, against what one run logged that nobody killed."""
    reached = 0
    for part in parts:
        if part:  # a run may be killed before its first step
            first, last = part[0]["step"], part[-1]["step"]
            assert first <= reached + 1, "steps are missing"
            assert part == whole[first - 1 : last]
            assert first > reached - 2, "more was repeated than the steps that were not saved yet"
            reached = last
    assert reached == STEPS


def check(tmp_path, clips, processes, kills, kind=Runs, **choices):
    unbroken = kind(tmp_path / "unbroken", clips, processes, **choices)
    unbroken.fit()
    killed = kind(tmp_path / "killed", clips, processes, **choices)
    for step in kills:
        killed.fit(kill_at=step)
    killed.fit()
    for file in kind.files:
        (whole,) = unbroken.lines(file)
        assert [line["step"] for line in whole] == list(range(1, STEPS + 1))
        assert len({line["loss"] for line in whole}) == STEPS
        assert whole[-1]["epoch"] > 0
        assert_goes_on(killed.lines(file), whole)
    assert unbroken.checkpoint()["global_step"] == STEPS
    for entry in ("state_dict", "optimizer_states", "lr_schedulers", "random_states", "loops"):
        assert_equal(killed.checkpoint()[entry], unbroken.checkpoint()[entry])
    assert read_run(killed.versions()[-1]).metrics["val/loss"] == read_run(unbroken.versions()[-1]).metrics["val/loss"]


@pytest.mark.parametrize(("num_workers", "packed"), [(0, True), (2, False)])
def test_killed_twice(tmp_path, clips, processes, num_workers, packed):
    check(tmp_path, clips, processes, kills=(3, 10), num_workers=num_workers, packed=packed)


@pytest.mark.slow
@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("packed", [False, True])
def test_killed_at_every_step(tmp_path, clips, processes, num_workers, packed):
    check(tmp_path, clips, processes, kills=range(1, STEPS), num_workers=num_workers, packed=packed)


@pytest.mark.slow
@pytest.mark.parametrize(("num_workers", "packed"), [(0, True), (2, False)])
def test_two_processes_killed_twice(tmp_path, clips, processes, num_workers, packed):
    """Keys and losses of both, weights and optimiser states, as of a run in two processes that nobody killed."""
    check(tmp_path, clips, processes, kills=(3, 8), kind=PairedRuns, num_workers=num_workers, packed=packed)


def test_another_number_of_workers_is_refused_in_one_sentence(tmp_path, clips, processes, monkeypatch, capfd):
    from zoo.cli import main

    runs = Runs(tmp_path / "changed", clips, processes, num_workers=2, packed=False)
    runs.fit(kill_at=2)
    monkeypatch.chdir(runs.folder)
    assert main(["fit", "--config", "small.yaml", "--ckpt_path", "last", "--data.num_workers=0"]) == 2
    last = capfd.readouterr().err.strip().splitlines()[-1]
    assert last.startswith(
        "zoo: ckpt_path: the samples cannot go on where the checkpoint stopped, because data.num_workers"
    )
    assert Path("runs/small/version_0").is_dir()
