"""Whole houses: sound, passable, furnished without collisions, and the same for the same seed everywhere."""

import hashlib
import itertools
import json
import math
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict

import pytest
from facts_library import FactsLibrary
from shapely.geometry import LineString, Point, Polygon, box
from shapely.ops import unary_union

from zoo import registry
from zoo.envs.assets.library import AssetFacts, Surface
from zoo.envs.assets.primitives import PrimitiveLibrary
from zoo.envs.houses.floor_space import FLAT_M
from zoo.envs.houses.footprints import Footprint
from zoo.envs.houses.free_space import POCKET_M2, RADIUS_M
from zoo.envs.houses.generator import HouseSettings, ProceduralHouses, body_name, generate_house
from zoo.envs.houses.openings import BEFORE_WINDOW_M
from zoo.envs.houses.room_types import ROOM_TYPES
from zoo.envs.houses.small_objects import MIN_TARGETS
from zoo.envs.scenes.specification import FLOOR, Scene
from zoo.errors import ConfigError, UnknownNameError

LIBRARY = PrimitiveLibrary()
FACTS = LIBRARY.facts()
NUM_HOUSES = 60


def rooms(fewest, most):
    return HouseSettings(num_rooms=(fewest, most))


@pytest.fixture(scope="module")
def houses():
    numbers = [1 + seed % 10 for seed in range(NUM_HOUSES)]
    return [generate_house(seed, library=LIBRARY, settings=rooms(n, n)) for seed, n in enumerate(numbers)]


def yaw_of(item):
    return 2 * math.atan2(item.quat_wxyz[3], item.quat_wxyz[0])


def footprint_of(item):
    x, y, _ = item.position_m
    return Footprint(x, y, *FACTS[item.asset].size_m[:2], yaw_of(item))


def z_range(item):
    return item.position_m[2], item.position_m[2] + FACTS[item.asset].size_m[2]


def slab(wall, low, high, left, right):
    """The floor along a stretch of a wall, from a distance on its right to one on its left."""
    (x0, y0), (x1, y1) = wall.at(low), wall.at(high)
    nx, ny = -math.sin(wall.yaw), math.cos(wall.yaw)
    sides = ((x0, y0, left), (x1, y1, left), (x1, y1, -right), (x0, y0, -right))
    return Polygon([(x + nx * d, y + ny * d) for x, y, d in sides])


def leaf_polygon(wall, hole, angle):
    """An open leaf: its hinge is at the wall's face on the side to which it swings."""
    at_start, to_left = hole.leaf.hinge == "start", hole.leaf.swing == "left"
    x, y = wall.at(hole.offset_m if at_start else hole.offset_m + hole.width_m)
    across = wall.thickness_m / 2 * (1 if to_left else -1)
    x, y = x - across * math.sin(wall.yaw), y + across * math.cos(wall.yaw)
    yaw = wall.yaw + (0 if at_start else math.pi) + angle * (1 if at_start == to_left else -1)
    tip = x + hole.width_m * math.cos(yaw), y + hole.width_m * math.sin(yaw)
    return LineString([(x, y), tip]).buffer(0.04)


def ancestors(scene):
    """Names of everything that an object rests on, by its name."""
    found = {}
    for item in scene.objects:
        found[item.name] = {item.support} | found.get(item.support, set())
    return found


def on_floor(scene):
    return [item for item in scene.objects if FACTS[item.asset].mounting == "floor"]


def standing(scene):
    """What one has to walk around."""
    return [item for item in on_floor(scene) if FACTS[item.asset].size_m[2] > FLAT_M]


def test_houses_have_as_many_rooms_as_asked_and_read_back_equal(houses):
    for seed, scene in enumerate(houses):
        assert len(scene.rooms) == 1 + seed % 10
        assert {room.room_type for room in scene.rooms} <= set(ROOM_TYPES)
        assert [room.name for room in scene.rooms] == [f"room_{i}" for i in range(len(scene.rooms))]
        assert any(light.is_on for light in scene.lights)
        assert scene.notes["seed"] == seed
    for scene in houses[:5]:
        assert Scene.from_json(json.loads(json.dumps(scene.to_json()))) == scene


