import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from interruptible import start_interruptible

RUN = Path("runs/small")


def checkpoint_of(version):
    (file,) = (RUN / f"version_{version}" / "checkpoints").glob("*.ckpt")
    return file


def metrics_of(version):
    header, *rows = (RUN / f"version_{version}" / "metrics.csv").read_text().splitlines()
    columns = header.split(",")
    return {c: float(v) for row in rows for c, v in zip(columns, row.split(","), strict=True) if v}


def test_fit_leaves_a_run_folder(zoo, recipe):
    answer = zoo("fit", "--config", recipe)
    assert answer.code == 0, answer.err
    files = {path.name for path in (RUN / "version_0").iterdir()}
    assert {"config.yaml", "metrics.csv", "checkpoints"} <= files
    saved = yaml.safe_load((RUN / "version_0" / "config.yaml").read_text())
    assert saved["model"]["init_args"]["encoder"]["class_path"] == "fake_parts.small_encoder"
    assert saved["seed_everything"] == 3
    assert "Tip:" not in answer.err + answer.out


def test_runs_are_numbered_and_a_saved_configuration_repeats_its_run(zoo, recipe):
    assert zoo("fit", "--config", recipe).code == 0
    assert zoo("fit", "--config", RUN / "version_0" / "config.yaml").code == 0
    first, second = ((RUN / f"version_{number}" / "metrics.csv").read_text() for number in (0, 1))
    assert first == second


@pytest.mark.parametrize("command", ["fit", "validate", "test", "predict"])
def test_fast_dev_run_of_every_command_writes_nothing(zoo, recipe, command):
    answer = zoo(command, "--config", recipe, "--trainer.fast_dev_run=1")
    assert answer.code == 0, answer.err
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("precision", "has_bfloat16", "is_told"),
    [("bf16-mixed", False, True), ("bf16-mixed", True, False), ("32-true", False, False)],
)
def test_bfloat16_on_a_cpu_that_has_none_is_told(zoo, recipe, monkeypatch, precision, has_bfloat16, is_told):
    monkeypatch.setattr("zoo.cli.training.cpu_computes_bfloat16", lambda: has_bfloat16)
    flags = ("--trainer.accelerator=cpu", f"--trainer.precision={precision}", "--trainer.fast_dev_run=1")
    answer = zoo("fit", "--config", recipe, *flags)
    assert answer.code == 0, answer.err
    assert ("add --trainer.precision=32-true" in answer.err) is is_told


def test_print_config_is_a_recipe(zoo, recipe, tmp_path):
    answer = zoo("fit", "--config", recipe, "--model.slope=5", "--print_config")
    assert answer.code == 0
    (tmp_path / "printed.yaml").write_text(answer.out)
    again = zoo("fit", "--config", "printed.yaml", "--print_config")
    assert again.out == answer.out
    assert yaml.safe_load(answer.out)["model"]["init_args"]["slope"] == 5.0


def test_later_configuration_wins_and_flags_win_over_both(zoo, recipe, tmp_path):
    (tmp_path / "more.yaml").write_text("model: {init_args: {slope: 7.0}}\ndata: {init_args: {batch_size: 2}}\n")
    arguments = ("fit", "--config", recipe, "--config", "more.yaml", "--data.batch_size=8", "--print_config")
    printed = yaml.safe_load(zoo(*arguments).out)
    assert printed["model"]["init_args"]["slope"] == 7.0
    assert printed["data"]["init_args"]["batch_size"] == 8


def test_interpolation(zoo, recipe, tmp_path):
    (tmp_path / "more.yaml").write_text("seed_everything: 6\ndata: {init_args: {batch_size: '${seed_everything}'}}\n")
    printed = yaml.safe_load(zoo("fit", "--config", recipe, "--config", "more.yaml", "--print_config").out)
    assert printed["data"]["init_args"]["batch_size"] == 6


def test_help_of_components(zoo, recipe):
    assert "slope" in zoo("fit", "--model.help", "regression").out
    assert "Channels, 4 or more." in " ".join(
        zoo("fit", "--config", recipe, "--model.encoder.help", "wide").out.split()
    )
    assert zoo("fit", "--model.help").code == 0


def test_flag_beats_what_the_checkpoint_recorded(zoo, recipe):
    assert zoo("fit", "--config", recipe).code == 0
    assert torch.load(checkpoint_of(0), weights_only=True)["hyper_parameters"]["slope"] == 2.0
    for version, slope in ((1, 0.25), (2, 0.5)):
        answer = zoo("validate", "--config", recipe, "--ckpt_path", checkpoint_of(0), f"--model.slope={slope}")
        assert answer.code == 0, answer.err
        assert metrics_of(version)["val/start"] == slope


def test_flag_swaps_a_part_of_a_checkpoint(zoo, recipe):
    assert zoo("fit", "--config", recipe).code == 0
    for version, part, size in ((1, "small", 4), (2, "wide", 16)):
        assert zoo("validate", "--config", recipe, "--ckpt_path=last", f"--model.encoder={part}").code == 0
        assert metrics_of(version)["val/hidden_size"] == size


