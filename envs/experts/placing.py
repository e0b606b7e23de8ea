"""Where an object can be put down, tried in a copy of the scene: in or on a receptacle, or beside another object."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from zoo.envs.experts.paths import NEAR_SPEED, straight
from zoo.envs.experts.workspace import Held, Workspace
from zoo.envs.kinematics.poses import (
    Array,
    compose,
    invert,
    pose7,
    quat_from_yaw,
    quat_multiply,
)
from zoo.envs.robots.gripper import MAX_OPENING_M
from zoo.envs.simulator import mujoco

YAWS = np.arange(12) * (2 * math.pi / 12)
SHARES = (0.0, -0.3, 0.3)  # of a receptacle's half extents, from its middle
SCAN_M = 0.01  # between two heights that are tried
LOOSE_M = 0.004  # above the first contact, where the object is let go
RAISES_M = (0.0, 0.02, 0.045)  # more height, where the hand does not fit
PRE_PLACE_M = 0.07
GAPS_M = (0.02, 0.03, 0.012)
ALONG = (0.0, -0.5, 0.5, -0.9, 0.9)  # of the extent of what one stands beside
DROP_M = 0.02  # a surface must be no farther below


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Placement:
    """Where to let go.

    Args:
        pre: Arm positions above it (joints,).
        down: (steps, joints) from there.
    """

    pre: Array
    down: Array


def poses_on(arm: Workspace, held: Held, receptacle: str, upright_wxyz: Array) -> list[Array]:
    """Poses of the object, just above where it would rest on a receptacle, lowest and most central first.

    Args:
        arm: In a copy of the scene.
        held: The object.
        receptacle: Root body.
        upright_wxyz: A rotation in which the object stands; turns about the vertical are tried.
    """
    centre, half = arm.world.box(receptacle)
    axis = arm.data.xmat[arm.world.root(receptacle)].reshape(3, 3)[:2, 0]
    cosine, sine = axis / max(float(np.linalg.norm(axis)), 1e-9)
    found = []
    for along in SHARES:
        for across in SHARES:
            x, y = along * half[0], across * half[1]
            spot = centre[:2] + np.array([cosine * x - sine * y, sine * x + cosine * y]) * 0.8
            for yaw in YAWS:
                turn = quat_multiply(quat_from_yaw(yaw), upright_wxyz)
                pose = _centred(arm, held.name, turn, spot, centre[2] + half[2])
                lowest = _lowered(arm, held.name, pose, 2 * half[2])
                if lowest is not None:
                    found.append((round(lowest[2] - pose[2], 3) + 0.5 * float(np.hypot(x, y)), len(found), lowest))
    return [pose for _, _, pose in sorted(found, key=lambda entry: entry[:2])]


def poses_beside(
    arm: Workspace, held: Held, other: str, upright_wxyz: Array, gap_m: tuple[float, float]
) -> list[Array]:
    """Poses of the object on the surface that carries another, a small gap from it.

    Args:
        arm: In a copy of the scene.
        held: The object.
        other: Root body of what it goes next to.
        upright_wxyz: As of `poses_on`.
        gap_m: Between the axis-aligned boxes, at least and at most.
    """
    centre, half = arm.world.box(other)
    supports = arm.world.roots_of_geoms(arm.world.supporting_geoms(other))
    floor = float(centre[2] - half[2])
    found = []
    for gap in np.clip(GAPS_M, *gap_m):
        for yaw in YAWS[::2]:
            turn = quat_multiply(quat_from_yaw(yaw), upright_wxyz)
            own = _box_at(arm, held.name, _centred(arm, held.name, turn, centre[:2], floor))[1]
            for spot in _spots_beside(centre[:2], half[:2], half[:2] + own[:2] + gap):
                pose = _centred(arm, held.name, turn, spot, floor + LOOSE_M)
                if arm.object_is_free(held.name, pose) and _is_carried(arm, held.name, pose, own, supports):
                    found.append(pose)
    return found


def placements(arm: Workspace, held: Held, poses: list[Array], rng: np.random.Generator) -> Iterator[Placement]:
    """Those of the poses that the arm reaches without touching anything, with the hand closed or open.

    Args:
        arm: In a copy of the scene as it is.
        held: The object.
        poses: world_from_object, best first.
        rng: Of restarts of the inverse kinematics.
    """
    if not poses:
        return
    own = arm.bodies_of(held.name)
    for posture, raised in itertools.product(arm.postures, RAISES_M):
        up = np.array([0, 0, raised, 0, 0, 0, 0])
        tools = compose(np.array(poses) + up, invert(held.tcp_from_object))
        above = tools + np.array([0, 0, PRE_PLACE_M, 0, 0, 0, 0])
        pre = arm.inverse(above, posture, posture=posture, rng=rng)
        there = arm.inverse(tools, pre.q)
        for row in np.flatnonzero(pre.success & there.success):
            q = there.q[row]
            if not arm.is_free(pre.q[row], arm.opening_m, held=held):
                continue
            # The first of these leaves the object where it is let go, for the second.
            if not arm.is_free(q, arm.opening_m, held=held) or not arm.is_free(q, MAX_OPENING_M, allowed=own):
                continue
            down = straight(arm, pre.q[row], tools[row], speed=NEAR_SPEED)
            if down is not None:
                yield Placement(pre=pre.q[row], down=down)


def _spots_beside(centre_m: Array, half_m: Array, reach_m: Array) -> Iterator[Array]:
    """(2,) places on all four sides of a box, `reach_m` from its middle."""
    for side in ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)):
        out = np.array(side)
        for along in ALONG:
            yield centre_m + out * reach_m + along * np.abs(out[::-1]) * half_m


def _centred(arm: Workspace, name: str, quat_wxyz: Array, spot_m: Array, bottom_m: float) -> Array:
    """The pose in which the middle of the object's box is over a spot, and its bottom at a height."""
    pose = pose7(np.zeros(3), quat_wxyz)
    centre, half = _box_at(arm, name, pose)
    pose[:3] = (*(spot_m - centre[:2]), bottom_m - (centre[2] - half[2]))
    return pose