def test_nothing_collides(houses):
    for scene in houses:
        above = ancestors(scene)
        boxes = [(item, footprint_of(item), z_range(item)) for item in scene.objects]
        for (a, mine, (a_low, a_high)), (b, theirs, (b_low, b_high)) in itertools.combinations(boxes, 2):
            if a_low < b_high and b_low < a_high and a.name not in above[b.name]:
                assert not mine.overlaps(theirs), (scene.notes["seed"], a.name, b.name)


def test_everything_is_inside_its_room_between_the_faces_of_the_walls(houses):
    for scene in houses:
        insides = {room.name: Polygon(room.polygon_m).buffer(-0.05 + 1e-3, join_style="mitre") for room in scene.rooms}
        height = scene.walls[0].height_m
        for item in scene.objects:
            assert insides[item.room].covers(Polygon(footprint_of(item).corners)), (scene.notes["seed"], item.name)
            low, high = z_range(item)
            assert low >= 0
            assert high <= height + 1e-3


def test_doors_and_the_floor_that_leaves_sweep_are_free(houses):
    for scene in houses:
        things = [(item.name, Polygon(footprint_of(item).corners)) for item in on_floor(scene)]
        for wall, hole in scene.doors:
            low, high = hole.offset_m, hole.offset_m + hole.width_m
            depth = wall.thickness_m / 2 + 0.7
            areas = [slab(wall, low, high, depth, depth)]
            if hole.leaf is not None:
                areas += [leaf_polygon(wall, hole, math.radians(angle)) for angle in range(0, 91, 10)]
            for name, thing in things:
                assert not any(thing.intersects(area) for area in areas), (scene.notes["seed"], hole.name, name)


def test_open_leaves_are_open_wide_and_the_entrance_is_closed(houses):
    for scene in houses:
        leaves = [(wall, hole.leaf) for wall, hole in scene.doors if hole.leaf is not None]
        entrances = [leaf for wall, leaf in leaves if None in wall.rooms]
        assert [leaf.angle for leaf in entrances] == [0.0]
        for wall, leaf in leaves:
            if None not in wall.rooms:
                assert math.radians(80) <= leaf.angle <= leaf.max_angle
        for _, hole in scene.doors:
            assert 0.9 <= hole.width_m <= (1.0 if hole.kind == "door" else 1.25)
            assert hole.height_m == 2.1


def test_windows_are_in_outer_walls_with_nothing_tall_before_them(houses):
    seen = 0
    for scene in houses:
        tall = [item for item in on_floor(scene) if FACTS[item.asset].size_m[2] > BEFORE_WINDOW_M]
        for wall in scene.walls:
            for hole in wall.openings:
                if hole.kind == "window":
                    seen += 1
                    assert None in wall.rooms
                    area = slab(wall, hole.offset_m, hole.offset_m + hole.width_m, 0.5, 0.5)
                    for item in tall:
                        assert not area.intersects(Polygon(footprint_of(item).corners)), (
                            scene.notes["seed"],
                            item.name,
                        )
    assert seen > 3 * NUM_HOUSES


def free_floor(scene):
    """Positions of the middle of a body of the usual radius: shapely's exact discs, doors open, the entrance shut."""
    obstacles = []
    for wall in scene.walls:
        half = wall.thickness_m / 2
        start = -half  # corners are filled
        for hole in wall.openings:
            if hole.kind == "window" or None in wall.rooms:
                continue
            obstacles.append(slab(wall, start, hole.offset_m, half, half))
            start = hole.offset_m + hole.width_m
            if hole.leaf is not None:
                obstacles.append(leaf_polygon(wall, hole, hole.leaf.angle))
        obstacles.append(slab(wall, start, wall.length_m + half, half, half))
    obstacles += [Polygon(footprint_of(item).corners) for item in standing(scene)]
    floor = unary_union([Polygon(room.polygon_m) for room in scene.rooms])
    free = floor.difference(unary_union([area.buffer(RADIUS_M, quad_segs=16) for area in obstacles]))
    return sorted(getattr(free, "geoms", [free]), key=lambda piece: -piece.area)


def test_every_room_is_reachable_and_only_pockets_are_cut_off(houses):
    for scene in houses:
        pieces = free_floor(scene)
        for room in scene.rooms:
            assert pieces[0].intersection(Polygon(room.polygon_m)).area > 0.5, (scene.notes["seed"], room.room_type)
        # Squares around obstacles on a grid cut off a little more than discs do, so pockets measure larger here.
        assert all(piece.area < 2 * POCKET_M2 for piece in pieces[1:]), scene.notes["seed"]


