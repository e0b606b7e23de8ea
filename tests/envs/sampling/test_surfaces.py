import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.envs.houses.footprints import Footprint
from zoo.envs.sampling.surfaces import OpenSurface, draw_place, is_inside, open_surfaces, standing_things


@pytest.fixture(scope="module")
def stage(drawn):
    found = drawn("pick")
    return found.sampler.stage(found.place)


def surface(yaw):
    return OpenSurface(host="table", centre_m=(1.0, 2.0), height_m=0.75, size_m=(0.8, 1.6), yaw=yaw, clearance_m=1.0)


@given(st.floats(-math.pi, math.pi), st.floats(-0.5, 0.5), st.floats(-0.9, 0.9))
def test_holds_is_a_rectangle_in_the_frame_of_the_host(yaw, x, y):
    c, s = math.cos(yaw), math.sin(yaw)
    point = Footprint(1.0 + c * x - s * y, 2.0 + s * x + c * y, 0.0, 0.0, 0.0)
    margin = min(0.4 - abs(x), 0.8 - abs(y))
    if abs(margin) > 1e-9:
        assert surface(yaw).holds(point) == (margin > 0)


def test_targets_stand_on_open_surfaces(stage):
    things = standing_things(stage)
    assert things
    surfaces = open_surfaces(stage)
    for thing in things:
        assert thing.surface in surfaces[stage.place.scene.object(thing.name).support]
        bottom = stage.world.box(thing.name)
        assert abs(bottom[0][2] - bottom[1][2] - thing.surface.height_m) < 0.03
        assert not is_inside(stage, thing.name)


def test_what_stands_on_the_floor_or_in_a_cabinet_is_no_target(stage):
    things = {thing.name for thing in standing_things(stage)}
    for item in stage.place.scene.objects:
        if item.support == "floor" or is_inside(stage, item.name):
            assert item.name not in things


def test_draw_place(stage):
    thing = standing_things(stage)[0]
    rng, table = np.random.default_rng(0), surface(0.3)
    arguments = {"around_m": np.array([1.0, 2.0]), "distance_m": (0.15, 0.3), "gap_m": 0.02}
    found = [draw_place(stage, rng, table, thing.facts, obstacles=[], **arguments) for _ in range(50)]
    fitting = [place for place in found if place is not None]
    assert fitting
    for place in fitting:
        assert 0.15 <= math.hypot(place.x - 1.0, place.y - 2.0) <= 0.3
        assert table.holds(place)
    everywhere = [Footprint(1.0, 2.0, 2.0, 2.0, 0.0)]
    assert not any(draw_place(stage, rng, table, thing.facts, obstacles=everywhere, **arguments) for _ in range(50))
