"""Claims on the floor of a room: solid things, fronts, openings and ways."""

import math

import pytest

from zoo.envs.assets.library import Articulation, AssetFacts
from zoo.envs.houses.floor_space import FloorSpace, front_depth, piece_of
from zoo.envs.houses.footprints import Rect
from zoo.envs.houses.openings import RoomOpenings, Zone

ROOM = Rect(0.05, 0.05, 4.05, 4.05)


def facts(category="crate", size=(0.5, 0.5, 0.5), *, opens=False):
    door = Articulation(joint="j", kind="hinge", range=(0.0, 1.5), part="door", handle="h")
    return AssetFacts(
        uid=category,
        category=category,
        synset="thing.n.01",
        description=category,
        size_m=size,
        mass_kg=1.0,
        articulations=(door,) * opens,
    )


@pytest.fixture
def space():
    openings = RoomOpenings(
        zones=[Zone(Rect(0.0, 1.5, 0.8, 2.5), 0.0), Zone(Rect(1.5, 3.5, 2.5, 4.1), 1.3)], ways=[(0.42, 2.0)]
    )
    return FloorSpace(ROOM, openings)


@pytest.mark.parametrize(("x", "y"), [(0.2, 3.0), (4.0, 3.0), (3.0, 0.1)])
def test_what_sticks_into_a_wall_is_refused(space, x, y):
    assert not space.admits(piece_of(facts(), x, y, 0.0))
    assert space.admits(piece_of(facts(), 3.0, 3.0, 0.0))


def test_the_floor_of_a_door_stays_free_of_everything(space):
    for height in (0.01, 0.5):
        assert not space.admits(piece_of(facts(size=(0.5, 0.5, height)), 0.9, 2.0, 0.0))


def test_only_tall_things_keep_away_from_windows(space):
    assert space.admits(piece_of(facts(size=(0.5, 0.5, 1.2)), 2.0, 3.75, 0.0))
    assert not space.admits(piece_of(facts(size=(0.5, 0.5, 1.9)), 2.0, 3.75, 0.0))


def test_nothing_stands_before_what_opens(space):
    space.add(piece_of(facts("fridge", opens=True), 3.7, 1.0, math.pi))  # opens towards -x, front from 3.45 to 2.85
    assert not space.admits(piece_of(facts(), 3.0, 1.0, 0.0))
    assert space.admits(piece_of(facts(), 2.5, 1.0, 0.0))
    # Fronts may be shared: one opens one thing at a time.
    assert space.admits(piece_of(facts("cabinet", opens=True), 2.9, 1.9, -math.pi / 2))


def test_a_chair_may_stand_before_its_own_desk_only(space):
    desk = piece_of(facts("desk"), 3.7, 1.0, math.pi)
    space.add(desk)
    chair = piece_of(facts("chair", (0.4, 0.4, 0.9)), 3.2, 1.0, 0.0)
    assert space.admits(chair, host=desk)
    assert not space.admits(chair)


def test_a_front_needs_room_within_the_walls(space):
    assert not space.admits(piece_of(facts("fridge", opens=True), 3.5, 3.0, 0.0))  # 0.3 m to the wall it faces
    assert space.admits(piece_of(facts("fridge", opens=True), 3.7, 3.0, math.pi))


def test_the_way_to_the_door_stays_open(space):
    assert not space.admits(piece_of(facts(size=(0.3, 3.9, 1.0)), 1.2, 2.0, 0.0))
    assert space.admits(piece_of(facts(size=(0.3, 2.9, 1.0)), 1.2, 1.6, 0.0))


def test_a_rug_is_walked_over_but_carries_nothing(space):
    rug = piece_of(facts("rug", (1.0, 1.0, 0.01)), 2.0, 2.0, 0.0)
    assert space.admits(rug)
    space.add(rug)
    assert not space.admits(piece_of(facts(), 2.0, 2.0, 0.0))
    assert space.admits(piece_of(facts(size=(0.3, 2.9, 1.0)), 1.2, 1.6, 0.0))


@pytest.mark.parametrize(("width", "depth"), [(0.4, 0.6), (0.8, 0.72), (1.5, 0.9)])
def test_wide_leaves_need_deeper_fronts(width, depth):
    assert front_depth(facts(size=(0.5, width, 1.0), opens=True)) == pytest.approx(depth)


def test_what_is_used_from_no_side_needs_no_front():
    assert front_depth(facts("house plant")) == 0
    assert piece_of(facts("house plant"), 1.0, 1.0, 0.0).front is None
