import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from zoo.envs.assets import shapes
from zoo.envs.assets.shapes import Shape
from zoo.envs.simulator import mujoco

LENGTH = st.floats(0.01, 0.5)
PLACE = st.tuples(*[st.floats(-1, 1)] * 3)


def points_on(shape: Shape, count: int = 4000) -> np.ndarray:
    """(count, 3) points on or in the surface of a shape, where it is."""
    rng = np.random.default_rng(0)
    unit = rng.normal(size=(count, 3))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    a, b, c = shape.size
    if shape.kind == "box":
        local = np.sign(unit) * (a, b, c)
    elif shape.kind == "mesh":
        local = np.array(shape.vertices_m)
    elif shape.kind == "cylinder":
        flat = unit[:, :2] / np.linalg.norm(unit[:, :2], axis=1, keepdims=True)
        local = np.c_[a * flat, b * np.sign(unit[:, 2])]
    elif shape.kind == "capsule":
        local = a * unit + np.outer(np.sign(unit[:, 2]), (0, 0, b))
    else:
        local = unit * ((a, a, a) if shape.kind == "sphere" else (a, b, c))
    return local @ np.array(shapes.matrix(shape.quat_wxyz)).T + shape.centre_m


@st.composite
def any_shape(draw) -> Shape:
    size, at = (draw(LENGTH), draw(LENGTH), draw(LENGTH)), draw(PLACE)
    made = draw(
        st.sampled_from(
            [
                shapes.box(size, at),
                shapes.cylinder(size[0], size[1], at),
                shapes.ball(size[0], at),
                shapes.ellipsoid(size, at),
                shapes.rod(at, size, 0.02),
                shapes.bar(at, size, 0.02),
                shapes.cone(size[0], size[1], size[2], at),
            ]
        )
    )
    axis = draw(st.sampled_from([(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.6, 0.8)]))
    return made.turned(axis, draw(st.floats(-3, 3)))


@settings(max_examples=60, deadline=None)
@given(any_shape())
def test_bounds_are_those_of_the_points(shape):
    points = points_on(shape)
    low, high = map(np.array, shape.bounds())
    # Points reach the true extent of round shapes only nearly: 1 - cos of half their angular distance.
    slack = 0.02 * np.max(high - low)
    assert (points >= low - 1e-9).all()
    assert (points <= high + 1e-9).all()
    np.testing.assert_allclose(points.min(0), low, atol=slack)
    np.testing.assert_allclose(points.max(0), high, atol=slack)


@settings(max_examples=25, deadline=None)
@given(any_shape())
def test_volume_is_the_simulators(shape):
    spec = mujoco.MjSpec()
    body = spec.worldbody.add_body()
    geom = body.add_geom(type=getattr(mujoco.mjtGeom, f"mjGEOM_{shape.kind.upper()}"), density=1000.0)
    if shape.kind == "mesh":
        spec.add_mesh(name="mesh").uservert = np.ravel(shape.vertices_m)
        geom.meshname = "mesh"
    else:
        geom.size = shape.size
    assert spec.compile().body_mass[1] == pytest.approx(1000 * shape.volume_m3(), rel=1e-5)  # meshes are float32


@given(PLACE, PLACE, st.floats(0.001, 0.1))
def test_a_rod_reaches_from_start_to_end(start, end, radius):
    assume(math.dist(start, end) > 1e-3)
    rod = shapes.rod(start, end, radius)
    along = np.array(shapes.matrix(rod.quat_wxyz))[:, 2] * rod.size[1]
    along *= np.sign(along @ np.subtract(end, start))  # either end of a rod may be its first
    np.testing.assert_allclose(np.array(rod.centre_m) - along, start, atol=1e-9)
    np.testing.assert_allclose(np.array(rod.centre_m) + along, end, atol=1e-9)


@pytest.mark.parametrize("top_radius", [None, 0.05, 0.09])
@pytest.mark.parametrize("sides", [6, 8])
def test_a_ring_leaves_its_middle_free_and_closes_around_it(top_radius, sides):
    radius, height, wall = 0.07, 0.1, 0.01
    panels = shapes.ring(radius, height, wall, (0.3, -0.2, 0.5), top_radius=top_radius, sides=sides)
    low, high = shapes.union([panel.bounds() for panel in panels])
    assert (low[2], high[2]) == pytest.approx((0.5, 0.6))
    wide = max(radius, top_radius or radius)
    assert high[0] == pytest.approx(0.3 + wide)  # a panel faces +x
    spec = mujoco.MjSpec()
    for panel in panels:
        geom = spec.worldbody.add_geom(type=getattr(mujoco.mjtGeom, f"mjGEOM_{panel.kind.upper()}"))
        geom.pos, geom.quat, geom.size = panel.centre_m, panel.quat_wxyz, panel.size
        if panel.kind == "mesh":
            geom.meshname = "panel"
    if top_radius is not None:
        spec.add_mesh(name="panel").uservert = np.ravel(panels[0].vertices_m)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    middle, hit = np.array([0.3, -0.2, 0.55]), np.zeros(1, np.int32)
    half_way = (radius + (top_radius or radius)) / 2
    for turn in np.linspace(0, 2 * np.pi, 37):
        ray = np.array([np.cos(turn), np.sin(turn), 0.0])
        distance = mujoco.mj_ray(model, data, middle, ray, None, 1, -1, hit)
        assert half_way - wall - 1e-6 <= distance <= (half_way - wall) / math.cos(math.pi / sides) + 1e-6


def test_a_frame_has_the_size_asked_for():
    low, high = shapes.union([board.bounds() for board in shapes.frame((0.4, 0.3, 0.2), 0.01, (0.0, 0.0, 0.1))])
    np.testing.assert_allclose([low, high], [(-0.2, -0.15, 0.1), (0.2, 0.15, 0.3)])


def test_legs_span_their_spread():
    low, high = shapes.union([leg.bounds() for leg in shapes.legs((0.04, 0.04, 0.7), (0.6, 0.4))])
    np.testing.assert_allclose([low, high], [(-0.3, -0.2, 0.0), (0.3, 0.2, 0.7)], atol=1e-12)
