"""A scene in types: rooms, walls with openings, doors, lights and placed objects; plain JSON and back.

World frame: z up, lengths in metres, angles in radians, yaw counter-clockwise from +x. The floor is z = 0. Everything
that a scene needs in order to be built again is in here, so two equal scenes compile to the same model.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from zoo.errors import DataError

FORMAT = "zoo-scene"
VERSION = 1
FLOOR = "floor"
"""Support of what stands on the ground."""

Pattern = Literal["plain", "checker", "planks", "tiles", "noise"]
OpeningKind = Literal["door", "doorway", "window"]
Point = tuple[float, float]
Vector = tuple[float, float, float]
Colour = tuple[float, float, float, float]
Quaternion = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Material:
    """How a surface looks.

    Args:
        rgba: Its colour, 0 to 1 each.
        pattern: What is drawn on it.
        second_rgba: The pattern's other colour.
        tile_m: Edge of one repetition of the pattern.
        specular: 0 to 1.
        shininess: 0 to 1.
    """

    rgba: Colour
    pattern: Pattern = "plain"
    second_rgba: Colour = (0.0, 0.0, 0.0, 1.0)
    tile_m: float = 1.0
    specular: float = 0.1
    shininess: float = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """A piece of floor with a purpose.

    Args:
        name: Unique in the scene.
        room_type: What people call it: kitchen, bedroom, ...
        polygon_m: Corners on the floor, counter-clockwise, the middle planes of the walls.
        floor: Of the floor.
        ceiling: Of the ceiling.
    """

    name: str
    room_type: str
    polygon_m: tuple[Point, ...]
    floor: Material
    ceiling: Material


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaf:
    """The moving part of a door: one hinge at an edge of its opening.

    Args:
        hinge: At the end of the opening that is nearer to the wall's start, or to its end.
        swing: Side of the wall to which it opens, seen from start to end.
        angle: Of the hinge at the start; 0 closed, positive open whichever way it swings.
        max_angle: Where it stops.
        material: Of both faces.
        stiffness: N m / rad (sheet: 3 to 7, its rest position is closed).
        damping: N m s / rad.
        friction_loss: N m.
        handle_height_m: Above the floor.
    """

    hinge: Literal["start", "end"]
    swing: Literal["left", "right"]
    angle: float = 0.0
    max_angle: float = math.pi / 2
    material: Material = Material(rgba=(0.6, 0.45, 0.3, 1.0))
    stiffness: float = 0.0
    damping: float = 8.0
    friction_loss: float = 1.0
    handle_height_m: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Opening:
    """A hole in a wall.

    Args:
        name: Unique in the scene; also the body of the leaf, where there is one.
        kind: `door` has a leaf, `doorway` none, `window` has a pane.
        offset_m: From the wall's start to the hole's nearer edge.
        width_m: Along the wall.
        bottom_m: Above the floor; 0 for doors.
        height_m: Of the hole.
        leaf: Of a door.
    """

    name: str
    kind: OpeningKind
    offset_m: float
    width_m: float
    bottom_m: float
    height_m: float
    leaf: Leaf | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Wall:
    """A straight upright slab around the line from start to end.

    Args:
        name: Unique in the scene.
        start_m: One end of the line on the floor.
        end_m: The other.
        height_m: Its height.
        thickness_m: Half of it on either side of the line.
        rooms: Names of the rooms to the left and to the right, seen from start to end; None is outside.
        materials: Of the left and the right face.
        openings: Doors, doorways and windows, in order of their offset.
    """

    name: str
    start_m: Point
    end_m: Point
    height_m: float
    thickness_m: float
    rooms: tuple[str | None, str | None]
    materials: tuple[Material, Material]
    openings: tuple[Opening, ...] = ()

    @property
    def length_m(self) -> float:
        return math.dist(self.start_m, self.end_m)

    @property
    def yaw(self) -> float:
        """Direction from start to end."""
        return math.atan2(self.end_m[1] - self.start_m[1], self.end_m[0] - self.start_m[0])

    def at(self, offset_m: float) -> Point:
        """The point of the line at a distance from its start."""
        share = offset_m / self.length_m
        return (
            self.start_m[0] + share * (self.end_m[0] - self.start_m[0]),
            self.start_m[1] + share * (self.end_m[1] - self.start_m[1]),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Light:
    """A lamp.

    Args:
        name: Unique in the scene.
        position_m: Where it is.
        direction: Where it shines; a sun shines in parallel rays.
        rgb: Diffuse colour.
        is_sun: Parallel rays rather than a cone.
        is_on: Lit.
        casts_shadows: Shadows cost more than everything else together on a software GL.
    """

    name: str
    position_m: Vector
    direction: Vector = (0.0, 0.0, -1.0)
    rgb: Vector = (0.6, 0.6, 0.6)
    is_sun: bool = False
    is_on: bool = True
    casts_shadows: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """One object of the scene: an asset at a pose.

    Args:
        name: Unique in the scene; the name of its root body.
        asset: Identifier within its library.
        library: Registry name of the asset library.
        position_m: Of the asset's origin: the middle of its footprint, at its bottom.
        quat_wxyz: Its rotation.
        room: Name of the room it is in.
        support: What it rests on or hangs at: `floor`, a wall, or another object.
        is_static: Without a free joint.
        joints: Positions of the asset's own joints that are not 0.
        colours: RGBA by part, for what the asset lets be coloured.
        scale: Of the whole asset.
    """

    name: str
    asset: str
    library: str = "primitives"
    position_m: Vector
    quat_wxyz: Quaternion = (1.0, 0.0, 0.0, 0.0)
    room: str | None = None
    support: str = FLOOR
    is_static: bool = False
    joints: Mapping[str, float] = field(default_factory=dict)
    colours: Mapping[str, Colour] = field(default_factory=dict)
    scale: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """All of it.

    Args:
        name: Of the scene, as `train_12`.
        dataset: Which family of scenes it is from.
        split: train, val or test.
        index: Its number within dataset and split.
        rooms: At least one.
        walls: Around and between them.
        lights: At least one that is on, or pictures are black.
        objects: Supports before what rests on them.
        notes: Plain JSON of whoever made the scene: its seed, the prompt, materials of another format.

    Raises:
        DataError: two parts have one name, or one refers to a part that is not there, or sizes make no sense; all
            faults are named at once.
    """

    name: str
    dataset: str = "zoo"
    split: str = "train"
    index: int = 0
    rooms: tuple[Room, ...]
    walls: tuple[Wall, ...]
    lights: tuple[Light, ...] = ()
    objects: tuple[Placement, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        faults = [*_name_faults(self), *_room_faults(self), *_wall_faults(self), *_object_faults(self)]
        if faults:
            shown = "; ".join(faults[:5]) + (f"; and {len(faults) - 5} more" if len(faults) > 5 else "")
            raise DataError(f"scene {self.name!r}: {shown}")

    def room(self, name: str) -> Room:
        return _named(self.rooms, name, self, "room")

    def object(self, name: str) -> Placement:
        return _named(self.objects, name, self, "object")

    @property
    def doors(self) -> tuple[tuple[Wall, Opening], ...]:
        """Openings that one can walk through, each with its wall."""
        return tuple((wall, hole) for wall in self.walls for hole in wall.openings if hole.kind != "window")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, which `from_json` reads."""
        return {"format": FORMAT, "version": VERSION, **_plain(self)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Scene:
        """Read what `to_json` wrote.

        Raises:
            DataError: another format or version, a field that is missing, unknown or of another type, or a scene that
                makes no sense.
        """
        if not isinstance(content, Mapping):
            raise DataError(f"a scene is {type(content).__name__}, expected an object with fields")
        found = content.get("format"), content.get("version")
        if found != (FORMAT, VERSION):
            raise DataError(f"this is {found[0]!r} version {found[1]!r}, expected {FORMAT!r} version {VERSION}")
        return _parsed(cls, {k: v for k, v in content.items() if k not in ("format", "version")}, "scene")


def _named(parts: tuple[Any, ...], name: str, scene: Scene, what: str) -> Any:
    for part in parts:
        if part.name == name:
            return part
    raise DataError(f"scene {scene.name!r} has no {what} {name!r}; it has {', '.join(p.name for p in parts) or 'none'}")


def _name_faults(scene: Scene) -> list[str]:
    openings = (hole for wall in scene.walls for hole in wall.openings)
    names = [part.name for part in itertools.chain(scene.rooms, scene.walls, openings, scene.lights, scene.objects)]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    faults = [f"the name {name!r} is given twice" for name in twice]
    faults += [f"a name is {name!r}, expected text other than {FLOOR!r}" for name in names if name in ("", FLOOR)]
    return faults


def _room_faults(scene: Scene) -> list[str]:
    faults = [] if scene.rooms else ["it has no room"]
    faults += [
        f"room {room.name!r} has no counter-clockwise polygon: {list(room.polygon_m)}"
        for room in scene.rooms
        if len(room.polygon_m) < 3 or signed_area(room.polygon_m) <= 0
    ]
    return faults


def _wall_faults(scene: Scene) -> list[str]:
    rooms = {room.name for room in scene.rooms}
    faults = []
    for wall in scene.walls:
        if min(wall.length_m, wall.height_m, wall.thickness_m) <= 0:
            faults.append(f"wall {wall.name!r} has no length, height or thickness")
        faults += [f"wall {wall.name!r} bounds {room!r}, which is no room" for room in {*wall.rooms} - rooms - {None}]
        end = 0.0
        for hole in wall.openings:
            if hole.offset_m < end - 1e-6 or hole.offset_m + hole.width_m > wall.length_m + 1e-6:
                faults.append(
                    f"{hole.kind} {hole.name!r} spans {hole.offset_m:g} to {hole.offset_m + hole.width_m:g} m of wall "
                    f"{wall.name!r}, where {end:g} to {wall.length_m:g} m are free"
                )
            end = hole.offset_m + hole.width_m
            if min(hole.width_m, hole.height_m) <= 0 or not 0 <= hole.bottom_m <= wall.height_m - hole.height_m + 1e-6:
                faults.append(f"{hole.kind} {hole.name!r} does not fit into the height of wall {wall.name!r}")
            if (hole.leaf is not None) != (hole.kind == "door"):
                faults.append(f"{hole.kind} {hole.name!r}: a door has a leaf, nothing else does")
    return faults


def _object_faults(scene: Scene) -> list[str]:
    rooms = {room.name for room in scene.rooms}
    supports = {FLOOR, *(wall.name for wall in scene.walls)}
    faults = []
    for item in scene.objects:
        if item.room is not None and item.room not in rooms:
            faults.append(f"object {item.name!r} is in {item.room!r}, which is no room")
        if item.support not in supports:
            faults.append(f"object {item.name!r} rests on {item.support!r}, which is no wall and no object before it")
        if item.scale <= 0 or not math.isclose(math.hypot(*item.quat_wxyz), 1, abs_tol=1e-3):
            faults.append(f"object {item.name!r} has scale {item.scale:g} and quaternion {list(item.quat_wxyz)}")
        supports.add(item.name)
    return faults


def signed_area(polygon: Sequence[Point]) -> float:
    """Of an outline without holes; positive where its corners go counter-clockwise."""
    following = (*polygon[1:], polygon[0])
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(polygon, following, strict=True)) / 2


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {part.name: _plain(getattr(value, part.name)) for part in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _parsed(kind: Any, value: Any, place: str) -> Any:
    """A value of a type out of plain JSON; `place` is the path for messages."""
    if dataclasses.is_dataclass(kind):
        return _parsed_class(kind, value, place)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        inner = next(argument for argument in arguments if argument is not type(None))
        return None if value is None else _parsed(inner, value, place)
    if origin is tuple:
        return _parsed_tuple(arguments, value, place)
    if origin is Literal:
        if value not in arguments:
            raise DataError(f"{place} is {value!r}, expected one of {', '.join(map(repr, arguments))}")
        return value
    if kind is Any or origin is not None:  # a mapping
        return _parsed_mapping(arguments, value, place) if kind is not Any else value
    is_number = kind in (int, float) and isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (is_number or (isinstance(value, kind) and isinstance(value, bool) == (kind is bool))):
        raise DataError(f"{place} is {value!r}, expected {kind.__name__}")
    return kind(value)


def _parsed_class(kind: Any, value: Any, place: str) -> Any:
    if not isinstance(value, Mapping):
        raise DataError(f"{place} is {value!r}, expected fields of {kind.__name__}")
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(value) - set(hints))
    required = {
        part.name
        for part in dataclasses.fields(kind)
        if part.default is dataclasses.MISSING and part.default_factory is dataclasses.MISSING
    }
    missing = sorted(required - set(value))
    if unknown or missing:
        parts = [f"{word} {', '.join(names)}" for word, names in (("missing", missing), ("unknown", unknown)) if names]
        raise DataError(f"{place}: {'; '.join(parts)}. Fields of {kind.__name__}: {', '.join(hints)}")
    return kind(**{name: _parsed(hints[name], item, f"{place}.{name}") for name, item in value.items()})


def _parsed_tuple(arguments: tuple[Any, ...], value: Any, place: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise DataError(f"{place} is {value!r}, expected a list")
    if arguments[-1] is Ellipsis:
        arguments = (arguments[0],) * len(value)
    if len(arguments) != len(value):
        raise DataError(f"{place} has {len(value)} values, expected {len(arguments)}")
    return tuple(
        _parsed(kind, item, f"{place}[{i}]") for i, (kind, item) in enumerate(zip(arguments, value, strict=True))
    )


def _parsed_mapping(arguments: tuple[Any, ...], value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise DataError(f"{place} is {value!r}, expected a mapping")
    return {str(key): _parsed(arguments[1], item, f"{place}.{key}") for key, item in value.items()}
