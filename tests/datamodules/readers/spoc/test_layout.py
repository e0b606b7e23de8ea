"""Texts and poses of the layout."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.datamodules.readers.spoc import layout
from zoo.navigation_actions import SHORT_NAMES, SpocAction

TEXT = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20)
METRES = st.floats(-50, 50, width=32)


@given(st.lists(TEXT, min_size=1, max_size=5), st.integers(0, 7))
def test_texts_come_back_from_null_padded_rows(texts, room):
    width = max(len(text.encode()) for text in texts) + room
    rows = layout.text_rows(texts, width or None)
    assert rows.dtype == np.uint8
    assert layout.texts_of(rows) == texts


def test_rows_are_those_of_numpy_s_fixed_width_bytes():
    expected = np.array([b"", b"m", b"end"], "S200").view(np.uint8).reshape(3, 200)
    np.testing.assert_array_equal(layout.text_rows(["", "m", "end"], layout.TEXT_BYTES), expected)


@pytest.mark.parametrize("text", ["too long", "a\0b"])
def test_texts_that_do_not_fit(text):
    with pytest.raises(ValueError, match="4 fit and none may be zero"):
        layout.text_rows([text], 4)


def test_bytes_that_are_no_text():
    with pytest.raises(ValueError, match="can't decode"):
        layout.text_of(np.array([0xFF, 0xFE, 0], np.uint8))


def test_every_action_is_known_by_both_names_in_released_order():
    assert [layout.ACTIONS[name] for name in SHORT_NAMES] == list(SpocAction)
    assert layout.ACTIONS["rotate_left_small"] == SpocAction.ROTATE_LEFT_SMALL == 6
    assert len(layout.ACTIONS) == 39  # sub_done is its own short name


def test_unity_s_front_is_our_y_and_clockwise_is_negative():
    location = np.array([[1.0, 0.9, 2.0, 0, 0, 0], [1, 0.9, 2, 0, 90, 0], [0, 0, 0, 0, 270, 0]])
    poses = layout.poses_from_unity(location)
    np.testing.assert_allclose(poses[:, :2], [[1, 2], [1, 2], [0, 0]])
    np.testing.assert_allclose(np.abs(poses[:, 2]), [np.pi / 2, 0, np.pi], atol=1e-6)
    assert poses[0, 2] > 0


@given(METRES, METRES, st.floats(-3.125, 3.125, width=32))
def test_poses_come_back(x, y, yaw):
    pose = np.array([[x, y, yaw]], np.float32)
    there = layout.poses_to_unity(pose, 0.9)
    assert 0 <= there[0, 4] < 360
    assert there[0, 1] == 0.9
    back = layout.poses_from_unity(there)
    np.testing.assert_array_equal(back[:, :2], pose[:, :2])
    np.testing.assert_allclose(back[:, 2], pose[:, 2], atol=1e-6)


@given(st.lists(METRES, min_size=4, max_size=4))
def test_arm_vectors_come_back(numbers):
    arm = np.array([numbers], np.float32)
    np.testing.assert_array_equal(layout.arm_from_unity(layout.arm_to_unity(arm)), arm)


def test_the_arm_s_axes():
    # 1 right, 2 up, 3 forward, wrist at -180 degrees
    np.testing.assert_array_equal(layout.arm_from_unity(np.array([[1.0, 2, 3, -180]])), [[3, -1, 2, -180]])


def test_names_of_files():
    assert layout.house_folder(123) == "000123"
    assert layout.houses_file("val") == "house_id_to_sub_house_id_val.json"
    assert layout.video_file("navigation_camera", "4") == "raw_navigation_camera__4.mp4"
    assert layout.box_group("manipulation_camera", "accurate") == "manip_accurate_object_bbox"
