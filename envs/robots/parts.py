"""What robots are built from: solid shapes with a given mass, joints with a position servo."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from zoo.envs.scenes.physics import set_contact
from zoo.envs.simulator import mujoco


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
