"""AI2-THOR house JSON: known geometry, handedness, doors, stand-ins, both ways round, faults with their path."""

import copy
import json
import math

import numpy as np
import pytest
from facts_library import FactsLibrary
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.envs.assets.library import Articulation, AssetFacts, Surface
from zoo.envs.kinematics.poses import matrix_from_quat
from zoo.envs.scenes.house_assets import CatalogueEntry
from zoo.envs.scenes.house_json import load_house, read_house, write_house
from zoo.envs.scenes.specification import Leaf, Light, Material, Opening, Placement, Room, Scene, Wall
from zoo.errors import DataError

TOP = Surface(name="top", body="table", centre_m=(0, 0, 0.7), size_m=(0.7, 1.1))
DOOR = Articulation(joint="door", kind="hinge", range=(0, 1.5), part="door", handle="handle")
SHELF = FactsLibrary(
    AssetFacts(
        uid="table_a", category="table", synset="table.n.02", description="table", size_m=(0.8, 1.2, 0.7), mass_kg=9,
        surfaces=(TOP,), colours=("top",),
    ),
    AssetFacts(
        uid="fridge_a", category="fridge", synset="fridge.n.01", description="", size_m=(0.7, 0.7, 1.8), mass_kg=60,
        is_static=True, articulations=(DOOR,),
    ),
    AssetFacts(uid="mug_a", category="mug", synset="mug.n.04", description="mug", size_m=(0.1, 0.08, 0.1), mass_kg=0.3),
    AssetFacts(
        uid="painting_a", category="painting", synset="painting.n.01", description="painting", size_m=(0.04, 0.8, 0.5),
        mass_kg=1, mounting="wall", is_static=True,
    ),
)  # fmt: skip
LIBRARIES = {"shelf": SHELF}


def xyz(x: float, y: float, z: float) -> dict[str, float]:
    return {"x": x, "y": y, "z": z}


def wall(name: str, room: str, start, end, height: float = 2.5, **more) -> dict:
    (x0, z0), (x1, z1) = start, end
    low, high = [xyz(x0, 0, z0), xyz(x1, 0, z1)], [xyz(x0, height, z0), xyz(x1, height, z1)]
    return {"id": name, "roomId": room, "polygon": low + high, "material": {"name": "PureWhite"}, **more}


def hole(x0: float, y0: float, x1: float, y1: float) -> list[dict]:
    return [xyz(x0, y0, 0), xyz(x1, y1, 0)]


L_SHAPE = [(0, 0), (0, 4), (2, 4), (2, 2), (6, 2), (6, 0)]
"""x and z of an L whose long leg lies along x; a mirrored reading would have its short leg elsewhere."""


