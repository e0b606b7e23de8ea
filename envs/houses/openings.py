"""Doors, doorways and windows of a floor plan, and the floor that has to stay free because of them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from zoo.envs.draws import between, pick, shuffled
from zoo.envs.houses.floor_plan import FloorPlan, Segment
from zoo.envs.houses.footprints import Rect
from zoo.envs.houses.room_types import ROOM_TYPES
from zoo.envs.scenes.doors import LEAF_THICKNESS_M
from zoo.envs.scenes.specification import Leaf, Material, Opening

WALL_THICKNESS_M = 0.1
DOOR_WIDTH_M = (0.9, 1.0)
DOORWAY_WIDTH_M = (0.95, 1.25)
DOOR_HEIGHT_M = 2.1
HINGE_MARGIN_M = 0.25
"""From the end of a wall's line to the hinge: an open leaf with its handle clears the wall beside it."""

LATCH_MARGIN_M = 0.1
OPEN_ANGLE = (math.radians(87), math.radians(89.9))
LEAF_SLACK_M = 0.1  # around the area that a leaf sweeps, for its thickness and handles
LATCH_SLACK_M = 0.05  # beyond its free edge
HANDLE_REACH_M = 0.07  # from a face of the leaf
APPROACH_M = 0.8  # free depth before an opening
WAY_M = 0.42
"""From a wall's line to where somebody of 0.3 m radius stands who is about to walk through."""

WAY_SHIFT_M = 0.08
"""From the middle of an opening to where one walks through it, away from the hinge: an open leaf takes some room."""

WINDOW_WIDTH_M = (0.8, 1.8)
WINDOW_BOTTOM_M = (0.85, 1.05)
WINDOW_TOP_M = (2.05, 2.25)
WINDOW_MARGIN_M = 0.4  # to the ends of its wall and to doors
WINDOW_DEPTH_M = 0.6  # of the zone before it where nothing is taller than the next number
BEFORE_WINDOW_M = 1.3  # a headboard or dresser may stand there, a wardrobe may not

DOORWAY_CHANCE = {frozenset(("kitchen", "living_room")): 0.7, frozenset(("kitchen", "dining_room")): 0.7}
HALL_DOORWAY_CHANCE = 0.6  # from a hall or living room to a room for everybody
PUBLIC = ("living_room", "hallway", "kitchen", "dining_room")
ENTRANCE_ROOMS = ("hallway", "living_room", "kitchen", "dining_room", "office", "bedroom", "laundry_room", "bathroom")
"""Who gets the door to the outside, the first that has an outer wall for it."""

DOOR_STIFFNESS, DOOR_DAMPING, DOOR_FRICTION_LOSS = (3.0, 7.0), (8.0, 12.0), (8.0, 12.0)
"""N m / rad, N m s / rad, N m: sheet section 17, doors."""


class Zone(NamedTuple):
    """Floor where nothing may be taller than a height: 0 before doors, `BEFORE_WINDOW_M` before windows."""

    rect: Rect
    max_height_m: float


@dataclass(slots=True)
class RoomOpenings:
    """What the openings of a room ask of its floor.

    Args:
        zones: To be kept free.
        leaves: Where open leaves stand.
        ways: Where one stands before walking through each door.
    """

    zones: list[Zone] = field(default_factory=list)
    leaves: list[Rect] = field(default_factory=list)
    ways: list[tuple[float, float]] = field(default_factory=list)


@dataclass(slots=True)
class HouseOpenings:
    """All openings of a house.

    Args:
        by_segment: Of each of the plan's segments, in order of their offset.
        by_room: What they ask of each room.
    """

    by_segment: dict[int, list[Opening]]
    by_room: list[RoomOpenings]


class _Swing(NamedTuple):
    offset: float
    hinge: Literal["start", "end"]
    side: Literal["left", "right"]


