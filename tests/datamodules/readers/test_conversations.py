"""Folders, JSONL, JSON and Parquet files of others as shards, and what becomes of their bad rows."""

import io
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zoo.datamodules.readers.conversations import Conversations
from zoo.datamodules.readers.files import parse_json, read_rows
from zoo.datamodules.readers.reader import key_of
from zoo.errors import DataError, MissingLibraryError
from zoo.shards.decode import decode_sample
from zoo.shards.encode import encode_jpg, encode_mp4
from zoo.shards.reader import read_records, read_samples
from zoo.shards.sampling import FrameSampling
from zoo.shards.schema import VIDEO_QA


def picture(value=0):
    return encode_jpg(np.full((4, 6, 3), value, np.uint8))


def lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


def row(image, question="What?", answer="red", **more):
    return {"image": image, "question": question, "answer": answer} | more


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.jpg").write_bytes(picture(40 * number))
    (folder / "clip.mp4").write_bytes(encode_mp4(np.zeros((5, 16, 32, 3), np.uint8), fps=4))
    return folder


def made(tmp_path, source, **arguments):
    arguments = {"val_share": 0.0, "test_share": 0.0} | arguments
    Conversations(source=str(source), **arguments).generate(tmp_path / "made", workers=0)
    return {record["meta"]["media"]: record for record in read_records(tmp_path / "made", "train")}


def test_rows_about_one_file_are_one_sample(tmp_path, images):
    source = lines(
        tmp_path / "a.jsonl", [row("images/0.jpg"), row("images/1.jpg"), row("images/0.jpg", "Where?", "here")]
    )
    records = made(tmp_path, source)
    assert set(records) == {"images/0.jpg", "images/1.jpg"}
    assert [note["question"] for note in records["images/0.jpg"]["annotations"]] == ["What?", "Where?"]
    assert records["images/0.jpg"]["meta"]["source"] == "a.jsonl, line 1"


def test_media_keep_their_bytes(tmp_path, images):
    source = lines(tmp_path / "a.jsonl", [row("images/5.jpg"), row("images/clip.mp4")])
    keys = [record["key"] for record in made(tmp_path, source).values()]
    samples = read_samples(tmp_path / "made", "train", keys).values()
    assert {data for sample in samples for data in sample.files.values()} == {
        (images / "5.jpg").read_bytes(),
        (images / "clip.mp4").read_bytes(),
    }
    for sample in samples:
        assert (
            len(decode_sample(sample, FrameSampling(max_frames=9, frame_rate=4.0)).frames)
            == sample.record["num_frames"]
        )


def test_conversations_keep_their_history(tmp_path, images):
    said = [("human", "Who?"), ("gpt", "Ann"), ("human", "Her hat?"), ("gpt", "red")]
    turns = [{"from": who, "value": text} for who, text in said]
    source = tmp_path / "llava.json"
    source.write_text(json.dumps([{"id": 1, "image": "0.jpg", "conversations": turns}]))
    (record,) = made(tmp_path, source, media_root=str(images), family="chat").values()
    assert [note["family"] for note in record["annotations"]] == ["chat", "chat"]
    assert record["annotations"][1]["history"] == [{"question": "Who?", "answer": "Ann"}]


def test_a_folder_of_files_with_splits_and_sidecars(tmp_path):
    for split, value in (("train", 1), ("validation", 2), ("test", 3)):
        (tmp_path / "d" / split).mkdir(parents=True)
        (tmp_path / "d" / split / "x.jpg").write_bytes(picture(value))
        lines(tmp_path / "d" / split / "metadata.jsonl", [{"file_name": "x.jpg", "question": "Q", "answer": split}])
    (tmp_path / "d" / "train" / "y.jpg").write_bytes(picture(9))
    (tmp_path / "d" / "train" / "y.json").write_text(json.dumps({"question": "Q", "answer": "beside"}))
    (tmp_path / "d" / "train" / ".hidden.jsonl").write_text("no JSON")
    Conversations(source=str(tmp_path / "d"), val_share=0.5).generate(tmp_path / "made", workers=0)
    answers = {
        split: sorted(
            note["answer"] for record in read_records(tmp_path / "made", split) for note in record["annotations"]
        )
        for split in ("train", "val", "test")
    }
    assert answers == {"train": ["beside", "train"], "val": ["validation"], "test": ["test"]}


