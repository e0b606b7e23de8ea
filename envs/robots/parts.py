"""What robots are built from: solid shapes with a given mass, joints with a position servo, a base that glides."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from zoo.envs.kinematics.poses import quat_from_yaw, yaw_of
from zoo.envs.scenes.physics import set_contact
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError

BASE_AXES = ("x", "y", "yaw")
MOUNT_MASS_KG = 1.0  # of what slides without turning; a body that moves needs some
UPRIGHT = 1e-3  # largest x and y of the quaternion of a base on wheels


def add_solid(body: mujoco.MjsBody, *, mass: float, **shape: object) -> mujoco.MjsGeom:
    """Add a geom with the contact bits of things that move, and a mass of its own.

    Args:
        body: Of the robot.
        mass: kg.
        **shape: As `MjsBody.add_geom` takes it.
    """
    geom = body.add_geom(**shape)
    set_contact(geom, "dynamic")
    geom.mass = mass
    return geom


def add_capsule(
    body: mujoco.MjsBody,
    name: str,
    *,
    start_m: Sequence[float],
    end_m: Sequence[float],
    radius_m: float,
    mass: float,
    rgba: Sequence[float],
) -> mujoco.MjsGeom:
    """Add a capsule between two points of the body's frame."""
    return add_solid(
        body,
        name=name,
        type=mujoco.mjtGeom.mjGEOM_CAPSULE,
        fromto=[*start_m, *end_m],
        size=[radius_m, 0, 0],
        mass=mass,
        rgba=rgba,
    )


def add_joint(
    body: mujoco.MjsBody,
    name: str,
    *,
    axis: Sequence[float],
    limits: tuple[float, float],
    is_slide: bool = False,
    reference: float = 0.0,
    armature: float = 0.0,
    damping: float = 0.0,
) -> None:
    """Add a hinge or a slide through the body's origin.

    Args:
        body: That moves.
        name: Of the joint.
        axis: In the body's frame.
        limits: Radians or metres, also where the specification counts in degrees; not finite is none.
        is_slide: Slides along the axis instead of turning around it.
        reference: Position in which the body is where its own pose says.
        armature: kg m2 or kg.
        damping: N m s / rad or N s/m.
    """
    is_limited = math.isfinite(limits[0]) and math.isfinite(limits[1])
    unit = math.degrees(1) if body.compiler.degree and not is_slide else 1.0
    body.add_joint(
        name=name,
        type=mujoco.mjtJoint.mjJNT_SLIDE if is_slide else mujoco.mjtJoint.mjJNT_HINGE,
        axis=axis,
        range=np.array(limits) * unit if is_limited else (0, 0),
        limited=mujoco.mjtLimited.mjLIMITED_TRUE if is_limited else mujoco.mjtLimited.mjLIMITED_FALSE,
        ref=reference * unit,
        armature=armature,
        damping=damping,
    )


def add_servo(spec: mujoco.MjSpec, joint: str, *, stiffness: float, damping: float, force: float = math.inf) -> None:
    """Add a position servo of the joint's name.

    Args:
        spec: Holds the joint.
        joint: Its name.
        stiffness: N m / rad or N/m.
        damping: N m s / rad or N s/m.
        force: Largest, N m or N.
    """
    actuator = spec.add_actuator(name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    actuator.set_to_position(kp=stiffness, kv=damping)
    if math.isfinite(force):
        actuator.forcerange, actuator.forcelimited = (-force, force), mujoco.mjtLimited.mjLIMITED_TRUE


def add_planar_base(
    spec: mujoco.MjSpec,
    prefix: str,
    base_pose7: Sequence[float],
    *,
    stiffness: tuple[float, float, float],
    damping: tuple[float, float, float],
) -> mujoco.MjsBody:
    """Add a body that glides over the floor: joints `base_x`, `base_y` and `base_yaw`, a servo on each.

    Joint positions are the pose in the world (the joints' reference is the pose given here), so absolute planar
    commands are world poses.

    Args:
        spec: Of the scene.
        prefix: Of the robot's names.
        base_pose7: Where it stands, upright.
        stiffness: Of the three servos, N/m and N m / rad.
        damping: N s/m and N m s / rad.
    Returns:
        The body called `base`, in the robot's frame: +x forward, +y left, origin on the floor.
    """
    check_upright(base_pose7, prefix)
    yaw = float(yaw_of(base_pose7[3:]))
    mount = spec.worldbody.add_body(name=f"{prefix}mount", pos=base_pose7[:3])
    mount.explicitinertial, mount.mass, mount.inertia, mount.gravcomp = True, MOUNT_MASS_KG, [0.01, 0.01, 0.01], 1
    base = mount.add_body(name=f"{prefix}base", quat=quat_from_yaw(yaw))
    for body, axis, reference, vector in (
        (mount, "x", base_pose7[0], (1, 0, 0)),
        (mount, "y", base_pose7[1], (0, 1, 0)),
        (base, "yaw", yaw, (0, 0, 1)),
    ):
        add_joint(
            body,
            f"{prefix}base_{axis}",
            axis=vector,
            limits=(-math.inf, math.inf),
            is_slide=axis != "yaw",
            reference=reference,
        )
    for axis, kp, kv in zip(BASE_AXES, stiffness, damping, strict=True):
        add_servo(spec, f"{prefix}base_{axis}", stiffness=kp, damping=kv)
    return base


def check_upright(base_pose7: Sequence[float], prefix: str) -> None:
    """Refuse poses that a base on wheels cannot have.

    Raises:
        ConfigError: the pose leans.
    """
    if np.abs(base_pose7[4:6]).max() > UPRIGHT:
        raise ConfigError(f"base pose of {prefix!r} leans: {list(base_pose7)}; expected a turn around z only")
