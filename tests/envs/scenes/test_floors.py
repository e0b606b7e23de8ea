"""Floors: polygons are cut into triangles once and without gaps; what one sees and what one stands on."""

import math

import numpy as np
import pytest
from box_house import LIBRARIES, PLANKS, WHITE, house
from hypothesis import given
from hypothesis import strategies as st

from zoo.envs.scenes.compile import build_spec, compile_scene
from zoo.envs.scenes.export_mjcf import export_mjcf
from zoo.envs.scenes.floors import triangles
from zoo.envs.scenes.specification import Room
from zoo.envs.simulator import mujoco
from zoo.errors import DataError

L_SHAPE = ((0.0, 0.0), (4.0, 0.0), (4.0, 2.0), (2.0, 2.0), (2.0, 5.0), (0.0, 5.0))


def area(polygon) -> float:
    x, y = np.array(polygon).T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) / 2)


@st.composite
def star_polygons(draw):
    """Simple outlines around the origin, some with extra corners in the middle of edges."""
    count = draw(st.integers(3, 12))
    radii = draw(st.lists(st.floats(0.5, 5.0), min_size=count, max_size=count))
    corners = [
        (r * math.cos(2 * math.pi * i / count), r * math.sin(2 * math.pi * i / count)) for i, r in enumerate(radii)
    ]
    polygon = []
    for corner, following in zip(corners, corners[1:] + corners[:1], strict=True):
        polygon.append(corner)
        if draw(st.booleans()):
            polygon.append(((corner[0] + following[0]) / 2, (corner[1] + following[1]) / 2))
    return tuple(polygon)


@given(star_polygons())
def test_triangles_cover_the_polygon_once(polygon):
    cut = [area([polygon[i] for i in triple]) for triple in triangles(polygon)]
    assert min(cut) > 0
    assert sum(cut) == pytest.approx(area(polygon), rel=1e-6)


@pytest.mark.parametrize("polygon", [L_SHAPE, ((0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (2.0, 1.0), (0.0, 1.0))])
def test_corners_that_are_not_convex(polygon):
    assert sum(area([polygon[i] for i in triple]) for triple in triangles(polygon)) == pytest.approx(area(polygon))


def test_crossing_outlines_are_refused():
    crossed = ((0.0, 0.0), (5.0, 0.0), (5.0, 5.0), (3.0, -2.0), (1.0, 5.0), (0.0, 5.0))
    with pytest.raises(DataError, match=r"crosses itself; expected a simple outline"):
        triangles(crossed)


def ray(model, start, direction, groups=None) -> tuple[float, str]:
    data, hit = mujoco.MjData(model), np.array([-1], np.int32)
    mujoco.mj_forward(model, data)
    mask = None if groups is None else np.array(groups, np.uint8)
    distance = mujoco.mj_ray(model, data, np.array(start, float), np.array(direction, float), mask, 1, -1, hit, None)
    return distance, model.geom(hit[0]).name if hit[0] >= 0 else ""


def test_a_room_of_any_outline_has_a_floor_and_perhaps_a_ceiling():
    room = Room(name="hall", room_type="hall", polygon_m=L_SHAPE, floor=PLANKS, ceiling=WHITE)
    scene = house(rooms=(room,), walls=(), lights=(), objects=())
    drawn = [1, 1, 1, 0, 0, 0]  # group 3 is what pictures leave out
    model = compile_scene(scene, LIBRARIES)
    assert ray(model, (1.0, 4.0, 1.0), (0, 0, -1), drawn) == (pytest.approx(1.0), "hall/floor")
    assert ray(model, (3.0, 1.0, 1.0), (0, 0, -1), drawn)[1] == "hall/floor"
    assert ray(model, (3.0, 4.0, 1.0), (0, 0, -1), drawn)[1] == ""  # outside
    assert ray(model, (3.0, 4.0, 1.0), (0, 0, -1)) == (pytest.approx(1.0), "floor")  # the plane is everywhere
    assert model.ngeom == 2


def test_ceilings_are_as_high_as_the_walls():
    model = compile_scene(house(), LIBRARIES, with_ceiling=True)
    assert ray(model, (1.0, 1.0, 1.0), (0, 0, 1)) == (pytest.approx(1.5), "kitchen/ceiling")
    assert ray(model, (6.0, 1.0, 1.0), (0, 0, 1)) == (pytest.approx(1.5), "bedroom/ceiling")
    assert ray(compile_scene(house(), LIBRARIES), (1.0, 1.0, 1.0), (0, 0, 1))[1] == ""


@pytest.mark.parametrize("size", [(3.05, 2.55), (3.05, 4.6), (4.35, 3.35), (5.05, 3.8)])
def test_a_floor_is_read_again_from_the_digits_of_a_file(size, tmp_path):
    """The inertia of a flat shell of these sizes breaks A + B >= C once it is rounded."""
    (x, y), (width, depth) = (4.1, 0.35), size
    outline = ((x, y), (x + width, y), (x + width, y + depth), (x, y + depth))
    room = Room(name="hall", room_type="hall", polygon_m=outline, floor=PLANKS, ceiling=WHITE)
    spec = build_spec(house(rooms=(room,), walls=(), lights=()), LIBRARIES)
    path = export_mjcf(spec, tmp_path / "scene.xml")
    assert mujoco.MjModel.from_xml_path(str(path)).geom("hall/floor").id >= 0
