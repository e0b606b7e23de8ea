"""The best box of a camera, out of one for each object and sensor."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spoc_files import boxes as group_of

from zoo.datamodules.readers.spoc.boxes import best_of, edges_of, is_missing, largest, missing
from zoo.shards.policy_episode import MISSING_BOX

OBJECTS = ["a", "b", "reference"]


def test_the_largest_visible_target_of_each_row():
    group = group_of(3, OBJECTS, [(0, 0, 0, 0, 2, 2), (0, 1, 1, 1, 4, 5), (0, 2, 0, 0, 90, 90), (1, 0, 5, 6, 5, 9)])
    found = largest(group, ["a", "b"])
    np.testing.assert_array_equal(found, [[1, 1, 4, 5, 12], [5, 6, 5, 9, 0], MISSING_BOX])
    assert found.dtype == np.float32


def test_edges_in_the_wrong_order_are_turned():
    group = group_of(1, ["a"], [(0, 0, 4, 5, 1, 1)])
    np.testing.assert_array_equal(largest(group, ["a"]), [[1, 1, 4, 5, 12]])


def test_without_a_target_nothing_is_there():
    assert is_missing(largest(group_of(2, OBJECTS, [(0, 2, 0, 0, 9, 9)]), ["elsewhere"])).all()
    assert is_missing(largest(group_of(2, []), ["a"])).all()


def test_edges_of_another_number_of_objects():
    group = group_of(2, OBJECTS) | {"oids_as_bytes": group_of(2, ["a"])["oids_as_bytes"]}
    with pytest.raises(ValueError, match="of 1 objects"):
        largest(group, ["a"])


def test_the_larger_sensor_wins_and_the_first_one_where_they_are_equal():
    first = np.array([[0, 0, 2, 2, 4], [0, 0, 2, 2, 4], MISSING_BOX, MISSING_BOX], np.float32)
    second = np.array([[9, 9, 11, 11, 4], [9, 9, 12, 11, 6], [3, 3, 3, 8, 0], MISSING_BOX], np.float32)
    found = best_of([first, second])
    np.testing.assert_array_equal(found[:, 0], [first[0], second[1], second[2], MISSING_BOX])
    assert is_missing(found[:, 1]).all()


@given(st.lists(st.none() | st.tuples(*[st.integers(0, 383)] * 4), min_size=1, max_size=6), st.integers(1, 3))
def test_boxes_come_back(corners, num_objects):
    boxes = missing(len(corners))
    for row, corner in enumerate(corners):
        if corner is not None:
            x1, x2 = sorted(corner[:2])
            y1, y2 = sorted(corner[2:])
            boxes[row] = x1, y1, x2, y2, (x2 - x1) * (y2 - y1)
    ids = OBJECTS[:num_objects]
    group = group_of(len(corners), ids) | edges_of(boxes, num_objects)
    np.testing.assert_array_equal(largest(group, ids), boxes)
