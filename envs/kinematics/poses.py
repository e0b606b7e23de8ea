"""Rigid poses: position and quaternion in one row of seven numbers, and the motions between two of them.

A pose7 is (x, y, z, qw, qx, qy, qz), metres and a unit quaternion. `base_from_tool` takes points of the tool to
the base. Every function works on any leading dimensions, in float64.
Source: sheet of MolmoSpaces, reading key (pose7) and section 15 (screw motions of the tool).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

SMALL_ANGLE = 1e-4  # rad; below, series replace quotients of small numbers: their next terms are below 1e-16
_NEXT, _AFTER = [1, 2, 0], [2, 0, 1]  # axes


def quat_multiply(a_wxyz: ArrayLike, b_wxyz: ArrayLike) -> Array:
    """Rotation b, then a: (..., 4)."""
    a, b = np.asarray(a_wxyz, np.float64), np.asarray(b_wxyz, np.float64)
    w = a[..., :1] * b[..., :1] - np.sum(a[..., 1:] * b[..., 1:], axis=-1, keepdims=True)
    xyz = a[..., :1] * b[..., 1:] + b[..., :1] * a[..., 1:] + _cross(a[..., 1:], b[..., 1:])
    return np.concatenate([w, xyz], axis=-1)


def _cross(a: Array, b: Array) -> Array:
    """`np.cross` of (..., 3) without its checks, which cost ten times the products."""
    return a[..., _NEXT] * b[..., _AFTER] - a[..., _AFTER] * b[..., _NEXT]


def quat_conjugate(quat_wxyz: ArrayLike) -> Array:
    """The opposite rotation: (..., 4)."""
    return np.asarray(quat_wxyz, np.float64) * np.array([1.0, -1.0, -1.0, -1.0])


def rotate(quat_wxyz: ArrayLike, points: ArrayLike) -> Array:
    """Points (..., 3) turned by quaternions (..., 4)."""
    quat, points = np.asarray(quat_wxyz, np.float64), np.asarray(points, np.float64)
    twice = 2 * _cross(quat[..., 1:], points)
    return points + quat[..., :1] * twice + _cross(quat[..., 1:], twice)


def quat_from_rotation_vector(vector: ArrayLike) -> Array:
    """Quaternions (..., 4) of axis times angle (..., 3), radians."""
    vector = np.asarray(vector, np.float64)
    angle = np.linalg.norm(vector, axis=-1, keepdims=True)
    share = np.where(angle < SMALL_ANGLE, 0.5 - angle**2 / 48, np.sin(angle / 2) / np.maximum(angle, SMALL_ANGLE))
    return np.concatenate([np.cos(angle / 2), share * vector], axis=-1)


def rotation_vector(quat_wxyz: ArrayLike) -> Array:
    """Axis times angle (..., 3), radians, of at most half a turn."""
    quat = np.asarray(quat_wxyz, np.float64)
    quat = np.where(quat[..., :1] < 0, -quat, quat)  # q and -q are one rotation; this one is the shorter way
    size = np.linalg.norm(quat[..., 1:], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(size, quat[..., :1])
    return quat[..., 1:] * np.where(size < SMALL_ANGLE, 2.0 + size**2 / 3, angle / np.maximum(size, SMALL_ANGLE))


def quat_from_yaw(yaw: ArrayLike) -> Array:
    """Quaternions (..., 4) of counter-clockwise turns around z, radians (...)."""
    half = np.asarray(yaw, np.float64) / 2
    zero = np.zeros_like(half)
    return np.stack([np.cos(half), zero, zero, np.sin(half)], axis=-1)


def yaw_of(quat_wxyz: ArrayLike) -> Array:
    """Direction of the turned +x axis around z, radians (...)."""
    w, x, y, z = np.moveaxis(np.asarray(quat_wxyz, np.float64), -1, 0)
    return np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))


def wrapped(angle: float) -> float:
    """The same direction in [-pi, pi)."""
    return (angle + math.pi) % (2 * math.pi) - math.pi


def matrix_from_quat(quat_wxyz: ArrayLike) -> Array:
    """Rotation matrices (..., 3, 3)."""
    quat = np.asarray(quat_wxyz, np.float64)[..., None, :]
    return np.swapaxes(rotate(quat, np.eye(3)), -1, -2)


def quat_from_matrix(rotation: ArrayLike) -> Array:
    """Quaternions (..., 4), real part not negative, of rotation matrices (..., 3, 3)."""
    m = np.asarray(rotation, np.float64)
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    wx, wy, wz = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    xy, xz, yz = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    # Each row is the quaternion times four times one of its parts; the row of the largest part loses no digits.
    rows = np.stack(
        [
            np.stack([1 + xx + yy + zz, wx, wy, wz], axis=-1),
            np.stack([wx, 1 + xx - yy - zz, xy, xz], axis=-1),
            np.stack([wy, xy, 1 - xx + yy - zz, yz], axis=-1),
            np.stack([wz, xz, yz, 1 - xx - yy + zz], axis=-1),
        ],
        axis=-2,
    )
    best = np.argmax(np.diagonal(rows, axis1=-2, axis2=-1), axis=-1)
    quat = np.take_along_axis(rows, best[..., None, None], axis=-2)[..., 0, :]
    quat = quat / np.linalg.norm(quat, axis=-1, keepdims=True)
    return np.where(quat[..., :1] < 0, -quat, quat)


def pose7(position_m: ArrayLike, quat_wxyz: ArrayLike) -> Array:
    """Poses (..., 7) of positions (..., 3) and quaternions (..., 4)."""
    position, quat = np.asarray(position_m, np.float64), np.asarray(quat_wxyz, np.float64)
    if position.shape[:-1] == quat.shape[:-1]:
        return np.concatenate([position, quat], axis=-1)
    lead = np.broadcast_shapes(position.shape[:-1], quat.shape[:-1])
    return np.concatenate([np.broadcast_to(position, (*lead, 3)), np.broadcast_to(quat, (*lead, 4))], axis=-1)


def planar_pose7(x: float, y: float, yaw: float, z: float = 0.0) -> Array:
    """Pose (7,) of what stands upright on the floor."""
    return pose7([x, y, z], quat_from_yaw(yaw))


def matrix_from_pose(pose: ArrayLike) -> Array:
    """Homogeneous matrices (..., 4, 4)."""
    pose = np.asarray(pose, np.float64)
    matrix = np.zeros((*pose.shape[:-1], 4, 4))
    matrix[..., :3, :3] = matrix_from_quat(pose[..., 3:])
    matrix[..., :3, 3] = pose[..., :3]
    matrix[..., 3, 3] = 1
    return matrix


def pose_from_matrix(matrix: ArrayLike) -> Array:
    """Poses (..., 7) of homogeneous matrices (..., 4, 4)."""
    matrix = np.asarray(matrix, np.float64)
    return pose7(matrix[..., :3, 3], quat_from_matrix(matrix[..., :3, :3]))


def compose(a_from_b: ArrayLike, b_from_c: ArrayLike) -> Array:
    """a_from_c: (..., 7)."""
    a, b = np.asarray(a_from_b, np.float64), np.asarray(b_from_c, np.float64)
    return pose7(a[..., :3] + rotate(a[..., 3:], b[..., :3]), quat_multiply(a[..., 3:], b[..., 3:]))


def invert(a_from_b: ArrayLike) -> Array:
    """b_from_a: (..., 7)."""
    pose = np.asarray(a_from_b, np.float64)
    back = quat_conjugate(pose[..., 3:])
    return pose7(-rotate(back, pose[..., :3]), back)


def transform_points(a_from_b: ArrayLike, points_b: ArrayLike) -> Array:
    """Points (..., 3) of frame b, in frame a."""
    pose = np.asarray(a_from_b, np.float64)
    return pose[..., :3] + rotate(pose[..., 3:], points_b)


def distance(a: ArrayLike, b: ArrayLike) -> Array:
    """Metres between the positions of two poses: (...)."""
    return np.linalg.norm(np.asarray(a, np.float64)[..., :3] - np.asarray(b, np.float64)[..., :3], axis=-1)


def angle_between(a_wxyz: ArrayLike, b_wxyz: ArrayLike) -> Array:
    """Radians between two rotations (..., 4), at most pi: (...)."""
    turn = quat_multiply(quat_conjugate(a_wxyz), b_wxyz)
    assert turn.shape[-1] == 4, "angle_between takes quaternions, not poses"
    return np.linalg.norm(rotation_vector(turn), axis=-1)


def screw_twist(start: ArrayLike, end: ArrayLike) -> Array:
    """The constant twist that takes start to end in one unit of time, by the shorter turn.

    Args:
        start: Poses (..., 7).
        end: Poses (..., 7).
    Returns:
        (..., 6): linear then angular velocity, metres and radians, in the frame of `start`.
    """
    step = compose(invert(start), end)
    turn = rotation_vector(step[..., 3:])
    angle = np.linalg.norm(turn, axis=-1, keepdims=True)
    safe = np.maximum(angle, SMALL_ANGLE)
    share = np.where(angle < SMALL_ANGLE, 1 / 12, (1 - safe / 2 / np.tan(safe / 2)) / safe**2)
    once = _cross(turn, step[..., :3])
    linear = step[..., :3] - once / 2 + share * _cross(turn, once)
    return np.concatenate([linear, turn], axis=-1)


def follow_twist(start: ArrayLike, twist: ArrayLike, time: ArrayLike) -> Array:
    """Where a constant twist of `screw_twist` has taken a pose.

    Args:
        start: Poses (..., 7).
        twist: (..., 6), in the frame of `start`.
        time: Units of time (...).
    Returns:
        Poses (..., 7).
    """
    scaled = np.asarray(twist, np.float64) * np.asarray(time, np.float64)[..., None]
    turn = scaled[..., 3:]
    angle = np.linalg.norm(turn, axis=-1, keepdims=True)
    safe = np.maximum(angle, SMALL_ANGLE)
    is_small = angle < SMALL_ANGLE
    first = np.where(is_small, 0.5, (1 - np.cos(safe)) / safe**2)
    second = np.where(is_small, 1 / 6, (safe - np.sin(safe)) / safe**3)
    once = _cross(turn, scaled[..., :3])
    moved = scaled[..., :3] + first * once + second * _cross(turn, once)
    return compose(start, pose7(moved, quat_from_rotation_vector(turn)))


def interpolate_screw(start: ArrayLike, end: ArrayLike, share: ArrayLike) -> Array:
    """Poses on the screw motion from start to end.

    Args:
        start: Pose (7,).
        end: Pose (7,).
        share: Of the way (n,), 0 at the start and 1 at the end.
    Returns:
        (n, 7).
    """
    return follow_twist(start, screw_twist(start, end), share)


def screw_path(start: ArrayLike, end: ArrayLike, *, speed: float, turn_speed: float, dt: float) -> Array:
    """Poses one `dt` apart on the screw motion from start to end, at speeds that are not exceeded.

    Args:
        start: Pose (7,), not part of the path.
        end: Pose (7,), its last.
        speed: m/s of the twist's linear part.
        turn_speed: rad/s.
        dt: Seconds.
    Returns:
        (n, 7), at least one pose.
    """
    twist = screw_twist(start, end)
    seconds = max(np.linalg.norm(twist[:3]) / speed, np.linalg.norm(twist[3:]) / turn_speed)
    number = max(1, math.ceil(seconds / dt - 1e-9))
    return follow_twist(start, twist, np.arange(1, number + 1) / number)