def test_fronts_that_open_have_room_for_somebody_who_gets_there(houses):
    for scene in houses:
        walkable = free_floor(scene)[0]
        things = {item.name: Polygon(footprint_of(item).corners) for item in standing(scene)}
        for item in standing(scene):
            if not FACTS[item.asset].articulations:
                continue
            x, y, length, width, yaw = footprint_of(item)
            away = length / 2 + 0.3
            front = Footprint(x + away * math.cos(yaw), y + away * math.sin(yaw), 0.6, width - 0.02, yaw)
            area = Polygon(front.corners)
            assert not any(area.intersects(other) for name, other in things.items() if name != item.name)
            assert area.buffer(0.35).intersects(walkable), (scene.notes["seed"], item.name)


def test_backs_stand_at_walls_and_chairs_face_their_tables(houses):
    backs, facing = Counter(), []
    for scene in houses:
        rooms = {room.name: Polygon(room.polygon_m).exterior for room in scene.rooms}
        tables = [item for item in on_floor(scene) if FACTS[item.asset].category in ("dining table", "desk")]
        for item in on_floor(scene):
            category = FACTS[item.asset].category
            x, y, length, _, yaw = footprint_of(item)
            if category in ("bed", "fridge", "wardrobe", "sofa", "toilet", "counter top"):
                back = Point(x - length / 2 * math.cos(yaw), y - length / 2 * math.sin(yaw))
                backs[back.distance(rooms[item.room]) < 0.05 + 0.03] += 1
            if category == "chair":
                seat = LineString([(x, y), (x + math.cos(yaw), y + math.sin(yaw))])
                facing.append(any(seat.intersects(Polygon(footprint_of(table).corners)) for table in tables))
    assert set(backs) == {True}
    assert backs[True] > 100
    assert all(facing)
    assert len(facing) > 50


def test_things_hang_at_faces_of_their_walls_clear_of_openings(houses):
    seen = 0
    for scene in houses:
        walls = {wall.name: wall for wall in scene.walls}
        for item in scene.objects:
            if FACTS[item.asset].mounting != "wall":
                continue
            seen += 1
            wall = walls[item.support]
            assert item.room in wall.rooms
            assert item.is_static
            x, y, length, _, yaw = footprint_of(item)
            back = Point(x - length / 2 * math.cos(yaw), y - length / 2 * math.sin(yaw))
            assert back.distance(LineString([wall.start_m, wall.end_m])) == pytest.approx(0.05, abs=1e-3)
            for hole in wall.openings:
                area = slab(wall, hole.offset_m, hole.offset_m + hole.width_m, 0.06, 0.06)
                assert not area.intersects(Polygon(footprint_of(item).corners))
    assert seen > NUM_HOUSES


def surface_under(scene, item):
    """The surface of the object's host on which it stands, and its footprint's corners from the surface's middle."""
    host = scene.object(item.support)
    x0, y0, z0 = host.position_m
    c, s = math.cos(-yaw_of(host)), math.sin(-yaw_of(host))
    for surface in FACTS[host.asset].surfaces:
        if not math.isclose(z0 + surface.centre_m[2] + 0.001, item.position_m[2], abs_tol=2e-4):
            continue
        corners = [
            (c * (x - x0) - s * (y - y0) - surface.centre_m[0], s * (x - x0) + c * (y - y0) - surface.centre_m[1])
            for x, y in footprint_of(item).corners
        ]
        if all(abs(x) <= surface.size_m[0] / 2 and abs(y) <= surface.size_m[1] / 2 for x, y in corners):
            return surface
    return None


def test_small_objects_stand_within_surfaces_and_below_what_is_above_them(houses):
    places = Counter()
    for scene in houses:
        for item in scene.objects:
            if FACTS[item.asset].mounting == "surface":
                surface = surface_under(scene, item)
                assert surface is not None, (scene.notes["seed"], item.name)
                assert FACTS[item.asset].size_m[2] < surface.clearance_m
                places[surface.is_inside] += 1
    assert places[False] > 20 * NUM_HOUSES / 2
    assert places[True] > NUM_HOUSES


