"""Furniture of a room: each piece tries places by its kind until one leaves every door, front and way free.

Backs go to walls, corners and rows fill from their ends, tables stand in the middle, and companions (nightstands,
chairs, coffee tables) find their place beside their hosts. All yaws are quarter turns, but for chairs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from zoo.envs.assets.library import AssetFacts
from zoo.envs.draws import pick, shuffled
from zoo.envs.houses.appearance import Style
from zoo.envs.houses.floor_space import GAP_M, FloorSpace, Piece, piece_of
from zoo.envs.houses.furniture_table import FURNITURE, Companion, Want
from zoo.envs.houses.placed import REST_M, Catalogue, Placed

Pose = tuple[float, float, float]
"""x, y, yaw."""

SIDES = (0.0, math.pi / 2, math.pi, -math.pi / 2)
"""Yaw of what stands with its back to the west, south, east and north wall."""

INSTANCES = 3  # tried before a want is given up, if it is no must: a smaller one may fit
PLACES_PER_WALL = 4  # random ones, besides both ends
MIDDLE_TRIES = 8
DINING_MARGIN_M = 0.6  # around tables in the middle, for chairs
CHAIR_PITCH_M = 0.6  # along a table
CHAIR_GAP_M = 0.05  # to the table, and room to turn a little
CHAIR_YAW = math.radians(6)
COFFEE_TABLE_GAP_M = 0.4
FACING_SHIFTS_M = (0.0, 0.25, -0.25, 0.5, -0.5, 0.8, -0.8, 1.1, -1.1)
"""Sideways, of what stands at the opposite wall."""


class Furnisher:
    """Furnishes one room.

    Args:
        rng: Source of all randomness.
        catalogue: Assets to choose from.
        style: Colours of the house.
        room: Index of the room.
        space: Its floor.
    """

    def __init__(
        self, rng: np.random.Generator, catalogue: Catalogue, style: Style, room: int, space: FloorSpace
    ) -> None:
        self.placed: list[Placed] = []
        self._rng, self._catalogue, self._style = rng, catalogue, style
        self._room, self._space = room, space
        self._row: list[tuple[AssetFacts, Pose]] = []

    def furnish(self, room_type: str, other_types: Sequence[str]) -> list[Placed]:
        """Fill the room with what its type wants.

        Args:
            room_type: Of this room.
            other_types: Of all rooms of the house.
        """
        for want in FURNITURE[room_type]:
            if want.only_without in other_types:
                continue
            for _ in range(int(self._rng.integers(want.count[0], want.count[1] + 1))):
                if self._rng.random() < want.chance:
                    self._place(want)
        return self.placed

    def _place(self, want: Want) -> None:
        instances = self._catalogue.instances(self._rng, want.categories, "floor")
        for facts in instances if want.is_must else instances[:INSTANCES]:
            margin = DINING_MARGIN_M if want.place == "middle" and want.companions else 0.0
            pose = self._first_fit(facts, self._poses(facts, want.place), margin=margin)
            if pose is None and margin:
                pose = self._first_fit(facts, self._at_walls(facts))
            if pose is not None:
                host = self._add(facts, pose, self._style.colours(self._rng, facts))
                if want.place == "row":
                    self._row.append((facts, pose))
                for companion in want.companions:
                    if self._rng.random() < companion.chance:
                        self._accompany(host, facts, pose, companion)
                return

    def _first_fit(
        self, facts: AssetFacts, poses: Iterator[Pose], *, margin: float = 0.0, host: Piece | None = None
    ) -> Pose | None:
        return next(
            (pose for pose in poses if self._space.admits(piece_of(facts, *pose), margin=margin, host=host)), None
        )

    def _add(self, facts: AssetFacts, pose: Pose, colours: dict) -> Piece:
        x, y, yaw = pose
        piece = piece_of(facts, x, y, yaw)
        self._space.add(piece)
        z = 0.0 if facts.is_static else REST_M
        self.placed.append(Placed(facts=facts, x=x, y=y, z=z, yaw=yaw, room=self._room, colours=colours))
        return piece

    def _poses(self, facts: AssetFacts, place: str) -> Iterator[Pose]:
        if place == "middle":
            return self._in_the_middle(facts)
        if place == "corner":
            return itertools.chain(self._in_corners(facts), self._at_walls(facts))
        if place == "row":
            return itertools.chain(self._in_row(facts), self._in_corners(facts), self._at_walls(facts))
        return self._at_walls(facts)

    def _at_walls(self, facts: AssetFacts) -> Iterator[Pose]:
        """Some random places and both ends of every wall, in random order."""
        random = self._rng.random((len(SIDES), PLACES_PER_WALL)).tolist()
        shares = [(side, share) for side, some in zip(SIDES, random, strict=True) for share in (0.0, 1.0, *some)]
        for side, share in shuffled(self._rng, shares):
            yield from self._at_wall(facts, side, share)

    def _in_corners(self, facts: AssetFacts) -> Iterator[Pose]:
        for side, share in shuffled(self._rng, [(side, share) for side in SIDES for share in (0.0, 1.0)]):
            yield from self._at_wall(facts, side, share)

    def _at_wall(self, facts: AssetFacts, side: float, share: float) -> Iterator[Pose]:
        """The pose at a share of a wall's free length; none where the wall is too short."""
        low, high = self._span(facts, side)
        if low <= high:
            yield self._against(facts, side, low + share * (high - low))

    def _span(self, facts: AssetFacts, side: float) -> tuple[float, float]:
        """Least and largest coordinate along a wall of the middle of an asset with its back to it."""
        inside, half = self._space.inside, facts.size_m[1] / 2 + GAP_M
        if side in (SIDES[0], SIDES[2]):
            return inside.y0 + half, inside.y1 - half
        return inside.x0 + half, inside.x1 - half

    def _against(self, facts: AssetFacts, side: float, along: float) -> Pose:
        """The pose with the back to a wall, by its coordinate along the wall."""
        inside, away = self._space.inside, facts.size_m[0] / 2 + GAP_M
        if side == SIDES[0]:
            return inside.x0 + away, along, side
        if side == SIDES[1]:
            return along, inside.y0 + away, side
        if side == SIDES[2]:
            return inside.x1 - away, along, side
        return along, inside.y1 - away, side

    def _in_row(self, facts: AssetFacts) -> Iterator[Pose]:
        """Left and right of what stands in the row already, the latest first."""
        for other, (x, y, side) in reversed(self._row):
            away = (other.size_m[1] + facts.size_m[1]) / 2 + GAP_M
            along = y if side in (SIDES[0], SIDES[2]) else x
            for shift in shuffled(self._rng, (away, -away)):
                yield self._against(facts, side, along + shift)

    def _in_the_middle(self, facts: AssetFacts) -> Iterator[Pose]:
        """Near the middle of the room first, then anywhere."""
        (x, y), inside = self._space.inside.centre, self._space.inside
        for attempt in range(MIDDLE_TRIES):
            reach = 0.1 + 0.4 * attempt / MIDDLE_TRIES
            shift_x, shift_y = self._rng.uniform(-reach, reach, 2).tolist()
            yield x + shift_x * inside.width, y + shift_y * inside.depth, pick(self._rng, SIDES)

    def _accompany(self, host: Piece, facts: AssetFacts, pose: Pose, companion: Companion) -> None:
        chosen = self._catalogue.draw(self._rng, companion.categories, "floor")
        if chosen is None:
            return
        colours = self._style.colours(self._rng, chosen)
        wanted = int(self._rng.integers(companion.count[0], companion.count[1] + 1))
        for place in self._companion_poses(facts, pose, chosen, companion.place):
            if wanted == 0:
                return
            if self._space.admits(piece_of(chosen, *place), host=host):
                self._add(chosen, place, colours)
                wanted -= 1

    def _companion_poses(self, host: AssetFacts, pose: Pose, facts: AssetFacts, place: str) -> Iterator[Pose]:
        yaw = pose[2]
        length, width = (host.size_m[i] + facts.size_m[i] for i in (0, 1))
        if place == "beside":
            back = (facts.size_m[0] - host.size_m[0]) / 2
            for side in shuffled(self._rng, (1, -1)):
                yield _from(pose, back, side * (width / 2 + GAP_M), yaw)
        elif place == "at":
            yield _from(pose, length / 2 + CHAIR_GAP_M, 0.0, _turned(yaw))
        elif place == "before":
            yield _from(pose, length / 2 + COFFEE_TABLE_GAP_M, 0.0, _turned(yaw))
        elif place == "facing":
            side = _turned(yaw)
            low, high = self._span(facts, side)
            along = pose[1] if side in (SIDES[0], SIDES[2]) else pose[0]
            for shift in FACING_SHIFTS_M:
                if low <= along + shift <= high:
                    yield self._against(facts, side, along + shift)
        else:
            yield from self._around(host, pose, facts)

    def _around(self, host: AssetFacts, pose: Pose, facts: AssetFacts) -> Iterator[Pose]:
        """Places of chairs at a table, facing it: opposite ones follow each other, long sides first."""
        length, width = host.size_m[:2]
        ends = [(axis, size, other) for axis, size, other in ((0, length, width), (1, width, length))]
        for axis, extent, distance in sorted(ends, key=lambda end: -end[1]):
            count = int((extent - 0.1) / CHAIR_PITCH_M)
            away = (distance + facts.size_m[0]) / 2 + CHAIR_GAP_M
            for index, side in itertools.product(range(count), (1, -1)):
                along = (index - (count - 1) / 2) * extent / count
                facing = (0.0 if axis == 1 else math.pi / 2) + (math.pi if side > 0 else 0.0)
                yaw = _wrapped(pose[2] + facing + float(self._rng.uniform(-CHAIR_YAW, CHAIR_YAW)))
                across = side * away
                yield _from(pose, *((along, across) if axis == 0 else (across, along)), yaw)


def _from(pose: Pose, ahead: float, left: float, yaw: float) -> Pose:
    """A pose by its place in the frame of another."""
    x, y, turn = pose
    c, s = math.cos(turn), math.sin(turn)
    return x + c * ahead - s * left, y + s * ahead + c * left, yaw


def _turned(yaw: float) -> float:
    """The opposite side; exactly one of `SIDES`."""
    return SIDES[(SIDES.index(yaw) + 2) % 4]


def _wrapped(yaw: float) -> float:
    return math.remainder(yaw, 2 * math.pi)
