import os
from pathlib import Path

import pytest
import torch

from zoo.cli import runs
from zoo.errors import ConfigError


@pytest.fixture
def run_folder(tmp_path):
    """Runs 0 to 10: 2 and 10 have checkpoints, of which the second was written later; 11 has none."""
    for number in range(12):
        (tmp_path / f"version_{number}" / "checkpoints").mkdir(parents=True)
    (tmp_path / "version_notes").mkdir()
    for number in (2, 10):
        folder = tmp_path / f"version_{number}" / "checkpoints"
        for age, name in enumerate(("step=9.ckpt", "step=5.ckpt")):
            best = {"best_model_path": f"/moved/{folder.parent.name}/checkpoints/step=5.ckpt"}
            torch.save({"callbacks": {"EarlyStopping": {}, "ModelCheckpoint{}": best}}, folder / name)
            os.utime(folder / name, (1000 - age, 1000 - age))
    return tmp_path


def test_next_version(run_folder, tmp_path):
    assert runs.next_version(run_folder) == 12
    assert runs.next_version(tmp_path / "nothing") == 0


def test_last_is_the_newest_file_of_the_newest_run_with_one(run_folder):
    assert runs.find_checkpoint("last", run_folder) == run_folder / "version_10" / "checkpoints" / "step=9.ckpt"


def test_a_file_that_was_cut_while_it_was_written_is_passed_over(run_folder, caplog):
    folder = run_folder / "version_10" / "checkpoints"
    whole = (folder / "step=9.ckpt").read_bytes()
    (folder / "step=11.ckpt").write_bytes(whole[: len(whole) // 2])
    assert runs.find_checkpoint("last", run_folder) == folder / "step=9.ckpt"
    assert "step=11.ckpt, which was not written to its end" in caplog.text
    (folder / "step=12.ckpt").mkdir()  # as strategies write that save in parts
    assert runs.find_checkpoint("last", run_folder) == folder / "step=12.ckpt"


def test_best_is_what_the_callback_remembers_even_after_a_move(run_folder):
    assert runs.find_checkpoint("best", run_folder) == run_folder / "version_10" / "checkpoints" / "step=5.ckpt"


def test_best_without_a_measure_is_the_last(tmp_path):
    folder = tmp_path / "version_0" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save({"callbacks": {"ModelCheckpoint{}": {"best_model_path": ""}}}, folder / "a.ckpt")
    assert runs.find_checkpoint("best", tmp_path) == folder / "a.ckpt"


def test_nothing_there(tmp_path):
    assert runs.find_checkpoint("last", tmp_path) is None


def test_missing_file_names_those_beside_it(run_folder):
    with pytest.raises(ConfigError, match=r"no file .*step=1\.ckpt\. Beside it: step=5\.ckpt, step=9\.ckpt"):
        runs.check_exists(str(run_folder / "version_2" / "checkpoints" / "step=1.ckpt"))
    with pytest.raises(ConfigError, match="or type last"):
        runs.check_exists(str(Path("nowhere") / "x.ckpt"))


def test_existing_files_and_addresses_pass(run_folder):
    runs.check_exists(str(run_folder / "version_2" / "checkpoints" / "step=5.ckpt"))
    runs.check_exists("https://example.org/x.ckpt")