def house() -> dict:
    """A kitchen of L shape, and a bedroom at z from 2 to 5 and x from 2 to 6 that shares the wall z = 2."""
    walls = [
        wall(f"wall|2|{i}", "room|2", L_SHAPE[i], L_SHAPE[(i + 1) % 6]) for i in range(6)
    ]  # 3: from (2, 2) to (6, 2)
    walls += [
        wall("wall|3|0", "room|3", (6, 2), (2, 2)),
        wall("wall|3|1", "room|3", (2, 5), (6, 5)),
        wall("wall|exterior|1", "exterior", (6, 5), (2, 5)),
        wall("wall|3|gap", "room|3", (2, 2), (2, 5), empty=True),
    ]
    return {
        "rooms": [
            {
                "id": "room|2", "roomType": "Kitchen", "children": [], "ceilings": [],
                "floorPolygon": [xyz(x, 0, z) for x, z in L_SHAPE], "floorMaterial": {"name": "LightWood2"},
            },
            {
                "id": "room|3", "roomType": "LivingRoom", "floorMaterial": "Carpet4",
                "floorPolygon": [xyz(2, 0, 2), xyz(2, 0, 5), xyz(6, 0, 5), xyz(6, 0, 2)],
            },
        ],
        "walls": walls,
        "doors": [
            {
                "id": "door|2|3", "assetId": "Doorway_4", "room0": "room|2", "room1": "room|3", "wall0": "wall|2|3",
                "wall1": "wall|3|0", "openable": True, "openness": 0.5, "holePolygon": hole(0.5, 0, 1.5, 2.1),
                "assetPosition": xyz(1, 1.05, 0),
            }
        ],
        "windows": [
            {
                "id": "window|3", "assetId": "Window_Hung_36x36", "room0": "room|3", "room1": "room|3",
                "wall0": "wall|3|1", "wall1": "wall|exterior|1", "holePolygon": hole(1, 0.9, 2, 1.9),
            }
        ],
        "objects": [
            {
                "id": "DiningTable|2|0", "assetId": "Dining_Table_201", "position": xyz(1.0, 0.4, 3.0),
                "rotation": xyz(0, 90, 0), "kinematic": False, "material": None,
                "children": [
                    {
                        "id": "Mug|surface|2|1", "assetId": "Mug_9", "position": xyz(1.2, 0.85, 3.1),
                        "rotation": xyz(0, 0, 0), "kinematic": False,
                    }
                ],
            },
            {
                "id": "Fridge|2|2", "assetId": "Fridge_7", "position": xyz(5.5, 0.9, 0.5), "rotation": xyz(0, 270, 0),
                "kinematic": True, "openness": 0.5,
            },
            {"id": "Painting|3|0", "assetId": "Painting_1", "position": xyz(4, 1.5, 4.9), "rotation": xyz(0, 180, 0)},
            {"id": "Guitar|3|1", "assetId": "Guitar_1", "position": xyz(4, 0.5, 3), "children": [
                {"id": "Pick|3|2", "assetId": "Pick_1", "position": xyz(4, 1, 3)}
            ]},
        ],
        "proceduralParameters": {
            "ceilingMaterial": "Drywall", "skyboxId": "Sky1", "receptacleHeight": 0.7,
            "lights": [
                {
                    "id": "DirectionalLight", "type": "directional", "position": xyz(0.8, 0.2, -1), "intensity": 0.35,
                    "rotation": xyz(30, 90, 0), "rgb": {"r": 1, "g": 1, "b": 1}, "indirectMultiplier": 1,
                },
                {"id": "light_2", "type": "point", "position": xyz(1, 2.3, 1), "intensity": 0.5, "range": 15,
                 "rgb": {"r": 1.0, "g": 0.8, "b": 0.6}},
            ],
        },
        "metadata": {
            "schema": "1.0.0",
            "agent": {"position": xyz(1, 0.95, 1), "rotation": xyz(0, 90, 0), "horizon": 30, "standing": True},
            "agentPoses": {"stretch": {"position": xyz(5, 0.9, 1), "rotation": xyz(0, 0, 0), "horizon": 0}},
        },
        "seed": 17,
    }  # fmt: skip


CATALOGUE = {
    "Dining_Table_201": CatalogueEntry(category="DiningTable", size_m=(0.9, 1.4, 0.8)),
    "Mug_9": CatalogueEntry(category="Mug", size_m=(0.1, 0.09, 0.1)),
}


@pytest.fixture(scope="module")
def reading():
    return read_house(
        house(), libraries=LIBRARIES, catalogue=CATALOGUE, name="train_3", dataset="procthor-10k", index=3
    )


def test_the_l_keeps_its_shape_and_hand(reading):
    """Unity's x is our x and its z our y: the short leg goes up at x = 0, and corners run counter-clockwise."""
    kitchen = reading.scene.room("room|2")
    assert set(kitchen.polygon_m) == {(float(x), float(z)) for x, z in L_SHAPE}
    corners = np.array(kitchen.polygon_m)
    turned = np.roll(corners, -1, 0)
    assert (corners[:, 0] * turned[:, 1] - corners[:, 1] * turned[:, 0]).sum() / 2 == pytest.approx(6 * 2 + 2 * 2)
    assert (kitchen.room_type, reading.scene.room("room|3").room_type) == ("kitchen", "living room")
    assert (kitchen.floor.pattern, reading.scene.room("room|3").floor.pattern) == ("planks", "noise")


