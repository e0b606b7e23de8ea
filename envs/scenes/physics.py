"""Physics that every scene shares: solver, contact groups and surface constants of MolmoSpaces (sheet section 12)."""

from __future__ import annotations

from typing import Literal

import numpy as np

from zoo.envs.simulator import mujoco

TIMESTEP_S = 0.002
GRAVITY = -9.8  # m/s2
IMPRATIO = 10.0
NOSLIP_ITERATIONS = 4
FRICTION = (0.9, 0.9, 0.001)  # sliding, torsional (m), rolling (m)
SOLREF = (0.025, 1.0)
SOLIMP = (0.998, 0.998, 0.001, 0.5, 2.0)
DENSITY = 500.0  # kg/m3
FREE_DAMPING = 0.001
FREE_FRICTION_LOSS = 0.001
VISUAL_MASS_KG = 1e-8

Role = Literal["visual", "structure", "dynamic", "articulated"]

CONTACT_BITS: dict[Role, tuple[int, int]] = {
    "visual": (0, 0),
    "structure": (8, 15),
    "dynamic": (1, 15),
    "articulated": (0, 7),  # moving parts of fixtures do not collide with walls
}
"""contype and conaffinity of a geom, by what it belongs to."""

COLLISION_GROUP = 3
"""Geom group of shapes that only collide, which pictures leave out; primitives are both and stay in group 0."""

MEMORY_BYTES = 256 * 2**20
"""For contacts and what is solved of them, reserved and only used as needed. MuJoCo's own estimate, 30 MB, was too
little for a furnished house with 600 contacts, and it ends the process that runs out."""


def set_options(spec: mujoco.MjSpec) -> None:
    """Give a model the solver settings of the sheet; several contact points a pair are MuJoCo's own default by now."""
    spec.compiler.balanceinertia = True  # flat visual meshes of next to no mass round to impossible inertias
    spec.memory = MEMORY_BYTES
    option = spec.option
    option.timestep = TIMESTEP_S
    option.gravity = (0.0, 0.0, GRAVITY)
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.solver = mujoco.mjtSolver.mjSOL_NEWTON
    option.jacobian = mujoco.mjtJacobian.mjJAC_SPARSE
    option.impratio = IMPRATIO
    option.noslip_iterations = NOSLIP_ITERATIONS


def add_free_joint(body: mujoco.MjsBody, name: str) -> None:
    """Let a body at the world move freely; the joint is called `<name>/free`."""
    body.add_joint(
        name=f"{name}/free",
        type=mujoco.mjtJoint.mjJNT_FREE,
        damping=(FREE_DAMPING,) * 3,
        frictionloss=FREE_FRICTION_LOSS,
    )


def set_contact(geom: mujoco.MjsGeom, role: Role) -> None:
    """Give a geom the contact bits and surface constants of its role.

    Args:
        geom: Of a specification that is being built.
        role: What it belongs to.
    """
    geom.contype, geom.conaffinity = CONTACT_BITS[role]
    geom.friction, geom.solref, geom.solimp = FRICTION, SOLREF, SOLIMP
    if role == "visual":
        geom.mass = VISUAL_MASS_KG
    else:
        geom.density = DENSITY


def collides(model: mujoco.MjModel) -> np.ndarray:
    """Which geoms of a compiled model can touch anything: (geoms,) bool."""
    return (model.geom_contype != 0) | (model.geom_conaffinity != 0)
