"""Looks: within range, true to descriptions, the same for the same generator, never dark."""

import numpy as np
import pytest
from asset_facts import facts

from zoo.envs.houses.appearance import FLOORS, Style, draw_lights
from zoo.envs.houses.footprints import Rect
from zoo.envs.houses.room_types import ROOM_TYPES

RECTS = (Rect(0, 0, 4, 3), Rect(4, 0, 7, 3))


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_every_room_type_has_a_floor_of_its_patterns(rng):
    assert set(FLOORS) == set(ROOM_TYPES)
    for kind in ROOM_TYPES:
        for _ in range(10):
            style = Style(rng)
            style.floor_of_all = None
            material = style.floor(rng, kind)
            assert material.pattern in FLOORS[kind]
            assert all(0 <= value <= 1 for value in (*material.rgba, *material.second_rgba))
            assert material.tile_m > 0.3


def test_a_common_floor_ends_where_water_is(rng):
    style = Style(rng)
    style.floor_of_all = style.floor(rng, "living_room")
    assert style.floor(rng, "bedroom") is style.floor_of_all
    assert style.floor(rng, "bathroom").pattern in FLOORS["bathroom"]


@pytest.mark.parametrize("description", ["red sofa", "Dark grey two-seater", "sofa of oak"])
def test_a_description_that_names_a_colour_stays_true(rng, description):
    assert "body" not in Style(rng).colours(rng, facts("sofa", description, "body"))


def test_what_no_description_names_takes_colours_of_the_house(rng):
    style = Style(rng)
    colours = style.colours(rng, facts("sofa", "two-seater", "body", "screws"))
    assert set(colours) == {"body"}
    assert colours["body"][:3] in style.fabrics
    assert style.colours(rng, facts("desk", "desk", "top"))["top"][:3] in style.woods


def test_handles_of_a_house_are_alike_unless_described(rng):
    style = Style(rng)
    first = style.colours(rng, facts("dresser", "oak dresser", "body", "handle"))
    assert first == style.colours(rng, facts("cabinet", "white cabinet", "front", "handle"))
    assert set(first) == {"handle"}
    assert style.colours(rng, facts("cabinet", "cabinet with a brass handle", "handle")) == {}


def test_what_one_picks_up_keeps_its_colours(rng):
    assert Style(rng).colours(rng, facts("mug", "mug", "body", "handle", is_pickupable=True)) == {}


def test_every_room_has_a_lamp_and_one_is_always_on():
    suns = []
    for seed in range(200):
        lights = draw_lights(np.random.default_rng(seed), RECTS, 2.7)
        lamps = [light for light in lights if not light.is_sun]
        suns.append(len(lights) - len(lamps))
        assert any(lamp.is_on for lamp in lamps)
        for lamp, rect in zip(lamps, RECTS, strict=True):
            assert rect.contains(Rect(*lamp.position_m[:2], *lamp.position_m[:2]))
            assert lamp.position_m[2] < 2.7
            assert np.linalg.norm(lamp.direction) == pytest.approx(1, abs=1e-3)
            assert lamp.direction[2] < -0.9
    assert 0 < sum(suns) < 200


def test_the_same_generator_gives_the_same_looks():
    first, second = (draw_lights(np.random.default_rng(5), RECTS, 2.7) for _ in range(2))
    assert first == second
    assert Style(np.random.default_rng(5)).woods == Style(np.random.default_rng(5)).woods
