"""Carcasses, drawers, doors and handles, of which cupboards and appliances are put together.

Fronts look along +x. Drawers and doors lie before the carcass with gaps all round, so that nothing rubs.
"""

from __future__ import annotations

from typing import Literal

from zoo.envs.assets.design import MovingPart, inside
from zoo.envs.assets.shapes import Shape, ball, bar, box
from zoo.envs.scenes.specification import Vector

BOARD_M = 0.018
GAP_M = 0.004
BACK_M = 0.008
DRAWER_WALL_M = 0.012
HANDLE_CLEARANCE_M = 0.032  # room for a finger between front and handle
HANDLE_THICKNESS_M = 0.014
KNOB_RADIUS_M = 0.015
EDGE_TO_HANDLE_M = 0.045  # from a door's free edge to its handle
DRAWER_SHARE = 0.75  # of its depth that a drawer comes out
DOOR_REACH = 1.65  # rad
DRAWER_DAMPING, DRAWER_FRICTION = 8.0, 2.0  # N s / m, N
DOOR_DAMPING, DOOR_FRICTION = 1.0, 0.4  # N m s / rad, N m
STRUT_DAMPING, LID_DAMPING = 0.8, 0.05  # N m s / rad

Style = Literal["bar", "knob"]


def carcass(
    size: Vector, at: Vector = (0.0, 0.0, 0.0), colour: str = "body", *, board: float = BOARD_M
) -> tuple[Shape, ...]:
    """Bottom, top, two sides and a back; open to +x."""
    (lx, ly, lz), (x, y, z) = size, at
    dy, back = (ly - board) / 2, BACK_M
    return (
        box((lx, ly, board), at, colour),
        box((lx, ly, board), (x, y, z + lz - board), colour),
        box((lx, board, lz - 2 * board), (x, y - dy, z + board), colour),
        box((lx, board, lz - 2 * board), (x, y + dy, z + board), colour),
        box((back, ly - 2 * board, lz - 2 * board), (x - (lx - back) / 2, y, z + board), colour),
    )


def handle(
    name: str, at: Vector, length: float, *, along: Literal["y", "z"], style: Style = "bar"
) -> tuple[Shape, ...]:
    """A bar on two posts, or a knob on a neck, before a front.

    Args:
        name: Of the bar's geom, or the knob's.
        at: The handle's middle on the front's face.
        length: Of a bar.
        along: Direction of a bar.
        style: Which of the two.
    """
    x, y, z = at
    if style == "knob":
        middle = x + HANDLE_CLEARANCE_M
        neck = bar((x, y, z), (middle, y, z), 0.006, "handle")
        return neck, ball(KNOB_RADIUS_M, (middle, y, z - KNOB_RADIUS_M), "handle").named(name)
    thick = HANDLE_THICKNESS_M
    middle, post = x + HANDLE_CLEARANCE_M + thick / 2, (length - thick) / 2
    size = (thick, length, thick) if along == "y" else (thick, thick, length)
    ends = [(y - post, z), (y + post, z)] if along == "y" else [(y, z - post), (y, z + post)]
    posts = [bar((x, py, pz), (middle, py, pz), 0.005, "handle") for py, pz in ends]
    return box(size, (middle, y, z - size[2] / 2), "handle").named(name), *posts


def drawer(
    name: str, opening: Vector, at: Vector, *, style: Style = "bar", colour: str = "front", rim: float = BOARD_M
) -> MovingPart:
    """A drawer that fills an opening, closed.

    Args:
        name: Of its body.
        opening: Free depth, width and height in the carcass.
        at: Middle of the opening's lower edge, in the plane of the carcass's front.
        style: Of its handle.
        colour: Of its face.
        rim: By how much the face covers the carcass left and right.
    """
    (depth, width, height), (x, y, z) = opening, at
    wall, floor = DRAWER_WALL_M, z + GAP_M
    outer, side = width - 2 * GAP_M, height - 0.03
    length = depth - GAP_M
    middle = x + GAP_M - length / 2
    dy = (outer - wall) / 2
    face = x + GAP_M + BOARD_M
    shapes = (
        box((length, outer, wall), (middle, y, floor), "inside"),
        box((length, wall, side), (middle, y - dy, floor), "inside"),
        box((length, wall, side), (middle, y + dy, floor), "inside"),
        box((wall, outer, side), (x + GAP_M - length + wall / 2, y, floor), "inside"),
        box((BOARD_M, width + 2 * rim - GAP_M, height - 2 * GAP_M), (x + GAP_M + BOARD_M / 2, y, z + GAP_M), colour),
        *handle(f"{name}_handle", (face, y, z + height / 2), min(0.14, 0.5 * width), along="y", style=style),
    )
    clearance = height - GAP_M - wall - 0.01
    return MovingPart(
        name=name,
        kind="slide",
        axis=(1.0, 0.0, 0.0),
        anchor_m=(middle, y, z),
        reach=round(DRAWER_SHARE * depth, 3),
        shapes=shapes,
        part="drawer",
        surfaces=(inside(name, (middle, y, floor + wall), (length - 0.04, outer - 2 * wall - 0.02), clearance),),
        damping=DRAWER_DAMPING,
        friction_loss=DRAWER_FRICTION,
    )


