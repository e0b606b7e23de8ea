"""Walls, doors and windows between the house JSON and scenes.

The JSON has one-sided walls: a room's wall and, at the same place the other way round, its neighbour's or one of the
outside. Two that share a segment are one wall here. A hole is measured along `wall0` from its first lower corner.

Source: sheet spoc_ring_holodeck_graspmolmo sections 3.3 and 3.10. ProcTHOR keeps the floor free on the side to which a
door opens, which in our frame is the left of `wall0`, seen from its start; at which end the hinge is belongs to the
Unity asset and is not in the JSON, so it is taken to be at that start. Double doors become one wide leaf.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from zoo.envs.scenes.house_materials import EXTENSION, WALL, material_note, read_material, write_material
from zoo.envs.scenes.json_cursor import Cursor
from zoo.envs.scenes.specification import Leaf, Material, Opening, OpeningKind, Point, Room, Wall
from zoo.errors import DataError

EXTERIOR = "exterior"
WALL_THICKNESS_M = 0.1
"""The JSON's walls are planes."""

SAME_M = 1e-3
"""Corners nearer than this are one."""

PROBE_M = 0.05
"""How far beside a wall's middle its room is looked for."""

OPENING_KEYS = ("id", "openness", "room0", "room1", "wall0", "wall1", "holePolygon", EXTENSION)
WALL_KEYS = ("id", "roomId", "polygon", "material", EXTENSION)


@dataclass(frozen=True, slots=True)
class Side:
    """One wall of the JSON, seen by one room; `room` is None outside."""

    name: str
    room: str | None
    start_m: Point
    end_m: Point
    height_m: float
    raw: Cursor


@dataclass(frozen=True, slots=True)
class Place:
    """Where a side went: the name of its wall, and whether it runs from the wall's start to its end."""

    wall: str
    is_forward: bool


def contains(polygon: Iterable[Point], point: Point) -> bool:
    """Whether a point is inside a polygon."""
    corners = list(polygon)
    x, y = point
    inside = False
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        if (ay > y) != (by > y) and x < (bx - ax) * (y - ay) / (by - ay) + ax:
            inside = not inside
    return inside


def read_side(raw: Cursor, rooms: Mapping[str, Room]) -> Side:
    """Parse one wall of the JSON."""
    corners = [corner.xyz() for corner in raw.need("polygon").list()]
    if len(corners) < 3:
        raise DataError(f"{raw.path}.polygon has {len(corners)} corners, expected the four of an upright wall")
    low, high = min(y for _, y, _ in corners), max(y for _, y, _ in corners)
    base = [(x, z) for x, y, z in corners if y - low < SAME_M]
    if len(base) != 2 or math.dist(*base) < SAME_M or high - low < SAME_M:
        raise DataError(f"{raw.path}.polygon has {len(base)} lower corners and height {high - low:g} m, not a wall's")
    name, room = raw.need("id").text(), raw.get("roomId").text(EXTERIOR)
    is_outside = room == EXTERIOR or EXTERIOR in name.split("|")
    if not is_outside and room not in rooms:
        raise DataError(f"{raw.path}.roomId is {room!r}, which is no room; rooms: {', '.join(rooms)}")
    return Side(name, None if is_outside else room, base[0], base[1], high - low, raw)


def merge_sides(
    sides: Iterable[Side], rooms: Mapping[str, Room], notes: dict[str, Any]
) -> tuple[list[Wall], dict[str, Place]]:
    """Walls without openings out of one-sided ones.

    Args:
        sides: In the order of the JSON.
        rooms: By name.
        notes: Gets, by wall, what scenes have no place for.
    Returns:
        The walls, and where each side went by its identifier.
    """
    groups: dict[frozenset[tuple[int, int]], list[Side]] = {}
    for side in sides:
        key = frozenset((round(x / SAME_M), round(y / SAME_M)) for x, y in (side.start_m, side.end_m))
        groups.setdefault(key, []).append(side)
    walls, places = [], {}
    for group in groups.values():
        first = next((side for side in group if side.room is not None), group[0])
        front_hand = _hand(first, rooms)
        bounded: list[str | None] = [None, None]
        materials: list[Material] = [WALL, WALL]
        note = {}
        for side in sorted(group, key=lambda side: side.room is None):
            hand = front_hand if side is first else 1 - front_hand
            bounded[hand] = side.room if bounded[hand] is None else bounded[hand]
            materials[hand] = read_material(side.raw.get("material"), WALL)
            places[side.name] = Place(first.name, math.dist(side.start_m, first.start_m) < 2 * SAME_M)
            note["front" if side is first else "back"] = _side_note(side, materials[hand])
        if front_hand != _front_hand((bounded[0], bounded[1])):
            note["front_hand"] = front_hand
        extension = first.raw.get(EXTENSION)
        walls.append(
            Wall(
                name=first.name,
                start_m=first.start_m,
                end_m=first.end_m,
                height_m=first.height_m,
                thickness_m=extension.get("thickness_m").number() if extension else WALL_THICKNESS_M,
                rooms=(bounded[0], bounded[1]),
                materials=(materials[0], materials[1]),
            )
        )
        kept = {key: value for key, value in note.items() if value != _native_note(first.name, key)}
        if kept:
            notes[first.name] = kept
    return walls, places


