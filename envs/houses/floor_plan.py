"""Floor plans: an outline divided again and again into rectangles, the lines of its walls, and who meets whom.

Every cut goes across the longer side and shares a list of rooms in two, so rooms that are near in the list end up as
neighbours. An L-shaped outline is the same division with a first entry that stays outside: the first always gets the
outline's corner.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from zoo.envs.draws import between
from zoo.envs.houses.footprints import Rect
from zoo.envs.houses.room_types import ROOM_TYPES, affinity, draw_types

GRID_M = 0.05
"""Middle planes of walls lie on this grid."""

DOOR_WALL_M = 1.4
"""Shortest line that two rooms share where a door with its hinge and frame fits."""

L_SHAPE_CHANCE = 0.35
L_SHAPE_ROOMS = 3
"""Fewest rooms of a home that may be L-shaped."""

VOID = "outside"
_LIMITS = {kind: (facts.min_side_m, facts.max_aspect) for kind, facts in ROOM_TYPES.items()} | {VOID: (1.5, 4.0)}
"""Shortest side and largest aspect by type."""

VOID_SHARE = (0.08, 0.2)  # of the outline, the corner that an L lacks
EXTRA_DOOR_AFFINITY = 0.7
EXTRA_DOOR_CHANCE = 0.35
GOOD_PLANS = 12  # the best of so many is taken
GOOD_AFFINITY = 0.8  # of doors on average, with which a plan is taken at once
GROWTH = 1.005  # of areas after a division that was too narrow somewhere
TRIES_PER_AREAS = 60
MAX_TRIES = 6000
CUTS_PER_AREA = 3
LEEWAY = 0.2  # by which a cut may change an area so that both sides come out well


_Line = tuple[float, float, float, int | None, int | None]


class Segment(NamedTuple):
    """A wall's line, from its lower to its upper end, and the rooms to its left and right; None is outside."""

    start: tuple[float, float]
    end: tuple[float, float]
    left: int | None
    right: int | None

    @property
    def is_upright(self) -> bool:
        """Along y."""
        return self.start[0] == self.end[0]

    @property
    def length(self) -> float:
        return self.end[0] - self.start[0] + self.end[1] - self.start[1]


@dataclass(frozen=True, kw_only=True, slots=True)
class FloorPlan:
    """Rooms and the lines between them.

    Args:
        types: Of the rooms.
        rects: Of the rooms, up to the middle planes of their walls.
        segments: Lines of walls; two neighbours share one.
        connections: Indices of segments that get a door or doorway; they connect every room with every other.
    """

    types: tuple[str, ...]
    rects: tuple[Rect, ...]
    segments: tuple[Segment, ...]
    connections: tuple[int, ...]


def draw_plan(rng: np.random.Generator, *, num_rooms: int, extra_doors: float = EXTRA_DOOR_CHANCE) -> FloorPlan:
    """Draw a home's plan: the best of a few that respect sizes and let every room be reached.

    Args:
        rng: Source of all randomness.
        num_rooms: At least 1.
        extra_doors: Chance that two rooms which suit each other get a door although they are connected already.
    """
    types = draw_types(rng, num_rooms)
    best, best_score, found = None, -np.inf, 0
    for attempt in range(MAX_TRIES):
        if attempt % TRIES_PER_AREAS == 0:
            areas, void = _drawn_areas(rng, types, may_be_l_shaped=attempt == 0)
        rects = _divided_outline(rng, types, areas, void)
        if rects is None:
            areas, void = [area * GROWTH for area in areas], void * GROWTH
            continue
        segments = wall_segments(rects)
        tree, score = _spanning_tree(types, segments)
        score += 0.3 * rng.random()
        found += tree is not None
        if tree is not None and score > best_score:
            best, best_score = (rects, segments, tree), score
        if found >= GOOD_PLANS or best_score >= GOOD_AFFINITY * (num_rooms - 1):
            break
    assert best is not None, f"no plan of {types} found in {MAX_TRIES} divisions"
    rects, segments, tree = best
    return FloorPlan(
        types=tuple(types),
        rects=tuple(rects),
        segments=tuple(segments),
        connections=tuple(sorted(tree + _extra_connections(rng, types, segments, tree, extra_doors))),
    )