def test_every_house_has_targets_on_open_surfaces(houses):
    for scene in houses:
        targets = [
            item
            for item in scene.objects
            if item.support.split("_")[0] != FLOOR
            and FACTS[item.asset].is_pickupable
            and not surface_under(scene, item).is_inside
            and not item.is_static
        ]
        assert len(targets) >= MIN_TARGETS, scene.notes["seed"]


def test_rooms_are_recognisable_by_their_furniture(houses):
    found, rooms = defaultdict(Counter), Counter()
    for scene in houses:
        types = {room.name: room.room_type for room in scene.rooms}
        rooms.update(types.values())
        for room, category in {(item.room, FACTS[item.asset].category) for item in scene.objects}:
            found[types[room]][category] += 1
    for kind, category in (
        ("bedroom", "bed"),
        ("kitchen", "fridge"),
        ("kitchen", "counter top"),
        ("bathroom", "toilet"),
        ("living_room", "sofa"),
        ("dining_room", "dining table"),
        ("office", "desk"),
    ):
        assert found[kind][category] >= 0.9 * rooms[kind], (kind, category)
    assert not found["bathroom"]["bed"]
    assert not found["bedroom"]["toilet"]


def test_houses_grow_with_their_rooms(houses):
    numbers = [len(scene.objects) for scene in houses]
    assert min(numbers) >= 10
    assert sum(numbers[9::10]) > 2 * sum(numbers[0::10])
    assert len({FACTS[item.asset].category for scene in houses for item in scene.objects}) >= 60


def test_names_are_lemma_hash_count_body_index_and_room(houses):
    for scene in houses:
        counts = Counter()
        for item in scene.objects:
            lemma, count, room = re.fullmatch(r"([a-z0-9_]+)_[0-9a-f]{8}_(\d+)_0_(\d+)", item.name).groups()
            counts[item.asset] += 1
            assert lemma == FACTS[item.asset].category.replace(" ", "_")
            assert int(count) == counts[item.asset]
            assert item.room == f"room_{room}"
    mug = LIBRARY.of(category="mug")[0]
    assert body_name(mug, 2, 5) == f"mug_{hashlib.blake2b(mug.uid.encode(), digest_size=4).hexdigest()}_2_0_5"


def test_colours_are_given_to_parts_that_take_them(houses):
    coloured = 0
    for scene in houses:
        for item in scene.objects:
            assert set(item.colours) <= set(FACTS[item.asset].colours)
            assert all(0 <= value <= 1 for rgba in item.colours.values() for value in rgba)
            coloured += bool(item.colours)
    assert coloured > 5 * NUM_HOUSES


def digest_of(scene):
    return hashlib.sha256(json.dumps(scene.to_json()).encode()).hexdigest()


def test_the_same_seed_gives_the_same_bytes_in_a_fresh_process():
    script = (
        f"import sys; sys.path.insert(0, {os.getcwd()!r}); import json, hashlib\n"
        "from zoo.envs.assets.primitives import PrimitiveLibrary\n"
        "from zoo.envs.houses.generator import HouseSettings, generate_house\n"
        "for seed in (7, 8): print(hashlib.sha256(json.dumps(generate_house(seed, library=PrimitiveLibrary(), "
        "settings=HouseSettings(num_rooms=(3, 9))).to_json()).encode()).hexdigest())\n"
    )
    environment = os.environ | {"PYTHONHASHSEED": "123"}
    theirs = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment, timeout=120
    )
    mine = [digest_of(generate_house(seed, library=LIBRARY, settings=rooms(3, 9))) for seed in (7, 8)]
    assert theirs.stdout.split() == mine
    assert len(set(mine)) == 2


def test_a_share_of_doors_is_closed_when_asked():
    settings = HouseSettings(num_rooms=(8, 8), closed_door_share=1.0)
    scene = generate_house(2, library=LIBRARY, settings=settings)
    angles = [hole.leaf.angle for wall, hole in scene.doors if hole.leaf is not None]
    assert len(angles) > 3
    assert set(angles) == {0.0}


@pytest.fixture
def planner(sandboxed_registry):
    registry.register("asset_library", "household")(PrimitiveLibrary)
    return ProceduralHouses(library="household", num_rooms=(2, 4))


