"""Where a room door is, which way it swings, and what of it a robot on one side can take hold of.

Frame of a leaf: origin on the hinge's axis, x from the hinge to the free edge, z up (see `zoo.envs.scenes.doors`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from zoo.envs.kinematics.poses import Array, yaw_of
from zoo.envs.simulator import mujoco
from zoo.errors import DataError


@dataclass(frozen=True, kw_only=True, slots=True)
class DoorGeometry:
    """A door as a robot on one side of it sees it.

    Args:
        joint: Its hinge in the model.
        hinge_m: (2,) of the axis.
        yaw: World direction of the closed leaf's x.
        swing: 1 where it opens counter-clockwise, -1 clockwise.
        side: 1 where the robot is at the closed leaf's +y, -1 at -y.
        length_m: Of the leaf.
        face_m: y of the face on the robot's side, frame of the leaf.
        bar_m: (2,) x and y of that side's handle bar, frame of the leaf.
        bar_z_m: Its middle above the floor.
        max_angle: Where the hinge stops, radians.
    """

    joint: int
    hinge_m: Array
    yaw: float
    swing: int
    side: int
    length_m: float
    face_m: float
    bar_m: Array
    bar_z_m: float
    max_angle: float

    @property
    def is_pulled(self) -> bool:
        """It opens towards the robot."""
        return self.side == self.swing

    def point_at(self, angle: float | Array, point_m: Array) -> Array:
        """(..., 2) in the world, of a (2,) point in the frame of the leaf at hinge angles (...)."""
        turn = self.yaw + self.swing * np.asarray(angle, np.float64)
        cos, sin = np.cos(turn), np.sin(turn)
        x, y = point_m
        return self.hinge_m + np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)

    @property
    def facing_yaw(self) -> float:
        """World direction in which the robot looks straight at the closed leaf."""
        return self.yaw - self.side * math.pi / 2


def side_of(model: mujoco.MjModel, name: str, point_m: Array) -> int:
    """On which side of a closed door a (2,) point is: 1 at its leaf's +y, -1 at -y."""
    body = model.body(name).id
    yaw = float(yaw_of(model.body_quat[body]))
    x, y = np.asarray(point_m) - model.body_pos[body, :2]
    return 1 if math.cos(yaw) * y - math.sin(yaw) * x > model.geom_pos[_geom(model, name, "leaf"), 1] else -1


def door_geometry(model: mujoco.MjModel, name: str, side: int) -> DoorGeometry:
    """Of a door of ours.

    Args:
        model: Holds it.
        name: Body of the leaf.
        side: Of the robot, see `side_of`.
    Raises:
        DataError: the door has no upright hinge, or no leaf or handle of the names that our houses use.
    """
    body = model.body(name).id
    joint = int(model.body_jntadr[body])
    axis = model.jnt_axis[joint]
    if abs(axis[2]) < 1 - 1e-6 or model.body_parentid[body] != 0:
        raise DataError(f"door {name!r} does not turn about an upright hinge in the world; its axis is {axis.tolist()}")
    leaf = _geom(model, name, "leaf")
    middle, half = model.geom_pos[leaf], _half_extents(model, leaf)
    bars = [_geom(model, name, f"handle_{face}_bar") for face in ("left", "right")]
    bar = model.geom_pos[max(bars, key=lambda geom: side * model.geom_pos[geom, 1])]
    return DoorGeometry(
        joint=joint,
        hinge_m=model.body_pos[body, :2].copy(),
        yaw=float(yaw_of(model.body_quat[body])),
        swing=1 if axis[2] > 0 else -1,
        side=side,
        length_m=float(middle[0] + half[0]),
        face_m=float(middle[1] + side * half[1]),
        bar_m=bar[:2].copy(),
        bar_z_m=float(bar[2] + model.body_pos[body, 2]),
        max_angle=float(model.jnt_range[joint, 1]),
    )


def _geom(model: mujoco.MjModel, door: str, part: str) -> int:
    index = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_GEOM, f"{door}/{part}")
    if index < 0:
        raise DataError(f"door {door!r} has no geom '{door}/{part}'; the expert opens doors of our own houses only")
    return index


def _half_extents(model: mujoco.MjModel, geom: int) -> Array:
    """(3,) of a box in the frame of its body."""
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, model.geom_quat[geom])
    return np.abs(matrix.reshape(3, 3)) @ model.geom_size[geom]
