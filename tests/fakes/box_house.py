"""A small asset library of boxes and cylinders, and houses furnished with it, for tests of scenes."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from zoo.envs.assets.library import Articulation, Asset, AssetFacts, AssetLibrary, Surface
from zoo.envs.scenes.physics import add_free_joint, set_contact
from zoo.envs.scenes.specification import Leaf, Light, Material, Opening, Placement, Room, Scene, Wall
from zoo.envs.simulator import mujoco
from zoo.errors import UnknownNameError

BOX, CYLINDER = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CYLINDER
FACTS = {
    facts.uid: facts
    for facts in (
        AssetFacts(
            uid="table",
            category="table",
            synset="table.n.02",
            description="plain table",
            size_m=(0.8, 1.2, 0.75),
            mass_kg=25.0,
            is_static=True,
            surfaces=(Surface(name="top", body="table", centre_m=(0.0, 0.0, 0.75), size_m=(0.8, 1.2)),),
            colours=("top",),
        ),
        AssetFacts(
            uid="cabinet",
            category="cabinet",
            synset="cabinet.n.01",
            description="cabinet with one drawer",
            size_m=(0.5, 0.6, 0.5),
            mass_kg=30.0,
            is_static=True,
            articulations=(
                Articulation(joint="slide", kind="slide", range=(0.0, 0.35), part="drawer", handle="handle"),
            ),
        ),
        AssetFacts(
            uid="mug",
            category="mug",
            synset="mug.n.04",
            description="white mug",
            size_m=(0.08, 0.08, 0.1),
            mass_kg=0.25,
            mounting="surface",
            is_pickupable=True,
            colours=("body",),
        ),
        AssetFacts(
            uid="crate",
            category="crate",
            synset="crate.n.01",
            description="heavy crate",
            size_m=(0.4, 0.4, 0.4),
            mass_kg=32.0,
        ),
        AssetFacts(
            uid="ball",
            category="ball",
            synset="ball.n.01",
            description="ball",
            size_m=(0.1, 0.1, 0.1),
            mass_kg=0.26,
            is_pickupable=True,
        ),
    )
}


@dataclasses.dataclass(frozen=True)
class BoxAsset(Asset):
    facts: AssetFacts

    def add_to(self, parent, name, *, position_m, quat_wxyz, is_free, scale=1.0, colours=None):
        body = parent.add_body(name=name, pos=position_m, quat=quat_wxyz)
        if is_free:
            add_free_joint(body, name)
        role = "dynamic" if is_free else "structure"
        build = {"table": _table, "cabinet": _cabinet, "mug": _mug, "crate": _crate, "ball": _ball}
        build[self.facts.uid](body, name, role, scale, colours or {})
        return body


def _geom(body, name, kind, centre, half, role, scale, rgba=(0.7, 0.7, 0.7, 1.0)):
    geom = body.add_geom(
        name=name, type=kind, pos=[scale * v for v in centre], size=[scale * v for v in half], rgba=rgba
    )
    set_contact(geom, role)


def _table(body, name, role, scale, colours):
    rgba = colours.get("top", (0.5, 0.35, 0.2, 1.0))
    _geom(body, f"{name}/top", BOX, (0, 0, 0.73), (0.4, 0.6, 0.02), role, scale, rgba)
    for number, (x, y) in enumerate([(-0.36, -0.56), (-0.36, 0.56), (0.36, -0.56), (0.36, 0.56)]):
        _geom(body, f"{name}/leg{number}", BOX, (x, y, 0.355), (0.03, 0.03, 0.355), role, scale, rgba)


def _cabinet(body, name, role, scale, colours):
    _geom(body, f"{name}/back", BOX, (-0.24, 0, 0.25), (0.01, 0.3, 0.25), role, scale)
    for side, y in (("left", 0.29), ("right", -0.29)):
        _geom(body, f"{name}/{side}", BOX, (0.01, y, 0.25), (0.24, 0.01, 0.25), role, scale)
    _geom(body, f"{name}/top", BOX, (0.01, 0, 0.49), (0.24, 0.28, 0.01), role, scale)
    drawer = body.add_body(name=f"{name}/drawer", pos=[0, 0, scale * 0.1])
    joint = drawer.add_joint(
        name=f"{name}/slide",
        type=mujoco.mjtJoint.mjJNT_SLIDE,
        axis=(1, 0, 0),
        range=(0, scale * 0.35),
        limited=mujoco.mjtLimited.mjLIMITED_TRUE,
        frictionloss=1.0,
    )
    joint.damping[0] = 5.0
    _geom(drawer, f"{name}/bottom", BOX, (0.01, 0, 0.01), (0.22, 0.27, 0.01), "articulated", scale)
    _geom(drawer, f"{name}/front", BOX, (0.24, 0, 0.15), (0.01, 0.27, 0.15), "articulated", scale)
    _geom(drawer, f"{name}/handle", BOX, (0.28, 0, 0.2), (0.01, 0.08, 0.01), "articulated", scale)


def _mug(body, name, role, scale, colours):
    rgba = colours.get("body", (0.9, 0.9, 0.9, 1.0))
    _geom(body, f"{name}/body", CYLINDER, (0, 0, 0.05), (0.04, 0.05, 0), role, scale, rgba)


def _crate(body, name, role, scale, colours):
    _geom(body, f"{name}/body", BOX, (0, 0, 0.2), (0.2, 0.2, 0.2), role, scale)


def _ball(body, name, role, scale, colours):
    _geom(body, f"{name}/body", mujoco.mjtGeom.mjGEOM_SPHERE, (0, 0, 0.05), (0.05, 0, 0), role, scale)


class BoxLibrary(AssetLibrary):
    def facts(self) -> Mapping[str, AssetFacts]:
        return FACTS

    def asset(self, uid: str) -> Asset:
        if uid not in FACTS:
            raise UnknownNameError(f"no asset {uid!r}. Near: {', '.join(FACTS)}")
        return BoxAsset(FACTS[uid])

    def digest_of(self, uid: str) -> str:
        return repr(FACTS[uid])


LIBRARIES = {"boxes": BoxLibrary()}
WHITE = Material(rgba=(0.9, 0.9, 0.88, 1.0))
BLUE = Material(rgba=(0.5, 0.6, 0.8, 1.0))
PLANKS = Material(rgba=(0.6, 0.45, 0.3, 1.0), pattern="planks", second_rgba=(0.3, 0.2, 0.1, 1.0), tile_m=0.8)
TILES = Material(rgba=(0.85, 0.85, 0.8, 1.0), pattern="tiles", second_rgba=(0.4, 0.4, 0.4, 1.0), tile_m=0.6)


def thing(name: str, asset: str, x: float, y: float, z: float = 0.0, *, yaw: float = 0.0, **fields) -> Placement:
    """An object of the box library."""
    quat = (math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2))
    return Placement(name=name, asset=asset, library="boxes", position_m=(x, y, z), quat_wxyz=quat, **fields)


def door(name: str = "door", **leaf) -> Opening:
    """A door 0.9 m wide and 2.1 m high, 1 m from the wall's start."""
    hinge = {"hinge": "start", "swing": "left", **leaf}
    return Opening(name=name, kind="door", offset_m=1.0, width_m=0.9, bottom_m=0.0, height_m=2.1, leaf=Leaf(**hinge))