def test_splits_share_neither_seeds_nor_instances(planner):
    seeds = defaultdict(set)
    for split, index in itertools.product(("train", "val", "test"), range(4)):
        scene = planner.plan(split, index)
        assert scene == planner.plan(split, index)
        assert (scene.name, scene.split, scene.index) == (f"{split}_{index}", split, index)
        assert 2 <= len(scene.rooms) <= 4
        assert {FACTS[item.asset].split for item in scene.objects} == {split}
        assert {item.library for item in scene.objects} == {"household"}
        seeds[split].add(scene.notes["seed"])
    assert len(set.union(*seeds.values())) == 12


def test_another_seed_gives_other_houses(planner):
    other = ProceduralHouses(library="household", num_rooms=(2, 4), seed=1)
    assert other.plan("train", 0).notes["seed"] != planner.plan("train", 0).notes["seed"]


@pytest.mark.parametrize(("split", "index"), [("training", 0), ("train", -1)])
def test_a_split_or_number_that_there_is_not_is_named(planner, split, index):
    with pytest.raises(ConfigError, match=f"house {index} of split '{split}'.*train, val, test"):
        planner.plan(split, index)


def test_an_unknown_library_is_named(sandboxed_registry):
    with pytest.raises(UnknownNameError, match="no asset_library 'houshold'"):
        ProceduralHouses(library="houshold")


@pytest.mark.parametrize("num_rooms", [(5, 2), (0, 3), (1, 11)])
def test_numbers_of_rooms_that_make_no_sense_are_named(num_rooms):
    with pytest.raises(ConfigError, match=f"num_rooms is {num_rooms[0]} to {num_rooms[1]}.*fewest first.*1 to 10"):
        HouseSettings(num_rooms=num_rooms)


@pytest.mark.parametrize("name", ["closed_door_share", "extra_door_chance"])
def test_shares_that_make_no_sense_are_named(name):
    with pytest.raises(ConfigError, match=f"{name} is 1.5.*0 to 1"):
        HouseSettings(**{name: 1.5})


def test_negative_seeds_are_named():
    with pytest.raises(ConfigError, match="seed is -1"):
        generate_house(-1, library=LIBRARY)


def test_an_empty_library_is_refused():
    with pytest.raises(ConfigError, match="no asset of split 'train' among its 0.*splits: none"):
        generate_house(0, library=FactsLibrary())


def test_a_library_without_this_split_is_refused():
    ball = AssetFacts(
        uid="b",
        category="ball",
        synset="ball.n.01",
        description="ball",
        size_m=(0.2, 0.2, 0.2),
        mass_kg=0.1,
        split="val",
    )
    with pytest.raises(ConfigError, match="no asset of split 'train' among its 1.*splits: val"):
        generate_house(0, library=FactsLibrary(ball))


def test_a_library_of_few_categories_still_furnishes_a_house():
    table = AssetFacts(
        uid="shop/table",
        category="side table",
        synset="table.n.02",
        description="table",
        size_m=(0.5, 0.5, 0.6),
        mass_kg=8.0,
        surfaces=(Surface(name="top", body="", centre_m=(0.0, 0.0, 0.6), size_m=(0.5, 0.5)),),
    )
    mug = AssetFacts(
        uid="shop/mug",
        category="mug",
        synset="mug.n.04",
        description="mug",
        size_m=(0.08, 0.08, 0.1),
        mass_kg=0.3,
        mounting="surface",
        is_pickupable=True,
    )
    scene = generate_house(1, library=FactsLibrary(table, mug), library_name="shop", settings=rooms(8, 8))
    assert len(scene.rooms) == 8
    assert {item.asset for item in scene.objects} == {"shop/table", "shop/mug"}
    assert {item.library for item in scene.objects} == {"shop"}


def test_a_room_is_left_empty_where_nothing_is_on_offer():
    ball = AssetFacts(
        uid="b", category="gizmo", synset="gizmo.n.01", description="gizmo", size_m=(0.2, 0.2, 0.2), mass_kg=0.1
    )
    scene = generate_house(0, library=FactsLibrary(ball), settings=rooms(3, 3))
    assert len(scene.rooms) == 3
    assert scene.objects == ()


def test_houses_stand_on_their_own_floor(houses):
    for scene in houses:
        outline = unary_union([box(*Polygon(room.polygon_m).bounds) for room in scene.rooms])
        assert outline.area == pytest.approx(sum(Polygon(room.polygon_m).area for room in scene.rooms))
        assert 6 <= outline.area <= 260
