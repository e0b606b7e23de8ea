"""Objects between the house JSON and scenes.

The JSON gives the middle of an object's box, nests what stands on something under it, and names assets that are rarely
on disk. Here an object stands on its support: where another asset stands in, its bottom stays where that of the
original was, or on the surface below it where the original's size is not known or that surface is a stand-in's.

Source: sheet spoc_ring_holodeck_graspmolmo sections 3.9 and 3.10.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from zoo.envs.assets.library import AssetFacts
from zoo.envs.kinematics.poses import matrix_from_quat, quat_from_matrix
from zoo.envs.scenes.house_assets import AssetMatcher, Match, Size
from zoo.envs.scenes.house_materials import EXTENSION, read_colour
from zoo.envs.scenes.house_walls import contains
from zoo.envs.scenes.json_cursor import Cursor
from zoo.envs.scenes.specification import FLOOR, Placement, Room, Wall
from zoo.envs.scenes.unity_frame import asset_rotation_from_unity, point_from_unity, unity_euler_of_asset

OBJECT_KEYS = ("id", "position", "rotation", "kinematic", "children", "roomId", EXTENSION)
LISTS = ("floor_objects", "wall_objects", "small_objects")
FOOTPRINT_MARGIN_M = 0.1
"""Holodeck's footprints are this much longer and wider than the object (its section 3.6)."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a reader did not take as it was: of which element, what became of it, and why."""

    name: str
    kind: Literal["replaced", "adjusted", "dropped"]
    detail: str


