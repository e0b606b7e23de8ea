"""The floor of one room while it is furnished: what is taken, what must stay free, and what must stay reachable."""

from __future__ import annotations

import math
from typing import NamedTuple

from zoo.envs.assets.library import AssetFacts
from zoo.envs.houses.footprints import Footprint, Rect
from zoo.envs.houses.free_space import FreeSpace
from zoo.envs.houses.openings import RoomOpenings

GAP_M = 0.02  # between pieces and to walls
OPENING_FRONT_M = (0.6, 0.9)
"""Free depth before what opens: 0.6 m to stand there, up to 0.9 m for wide leaves to turn."""

FRONT_M = {
    "desk": 0.75,
    "toilet": 0.6,
    "sink": 0.6,
    "counter top": 0.6,
    "bath tub": 0.5,
    "sofa": 0.5,
    "armchair": 0.45,
    "shelf": 0.5,
    "tv stand": 0.5,
    "bench": 0.4,
}
"""Free depth before what one uses from the front though nothing opens, by category; nothing else needs any."""

REACH_M = 0.9
"""From the middle of a body to the edge of a piece with surfaces, so that a hand gets there."""

FLAT_M = 0.03  # a rug: nothing stands on it, but one walks over it


class Piece(NamedTuple):
    """An object's claim on the floor.

    Args:
        rect: What it covers.
        height_m: Its top above the floor.
        front: What has to stay free before it, or None.
        reach: Where somebody has to be able to stand, or None.
    """

    rect: Rect
    height_m: float
    front: Rect | None
    reach: Rect | None

    @property
    def is_flat(self) -> bool:
        return self.height_m <= FLAT_M


def piece_of(facts: AssetFacts, x: float, y: float, yaw: float) -> Piece:
    """The claim of an asset at a pose; fronts are for yaws of quarter turns."""
    length, width, height = facts.size_m
    rect = Footprint(x, y, length, width, yaw).box
    depth = front_depth(facts)
    front = _before(x, y, yaw, length, width, depth) if depth else None
    reach = None
    if facts.articulations:
        reach = _before(x, y, yaw, length, width, max(depth, REACH_M))
    elif facts.surfaces:
        reach = rect.grown(REACH_M)
    return Piece(rect, height, front, reach)


def front_depth(facts: AssetFacts) -> float:
    """Free depth that an asset needs before its front."""
    if facts.articulations:
        least, most = OPENING_FRONT_M
        return min(max(least, 0.9 * facts.size_m[1]), most)
    return FRONT_M.get(facts.category, 0.0)


def _before(x: float, y: float, yaw: float, length: float, width: float, depth: float) -> Rect:
    away = (length + depth) / 2
    return Footprint(x + away * math.cos(yaw), y + away * math.sin(yaw), depth, width, yaw).box


class FloorSpace:
    """What stands in a room, and whether another piece may.

    Args:
        inside: The room up to the faces of its walls.
        openings: What its doors and windows ask.
    """

    def __init__(self, inside: Rect, openings: RoomOpenings) -> None:
        self.inside = inside
        self.pieces: list[Piece] = []
        self._zones = openings.zones
        self._free = FreeSpace(inside, openings.ways)
        for leaf in openings.leaves:
            self._free.block(leaf)

    def admits(self, piece: Piece, *, margin: float = 0.0, host: Piece | None = None) -> bool:
        """Whether a piece collides with nothing, blocks nobody, and everything stays within reach.

        Args:
            piece: The claim.
            margin: Free floor around it on all sides.
            host: Whose front it may stand in: a chair at its desk.
        """
        return self._fits(piece, margin, host) and (piece.is_flat or self._leaves_ways(piece))

    def add(self, piece: Piece) -> None:
        """Take the floor for a piece that was admitted."""
        self.pieces.append(piece)
        if not piece.is_flat:
            self._free.block(piece.rect)

    def add_overhang(self, piece: Piece) -> bool:
        """Take the floor under something that hangs, over lower furniture or not, if everybody still gets past."""
        if not self._leaves_ways(piece):
            return False
        self._free.block(piece.rect)
        return True

    def is_taken(self, rect: Rect, above_m: float) -> bool:
        """Whether something taller than a height, or the floor of a door, is within a rectangle."""
        return any(rect.overlaps(p.rect) for p in self.pieces if p.height_m > above_m) or any(
            rect.overlaps(zone.rect) for zone in self._zones if zone.max_height_m == 0
        )

    def _fits(self, piece: Piece, margin: float, host: Piece | None) -> bool:
        rect = piece.rect.grown(margin)
        if not self.inside.contains(rect) or (piece.front is not None and not self.inside.contains(piece.front)):
            return False
        if any(zone.max_height_m < piece.height_m and piece.rect.overlaps(zone.rect) for zone in self._zones):
            return False
        for other in self.pieces:
            if rect.overlaps(other.rect, GAP_M):
                return False
            is_walked_on = piece.is_flat or other.is_flat
            if is_walked_on or other is host:
                continue
            if other.front is not None and piece.rect.overlaps(other.front):
                return False
            if piece.front is not None and piece.front.overlaps(other.rect):
                return False
        return True

    def _leaves_ways(self, piece: Piece) -> bool:
        cells = self._free.reachable([piece.rect])
        if cells is None:
            return False
        reaches = [p.reach for p in (*self.pieces, piece) if p.reach is not None]
        return all(self._free.any_within(cells, reach) for reach in reaches)
