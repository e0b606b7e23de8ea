import os
import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader

import zoo
from zoo.checkpoints.lightning_checkpoint import find_checkpoint, load_checkpoint, read_checkpoint
from zoo.checkpoints.recipe import RECIPE_KEY
from zoo.errors import ConfigError


@pytest.fixture
def trained(module, batch_of, tmp_path) -> Path:
    """A checkpoint in a run folder, as `zoo fit` leaves it."""
    run = Trainer(
        accelerator="cpu",
        logger=False,
        max_steps=1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    run.fit(module, DataLoader([batch_of(module)], batch_size=None))
    file = tmp_path / "runs" / "version_0" / "checkpoints" / "last.ckpt"
    run.save_checkpoint(file)
    return file


def test_a_module_comes_back_from_its_own_recipe(trained, module, batch_of):
    again = load_checkpoint(trained)
    batch = batch_of(module)
    with torch.no_grad():
        torch.testing.assert_close(again(batch).logits, module.eval()(batch).logits, rtol=0, atol=0)
    assert not again.training


def test_a_run_folder_means_its_newest_checkpoint(trained, tmp_path):
    assert find_checkpoint(trained.parents[2]) == trained
    weights = load_checkpoint(trained).state_dict()
    for place in (trained, trained.parents[1], tmp_path / "runs"):
        loaded = zoo.from_pretrained(place).state_dict()
        assert all(torch.equal(loaded[name], weights[name]) for name in weights)


def test_a_newer_checkpoint_that_was_not_written_to_its_end_is_passed_over(trained):
    cut = trained.with_name("cut.ckpt")
    cut.write_bytes(trained.read_bytes()[:-100])
    later = trained.stat().st_mtime + 5
    os.utime(cut, (later, later))
    assert find_checkpoint(trained.parents[1]) == trained


def test_a_folder_without_one_holds_none(tmp_path):
    assert find_checkpoint(tmp_path) is None


class Planted:
    def __reduce__(self):
        return (print, ("run",))


def test_a_pickle_is_not_executed(tmp_path, capsys):
    file = tmp_path / "evil.ckpt"
    torch.save({"state_dict": {}, "hyper_parameters": Planted()}, file)
    with pytest.raises(ConfigError, match="cannot|not a checkpoint that can be read safely"):
        load_checkpoint(file)
    file.write_bytes(pickle.dumps(Planted()))
    with pytest.raises(ConfigError, match="not a checkpoint that can be read safely"):
        load_checkpoint(file)
    assert "run" not in capsys.readouterr().out


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, 6000), junk=st.binary(min_size=1, max_size=40))
def test_scribbled_bytes_are_read_or_told(trained, start, junk):
    """The first kilobytes hold the pickle; weights that are scribbled on are numbers like others."""
    content = trained.read_bytes()
    file = trained.with_name("scribbled.ckpt")
    file.write_bytes(content[:start] + junk + content[start + len(junk) :])
    try:
        read_checkpoint(file)
    except ConfigError as error:
        assert "\n" not in str(error)  # noqa: PT017 - both outcomes are right


def test_a_recipe_may_name_registered_components_only(trained):
    content = torch.load(trained, weights_only=True)
    content["hyper_parameters"][RECIPE_KEY]["init_args"]["heads"] = [{"class_path": "subprocess.Popen"}]
    torch.save(content, trained)
    with pytest.raises(ConfigError, match=r"names subprocess\.Popen, which no registered head is"):
        load_checkpoint(trained)


def test_weights_that_do_not_fit_are_named(trained):
    content = torch.load(trained, weights_only=True)
    content["state_dict"].pop("model.extra_embedding.weight")
    torch.save(content, trained)
    with pytest.raises(ConfigError, match=r"missing model\.extra_embedding\.weight"):
        load_checkpoint(trained)


def test_a_checkpoint_without_a_recipe_is_refused(trained):
    content = torch.load(trained, weights_only=True)
    content["hyper_parameters"] = {}
    torch.save(content, trained)
    with pytest.raises(ConfigError, match="holds no recipe"):
        load_checkpoint(trained)
