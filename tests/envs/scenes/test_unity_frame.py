"""Unity's frame: known directions, handedness, and the way back."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.envs.scenes import unity_frame as frame

ANGLES = st.floats(-180, 180)


def test_axes_and_handedness():
    right, up, forward = (np.array(frame.point_from_unity(axis)) for axis in np.eye(3))
    np.testing.assert_array_equal(up, [0, 0, 1])
    # Unity's right, up and forward are left-handed: up x right is forward here, as one sees with one's right hand
    np.testing.assert_array_equal(np.cross(up, right), forward)


@pytest.mark.parametrize(
    ("yaw_deg", "front"), [(0, (0, 1, 0)), (90, (1, 0, 0)), (180, (0, -1, 0)), (270, (-1, 0, 0)), (45, (1, 1, 0))]
)
def test_an_object_looks_where_unity_turns_it(yaw_deg, front):
    """Unity turns clockwise from its +z; an asset of ours looks along its +x."""
    seen = frame.asset_rotation_from_unity((0, yaw_deg, 0))[:, 0]
    np.testing.assert_allclose(seen, np.array(front) / np.linalg.norm(front), atol=1e-12)
    yaw = frame.yaw_from_unity(yaw_deg)
    np.testing.assert_allclose(seen[:2], (math.cos(yaw), math.sin(yaw)), atol=1e-12)


def test_pitch_looks_down():
    np.testing.assert_allclose(frame.rotation_from_unity((90, 0, 0)) @ [0, 1, 0], [0, 0, -1], atol=1e-12)


@given(ANGLES, ANGLES, ANGLES)
def test_rotations_are_proper_and_return(x, y, z):
    rotation = frame.asset_rotation_from_unity((x, y, z))
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1)
    again = frame.asset_rotation_from_unity(frame.unity_euler_of_asset(rotation))
    np.testing.assert_allclose(again, rotation, atol=1e-6)  # looking straight up loses half of the digits
