"""Doors and windows of plans: within their walls, never on each other, leaves clear of other doors."""

import itertools
import math

import numpy as np
import pytest

from zoo.envs.houses.floor_plan import FloorPlan, draw_plan, wall_segments
from zoo.envs.houses.footprints import Rect
from zoo.envs.houses.openings import WAY_M, beside, draw_openings, open_leaf, swept_by_leaf
from zoo.envs.scenes.specification import Material

WOOD = (Material(rgba=(0.6, 0.4, 0.3, 1.0)),)


@pytest.fixture(scope="module")
def houses():
    found = []
    for seed, num_rooms in itertools.product(range(5), (1, 4, 8)):
        rng = np.random.default_rng([seed, num_rooms])
        plan = draw_plan(rng, num_rooms=num_rooms)
        openings = draw_openings(rng, plan, closed_share=0.5, wood=WOOD)
        if openings is not None:
            found.append((plan, openings))
    assert len(found) >= 12
    return found


def test_every_connection_and_the_entrance_get_one_door(houses):
    for plan, openings in houses:
        doors = [
            index
            for index, holes in sorted(openings.by_segment.items())
            for hole in holes
            if hole.kind in ("door", "doorway")
        ]
        entrances = [i for i in doors if None in (plan.segments[i].left, plan.segments[i].right)]
        assert len(entrances) == 1
        assert sorted(set(doors) - set(entrances)) == list(plan.connections)
        assert len(doors) == len(set(doors))


def test_openings_of_a_wall_are_in_order_and_apart(houses):
    for plan, openings in houses:
        for index, holes in openings.by_segment.items():
            ends = [0.0, *(end for hole in holes for end in (hole.offset_m, hole.offset_m + hole.width_m))]
            assert ends == sorted(ends)
            assert ends[-1] <= plan.segments[index].length - 0.05


def test_every_room_has_one_way_for_each_of_its_doors_inside_it(houses):
    for plan, openings in houses:
        for room, asked in enumerate(openings.by_room):
            doors = [
                hole
                for index, holes in openings.by_segment.items()
                if room in (plan.segments[index].left, plan.segments[index].right)
                for hole in holes
                if hole.kind != "window"
            ]
            assert len(asked.ways) == len(doors)
            inside = plan.rects[room].grown(-0.35)
            for x, y in asked.ways:
                assert inside.contains(Rect(x, y, x, y))


def test_leaves_do_not_meet_the_ways_of_their_rooms(houses):
    for _, openings in houses:
        for asked in openings.by_room:
            for leaf, (x, y) in itertools.product(asked.leaves, asked.ways):
                assert not leaf.grown(0.3).contains(Rect(x, y, x, y))


def test_both_open_and_closed_doors_come_out(houses):
    angles = [
        hole.leaf.angle
        for plan, openings in houses
        for index in plan.connections
        for hole in openings.by_segment[index]
        if hole.leaf is not None
    ]
    assert 0.25 < np.mean([angle == 0 for angle in angles]) < 0.75
    assert all(angle == 0 or math.radians(80) <= angle <= math.pi / 2 for angle in angles)


@pytest.mark.parametrize(("side", "expected"), [("left", Rect(1, 0, 2, 0.5)), ("right", Rect(1, -0.5, 2, 0))])
def test_left_of_a_level_wall_is_above(side, expected):
    level = next(s for s in wall_segments([Rect(0, 0, 4, 3)]) if s.start == (0, 0) and s.end == (4, 0))
    assert beside(level, side, 1, 2, 0.5) == expected


@pytest.mark.parametrize(("side", "expected"), [("left", Rect(-0.5, 1, 0, 2)), ("right", Rect(0, 1, 0.5, 2))])
def test_left_of_an_upright_wall_is_towards_smaller_x(side, expected):
    upright = next(s for s in wall_segments([Rect(0, 0, 4, 3)]) if s.start == (0, 0) and s.end == (0, 3))
    assert beside(upright, side, 1, 2, 0.5) == expected


@pytest.mark.parametrize("hinge", ["start", "end"])
def test_an_open_leaf_stands_at_its_hinge_within_what_it_sweeps(hinge):
    level = wall_segments([Rect(0, 0, 4, 3)])[-2]
    leaf, swept = (make(level, "left", hinge, 1.0, 0.9) for make in (open_leaf, swept_by_leaf))
    assert swept.contains(leaf)
    middle = 1.45
    assert leaf.x1 < middle if hinge == "start" else leaf.x0 > middle


def test_a_plan_without_room_for_its_doors_is_refused():
    # Two rooms of 1 m depth: no leaf of 0.9 m can turn in them with its slack.
    rects = (Rect(0, 0, 1.0, 1.0), Rect(1.0, 0, 2.0, 1.0))
    segments = tuple(wall_segments(rects))
    inner = next(i for i, s in enumerate(segments) if None not in (s.left, s.right))
    plan = FloorPlan(types=("bedroom", "bathroom"), rects=rects, segments=segments, connections=(inner,))
    assert draw_openings(np.random.default_rng(0), plan, closed_share=0.0, wood=WOOD) is None


def test_ways_are_beyond_a_body_from_the_wall():
    assert WAY_M > 0.05 + 0.3
