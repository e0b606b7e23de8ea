"""Success tests, each threshold from both sides."""

import numpy as np
import pytest

from zoo.envs.navigation.success import (
    RoomVisits,
    Sighting,
    asked_pixels,
    box_distance_m,
    has_fetched,
    has_found,
    has_reached_room,
    is_in_room,
    is_well_seen,
    is_well_seen_by_arm,
    largest_face_m2,
    mask_facts,
)


@pytest.mark.parametrize(
    ("pixels", "distance", "is_done", "expected"),
    [(1, 2.0, True, True), (0, 1.0, True, False), (500, 2.001, True, False), (500, 1.0, False, False)],
)
def test_object_nav(pixels, distance, is_done, expected):
    assert has_found(is_done, [Sighting(pixels=pixels, distance_m=distance)]) is expected


def test_object_nav_takes_any_target_and_another_radius():
    near, far = Sighting(pixels=5, distance_m=1.2), Sighting(pixels=5, distance_m=3.0)
    assert has_found(True, [far, near])
    assert not has_found(True, [far, near], within_m=1.0)
    assert not has_found(True, [])


@pytest.mark.parametrize(
    ("face_m2", "expected"), [(0.0, 200), (0.01, 200), (0.02, 300), (1000 / 15000, 1000), (5.0, 1000)]
)
def test_asked_pixels_grow_with_the_object(face_m2, expected):
    assert asked_pixels(face_m2) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"bearing_deg": -10.0}, True),
        ({"bearing_deg": 10.1}, False),
        ({"pixels": 299}, False),
        ({"pixels": 299, "visible_share": 0.8}, True),
        ({"pixels": 299, "visible_share": 0.79}, False),
        ({"pixels": 0, "visible_share": 1.0}, False),
        ({"distance_m": 2.1}, False),
    ],
)
def test_well_seen(change, expected):
    facts = {"pixels": 300, "distance_m": 1.9, "bearing_deg": 3.0, "largest_face_m2": 0.02}
    assert is_well_seen(Sighting(**{**facts, **change})) is expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"bearing_deg": -100.0}, True),
        ({"bearing_deg": 270.0}, True),
        ({"bearing_deg": 90.0}, False),
        ({"bearing_deg": -79.0}, False),
        ({"pixels": 199}, False),
        ({"top_row": 0.09}, False),
        ({"distance_m": 2.1}, False),
    ],
)
def test_well_seen_by_the_arms_camera(change, expected):
    facts = {"pixels": 200, "distance_m": 1.0, "bearing_deg": -90.0, "top_row": 0.1, "largest_face_m2": 1.0}
    assert is_well_seen_by_arm(Sighting(**{**facts, **change})) is expected


def test_facts_of_a_mask():
    mask = np.zeros((20, 10), bool)
    assert mask_facts(mask) == (0, 1.0)
    mask[5:8, 2:4] = True
    assert mask_facts(mask) == (6, 0.25)


def test_distance_to_a_box_and_its_faces():
    assert box_distance_m((0.5, 0.5, 0.5), (0, 0, 0), (1, 1, 1)) == 0.0
    assert box_distance_m((4.0, 5.0), (0, 0), (1, 1)) == 5.0
    assert largest_face_m2((0.1, 2.0, 0.5)) == 1.0


def test_fetch():
    assert has_fetched(True, ["mug_1"], {"mug_1", "mug_2"})
    assert not has_fetched(False, ["mug_1"], {"mug_1"})
    assert not has_fetched(True, ["plate"], {"mug_1"})
    assert not has_fetched(True, [], {"mug_1"})


L_SHAPE = ((0, 0), (4, 0), (4, 2), (2, 2), (2, 4), (0, 4))


def test_room_nav():
    assert is_in_room((1, 3), L_SHAPE)
    assert is_in_room((3.9, 1), L_SHAPE)
    assert not is_in_room((3, 3), L_SHAPE)
    assert has_reached_room(True, (1, 3), [((9, 9), (10, 9), (10, 10)), L_SHAPE])
    assert not has_reached_room(False, (1, 3), [L_SHAPE])
    assert not has_reached_room(True, (3, 3), [L_SHAPE])


def test_room_visits():
    visits = RoomVisits(rooms=frozenset({"a", "b"}))
    assert visits.accuracy == 1.0
    assert visits.claim("a")
    assert not visits.has_succeeded(True)
    assert not visits.claim("a")
    assert not visits.claim(None)
    assert not visits.claim("attic")
    assert visits.claim("b")
    assert visits.claimed == ["a", "b"]
    assert visits.accuracy == 2 / 5
    assert visits.has_succeeded(True)
    assert not visits.has_succeeded(False)