def test_bad_rows_are_left_out_counted_and_named(tmp_path, images, caplog):
    rows = [
        row("images/0.jpg"), "{no json", "[1]", row("images/1.jpg", answer=""), row("images/none.jpg"), row("images"),
        row("images/2.jpg\0"),
    ]  # fmt: skip
    (images / "3.jpg").write_bytes(b"broken")
    source = lines(tmp_path / "a.jsonl", [*rows, row("images/3.jpg")])
    assert set(made(tmp_path, source)) == {"images/0.jpg"}
    found = ("2: no JSON", "3: list, expected an object", "4: an empty answer", "5: cannot read", "8: corrupt image")
    for words in (*(f"a.jsonl, line {fault}" for fault in found), "3 bad rows were left", "4 bad samples were left"):
        assert words in caplog.text, words


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([row("images/0.jpg"), "{no json"], "a.jsonl, line 2: no JSON"),
        ([row("images/0.jpg"), row("images/none.jpg")], "a.jsonl, line 2: cannot read .*none.jpg: No such file"),
        (
            [row("images/0.jpg", split="train"), row("images/0.jpg", split="test")],
            "is in split test here and in train in",
        ),
    ],
)
def test_bad_rows_are_fatal_where_asked(tmp_path, images, rows, words):
    source = lines(tmp_path / "a.jsonl", rows)
    with pytest.raises(DataError, match=words):
        made(tmp_path, source, on_bad_sample="raise")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("none.jsonl", None, "no file or folder"),
        ("a.txt", "x", r"expected a folder or a file that ends in \.jsonl"),
        ("a.json", "{", "nothing to read"),
        ("a.jsonl", "", "nothing to read"),
        ("folder/readme.md", "x", r"folder holds no \.jsonl"),
    ],
)
def test_sources_that_are_none(tmp_path, name, text, words):
    source = tmp_path / name
    if text is not None:
        source.parent.mkdir(exist_ok=True)
        source.write_text(text)
    with pytest.raises(DataError, match=words):
        made(tmp_path, source.parent if name.startswith("folder") else source)


def test_a_deep_text_is_no_json():
    with pytest.raises(DataError, match="no JSON"):
        parse_json("[" * 100_000)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.lists(st.binary(max_size=12) | st.sampled_from([b"{}", b'{"image": 1}', b"[]", b"\n"]), max_size=6))
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.parquet"])
def test_any_bytes_are_rows_or_faults(tmp_path, name, data):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    path = tmp_path / name
    path.write_bytes(b"\n".join(data))
    faults = []
    try:
        rows = list(read_rows(path, faults.append))
    except DataError as error:
        assert "a.parquet is no Parquet file" in str(error)  # noqa: PT017 - both outcomes are right, by value
    else:
        assert all(isinstance(row.values, dict) for row in rows)
        assert all(name in str(fault) for fault in faults)


@given(name=st.text(min_size=1, max_size=60))
def test_keys_fit_the_schema_and_differ(name):
    import re

    pattern = VIDEO_QA["properties"]["key"]["pattern"]
    assert re.fullmatch(pattern.strip("^$"), key_of(name))
    assert key_of(name) != key_of(name + "x")
    assert len(key_of(name)) < 80  # a tar's plain header holds 100 bytes


# -- Parquet ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def parquet(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")

    def write(columns, name="a.parquet", **options):
        pq.write_table(pa.table(columns), tmp_path / name, **options)
        return tmp_path / name

    return write


def test_parquet_with_paths(tmp_path, images, parquet):
    source = parquet({"image": ["images/0.jpg", "images/1.jpg"], "question": ["Q", "R"], "answer": ["A", "B"]})
    records = made(tmp_path, source)
    assert {name: record["annotations"][0]["answer"] for name, record in records.items()} == {
        "images/0.jpg": "A",
        "images/1.jpg": "B",
    }


@pytest.mark.parametrize("form", ["pair", "bytes", "list"])
def test_parquet_with_images_inside_keeps_their_order(tmp_path, parquet, form):
    cells = [picture(20 * number) for number in range(7)]
    pairs = [{"bytes": cell, "path": f"{number}.jpg"} for number, cell in enumerate(cells)]
    column = {"pair": pairs, "bytes": cells, "list": [[pair] for pair in pairs]}[form]
    texts = [[{"role": "user", "content": "Q"}, {"role": "assistant", "content": str(n)}] for n in range(7)]
    source = parquet({"images": column, "messages": texts}, row_group_size=3)
    records = made(tmp_path, source)
    assert list(records) == [f"a.parquet#{number}" for number in range(7)]
    samples = read_samples(tmp_path / "made", "train", [record["key"] for record in records.values()])
    for number, record in enumerate(records.values()):
        assert record["annotations"][0]["answer"] == str(number)
        assert samples[record["key"]].files["jpg"] == cells[number]


def test_parquet_cells_that_are_bad(tmp_path, parquet, caplog):
    pair = {"bytes": picture(), "path": None}
    column = [[pair], [pair, pair], [{"bytes": None, "path": None}], [{"bytes": b"x", "path": None}], None,
              [{"bytes": None, "path": "none.jpg"}]]  # fmt: skip
    source = parquet({"images": column, "question": ["Q"] * 6, "answer": ["A"] * 6})
    assert set(made(tmp_path, source)) == {"a.parquet#0"}
    holds = "column 'images' holds"
    for words in (
        f"1: {holds} 2 images",
        f"2: {holds} no bytes",
        "3: corrupt",
        f"4: {holds} no bytes",
        "5: cannot read",
    ):
        assert f"a.parquet, row {words}" in caplog.text


def test_parquet_cut_short(tmp_path, parquet):
    source = parquet({"image": ["a.jpg"], "question": ["Q"], "answer": ["A"]})
    source.write_bytes(source.read_bytes()[:-10])
    with pytest.raises(DataError, match=r"a\.parquet is no Parquet file that can be read"):
        made(tmp_path, source)


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    source = tmp_path / "a.parquet"
    source.write_bytes(io.BytesIO().getvalue())
    with pytest.raises(MissingLibraryError, match=r"pyarrow .* read Parquet files: pip install 'molmo-zoo\[parquet\]'"):
        made(tmp_path, source)
