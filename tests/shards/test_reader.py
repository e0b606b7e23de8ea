"""Reading shards: what was written comes back, and every way in which a shard can be broken has its sentence."""

import io
import json
import subprocess
import sys
import tarfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import DataError
from zoo.shards.reader import Sample, read_again, read_index, read_records, read_samples, read_shard, read_split
from zoo.shards.schema import SCHEMA_NAME, SCHEMA_VERSION


def record(key, **changes):
    """A valid record of a tiny jpg sample; the reader never opens the media."""
    return {
        "schema": SCHEMA_NAME,
        "version": SCHEMA_VERSION,
        "key": key,
        "media": "jpg",
        "width": 2,
        "height": 2,
        "num_frames": 1,
        "fps": 1.0,
        "annotations": [{"family": "count", "question": "How many?", "answer": "2", "temporal": False}],
        "statements": [],
        "meta": {},
    } | changes


def write_tar(path, members):
    """members: (name, bytes) pairs, in order."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def members_of(*keys):
    for key in keys:
        yield f"{key}.jpg", b"picture of " + key.encode()
        yield f"{key}.json", json.dumps(record(key)).encode()
        yield f"{key}.npz", b"labels"


@pytest.fixture
def dataset(tmp_path):
    """Two train shards of two samples, one val shard of one."""
    (tmp_path / "train").mkdir()
    (tmp_path / "val").mkdir()
    write_tar(tmp_path / "train/shard-000000.tar", members_of("a0", "a1"))
    write_tar(tmp_path / "train/shard-000001.tar", members_of("b0", "b1"))
    write_tar(tmp_path / "val/shard-000000.tar", members_of("v0"))
    names = {"train": ["train/shard-000000.tar", "train/shard-000001.tar"], "val": ["val/shard-000000.tar"]}
    splits = {
        split: {"shards": [{"file": name, "samples": 2 if split == "train" else 1} for name in shards]}
        for split, shards in names.items()
    }
    (tmp_path / "dataset.json").write_text(json.dumps({"schema": SCHEMA_NAME, "version": 1, "splits": splits}))
    return tmp_path


def test_samples_come_back_in_order_with_their_files(dataset):
    samples = list(read_shard(dataset / "train/shard-000000.tar"))
    assert [sample.key for sample in samples] == ["a0", "a1"]
    assert samples[0].files == {"jpg": b"picture of a0", "npz": b"labels"}
    assert samples[0].record == record("a0")
    assert samples[0].shard.endswith("shard-000000.tar")


def test_only_asked_suffixes_and_samples_are_read(dataset):
    path = dataset / "train/shard-000000.tar"
    assert [sample.files for sample in read_shard(path, suffixes=("jpg",))] == [
        {"jpg": b"picture of a0"},
        {"jpg": b"picture of a1"},
    ]
    assert [sample.key for sample in read_shard(path, wanted=lambda index, key: index == 1)] == ["a1"]


def test_index_records_and_samples_by_key(dataset):
    assert {split: [shard.num_samples for shard in shards] for split, shards in read_index(dataset).items()} == {
        "train": [2, 2],
        "val": [1],
    }
    assert [entry["key"] for entry in read_records(dataset, "train")] == ["a0", "a1", "b0", "b1"]
    found = read_samples(dataset, "train", ["b1", "absent"])
    assert list(found) == ["b1"] and found["b1"].files["jpg"] == b"picture of b1"


def test_keys_may_hold_folders_and_files_without_suffix_are_ignored(tmp_path):
    members = [("README", b""), ("x/.hidden", b""), ("x/k.jpg", b"1"), ("x/k.json", json.dumps(record("x/k")).encode())]
    assert [sample.key for sample in read_shard(write_tar(tmp_path / "s.tar", members))] == ["x/k"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "no json"),
        (b"{", "does not parse"),
        (b"\xff\xfe", "does not parse"),
        (b"[1]", "expected an object"),
        (json.dumps(record("bad", schema="grasp")).encode(), "'grasp'"),
        (json.dumps(record("bad", version=99)).encode(), "99"),
        (json.dumps(record("bad", media="avi")).encode(), "'avi'"),
    ],
)
def test_a_bad_record_is_named_and_its_neighbours_survive(tmp_path, data, message):
    middle = [("bad.jpg", b"x")] + ([] if data is None else [("bad.json", data)])
    path = write_tar(tmp_path / "s.tar", [*members_of("a"), *middle, *members_of("z")])
    with pytest.raises(DataError, match=rf"s\.tar.*bad.*{message}"):
        list(read_shard(path))
    faults = []
    assert [sample.key for sample in read_shard(path, report=faults.append)] == ["a", "z"]
    assert len(faults) == 1 and "bad" in str(faults[0])


def test_a_cut_tar_gives_its_whole_samples_and_one_fault_wherever_it_is_cut(tmp_path):
    whole = write_tar(tmp_path / "whole.tar", members_of("a", "b")).read_bytes()
    end = len(whole.rstrip(b"\0"))
    for length in range(0, end, 256):
        path = tmp_path / "cut.tar"
        path.write_bytes(whole[:length])
        faults = []
        keys = [sample.key for sample in read_shard(path, report=faults.append)]
        assert keys in ([], ["a"]), length
        assert len(faults) == 1 and "cut.tar" in str(faults[0]), length


def test_a_garbled_header_does_not_pass_for_the_end(tmp_path):
    path = write_tar(tmp_path / "s.tar", members_of("a", "b"))
    data = bytearray(path.read_bytes())
    data[data.index(b"b.json") + 150] ^= 0xFF  # the checksum field of the member in the middle
    path.write_bytes(data)
    with pytest.raises(DataError, match="corrupt tar at byte"):
        list(read_shard(path))


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def test_label_arrays_come_back_one_by_one():
    stored = {"masks": np.arange(12).reshape(3, 4), "visible": np.ones(3, bool)}
    arrays = Sample("k", "s.tar", {}, {"npz": npz(**stored)}).arrays()
    assert set(arrays) == set(stored)
    assert len(arrays) == 2
    np.testing.assert_array_equal(arrays["masks"], stored["masks"])


def test_broken_label_arrays_are_named():
    with pytest.raises(DataError, match=r"s\.tar: sample 'k' has no readable npz"):
        Sample("k", "s.tar", {}, {}).arrays()
    with pytest.raises(DataError, match=r"sample 'k' has no readable npz"):
        Sample("k", "s.tar", {}, {"npz": b"PK no zip"}).arrays()
    whole = npz(masks=np.random.default_rng(0).integers(0, 9, 4000))
    damaged = whole[:200] + bytes(200) + whole[400:]
    with pytest.raises(DataError, match=r"sample 'k' has no readable npz"):
        Sample("k", "s.tar", {}, {"npz": damaged}).arrays()["masks"]
    pickled = npz(masks=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="pickle"):
        Sample("k", "s.tar", {}, {"npz": pickled}).arrays()["masks"]
    with pytest.raises(DataError, match="boxes"):
        Sample("k", "s.tar", {}, {"npz": whole}).arrays()["boxes"]


def test_missing_pieces_of_a_data_set(dataset, tmp_path):
    with pytest.raises(DataError, match="no data set was finished there"):
        read_index(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"'test'.*train, val"):
        read_split(dataset, "test")
    (dataset / "val/shard-000000.tar").unlink()
    with pytest.raises(DataError, match=r"1 shards.*shard-000000\.tar"):
        read_index(dataset)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"splits": {"train": {}}}', '{"splits": {"train": {"shards": [{}]}}}']
)
def test_a_broken_index_is_no_traceback(tmp_path, text):
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(DataError, match="no index of shards"):
        read_index(tmp_path)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_random_damage_gives_samples_or_named_faults(tmp_path_factory, data):
    path = write_tar(tmp_path_factory.mktemp("fuzz") / "s.tar", members_of("a", "b", "c"))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    faults = []
    for sample in read_shard(path, report=faults.append):
        assert sample.record["schema"] == SCHEMA_NAME
    assert all(isinstance(fault, DataError) and "s.tar" in str(fault) for fault in faults)


def test_shards_import_without_torch():
    code = (
        "import sys, zoo.shards.reader, zoo.shards.decode, zoo.shards.sampling; "
        "sys.exit('torch' in sys.modules or 'webdataset' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("dialect", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("key", ["short", "x" * 90, "folder_" * 12 + "/" + "y" * 60, "long" * 60])
def test_every_dialect_of_tar_reads_the_same(tmp_path, dialect, key):
    if dialect == tarfile.USTAR_FORMAT and len(key) > 200:
        pytest.skip("ustar holds no such name")
    path = tmp_path / "s.tar"
    with tarfile.open(path, "w", format=dialect) as tar:
        folder = tarfile.TarInfo("folder_" * 12)
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, data in members_of("first", key, "last"):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    samples = list(read_shard(path))
    assert [sample.key for sample in samples] == ["first", key, "last"]
    assert samples[1].files == {"jpg": b"picture of " + key.encode(), "npz": b"labels"}


@pytest.mark.parametrize("dialect", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_reading_starts_at_any_sample(tmp_path, dialect):
    path = tmp_path / "s.tar"
    with tarfile.open(path, "w", format=dialect) as tar:
        for name, data in members_of("first", "folder_" * 12 + "/" + "y" * 60, "third", "last"):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    samples = list(read_shard(path))
    assert samples[0].offset == 0
    for place, sample in enumerate(samples):
        assert list(read_shard(path, start=sample.offset)) == samples[place:]
    asked = [samples[place].offset for place in (3, 1)]
    assert read_again(path, asked) == {offset: samples[place] for offset, place in zip(asked, (3, 1), strict=True)}
    assert read_again(path, asked[:1], suffixes=("npz",))[asked[0]].files == {"npz": b"labels"}


@pytest.mark.parametrize("offset", [512, 100, 10**6])
def test_a_place_without_a_sample_is_named(dataset, offset):
    with pytest.raises(DataError, match=r"shard-000000\.tar is not the shard that it was"):
        read_again(dataset / "train/shard-000000.tar", [offset])


def test_grouping_agrees_with_webdataset(dataset):
    from webdataset.tariterators import group_by_keys, tar_file_expander

    path = dataset / "train/shard-000000.tar"
    with path.open("rb") as stream:
        theirs = list(group_by_keys(tar_file_expander([{"url": str(path), "stream": stream}])))
    ours = list(read_shard(path))
    assert [sample.key for sample in ours] == [sample["__key__"] for sample in theirs]
    assert [sample.files["jpg"] for sample in ours] == [sample["jpg"] for sample in theirs]