def test_one_sided_walls_become_one_slab(reading):
    walls = {item.name: item for item in reading.scene.walls}
    assert sorted(walls) == [*(f"wall|2|{i}" for i in range(6)), "wall|3|1"]  # no back sides, no open wall
    shared = walls["wall|2|3"]
    assert (shared.start_m, shared.end_m) == ((2.0, 2.0), (6.0, 2.0))
    assert shared.rooms == ("room|3", "room|2")  # seen towards +x, the bedroom at higher y is at the left
    assert walls["wall|3|1"].rooms == (None, "room|3")
    assert walls["wall|2|0"].rooms == (None, "room|2")
    assert all(item.height_m == 2.5 for item in walls.values())


def test_the_door_hangs_where_unity_hangs_it(reading):
    """Its hole starts 0.5 m from wall0's first corner (2, 2), it opens away from room0, half open."""
    (shared,) = [item for item in reading.scene.walls if item.name == "wall|2|3"]
    (door,) = shared.openings
    assert (door.name, door.kind, door.bottom_m) == ("door|2|3", "door", 0.0)
    assert (door.offset_m, door.width_m, door.height_m) == (0.5, 1.0, 2.1)
    assert shared.at(door.offset_m) == pytest.approx((2.5, 2.0))
    assert (door.leaf.hinge, door.leaf.swing) == ("start", "left")
    assert door.leaf.angle == pytest.approx(math.pi / 4)


def test_a_door_measured_from_the_other_side_is_at_the_same_place():
    """wall0 may be the side that runs the other way: same hole in the world, hinge at its start, opens to its left."""
    other = house()
    other["doors"][0] |= {"wall0": "wall|3|0", "wall1": "wall|2|3", "holePolygon": hole(2.5, 0, 3.5, 2.1)}
    scene = read_house(other, libraries=LIBRARIES).scene
    ((shared, door),) = scene.doors
    assert shared.at(door.offset_m) == pytest.approx((2.5, 2.0))
    assert (door.leaf.hinge, door.leaf.swing) == ("end", "right")


@pytest.mark.parametrize("reverse", [False, True])
def test_wall_polygons_of_both_makers(reverse):
    """ProcTHOR writes base, base, top, top; Holodeck base, top, top, base, and reversed for the outside."""
    other = house()
    corners = other["walls"][3]["polygon"]
    corners = [corners[0], corners[2], corners[3], corners[1]]
    other["walls"][3]["polygon"] = corners[::-1] if reverse else corners
    shared = next(item for item in read_house(other, libraries=LIBRARIES).scene.walls if item.name == "wall|2|3")
    ends = [(2.0, 2.0), (6.0, 2.0)]
    assert [shared.start_m, shared.end_m] == (ends[::-1] if reverse else ends)


def test_holes_are_cut_into_both_of_two_unequal_walls():
    other = house()
    other["walls"][6] = wall("wall|3|0", "room|3", (5, 2), (2, 2))
    scene = read_house(other, libraries=LIBRARIES).scene
    (front, door), (back, doorway) = scene.doors
    assert (front.name, back.name) == ("wall|2|3", "wall|3|0")
    assert doorway.kind == "doorway"
    assert {back.at(doorway.offset_m), back.at(doorway.offset_m + 1)} == {(2.5, 2.0), (3.5, 2.0)}
    assert door.leaf is not None


def test_doorframes_have_no_leaf_and_old_files_use_boxes():
    other = house()
    door = other["doors"][0]
    door["assetId"] = "Doorframe_2"
    del door["holePolygon"]
    door["boundingBox"] = {"min": xyz(0.5, 0, 0), "max": xyz(1.5, 2.1, 0)}
    ((_, opening),) = read_house(other, libraries=LIBRARIES).scene.doors
    assert (opening.kind, opening.leaf, opening.offset_m) == ("doorway", None, 0.5)


def test_window(reading):
    (outer,) = [item for item in reading.scene.walls if item.name == "wall|3|1"]
    (window,) = outer.openings
    assert window.kind == "window"
    assert (window.offset_m, window.bottom_m, window.height_m) == pytest.approx((1.0, 0.9, 1.0))