def draw_openings(
    rng: np.random.Generator, plan: FloorPlan, *, closed_share: float, wood: Sequence[Material]
) -> HouseOpenings | None:
    """Draw doors for every connection of a plan, the entrance, and windows.

    Args:
        rng: Source of all randomness.
        plan: Where rooms are and which are connected.
        closed_share: Of the doors between rooms, how many are closed; the entrance always is.
        wood: Materials that leaves are made of.
    Returns:
        None where some door finds no place in which its leaf is free of others.
    """
    drawer = _Drawer(rng, plan, closed_share, pick(rng, wood))
    if not all(drawer.add_inner(index) for index in plan.connections) or not drawer.add_entrance():
        return None
    for index, segment in enumerate(plan.segments):
        if segment.left is None or segment.right is None:
            drawer.add_window(index)
    for holes in drawer.found.by_segment.values():
        holes.sort(key=lambda hole: hole.offset_m)
    return drawer.found


class _Drawer:
    def __init__(self, rng: np.random.Generator, plan: FloorPlan, closed_share: float, wood: Material) -> None:
        self.rng, self.plan, self.closed_share, self.wood = rng, plan, closed_share, wood
        self.found = HouseOpenings(defaultdict(list), [RoomOpenings() for _ in plan.rects])
        self.swept: list[list[Rect]] = [[] for _ in plan.rects]
        self.passages: list[list[Rect]] = [[] for _ in plan.rects]
        self.counts: dict[str, int] = defaultdict(int)

    def add_inner(self, index: int) -> bool:
        """A door or doorway between two rooms."""
        segment = self.plan.segments[index]
        kinds = self.plan.types[segment.left], self.plan.types[segment.right]
        if self.rng.random() < _doorway_chance(*kinds) and self._add_doorway(index):
            return True
        is_closed = self.rng.random() < self.closed_share
        for side in _swing_sides(self.plan, segment):
            if self._add_door(index, side, is_closed=is_closed):
                return True
        return self._add_doorway(index)

    def add_entrance(self) -> bool:
        """A closed door to the outside."""
        for kind in ENTRANCE_ROOMS:
            outer = [
                (i, "right" if s.left is None else "left")
                for i, s in enumerate(self.plan.segments)
                if None in (s.left, s.right)
                and self.plan.types[s.left if s.right is None else s.right] == kind
                and s.length >= DOOR_WIDTH_M[1] + HINGE_MARGIN_M + LATCH_MARGIN_M
            ]
            for index, side in shuffled(self.rng, outer):
                if self._add_door(index, side, is_closed=True):
                    return True
        return False

    def add_window(self, index: int) -> None:
        """Perhaps a window in an outer wall, or two in a long one."""
        segment = self.plan.segments[index]
        room = segment.left if segment.right is None else segment.right
        if self.rng.random() >= ROOM_TYPES[self.plan.types[room]].window_chance:
            return
        bottom, top = between(self.rng, *WINDOW_BOTTOM_M, 0.05), between(self.rng, *WINDOW_TOP_M, 0.05)
        for low, high in self._free_spans(index):
            most = min(WINDOW_WIDTH_M[1], high - low - 0.01)  # widths are rounded to whole centimetres
            if most < WINDOW_WIDTH_M[0]:
                continue
            width = between(self.rng, WINDOW_WIDTH_M[0], most)
            offset = round(low + float(self.rng.random()) * (high - low - width), 3)
            hole = Opening(
                name=self._name("window"),
                kind="window",
                offset_m=offset,
                width_m=width,
                bottom_m=bottom,
                height_m=round(top - bottom, 4),
            )
            self.found.by_segment[index].append(hole)
            side = "left" if segment.right is None else "right"
            zone = beside(segment, side, offset, offset + width, WINDOW_DEPTH_M)
            self.found.by_room[room].zones.append(Zone(zone, BEFORE_WINDOW_M))

    def _free_spans(self, index: int) -> list[tuple[float, float]]:
        """Where a window may be: each long span is halved, so that long walls get two."""
        low, end = WINDOW_MARGIN_M, self.plan.segments[index].length - WINDOW_MARGIN_M
        spans = []
        for hole in self.found.by_segment.get(index, []):  # at most the entrance
            spans.append((low, hole.offset_m - WINDOW_MARGIN_M))
            low = hole.offset_m + hole.width_m + WINDOW_MARGIN_M
        spans.append((low, end))
        halves = []
        for start, stop in spans:
            middle = (start + stop) / 2
            is_long = stop - start > 2 * WINDOW_WIDTH_M[1]
            halves += [(start, middle - 0.2), (middle + 0.2, stop)] if is_long else [(start, stop)]
        return halves

    def _add_doorway(self, index: int) -> bool:
        segment = self.plan.segments[index]
        width = min(between(self.rng, *DOORWAY_WIDTH_M, 0.05), round(segment.length - 2 * LATCH_MARGIN_M, 3))
        room = segment.length - width - 2 * LATCH_MARGIN_M
        for share in (0.5, *self.rng.random(6).tolist()):
            offset = round(LATCH_MARGIN_M + share * room, 3)
            if self._is_passable(segment, offset, offset + width):
                hole = Opening(
                    name=self._name("doorway"),
                    kind="doorway",
                    offset_m=offset,
                    width_m=width,
                    bottom_m=0.0,
                    height_m=DOOR_HEIGHT_M,
                )
                self._add_passage(index, hole)
                return True
        return False

    def _add_door(self, index: int, side: Literal["left", "right"], *, is_closed: bool) -> bool:
        segment = self.plan.segments[index]
        width = between(self.rng, *DOOR_WIDTH_M)
        for swing in self._swings(segment, side, width):
            offset, hinge, _ = swing
            leaf_rect = swept_by_leaf(segment, side, hinge, offset, width)
            room = segment.left if side == "left" else segment.right
            is_free = (
                self.plan.rects[room].contains(leaf_rect)
                and not any(leaf_rect.overlaps(other) for other in self.swept[room] + self.passages[room])
                and self._is_passable(segment, offset, offset + width)
            )
            if is_free:
                hole = self._door(swing, width, is_closed=is_closed)
                self.swept[room].append(leaf_rect)
                self.found.by_room[room].zones.append(Zone(leaf_rect, 0.0))
                self.found.by_room[room].leaves.append(open_leaf(segment, side, hinge, offset, width))
                self._add_passage(index, hole)
                return True
        return False

    def _swings(self, segment: Segment, side: Literal["left", "right"], width: float) -> list[_Swing]:
        """Places of a door, hinges at corners first, where an open leaf is out of the way."""
        most = segment.length - width
        swings = [_Swing(HINGE_MARGIN_M, "start", side), _Swing(round(most - HINGE_MARGIN_M, 3), "end", side)]
        for _ in range(6):
            hinge: Literal["start", "end"] = pick(self.rng, ("start", "end"))
            low, high = (HINGE_MARGIN_M, LATCH_MARGIN_M) if hinge == "start" else (LATCH_MARGIN_M, HINGE_MARGIN_M)
            swings.append(_Swing(round(low + float(self.rng.random()) * (most - low - high), 3), hinge, side))
        fitting = [swing for swing in swings if LATCH_MARGIN_M <= swing.offset <= most - LATCH_MARGIN_M + 1e-6]
        return shuffled(self.rng, fitting[:2]) + fitting[2:]

    def _door(self, swing: _Swing, width: float, *, is_closed: bool) -> Opening:
        return Opening(
            name=self._name("door"),
            kind="door",
            offset_m=swing.offset,
            width_m=width,
            bottom_m=0.0,
            height_m=DOOR_HEIGHT_M,
            leaf=Leaf(
                hinge=swing.hinge,
                swing=swing.side,
                angle=0.0 if is_closed else between(self.rng, *OPEN_ANGLE, 0.001),
                material=self.wood,
                stiffness=between(self.rng, *DOOR_STIFFNESS) if is_closed else 0.0,  # a spring would close open ones
                damping=between(self.rng, *DOOR_DAMPING),
                friction_loss=between(self.rng, *DOOR_FRICTION_LOSS),
            ),
        )

    def _is_passable(self, segment: Segment, low: float, high: float) -> bool:
        """Whether no leaf opens in front of this stretch, and no hole is there already."""
        for side, room in (("left", segment.left), ("right", segment.right)):
            if room is not None:
                passage = beside(segment, side, low, high, APPROACH_M)
                if any(passage.overlaps(other) for other in self.swept[room]):
                    return False
        return True

    def _add_passage(self, index: int, hole: Opening) -> None:
        segment = self.plan.segments[index]
        low, high = hole.offset_m, hole.offset_m + hole.width_m
        shift = 0.0 if hole.leaf is None else WAY_SHIFT_M * (1 if hole.leaf.hinge == "start" else -1)
        self.found.by_segment[index].append(hole)
        for side, room in (("left", segment.left), ("right", segment.right)):
            if room is not None:
                passage = beside(segment, side, low, high, APPROACH_M)
                self.passages[room].append(passage)
                self.found.by_room[room].zones.append(Zone(passage, 0.0))
                stand = beside(segment, side, low + shift, high + shift, 2 * WAY_M)
                self.found.by_room[room].ways.append(stand.centre)

    def _name(self, kind: str) -> str:
        self.counts[kind] += 1
        return f"{kind}_{self.counts[kind] - 1}"