def _hand(side: Side, rooms: Mapping[str, Room]) -> Literal[0, 1]:
    """Whether the room of a side is at its left (0) or its right (1), seen from its start."""
    if side.room is None:
        return 0
    (ax, ay), (bx, by) = side.start_m, side.end_m
    length = math.dist(side.start_m, side.end_m)
    left = (-(by - ay) / length * PROBE_M, (bx - ax) / length * PROBE_M)
    beside = ((ax + bx) / 2 + left[0], (ay + by) / 2 + left[1])
    return 0 if contains(rooms[side.room].polygon_m, beside) else 1


def _front_hand(rooms: tuple[str | None, str | None]) -> Literal[0, 1]:
    """Which face of one of our walls is written as its front: the left one, but for walls with only a right room."""
    return 1 if rooms[0] is None and rooms[1] is not None else 0


def _side_note(side: Side, material: Material) -> dict[str, Any]:
    foreign = {key: value for key, value in side.raw.object().items() if key not in WALL_KEYS}
    kept = material_note(side.raw.get("material"), material)
    room = side.raw.get("roomId").value
    return {
        "id": side.name,
        **({"material": kept} if kept is not None else {}),
        **({"roomId": room} if side.room is None and room != EXTERIOR else {}),
        **({"fields": foreign} if foreign else {}),
    }


def _native_note(wall: str, which: str) -> dict[str, Any]:
    return {"id": wall if which == "front" else f"{wall}|back"}


def read_opening(
    raw: Cursor, kind: OpeningKind, walls: Mapping[str, Wall], places: Mapping[str, Place]
) -> tuple[str, Opening]:
    """Parse one door or window.

    Returns:
        Name of its wall, and the opening, clipped to that wall.
    """
    name = raw.need("id").text()
    place = places.get(raw.need("wall0").text())
    if place is None:
        raise DataError(f"{raw.path}.wall0 is {raw.get('wall0').value!r}, which is no wall of the house")
    wall = walls[place.wall]
    low, high = _hole(raw)
    offset = low[0] if place.is_forward else wall.length_m - high[0]
    start, end = max(0.0, offset), min(wall.length_m, offset + high[0] - low[0])
    bottom, top = max(0.0, low[1]), min(wall.height_m, high[1])
    extension = raw.get(EXTENSION)
    if extension:
        kind = cast("OpeningKind", extension.need("kind").text())  # checked when the scene is made
    elif kind == "door" and "doorframe" in (raw.get("assetId").text("") + raw.get("type").text("")).lower():
        kind = "doorway"
    leaf = None
    if extension and extension.get("leaf"):
        leaf = _read_leaf(extension.get("leaf"))
    elif kind == "door":
        openness = raw.get("openness").number(0.0)
        closed = Leaf(hinge="start", swing="left") if place.is_forward else Leaf(hinge="end", swing="right")
        leaf = dataclasses.replace(closed, angle=openness * closed.max_angle)
    return place.wall, Opening(
        name=name,
        kind=kind,
        offset_m=start,
        width_m=end - start,
        bottom_m=bottom,
        height_m=top - bottom,
        leaf=leaf,
    )


def _hole(raw: Cursor) -> tuple[tuple[float, float], tuple[float, float]]:
    """Lower and upper corner of a hole, along its wall and above the floor; schema 0 calls it the bounding box."""
    if raw.get("holePolygon"):
        corners = [(point.need("x").number(), point.need("y").number()) for point in raw.get("holePolygon").list()]
    else:
        box = raw.need("boundingBox")
        corners = [(box.need(end).need("x").number(), box.need(end).need("y").number()) for end in ("min", "max")]
    if len(corners) < 2:
        raise DataError(f"{raw.path}.holePolygon has {len(corners)} corners, expected the lower and the upper one")
    xs, ys = zip(*corners, strict=True)
    return (min(xs), min(ys)), (max(xs), max(ys))


def _read_leaf(raw: Cursor) -> Leaf:
    fields = raw.object()
    if fields.get("material") is not None:
        fields["material"] = read_material(Cursor({EXTENSION: fields["material"]}, f"{raw.path}.material"), WALL)
    unknown = set(fields) - {part.name for part in dataclasses.fields(Leaf)}
    if unknown or not {"hinge", "swing"} <= set(fields):
        raise DataError(f"{raw.path} has the fields {', '.join(fields)}, expected those of a leaf")
    return Leaf(**fields)


