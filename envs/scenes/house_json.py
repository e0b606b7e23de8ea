"""Read and write houses as AI2-THOR's JSON, which ProcTHOR and Holodeck make.

Source: sheet spoc_ring_holodeck_graspmolmo section 3.10; schema 1.0.0, older files with plain material names and
bounding boxes of holes included. The frame is that of `unity_frame`.

What a scene has no place for is kept in its notes and comes back when it is written; what the JSON has no place for is
written under the key `zoo` of each element. Assets that are not here are replaced by the nearest size of the same
category, or dropped, and the reading says which.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo.envs.assets.library import AssetLibrary
from zoo.envs.scenes import house_walls
from zoo.envs.scenes.house_assets import AssetMatcher, CatalogueEntry
from zoo.envs.scenes.house_materials import (
    CEILING,
    EXTENSION,
    FLOOR,
    material_note,
    read_colour,
    read_material,
    write_material,
)
from zoo.envs.scenes.house_objects import LISTS, Change, ObjectReader, write_objects
from zoo.envs.scenes.json_cursor import Cursor
from zoo.envs.scenes.specification import Light, Opening, OpeningKind, Placement, Room, Scene, Wall
from zoo.envs.scenes.unity_frame import point_from_unity, rotation_from_unity, yaw_from_unity
from zoo.errors import DataError

NOTE = "house_json"
"""Key of a scene's notes."""

SCHEMA = "1.0.0"
KNOWN = ("rooms", "walls", "doors", "windows", "objects", "proceduralParameters", "metadata", EXTENSION, *LISTS)
ROOM_KEYS = ("id", "roomType", "floorPolygon", "floorMaterial", "ceilings", EXTENSION)
LIGHT_KEYS = ("id", "type", "position", "rotation", "rgb", "intensity", EXTENSION)
PARAMETERS = {"floorColliderThickness": 1.0, "receptacleHeight": 0.7, "reflections": [], "skyboxId": "SkyAlbany"}
"""What Unity wants besides lights and ceiling, with Holodeck's values."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AgentStart:
    """Where an agent starts: its position, its direction (ccw from +x), how far it looks down, both in radians."""

    position_m: tuple[float, float, float]
    yaw: float
    horizon: float


@dataclass(frozen=True, kw_only=True, slots=True)
class HouseReading:
    """A house that was read.

    Args:
        scene: What it became.
        agents: Start poses by kind of agent; `default` is `metadata.agent`.
        changes: What is not as the JSON said, in the order in which it was found.
    """

    scene: Scene
    agents: Mapping[str, AgentStart]
    changes: tuple[Change, ...]

    def summary(self) -> str:
        """How many elements were replaced, adjusted and dropped, and the first of each."""
        lines = []
        for kind in ("replaced", "adjusted", "dropped"):
            found = [change for change in self.changes if change.kind == kind]
            lines += [f"{len(found)} {kind}, first {found[0].name!r}: {found[0].detail}"] if found else []
        return "; ".join(lines) or "everything is as in the JSON"


def load_house(
    path: str | Path,
    *,
    libraries: Mapping[str, AssetLibrary],
    catalogue: Mapping[str, CatalogueEntry] | None = None,
    dataset: str = "house",
    split: str = "train",
    index: int = 0,
) -> HouseReading:
    """Read a file with one house; the arguments are those of `read_house`.

    Raises:
        DataError: the file cannot be read, or is no house.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read the house {path}: {error}") from error
    return read_house(
        content,
        libraries=libraries,
        catalogue=catalogue,
        name=Path(path).stem,
        dataset=dataset,
        split=split,
        index=index,
    )


