import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from two_rooms import DEPTH_M, DOOR_OFFSET_M, DOOR_WIDTH_M, mobile_episode, start, two_rooms

from zoo.envs.experts.approach import approach
from zoo.envs.experts.driving import SPEED, TURN_SPEED, Drive, glide, surroundings

metres = st.floats(-5, 5)
yaws = st.floats(-3, 3)
MIDDLE = DOOR_OFFSET_M + DOOR_WIDTH_M / 2


@pytest.fixture
def around(monkeypatch):
    things = {"table": ("dining_table_0", (6.0, 1.75, 0.0))}
    place = two_rooms(things)
    env = start(monkeypatch, place, mobile_episode("navigate_to", (1.0, 1.0, 0.0), pickup_obj_name="table"))
    return surroundings(env.simulation)


@given(
    st.tuples(metres, metres, yaws), st.lists(st.tuples(metres, metres, yaws), max_size=3), st.sampled_from([0.1, 0.2])
)
def test_glides_keep_to_both_speeds_and_end_at_the_last_corner(start_pose, corners, dt):
    poses = glide(np.array(start_pose), np.array(corners).reshape(-1, 3), dt=dt)
    steps = np.diff(np.concatenate([[start_pose], poses]), axis=0)
    assert np.hypot(steps[:, 0], steps[:, 1]).max(initial=0) <= SPEED * dt + 1e-6
    assert np.abs(steps[:, 2]).max(initial=0) <= TURN_SPEED * dt + 1e-6
    if len(poses):
        np.testing.assert_allclose(poses[-1, :2], corners[-1][:2], atol=1e-9)
        assert math.cos(poses[-1, 2] - corners[-1][2]) == pytest.approx(1)


def test_a_base_that_does_not_come_is_stuck():
    drive = Drive(np.array([[0.1, 0, 0], [0.2, 0, 0], [1.0, 0, 0]]), dt=0.1)
    base = np.zeros(3)
    for _ in range(3):
        assert drive.next(base) is not None
    np.testing.assert_array_equal(drive.next(base), [1.0, 0, 0])  # the first two are near enough to go on
    assert not drive.is_stuck
    for _ in range(10):
        drive.next(base)
    assert drive.is_stuck
    np.testing.assert_array_equal(drive.passed(2), [0.1, 0, 0])
    assert drive.next(np.array([1.0, 0, 0])) is None


def test_the_body_fits_through_a_doorway_and_not_into_walls(around):
    poses = np.array([[DEPTH_M, MIDDLE, 0.0], [DEPTH_M, MIDDLE - 0.2, 0.0], [1.0, 1.0, 0.3], [0.2, 1.0, 0.0]])
    assert (around.blocked_share(poses) > 0).tolist() == [False, True, False, True]
    reaching = np.array([[0.6, 0.0]])
    assert around.blocked_share(np.array([DEPTH_M - 0.55, 0.7, 0.0]), reaching) > 0
    assert around.blocked_share(np.array([DEPTH_M - 0.55, 0.7, 0.0])) == 0


def test_ways_lead_around_furniture(around):
    begin, goal = np.array([4.7, 1.75, 0.0]), np.array([7.4, 1.75, 0.0])
    corners, is_free = approach(around, begin, goal)
    assert is_free
    poses = glide(begin, corners, dt=0.05, speed=1.0)
    assert (around.blocked_share(poses) == 0).all()
    np.testing.assert_allclose(poses[-1], goal, atol=1e-9)
    straight = glide(begin, goal, dt=0.05, speed=1.0)
    assert (around.blocked_share(straight) > 0).any()
    assert not approach(around, begin, np.array([6.0, 1.75, 0.0]))[1]  # on the table
