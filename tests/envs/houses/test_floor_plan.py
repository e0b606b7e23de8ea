"""Floor plans: no gap and no overlap between rooms, sizes true to life, and a way from each room to every other."""

import itertools

import numpy as np
import pytest
from shapely.geometry import LineString, box
from shapely.ops import unary_union

from zoo.envs.houses.floor_plan import DOOR_WALL_M, GRID_M, draw_plan, wall_segments
from zoo.envs.houses.footprints import Rect
from zoo.envs.houses.room_types import ROOM_TYPES, affinity, draw_types


@pytest.fixture(scope="module")
def plans():
    return [draw_plan(np.random.default_rng([seed, n]), num_rooms=n) for seed in range(12) for n in range(1, 11)]


def test_the_same_generator_gives_the_same_plan():
    first, second, other = (draw_plan(np.random.default_rng(seed), num_rooms=6) for seed in (3, 3, 4))
    assert first == second != other


def test_rooms_do_not_overlap_and_form_one_house(plans):
    for plan in plans:
        for first, second in itertools.combinations(plan.rects, 2):
            assert not first.overlaps(second)
        outline = unary_union([box(*rect) for rect in plan.rects])
        assert outline.geom_type == "Polygon"
        assert not outline.interiors


def test_some_houses_are_rectangles_and_some_are_l_shaped(plans):
    corners = {len(unary_union([box(*rect) for rect in plan.rects]).simplify(0).exterior.coords) - 1 for plan in plans}
    assert corners == {4, 6}


def test_rooms_have_the_sizes_of_their_types(plans):
    for plan in plans:
        for kind, rect in zip(plan.types, plan.rects, strict=True):
            short, long = sorted((rect.width, rect.depth))
            assert short >= ROOM_TYPES[kind].min_side_m - 1e-6
            assert long <= short * ROOM_TYPES[kind].max_aspect * 1.001
            assert ROOM_TYPES[kind].area_m2[0] * 0.6 <= rect.area <= ROOM_TYPES[kind].area_m2[1] * 2
            assert all(abs(value / GRID_M - round(value / GRID_M)) < 1e-6 for value in rect)


def test_walls_cover_every_side_of_every_room_once(plans):
    for plan in plans:
        for room, rect in enumerate(plan.rects):
            mine = [s for s in plan.segments if room in (s.left, s.right)]
            assert sum(s.length for s in mine) == pytest.approx(2 * (rect.width + rect.depth))
            border = box(*rect).exterior.buffer(1e-6)
            assert all(border.contains(LineString([s.start, s.end])) for s in mine)


def test_left_and_right_of_a_wall_are_as_seen_from_its_start(plans):
    for segment in itertools.chain.from_iterable(plan.segments for plan in plans[:20]):
        assert segment.left is not None or segment.right is not None
        assert segment.left != segment.right
    square = wall_segments([Rect(0, 0, 4, 3)])
    at = {(s.start, s.end): (s.left, s.right) for s in square}
    assert at[(0, 0), (4, 0)] == (0, None)  # the room is to the left of who walks along +x
    assert at[(0, 0), (0, 3)] == (None, 0)
    assert at[(4, 0), (4, 3)] == (0, None)
    assert at[(0, 3), (4, 3)] == (None, 0)


def test_neighbours_share_one_wall_that_ends_where_they_part():
    segments = wall_segments([Rect(0, 0, 3, 4), Rect(3, 0, 6, 2), Rect(3, 2, 6, 4)])
    shared = {(s.left, s.right): (s.start, s.end) for s in segments if None not in (s.left, s.right)}
    assert shared == {(0, 1): ((3, 0), (3, 2)), (0, 2): ((3, 2), (3, 4)), (2, 1): ((3, 2), (6, 2))}


def test_connections_reach_every_room_through_walls_that_are_long_enough(plans):
    for plan in plans:
        reached = {0}
        for _ in plan.types:
            for index in plan.connections:
                segment = plan.segments[index]
                assert segment.length >= DOOR_WALL_M
                if reached & {segment.left, segment.right}:
                    reached |= {segment.left, segment.right}
        assert reached == set(range(len(plan.types)))


def test_extra_doors_are_as_likely_as_asked():
    few, many = (
        [len(draw_plan(np.random.default_rng(seed), num_rooms=8, extra_doors=chance).connections) for seed in range(10)]
        for chance in (0.0, 1.0)
    )
    assert set(few) == {7}  # a tree
    assert sum(many) > sum(few)


@pytest.mark.parametrize("num_rooms", range(1, 11))
def test_homes_have_what_homes_need(num_rooms):
    for seed in range(20):
        types = draw_types(np.random.default_rng(seed), num_rooms)
        assert len(types) == num_rooms
        assert set(types) <= set(ROOM_TYPES)
        assert types.count("living_room") <= 1
        assert num_rooms < 4 or {"kitchen", "living_room", "bedroom", "bathroom"} <= set(types)
        assert num_rooms < 4 or types.count("bathroom") <= types.count("bedroom")


def test_affinity_has_no_direction():
    for first, second in itertools.product(ROOM_TYPES, repeat=2):
        assert affinity(first, second) == affinity(second, first)
        assert 0 <= affinity(first, second) <= 1
    assert affinity("kitchen", "living_room") > affinity("kitchen", "bathroom")
