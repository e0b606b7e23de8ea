"""Shards on disk: readable with plain tools, whole or absent, byte for byte the same."""

import io
import json
import tarfile

import numpy as np
import pytest

from zoo.errors import DataError
from zoo.shards.blind import BlindAccuracy
from zoo.shards.reader import MEDIA_AND_JSON, read_shard
from zoo.shards.writer import ShardWriter, shard_name, write_index

RECORD = {
    "schema": "video_qa",
    "version": 1,
    "key": "a",
    "media": "jpg",
    "width": 8,
    "height": 8,
    "num_frames": 1,
    "fps": 1.0,
    "annotations": [],
    "statements": [],
    "meta": {},
}


def record(key: str, **changes) -> dict:
    return RECORD | {"key": key} | changes


def test_plain_tools_read_a_shard(tmp_path):
    path = tmp_path / "train" / shard_name(3)
    masks = np.arange(6, dtype=np.uint8).reshape(2, 3)
    with ShardWriter(path) as writer:
        writer.write(record("a"), b"picture a", arrays={"masks": masks})
        writer.write(record("b"), b"picture b")
        assert not path.exists(), "a shard must not be seen before it is whole"
    assert writer.num_samples == 2
    assert [p.name for p in path.parent.iterdir()] == ["shard-000003.tar"]
    with tarfile.open(path) as tar:
        assert tar.getnames() == ["a.jpg", "a.json", "a.npz", "b.jpg", "b.json"]
        assert tar.extractfile("b.jpg").read() == b"picture b"
        assert json.load(tar.extractfile("a.json")) == record("a")
        np.testing.assert_array_equal(np.load(io.BytesIO(tar.extractfile("a.npz").read()))["masks"], masks)


SIZES = [{"width": 8, "height": 8}, {"width": 4, "height": 9}]


def test_several_images_and_none_are_written_and_read_again(tmp_path):
    path = tmp_path / shard_name(0)
    with ShardWriter(path) as writer:
        writer.write(record("a", images=SIZES, num_frames=2), (b"first", b"second"), arrays={"x": np.zeros(1)})
        writer.write(record("b", media="text", width=0, height=0, num_frames=0), ())
        writer.write(record("c"), b"one")
    with tarfile.open(path) as tar:
        assert tar.getnames() == ["a.0.jpg", "a.1.jpg", "a.json", "a.npz", "b.json", "c.jpg", "c.json"]
    read = {sample.key: sample for sample in read_shard(path, suffixes=MEDIA_AND_JSON)}
    assert read["a"].files == {"0.jpg": b"first", "1.jpg": b"second"}
    assert read["b"].files == {}
    assert read["c"].files == {"jpg": b"one"}


@pytest.mark.parametrize(
    ("changes", "media", "match"),
    [
        ({"images": SIZES, "num_frames": 2}, b"one", "1 media files, its record speaks of 2"),
        ({"media": "text", "width": 0, "height": 0, "num_frames": 0}, b"one", "1 media files, its record speaks of 0"),
        ({}, (), "0 media files, its record speaks of 1"),
    ],
)
def test_another_number_of_files_than_recorded_is_refused(tmp_path, changes, media, match):
    with pytest.raises(DataError, match=match), ShardWriter(tmp_path / shard_name(0)) as writer:
        writer.write(record("a", **changes), media)


def test_webdataset_reads_a_shard(tmp_path):
    webdataset = pytest.importorskip("webdataset")
    with ShardWriter(tmp_path / "x.tar") as writer:
        for key in "abc":
            writer.write(record(key), key.encode(), arrays={"points": np.zeros(2)})
    samples = list(webdataset.WebDataset(str(tmp_path / "x.tar"), shardshuffle=False))
    assert [sample["__key__"] for sample in samples] == ["a", "b", "c"]
    assert [sample["jpg"] for sample in samples] == [b"a", b"b", b"c"]


def test_the_same_samples_give_the_same_bytes(tmp_path):
    for name in ("one.tar", "two.tar"):
        with ShardWriter(tmp_path / name) as writer:
            writer.write(record("a"), b"x", arrays={"points": np.eye(3)})
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_an_exception_leaves_nothing(tmp_path):
    def fail():
        with ShardWriter(tmp_path / "x.tar") as writer:
            writer.write(record("a"), b"x")
            raise KeyError("in the middle")

    with pytest.raises(KeyError, match="in the middle"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_left_over_of_a_killed_run_is_replaced(tmp_path):
    (tmp_path / "x.tar.part").write_bytes(b"half a shard")
    with ShardWriter(tmp_path / "x.tar") as writer:
        writer.write(record("a"), b"x")
    with tarfile.open(tmp_path / "x.tar") as tar:
        assert tar.getnames() == ["a.jpg", "a.json"]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (record("a"), "two samples with key 'a'"),
        (record("b", width=0), "sample 'b'.*width"),
        (record("b", meta={"x": float("inf")}), "sample 'b': meta"),
        (record("b", meta={"x": {1, 2}}), "sample 'b': meta"),
    ],
)
def test_a_bad_sample_is_refused(tmp_path, bad, words):
    with ShardWriter(tmp_path / "x.tar") as writer:
        writer.write(record("a"), b"x")
        with pytest.raises(DataError, match=words):
            writer.write(bad, b"x")
    with tarfile.open(tmp_path / "x.tar") as tar:
        assert tar.getnames() == ["a.jpg", "a.json"], "the refused sample left no trace"


def test_the_index_counts_samples_and_names_files(tmp_path):
    blind = BlindAccuracy(overall=0.25, families={"count": 0.25}, num_questions=8)
    splits = {"train": [(shard_name(0), 3), (shard_name(1), 2)], "val": []}
    path = write_index(tmp_path, splits=splits, generator={"name": "x"}, blind=blind)
    assert path.name == "dataset.json"
    index = json.loads(path.read_text())
    assert index["splits"]["train"] == {
        "shards": [
            {"file": "train/shard-000000.tar", "samples": 3},
            {"file": "train/shard-000001.tar", "samples": 2},
        ],
        "samples": 5,
    }
    assert index["splits"]["val"] == {"shards": [], "samples": 0}
    assert index["generator"] == {"name": "x"}
    assert index["blind_accuracy"] == {"overall": 0.25, "families": {"count": 0.25}, "num_questions": 8}
