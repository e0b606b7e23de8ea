"""How the base moves so that a hand held out in front stays at a leaf while it turns.

The hand keeps its place in the frame of the base; the base follows the leaf. What is free is by how much the robot
turns along: the hand may turn about an upright bar, or about the place where it pushes. A search over hinge angles and
turns finds the shortest motion that keeps clear of the walls.
Differs from sheet molmospaces section 15 (cuRobo, 13 degree steps): no planner of whole-body trajectories.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zoo.envs.experts.door_geometry import DoorGeometry
from zoo.envs.experts.driving import SHOULDER_HALF_WIDTH_M, Surroundings, points_at
from zoo.envs.experts.reaches import Reach
from zoo.envs.kinematics.poses import Array, wrapped
from zoo.envs.robots.gripper import TIP_BEYOND_TCP_M
from zoo.envs.robots.rby1 import BASE_HALF_M

ANGLE_STEP = math.radians(10)  # of the leaf; the chord of such an arc is 3 mm off at the handle
TURN_STEP = math.radians(7.5)
TURN_STEPS = 2  # by how many of them the hand may turn while the leaf turns by one
TURNS = np.arange(-6, 13) * TURN_STEP  # of the hand from looking straight at the closed leaf, in the leaf's sense
PULL_LEAN = (math.radians(-15), math.radians(75))
"""By how much the leaf may have turned more than the hand: towards the free edge the hand has room, towards the hinge
the leaf is in its way."""
PUSH_LEAN = (math.radians(-65), math.radians(40))
PUSH_SHARES = (0.5, 0.65, 0.8)  # of the leaf's length, where it is pushed: off the bar, and with some leverage
BEFORE_M = 0.14  # from the first pose back to where the hand is held out
TURN_M = 0.4  # metres that a radian of turning costs
LEAN_COST = 0.15  # per rad2 and step
BLOCKED_COST = 60.0  # for a body that is all within obstacles
LEAF_CLEARANCE_M = 0.04
LEAF_SHARES = np.linspace(0.02, 1.0, 12)


@dataclass(frozen=True, kw_only=True, slots=True)
class DoorPath:
    """A motion of the base that opens a door.

    Args:
        door: As seen from the side of the leaf that the hand is at.
        reach: Arm that is held out.
        before: (3,) pose at which it is held out.
        poses: (angles, 3) of the base, the first where the hand is at the leaf as it stands.
        angles: (angles,) of the hinge at each.
        cost: The lower the better.
        is_free: Nothing is in the way.
    """

    door: DoorGeometry
    reach: Reach
    before: Array
    poses: Array
    angles: Array
    cost: float
    is_free: bool


def door_paths(
    door: DoorGeometry,
    ways: Sequence[Reach],
    *,
    walls: Surroundings,
    base: Array,
    start_angle: float,
    end_angle: float,
) -> list[DoorPath]:
    """Best motion for each arm posture and place on the leaf.

    Args:
        door: What is opened.
        ways: Postures.
        walls: What is in the way, without the leaf.
        base: (3,) where the robot is.
        start_angle: Of the hinge now.
        end_angle: To which it shall be opened.
    """
    number = max(2, math.ceil((end_angle - start_angle) / ANGLE_STEP) + 1)
    angles = np.linspace(start_angle, end_angle, number)
    if door.is_pulled:
        places = [door.bar_m]
    else:
        tool = door.face_m + door.side * TIP_BEYOND_TCP_M
        places = [np.array([share * door.length_m, tool]) for share in PUSH_SHARES]
    return [_path(door, way, place, walls, base, angles) for way in ways for place in places]


def _path(door: DoorGeometry, way: Reach, place_m: Array, walls: Surroundings, base: Array, angles: Array) -> DoorPath:
    hands = door.facing_yaw + door.swing * TURNS
    yaws = hands - way.yaw
    rotated = points_at(np.column_stack([np.zeros((len(yaws), 2)), yaws]), way.tcp_m[None])[:, 0]
    tools = door.point_at(angles, place_m)
    poses = np.empty((len(angles), len(yaws), 3))
    poses[..., :2] = tools[:, None] - rotated
    poses[..., 2] = yaws
    back = BEFORE_M * np.stack([np.cos(hands), np.sin(hands)], axis=-1)
    before = np.column_stack([poses[0, :, :2] - back, yaws])
    blocked = walls.blocked_share(poses, way.outline_m)
    if door.is_pulled:  # a leaf that the body pushes opens as well
        blocked = blocked + _cut_by_leaf(door, poses, angles[:, None])
    blocked_before = walls.blocked_share(before, way.outline_m) + _cut_by_leaf(door, before, angles[:1])
    lean = angles[:, None] - TURNS
    low, high = PULL_LEAN if door.is_pulled else PUSH_LEAN
    cost = LEAN_COST * lean**2 + BLOCKED_COST * blocked
    cost[(lean < low) | (lean > high)] = np.inf
    turn = np.abs([wrapped(float(yaw - base[2])) for yaw in yaws])
    cost[0] += np.linalg.norm(before[:, :2] - base[:2], axis=1) + TURN_M * turn + BLOCKED_COST * blocked_before
    chosen, total = _cheapest(cost, poses)
    is_free = not blocked[np.arange(len(angles)), chosen].any() and not blocked_before[chosen[0]]
    path = poses[np.arange(len(angles)), chosen]
    return DoorPath(
        door=door, reach=way, before=before[chosen[0]], poses=path, angles=angles, cost=total, is_free=is_free
    )


def _cut_by_leaf(door: DoorGeometry, poses: Array, angles: Array) -> np.ndarray:
    """(...) bool: the leaf at hinge angles (...) is where the body of a robot at (..., 3) poses would be."""
    along = LEAF_SHARES[:, None] * np.array([door.length_m, 0.0]) + np.array([0.0, door.face_m])
    leaf = np.stack([door.point_at(angles, point) for point in along], axis=-2)
    offset = leaf - poses[..., None, :2]
    cos, sin = np.cos(poses[..., 2, None]), np.sin(poses[..., 2, None])
    ahead = np.abs(cos * offset[..., 0] + sin * offset[..., 1])
    aside = np.abs(-sin * offset[..., 0] + cos * offset[..., 1])
    return ((ahead < BASE_HALF_M + LEAF_CLEARANCE_M) & (aside < SHOULDER_HALF_WIDTH_M + LEAF_CLEARANCE_M)).any(axis=-1)


def _cheapest(cost: Array, poses: Array) -> tuple[np.ndarray, float]:
    """Turn at each angle, and the sum of all costs; the robot turns by at most `TURN_STEPS` from one to the next."""
    total, came_from = cost[0], []
    number = cost.shape[1]
    apart = np.abs(np.arange(number)[:, None] - np.arange(number))  # (to, from)
    for layer in range(1, len(cost)):
        way = np.linalg.norm(poses[layer, :, None, :2] - poses[layer - 1, None, :, :2], axis=-1)
        step = np.where(apart <= TURN_STEPS, way + TURN_M * TURN_STEP * apart, np.inf) + total
        came_from.append(step.argmin(axis=1))
        total = step.min(axis=1) + cost[layer]
    chosen = [int(total.argmin())]
    for previous in reversed(came_from):
        chosen.append(int(previous[chosen[-1]]))
    return np.array(chosen[::-1]), float(total.min())