def test_objects_stand_where_the_originals_stood(reading):
    table, mug = reading.scene.object("DiningTable|2|0"), reading.scene.object("Mug|surface|2|1")
    assert (table.asset, table.library, table.room, table.support) == ("table_a", "shelf", "room|2", "floor")
    assert table.position_m == pytest.approx((1.0, 3.0, 0.0))  # its middle was at 0.4 m, the original 0.8 m high
    np.testing.assert_allclose(matrix_from_quat(table.quat_wxyz)[:, 0], [1, 0, 0], atol=1e-12)  # turned to +x
    assert mug.support == "DiningTable|2|0"
    assert mug.position_m == pytest.approx((1.2, 3.1, 0.7))  # on the stand-in, which is lower than the original
    np.testing.assert_allclose(matrix_from_quat(mug.quat_wxyz)[:, 0], [0, 1, 0], atol=1e-12)


def test_unknown_sizes_rest_on_what_is_below():
    scene = read_house(house(), libraries=LIBRARIES).scene  # without the catalogue
    assert scene.object("DiningTable|2|0").position_m[2] == 0
    assert scene.object("Mug|surface|2|1").position_m[2] == pytest.approx(0.7)


def test_static_open_and_hanging_things(reading):
    fridge, painting = reading.scene.object("Fridge|2|2"), reading.scene.object("Painting|3|0")
    assert fridge.is_static
    assert fridge.joints == {"door": 0.75}
    np.testing.assert_allclose(matrix_from_quat(fridge.quat_wxyz)[:, 0], [-1, 0, 0], atol=1e-12)
    assert painting.support == "wall|3|1"
    assert painting.position_m == pytest.approx((4, 4.9, 1.25))


def test_the_reading_tells_what_it_changed(reading):
    kinds = {change.name: change.kind for change in reading.changes}
    assert kinds == {
        "DiningTable|2|0": "replaced", "Mug|surface|2|1": "replaced", "Fridge|2|2": "replaced",
        "Painting|3|0": "replaced", "Guitar|3|1": "dropped", "Pick|3|2": "dropped",
    }  # fmt: skip
    assert "4 replaced, first 'DiningTable|2|0'" in reading.summary()
    assert "2 dropped, first 'Guitar|3|1': no library has the category of asset 'Guitar_1'" in reading.summary()


def test_lights_and_agents(reading):
    sun, lamp = reading.scene.lights
    assert sun.is_sun
    np.testing.assert_allclose(sun.direction, [math.cos(math.pi / 6), 0, -0.5], atol=1e-12)  # 30 degrees down, to +x
    assert lamp.position_m == (1.0, 1.0, 2.3)
    assert lamp.rgb == pytest.approx((0.5, 0.4, 0.3))
    start, stretch = reading.agents["default"], reading.agents["stretch"]
    assert start.position_m == (1.0, 1.0, 0.95)
    assert (start.yaw, stretch.yaw) == pytest.approx((0.0, math.pi / 2))
    assert start.horizon == pytest.approx(math.pi / 6)


