"""What readers share: the plan, the splits, bad media, resuming; over a reader of pictures that exist in memory."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo import registry
from zoo.datamodules.readers.reader import SPLITS, Entry, Reader, assign_splits, hash_share
from zoo.errors import ConfigError, DataError
from zoo.shards.encode import encode_jpg
from zoo.shards.faults import FaultCounter
from zoo.shards.reader import read_index, read_records


@dataclass(frozen=True)
class Dot:
    """A picture of one pixel; broken where its value is negative."""

    value: int
    name: str = "dot.jpg"

    def read(self) -> bytes:
        if self.value < 0:
            raise DataError("no such dot")
        return encode_jpg(np.full((1, 1, 3), self.value, np.uint8))


class Dots(Reader):
    """As many dots as it is told; every `bad_every`-th is broken."""

    name: ClassVar[str] = "dots"
    version: ClassVar[int] = 1

    def __init__(self, *, count: int = 40, bad_every: int = 1000, on_bad_sample: str = "skip", val_share: float = 0.2,
                 max_bad_share: float = 0.1) -> None:  # fmt: skip
        super().__init__(
            val_share=val_share, test_share=0.1, samples_per_shard=8, on_bad_sample=on_bad_sample,
            max_bad_share=max_bad_share,
        )  # fmt: skip
        self.count, self.bad_every = count, bad_every
        self.answer = "yes"

    def entries(self, faults: FaultCounter) -> Iterator[Entry]:
        for number in range(self.count):
            is_bad = number % self.bad_every == self.bad_every - 1
            annotation = {"family": "f", "question": "dark?", "answer": self.answer, "temporal": False}
            faults.num_good += 1
            yield Entry(
                key=f"dot-{number}", where=f"dots.txt, line {number}", media=Dot(-1 if is_bad else number),
                annotations=[annotation],
            )  # fmt: skip


def keys(folder, split):
    return [record["key"] for record in read_records(folder, split)]


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_every_sample_is_in_one_split_and_stored_out_of_order(tmp_path):
    Dots().generate(tmp_path, workers=0)
    found = {split: keys(tmp_path, split) for split in SPLITS}
    assert sorted(chain.from_iterable(found.values())) == sorted(f"dot-{number}" for number in range(40))
    assert all(found.values())
    numbers = [int(key.removeprefix("dot-")) for key in found["train"]]
    assert numbers != sorted(numbers)
    record = next(read_records(tmp_path, "val"))
    assert (record["media"], record["width"], record["num_frames"]) == ("jpg", 1, 1)
    assert record["meta"]["source"].startswith("dots.txt, line ")


def test_workers_write_the_same_bytes(tmp_path):
    reader = Dots(count=10)
    reader.plan()
    part = reader.for_shard("train", 0)
    assert list(part._planned) == [("train", 0)]  # a worker is sent its own shard, not the whole plan
    whole = [sample.media for sample in reader.samples("train", 0, 8)]
    assert [sample.media for sample in part.samples("train", 0, 8)] == whole


def test_bad_media_are_left_out_counted_and_named(tmp_path, caplog):
    Dots(bad_every=20).generate(tmp_path, workers=0)
    assert "dots.txt, line 19: no such dot" in caplog.text
    assert "2 bad samples were left out" in caplog.text
    index = read_index(tmp_path)
    assert sum(shard.num_samples for shards in index.values() for shard in shards) == 38
    for split, shards in index.items():
        assert [shard.num_samples for shard in shards] == list(
            Counter(k for shard in shards for k in [shard.path] * shard.num_samples).values()
        )
        assert len(keys(tmp_path, split)) == sum(shard.num_samples for shard in shards)


def test_bad_media_are_fatal_where_asked(tmp_path):
    with pytest.raises(DataError, match=r"dots\.txt, line \d+: no such dot"):
        Dots(bad_every=20, on_bad_sample="raise").generate(tmp_path, workers=0)
    assert not (tmp_path / "dataset.json").exists()


def test_too_many_bad_media_end_the_work(tmp_path):
    with pytest.raises(DataError, match="more than 10%"):
        Dots(count=80, bad_every=2).generate(tmp_path / "a", workers=0)
    Dots(count=80, bad_every=2, max_bad_share=0.6).generate(tmp_path / "b", workers=0)
    assert len(keys(tmp_path / "b", "train")) < 40


def test_an_interrupted_run_goes_on_if_the_source_is_the_same(tmp_path, monkeypatch):
    Dots().generate(tmp_path / "whole", workers=0)
    with monkeypatch.context() as patch:
        patch.setattr(Dots, "samples", interrupted(Dots.samples))
        with pytest.raises(KeyboardInterrupt):
            Dots().generate(tmp_path / "d", workers=0)
    assert "settings.json" in files(tmp_path / "d")
    other = Dots()
    other.answer = "no"
    with pytest.raises(ConfigError, match="begun from other contents"):
        other.generate(tmp_path / "d", workers=0)
    Dots().generate(tmp_path / "d", workers=0)
    assert files(tmp_path / "d") == files(tmp_path / "whole")


def interrupted(samples):
    def broken(self, split, shard, count):
        if (split, shard) == ("train", 2):
            raise KeyboardInterrupt
        return samples(self, split, shard, count)

    return broken


def test_a_finished_run_needs_its_source_no_more(tmp_path, monkeypatch):
    Dots().generate(tmp_path, workers=0)
    monkeypatch.setattr(Dots, "plan", None)
    Dots().generate(tmp_path, workers=0)
    assert json.loads((tmp_path / "dataset.json").read_text())["generator"]["source"]


def test_an_empty_source(tmp_path):
    with pytest.raises(DataError, match="dots: nothing to read"):
        Dots(count=0).generate(tmp_path, workers=0)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("conversations", {"source": "x", "val_share": 1.0}, "val_share is 1.0"),
        ("conversations", {"source": "x", "val_share": 0.5, "test_share": 0.5}, "leaves no train"),
        ("conversations", {"source": "x", "samples_per_shard": 0}, "samples_per_shard is 0"),
        ("conversations", {"source": "x", "max_bad_share": 2}, "max_bad_share is 2"),
        ("conversations", {"source": "x", "columns": {"foto": "x"}}, "columns has foto; it takes media, conversation"),
        ("easy_vqa", {"val_share": -0.1}, "easy_vqa: val_share is -0.1"),
    ],
)
def test_mistaken_arguments(name, arguments, words):
    with pytest.raises(ConfigError, match=words):
        registry.build("generator", name, **arguments)


KEYS = st.dictionaries(st.text("abc", min_size=1, max_size=5), st.sampled_from([None, *SPLITS]), max_size=30)


def entries(found):
    return [Entry(key=key, where="", media=Dot(0), annotations=[], split=split) for key, split in found]


@given(found=KEYS, val=st.floats(0, 0.4), test=st.floats(0, 0.4))
def test_splits_of_the_source_are_kept_and_the_rest_divided(found, val, test):
    split_of = assign_splits(entries(found.items()), val_share=val, test_share=test)
    assert set(split_of) == set(found)
    given_splits = set(found.values())
    for key, split in found.items():
        if split in ("val", "test"):
            assert split_of[key] == split
        elif split_of[key] != "train":
            assert split_of[key] not in given_splits


@given(names=st.lists(st.integers(0, 10**6), unique=True, min_size=2, max_size=60), extra=st.integers(10**7, 10**8))
def test_a_sample_keeps_its_split_when_others_come(names, extra):
    def split(numbers):
        found = assign_splits(entries([(f"k{number}", None) for number in numbers]), val_share=0.3, test_share=0.0)
        return {key for key, split in found.items() if split == "val"}

    before, after = split(names), split([*names, extra])
    if any(hash_share(f"k{number}") < 0.3 for number in names):  # else one was moved so that val is not empty
        assert after - {f"k{extra}"} == before


def test_shares_are_about_what_was_asked():
    split_of = assign_splits(entries([(f"k{n}", None) for n in range(4000)]), val_share=0.1, test_share=0.2)
    counts = Counter(split_of.values())
    # standard deviations of 19 and 25 samples: four of them
    assert counts["val"] == pytest.approx(400, abs=76)
    assert counts["test"] == pytest.approx(800, abs=100)


def test_a_tiny_source_has_something_in_every_split_that_was_asked_for():
    found = entries([("a", None), ("b", None), ("c", None)])
    assert Counter(assign_splits(found, val_share=0.01, test_share=0.01).values()) == {"train": 1, "val": 1, "test": 1}
    assert set(assign_splits(found, val_share=0.01, test_share=0).values()) == {"train", "val"}
    assert set(assign_splits(found[:1], val_share=0.9, test_share=0).values()) <= {"train", "val"}
