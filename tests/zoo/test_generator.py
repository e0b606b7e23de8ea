"""The run that all generators share: resuming, refusing, the index; spawned workers are tested with the tabletop."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from zoo.errors import ConfigError, DataError
from zoo.generator import GeneratedSample, ShardGenerator


class Letters(ShardGenerator):
    """Samples whose bytes tell seed, split, shard and place; breaks off where it is told to."""

    name: ClassVar[str] = "letters"
    version: ClassVar[int] = 1

    def __init__(self, *, seed: int = 0, train: int = 5, size: int = 2) -> None:
        self.seed, self.train, self.size = seed, train, size
        self.break_at: tuple[str, int] | None = None
        self.made: list[tuple[str, int]] = []

    @property
    def splits(self) -> dict[str, int]:
        return {"train": self.train, "val": 0, "test": 1}

    @property
    def shard_size(self) -> int:
        return self.size

    def samples(self, split: str, shard: int, count: int) -> Iterator[GeneratedSample]:
        self.made.append((split, shard))
        for index in range(count):
            yield GeneratedSample(self.record(split, shard, index), f"{self.seed} {index}".encode(), None)
            if (split, shard) == self.break_at:
                raise KeyboardInterrupt

    def record(self, split: str, shard: int, index: int) -> dict:
        annotation = {"family": "f", "question": "q", "answer": "yes", "temporal": False}
        return {
            "schema": "video_qa",
            "version": 1,
            "key": f"{split}-{shard}-{index}",
            "media": "jpg",
            "width": 2,
            "height": 2,
            "num_frames": 1,
            "fps": 1.0,
            "annotations": [annotation],
            "statements": [],
            "meta": {},
        }


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_finished_data_set(tmp_path, capsys):
    Letters().generate(tmp_path / "d", workers=0)
    assert set(files(tmp_path / "d")) == {
        "dataset.json",
        "train/shard-000000.tar",
        "train/shard-000001.tar",
        "train/shard-000002.tar",
        "test/shard-000000.tar",
    }
    index = json.loads((tmp_path / "d" / "dataset.json").read_text())
    assert [shard["samples"] for shard in index["splits"]["train"]["shards"]] == [2, 2, 1]
    assert index["generator"] == {"name": "letters", "version": 1, "arguments": {"seed": 0, "train": 5, "size": 2}}
    assert index["blind_accuracy"]["overall"] == 1.0
    assert "blind accuracy 100.0% over 1 questions" in capsys.readouterr().err


def test_an_interrupted_run_is_continued_to_the_same_bytes(tmp_path):
    Letters().generate(tmp_path / "whole", workers=0)
    broken = Letters()
    broken.break_at = ("train", 1)
    with pytest.raises(KeyboardInterrupt):
        broken.generate(tmp_path / "d", workers=0)
    assert set(files(tmp_path / "d")) == {"settings.json", "train/shard-000000.tar"}
    again = Letters()
    again.generate(tmp_path / "d", workers=0)
    assert ("train", 0) not in again.made
    assert files(tmp_path / "d") == files(tmp_path / "whole")


def test_a_finished_run_does_nothing_again(tmp_path):
    Letters().generate(tmp_path, workers=0)
    again = Letters()
    again.generate(tmp_path, workers=0)
    assert again.made == []


@pytest.mark.parametrize("finished", [True, False])
def test_other_settings_are_refused(tmp_path, finished):
    first = Letters(seed=1)
    first.break_at = None if finished else ("train", 1)
    try:
        first.generate(tmp_path, workers=0)
    except KeyboardInterrupt:
        assert not finished
    before = files(tmp_path)
    with pytest.raises(ConfigError, match="seed 1 there, 2 here"):
        Letters(seed=2).generate(tmp_path, workers=0)
    assert files(tmp_path) == before


class Mistyped(Letters):
    """Says at a shard of its own choice that its arguments cannot be."""

    refuses: ClassVar[int] = 0

    def samples(self, split, shard, count):
        for number, sample in enumerate(super().samples(split, shard, count)):
            if (shard, number) == (self.refuses, 0):
                raise ConfigError("no letter 'ab'")
            yield sample


def test_a_run_that_its_arguments_end_takes_its_begun_folder_back(tmp_path):
    with pytest.raises(ConfigError, match="no letter"):
        Mistyped(seed=1).generate(tmp_path, workers=0)
    assert files(tmp_path) == {}
    Letters(seed=2).generate(tmp_path, workers=0)


def test_what_is_finished_and_what_others_began_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(Mistyped, "refuses", 1)
    with pytest.raises(ConfigError, match="no letter"):
        Mistyped().generate(tmp_path / "mine", workers=0)
    assert set(files(tmp_path / "mine")) == {"settings.json", "train/shard-000000.tar"}
    first = Letters(seed=1, size=4)
    first.break_at = ("train", 0)
    with pytest.raises(KeyboardInterrupt):
        first.generate(tmp_path / "theirs", workers=0)
    with pytest.raises(ConfigError, match="seed 1 there, 2 here"):
        Letters(seed=2, size=4).generate(tmp_path / "theirs", workers=0)
    assert set(files(tmp_path / "theirs")) == {"settings.json"}


class Spoilt(Letters):
    """Letters of which the second in every shard cannot be made."""

    def samples(self, split, shard, count):
        for number, sample in enumerate(super().samples(split, shard, count)):
            yield DataError(f"{split} {shard}: spilt ink") if number == 1 else sample


def test_bad_samples_end_the_work_of_a_generator(tmp_path):
    with pytest.raises(DataError, match="train 0: spilt ink"):
        Spoilt().generate(tmp_path, workers=0)
    assert set(files(tmp_path)) == {"settings.json"}


def test_bad_samples_are_left_out_of_shards_and_index_where_they_may_be(tmp_path, caplog):
    spoilt = Spoilt(train=4, size=4)
    spoilt.on_bad_sample = "skip"
    spoilt.generate(tmp_path, workers=0)
    index = json.loads((tmp_path / "dataset.json").read_text())
    assert index["splits"]["train"]["samples"] == 3
    assert "train 0: spilt ink" in caplog.text
    assert "1 bad samples were left out" in caplog.text


def test_a_shard_of_bad_samples_alone_is_not_listed(tmp_path, monkeypatch):
    spoilt = Letters(train=3, size=2)
    spoilt.on_bad_sample = "skip"
    whole = spoilt.samples
    monkeypatch.setattr(spoilt, "samples", lambda split, shard, count: (
        [DataError("spilt")] * count if (split, shard) == ("train", 0) else whole(split, shard, count)))  # fmt: skip
    spoilt.generate(tmp_path, workers=0)
    listed = json.loads((tmp_path / "dataset.json").read_text())["splits"]["train"]["shards"]
    assert listed == [{"file": "train/shard-000001.tar", "samples": 1}]


def test_a_newer_version_is_refused(tmp_path, monkeypatch):
    Letters().generate(tmp_path, workers=0)
    monkeypatch.setattr(Letters, "version", 2)
    with pytest.raises(ConfigError, match="version 1 there, 2 here"):
        Letters().generate(tmp_path, workers=0)


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(ConfigError, match=r"thesis\.tex"):
        Letters().generate(tmp_path, workers=0)


def test_negative_workers(tmp_path):
    with pytest.raises(ConfigError, match="workers is -1"):
        Letters().generate(tmp_path, workers=-1)