def opposite(opening: Opening, wall: Wall, other: Wall) -> Opening | None:
    """The hole that an opening needs in a second wall at the same place, or None where they do not overlap.

    The JSON names two walls for every hole; where their segments differ they are two walls here, too.
    """
    length = other.length_m
    direction = ((other.end_m[0] - other.start_m[0]) / length, (other.end_m[1] - other.start_m[1]) / length)
    along = []
    for offset in (opening.offset_m, opening.offset_m + opening.width_m):
        x, y = wall.at(offset)
        away = (x - other.start_m[0], y - other.start_m[1])
        if abs(away[0] * direction[1] - away[1] * direction[0]) > WALL_THICKNESS_M:
            return None
        along.append(away[0] * direction[0] + away[1] * direction[1])
    start, end = max(0.0, min(along)), min(length, max(along))
    if end - start < SAME_M:
        return None
    kind: OpeningKind = "window" if opening.kind == "window" else "doorway"
    return dataclasses.replace(
        opening, name=f"{opening.name}|opposite", kind=kind, offset_m=start, width_m=end - start, leaf=None
    )


def write_walls(walls: Iterable[Wall], notes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The JSON's walls: the front of each runs from its start to its end, the back the other way."""
    written = []
    for wall in walls:
        note = notes.get(wall.name, {})
        front_hand = note.get("front_hand", _front_hand(wall.rooms))
        for which, hand, ends in (
            ("front", front_hand, (wall.start_m, wall.end_m)),
            ("back", 1 - front_hand, (wall.end_m, wall.start_m)),
        ):
            kept = note.get(which, _native_note(wall.name, which))
            lower = [{"x": x, "y": 0.0, "z": y} for x, y in ends]
            written.append(
                {
                    **kept.get("fields", {}),
                    "id": kept["id"],
                    "roomId": kept.get("roomId", wall.rooms[hand] or EXTERIOR),
                    "polygon": [*lower, *({**corner, "y": wall.height_m} for corner in lower)],
                    "material": write_material(wall.materials[hand], kept.get("material")),
                    EXTENSION: {"thickness_m": wall.thickness_m},
                }
            )
    return written


def write_opening(wall: Wall, opening: Opening, walls_note: Mapping[str, Any], fields: Mapping[str, Any]) -> dict:
    """One door or window of the JSON; a leaf that swings right is measured along the wall's back."""
    note = walls_note.get(wall.name, {})
    front, back = (note.get(which, _native_note(wall.name, which))["id"] for which in ("front", "back"))
    is_forward = opening.leaf is None or opening.leaf.swing == "left"
    start = opening.offset_m if is_forward else wall.length_m - opening.offset_m - opening.width_m
    low = {"x": start, "y": opening.bottom_m, "z": 0.0}
    high = {"x": start + opening.width_m, "y": opening.bottom_m + opening.height_m, "z": 0.0}
    front_hand = note.get("front_hand", _front_hand(wall.rooms))
    rooms = [wall.rooms[hand] or EXTERIOR for hand in (front_hand, 1 - front_hand)]
    leaf = dataclasses.asdict(opening.leaf) if opening.leaf else None
    openness = opening.leaf.angle / opening.leaf.max_angle if opening.leaf else 0.0
    middle = {axis: (low[axis] + high[axis]) / 2 for axis in "xyz"}
    return {
        "assetId": _asset_id(opening),
        "assetPosition": middle,
        "openable": opening.leaf is not None,
        **fields,
        "id": opening.name,
        "openness": openness,
        **dict(zip(("room0", "room1"), rooms if is_forward else rooms[::-1], strict=True)),
        **dict(zip(("wall0", "wall1"), (front, back) if is_forward else (back, front), strict=True)),
        "holePolygon": [low, high],
        EXTENSION: {"kind": opening.kind, "leaf": leaf},
    }


def opening_note(raw: Cursor, wall: Wall, opening: Opening) -> dict[str, Any]:
    """The fields of a door or window that `write_opening` would not write by itself, or otherwise."""
    native = write_opening(wall, opening, {}, {})
    middle = native.pop("assetPosition")
    foreign = {k: v for k, v in raw.object().items() if k not in OPENING_KEYS and native.get(k, ...) != v}
    position = raw.get("assetPosition")
    if position and math.dist(position.xyz(), middle.values()) < SAME_M:
        del foreign["assetPosition"]
    return foreign


def _asset_id(opening: Opening) -> str:
    """A Unity asset of the kind, for JSON that is to be opened there."""
    return {"door": "Doorway_1", "doorway": "Doorframe_1", "window": "Window_Fixed_60x36"}[opening.kind]


def cut(wall: Wall, openings: Iterable[Opening]) -> tuple[Wall, list[Opening]]:
    """A wall with its openings in order; those that overlap an earlier one, or have no size, are returned instead."""
    kept, left_out = [], []
    for opening in sorted(openings, key=lambda opening: opening.offset_m):
        is_free = not kept or opening.offset_m >= kept[-1].offset_m + kept[-1].width_m - SAME_M**2
        has_size = min(opening.width_m, opening.height_m) > SAME_M
        (kept if is_free and has_size else left_out).append(opening)
    return dataclasses.replace(wall, openings=tuple(kept)), left_out


def by_wall(found: Iterable[tuple[str, Opening]]) -> dict[str, list[Opening]]:
    """Openings grouped by the name of their wall."""
    ordered = sorted(found, key=lambda pair: pair[0])
    return {name: [opening for _, opening in group] for name, group in itertools.groupby(ordered, lambda p: p[0])}
