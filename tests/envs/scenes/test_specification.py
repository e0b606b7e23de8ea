"""The scene in types: JSON and back without loss, and every fault in one sentence."""

import dataclasses
import json
import math

import pytest
from box_house import PLANKS, WHITE, door, house, thing, wall, window
from hypothesis import given
from hypothesis import strategies as st

from zoo.envs.scenes.specification import Leaf, Light, Material, Opening, Placement, Room, Scene, Wall
from zoo.errors import DataError

lengths = st.floats(-50, 50)
shares = st.floats(0, 1)
colours = st.tuples(shares, shares, shares, shares)
materials = st.builds(
    Material,
    rgba=colours,
    pattern=st.sampled_from(["plain", "checker", "planks", "tiles", "noise"]),
    second_rgba=colours,
    tile_m=st.floats(0.1, 3),
)
words = st.text(min_size=1, max_size=8)
leaves = st.builds(
    Leaf,
    hinge=st.sampled_from(["start", "end"]),
    swing=st.sampled_from(["left", "right"]),
    angle=st.floats(0, 1.5),
    material=materials,
    stiffness=st.floats(0, 7),
)


@st.composite
def walls(draw, number: int, rooms: list[str]) -> Wall:
    start = (draw(lengths), draw(lengths))
    yaw, length = draw(st.floats(-math.pi, math.pi)), draw(st.floats(3, 9))
    kind = draw(st.sampled_from(["door", "doorway", "window", None]))
    holes = ()
    if kind is not None:
        leaf = draw(leaves) if kind == "door" else None
        hole = Opening(
            name=f"hole {number}", kind=kind, offset_m=1.0, width_m=0.9, bottom_m=0.2, height_m=1.1, leaf=leaf
        )
        holes = (hole,)
    return Wall(
        name=f"wall {number}",
        start_m=start,
        end_m=(start[0] + length * math.cos(yaw), start[1] + length * math.sin(yaw)),
        height_m=2.4,
        thickness_m=0.1,
        rooms=draw(st.tuples(st.sampled_from([None, *rooms]), st.sampled_from([None, *rooms]))),
        materials=draw(st.tuples(materials, materials)),
        openings=holes,
    )


@st.composite
def scenes(draw) -> Scene:
    rooms = []
    for number in range(draw(st.integers(1, 3))):
        x, y, edge = draw(lengths), draw(lengths), draw(st.floats(1, 9))
        polygon = ((x, y), (x + edge, y), (x + edge, y + edge), (x, y + edge))
        floor, ceiling = draw(materials), draw(materials)
        rooms.append(
            Room(name=f"room {number}", room_type=draw(words), polygon_m=polygon, floor=floor, ceiling=ceiling)
        )
    names = [room.name for room in rooms]
    objects: list[Placement] = []
    for number in range(draw(st.integers(0, 4))):
        angle = draw(st.floats(-math.pi, math.pi))
        objects.append(
            Placement(
                name=f"object {number}",
                asset=draw(words),
                position_m=draw(st.tuples(lengths, lengths, lengths)),
                quat_wxyz=(math.cos(angle), 0.0, math.sin(angle), 0.0),
                room=draw(st.sampled_from([None, *names])),
                support=draw(st.sampled_from(["floor", *(item.name for item in objects)])),
                is_static=draw(st.booleans()),
                joints=draw(st.dictionaries(words, st.floats(-3, 3), max_size=2)),
                colours=draw(st.dictionaries(words, colours, max_size=2)),
                scale=draw(st.floats(0.1, 3)),
            )
        )
    return Scene(
        name=draw(words),
        index=draw(st.integers(0, 10**6)),
        rooms=tuple(rooms),
        walls=tuple(draw(walls(number, names)) for number in range(draw(st.integers(0, 3)))),
        lights=(Light(name="lamp", position_m=draw(st.tuples(lengths, lengths, lengths)), is_on=draw(st.booleans())),),
        objects=tuple(objects),
        notes=draw(st.dictionaries(words, st.one_of(st.none(), st.integers(), words, st.lists(words)), max_size=3)),
    )


@given(scenes())
def test_json_and_back_is_the_same_scene(scene):
    text = json.dumps(scene.to_json(), allow_nan=False)
    again = Scene.from_json(json.loads(text))
    assert again == scene
    assert json.dumps(again.to_json()) == text


def test_parts_are_found_by_name():
    scene = house(
        [thing("mug", "mug", 1.0, 1.0)], openings=[door(), dataclasses.replace(window("hatch"), offset_m=2.5)]
    )
    assert scene.room("bedroom").floor == PLANKS
    assert scene.object("mug").asset == "mug"
    assert [(slab.name, hole.name) for slab, hole in scene.doors] == [("between", "door")]
    with pytest.raises(DataError, match=r"scene 'house' has no object 'cup'; it has mug"):
        scene.object("cup")
    with pytest.raises(DataError, match=r"has no room 'attic'; it has kitchen, bedroom"):
        scene.room("attic")


def test_a_wall_knows_its_line():
    slab = wall("w", (1.0, 1.0), (1.0, 4.0), (None, None))
    assert slab.length_m == 3.0
    assert slab.yaw == pytest.approx(math.pi / 2)
    assert slab.at(2.0) == pytest.approx((1.0, 3.0))


ROOM = Room(name="hall", room_type="hall", polygon_m=((0, 0), (1, 0), (0, 1)), floor=WHITE, ceiling=WHITE)
LEAF = Leaf(hinge="start", swing="left")


def hole(**fields) -> Opening:
    values = {"name": "h", "kind": "doorway", "offset_m": 0.5, "width_m": 0.9, "bottom_m": 0.0, "height_m": 2.0}
    return Opening(**{**values, **fields})


