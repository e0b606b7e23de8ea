"""Whole runs in two processes, started the way a user starts them."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from zoo.checkpoints.lightning_checkpoint import load_checkpoint
from zoo.checkpoints.sharded import is_sharded

pytestmark = [pytest.mark.slow, pytest.mark.render]

FLAGS = (
    *("--data.batch_size=2", "--data.generator=null", "--model.optimiser.vision.learning_rate=1e-3"),
    *("--trainer.accelerator=cpu", "--trainer.devices=2", "--trainer.enable_progress_bar=false"),
    *("--trainer.callbacks+=run_report", "--trainer.callbacks+=blind_baseline", "--trainer.val_check_interval=1"),
)
VERSION = Path("runs/small/version_0")


def started(command: str, *arguments: str) -> str:
    """What a command in a process of its own writes, which starts the second one itself."""
    typed = [sys.executable, "-m", "zoo", command, "--config=small.yaml", *FLAGS, *arguments]
    done = subprocess.run(
        typed, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_a_run_in_two_processes_trains_reports_and_goes_on(strategy, video_recipe):
    chosen = f"--trainer.strategy={strategy}"
    told = started("fit", chosen, "--trainer.max_steps=2")
    assert told.count("validation accuracy") == 1  # the first process speaks
    assert [path.name for path in Path("runs/small").iterdir()] == ["version_0"]
    assert (VERSION / "report.html").is_file()
    (saved,) = (VERSION / "checkpoints").iterdir()
    assert is_sharded(saved) == (strategy == "fsdp2")
    assert load_checkpoint(saved).processor.image_size == (72, 72)
    started("fit", chosen, "--trainer.max_steps=4", "--ckpt_path=last")
    told = started("test", chosen, "--ckpt_path=last")
    results = json.loads(Path("runs/small/version_2/results.json").read_text())
    predictions = Path("runs/small/version_2/predictions.jsonl").read_text().splitlines()
    assert told.count("held-out accuracy") == 1
    assert (
        len(predictions) == 3 * results["questions"]
    )  # with two controls: every clip once, in one process or the other
    assert len({json.loads(line)["key"] for line in predictions}) == 2


def test_deepspeed_without_deepspeed_says_what_to_install(mistake, video_recipe):
    if find_spec("deepspeed"):
        pytest.skip("DeepSpeed is installed here")
    sentence = mistake("fit", "--config=small.yaml", *FLAGS, "--trainer.strategy=deepspeed_stage_2")
    assert "DeepSpeed" in sentence
