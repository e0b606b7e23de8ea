"""Rigid poses against matrices and SciPy, and screw motions against their definition."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.linalg import expm
from scipy.spatial.transform import Rotation

from zoo.envs.kinematics import poses

EXACT = 1e-9  # float64 with cancellation near half a turn
numbers = st.floats(-2, 2)
vectors = hnp.arrays(np.float64, 3, elements=numbers)


@st.composite
def pose7s(draw, max_angle=3.0):
    turn = draw(vectors)
    length = np.linalg.norm(turn)
    turn = turn if length <= max_angle else turn * max_angle / length
    return poses.pose7(draw(vectors), poses.quat_from_rotation_vector(turn))


def scipy_matrix(pose):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_quat(np.roll(pose[3:], -1)).as_matrix()
    matrix[:3, 3] = pose[:3]
    return matrix


@given(pose7s(), pose7s(), vectors)
def test_composition_is_that_of_matrices(a, b, point):
    A, B = scipy_matrix(a), scipy_matrix(b)
    np.testing.assert_allclose(poses.matrix_from_pose(a), A, atol=EXACT)
    np.testing.assert_allclose(poses.matrix_from_pose(poses.compose(a, b)), A @ B, atol=EXACT)
    np.testing.assert_allclose(poses.matrix_from_pose(poses.invert(a)), np.linalg.inv(A), atol=EXACT)
    np.testing.assert_allclose(poses.transform_points(a, point), (A @ [*point, 1])[:3], atol=EXACT)
    np.testing.assert_allclose(poses.matrix_from_pose(poses.pose_from_matrix(A)), A, atol=EXACT)


@given(vectors.filter(lambda v: np.linalg.norm(v) <= np.pi - 1e-3))
def test_rotation_vectors_go_there_and_back(vector):
    quat = poses.quat_from_rotation_vector(vector)
    np.testing.assert_allclose(poses.rotation_vector(quat), vector, atol=EXACT)
    np.testing.assert_allclose(poses.rotation_vector(-quat), vector, atol=EXACT)


@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.6, -0.8, 0)])
def test_half_turns_keep_their_axis(axis):
    matrix = Rotation.from_rotvec(np.pi * np.array(axis)).as_matrix()
    quat = poses.quat_from_matrix(matrix)
    np.testing.assert_allclose(poses.matrix_from_quat(quat), matrix, atol=EXACT)


@given(st.floats(-3.1, 3.1))
def test_yaw_goes_there_and_back(yaw):
    assert poses.yaw_of(poses.quat_from_yaw(yaw)) == pytest.approx(yaw, abs=EXACT)


@given(pose7s(), pose7s(), st.floats(0, 1))
def test_a_screw_is_the_exponential_of_its_twist(start, end, share):
    step = poses.compose(poses.invert(start), end)
    if np.linalg.norm(poses.rotation_vector(step[3:])) > 3.0:
        return  # near half a turn the axis is not determined
    twist = poses.screw_twist(start, end)
    x, y, z = twist[3:]
    generator = np.zeros((4, 4))
    generator[:3, :3], generator[:3, 3] = [[0, -z, y], [z, 0, -x], [-y, x, 0]], twist[:3]
    expected = scipy_matrix(start) @ expm(share * generator)
    found = poses.interpolate_screw(start, end, np.array([share]))[0]
    np.testing.assert_allclose(poses.matrix_from_pose(found), expected, atol=1e-7)  # expm's own error
    reached = poses.follow_twist(start, twist, 1.0)
    assert poses.distance(reached, end) < 1e-7
    assert poses.angle_between(reached[3:], end[3:]) < 1e-7


def test_a_path_keeps_its_speeds_and_ends_at_the_end():
    start = poses.pose7([0.3, 0, 0.5], [1, 0, 0, 0])
    end = poses.pose7([0.5, 0.2, 0.1], poses.quat_from_rotation_vector([0, 1.0, 0.5]))
    path = np.vstack([start, poses.screw_path(start, end, speed=0.2, turn_speed=1.0, dt=0.066)])
    np.testing.assert_allclose(path[-1, :3], end[:3], atol=EXACT)
    turns = poses.angle_between(path[:-1, 3:], path[1:, 3:])
    assert turns.max() <= 1.0 * 0.066 + EXACT
    np.testing.assert_allclose(turns, turns[0], atol=EXACT)
    assert len(poses.screw_path(start, start, speed=0.2, turn_speed=1.0, dt=0.066)) == 1


def test_planar_pose_stands_upright():
    np.testing.assert_allclose(
        poses.transform_points(poses.planar_pose7(1, 2, np.pi / 2), [1.0, 0, 0.5]), [1, 3, 0.5], atol=EXACT
    )


@given(st.floats(-50.0, 50.0))
def test_wrapped_is_the_same_direction(angle):
    assert -math.pi <= poses.wrapped(angle) < math.pi
    assert math.cos(poses.wrapped(angle)) == pytest.approx(math.cos(angle), abs=1e-9)
    assert math.sin(poses.wrapped(angle)) == pytest.approx(math.sin(angle), abs=1e-9)