def read_house(
    content: Any,
    *,
    libraries: Mapping[str, AssetLibrary],
    catalogue: Mapping[str, CatalogueEntry] | None = None,
    name: str = "house",
    dataset: str = "house",
    split: str = "train",
    index: int = 0,
) -> HouseReading:
    """A scene out of the JSON of a house.

    Args:
        content: The parsed JSON, of AI2-THOR's procedural houses or of Holodeck.
        libraries: Asset libraries by registry name, in order of preference.
        catalogue: Categories and sizes of the assets that the JSON names, from `read_catalogue`.
        name: Of the scene, unless the JSON was written from one.
        dataset: As `name`.
        split: As `name`.
        index: As `name`.
    Raises:
        DataError: a value is missing or of another kind than expected (with its path), or the house makes no sense.
    """
    house = Cursor(content, "house")
    changes: list[Change] = []
    notes: dict[str, Any] = {kind: {} for kind in ("rooms", "walls", "openings", "lights", "objects")}
    rooms = {room.name: room for room in _rooms(house, notes["rooms"])}
    sides = [house_walls.read_side(raw, rooms) for raw in house.get("walls").list() if not raw.get("empty").flag(False)]
    plain_walls, places = house_walls.merge_sides(sides, rooms, notes["walls"])
    found = _openings(house, {wall.name: wall for wall in plain_walls}, places, notes["openings"])
    holes = house_walls.by_wall(found)
    walls = []
    for plain in plain_walls:
        wall, left_out = house_walls.cut(plain, holes.get(plain.name, ()))
        walls.append(wall)
        why = f"it overlaps another opening of wall {wall.name!r} or has no size there"
        changes += [Change(opening.name, "dropped", why) for opening in left_out]
    lights = _lights(house, notes["lights"])
    names = {part.name for parts in (rooms.values(), walls, lights) for part in parts}
    names |= {opening.name for wall in walls for opening in wall.openings}
    reader = ObjectReader(AssetMatcher(libraries, catalogue), rooms, tuple(walls), names, changes, notes["objects"])
    for listed, raw in _object_lists(house):
        reader.read(raw, listed=listed)
    notes |= _house_notes(house)
    ours = house.get(EXTENSION)
    scene = Scene(
        name=ours.get("name").text(name) if ours else name,
        dataset=ours.get("dataset").text(dataset) if ours else dataset,
        split=ours.get("split").text(split) if ours else split,
        index=int(ours.get("index").number(index)) if ours else index,
        rooms=tuple(rooms.values()),
        walls=tuple(walls),
        lights=tuple(lights),
        objects=_in_order(reader.placements, ours),
        notes=_notes(ours, {key: value for key, value in notes.items() if value}),
    )
    scene = Scene.from_json(scene.to_json())  # checks the types of what came under our extension
    return HouseReading(scene=scene, agents=_agents(house), changes=tuple(changes))


def write_house(scene: Scene, *, libraries: Mapping[str, AssetLibrary]) -> dict[str, Any]:
    """The JSON of a house, which AI2-THOR's schema describes and `read_house` reads to an equal scene.

    Args:
        scene: Any scene; assets that AI2-THOR does not have keep their own names there.
        libraries: Asset libraries by registry name, for the heights of the boxes whose middles the JSON gives.
    """
    note = scene.notes.get(NOTE, {})
    openings = note.get("openings", {})
    house: dict[str, Any] = {**note.get("fields", {})}
    house["rooms"] = [_written_room(room, note.get("rooms", {}).get(room.name, {})) for room in scene.rooms]
    house["walls"] = [*house_walls.write_walls(scene.walls, note.get("walls", {})), *note.get("open_walls", ())]
    for key, kinds in (("doors", ("door", "doorway")), ("windows", ("window",))):
        house[key] = [
            house_walls.write_opening(wall, opening, note.get("walls", {}), openings.get(opening.name, {}))
            for wall in scene.walls
            for opening in wall.openings
            if opening.kind in kinds
        ]
    house |= write_objects(scene.objects, AssetMatcher(libraries), note.get("objects", {}))
    house["proceduralParameters"] = {
        "ceilingMaterial": write_material(scene.rooms[0].ceiling),
        **PARAMETERS,
        **note.get("parameters", {}),
        "lights": [_written_light(light, note.get("lights", {}).get(light.name, {})) for light in scene.lights],
    }
    house["metadata"] = note.get("metadata", {"schema": SCHEMA})
    house[EXTENSION] = {
        "name": scene.name,
        "dataset": scene.dataset,
        "split": scene.split,
        "index": scene.index,
        "order": [item.name for item in scene.objects],
        "notes": {key: value for key, value in scene.notes.items() if key != NOTE},
    }
    return house


