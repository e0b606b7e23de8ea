import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from zoo.errors import DataError
from zoo.run_lengths import decode, encode, read_counts

GOLDEN = json.loads((Path(__file__).parent / "metrics" / "golden.json").read_text())["run_lengths"]


@pytest.mark.parametrize("case", GOLDEN)
def test_strings_are_those_of_pycocotools(case):
    mask = np.asarray([[pixel == "1" for pixel in row] for row in case["rows"]])
    np.testing.assert_array_equal(decode(case["rle"]), mask)
    assert encode(mask) == case["rle"]


def test_columns_come_first_and_background_begins():
    mask = np.asarray([[0, 1, 1], [0, 0, 1]], bool)
    rle = {"size": [2, 3], "counts": [2, 1, 1, 2]}  # down the columns: 0 0 | 1 0 | 1 1
    np.testing.assert_array_equal(decode(rle), mask)
    np.testing.assert_array_equal(decode(encode(mask)), mask)
    assert read_counts(encode(~mask)).tolist() == [0, 2, 1, 1, 2]
    # 2, 1, 1 as they are, then 2 - 1 = 1: each of them fits into one character from "0" on
    assert encode(mask)["counts"] == "2111"
    assert decode({"size": [2, 3], "counts": b"2111"}).tolist() == mask.tolist()


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_what_is_written_is_read(mask):
    np.testing.assert_array_equal(decode(encode(mask)), mask)


@given(st.text(max_size=30) | st.binary(max_size=30))
def test_any_string_is_read_or_refused_as_data(text):
    try:
        counts = read_counts({"size": [3, 5], "counts": text})
    except DataError:
        return
    assert counts.sum() == 15


@pytest.mark.parametrize(
    ("rle", "match"),
    [
        ({"counts": "2111"}, "'size' and 'counts'"),
        ("2111", "'size' and 'counts'"),
        ({"size": [2], "counts": "2111"}, r"size \[2\]"),
        ({"size": [0, 3], "counts": ""}, "size"),
        ({"size": [2, 3], "counts": [2, 1, 1]}, "runs of 4 pixels for a picture of 2 x 3"),
        ({"size": [2, 3], "counts": [8, -2]}, "runs of 6 pixels"),
        ({"size": [2, 3], "counts": "21 1"}, "byte 32"),
        ({"size": [2, 3], "counts": "211P"}, "ends inside a number"),
        ({"size": [2, 3], "counts": "o" * 40}, "none of COCO's"),
    ],
)
def test_a_broken_mask_is_refused(rle, match):
    with pytest.raises(DataError, match=match):
        read_counts(rle)
