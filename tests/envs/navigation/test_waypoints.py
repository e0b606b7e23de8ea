"""Poses along routes."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from zoo.envs.kinematics.poses import wrapped
from zoo.envs.navigation.waypoints import poses_along

finite = st.floats(-20.0, 20.0)
points = st.lists(st.tuples(finite, finite), min_size=1, max_size=6).map(lambda items: np.array(items, float))


@given(points, st.floats(-3.0, 3.0), st.tuples(finite, finite))
def test_poses_are_close_together_and_drive_straight(corners, start_yaw, facing):
    poses = poses_along(corners, start_yaw=start_yaw, facing_m=facing)
    before = np.concatenate([[[*corners[0], start_yaw]], poses])
    steps = np.diff(before, axis=0)
    turns = np.array([wrapped(turn) for turn in steps[:, 2]])
    lengths = np.linalg.norm(steps[:, :2], axis=1)
    assert (lengths <= 0.25 + 1e-9).all()
    assert (np.abs(turns) <= math.radians(10) + 1e-9).all()
    assert not ((lengths > 1e-6) & (np.abs(turns) > 1e-6)).any()  # turns or drives
    driving = lengths > 1e-6
    headings = np.arctan2(steps[driving, 1], steps[driving, 0])
    off = [wrapped(a - b) for a, b in zip(headings, poses[driving, 2], strict=True)]
    assert np.abs(off).max(initial=0) < 1e-3
    end = before[-1]
    np.testing.assert_allclose(end[:2], corners[-1], atol=1e-9)
    if math.dist(end[:2], facing) > 1e-3:
        look = math.atan2(facing[1] - end[1], facing[0] - end[0])
        assert abs(wrapped(look - end[2])) < 1e-6


def test_poses_of_one_turn_and_one_leg():
    poses = poses_along(np.array([(0.0, 0.0), (0.0, 0.5)]), start_yaw=math.radians(75))
    expected = [(0, 0, math.radians(82.5)), (0, 0, math.pi / 2), (0, 0.25, math.pi / 2), (0, 0.5, math.pi / 2)]
    np.testing.assert_allclose(poses, expected, atol=1e-12)
    assert poses_along(np.array([(1.0, 1.0)]), start_yaw=0.3).shape == (0, 3)
