import json
from pathlib import Path

import numpy as np
import pytest

from zoo.shards.encode import encode_jpg
from zoo.shards.reader import read_records


@pytest.fixture
def source(zoo):
    """`mine.jsonl` in the folder that commands run in: ten pictures, one of them missing."""
    rows = []
    for number in range(10):
        Path(f"{number}.jpg").write_bytes(encode_jpg(np.full((8, 8, 3), 20 * number, np.uint8)))
        turns = [{"role": "user", "content": "How bright?"}, {"role": "assistant", "content": str(number)}]
        rows.append(json.dumps({"image": f"{number}.jpg", "messages": turns}))
    Path("3.jpg").unlink()
    Path("mine.jsonl").write_text("\n".join(rows))
    return Path("mine.jsonl")


def test_a_file_becomes_shards(zoo, source):
    answer = zoo("convert", "data", source, "--out=made", "--val_share=0.3", "--workers=0")
    assert (answer.code, answer.out) == (0, "made\n")
    assert "mine.jsonl, line 4: cannot read" in answer.err
    found = {split: len(list(read_records("made", split))) for split in ("train", "val")}
    assert sum(found.values()) == 9
    assert found["val"] >= 1
    again = zoo("convert", "data", source, "--out=made", "--val_share=0.3", "--workers=0")
    assert "made is finished already" in again.err


def test_spawned_workers_name_what_is_bad_too(zoo, source):
    answer = zoo("convert", "data", source, "--out=made", "--samples_per_shard=4", "--workers=2")
    assert answer.code == 0, answer.err
    assert "mine.jsonl, line 4: cannot read" in answer.err
    assert sum(len(list(read_records("made", split))) for split in ("train", "val")) == 9


def test_bad_rows_may_be_fatal(mistake, source):
    sentence = mistake("convert", "data", source, "--out=made", "--on_bad_sample=raise", "--workers=0")
    assert "mine.jsonl, line 4: cannot read" in sentence


def test_columns_of_other_names(zoo):
    Path("a.jpg").write_bytes(encode_jpg(np.zeros((8, 8, 3), np.uint8)))
    Path("mine.jsonl").write_text(json.dumps({"foto": "a.jpg", "question": "Q", "answer": "A"}))
    answer = zoo("convert", "data", "mine.jsonl", "--out=made", "--columns.media=foto", "--workers=0")
    assert answer.code == 0, answer.err
    assert [record["meta"]["media"] for record in read_records("made", "train")] == ["a.jpg"]


def test_help_of_a_source_and_of_a_reader(zoo, source):
    out = zoo("convert", "data", source, "--help").out
    assert "--media_root" in out
    assert "--out" in out
    assert "--source" not in out
    assert "--val_share" in zoo("convert", "data", "easy_vqa", "--help").out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "wants its source first. A file (.jsonl"),
        (["--out=x"], "wants its source first."),
        (["easy_vqs", "--out=x"], "no file, folder or reader 'easy_vqs'. Near: easy_vqa."),
        (["mine.jsonl"], "out: missing"),
        (["mine.jsonl", "--out=x", "--val_shar=1"], "no option 'val_shar'. Near: val_share."),
        (["mine.jsonl", "--out=x", "--val_share=2"], "val_share is 2.0"),
        (["mine.jsonl", "--out=x", "--turns=both"], "turns: expected Literal['dialogue', 'separate'], got 'both'"),
    ],
)
def test_mistakes(mistake, source, arguments, text):
    assert text in mistake("convert", "data", *arguments)
    assert not Path("x").exists()