@dataclass(slots=True)
class ObjectReader:
    """Turns the objects of one house into placements.

    Args:
        matcher: Finds assets.
        rooms: By name.
        walls: Of the house.
        names: Taken so far; every name that is given is added.
        changes: Gets what was replaced and dropped.
        notes: Gets, by object, what scenes have no place for.
    """

    matcher: AssetMatcher
    rooms: Mapping[str, Room]
    walls: tuple[Wall, ...]
    names: set[str]
    changes: list[Change]
    notes: dict[str, Any]
    placements: list[Placement] = field(default_factory=list)
    replaced: set[str] = field(default_factory=set)

    def read(self, raw: Cursor, parent: Placement | None = None, listed: str = "objects") -> None:
        """Add one object and what stands on it.

        Args:
            raw: Of the JSON.
            parent: What it stands on.
            listed: Under which key of the house it is.
        """
        name = raw.need("id").text()
        extension = raw.get(EXTENSION)
        parent = parent or self._receptacle(name, listed)
        match, original_m = self._native(extension) if extension else self._match(raw, name, listed)
        if match is None:
            self._drop(raw, name)
            return
        unique = self._unique(name)
        rotation = asset_rotation_from_unity(raw.get("rotation").xyz() if raw.get("rotation") else (0, 0, 0))
        scale = extension.get("scale").number(1.0) if extension else 1.0
        height_m = original_m[2] if original_m else match.facts.size_m[2] * scale
        middle = np.array(point_from_unity(raw.need("position").xyz()))
        bottom = middle - rotation @ np.array([0, 0, height_m / 2])
        is_moved = parent is not None and parent.name in self.replaced
        if (original_m is None and not match.is_same) or (is_moved and not extension):
            bottom[2] = self._resting_height(match.facts, parent, bottom)
        support = extension.get("support").text(FLOOR) if extension else self._support(match.facts, parent, bottom)
        placement = Placement(
            name=unique,
            asset=match.facts.uid,
            library=match.library,
            position_m=(float(bottom[0]), float(bottom[1]), float(bottom[2])),
            quat_wxyz=tuple(quat_from_matrix(rotation).tolist()),
            room=self._room(raw, name, bottom) if raw.get("roomId") or not extension else None,
            support=support,
            is_static=raw.get("kinematic").flag(False) or (match.facts.is_static and not extension),
            joints=_joints(raw, match.facts, extension),
            colours=_colours(raw, match.facts, extension),
            scale=scale,
        )
        self.placements.append(placement)
        if not match.is_same:
            self.replaced.add(unique)
        note = self._note(raw, match, original_m, unique, listed)
        if note:
            self.notes[unique] = note
        for child in raw.get("children").list():
            self.read(child, placement)

    def _receptacle(self, name: str, listed: str) -> Placement | None:
        """What a small object of Holodeck stands on: it is called `object|receptacle`."""
        under = name.partition("|")[2]
        return next((item for item in self.placements if listed == LISTS[2] and item.name == under), None)

    def _native(self, extension: Cursor) -> tuple[Match | None, Size | None]:
        """The asset that our own writer named, with the height that it wrote."""
        library, uid = extension.need("library").text(), extension.need("asset").text()
        facts = self.matcher.facts(library, uid)
        height = extension.need("height_m").number()
        return (None if facts is None else Match(library=library, facts=facts, is_same=True)), (0.0, 0.0, height)

    def _match(self, raw: Cursor, name: str, listed: str) -> tuple[Match | None, Size | None]:
        asset_id = raw.need("assetId").text()
        kind = raw.get("object_name").text("") or name.partition("|")[0]  # ProcTHOR: type|room|number
        size_m = self.matcher.known_size(asset_id) or _holodeck_size(raw, listed)
        match = self.matcher.find(asset_id, kind, size_m) or self.matcher.find(asset_id, asset_id, size_m)
        if match and not match.is_same:
            what = f"asset {asset_id!r} is not here; {match.facts.uid!r} of {match.library!r} stands in"
            self.changes.append(Change(name, "replaced", what))
        return match, size_m

    def _drop(self, raw: Cursor, name: str) -> None:
        extension = raw.get(EXTENSION)
        if extension:
            reason = f"library {extension.get('library').value!r} has no asset {extension.get('asset').value!r}"
        else:
            reason = f"no library has the category of asset {raw.get('assetId').value!r}"
        self.changes.append(Change(name, "dropped", reason))
        for child in raw.get("children").list():
            self.changes.append(Change(child.need("id").text(), "dropped", f"it stands on {name!r}, which was dropped"))

    def _unique(self, name: str) -> str:
        free = (name if i == 1 else f"{name}#{i}" for i in itertools.count(1))
        unique = next(candidate for candidate in free if candidate not in self.names)
        self.names.add(unique)
        return unique

    def _resting_height(self, facts: AssetFacts, parent: Placement | None, bottom: np.ndarray) -> float:
        """Height of the bottom of what stands on a stand-in, or is one of unknown height: that of what is below."""
        if parent is not None:
            under = self.matcher.facts(parent.library, parent.asset)
            tops = [surface.centre_m[2] for surface in under.surfaces if not surface.is_inside] if under else []
            heights = [parent.position_m[2] + parent.scale * top for top in tops]
            return min(heights, key=lambda height: abs(height - bottom[2])) if heights else float(bottom[2])
        return 0.0 if facts.mounting == "floor" else float(bottom[2])

    def _support(self, facts: AssetFacts, parent: Placement | None, bottom: np.ndarray) -> str:
        if parent is not None:
            return parent.name
        if facts.mounting != "wall" or not self.walls:
            return FLOOR
        return min(self.walls, key=lambda wall: _distance(wall, bottom)).name

    def _room(self, raw: Cursor, name: str, bottom: np.ndarray) -> str | None:
        """Room by what the JSON says, by ProcTHOR's identifiers (`Type|room|number`), or by the floor below."""
        parts = name.split("|")
        said = raw.get("roomId").text("") or (f"room|{parts[1]}" if len(parts) > 2 else "")
        if said in self.rooms:
            return said
        point = (float(bottom[0]), float(bottom[1]))
        return next((room.name for room in self.rooms.values() if contains(room.polygon_m, point)), None)

    def _note(self, raw: Cursor, match: Match, original_m: Size | None, unique: str, listed: str) -> dict[str, Any]:
        fields = {key: value for key, value in raw.object().items() if key not in OBJECT_KEYS}
        if fields.get("assetId") == match.facts.uid:
            del fields["assetId"]
        height_m = original_m[2] if original_m else None
        own_m = match.facts.size_m[2] * (raw.get(EXTENSION).get("scale").number(1.0) if raw.get(EXTENSION) else 1.0)
        name = raw.need("id").text()
        return {
            **({"fields": fields} if fields else {}),
            **({"height_m": height_m} if height_m is not None and not math.isclose(height_m, own_m) else {}),
            **({"id": name} if name != unique else {}),
            **({"list": listed} if listed != "objects" else {}),
        }


