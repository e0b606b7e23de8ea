"""A base that glides over the floor, as all robots on wheels here have it: its joints, servos and move group.

Source: sheet of MolmoSpaces sections 5 and 9 (command modes, gains of the RB-Y1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from zoo.envs.kinematics.poses import quat_from_yaw, yaw_of
from zoo.envs.robots.parts import add_joint, add_servo
from zoo.envs.robots.robot import MoveGroup
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError

JOINTS = ("base_x", "base_y", "base_yaw")
STIFFNESS = (25000.0, 25000.0, 5000.0)  # N/m and N m / rad
DAMPING = (4000.0, 4000.0, 700.0)  # N s/m and N m s / rad
RANGE = 100.0  # m and rad: farther than any house
MAX_STEP = (1.0, 1.0, math.pi)  # largest relative command
MOUNT_MASS_KG = 1.0  # of what slides without turning; a body that moves needs some
UPRIGHT = 1e-3  # largest x and y of the quaternion of a base on wheels


def base_group() -> MoveGroup:
    """The move group `base`; commands are poses x, y, yaw in the world, or steps in the robot's frame."""
    return MoveGroup(
        name="base",
        kind="base",
        joints=JOINTS,
        actuators=JOINTS,
        modes=("holo_joint_planar_position", "holo_joint_rel_planar_position"),
        limits=((-RANGE, RANGE),) * 3,
        max_step=MAX_STEP,
        home=(0.0, 0.0, 0.0),
    )


def add_planar_base(spec: mujoco.MjSpec, prefix: str, base_pose7: Sequence[float]) -> mujoco.MjsBody:
    """Add a body with the joints of `base_group` and a servo on each.

    Joint positions are the pose in the world (the joints' reference is the pose given here), so absolute planar
    commands are world poses.

    Args:
        spec: Of the scene.
        prefix: Of the robot's names.
        base_pose7: Where it stands, upright.
    Returns:
        The body called `base`, in the robot's frame: +x forward, +y left, origin on the floor.
    """
    check_upright(base_pose7, prefix)
    yaw = float(yaw_of(base_pose7[3:]))
    mount = spec.worldbody.add_body(name=f"{prefix}mount", pos=base_pose7[:3])
    mount.explicitinertial, mount.mass, mount.inertia, mount.gravcomp = True, MOUNT_MASS_KG, [0.01, 0.01, 0.01], 1
    base = mount.add_body(name=f"{prefix}base", quat=quat_from_yaw(yaw))
    bodies, references, axes = (mount, mount, base), (*base_pose7[:2], yaw), ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    for joint, body, reference, axis in zip(JOINTS, bodies, references, axes, strict=True):
        add_joint(
            body,
            prefix + joint,
            axis=axis,
            limits=(-math.inf, math.inf),
            is_slide=body is mount,
            reference=reference,
        )
    for joint, stiffness, damping in zip(JOINTS, STIFFNESS, DAMPING, strict=True):
        add_servo(spec, prefix + joint, stiffness=stiffness, damping=damping)
    return base


def check_upright(base_pose7: Sequence[float], prefix: str) -> None:
    """Refuse poses that a base on wheels cannot have.

    Raises:
        ConfigError: the pose leans.
    """
    if np.abs(base_pose7[4:6]).max() > UPRIGHT:
        raise ConfigError(f"base pose of {prefix!r} leans: {list(base_pose7)}; expected a turn around z only")
