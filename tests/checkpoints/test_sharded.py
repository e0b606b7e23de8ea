import pickle
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.distributed import checkpoint as slices
from trunk_fixtures import build_module

from zoo.checkpoints.sharded import EXTRA, INDEX, ZERO, ZERO_WEIGHTS, check_index, is_sharded, read_sharded
from zoo.errors import ConfigError


@pytest.fixture
def folder(tmp_path) -> Path:
    """What one process of an `fsdp2` run would leave; tests/zoo/test_parallel.py reads what two left."""
    module = build_module()
    optimizer = {"param_groups": [{"lr": 0.1, "name": "vision"}], "state": {}}
    state = {"state_dict": module.state_dict(), "optimizer_0": optimizer}
    path = tmp_path / "run.ckpt"
    slices.save(state, checkpoint_id=path, no_dist=True)
    torch.save({"global_step": 7, "hyper_parameters": {"a": 1}}, path / EXTRA)
    torch.save(module.state_dict(), tmp_path / "expected.pt")
    return path


def test_slices_are_read_as_whole_weights_without_optimiser_states(folder):
    assert is_sharded(folder)
    saved = read_sharded(folder)
    expected = torch.load(folder.parent / "expected.pt", weights_only=True)
    assert saved.keys() == {"state_dict", "global_step", "hyper_parameters"}
    assert saved["state_dict"].keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in saved["state_dict"].items())


def test_a_plain_folder_or_file_is_none(tmp_path):
    (tmp_path / "plain.ckpt").write_bytes(b"")
    assert not is_sharded(tmp_path)
    assert not is_sharded(tmp_path / "plain.ckpt")


class Planted:
    def __reduce__(self):
        return (print, ("run",))


def test_an_index_that_would_run_code_is_refused_unread(folder, capsys):
    (folder / INDEX).write_bytes(pickle.dumps(Planted()))
    with pytest.raises(ConfigError, match=r"read safely: it would import builtins\.print"):
        read_sharded(folder)
    assert "run" not in capsys.readouterr().out


def test_extras_that_would_run_code_are_refused_unread(folder, capsys):
    torch.save({"hyper_parameters": Planted()}, folder / EXTRA)
    with pytest.raises(ConfigError, match="is not a whole checkpoint"):
        read_sharded(folder)
    assert "run" not in capsys.readouterr().out


def test_a_missing_slice_is_told(folder):
    next(folder.glob("*.distcp")).unlink()
    with pytest.raises(ConfigError, match="is not a whole checkpoint"):
        read_sharded(folder)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, 300), junk=st.binary(min_size=1, max_size=20))
def test_a_scribbled_index_is_read_or_told(start, junk, folder):
    whole = (folder / INDEX).read_bytes()
    spoilt = folder.with_name("spoilt")
    spoilt.mkdir(exist_ok=True)
    (spoilt / INDEX).write_bytes(whole[:start] + junk + whole[start + len(junk) :])
    with suppress(ConfigError):
        check_index(spoilt)


@pytest.fixture
def of_deepspeed(tmp_path) -> Path:
    """What the first process of a DeepSpeed run leaves; tests/zoo/test_zero.py reads what a run left."""
    path = tmp_path / "zero.ckpt"
    (path / ZERO).parent.mkdir(parents=True)
    torch.save({ZERO_WEIGHTS: build_module().state_dict(), "global_step": 7, "optimizer": None}, path / ZERO)
    return path


def test_weights_of_deepspeed_are_whole_already(of_deepspeed):
    assert is_sharded(of_deepspeed)
    saved = read_sharded(of_deepspeed)
    assert saved["global_step"] == 7
    build_module().load_state_dict(saved["state_dict"], strict=True)


@pytest.mark.parametrize("spoil", ["planted", "cut"])
def test_a_file_of_deepspeed_that_is_not_whole_or_not_safe_is_refused(spoil, of_deepspeed, capsys):
    file = of_deepspeed / ZERO
    if spoil == "cut":
        file.write_bytes(file.read_bytes()[:500])
    else:
        torch.save({ZERO_WEIGHTS: Planted()}, file)
    with pytest.raises(ConfigError, match=r"zero\.ckpt is not a whole checkpoint"):
        read_sharded(of_deepspeed)
    assert "run" not in capsys.readouterr().out