def drawers(
    count: int, depth: float, width: float, height: float, at: Vector, *, style: Style = "bar"
) -> tuple[MovingPart, ...]:
    """Equal drawers one above the other, `drawer0` lowest; sizes are those of the opening they share."""
    pitch, (x, y, z) = height / count, at
    return tuple(
        drawer(f"drawer{index}", (depth - BACK_M, width, pitch), (x, y, z + index * pitch), style=style)
        for index in range(count)
    )


def door(
    name: str,
    width: float,
    height: float,
    at: Vector,
    *,
    hinge: Literal["left", "right"] = "left",
    style: Style = "bar",
    thickness: float = BOARD_M,
    handle_length: float = 0.14,
    handle_height: float | None = None,
) -> MovingPart:
    """An upright door before a carcass, closed.

    Args:
        name: Of its body.
        width: Of the leaf.
        height: Of the leaf.
        at: Middle of the leaf's lower edge, in the plane of the carcass's front.
        hinge: Side of the hinge as seen from before it; right is +y.
        style: Of its handle.
        thickness: Of the leaf.
        handle_length: Of a bar.
        handle_height: Middle of the handle above the leaf's lower edge; half way up without one.
    """
    side = 1.0 if hinge == "right" else -1.0
    x, y, z = at[0] + GAP_M, at[1], at[2]
    grip = (x + thickness, y - side * (width / 2 - EDGE_TO_HANDLE_M), z + (handle_height or height / 2))
    return MovingPart(
        name=name,
        kind="hinge",
        axis=(0.0, 0.0, side),
        anchor_m=(x, y + side * width / 2, z),
        reach=DOOR_REACH,
        shapes=(
            box((thickness, width, height), (x + thickness / 2, y, z), "front"),
            *handle(f"{name}_handle", grip, handle_length, along="z", style=style),
        ),
        part="door",
        damping=DOOR_DAMPING,
        friction_loss=DOOR_FRICTION,
    )


def flap(
    name: str, width: float, height: float, at: Vector, *, thickness: float = 0.03, handle_share: float = 0.6
) -> MovingPart:
    """A door that is hinged at its lower edge and let down, as an oven's; springs carry it.

    Args:
        name: Of its body.
        width: Of the leaf.
        height: Of the leaf.
        at: Middle of the leaf's lower edge, in the plane of the carcass's front.
        thickness: Of the leaf.
        handle_share: Length of the handle as a share of the width.
    """
    x, y, z = at[0] + GAP_M, at[1], at[2]
    grip = (x + thickness, y, z + height - EDGE_TO_HANDLE_M)
    return MovingPart(
        name=name,
        kind="hinge",
        axis=(0.0, 1.0, 0.0),
        anchor_m=(x, y, z),
        reach=1.5,
        shapes=(
            box((thickness, width, height), (x + thickness / 2, y, z), "front"),
            *handle(f"{name}_handle", grip, handle_share * width, along="y"),
        ),
        part="door",
        damping=2.0,
        friction_loss=1.0,
        is_counterbalanced=True,
    )


def lid(name: str, size: Vector, at: Vector, *, grip: float, reach: float = 1.75) -> MovingPart:
    """A level lid on struts, hinged at its back edge, with a lip to lift it by that reaches over the front.

    Args:
        name: Of its body.
        size: Of the board.
        at: Middle of its lower face.
        grip: Width of the lip.
        reach: How far it opens, radians.
    """
    (lx, _, _), (x, y, z) = size, at
    lip = box((0.03, grip, 0.012), (x + lx / 2 + 0.015, y, z), "handle").named(f"{name}_handle")
    return MovingPart(
        name=name,
        kind="hinge",
        axis=(0.0, -1.0, 0.0),
        anchor_m=(x - lx / 2, y, z),
        reach=reach,
        shapes=(box(size, at, "lid"), lip),
        part="lid",
        damping=STRUT_DAMPING,
        friction_loss=DOOR_FRICTION,
        is_counterbalanced=True,
    )