def close(one, other):
    """Equal JSON up to the last digits of sums of coordinates."""
    if isinstance(one, dict):
        assert sorted(one) == sorted(other)
        for key in one:
            close(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            close(a, b)
    else:
        assert one == (pytest.approx(other, abs=1e-9) if isinstance(one, float) else other)


def test_written_houses_keep_what_scenes_cannot_hold(reading):
    written = write_house(reading.scene, libraries=LIBRARIES)
    json.dumps(written)
    source = house()
    assert written["seed"] == 17
    assert written["metadata"] == source["metadata"]
    assert written["proceduralParameters"]["skyboxId"] == "Sky1"
    assert written["objects"][0]["assetId"] == "Dining_Table_201"
    assert written["objects"][0]["position"] == pytest.approx(xyz(1.0, 0.4, 3.0))
    assert written["objects"][0]["rotation"] == pytest.approx(xyz(0, 90, 0))
    assert written["objects"][0]["children"][0]["id"] == "Mug|surface|2|1"
    (door,) = written["doors"]
    assert {key: door[key] for key in source["doors"][0]} == source["doors"][0]
    sides = {side["id"]: side for side in written["walls"]}
    assert {"wall|2|3", "wall|3|0", "wall|exterior|1", "wall|3|gap"} <= set(sides)
    assert sides["wall|3|0"]["roomId"] == "room|3"
    assert sides["wall|2|3"]["material"]["name"] == "PureWhite"
    assert written["rooms"][1]["floorMaterial"]["name"] == "Carpet4"
    lamp = written["proceduralParameters"]["lights"][1]
    assert (lamp["intensity"], lamp["range"], lamp["rgb"]) == (0.5, 15, {"r": 1.0, "g": 0.8, "b": 0.6})


def test_reading_what_was_written_gives_an_equal_scene(reading):
    written = json.loads(json.dumps(write_house(reading.scene, libraries=LIBRARIES)))
    again = read_house(written, libraries=LIBRARIES)
    close(again.scene.to_json(), reading.scene.to_json())
    assert again.changes == ()


CHECKER = Material(rgba=(0.1, 0.2, 0.3, 1.0), pattern="checker", second_rgba=(0.9, 0.8, 0.7, 1.0), tile_m=0.4)
PLAIN = Material(rgba=(0.5, 0.5, 0.5, 1.0))
COORDINATE = st.floats(-5, 5).map(lambda value: round(value, 3))
SHARE = st.floats(0, 1).map(lambda value: round(value, 3))


@st.composite
def scenes(draw):
    """Scenes of two rooms with everything that the specification can say."""
    width, depth = 4 + draw(SHARE), 3 + draw(SHARE)
    shift = draw(COORDINATE)
    left = [(shift, 0.0), (shift + width, 0.0), (shift + width, depth), (shift, depth)]
    right = [(x + width, y) for x, y in left]
    leaf = Leaf(
        hinge=draw(st.sampled_from(["start", "end"])), swing=draw(st.sampled_from(["left", "right"])),
        angle=draw(SHARE), max_angle=1.4, material=CHECKER, stiffness=3.0,
    )  # fmt: skip
    kind = draw(st.sampled_from(["door", "doorway", "window"]))
    opening = Opening(
        name="opening", kind=kind, offset_m=0.5 + draw(SHARE), width_m=0.9, bottom_m=0.4 if kind == "window" else 0.0,
        height_m=1.9, leaf=leaf if kind == "door" else None,
    )  # fmt: skip
    shared = [left[1], left[2]][:: draw(st.sampled_from([1, -1]))]
    bounds = ("left", "right") if shared[0] == left[1] else ("right", "left")
    walls = [
        Wall(name="w1", start_m=shared[0], end_m=shared[1], height_m=2.6, thickness_m=0.15, rooms=bounds,
             materials=(CHECKER, PLAIN), openings=(opening,)),
        Wall(name="w2", start_m=left[0], end_m=left[1], height_m=2.6, thickness_m=0.1, rooms=("left", None),
             materials=(PLAIN, CHECKER)),
        Wall(name="w3", start_m=right[1], end_m=right[0], height_m=2.6, thickness_m=0.1, rooms=(None, "right"),
             materials=(PLAIN, CHECKER)),
    ]  # fmt: skip
    quat = np.array([draw(st.floats(0.1, 1)), *(draw(st.floats(-1, 1)) for _ in range(3))])
    table = Placement(
        name="t", asset="table_a", library="shelf", position_m=(shift + 1, 1.0, 0.0), room="left",
        quat_wxyz=tuple(float(value) for value in quat / np.linalg.norm(quat)), scale=1 + draw(SHARE),
        colours={"top": (0.1, 0.2, 0.3, 1.0)}, is_static=draw(st.booleans()),
    )  # fmt: skip
    fridge = Placement(name="f", asset="fridge_a", library="shelf", position_m=(shift, 2.0, 0.1), joints={"door": 0.3})
    mug = Placement(name="m", asset="mug_a", library="shelf", position_m=(shift + 1, 1.1, 0.7), support="t")
    picture = Placement(name="p", asset="painting_a", library="shelf", position_m=(shift, 0, 1), support="w2")
    lights = (
        Light(name="sun", position_m=(0, 0, 9), direction=(0.6, 0.0, -0.8), is_sun=True, casts_shadows=True),
        Light(name="lamp", position_m=(1, 2, 2.4), direction=(0.0, 0.0, -1.0), rgb=(0.1, 0.2, 0.3), is_on=False),
    )
    return Scene(
        name="val_4", split="val", index=4, lights=lights, walls=tuple(walls), objects=(table, fridge, mug, picture),
        rooms=(
            Room(name="left", room_type="kitchen", polygon_m=tuple(left), floor=CHECKER, ceiling=PLAIN),
            Room(name="right", room_type="living room", polygon_m=tuple(right), floor=PLAIN, ceiling=CHECKER),
        ),
        notes={"seed": 5, "nested": {"a": [1, 2]}},
    )  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(scenes())
def test_our_scenes_return_from_the_json(scene):
    written = json.loads(json.dumps(write_house(scene, libraries=LIBRARIES)))
    again = read_house(written, libraries=LIBRARIES)
    assert again.changes == ()
    ours, theirs = scene.to_json(), again.scene.to_json()
    for one, other in zip(ours["objects"], theirs["objects"], strict=True):  # Euler angles lose digits near the poles
        np.testing.assert_allclose(other.pop("quat_wxyz"), one.pop("quat_wxyz"), atol=1e-6)
        np.testing.assert_allclose(other.pop("position_m"), one.pop("position_m"), atol=1e-6)
    close(theirs, ours)


def holodeck() -> dict:
    source = house()
    floor = {
        "id": "coffee table-0 (living room)", "object_name": "coffee table-0", "assetId": "0a1b", "roomId": "room|3",
        "position": xyz(4, 0.35, 3), "rotation": xyz(0, 90, 0), "kinematic": True, "layer": "Procedural0",
        "vertices": [[345, 235], [345, 365], [455, 365], [455, 235]],
    }  # fmt: skip
    small = {
        "id": "mug-0|coffee table-0 (living room)", "object_name": "mug-0", "assetId": "ff", "roomId": "room|3",
        "position": xyz(4, 0.76, 3), "rotation": xyz(0, 0, 0), "kinematic": False,
    }  # fmt: skip
    hung = {
        "id": "painting-0 (living room)", "object_name": "painting-0", "assetId": "cc", "roomId": "room|3",
        "position": xyz(4, 1.5, 4.98), "rotation": xyz(0, 180, 0), "kinematic": True,
        "vertices": [[350, 496], [350, 500], [450, 500], [450, 496]],
    }  # fmt: skip
    del source["objects"]
    return source | {
        "floor_objects": [floor], "wall_objects": [hung], "small_objects": [small], "wall_height": 2.5,
        "query": "a cabin", "open_walls": {"segments": [], "openWallBoxes": []},
    }  # fmt: skip


@pytest.mark.parametrize("with_objects", [False, True])
def test_holodeck(with_objects):
    source = holodeck()
    if with_objects:
        source["objects"] = source["floor_objects"] + source["wall_objects"] + source["small_objects"]
    reading = read_house(source, libraries=LIBRARIES)
    table = reading.scene.object("coffee table-0 (living room)")
    assert (table.asset, table.room, table.is_static) == ("table_a", "room|3", True)
    assert table.position_m == pytest.approx((4, 3, 0))
    mug = reading.scene.object("mug-0|coffee table-0 (living room)")
    assert mug.support == table.name
    assert mug.position_m[2] == pytest.approx(0.7)
    assert reading.scene.object("painting-0 (living room)").support == "wall|3|1"
    written = json.loads(json.dumps(write_house(reading.scene, libraries=LIBRARIES)))
    assert [item["id"] for item in written["small_objects"]] == [mug.name]
    assert len(written["objects"]) == 3
    assert written["query"] == "a cabin"
    assert written["floor_objects"][0]["vertices"] == source["floor_objects"][0]["vertices"]
    close(read_house(written, libraries=LIBRARIES).scene.to_json(), reading.scene.to_json())


def test_holodeck_footprints_choose_the_size():
    long = AssetFacts(
        uid="table_long", category="table", synset="table.n.02", description="", size_m=(1.0, 3.0, 0.7), mass_kg=9
    )
    shelf = FactsLibrary(SHELF.facts()["table_a"], long)
    source = holodeck() | {"wall_objects": [], "small_objects": []}
    wide = copy.deepcopy(source)
    wide["floor_objects"][0]["vertices"] = [[345, 145], [345, 455], [455, 455], [455, 145]]
    for content, expected in ((source, "table_a"), (wide, "table_long")):
        (placed,) = read_house(content, libraries={"shelf": shelf}).scene.objects
        assert placed.asset == expected


def edited(path: str, value) -> dict:
    """The house with one value replaced; `path` as in messages, without `house`."""
    content = house()
    *steps, last = [
        int(part) if part.isdigit() else part for part in path.replace("[", ".").replace("]", "").split(".")
    ]
    place = content
    for step in steps:
        place = place[step]
    place[last] = value
    return content


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("rooms", None, r"house\.rooms is missing"),
        ("rooms", 3, r"house\.rooms is 3, expected a list"),
        ("rooms[0].floorPolygon[2].x", "wide", r"house\.rooms\[0\]\.floorPolygon\[2\]\.x is 'wide', expected a number"),
        ("rooms[0].floorPolygon", [xyz(0, 0, 0)], r"rooms\[0\]\.floorPolygon has 1 corners, expected at least 3"),
        ("walls[1].roomId", "room|9", r"walls\[1\]\.roomId is 'room\|9', which is no room; rooms: room\|2,"),
        ("walls[1].polygon", [xyz(0, 0, 0)] * 4, r"house\.walls\[1\]\.polygon has 4 lower corners and height 0 m"),
        ("doors[0].wall0", "wall|x", r"house\.doors\[0\]\.wall0 is 'wall\|x', which is no wall of the house"),
        ("doors[0].holePolygon", [xyz(0, 0, 0)], r"house\.doors\[0\]\.holePolygon has 1 corners"),
        ("doors[0].holePolygon", None, r"house\.doors\[0\]\.boundingBox is missing"),
        ("objects[0].position", None, r"house\.objects\[0\]\.position is missing"),
        ("objects[0].children[0].assetId", 4, r"house\.objects\[0\]\.children\[0\]\.assetId is 4, expected text"),
        ("objects[0].kinematic", "yes", r"house\.objects\[0\]\.kinematic is 'yes', expected true or false"),
        ("metadata.agent.position", [1, 2], r"house\.metadata\.agent\.position is \[1, 2\], expected an object"),
        ("proceduralParameters.lights[0].rgb", {"r": 1}, r"proceduralParameters\.lights\[0\]\.rgb\.g is missing"),
        ("rooms[1].id", "room|2", r"rooms\[1\]\.id is 'room\|2', which another room has"),
    ],
)  # fmt: skip
def test_faults_name_their_place(path, value, message):
    with pytest.raises(DataError, match=message):
        read_house(edited(path, value), libraries=LIBRARIES)


def test_overlapping_holes_are_dropped_and_named():
    content = house()
    second = copy.deepcopy(content["doors"][0]) | {"id": "door|2|3|b", "holePolygon": hole(1.2, 0, 2.0, 2.1)}
    content["doors"].append(second)
    reading = read_house(content, libraries=LIBRARIES)
    assert [opening.name for _, opening in reading.scene.doors] == ["door|2|3"]
    assert ("door|2|3|b", "dropped") in [(change.name, change.kind) for change in reading.changes]


def test_files(tmp_path):
    path = tmp_path / "house_12.json"
    path.write_text(json.dumps(house()))
    assert load_house(path, libraries=LIBRARIES).scene.name == "house_12"
    path.write_text("{")
    with pytest.raises(DataError, match=r"cannot read the house .*house_12\.json"):
        load_house(path, libraries=LIBRARIES)
    with pytest.raises(DataError, match="cannot read the house"):
        load_house(tmp_path / "absent.json", libraries=LIBRARIES)
