"""Costly generators: unfinished shards are gone on with, whoever died, and bytes are those of an undisturbed run."""

import json
import sys
from collections import Counter
from pathlib import Path

import pytest
from costly_letters import CostlyLetters
from fake_ray import FakeRay

from zoo.errors import ConfigError, DataError
from zoo.shards.journal import Journal, ShardProgress, journal_path, read_progress
from zoo.shards.writer import ShardWriter


@pytest.fixture
def notes(tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def made(notes: Path) -> Counter:
    return Counter((notes / "made").read_text().split())


@pytest.fixture
def whole(tmp_path, notes):
    """Bytes of an undisturbed run."""
    CostlyLetters(notes=str(notes)).generate(tmp_path / "whole", workers=0)
    (notes / "made").unlink()
    return files(tmp_path / "whole")


def test_a_killed_worker_loses_its_current_sample_alone(tmp_path, notes, whole, caplog):
    for where in ("0-2", "1-0", "1-3"):
        (notes / f"kill-{where}").touch()
    CostlyLetters(notes=str(notes)).generate(tmp_path / "d", workers=2)
    assert files(tmp_path / "d") == whole
    assert set(made(notes).values()) == {1}  # nothing that was finished is made again
    assert "a worker died at train/shard-000000.tar and is replaced; clip 2 of it is made again" in caplog.text
    assert caplog.text.count("a worker died") == 3


def test_a_sample_that_kills_every_worker_ends_the_run_and_what_is_done_is_kept(tmp_path, notes, whole):
    (notes / "kill-0-3-always").touch()
    with pytest.raises(ConfigError, match="3 workers died at clip 3, one after the other"):
        CostlyLetters(notes=str(notes)).generate(tmp_path / "d", workers=1)
    (notes / "kill-0-3-always").unlink()
    CostlyLetters(notes=str(notes)).generate(tmp_path / "d", workers=0)
    assert files(tmp_path / "d") == whole
    assert set(made(notes).values()) == {1}


def test_an_interrupted_run_goes_on_in_the_middle_of_a_shard(tmp_path, notes, whole, monkeypatch):
    letters = CostlyLetters(notes=str(notes))

    def interrupted(shard, place):
        if (shard, place) == (1, 2):
            raise KeyboardInterrupt

    monkeypatch.setattr(letters, "_die_at", interrupted)
    with pytest.raises(KeyboardInterrupt):
        letters.generate(tmp_path / "d", workers=0)
    assert "train/shard-000001.tar.part" in files(tmp_path / "d")
    CostlyLetters(notes=str(notes)).generate(tmp_path / "d", workers=1)
    assert files(tmp_path / "d") == whole
    assert set(made(notes).values()) == {1}


def test_ray_runs_the_same_code(tmp_path, notes, whole, monkeypatch):
    ray = FakeRay()
    ray.crashes = 1
    monkeypatch.setitem(sys.modules, "ray", ray)
    CostlyLetters(notes=str(notes)).generate(tmp_path / "d", workers=2, executor="ray")
    assert files(tmp_path / "d") == whole


def test_what_was_counted_is_in_the_index_and_is_told(tmp_path, notes, capsys):
    CostlyLetters(notes=str(notes), train=6, lost=1).generate(tmp_path / "d", workers=0)
    index = json.loads((tmp_path / "d" / "dataset.json").read_text())
    assert index["counts"] == {"rejected: smudged": 10, "steps": 10 + 12 + 13 + 10}
    assert index["splits"]["train"]["samples"] == 4
    assert "rejected: smudged 10, steps 45" in capsys.readouterr().err
    assert not list((tmp_path / "d").rglob("*.journal"))


def sample(number: int) -> dict:
    return CostlyLetters(notes="").record("train", 0, number)


def interrupt(path: Path, count: int) -> None:
    """Leave a shard unfinished behind so many samples."""
    with pytest.raises(KeyboardInterrupt), ShardWriter(path, keeps=True) as writer:  # noqa: PT012 - ends half-way
        for number in range(writer.progress.done, count):
            writer.write(sample(number), b"x" * (number + 1), counts={"steps": 1})
        raise KeyboardInterrupt


def finish(path: Path) -> bytes:
    with ShardWriter(path, keeps=True) as writer:
        for number in range(writer.progress.done, 4):
            writer.write(sample(number), b"x" * (number + 1), counts={"steps": 1})
    return path.read_bytes()


def test_a_data_set_of_nothing_is_none(tmp_path, notes):
    generator = CostlyLetters(notes=str(notes), train=2, size=1, lost=0)
    with pytest.raises(DataError, match="every one of the 2 samples was bad"):
        generator.generate(tmp_path / "data", workers=0)
    assert not (tmp_path / "data" / "dataset.json").exists()


def test_cut_tails_are_dropped(tmp_path):
    expected = finish(tmp_path / "whole.tar")
    path = tmp_path / "d.tar"
    interrupt(path, 2)
    part = tmp_path / "d.tar.part"
    part.write_bytes(part.read_bytes() + b"train-0-2.jpg" + bytes(700))  # a member of which not all was written
    with open(journal_path(path), "ab") as file:
        file.write(b'{"done":3,"size":99')  # a line of which not all was written
    assert read_progress(path).done == 2
    assert finish(path) == expected


def test_a_journal_that_speaks_of_more_than_is_there_is_believed_as_far_as_the_tar_goes(tmp_path):
    expected = finish(tmp_path / "whole.tar")
    path = tmp_path / "d.tar"
    interrupt(path, 3)
    part = tmp_path / "d.tar.part"
    part.write_bytes(part.read_bytes()[: read_progress(path).size - 1])
    with ShardWriter(path, keeps=True) as writer:
        assert writer.progress.done == 2
        for number in range(2, 4):
            writer.write(sample(number), b"x" * (number + 1), counts={"steps": 1})
    assert path.read_bytes() == expected
    assert read_progress(path).counts == {"steps": 4}


def test_keys_of_what_is_there_are_known(tmp_path):
    path = tmp_path / "d.tar"
    interrupt(path, 2)
    with (
        pytest.raises(DataError, match="two samples with key 'train-0-1'"),
        ShardWriter(path, keeps=True) as writer,
    ):
        writer.write(sample(1), b"x")


def test_a_shard_has_one_writer(tmp_path, monkeypatch):
    monkeypatch.setattr("zoo.shards.journal.LOCK_WAIT_S", 0.0)
    path = tmp_path / "d.tar"
    with Journal(path) as journal:
        journal.add(ShardProgress(done=1, size=512))
        with pytest.raises(DataError, match="is being written by another process"), ShardWriter(path, keeps=True):
            pass
    assert read_progress(path).done == 1