def _box_at(arm: Workspace, name: str, pose: Array) -> tuple[Array, Array]:
    """Centre and half extents of an object's box at a pose."""
    arm.put_object(name, pose)
    mujoco.mj_kinematics(arm.model, arm.data)
    return arm.trial.box(name)


def _lowered(arm: Workspace, name: str, pose: Array, depth_m: float) -> Array | None:
    """The pose lowered until just above the first contact; None where it touches something at once."""
    last = None
    for step in range(math.ceil(depth_m / SCAN_M) + 2):
        lower = pose - np.array([0, 0, step * SCAN_M - LOOSE_M, 0, 0, 0, 0])
        if not arm.object_is_free(name, lower):
            break
        last = lower
    return last


def _is_carried(arm: Workspace, name: str, pose: Array, half: Array, supports: frozenset[int]) -> bool:
    """Whether the surface that is meant lies under the middle and the corners of an object's box."""
    arm.put_object(name, pose)
    mujoco.mj_kinematics(arm.model, arm.data)
    centre, _ = arm.trial.box(name)
    bottom = centre[2] - half[2]
    own = arm.world.root(name)
    for x, y in ((0, 0), (0.7, 0.7), (0.7, -0.7), (-0.7, 0.7), (-0.7, -0.7)):
        point = np.array([centre[0] + x * half[0], centre[1] + y * half[1], bottom + 0.001])
        geom = np.zeros(1, np.int32)
        distance = mujoco.mj_ray(arm.model, arm.data, point, np.array([0.0, 0.0, -1.0]), None, 1, own, geom)
        if not 0 <= distance <= DROP_M:
            return False
        if supports and int(arm.model.body_rootid[arm.model.geom_bodyid[geom[0]]]) not in supports:
            return False
    return True
