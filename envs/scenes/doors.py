"""Door leaves: one hinge in the frame, a slab that clears it, and a bar handle on each face.

Source: sheet molmospaces sections 12 and 17 (contact class, hinge constants). The mass is ours: the sheet has none.

Frame of a leaf's body: origin on the hinge's axis at the floor, x from the hinge to the free edge of the closed leaf,
z up. The axis runs along the edge of the leaf on the side to which it opens, in the plane of that wall face, as real
hinges do: the leaf then leaves the frame without touching it and may open to a half turn.
"""

from __future__ import annotations

import math

from zoo.envs.scenes.appearance import Palette
from zoo.envs.scenes.physics import set_contact
from zoo.envs.scenes.specification import Leaf, Material, Opening, Wall
from zoo.envs.scenes.walls import FACING_LEFT
from zoo.envs.simulator import mujoco

LEAF_THICKNESS_M = 0.04
LEAF_GAP_M = 0.005  # to the frame and to the floor
LEAF_KG_PER_M2 = 8.0
"""An interior leaf is two thin skins over a honeycomb: 15 to 17 kg. Solid at the density of other geoms it would be 40,
and too slow for the articulation gate with the damping and friction of the sheet's doors."""

HANDLE_MATERIAL = Material(rgba=(0.72, 0.72, 0.7, 1.0), specular=0.7, shininess=0.7)
HANDLE_LENGTH_M = 0.16  # upright, wide enough for a hand or a two-finger gripper
HANDLE_RADIUS_M = 0.01
HANDLE_STANDOFF_M = 0.055  # from the face to the middle of the bar
HANDLE_INSET_M = 0.07  # from the free edge


def joint_name(hole: Opening) -> str:
    """Of a door's hinge in the model."""
    return f"{hole.name}/hinge"


def add_door(world: mujoco.MjsBody, wall: Wall, hole: Opening, palette: Palette) -> mujoco.MjsBody:
    """Build the leaf of a door, closed; its angle at the start is part of the state, not of the model.

    Args:
        world: Parent of the leaf's body.
        wall: The wall that has the opening.
        hole: A door, with its leaf.
        palette: Materials of the model.
    Returns:
        The body called like the opening. Joint `<opening>/hinge`: 0 closed, positive open, whichever way it swings.
        Geoms `<opening>/leaf` and `<opening>/handle_<left or right>_<bar, top or bottom>`, sides as seen from the
        wall's start to its end.
    """
    leaf = hole.leaf
    assert leaf is not None, hole
    at_start, to_left = leaf.hinge == "start", leaf.swing == "left"
    # In the leaf's own frame it swings towards +y when x turned by the angle points there.
    side = 1.0 if at_start == to_left else -1.0
    along = hole.offset_m + LEAF_GAP_M if at_start else hole.offset_m + hole.width_m - LEAF_GAP_M
    x, y = wall.at(along)
    across = (wall.thickness_m / 2) * (1.0 if to_left else -1.0)
    yaw = wall.yaw if at_start else wall.yaw + math.pi
    body = world.add_body(
        name=hole.name,
        pos=(x - across * math.sin(wall.yaw), y + across * math.cos(wall.yaw), 0.0),
        quat=(math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)),
    )
    joint = body.add_joint(
        name=joint_name(hole),
        type=mujoco.mjtJoint.mjJNT_HINGE,
        axis=(0.0, 0.0, side),
        range=(0.0, leaf.max_angle),
        limited=mujoco.mjtLimited.mjLIMITED_TRUE,
        frictionloss=leaf.friction_loss,
    )
    joint.stiffness[0], joint.damping[0] = leaf.stiffness, leaf.damping  # the terms in powers of position and speed
    _add_slab(body, hole, leaf, side, palette)
    # Left of the wall is +y of the leaf's frame unless the frame is turned around.
    for face, towards in (("left", 1.0), ("right", -1.0)):
        _add_handle(body, hole, leaf, face, side, towards if at_start else -towards, palette)
    return body


def _add_slab(body: mujoco.MjsBody, hole: Opening, leaf: Leaf, side: float, palette: Palette) -> None:
    length, height = hole.width_m - 2 * LEAF_GAP_M, hole.height_m - 2 * LEAF_GAP_M
    geom = body.add_geom(
        name=f"{hole.name}/leaf",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=(length / 2, -side * LEAF_THICKNESS_M / 2, hole.bottom_m + LEAF_GAP_M + height / 2),
        quat=FACING_LEFT,
        size=(length / 2, height / 2, LEAF_THICKNESS_M / 2),
        material=palette.name_of(leaf.material),
    )
    set_contact(geom, "articulated")
    geom.mass = LEAF_KG_PER_M2 * length * height


def _add_handle(
    body: mujoco.MjsBody, hole: Opening, leaf: Leaf, face: str, side: float, towards: float, palette: Palette
) -> None:
    """An upright bar on two posts; `towards` is the direction along y in which that face looks."""
    surface = -side * LEAF_THICKNESS_M / 2 + towards * LEAF_THICKNESS_M / 2
    bar = surface + towards * HANDLE_STANDOFF_M
    x = hole.width_m - 2 * LEAF_GAP_M - HANDLE_INSET_M
    half = HANDLE_LENGTH_M / 2
    low, high = leaf.handle_height_m - half, leaf.handle_height_m + half
    lines = {
        "bar": ((x, bar, low), (x, bar, high)),
        "bottom": ((x, surface, low), (x, bar, low)),
        "top": ((x, surface, high), (x, bar, high)),
    }
    for part, (begin, end) in lines.items():
        geom = body.add_geom(
            name=f"{hole.name}/handle_{face}_{part}",
            type=mujoco.mjtGeom.mjGEOM_CAPSULE,
            fromto=(*begin, *end),
            size=(HANDLE_RADIUS_M, 0.0, 0.0),
            material=palette.name_of(HANDLE_MATERIAL),
        )
        set_contact(geom, "articulated")