def _drawn_areas(rng: np.random.Generator, types: Sequence[str], *, may_be_l_shaped: bool) -> tuple[list[float], float]:
    """Areas of the rooms, and of the corner that an L-shaped outline lacks; 0 for a rectangle."""
    areas = [float(rng.uniform(*ROOM_TYPES[kind].area_m2)) for kind in types]
    if may_be_l_shaped and len(types) >= L_SHAPE_ROOMS and rng.random() < L_SHAPE_CHANCE:
        share = float(rng.uniform(*VOID_SHARE))
        return areas, sum(areas) * share / (1 - share)
    return areas, 0.0


def _divided_outline(
    rng: np.random.Generator, types: Sequence[str], areas: Sequence[float], void: float
) -> list[Rect] | None:
    """Rectangles of the areas; None where one is too narrow, or where a void reaches along a whole side: no L."""
    total = sum(areas) + void
    aspect = float(rng.uniform(1.0, 2.0 if len(areas) > 1 else 1.5))
    outline = Rect(0.0, 0.0, _snapped((total * aspect) ** 0.5), _snapped((total / aspect) ** 0.5))
    entries = list(zip(types, areas, strict=True))
    rects = _divided(rng, outline, [(VOID, void), *entries] if void else entries)
    if rects is None:
        return None
    if void:
        corner = rects.pop(0)
        if corner.x1 >= outline.x1 or corner.y1 >= outline.y1:
            return None
    return _mirrored(rng, outline, rects)


def _divided(rng: np.random.Generator, rect: Rect, entries: list[tuple[str, float]]) -> list[Rect] | None:
    """Rectangles of entries (type, area) within one; None where a few random cuts all leave one too narrow."""
    if min(rect.width, rect.depth) < max(_LIMITS[kind][0] for kind, _ in entries):
        return None
    if len(entries) == 1:
        short, long = sorted((rect.width, rect.depth))
        return [rect] if long <= _LIMITS[entries[0][0]][1] * short else None
    for cut, is_across in _cuts(rng, rect, entries):
        halves = _halves(rect, entries, cut, is_across=is_across)
        lower = halves and _divided(rng, halves[0], entries[:cut])
        upper = lower and _divided(rng, halves[1], entries[cut:])
        if lower and upper:
            return lower + upper
    return None


def _cuts(rng: np.random.Generator, rect: Rect, entries: list[tuple[str, float]]) -> list[tuple[int, bool]]:
    """A few (number of entries in the first half, cut across x), balanced halves and cuts across long sides first."""
    sums = list(itertools.accumulate(area for _, area in entries))
    options = [(number, is_across) for number in range(1, len(entries)) for is_across in (True, False)]
    tickets = rng.random(len(options)).tolist()

    def cost(place: int) -> float:
        number, is_across = options[place]
        imbalance = abs(sums[number - 1] / sums[-1] - 0.5)
        return tickets[place] + 4 * max(0.0, imbalance - 0.2) + (is_across != (rect.width > rect.depth))

    return [options[place] for place in sorted(range(len(options)), key=cost)[:CUTS_PER_AREA]]


def _halves(rect: Rect, entries: list[tuple[str, float]], cut: int, *, is_across: bool) -> tuple[Rect, Rect] | None:
    """Both sides of a cut by area, moved a little where a single room at one side would be too narrow or too long."""
    low, high = (rect.x0, rect.x1) if is_across else (rect.y0, rect.y1)
    other = rect.depth if is_across else rect.width
    length = high - low
    share = sum(area for _, area in entries[:cut]) / sum(area for _, area in entries)
    least, most = (1 - LEEWAY) * share * length, length - (1 - LEEWAY) * (1 - share) * length
    if cut == 1:
        side, aspect = _LIMITS[entries[0][0]]
        least, most = max(least, side, other / aspect), min(most, other * aspect)
    if cut == len(entries) - 1:
        side, aspect = _LIMITS[entries[-1][0]]
        least, most = max(least, length - other * aspect), min(most, length - max(side, other / aspect))
    line = low + math.ceil(least / GRID_M - 1e-6) * GRID_M
    if line > low + most + 1e-6:
        return None
    line = _snapped(min(max(low + share * length, line), low + math.floor(most / GRID_M + 1e-6) * GRID_M))
    if is_across:
        return Rect(rect.x0, rect.y0, line, rect.y1), Rect(line, rect.y0, rect.x1, rect.y1)
    return Rect(rect.x0, rect.y0, rect.x1, line), Rect(rect.x0, line, rect.x1, rect.y1)