def _doorway_chance(first: str, second: str) -> float:
    pair = frozenset((first, second))
    if pair in DOORWAY_CHANCE:
        return DOORWAY_CHANCE[pair]
    return HALL_DOORWAY_CHANCE if first in PUBLIC and second in PUBLIC else 0.0


def _swing_sides(plan: FloorPlan, segment: Segment) -> list[Literal["left", "right"]]:
    """Into the larger room first, but not into a hall."""

    def priority(room: int) -> tuple[bool, float]:
        return plan.types[room] != "hallway", plan.rects[room].area

    sides: list[Literal["left", "right"]] = ["left", "right"]
    return sides if priority(segment.left) >= priority(segment.right) else sides[::-1]


def beside(segment: Segment, side: str, low: float, high: float, depth: float) -> Rect:
    """Floor beside a stretch of a wall's line, from the line to a depth."""
    x, y = segment.start
    if segment.is_upright:  # left of +y is -x
        return Rect(x - depth, y + low, x, y + high) if side == "left" else Rect(x, y + low, x + depth, y + high)
    return Rect(x + low, y, x + high, y + depth) if side == "left" else Rect(x + low, y - depth, x + high, y)


def swept_by_leaf(segment: Segment, side: str, hinge: str, offset: float, width: float) -> Rect:
    """Floor that a leaf sweeps, with slack."""
    before, after = (LEAF_SLACK_M, LATCH_SLACK_M) if hinge == "start" else (LATCH_SLACK_M, LEAF_SLACK_M)
    low, high = offset - before, offset + width + after
    return beside(segment, side, low, high, width + LEAF_SLACK_M)


def open_leaf(segment: Segment, side: str, hinge: str, offset: float, width: float) -> Rect:
    """Floor under an open leaf and its handles, at any angle of `OPEN_ANGLE`."""
    reach = LEAF_THICKNESS_M + width * math.cos(OPEN_ANGLE[0]) + HANDLE_REACH_M
    if hinge == "start":
        return beside(segment, side, offset - HANDLE_REACH_M, offset + reach, width + WALL_THICKNESS_M / 2)
    end = offset + width
    return beside(segment, side, end - reach, end + HANDLE_REACH_M, width + WALL_THICKNESS_M / 2)
