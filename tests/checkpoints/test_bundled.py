"""Checkpoints that come with the package: found by name, shadowed by a path of that name, named in errors."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import zoo
from zoo import ask, bundled
from zoo.cli import folders, listing, main, runs
from zoo.envs.tabletop import Tabletop
from zoo.errors import ConfigError, DataError

SIZE_LIMIT = 4_000_000


@pytest.fixture
def shipped(saved, tmp_path, monkeypatch):
    """One checkpoint under the name `small-one`, in a working directory of its own."""
    monkeypatch.setattr(bundled, "FOLDER", tmp_path / "bundled")
    shutil.copytree(saved, tmp_path / "bundled" / "small-one")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "bundled" / "small-one"


def test_a_name_is_its_folder(shipped, module):
    assert bundled.names() == ("small-one",)
    loaded = zoo.from_pretrained("small-one").state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in module.state_dict().items())
    assert folders.checkpoint_folder("small-one") == shipped


def test_a_folder_of_the_users_comes_first(shipped, tmp_path):
    (tmp_path / "here" / "small-one").mkdir()
    with pytest.raises(ConfigError, match="is no checkpoint folder"):
        zoo.from_pretrained("small-one")


def test_names_are_listed_and_told(shipped):
    assert "small-one" in listing.list_names("checkpoint")
    with pytest.raises(ConfigError, match="small-one"):
        zoo.from_pretrained("smal-one")
    with pytest.raises(ConfigError, match="last, best or small-one"):
        runs.check_exists("smal-one")


def test_asking_takes_the_newest_run_and_else_the_bundled_one(shipped, tmp_path, monkeypatch):
    asked = []

    def remember(name):
        asked.append(name)
        raise DataError(f"{name} is not there")

    monkeypatch.setattr(ask, "BUNDLED", "small-one")
    monkeypatch.setattr(ask, "from_pretrained", remember)
    run = tmp_path / "here" / "runs" / "a" / "version_0" / "checkpoints"
    for _ in range(2):
        with pytest.raises(DataError, match="not there"):
            ask.ask("What?", [tmp_path / "missing.png"])
        run.mkdir(parents=True, exist_ok=True)
        (run / "last.ckpt").touch()
    assert asked == [ask.BUNDLED, "runs"]


@pytest.mark.parametrize("name", bundled.names())
def test_every_shipped_checkpoint_loads_and_is_small(name):
    module = zoo.from_pretrained(name)
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}
    assert all(parameter.isfinite().all() for parameter in module.parameters())
    assert sum(file.stat().st_size for file in (bundled.FOLDER / name).rglob("*") if file.is_file()) < SIZE_LIMIT
    assert bundled.summary(name)


@pytest.mark.render
def test_molmo2_tiny_answers_about_clips_that_it_has_not_seen(tmp_path, monkeypatch):
    """At least 80 % right, where a text-only reader has 30 %; a recipe's 600 clips are in the README."""
    monkeypatch.chdir(tmp_path)
    Tabletop(seed=77, train_clips=8, val_clips=4, test_clips=24, samples_per_shard=24).generate(
        Path("clips"), workers=0
    )
    given = [
        "--config",
        "molmo2/tiny_clips",
        "--ckpt_path",
        "molmo2-tiny",
        "--data.path=clips",
        "--data.generator=null",
    ]
    quick = [
        "--data.num_workers=0",
        "--model.controls=[]",
        "--trainer.accelerator=cpu",
        "--trainer.enable_progress_bar=false",
    ]
    heads = '--model.heads=[{"class_path": "qa", "init_args": {"max_new_tokens": 4}}]'
    assert main(["test", *given, *quick, heads]) == 0
    (results,) = Path("runs").rglob("results.json")
    told = json.loads(results.read_text())
    assert told["questions"] > 300
    assert told["accuracy"] >= 0.8


@pytest.mark.render
def test_spoc_tiny_finds_things_in_houses_that_it_has_not_seen(tmp_path, monkeypatch):
    """A quarter of 12 episodes, of which random moves find none; all of `nav100` is in docs/navigation.md."""
    monkeypatch.chdir(tmp_path)
    given = ["--policy", "spoc-tiny", "--benchmark", "nav100", "--episodes", "12", "--videos", "0"]
    assert main(["evaluate", *given, "--json", "scores.json"]) == 0
    (task,) = json.loads(Path("scores.json").read_text())["tasks"]
    assert task["episodes"] == 12
    assert task["success_at_end"] >= 0.25
    assert task["sel"] > 0.1