def _snapped(value: float) -> float:
    return round(round(value / GRID_M) * GRID_M, 4)


def _mirrored(rng: np.random.Generator, outline: Rect, rects: list[Rect]) -> list[Rect]:
    """The plan turned or mirrored at random, so that no corner is special."""
    flip_x, flip_y, swap = rng.integers(2, size=3)
    if flip_x:
        rects = [Rect(_snapped(outline.x1 - r.x1), r.y0, _snapped(outline.x1 - r.x0), r.y1) for r in rects]
    if flip_y:
        rects = [Rect(r.x0, _snapped(outline.y1 - r.y1), r.x1, _snapped(outline.y1 - r.y0)) for r in rects]
    return [Rect(r.y0, r.x0, r.y1, r.x1) for r in rects] if swap else rects


def wall_segments(rects: Sequence[Rect]) -> list[Segment]:
    """Lines around rooms, split where the room on either side changes."""
    upright = [(r.x0, r.x1, r.y0, r.y1) for r in rects]
    level = [(r.y0, r.y1, r.x0, r.x1) for r in rects]
    found = []
    for line, low, high, before, after in _lines(upright):
        found.append(Segment((line, low), (line, high), before, after))  # left of +y is -x
    for line, low, high, before, after in _lines(level):
        found.append(Segment((low, line), (high, line), after, before))  # left of +x is +y
    return found


def _lines(spans: Sequence[tuple[float, float, float, float]]) -> list[_Line]:
    """(coordinate, low, high, room before, room after) of the lines across one axis.

    Args:
        spans: Of each room: low and high across the line, low and high along it.
    """
    found = []
    for line in sorted({edge for span in spans for edge in span[:2]}):
        touching = [(i, span) for i, span in enumerate(spans) if line in span[:2]]
        stops = sorted({stop for _, span in touching for stop in span[2:]})
        pieces: list[_Line] = []
        for low, high in itertools.pairwise(stops):
            inside = [(i, span) for i, span in touching if span[2] <= low and high <= span[3]]
            before = next((i for i, span in inside if span[1] == line), None)
            after = next((i for i, span in inside if span[0] == line), None)
            if before is None and after is None:
                continue
            if pieces and pieces[-1][2:] == (low, before, after):
                pieces.append((line, pieces.pop()[1], high, before, after))
            else:
                pieces.append((line, low, high, before, after))
        found += pieces
    return found


def _doors_between(types: Sequence[str], segments: Sequence[Segment]) -> list[tuple[float, int, int, int]]:
    """(affinity, segment, room, room) of lines that are long enough for a door, the best first."""
    pairs = [
        (affinity(types[s.left], types[s.right]), i, s.left, s.right)
        for i, s in enumerate(segments)
        if s.left is not None and s.right is not None and s.length >= DOOR_WALL_M
    ]
    return sorted(pairs, key=lambda pair: (-pair[0], pair[1]))


def _spanning_tree(types: Sequence[str], segments: Sequence[Segment]) -> tuple[list[int] | None, float]:
    """Segments that connect all rooms, and how much such doors please; None where they do not all meet."""
    group = list(range(len(types)))
    doors = [0] * len(types)
    tree, score = [], 0.0
    for value, index, a, b in _doors_between(types, segments):
        if group[a] != group[b]:
            old, new = group[b], group[a]
            group = [new if g == old else g for g in group]
            tree.append(index)
            doors[a] += 1
            doors[b] += 1
            score += value
    if len(tree) < len(types) - 1:
        return None, 0.0
    score -= sum(max(0, count - ROOM_TYPES[kind].max_doors) for kind, count in zip(types, doors, strict=True))
    return tree, score


def _extra_connections(
    rng: np.random.Generator, types: Sequence[str], segments: Sequence[Segment], tree: list[int], chance: float
) -> list[int]:
    doors = [0] * len(types)
    for index in tree:
        doors[segments[index].left] += 1
        doors[segments[index].right] += 1
    extra = []
    for value, index, a, b in _doors_between(types, segments):
        is_free = all(doors[room] < ROOM_TYPES[types[room]].max_doors for room in (a, b))
        if index not in tree and value >= EXTRA_DOOR_AFFINITY and is_free and rng.random() < chance:
            extra.append(index)
            doors[a] += 1
            doors[b] += 1
    return extra


def draw_height(rng: np.random.Generator) -> float:
    """Of a home's ceiling."""
    return between(rng, 2.5, 3.0, step=0.05)
