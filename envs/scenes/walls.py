"""Walls as boxes around their holes, each face in the material of the room that it looks at; panes in windows.

Source: sheet molmospaces section 12 (contact class of walls). The boxes of a wall never reach into an opening.
Frame of a wall's body: origin at the start of its line on the floor, x along the line, y to the left, z up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from zoo.envs.scenes.appearance import Palette
from zoo.envs.scenes.physics import set_contact
from zoo.envs.scenes.specification import Material, Opening, Point, Wall
from zoo.envs.simulator import mujoco

GLASS = Material(rgba=(0.75, 0.85, 0.95, 0.25), specular=0.6, shininess=0.8)
PANE_THICKNESS_M = 0.01
SMALLEST_PIECE_M = 0.001  # thinner strips beside or above a hole are left out
CORNER_INSET_M = 0.001  # an end stays this far inside the wall that it runs into: equal planes would flicker
SAME_POINT_M = 0.005
SAME_DIRECTION = 0.9995  # cosine
FACING_LEFT = (math.sqrt(0.5), math.sqrt(0.5), 0.0, 0.0)
"""Turns a box so that its z is the wall's normal: flat textures are drawn over a geom's x and y."""


class Piece(NamedTuple):
    """An upright rectangle of wall: along its line from the start, and above the floor, metres."""

    start: float
    end: float
    bottom: float
    top: float

    @property
    def area(self) -> float:
        return (self.end - self.start) * (self.top - self.bottom)


def solid_pieces(wall: Wall, extension: tuple[float, float] = (0.0, 0.0)) -> tuple[Piece, ...]:
    """The wall without its holes.

    Args:
        wall: With openings in order of their offset.
        extension: How far it reaches beyond its start and its end, metres.
    Returns:
        Pieces that do not overlap one another or a hole: full height between openings, then sill and lintel of each.
    """
    pieces = []
    begin = -extension[0]
    for hole in wall.openings:
        end = hole.offset_m + hole.width_m
        pieces += [
            Piece(begin, hole.offset_m, 0.0, wall.height_m),
            Piece(hole.offset_m, end, 0.0, hole.bottom_m),
            Piece(hole.offset_m, end, hole.bottom_m + hole.height_m, wall.height_m),
        ]
        begin = end
    pieces.append(Piece(begin, wall.length_m + extension[1], 0.0, wall.height_m))
    return tuple(
        piece
        for piece in pieces
        if piece.end - piece.start >= SMALLEST_PIECE_M and piece.top - piece.bottom >= SMALLEST_PIECE_M
    )


def corner_extensions(walls: Sequence[Wall]) -> dict[str, tuple[float, float]]:
    """How far each wall reaches beyond its two ends, by name, so that corners have no notch.

    A wall that ends where another begins at an angle grows by half of the other's thickness. It does not where a third
    one goes straight on: that one closes the corner, and a longer wall would lie in its plane.
    """
    ends = [(wall.name, *end) for wall in walls for end in _ends(wall)]
    extensions = {wall.name: [0.0, 0.0] for wall in walls}
    for name, index, point, outward, _ in ends:
        meeting = [
            (other_outward, thickness)
            for other, _, place, other_outward, thickness in ends
            if other != name and math.dist(place, point) < SAME_POINT_M
        ]
        cosines = [outward[0] * other[0] + outward[1] * other[1] for other, _ in meeting]
        if meeting and min(cosines) > -SAME_DIRECTION:
            widest = max(thickness for _, thickness in meeting)
            extensions[name][index] = max(0.0, widest / 2 - CORNER_INSET_M)
    return {name: (start, end) for name, (start, end) in extensions.items()}


def _ends(wall: Wall) -> tuple[tuple[int, Point, Point, float], tuple[int, Point, Point, float]]:
    """(0 start or 1 end, where, unit vector out of the wall, thickness) of both ends."""
    along = (math.cos(wall.yaw), math.sin(wall.yaw))
    return (
        (0, wall.start_m, (-along[0], -along[1]), wall.thickness_m),
        (1, wall.end_m, along, wall.thickness_m),
    )


def add_wall(world: mujoco.MjsBody, wall: Wall, extension: tuple[float, float], palette: Palette) -> mujoco.MjsBody:
    """Build a wall and the panes of its windows; doors are bodies of their own.

    Args:
        world: Parent of the wall's body, which is called like the wall.
        wall: To be built.
        extension: As `corner_extensions` gives it.
        palette: Materials of the model.
    Returns:
        The wall's body. Its geoms are `<wall>/<number>/<left, right or both>` and `<window>/pane`.
    """
    yaw = wall.yaw
    body = world.add_body(
        name=wall.name, pos=(*wall.start_m, 0.0), quat=(math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2))
    )
    half = wall.thickness_m / 2
    left, right = wall.materials
    # (name, where its middle is across the wall, half of its depth, how it looks)
    layers = [("both", 0.0, half, left)]
    if left != right:
        layers = [("left", half / 2, half / 2, left), ("right", -half / 2, half / 2, right)]
    for number, piece in enumerate(solid_pieces(wall, extension)):
        for side, across, depth, material in layers:
            _add_slab(body, f"{wall.name}/{number}/{side}", piece, across, depth, palette.name_of(material))
    for hole in wall.openings:
        if hole.kind == "window":
            _add_slab(body, f"{hole.name}/pane", hole_piece(hole), 0.0, PANE_THICKNESS_M / 2, palette.name_of(GLASS))
    return body


def hole_piece(hole: Opening) -> Piece:
    """The rectangle that an opening takes out of its wall."""
    return Piece(hole.offset_m, hole.offset_m + hole.width_m, hole.bottom_m, hole.bottom_m + hole.height_m)


def _add_slab(body: mujoco.MjsBody, name: str, piece: Piece, across: float, depth: float, material: str) -> None:
    geom = body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=((piece.start + piece.end) / 2, across, (piece.bottom + piece.top) / 2),
        quat=FACING_LEFT,
        size=((piece.end - piece.start) / 2, (piece.top - piece.bottom) / 2, depth),
        material=material,
    )
    set_contact(geom, "structure")
