"""Paintings, mirrors, clocks and shelves on the walls of a room, and the lamp on its ceiling.

An asset that hangs has its back, -x, at the face of the wall and its origin at its bottom (contract of assets).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from zoo.envs.assets.library import AssetFacts
from zoo.envs.draws import shuffled
from zoo.envs.houses.appearance import Style
from zoo.envs.houses.floor_plan import Segment
from zoo.envs.houses.floor_space import FloorSpace, Piece
from zoo.envs.houses.footprints import Rect
from zoo.envs.houses.furniture_table import WALL_THINGS
from zoo.envs.houses.openings import WALL_THICKNESS_M, beside
from zoo.envs.houses.placed import Catalogue, Placed
from zoo.envs.scenes.specification import Opening

BOTTOM_M = {
    "painting": (1.3, 1.5),
    "mirror": (1.0, 1.2),
    "wall clock": (1.75, 1.95),
    "wall shelf": (1.25, 1.5),
    "wall cabinet": (1.4, 1.5),
}
"""Heights of lower edges above the floor."""

ANY_BOTTOM_M = (1.2, 1.5)
LAMP = "ceiling lamp"
MARGIN_M = 0.08  # to openings, to the ends of the wall, to other things
BELOW_CEILING_M = 0.1
TRIES = 6
DEEP_M = 0.12  # from which a thing on a wall is in the way of shoulders


class WallHanger:
    """Hangs things in one room.

    Args:
        rng: Source of all randomness.
        catalogue: Assets to choose from.
        style: Colours of the house.
        room: Index of the room.
        space: Its floor with its furniture.
        height_m: Of its walls.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        catalogue: Catalogue,
        style: Style,
        room: int,
        space: FloorSpace,
        height_m: float,
    ) -> None:
        self.placed: list[Placed] = []
        self._rng, self._catalogue, self._style = rng, catalogue, style
        self._room, self._space, self._height_m = room, space, height_m
        self._taken: list[Rect] = []

    def hang(
        self, room_type: str, segments: Sequence[Segment], openings: dict[int, list[Opening]], *, has_television: bool
    ) -> list[Placed]:
        """Hang what the room's type wants.

        Args:
            room_type: Of this room.
            segments: Lines of all walls of the house.
            openings: By segment.
            has_television: One stands in the room already.
        """
        mine = [i for i, segment in enumerate(segments) if self._room in (segment.left, segment.right)]
        for category, count, chance in WALL_THINGS[room_type]:
            if category == "television" and has_television:
                continue
            for _ in range(int(self._rng.integers(count[0], count[1] + 1))):
                facts = self._catalogue.draw(self._rng, (category,), "wall")
                if facts is not None and self._rng.random() < chance:
                    self._try_walls(facts, mine, segments, openings)
        return self.placed

    def hang_lamp(self) -> list[Placed]:
        """A lamp in the middle of the ceiling, where the library has one."""
        facts = self._catalogue.draw(self._rng, (LAMP,), "ceiling")
        if facts is None:
            return []
        x, y = self._space.inside.centre
        z = self._height_m - facts.size_m[2]
        return [Placed(facts=facts, x=x, y=y, z=z, yaw=0.0, room=self._room)]

    def _try_walls(
        self, facts: AssetFacts, mine: list[int], segments: Sequence[Segment], openings: dict[int, list[Opening]]
    ) -> None:
        low, high = BOTTOM_M.get(facts.category, ANY_BOTTOM_M)
        bottom = min(float(self._rng.uniform(low, high)), self._height_m - BELOW_CEILING_M - facts.size_m[2])
        half = facts.size_m[1] / 2 + MARGIN_M
        for index in shuffled(self._rng, mine)[:TRIES]:
            segment = segments[index]
            room = segment.length - WALL_THICKNESS_M - 2 * half
            if room < 0:
                continue
            along = WALL_THICKNESS_M / 2 + half + float(self._rng.random()) * room
            span = along - half, along + half
            taken = [(hole.offset_m, hole.offset_m + hole.width_m) for hole in openings.get(index, [])]
            if any(span[0] < stop and start < span[1] for start, stop in taken):
                continue
            side = "left" if segment.left == self._room else "right"
            floor = beside(segment, side, *span, WALL_THICKNESS_M / 2 + facts.size_m[0] + MARGIN_M)
            is_taken = any(floor.overlaps(other) for other in self._taken)
            if is_taken or self._space.is_taken(floor, bottom - 0.02) or not self._leaves_room(facts, floor, bottom):
                continue
            self._taken.append(floor)
            self.placed.append(self._placed(facts, index, segment, side, along, bottom))
            return

    def _leaves_room(self, facts: AssetFacts, floor: Rect, bottom: float) -> bool:
        """Whether people still get past; what is deep claims the floor under it."""
        if facts.size_m[0] < DEEP_M:
            return True
        inside = self._space.inside
        rect = Rect(
            max(floor.x0, inside.x0), max(floor.y0, inside.y0), min(floor.x1, inside.x1), min(floor.y1, inside.y1)
        )
        return self._space.add_overhang(Piece(rect, bottom + facts.size_m[2], None, None))

    def _placed(
        self, facts: AssetFacts, index: int, segment: Segment, side: str, along: float, bottom: float
    ) -> Placed:
        yaw = (
            (math.pi if side == "left" else 0.0) if segment.is_upright else math.pi / 2 * (1 if side == "left" else -1)
        )
        rect = beside(segment, side, along, along, WALL_THICKNESS_M + facts.size_m[0])  # its middle is the origin
        x, y = rect.centre
        return Placed(
            facts=facts,
            x=x,
            y=y,
            z=bottom,
            yaw=yaw,
            room=self._room,
            support=index,
            colours=self._style.colours(self._rng, facts),
        )