def _rooms(house: Cursor, notes: dict[str, Any]) -> list[Room]:
    ceiling = house.get("proceduralParameters").get("ceilingMaterial") if house.get("proceduralParameters") else None
    rooms = []
    for raw in house.need("rooms").list():
        corners = [point_from_unity(corner.xyz())[:2] for corner in raw.need("floorPolygon").list()]
        if len(corners) > 3 and math.dist(corners[0], corners[-1]) < house_walls.SAME_M:
            corners = corners[:-1]
        if len(corners) < 3:
            raise DataError(f"{raw.path}.floorPolygon has {len(corners)} corners, expected at least 3")
        area = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(corners, corners[1:] + corners[:1], strict=True))
        own = next(raw.get("ceilings").list(), None)
        above = own.get("material") if own and own.get("material") else ceiling
        name, said = raw.need("id").text(), raw.get("roomType").text("room")
        if any(room.name == name for room in rooms):
            raise DataError(f"{raw.path}.id is {name!r}, which another room has")
        room = Room(
            name=name,
            room_type=_room_words(said),
            polygon_m=tuple(corners if area > 0 else corners[::-1]),
            floor=read_material(raw.get("floorMaterial"), FLOOR),
            ceiling=read_material(above, CEILING) if above else CEILING,
        )
        rooms.append(room)
        foreign = {k: v for k, v in raw.object().items() if k not in ROOM_KEYS and (k, v) != ("children", [])}
        floor = material_note(raw.get("floorMaterial"), room.floor)
        over = material_note(above, room.ceiling) if above else None
        note = {
            **({"fields": foreign} if foreign else {}),
            **({"floor": floor} if floor is not None else {}),
            **({"ceiling": over} if over is not None else {}),
            **({"roomType": said} if said != _room_camel(room.room_type) else {}),
        }
        if note:
            notes[name] = note
    return rooms