def test_checkpoint_carries_its_recipe_as_plain_json(zoo, recipe):
    from zoo.checkpoints.recipe import RECIPE_KEY

    assert zoo("fit", "--config", recipe, "--model.encoder=lib:x").code == 0
    kept = torch.load(checkpoint_of(0), weights_only=True)["hyper_parameters"][RECIPE_KEY]
    assert kept["class_path"] == "fake_parts.Regression"
    assert kept["init_args"]["encoder"] == {
        "class_path": "fake_parts.encoder_from",
        "init_args": {"name": "x", "hidden_size": 4},
    }


@pytest.mark.parametrize("which", ["last", "best"])
def test_last_and_best_mean_the_newest_run_of_that_name(zoo, recipe, which):
    assert zoo("fit", "--config", recipe).code == 0
    learnt = torch.load(checkpoint_of(0), weights_only=True)["state_dict"]["slope"].item()
    assert (
        zoo("validate", "--config", recipe, "--trainer.limit_val_batches=1").code == 0
    )  # leaves a run without checkpoint
    answer = zoo("test", "--config", recipe, "--ckpt_path", which)
    assert answer.code == 0, answer.err
    assert metrics_of(2)["test/slope"] == pytest.approx(learnt)


def test_fit_goes_on_from_the_last_checkpoint(zoo, recipe):
    assert zoo("fit", "--config", recipe).code == 0
    assert zoo("fit", "--config", recipe, "--ckpt_path=last", "--trainer.max_steps=5").code == 0
    assert torch.load(checkpoint_of(1), weights_only=True)["global_step"] == 5


def test_test_refuses_to_score_random_weights_as_the_last(mistake, recipe):
    sentence = mistake("test", "--config", recipe, "--ckpt_path=last")
    assert "no checkpoint in runs/small/version_*/checkpoints" in sentence
    assert "zoo fit --config small" in sentence


def test_first_fit_from_last_starts_anew(zoo, recipe):
    assert zoo("fit", "--config", recipe, "--ckpt_path=last").code == 0


class Planted:
    def __reduce__(self):
        return (os.mkdir, ("planted",))


def test_pickle_in_a_checkpoint_is_not_run(zoo, recipe):
    assert zoo("fit", "--config", recipe).code == 0
    content = torch.load(checkpoint_of(0), weights_only=True)
    torch.save({**content, "planted": Planted()}, "bad.ckpt")
    with pytest.raises(pickle.UnpicklingError):
        zoo("fit", "--config", recipe, "--ckpt_path=bad.ckpt")
    assert not Path("planted").exists()


def test_logger_and_folder_of_the_user_s_own(zoo, recipe):
    assert zoo("fit", "--config", recipe, "--trainer.default_root_dir=elsewhere").code == 0
    assert Path("elsewhere/small/version_0/config.yaml").exists()
    assert zoo("fit", "--config", recipe, "--trainer.logger=false").code == 0
    own = ("--trainer.logger=CSVLogger", "--trainer.logger.save_dir=mine")
    assert zoo("fit", "--config", recipe, *own).code == 0
    assert Path("mine/lightning_logs/version_0/metrics.csv").exists()
    assert not Path("runs/small").exists()


def test_run_without_a_recipe(zoo):
    flags = ("--model=regression", "--model.encoder=small", "--data=numbers", "--trainer.max_steps=1")
    assert zoo("fit", *flags, "--trainer.enable_progress_bar=false").code == 0
    assert Path("runs/unnamed/version_0").is_dir()


def test_bug_keeps_its_traceback(zoo, recipe, monkeypatch):
    import fake_parts

    def broken(self, batch, index):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(fake_parts.Regression, "training_step", broken)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        zoo("fit", "--config", recipe)


def test_interrupt_ends_with_130_and_no_traceback(recipe, tmp_path):
    fakes = Path(__file__).parents[1] / "fakes"
    text = recipe.read_text().replace("regression", "fake_parts.Regression").replace("numbers", "fake_parts.Numbers")
    recipe.write_text(text.replace("encoder: small", "encoder: fake_parts.small_encoder, pause_s: 0.2"))
    command = [
        sys.executable,
        "-m",
        "zoo",
        "fit",
        "--config",
        recipe.name,
        "--trainer.max_steps=-1",
        "--trainer.max_epochs=-1",
    ]
    environment = {**os.environ, "PYTHONPATH": os.fspath(fakes)}
    process = start_interruptible(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    metrics = tmp_path / "runs" / "small" / "version_0" / "metrics.csv"
    deadline = time.monotonic() + 120
    while not metrics.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert err.strip().endswith("zoo: interrupted")


def test_callbacks_are_appended_one_by_one(zoo, recipe):
    flags = (
        "--trainer.callbacks+=run_report",
        "--trainer.callbacks+=EarlyStopping",
        "--trainer.callbacks.monitor=loss",
    )
    answer = zoo("fit", "--config", recipe, "--trainer.callbacks=null", *flags, "--print_config")
    first, second = yaml.safe_load(answer.out)["trainer"]["callbacks"]
    assert first["class_path"].endswith("RunReport")
    assert second["class_path"].endswith("EarlyStopping")
    assert second["init_args"]["monitor"] == "loss"
