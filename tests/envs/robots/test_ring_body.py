"""RING bodies: ranges of the sampler, field-of-view rules, embodiment vector, bodies of the evaluation."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.envs.kinematics import poses
from zoo.envs.robots.cameras import add_cameras, axes_of, horizontal_fov_deg
from zoo.envs.robots.ring_body import (
    BODIES,
    EmbodimentParams,
    RingBody,
    RingCamera,
    draw_embodiment,
    fov_bounds_deg,
)
from zoo.errors import ConfigError, UnknownNameError


@given(st.integers(0, 2**32 - 1))
def test_random_bodies_are_within_the_ranges(seed):
    body = draw_embodiment(np.random.default_rng(seed))
    width, height, depth = body.size_m
    assert 0.2 <= width <= 0.5
    assert 0.2 <= depth <= 0.5
    assert 0.3 <= height <= 1.5
    assert abs(body.pivot_m[0]) <= width / 2.5
    assert abs(body.pivot_m[1]) <= depth / 2.5
    assert 224 in (body.width, body.height)
    for side in (body.width, body.height):
        assert side % 2 == 0
        assert 112 <= side <= 448
    first, second = body.cameras
    assert first.yaw_deg == 0
    assert 0 <= second.yaw_deg < 360
    assert -20 <= first.pitch_deg < 40
    assert -20 <= second.pitch_deg < (40 if second.y_m < 0.5 else 60)
    for camera in body.cameras:
        assert abs(camera.x_m) <= width / 2
        assert abs(camera.z_m) <= depth / 2
        assert 0.3 <= camera.y_m <= height
        assert 40 <= camera.fovy_deg <= 100
        assert 40 - 1e-9 <= horizontal_fov_deg(camera.fovy_deg, body.width, body.height) <= 120 + 1e-9
    assert body == draw_embodiment(np.random.default_rng(seed))


def test_a_low_camera_limits_no_later_body():
    rng = np.random.default_rng(0)
    bodies = [draw_embodiment(rng) for _ in range(400)]
    first_low = next(index for index, body in enumerate(bodies) if body.cameras[1].y_m < 0.5)
    later = [body.cameras[1].pitch_deg for body in bodies[first_low:]]
    assert max(later) >= 55  # with the shared list of the release it would stay below 40
    assert {body.width > body.height for body in bodies} == {True, False}


@pytest.mark.parametrize(("size", "bounds"), [((224, 224), (40, 100)), ((448, 224), (40, 81)), ((224, 448), (73, 100))])
def test_fields_of_view_are_bounded_both_ways(size, bounds):
    assert fov_bounds_deg(*size) == bounds


def test_bodies_with_the_same_pictures_have_fields_of_view_for_their_aspect():
    rng = np.random.default_rng(0)
    bodies = [draw_embodiment(rng, picture=(112, 64)) for _ in range(400)]
    assert {(body.width, body.height) for body in bodies} == {(112, 64)}
    drawn = {camera.fovy_deg for body in bodies for camera in body.cameras}
    assert (min(drawn), max(drawn)) == fov_bounds_deg(112, 64) == (40, 89)
    with pytest.raises(ConfigError, match="random bodies with pictures of 640x64 pixels: none has"):
        draw_embodiment(rng, picture=(640, 64))


def test_the_vector_has_nineteen_numbers():
    vector = BODIES["stretch"].vector()
    expected = [59, 59, 27, 0, 33, 90, 0, 1.44, 0, 0, 1.44, 0, 396, 224, 0, 0.116, 0.390, 1.416, 0.329]
    np.testing.assert_allclose(vector, np.float32(expected))
    assert vector.dtype == np.float32
    one = BODIES["a1"].vector()
    assert one.shape == (19,)
    np.testing.assert_allclose(one[[1, 4, 5, 9, 10, 11]], 0)  # no second camera
    np.testing.assert_allclose(one[6:9], np.float32([0.009, 0.300, 0.272]))


@pytest.mark.parametrize("name", BODIES)
def test_bodies_of_the_evaluation_compile(name, build_robot):
    robot = RingBody(name)
    system = next(iter(robot.camera_systems.values()))
    view = build_robot(robot, edit=lambda spec: add_cameras(spec, system.nominal()))
    geom = view.model.geom("robot_0/box")
    size = robot.params.size_m
    np.testing.assert_allclose(2 * geom.size[:2], [size[2], size[0]])
    assert view.data.geom("robot_0/box").xpos[2] + geom.size[2] == pytest.approx(size[1])
    assert view.data.ncon == 0


def test_pivot_and_cameras_are_where_they_should_be(build_robot):
    camera = RingCamera(x_m=0.05, y_m=0.8, z_m=0.1, pitch_deg=20, yaw_deg=90, fovy_deg=60)
    robot = RingBody(EmbodimentParams(size_m=(0.4, 1.0, 0.3), pivot_m=(0.1, -0.08), cameras=(camera,)))
    (placed,) = robot.camera_systems["ring_body"].nominal()
    view = build_robot(
        robot, base_pose7=poses.planar_pose7(1, 2, np.pi / 2), edit=lambda spec: add_cameras(spec, [placed])
    )
    # It looks along +y of the world: right of it is +x.
    np.testing.assert_allclose(view.data.geom("robot_0/box").xpos[:2], [1.1, 1.92], atol=1e-9)
    np.testing.assert_allclose(view.data.cam_xpos[0], [1.15, 2.02, 0.8], atol=1e-9)
    forward = -view.data.cam_xmat[0].reshape(3, 3)[:, 2]
    down = np.radians(20)
    np.testing.assert_allclose(forward, [np.cos(down), 0, -np.sin(down)], atol=1e-9)
    assert axes_of(placed.quat_wxyz)[0][1] < 0


def test_radii_enclose_and_fit():
    body = BODIES["locobot"]
    assert body.outer_radius_m == pytest.approx(np.hypot(0.352, 0.401) / 2)
    assert body.inner_radius_m == pytest.approx(0.176)


@given(st.integers(0, 2**32 - 1))
def test_bodies_survive_json(seed):
    body = draw_embodiment(np.random.default_rng(seed))
    content = json.loads(json.dumps(body.to_json()))
    assert EmbodimentParams.from_json(content) == body == RingBody(content).params


def test_what_json_may_leave_out():
    content = {"size_m": [0.4, 1, 0.3], "cameras": [{"y_m": 0.9, "fovy_deg": 60}]}
    camera = RingCamera(y_m=0.9, fovy_deg=60)
    assert RingBody(content).params == EmbodimentParams(size_m=(0.4, 1.0, 0.3), cameras=(camera,))


CAMERA = {"y_m": 0.9, "fovy_deg": 60}


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (3, "body is 3, expected an object"),
        ({"cameras": [CAMERA]}, "body.size_m is missing"),
        ({"size_m": [1, 1], "cameras": [CAMERA]}, r"body.size_m is \[1, 1\], expected a list of 3 values"),
        ({"size_m": [1, 1, 1], "cameras": CAMERA}, "body.cameras is .* expected a list of cameras"),
        ({"size_m": [1, 1, 1], "cameras": [{"y_m": 1}]}, r"body.cameras\[0\].fovy_deg is missing"),
        ({"size_m": [1, 1, 1], "cameras": [CAMERA | {"roll_deg": 1}]}, r"cameras\[0\].roll_deg is not known"),
        ({"size_m": [1, 1, 1], "cameras": [CAMERA], "width": 1.5}, "body.width is 1.5, expected a whole number"),
        ({"size_m": [1, 1, float("nan")], "cameras": [CAMERA]}, r"body.size_m\[2\] is nan"),
        ({"size_m": [1, 1, 1], "cameras": []}, "has 0 cameras, expected one or two"),
        ({"size_m": [1, -1, 1], "cameras": [CAMERA]}, "all must be more than 0"),
    ],
)
def test_json_that_makes_no_body(content, match):
    with pytest.raises(ConfigError, match=match):
        EmbodimentParams.from_json(content)


def test_bad_bodies_are_named():
    with pytest.raises(UnknownNameError, match="no RING body 'spot'; there are stretch"):
        RingBody("spot")
    camera = RingCamera(y_m=0.5, fovy_deg=60)
    with pytest.raises(ConfigError, match="has 3 cameras, expected one or two"):
        EmbodimentParams(size_m=(0.4, 1, 0.4), cameras=(camera,) * 3)
    with pytest.raises(ConfigError, match="all must be more than 0"):
        EmbodimentParams(size_m=(0.4, 0, 0.4), cameras=(camera,))