def _room_words(said: str) -> str:
    """`LivingRoom` and `living room-1` as people say it."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", said).lower()


def _room_camel(room_type: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in room_type.split(" "))


def _written_room(room: Room, note: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "children": [],
        **note.get("fields", {}),
        "id": room.name,
        "roomType": note.get("roomType", _room_camel(room.room_type)),
        "floorPolygon": [{"x": x, "y": 0.0, "z": y} for x, y in room.polygon_m],
        "floorMaterial": write_material(room.floor, note.get("floor")),
        "ceilings": [{"material": write_material(room.ceiling, note.get("ceiling"))}],
    }


def _openings(
    house: Cursor, walls: Mapping[str, Wall], places: Mapping[str, house_walls.Place], notes: dict[str, Any]
) -> list[tuple[str, Opening]]:
    found: list[tuple[str, Opening]] = []
    kinds: dict[str, OpeningKind] = {"doors": "door", "windows": "window"}
    for key, kind in kinds.items():
        for raw in house.get(key).list():
            wall, opening = house_walls.read_opening(raw, kind, walls, places)
            found.append((wall, opening))
            foreign = house_walls.opening_note(raw, walls[wall], opening)
            if foreign:
                notes[opening.name] = foreign
            other = places.get(raw.get("wall1").text(""))
            if other is not None and other.wall != wall:
                behind = house_walls.opposite(opening, walls[wall], walls[other.wall])
                found += [(other.wall, behind)] if behind else []
    return found


def _lights(house: Cursor, notes: dict[str, Any]) -> list[Light]:
    parameters = house.get("proceduralParameters")
    lights: list[Light] = []
    for raw in parameters.get("lights").list() if parameters else ():
        said = raw.get("id").text("light")
        taken = sum(light.name.partition("#")[0] == said for light in lights)
        extension = raw.get(EXTENSION)
        is_sun = raw.get("type").text("point") == "directional"
        turn = raw.get("rotation").xyz() if raw.get("rotation") else (90.0, 0.0, 0.0)
        direction = rotation_from_unity(turn)[:, 1] if is_sun else np.array([0.0, 0.0, -1.0])
        if extension:
            direction = np.array([value.number() for value in extension.need("direction").list()])
        intensity = raw.get("intensity").number(1.0)
        colour = read_colour(raw.get("rgb"))[:3] if raw.get("rgb") else (1.0, 1.0, 1.0)
        light = Light(
            name=f"{said}#{taken + 1}" if taken else said,
            position_m=point_from_unity(raw.need("position").xyz()),
            direction=tuple(float(value) for value in direction),
            rgb=tuple(intensity * value for value in colour),
            is_sun=is_sun,
            is_on=extension.get("is_on").flag(True) if extension else True,
            casts_shadows=extension.get("casts_shadows").flag(False) if extension else False,
        )
        lights.append(light)
        foreign = {key: value for key, value in raw.object().items() if key not in LIGHT_KEYS}
        note = {
            **({"fields": foreign} if foreign else {}),
            **({"intensity": intensity} if intensity not in (0.0, 1.0) else {}),
            **({"id": said} if taken else {}),
        }
        if note:
            notes[light.name] = note
    return lights


def _written_light(light: Light, note: Mapping[str, Any]) -> dict[str, Any]:
    x, y, z = light.direction
    intensity = note.get("intensity", 1.0)
    flat = math.hypot(x, y)
    turn = {"x": math.degrees(math.atan2(-z, flat)), "y": math.degrees(math.atan2(x, y)) if flat else 0.0, "z": 0.0}
    return {
        **note.get("fields", {}),
        "id": note.get("id", light.name),
        "type": "directional" if light.is_sun else "point",
        "position": dict(zip("xyz", point_from_unity(light.position_m), strict=True)),
        "rotation": turn,
        "rgb": dict(zip("rgb", (value / intensity for value in light.rgb), strict=True)),
        "intensity": intensity,
        EXTENSION: {
            "direction": list(light.direction),
            "is_on": light.is_on,
            "casts_shadows": light.casts_shadows,
        },
    }


def _object_lists(house: Cursor) -> list[tuple[str, Cursor]]:
    """Objects with the Holodeck list that each is in; `objects` is all three together, where it is there."""
    by_id = {raw.need("id").text(): key for key in LISTS for raw in house.get(key).list()}
    whole = list(house.get("objects").list())
    if whole:
        return [(by_id.get(raw.need("id").text(), "objects"), raw) for raw in whole]
    return [(key, raw) for key in LISTS for raw in house.get(key).list()]


def _in_order(placements: list[Placement], ours: Cursor) -> tuple[Placement, ...]:
    if not ours:
        return tuple(placements)
    place = {raw.text(): i for i, raw in enumerate(ours.get("order").list())}
    return tuple(sorted(placements, key=lambda item: place.get(item.name, len(place))))


def _house_notes(house: Cursor) -> dict[str, Any]:
    """What is kept of the house itself; what our writer writes by itself is no note."""
    fields = {key: value for key, value in house.object().items() if key not in KNOWN}
    parameters = {
        key: value
        for key, value in house.get("proceduralParameters").object().items()
        if key != "lights" and PARAMETERS.get(key) != value and not (isinstance(value, dict) and EXTENSION in value)
    }
    metadata = house.get("metadata").object()
    open_walls = [raw.value for raw in house.get("walls").list() if raw.get("empty").flag(False)]
    return {
        **({"fields": fields} if fields else {}),
        **({"parameters": parameters} if parameters else {}),
        **({"metadata": metadata} if metadata and metadata != {"schema": SCHEMA} else {}),
        **({"open_walls": open_walls} if open_walls else {}),
    }


def _notes(ours: Cursor, found: dict[str, Any]) -> dict[str, Any]:
    own = ours.get("notes").object() if ours else {}
    return {**own, **({NOTE: found} if found else {})}


def _agents(house: Cursor) -> dict[str, AgentStart]:
    metadata = house.get("metadata")
    if not metadata:
        return {}
    poses = metadata.get("agentPoses")
    found = {kind: _agent(poses.get(kind)) for kind in poses.object()}
    return {**({"default": _agent(metadata.get("agent"))} if metadata.get("agent") else {}), **found}


def _agent(raw: Cursor) -> AgentStart:
    turn = raw.get("rotation")
    yaw_deg = turn.get("y").number(0.0) if isinstance(turn.value, dict) else turn.number(0.0)
    return AgentStart(
        position_m=point_from_unity(raw.need("position").xyz()),
        yaw=yaw_from_unity(yaw_deg),
        horizon=math.radians(raw.get("horizon").number(0.0)),
    )
