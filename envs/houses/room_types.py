"""Types of rooms: how large they are, which of them a home has, and which are neighbours by a door.

Sizes and weights are ours, true to European and American homes; the procedure (room quota, division, doors by
adjacency) follows the ProcTHOR-like family of sheet molmospaces section 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zoo.envs.draws import pick, weighted


@dataclass(frozen=True, kw_only=True, slots=True)
class RoomType:
    """What rooms of one type have in common.

    Args:
        area_m2: Least and largest usual area.
        min_side_m: Between the middle planes of its walls.
        max_aspect: Longest side by shortest.
        window_chance: Of each outer wall.
        max_doors: From which another door counts against a plan: one does not walk through bathrooms.
    """

    area_m2: tuple[float, float]
    min_side_m: float
    max_aspect: float = 2.4
    window_chance: float = 0.7
    max_doors: int = 3


ROOM_TYPES: dict[str, RoomType] = {
    "living_room": RoomType(area_m2=(16, 32), min_side_m=3.4, window_chance=0.9, max_doors=6),
    "kitchen": RoomType(area_m2=(9, 18), min_side_m=2.6),
    "dining_room": RoomType(area_m2=(10, 18), min_side_m=3.0),
    "bedroom": RoomType(area_m2=(10, 20), min_side_m=3.0, window_chance=0.85, max_doors=2),
    "bathroom": RoomType(area_m2=(5, 9), min_side_m=2.0, window_chance=0.4, max_doors=1),
    "office": RoomType(area_m2=(8, 14), min_side_m=2.5, window_chance=0.8, max_doors=2),
    "laundry_room": RoomType(area_m2=(5, 8), min_side_m=2.0, window_chance=0.3, max_doors=1),
    "hallway": RoomType(area_m2=(6, 12), min_side_m=1.8, max_aspect=4.0, window_chance=0.2, max_doors=8),
}

_SINGLE = {"living_room": 0.25, "kitchen": 0.25, "bedroom": 0.25, "bathroom": 0.1, "office": 0.15}
_PAIRS = (("living_room", "kitchen"), ("bathroom", "bedroom"), ("living_room", "bedroom"), ("kitchen", "dining_room"))
_TRIPLES = (
    ("kitchen", "living_room", "bedroom"),
    ("living_room", "bedroom", "bathroom"),
    ("kitchen", "living_room", "office"),
    ("kitchen", "dining_room", "living_room"),
)
_CORE = ("kitchen", "living_room", "bedroom", "bathroom")
_EXTRA = {"bedroom": 1.0, "bathroom": 0.7, "hallway": 1.2, "dining_room": 0.6, "office": 0.6, "laundry_room": 0.5}
_MOST = {"bedroom": 4, "bathroom": 3, "hallway": 1, "dining_room": 1, "office": 2, "laundry_room": 1}

_ORDER = ("laundry_room", "kitchen", "dining_room", "living_room", "hallway")
"""Rooms that follow each other here tend to become neighbours; bedrooms with their baths and offices come after."""

_AFFINITY: dict[frozenset[str], float] = {
    frozenset(pair): value
    for pair, value in (
        (("kitchen", "living_room"), 1.0),
        (("kitchen", "dining_room"), 1.0),
        (("hallway", "living_room"), 1.0),
        (("hallway", "bedroom"), 1.0),
        (("hallway", "bathroom"), 0.95),
        (("bedroom", "bathroom"), 0.9),
        (("dining_room", "living_room"), 0.9),
        (("hallway", "office"), 0.9),
        (("hallway", "kitchen"), 0.8),
        (("hallway", "laundry_room"), 0.8),
        (("living_room", "bedroom"), 0.8),
        (("living_room", "office"), 0.8),
        (("kitchen", "laundry_room"), 0.8),
        (("hallway", "dining_room"), 0.7),
        (("living_room", "bathroom"), 0.5),
        (("bathroom", "laundry_room"), 0.4),
        (("bedroom", "office"), 0.3),
        (("kitchen", "bedroom"), 0.15),
        (("kitchen", "bathroom"), 0.1),
        (("bedroom",), 0.05),
        (("bathroom",), 0.0),
    )
}
_ANY_AFFINITY = 0.2


def affinity(first: str, second: str) -> float:
    """How much two types of rooms want a door between them, 0 to 1."""
    return _AFFINITY.get(frozenset((first, second)), _ANY_AFFINITY)


def draw_types(rng: np.random.Generator, num_rooms: int) -> list[str]:
    """Types of the rooms of a home, in an order in which neighbours make sense."""
    if num_rooms == 1:
        return [weighted(rng, _SINGLE)]
    if num_rooms == 2:
        return list(pick(rng, _PAIRS))
    if num_rooms == 3:
        return list(pick(rng, _TRIPLES))
    types = list(_CORE)
    while len(types) < num_rooms:
        most = dict(_MOST, bathroom=min(_MOST["bathroom"], types.count("bedroom")))
        types.append(weighted(rng, {kind: w for kind, w in _EXTRA.items() if types.count(kind) < most[kind]}))
    return _in_order(types)


def _in_order(types: list[str]) -> list[str]:
    ordered = [kind for kind in _ORDER if kind in types]
    beds, baths, offices = (types.count(kind) for kind in ("bedroom", "bathroom", "office"))
    for index in range(beds):
        ordered += ["bedroom"] + ["bathroom"] * (index < baths)
    return ordered + ["office"] * offices
