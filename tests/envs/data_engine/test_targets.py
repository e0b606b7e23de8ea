"""Boxes of targets: the coarse sensor, and which of the two is recorded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.envs.data_engine.sight import Seen
from zoo.envs.data_engine.targets import COARSE_M, best_box, coarse_box, with_area
from zoo.shards.policy_episode import MISSING_BOX

SIZE = (70, 14)  # divisions of 10 x 2 pixels


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0, 0, 0, 0), (0, 0, 9, 1)),
        ((9, 1, 10, 2), (0, 0, 19, 3)),
        ((35, 5, 69, 13), (30, 4, 69, 13)),
    ],
)
def test_the_coarse_box_ends_at_divisions(box, expected):
    assert coarse_box(box, SIZE) == pytest.approx(expected)


@given(st.data())
def test_the_coarse_box_holds_the_accurate_one_and_stays_in_the_picture(data):
    width, height = data.draw(st.integers(7, 400)), data.draw(st.integers(7, 300))
    x1, y1 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    x2, y2 = data.draw(st.integers(x1, width - 1)), data.draw(st.integers(y1, height - 1))
    left, top, right, bottom = coarse_box((x1, y1, x2, y2), (width, height))
    slack = 1e-6
    assert -slack <= left <= x1 + slack
    assert -slack <= top <= y1 + slack
    assert x2 - 1 - slack <= right <= width - 1 + slack  # divisions may end between two columns
    assert y2 - 1 - slack <= bottom <= height - 1 + slack


def test_near_objects_have_the_coarse_box_and_far_ones_the_accurate():
    seen = Seen(pixels=12, box=(11, 3, 14, 5))
    assert best_box(seen, SIZE, COARSE_M) == with_area((10, 2, 19, 5))
    assert best_box(seen, SIZE, COARSE_M + 0.1) == (11, 3, 14, 5, 6)
    assert best_box(Seen(0), SIZE, 1.0) == MISSING_BOX