def _holodeck_size(raw: Cursor, listed: str) -> Size | None:
    """Size of an object of Holodeck by its footprint in centimetres; only floor objects say how high they are."""
    corners = [[value.number() for value in corner.list()] for corner in raw.get("vertices").list()]
    if len(corners) < 3 or any(len(corner) != 2 for corner in corners):
        return None
    xs, zs = zip(*corners, strict=True)
    spans = [(max(values) - min(values)) / 100 - FOOTPRINT_MARGIN_M for values in (xs, zs)]
    is_turned = round(raw.get("rotation").get("y").number(0.0) / 90) % 2 if raw.get("rotation") else 0
    across, deep = reversed(spans) if is_turned else spans
    height = 2 * raw.need("position").need("y").number()
    if listed == "wall_objects" or height <= 0 or min(across, deep) <= 0:
        return None
    return (deep, across, height)


def _joints(raw: Cursor, facts: AssetFacts, extension: Cursor) -> dict[str, float]:
    if extension:
        joints = extension.get("joints")
        return {name: joints.get(name).number() for name in joints.object()}
    openness = raw.get("openness").number(0.0)
    if openness <= 0:
        return {}
    return {part.joint: openness * max(part.range, key=abs) for part in facts.articulations}


def _colours(raw: Cursor, facts: AssetFacts, extension: Cursor) -> dict[str, Any]:
    if extension:
        colours = extension.get("colours")
        return {name: tuple(value.number() for value in colours.get(name).list()) for name in colours.object()}
    material = raw.get("material")
    colour = material.get("color") if isinstance(material.value, dict) else raw.get("color")
    return {facts.colours[0]: read_colour(colour)} if colour and facts.colours else {}


def _distance(wall: Wall, point: np.ndarray) -> float:
    """From a point to the line of a wall, on the floor."""
    (ax, ay), (bx, by) = wall.start_m, wall.end_m
    share = ((point[0] - ax) * (bx - ax) + (point[1] - ay) * (by - ay)) / wall.length_m**2
    share = min(1.0, max(0.0, share))
    return math.hypot(point[0] - ax - share * (bx - ax), point[1] - ay - share * (by - ay))


def write_objects(
    objects: Iterable[Placement], matcher: AssetMatcher, notes: Mapping[str, Any]
) -> dict[str, list[dict[str, Any]]]:
    """The JSON's objects, nested by their support, by the key of the house that lists them.

    Args:
        objects: Of a scene.
        matcher: Knows their sizes; without an asset's facts its box has no height.
        notes: By object, as `ObjectReader` left them.
    """
    written: dict[str, dict[str, Any]] = {}
    lists: dict[str, list[dict[str, Any]]] = {"objects": []}
    for item in objects:
        note = notes.get(item.name, {})
        facts = matcher.facts(item.library, item.asset)
        height_m = note.get("height_m", facts.size_m[2] * item.scale if facts else 0.0)
        rotation = matrix_from_quat(item.quat_wxyz / np.linalg.norm(item.quat_wxyz))
        middle = np.array(item.position_m) + rotation @ np.array([0, 0, height_m / 2])
        record = {
            "assetId": item.asset,
            **note.get("fields", {}),
            "id": note.get("id", item.name),
            "position": dict(zip("xyz", point_from_unity(middle), strict=True)),
            "rotation": dict(zip("xyz", unity_euler_of_asset(rotation), strict=True)),
            "kinematic": item.is_static,
            **({"roomId": item.room} if item.room is not None else {}),
            "children": [],
            EXTENSION: {
                "asset": item.asset,
                "library": item.library,
                "height_m": height_m,
                "support": item.support,
                "joints": dict(item.joints),
                "colours": {name: list(rgba) for name, rgba in item.colours.items()},
                "scale": item.scale,
            },
        }
        written[item.name] = record
        if item.support in written and "list" not in note:
            written[item.support]["children"].append(record)
            continue
        lists["objects"].append(record)
        if "list" in note:
            lists.setdefault(note["list"], []).append(record)
    return lists
