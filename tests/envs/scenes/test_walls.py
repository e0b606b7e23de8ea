"""Walls: boxes beside, above and below every hole, none in one; corners are closed; panes let light through."""

import math

import numpy as np
import pytest
from box_house import BLUE, LIBRARIES, WHITE, door, house, wall, window
from hypothesis import given
from hypothesis import strategies as st

from zoo.envs.scenes.compile import compile_scene, start_state
from zoo.envs.scenes.specification import Opening
from zoo.envs.scenes.walls import CORNER_INSET_M, corner_extensions, hole_piece, solid_pieces
from zoo.envs.simulator import mujoco

LENGTH_M, HEIGHT_M = 8.0, 2.5


@st.composite
def openings(draw):
    holes, begin = [], 0.0
    for number in range(draw(st.integers(0, 4))):
        offset = begin + draw(st.floats(0.0, 1.0))
        width, bottom = draw(st.floats(0.05, 0.9)), draw(st.sampled_from([0.0, 0.4, 0.9]))
        height = draw(st.sampled_from([0.8, 1.2, HEIGHT_M - bottom]))
        holes.append(
            Opening(
                name=f"hole{number}", kind="window", offset_m=offset, width_m=width, bottom_m=bottom, height_m=height
            )
        )
        begin = offset + width
    return holes


def overlap(one, other) -> float:
    along = min(one.end, other.end) - max(one.start, other.start)
    upward = min(one.top, other.top) - max(one.bottom, other.bottom)
    return max(0.0, along) * max(0.0, upward)


@given(openings(), st.floats(0, 0.1), st.floats(0, 0.1))
def test_pieces_and_holes_tile_the_wall(holes, before, after):
    slab = wall("w", (0.0, 0.0), (LENGTH_M, 0.0), (None, None), holes)
    pieces = solid_pieces(slab, (before, after))
    everything = [*pieces, *map(hole_piece, holes)]
    for number, one in enumerate(everything):
        assert all(overlap(one, other) < 1e-9 for other in everything[number + 1 :])
    area = (LENGTH_M + before + after) * HEIGHT_M
    # Strips narrower than a millimetre are left out: at most three beside and above each hole, and one at the end.
    assert area - 0.001 * 10 * (len(holes) + 1) <= sum(piece.area for piece in everything) <= area + 1e-9


def test_corners_close_and_no_face_lies_in_anothers_plane():
    walls = house().walls
    grown = corner_extensions(walls)
    corner = 0.06 - CORNER_INSET_M
    assert grown["west"] == pytest.approx((corner, corner))  # two corners of the house
    assert grown["south1"] == pytest.approx((corner, 0.0))  # south2 goes straight on from its end
    assert grown["between"] == pytest.approx((corner, corner))  # runs into both long walls
    assert corner_extensions([wall("alone", (0.0, 0.0), (1.0, 0.0), (None, None))]) == {"alone": (0.0, 0.0)}


def ray(model, data, start, direction) -> tuple[float, str]:
    hit = np.array([-1], np.int32)
    distance = mujoco.mj_ray(model, data, np.array(start, float), np.array(direction, float), None, 1, -1, hit, None)
    return distance, model.geom(hit[0]).name if hit[0] >= 0 else ""


@pytest.fixture(scope="module")
def built():
    scene = house(openings=[door(angle=math.pi / 2)])
    model = compile_scene(scene, LIBRARIES)
    return model, start_state(model, scene)


def test_one_looks_through_doors_but_not_through_lintels(built):
    assert ray(*built, (2.0, 1.4, 1.0), (1, 0, 0))[1] == "east/0/both"
    assert ray(*built, (2.0, 1.4, 2.3), (1, 0, 0)) == (pytest.approx(1.94), "between/1/left")
    assert ray(*built, (2.0, 0.5, 1.0), (1, 0, 0)) == (pytest.approx(1.94), "between/0/left")
    assert ray(*built, (6.0, 0.5, 1.0), (-1, 0, 0)) == (pytest.approx(1.94), "between/0/right")


def test_windows_have_a_see_through_pane_and_a_sill(built):
    model, data = built
    assert ray(model, data, (1.6, 2.0, 1.4), (0, -1, 0)) == (pytest.approx(1.995), "window/pane")
    assert ray(model, data, (1.6, 2.0, 0.5), (0, -1, 0))[1] == "south1/1/left"
    assert model.mat_rgba[model.geom("window/pane").matid[0], 3] < 0.5


def test_each_face_has_its_material(built):
    model, _ = built
    left, right = (model.mat_rgba[model.geom(f"between/0/{side}").matid[0]] for side in ("left", "right"))
    np.testing.assert_allclose(left, WHITE.rgba)
    np.testing.assert_allclose(right, BLUE.rgba)


@pytest.mark.parametrize("yaw", [0.0, 0.7, math.pi / 2, -2.1])
def test_left_is_left_in_every_direction(yaw):
    along, left = np.array([math.cos(yaw), math.sin(yaw)]), np.array([-math.sin(yaw), math.cos(yaw)])
    end = tuple(np.array([1.0, 2.0]) + 3 * along)
    slanted = wall("slanted", (1.0, 2.0), end, (None, None), [window()], (WHITE, BLUE))
    model = compile_scene(house(walls=(slanted,)), LIBRARIES)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    middle = data.geom("slanted/0/left").xpos[:2] - data.geom("slanted/0/right").xpos[:2]
    np.testing.assert_allclose(middle, 0.06 * left, atol=1e-9)
    np.testing.assert_allclose(data.geom("window/pane").xpos, [*(np.array([1.0, 2.0]) + 1.6 * along), 1.4], atol=1e-9)