def long_wall(*openings: Opening, **fields) -> Wall:
    return dataclasses.replace(wall("w", (0.0, 0.0), (4.0, 0.0), ("hall", None), openings), **fields)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"rooms": ()}, "it has no room"),
        ({"rooms": (ROOM, ROOM)}, "the name 'hall' is given twice"),
        ({"rooms": (dataclasses.replace(ROOM, name="floor"),)}, "a name is 'floor', expected text other than 'floor'"),
        ({"rooms": (dataclasses.replace(ROOM, name=""),)}, "a name is ''"),
        (
            {"rooms": (dataclasses.replace(ROOM, polygon_m=ROOM.polygon_m[::-1]),)},
            "room 'hall' has no counter-clockwise polygon",
        ),
        ({"rooms": (dataclasses.replace(ROOM, polygon_m=ROOM.polygon_m[:2]),)}, "no counter-clockwise polygon"),
        ({"walls": (long_wall(end_m=(0.0, 0.0)),)}, "wall 'w' has no length, height or thickness"),
        ({"walls": (long_wall(thickness_m=0.0),)}, "wall 'w' has no length, height or thickness"),
        ({"walls": (long_wall(rooms=("attic", None)),)}, "wall 'w' bounds 'attic', which is no room"),
        (
            {"walls": (long_wall(hole(offset_m=3.5)),)},
            r"doorway 'h' spans 3.5 to 4.4 m of wall 'w', where 0 to 4 m are free",
        ),
        (
            {"walls": (long_wall(hole(), hole(name="i", offset_m=1.0)),)},
            r"doorway 'i' spans 1 to 1.9 m of wall 'w', where 1.4 to 4 m are free",
        ),
        ({"walls": (long_wall(hole(height_m=2.6)),)}, "doorway 'h' does not fit into the height of wall 'w'"),
        ({"walls": (long_wall(hole(width_m=0.0)),)}, "doorway 'h' does not fit"),
        ({"walls": (long_wall(hole(leaf=LEAF)),)}, "doorway 'h': a door has a leaf, nothing else does"),
        ({"walls": (long_wall(hole(kind="door")),)}, "door 'h': a door has a leaf"),
        ({"objects": (thing("mug", "mug", 0, 0, room="attic"),)}, "object 'mug' is in 'attic', which is no room"),
        (
            {"objects": (thing("mug", "mug", 0, 0, support="tray"), thing("tray", "mug", 0, 0))},
            "object 'mug' rests on 'tray', which is no wall and no object before it",
        ),
        ({"objects": (thing("mug", "mug", 0, 0, scale=0.0),)}, "object 'mug' has scale 0"),
        (
            {"objects": (dataclasses.replace(thing("mug", "mug", 0, 0), quat_wxyz=(1.0, 1.0, 0.0, 0.0)),)},
            r"quaternion \[1.0, 1.0, 0.0, 0.0\]",
        ),
    ],
)
def test_faults_are_named(parts, message):
    with pytest.raises(DataError, match=rf"scene 'flat': .*{message}"):
        Scene(**{"name": "flat", "rooms": (ROOM,), "walls": (), **parts})


def test_all_faults_at_once_and_not_too_many():
    crowd = tuple(thing(f"mug{i}", "mug", 0, 0, room="attic") for i in range(7))
    with pytest.raises(DataError, match=r"'mug0' is in 'attic'.*'mug4' is in 'attic'.*; and 2 more"):
        Scene(name="flat", rooms=(ROOM,), walls=(), objects=crowd)


def edited(*path, value):
    """A sound scene as JSON with one value replaced."""
    content = json.loads(json.dumps(house([thing("mug", "mug", 1.0, 1.0)]).to_json()))
    place = content
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (edited("version", value=99), "'zoo-scene' version 99, expected 'zoo-scene' version 1"),
        (edited("format", value="mjcf"), "this is 'mjcf' version 1"),
        ({}, "this is None version None"),
        (edited("rooms", 0, "polygon_m", value=None), r"scene.rooms\[0\]: missing polygon_m. Fields of Room"),
        (edited("rooms", 0, "colour", value="red"), r"scene.rooms\[0\]: unknown colour. Fields"),
        (edited("rooms", 0, "name", value=3), r"scene.rooms\[0\].name is 3, expected str"),
        (edited("rooms", value="two"), "scene.rooms is 'two', expected a list"),
        (edited("walls", 0, "height_m", value="tall"), r"scene.walls\[0\].height_m is 'tall', expected float"),
        (edited("walls", 0, "height_m", value=True), r"scene.walls\[0\].height_m is True, expected float"),
        (edited("walls", 0, "start_m", value=[1.0]), r"scene.walls\[0\].start_m has 1 values, expected 2"),
        (edited("walls", 0, "openings", 0, "kind", value="hatch"), r"kind is 'hatch', expected one of 'door'"),
        (edited("walls", 6, "openings", 0, "leaf", value=[1]), r"leaf is \[1\], expected fields of Leaf"),
        (edited("objects", 0, "joints", value=[1]), r"scene.objects\[0\].joints is \[1\], expected a mapping"),
        (edited("objects", 0, "joints", value={"lid": "ajar"}), r"joints.lid is 'ajar', expected float"),
        (edited("objects", 0, "is_static", value=1), r"is_static is 1, expected bool"),
        (edited("objects", 0, "support", value="nowhere"), "object 'mug' rests on 'nowhere'"),
    ],
)
def test_json_that_is_no_scene_says_where(content, message):
    with pytest.raises(DataError, match=message):
        Scene.from_json(content)
