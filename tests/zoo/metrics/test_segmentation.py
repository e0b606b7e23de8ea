"""Golden numbers are TrackEval's, which took its code from DAVIS 2017 (make_golden.py)."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.metrics import mask_scores
from zoo.metrics.segmentation import contour_accuracy, region_similarity
from zoo.run_lengths import decode

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text())["masks"]


def box(left, top, width, height, size=(20, 30)):
    mask = np.zeros((1, *size), bool)
    mask[0, top : top + height, left : left + width] = True
    return mask


@pytest.mark.parametrize("case", GOLDEN)
def test_matched_objects_score_as_in_trackeval(case):
    said, true = (
        {number: np.stack([decode(frame) for frame in frames]) for number, frames in enumerate(case[side])}
        for side in ("predicted", "true")
    )
    assert mask_scores(said, true, objects="matched").scores == pytest.approx(case["scores"], abs=1e-12)


def test_a_box_that_is_shifted_by_one_pixel():
    one, other = box(5, 5, 4, 4), box(6, 5, 4, 4)
    assert region_similarity(one, other).tolist() == [12 / 20]
    # A diagonal of 36 px allows ceil(0.29) = 1 px, so every contour pixel has one near.
    assert contour_accuracy(one, other).tolist() == [1.0]
    # The contour of a box is that of 5 x 5 pixels, one more to the left and above, without the inner 3 x 3: 16. Two
    # pixels on, 6 of them are further off: its near column of 5, and the middle of its other, amid the new contour.
    contour, far = 16, 6
    shifted = box(7, 5, 4, 4)
    assert contour_accuracy(one, shifted)[0] == pytest.approx(1 - far / contour)


def test_a_contour_lies_outside_to_the_left_and_above_and_ends_at_the_pictures_edge():
    whole = np.ones((1, 20, 30), bool)
    nothing = np.zeros((1, 20, 30), bool)
    assert contour_accuracy(whole, nothing).tolist() == [1.0]  # neither has a contour
    assert contour_accuracy(whole, box(5, 5, 4, 4)).tolist() == [0.0]
    assert region_similarity(whole, nothing).tolist() == [0.0]
    assert region_similarity(nothing, nothing).tolist() == [1.0]


def test_together_is_blind_to_who_is_who_and_matched_is_not():
    left, right = box(2, 2, 6, 6), box(20, 10, 6, 6)
    true = {0: np.concatenate([left, left]), 1: np.concatenate([right, right])}
    switched = {0: np.concatenate([left, right]), 1: np.concatenate([right, left])}
    assert mask_scores(switched, true).scores == {"j": 1.0, "f": 1.0, "j_and_f": 1.0}
    # Each predicted object is right in one of two frames.
    assert mask_scores(switched, true, objects="matched").scores["j"] == 0.5


def test_an_object_that_is_missing_scores_nothing_and_one_too_many_costs_nothing_where_objects_are_matched():
    left, right = box(2, 2, 6, 6), box(20, 10, 6, 6)
    assert mask_scores({0: left}, {0: left, 1: right}, objects="matched").scores["j_and_f"] == 0.5
    assert mask_scores({0: left, 1: right}, {0: left}, objects="matched").scores["j_and_f"] == 1.0
    assert mask_scores({0: left, 1: right}, {0: left}).scores["j"] == 0.5
    assert mask_scores({}, {0: left}).scores["j"] == 0.0


def test_nothing_for_nothing_is_right():
    for objects in ("together", "matched"):
        assert mask_scores({}, {}, objects=objects).scores["j_and_f"] == 1.0
    assert mask_scores({}, {0: np.zeros((2, 5, 5), bool)}).scores["j_and_f"] == 1.0


def test_masks_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 20, 30\), \(2, 20, 30\)"):
        mask_scores({0: box(1, 1, 2, 2)}, {0: np.zeros((2, 20, 30), bool)})


boxes = st.tuples(st.integers(1, 15), st.integers(1, 10), st.integers(1, 10), st.integers(1, 6))


@given(boxes, boxes, st.integers(0, 3), st.integers(0, 2))
def test_scores_are_symmetric_and_move_with_the_picture(one, other, right, down):
    first, second = box(*one), box(*other)
    scores = mask_scores({0: first}, {0: second}).scores
    assert mask_scores({0: second}, {0: first}).scores == pytest.approx(scores)
    moved = [box(left + right, top + down, width, height) for left, top, width, height in (one, other)]
    assert mask_scores({0: moved[0]}, {0: moved[1]}).scores == pytest.approx(scores)
    assert mask_scores({5: first}, {0: first}).scores == {"j": 1.0, "f": 1.0, "j_and_f": 1.0}
