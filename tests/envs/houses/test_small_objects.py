"""Small objects: on the surfaces they belong to, apart, and under what is above them."""

import itertools
import math

import numpy as np
import pytest
from facts_library import FactsLibrary

from zoo.envs.assets.library import AssetFacts, Surface
from zoo.envs.houses.appearance import Style
from zoo.envs.houses.placed import Catalogue, Placed
from zoo.envs.houses.room_types import ROOM_TYPES
from zoo.envs.houses.small_objects import MIN_TARGETS, OPEN_GAP_M, Scatterer, Spot
from zoo.envs.houses.small_objects_table import BY_HOST, BY_ROOM, WITHIN


def thing(category, size=(0.08, 0.08, 0.1), *, surfaces=(), mounting="surface", split="train"):
    return AssetFacts(
        uid=f"{category}/{split}",
        category=category,
        synset="thing.n.01",
        description=category,
        size_m=size,
        mass_kg=0.3,
        mounting=mounting,
        is_pickupable=mounting == "surface",
        surfaces=surfaces,
        split=split,
    )


TOP = Surface(name="top", body="", centre_m=(0.1, 0.0, 0.7), size_m=(0.6, 1.0))
DRAWER = Surface(name="drawer", body="drawer", centre_m=(0.0, 0.0, 0.02), size_m=(0.4, 0.4), is_inside=True)
MUG, KNIFE, APPLE = thing("mug"), thing("knife", (0.3, 0.03, 0.02)), thing("apple", (0.07, 0.07, 0.07))


def host(category="counter top", *surfaces, yaw=0.7):
    facts = thing(category, (0.8, 1.0, 0.7), surfaces=surfaces or (TOP,), mounting="floor")
    return Placed(facts=facts, x=2.0, y=3.0, z=0.0, yaw=yaw, room=0)


def scattered(*hosts, library=(MUG, KNIFE, APPLE), room_type="kitchen", seed=0):
    rng = np.random.default_rng(seed)
    return Scatterer(rng, Catalogue(FactsLibrary(*library), "train"), Style(rng), [room_type]).scatter(hosts)


@pytest.mark.parametrize("seed", range(5))
def test_objects_stand_on_the_turned_surface_apart_from_each_other(seed):
    counter = host()
    items = scattered(counter, seed=seed)
    assert len(items) >= MIN_TARGETS
    c, s = math.cos(counter.yaw), math.sin(counter.yaw)
    for item in items:
        assert item.support is counter
        assert item.z == pytest.approx(0.701)
        for x, y in item.footprint.corners:
            ahead, left = c * (x - 2) + s * (y - 3) - 0.1, c * (y - 3) - s * (x - 2)
            assert abs(ahead) <= 0.3
            assert abs(left) <= 0.5
    for first, second in itertools.combinations(items, 2):
        assert not first.footprint.overlaps(second.footprint, OPEN_GAP_M - 1e-9)


def test_a_surface_that_moves_with_a_drawer_is_left_alone():
    assert scattered(host("dresser", DRAWER)) == []


def test_nothing_is_put_where_nothing_belongs():
    assert scattered(host("garbage can")) == []


def test_only_what_belongs_inside_goes_inside():
    shelf = Surface(name="shelf", body="", centre_m=(0, 0, 0.3), size_m=(0.5, 0.5), clearance_m=0.3, is_inside=True)
    assert {item.facts.category for item in scattered(host("fridge", shelf))} == {"apple"}


def test_what_is_too_tall_for_a_shelf_stays_out():
    low = Surface(name="low", body="", centre_m=(0, 0, 0.3), size_m=(0.6, 1.0), clearance_m=0.08)
    assert {item.facts.category for item in scattered(host("shelf", low))} == {"knife"}


@pytest.mark.parametrize("seed", range(5))
def test_nothing_stands_in_what_hangs_on_the_wall_above(seed):
    facts = thing("wall cabinet", (0.4, 1.0, 0.5), mounting="wall")
    cabinet = Placed(facts=facts, x=1.9, y=3.0, z=0.75, yaw=0.0, room=0)
    items = scattered(host(yaw=0.0), cabinet, seed=seed)
    assert items
    for item in items:
        assert item.z + item.facts.size_m[2] <= cabinet.z or not item.footprint.overlaps(cabinet.footprint)


def test_surfaces_out_of_reach_stay_empty():
    high = Surface(name="high", body="", centre_m=(0, 0, 1.9), size_m=(0.6, 1.0))
    assert scattered(host("shelf", high)) == []


def test_a_library_of_other_categories_is_used_as_it_is():
    gizmo = thing("gizmo")
    assert {item.facts.category for item in scattered(host(), library=(gizmo,))} == {"gizmo"}


def test_a_television_stands_at_the_back_and_faces_as_its_stand():
    television = thing("television", (0.2, 0.8, 0.5))
    items = [scattered(host("tv stand"), library=(television,), seed=seed) for seed in range(10)]
    found = [item for some in items for item in some if item.facts.category == "television"]
    assert len(found) >= 8
    first = found[0]
    assert first.yaw == pytest.approx(0.7)
    ahead = math.cos(0.7) * (first.x - 2) + math.sin(0.7) * (first.y - 3)
    assert ahead == pytest.approx(0.1 - 0.3 + 0.02 + 0.1)  # surface's middle, its half, the margin, half the depth


def test_larger_surfaces_are_likelier_and_closed_ones_less():
    small, closed = (
        Surface(name="s", body="", centre_m=(0, 0, 0.7), size_m=(0.2, 0.2), is_inside=inside)
        for inside in (False, True)
    )
    chances = [Spot(host(), surface, {}).chance for surface in (TOP, small, closed)]
    assert chances == sorted(chances, reverse=True)


def test_tables_are_sane():
    assert set(BY_ROOM) == set(ROOM_TYPES)
    for weights in (*BY_ROOM.values(), *BY_HOST.values(), *WITHIN.values()):
        assert all(weight > 0 for weight in weights.values())
