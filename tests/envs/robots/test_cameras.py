"""Camera systems: matrices against pixels, noise within its bounds, the numbers of the sheet."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.envs.kinematics import poses
from zoo.envs.rendering import OffscreenRenderer
from zoo.envs.robots import franka, rby1, stretch
from zoo.envs.robots.cameras import (
    CameraNoise,
    CameraSystem,
    PlacedCamera,
    RandomCamera,
    add_cameras,
    axes_of,
    camera_from_world_cv,
    horizontal_fov_deg,
    intrinsics,
    looking_at,
    move_camera,
    project,
    quat_from_axes,
    quat_from_pitch,
    world_from_camera_gl,
)
from zoo.envs.robots.franka import FrankaDroid
from zoo.errors import ConfigError

CENTRE = (0.5, 0.1, 0.8)
SYSTEMS = {
    system.name: system for system in (franka.DROID, franka.OMNI, franka.REALSENSE, rby1.CAMERAS, stretch.CAMERAS)
}


@pytest.mark.parametrize(
    ("system", "size", "fields"),
    [
        ("droid", (640, 368), {"wrist_camera": 56.74, "exo_camera_1": 71}),
        ("omni", (624, 352), {"wrist_camera": 52, "exo_camera_1": 71}),
        ("rby1", (1024, 576), {"head_camera": 139, "wrist_camera_left": 58, "wrist_camera_right": 58}),
        ("stretch", (396, 224), {"navigation_camera": 59, "manipulation_camera": 59}),
    ],
)
def test_numbers_are_those_of_the_sheets(system, size, fields):
    found = SYSTEMS[system]
    assert (found.width, found.height) == size
    assert {camera.name: camera.fovy_deg for camera in found.nominal()} == fields


@pytest.mark.parametrize("name", SYSTEMS)
def test_noise_stays_within_its_bounds(name):
    system = SYSTEMS[name]
    rng = np.random.default_rng(0)
    drawn = [system.draw(rng, centre_m=CENTRE) for _ in range(60)]
    for index, item in enumerate(system.mounted):
        cameras = [placed[index] for placed in drawn]
        shifts = np.array([camera.position_m for camera in cameras]) - item.camera.position_m
        assert (np.abs(shifts) <= np.array(item.noise.position_m) + 1e-12).all()
        fields = np.array([camera.fovy_deg for camera in cameras]) - item.camera.fovy_deg
        assert (np.abs(fields) <= item.noise.fovy_deg + 1e-9).all()
        turns = [poses.angle_between(item.camera.quat_wxyz, camera.quat_wxyz) for camera in cameras]
        widest = np.linalg.norm([item.noise.roll_deg, item.noise.pitch_deg, item.noise.yaw_deg])
        assert max(turns) <= np.radians(widest) + 1e-9
        assert max(turns) >= np.radians(0.4 * widest)
    for index, item in enumerate(system.random, start=len(system.mounted)):
        for camera in (placed[index] for placed in drawn):
            offset = np.array(camera.position_m) - CENTRE
            assert item.distance_m[0] <= np.hypot(*offset[:2]) <= item.distance_m[1]
            assert item.height_m[0] <= offset[2] <= item.height_m[1]
            assert item.fovy_deg[0] <= camera.fovy_deg <= item.fovy_deg[1]
            forward, _ = axes_of(camera.quat_wxyz)
            miss = np.linalg.norm(np.cross(np.array(CENTRE) - camera.position_m, forward))
            assert miss <= np.sqrt(3) * item.look_at_noise_m + 1e-9


def test_the_jitter_of_stretch_has_steps():
    rng = np.random.default_rng(0)
    fields = {round(camera.fovy_deg - 59, 6) for _ in range(200) for camera in stretch.CAMERAS.draw(rng)}
    assert fields == {round(0.1 * step, 6) for step in range(-10, 11)}


def test_the_same_seed_draws_the_same_cameras():
    draws = [franka.OMNI.draw(np.random.default_rng(5), centre_m=CENTRE) for _ in range(2)]
    assert draws[0] == draws[1]


def test_random_cameras_are_drawn_again_until_they_see_enough():
    seen = []

    def accepts(camera):
        seen.append(camera)
        return len(seen) == 3

    item = RandomCamera(name="exo", distance_m=(0.2, 0.8), height_m=(0.1, 0.6), fovy_deg=(60, 70), look_at_noise_m=0.1)
    system = CameraSystem(name="one", width=64, height=48, mounted=(), random=(item,))
    (placed,) = system.draw(np.random.default_rng(0), centre_m=CENTRE, accepts=accepts)
    assert placed is seen[2]
    system.draw(np.random.default_rng(0), centre_m=CENTRE, accepts=lambda camera: False, tries=5)
    with pytest.raises(ConfigError, match="'one' has random cameras: give centre_m"):
        system.draw(np.random.default_rng(0))


@given(st.floats(-85, 85), st.floats(-180, 180))
def test_pitch_looks_down_and_yaw_to_the_left(pitch, yaw):
    forward, up = axes_of(quat_from_pitch(pitch, yaw))
    p, y = np.radians([pitch, yaw])
    np.testing.assert_allclose(forward, [np.cos(p) * np.cos(y), np.cos(p) * np.sin(y), -np.sin(p)], atol=1e-9)
    assert up[2] > 0
    np.testing.assert_allclose(quat_from_axes(forward, up), quat_from_pitch(pitch, yaw), atol=1e-9)


def test_noise_turns_the_right_way():
    level = PlacedCamera(name="c", body=None, position_m=(0, 0, 0), quat_wxyz=quat_from_pitch(0), fovy_deg=60)
    for noise, axis in ((CameraNoise(pitch_deg=10), 1), (CameraNoise(yaw_deg=10), 2)):
        forward, _ = axes_of(noise.apply(level, np.random.default_rng(0)).quat_wxyz)
        assert forward[axis] == pytest.approx(0, abs=1e-12)  # pitch stays in the x-z plane, yaw in the x-y plane
        assert forward[0] < 1
    forward, up = axes_of(CameraNoise(roll_deg=10).apply(level, np.random.default_rng(0)).quat_wxyz)
    np.testing.assert_allclose(forward, [1, 0, 0], atol=1e-12)
    assert up[1] != 0


def test_a_camera_cannot_look_along_its_up():
    with pytest.raises(ConfigError, match="cannot look along"):
        looking_at("c", (0, 0, 1), (0, 0, 0), fovy_deg=60)


def test_intrinsics_are_the_sheets():
    matrix = intrinsics(640, 368, 56.74)
    focal = 184 / np.tan(np.radians(56.74 / 2))
    np.testing.assert_allclose(matrix, [[focal, 0, 320], [0, focal, 184], [0, 0, 1]])
    wide = horizontal_fov_deg(56.74, 640, 368)
    assert focal == pytest.approx(320 / np.tan(np.radians(wide / 2)))
    assert horizontal_fov_deg(wide, 368, 640) == pytest.approx(56.74)


def test_cameras_sit_on_the_robot(build_robot):
    placed = franka.OMNI.draw(np.random.default_rng(0), centre_m=CENTRE)
    view = build_robot(FrankaDroid(), edit=lambda spec: add_cameras(spec, placed))
    data, model = view.data, view.model
    for camera in placed:
        number = model.camera(camera.name).id
        body = "world" if camera.body is None else f"robot_0/{camera.body}"
        pose = poses.pose7(data.body(body).xpos, data.body(body).xquat)
        expected = poses.transform_points(pose, camera.position_m)
        np.testing.assert_allclose(data.cam_xpos[number], expected, atol=1e-9)
        gl, cv = world_from_camera_gl(data, number), camera_from_world_cv(data, number)
        flip = np.diag([1, -1, -1, 1.0])
        np.testing.assert_allclose(cv, (flip @ np.linalg.inv(gl))[:3], atol=1e-9)
    other = franka.DROID.nominal()[0]
    move_camera(model, other)
    assert model.camera("wrist_camera").fovy == pytest.approx(56.74)
    lost = PlacedCamera(name="lost", body="tail", position_m=(0, 0, 0), quat_wxyz=(1, 0, 0, 0), fovy_deg=50)
    with pytest.raises(ConfigError, match="'lost' sits on 'robot_0/tail', which is no body"):
        build_robot(FrankaDroid(), edit=lambda spec: add_cameras(spec, [lost]))


def test_what_is_behind_has_no_pixel():
    pixels, depth = project([[0, 0, -1.0], [0, 0, 2.0]], intrinsics(64, 48, 60), np.eye(4)[:3])
    assert np.isnan(pixels[0]).all()
    np.testing.assert_allclose(pixels[1], [32, 24])
    np.testing.assert_allclose(depth, [-1, 2])


@pytest.mark.render
@pytest.mark.parametrize("size", [(160, 92), (91, 120)])
def test_a_dot_is_drawn_where_it_is_projected(size, build_robot):
    """Coloured dots in the workspace, from the wrist, the shoulder and a tilted random camera."""
    width, height = size
    rng = np.random.default_rng(1)
    placed = franka.OMNI.draw(rng, centre_m=(0.5, 0, 0.75))
    dots = np.array([[0.5, 0.05, 0.72], [0.42, -0.08, 0.68], [0.35, 0.06, 0.78]])

    def edit(spec):
        spec.visual.global_.offwidth, spec.visual.global_.offheight = width, height
        spec.visual.quality.offsamples = 0
        for index, dot in enumerate(dots):
            spec.worldbody.add_geom(name=f"dot{index}", size=[0.008, 0, 0], pos=dot, contype=0, conaffinity=0)
        add_cameras(spec, placed)

    view = build_robot(FrankaDroid(), edit=edit)
    checked = 0
    with OffscreenRenderer(width=width, height=height) as renderer:
        for camera in placed:
            number = view.model.camera(camera.name).id
            renderer.bind(view.model, camera=number)
            renderer.update(view.data)
            ids = renderer.geom_ids()
            inner = intrinsics(width, height, camera.fovy_deg)
            pixels, depths = project(dots, inner, camera_from_world_cv(view.data, number))
            for index, (pixel, depth) in enumerate(zip(pixels, depths, strict=True)):
                rows, columns = np.nonzero(ids == view.model.geom(f"dot{index}").id)
                radius = 0.008 * inner[0, 0] / depth
                margin = 2 * radius + 1
                is_inside = (pixel > margin).all() and (pixel < np.array(size) - margin).all()
                if not is_inside or len(rows) < 0.8 * np.pi * radius**2:  # cut off or hidden
                    continue
                centre = np.array([columns.mean() + 0.5, rows.mean() + 0.5])
                np.testing.assert_allclose(centre, pixel, atol=0.5)  # a dot covers few pixels
                checked += 1
    assert checked >= 5
