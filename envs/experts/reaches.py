"""Ways in which an arm of the mobile robot can hold its hand out in front, and the outline that it then has.

The hand is level: it approaches ahead or a little to a side, its fingers open sideways, as an upright bar is grasped.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zoo.envs.kinematics.inverse import solve
from zoo.envs.kinematics.poses import (
    Array,
    invert,
    pose7,
    quat_from_rotation_vector,
    quat_from_yaw,
    quat_multiply,
    transform_points,
)
from zoo.envs.robots.rby1 import ARM_HOME, SIDES
from zoo.envs.simulation.simulation import Simulation
from zoo.envs.simulator import mujoco

AHEAD_M = (0.4, 0.52, 0.64)
ASIDE_M = (0.1, 0.24, 0.38, 0.52)  # outwards from the middle of the robot
YAWS = tuple(math.radians(angle) for angle in (-40, 0, 40))  # of the hand, outwards
AHEAD_WXYZ = quat_from_rotation_vector([0.0, math.pi / 2, 0.0])
RESTARTS = 2
CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """One arm held out.

    Args:
        side: left or right.
        tcp_m: (2,) of the tool in the frame of the base.
        yaw: Of the hand in the frame of the base.
        q: (7,) of the arm.
        outline_m: (points, 2) corners around the arm's parts, frame of the base.
    """

    side: str
    tcp_m: Array
    yaw: float
    q: Array
    outline_m: Array


def reaches(simulation: Simulation, height_m: float, rng: np.random.Generator) -> list[Reach]:
    """All ways that the arms have, with the torso as it is; the simulation is not changed.

    Args:
        simulation: Of a robot with two arms.
        height_m: Of the tool above the floor.
        rng: Of the beginnings of inverse kinematics.
    """
    view = simulation.view
    found = []
    data = copy.copy(simulation.data)
    for side in SIDES:
        sign = 1 if side == "left" else -1  # of y
        group = f"{side}_arm"
        view.refresh_chain(group)
        places = [(x, sign * y, sign * yaw) for x in AHEAD_M for y in ASIDE_M for yaw in YAWS]
        targets = np.array(
            [pose7([x, y, height_m], quat_multiply(quat_from_yaw(yaw), AHEAD_WXYZ)) for x, y, yaw in places]
        )
        solution = solve(view.chain(group), targets, initial=ARM_HOME, restarts=RESTARTS, rng=rng)
        for place, q, is_reached in zip(places, solution.q, solution.success, strict=True):
            if not is_reached:
                continue
            data.qpos[view.chain(group).qpos_index] = q
            mujoco.mj_kinematics(simulation.model, data)
            mujoco.mj_collision(simulation.model, data)
            if not _touches_itself(simulation, data):
                outline = _outline(simulation, data, side)
                found.append(Reach(side=side, tcp_m=np.array(place[:2]), yaw=place[2], q=q, outline_m=outline))
        data.qpos[:] = simulation.data.qpos
    return found


def _touches_itself(simulation: Simulation, data: mujoco.MjData) -> bool:
    pairs = data.contact.geom[: data.ncon]
    return bool((np.isin(pairs, simulation.view.geom_ids).all(axis=1) & (data.contact.dist[: data.ncon] < 0)).any())


def _outline(simulation: Simulation, data: mujoco.MjData, side: str) -> Array:
    """Corners of the boxes around the geoms of an arm and its gripper."""
    model, view = simulation.model, simulation.view
    parts: Sequence[str] = (f"{view.prefix}{side}_arm/", f"{view.prefix}{side}_gripper/")
    geoms = np.array([g for g in view.geom_ids if model.body(model.geom_bodyid[g]).name.startswith(tuple(parts))])
    local = model.geom_aabb[geoms, None, :3] + CORNERS * model.geom_aabb[geoms, None, 3:]
    rotations = data.geom_xmat[geoms].reshape(-1, 3, 3)
    corners = data.geom_xpos[geoms, None] + np.einsum("gij,gpj->gpi", rotations, local)
    base = pose7(data.xpos[view.base_id], data.xquat[view.base_id])
    return transform_points(invert(base), corners.reshape(-1, 3))[:, :2]