def window(name: str = "window") -> Opening:
    return Opening(name=name, kind="window", offset_m=1.0, width_m=1.2, bottom_m=0.9, height_m=1.0)


def wall(name: str, start, end, rooms, openings: Sequence[Opening] = (), materials=(WHITE, WHITE)) -> Wall:
    return Wall(
        name=name,
        start_m=start,
        end_m=end,
        height_m=2.5,
        thickness_m=0.12,
        rooms=rooms,
        materials=materials,
        openings=tuple(openings),
    )


def house(objects: Sequence[Placement] = (), *, openings: Sequence[Opening] | None = None, **fields) -> Scene:
    """Two rooms of 4 by 4 m side by side: a kitchen at x < 4 and a bedroom beyond; the wall between has a door."""
    between = [door()] if openings is None else list(openings)
    return Scene(
        **{
            "name": "house",
            "rooms": (
                Room(
                    name="kitchen",
                    room_type="kitchen",
                    polygon_m=((0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0)),
                    floor=TILES,
                    ceiling=WHITE,
                ),
                Room(
                    name="bedroom",
                    room_type="bedroom",
                    polygon_m=((4.0, 0.0), (8.0, 0.0), (8.0, 4.0), (4.0, 4.0)),
                    floor=PLANKS,
                    ceiling=WHITE,
                ),
            ),
            "walls": (
                wall("south1", (0.0, 0.0), (4.0, 0.0), ("kitchen", None), [window()], (WHITE, BLUE)),
                wall("south2", (4.0, 0.0), (8.0, 0.0), ("bedroom", None)),
                wall("east", (8.0, 0.0), (8.0, 4.0), ("bedroom", None)),
                wall("north2", (8.0, 4.0), (4.0, 4.0), ("bedroom", None)),
                wall("north1", (4.0, 4.0), (0.0, 4.0), ("kitchen", None)),
                wall("west", (0.0, 4.0), (0.0, 0.0), ("kitchen", None)),
                wall("between", (4.0, 0.0), (4.0, 4.0), ("kitchen", "bedroom"), between, (WHITE, BLUE)),
            ),
            "lights": (
                Light(name="lamp1", position_m=(2.0, 2.0, 2.4)),
                Light(name="lamp2", position_m=(6.0, 2.0, 2.4)),
            ),
            "objects": tuple(objects),
            **fields,
        }
    )


def crowded_house(count: int = 80) -> Scene:
    """Tables with mugs, cabinets and crates in both rooms: `count` objects that stand still and are free to move."""
    objects: list[Placement] = []
    spots = [(x, y) for x in (0.9, 2.4, 5.4, 7.2) for y in (0.8, 3.2)]
    for number, (x, y) in enumerate(spots):
        room = "kitchen" if x < 4 else "bedroom"
        objects.append(thing(f"table{number}", "table", x, y, room=room, is_static=True))
        for item in range(6):
            place = (x - 0.25 + 0.25 * (item % 3), y - 0.3 + 0.6 * (item // 3), 0.75)
            objects.append(thing(f"mug{number}_{item}", "mug", *place, room=room, support=f"table{number}"))
    for number in range(12):
        x = 0.5 + 0.6 * number if number < 6 else 4.5 + 0.6 * (number - 6)
        room = "kitchen" if x < 4 else "bedroom"
        objects.append(thing(f"cabinet{number}", "cabinet", x, 2.0, yaw=math.pi / 2, room=room, is_static=True))
    number = 0
    while len(objects) < count:
        cabinet = number % 12
        x = 0.5 + 0.6 * cabinet if cabinet < 6 else 4.5 + 0.6 * (cabinet - 6)
        room = "kitchen" if x < 4 else "bedroom"
        objects.append(thing(f"small{number}", "mug", x - 0.1, 2.0, 0.5, room=room, support=f"cabinet{cabinet}"))
        number += 1
    return house(objects[:count])
