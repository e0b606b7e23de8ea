"""Moving a part of furniture with the fist: where the closed fingers touch it, and how the tool goes along with it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from zoo.envs.experts.workspace import Workspace
from zoo.envs.grasps.surface import collision_geoms, pieces_of, surface_points
from zoo.envs.kinematics.poses import (
    Array,
    compose,
    pose7,
    quat_from_matrix,
    quat_from_rotation_vector,
    quat_multiply,
    transform_points,
)
from zoo.envs.robots.gripper import PAD_THICKNESS_M, PAD_WIDTH_M, TIP_BEYOND_TCP_M
from zoo.envs.simulator import mujoco

POINTS = 24
"""Places of a part that are tried."""
MIN_COSINE = 0.85
"""Between a push and the way of the place that is pushed."""
MIN_LEVER = 0.5
"""Of the longest lever that the part has."""
NEAR_COST = 0.3
"""Per metre from the robot, against a whole lever."""
PRESS_M = 0.005
"""The fingers are sent this far into what they move."""
HOOKED_M = 0.015
"""Length of finger behind what is hooked."""
TILTS = ((0.0, 0.0), (0.0, 0.5), (0.0, -0.5), (0.5, 0.0), (-0.5, 0.0), (0.0, 0.9), (0.0, -0.9))
"""Turns of the hand against a push, about two axes across it, radians."""
HOOK_TURNS = tuple(math.pi / 4 * turn for turn in range(8))
"""Directions of the fingers around the way of what they hook, radians."""


def carried(arm: Workspace, joint: int, tcp: Array, positions: Array, *, is_turned: bool = True) -> Array:
    """A tool that goes along with a part.

    Args:
        arm: In a copy of the scene.
        joint: Of the part.
        tcp: world_from_tcp (7,) at the first position.
        positions: Of the joint (n,).
        is_turned: It stays where it is on the part; otherwise its tip does, and it looks the same way all along.
    Returns:
        world_from_tcp (n, 7).
    """
    model, data = arm.model, arm.data
    axis, anchor = data.xaxis[joint], data.xanchor[joint]
    moved = (positions - positions[0])[:, None] * axis
    if model.jnt_type[joint] == int(mujoco.mjtJoint.mjJNT_SLIDE):
        return pose7(tcp[:3] + moved, tcp[3:])
    around = compose(pose7(anchor, quat_from_rotation_vector(moved)), pose7(-anchor, [1.0, 0.0, 0.0, 0.0]))
    if is_turned:
        return compose(around, tcp)
    tip = transform_points(tcp, [0.0, 0.0, TIP_BEYOND_TCP_M])
    return pose7(tcp[:3] + transform_points(around, tip) - tip, tcp[3:])


def fist_poses(arm: Workspace, joint: int, sign: float, rng: np.random.Generator, *, is_hook: bool) -> Array:
    """Where the fist moves a part, places with a long lever near the robot first.

    Args:
        arm: In a copy of the scene.
        joint: Of the part.
        sign: Whether its position is to grow or to shrink.
        rng: Of the places that are tried.
        is_hook: The side of the fingers pulls, rather than their tips push.
    Returns:
        world_from_tcp (n, 7).
    """
    points, ways = _places(arm, joint, sign, rng)
    poses: list[Array] = []
    if is_hook:
        for turn in HOOK_TURNS:
            for point, way in zip(points, ways, strict=True):
                poses += _hooking(point, way, turn)
    else:
        for tilt in TILTS:
            for point, way in zip(points, ways, strict=True):
                poses += _pushing(point, way, tilt)
    return np.array(poses).reshape(-1, 7)


def _places(arm: Workspace, joint: int, sign: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """(n, 3) points of a part's surface that look against its way, and (n, 3) unit vectors of that way."""
    model, data = arm.model, arm.data
    geoms = collision_geoms(model, [int(model.jnt_bodyid[joint])])
    points, normals = surface_points(pieces_of(model, data, geoms, 0), rng)
    axis, anchor = data.xaxis[joint], data.xanchor[joint]
    if model.jnt_type[joint] == int(mujoco.mjtJoint.mjJNT_SLIDE):
        speed = np.tile(sign * axis, (len(points), 1))
    else:
        speed = sign * np.cross(axis, points - anchor)
    size = np.linalg.norm(speed, axis=1)
    ways = speed / np.maximum(size, 1e-9)[:, None]
    lever = size / max(float(size.max(initial=0)), 1e-9)
    cosine = -np.einsum("ni,ni->n", ways, normals)
    good = np.flatnonzero((cosine >= MIN_COSINE) & (lever >= MIN_LEVER))
    away = np.linalg.norm(points - arm.view.base_pose()[:3], axis=1)
    order = good[np.argsort(NEAR_COST * away[good] - lever[good], kind="stable")]
    chosen = order[:: max(1, len(order) // POINTS)]
    return points[chosen], ways[chosen]


def _pushing(point: Array, way: Array, tilt: tuple[float, float]) -> Iterator[Array]:
    """Tools whose tips are at a point and look along a tilted way, for two rolls."""
    across, level = _across(way)
    tilted = quat_from_rotation_vector(tilt[0] * across + tilt[1] * level)
    for first, second in ((across, level), (level, -across)):
        turn = quat_multiply(tilted, quat_from_matrix(np.stack([first, second, way], axis=1)))
        yield compose(pose7(point, turn), [0.0, 0.0, PRESS_M - TIP_BEYOND_TCP_M, 1.0, 0.0, 0.0, 0.0])


def _hooking(point: Array, way: Array, turn: float) -> Iterator[Array]:
    """Tools whose fingers lie across a way, behind a point, on either of their sides."""
    across, level = _across(way)
    approach = math.cos(turn) * across + math.sin(turn) * level
    along_width = way, np.cross(approach, way), approach
    along_opening = np.cross(way, approach), way, approach
    for axes, half in ((along_width, PAD_WIDTH_M / 2), (along_opening, PAD_THICKNESS_M)):
        middle = point - (half - PRESS_M) * way + (HOOKED_M - TIP_BEYOND_TCP_M) * approach
        yield pose7(middle, quat_from_matrix(np.stack(axes, axis=1)))


def _across(way: Array) -> tuple[Array, Array]:
    """Two directions across a way: a level one, and the one across both."""
    up = np.array([0.0, 0.0, 1.0]) if abs(way[2]) < 0.9 else np.array([1.0, 0.0, 0.0])
    across = np.cross(up, way)
    across /= np.linalg.norm(across)
    return across, np.cross(way, across)
