"""The tabletop's model and physics: what stands stays, what is pushed goes, what is aimed at is hit."""

import dataclasses
import math

import numpy as np
import pytest

from zoo.envs.simulator import mujoco
from zoo.envs.tabletop_scene import (
    COLOURS,
    DIRECTIONS,
    SHAPES,
    SIZES_M,
    CameraSpec,
    Event,
    ObjectSpec,
    SceneSpec,
    build_model,
    rest_height_m,
    simulate,
)

CAMERA = CameraSpec(look_at_m=(0, 0, 0.05), azimuth=0.6, elevation=0.8, distance_m=1.5, fov_y_deg=42)
FRAMES = {"num_frames": 20, "fps": 8.0}


def scene_of(*objects: ObjectSpec, events: tuple[Event, ...] = (), camera: CameraSpec = CAMERA) -> SceneSpec:
    return SceneSpec(
        objects=objects,
        events=events,
        camera=camera,
        table_rgb=(0.5, 0.5, 0.5),
        light_direction=(0.2, 0.2, -0.96),
        light_level=1.0,
    )


def thing(x: float, y: float, *, shape: str = "cube", size: str = "small", colour: str = "red") -> ObjectSpec:
    height = rest_height_m(shape, size) + 0.0005
    return ObjectSpec(colour=colour, shape=shape, size=size, position_m=(x, y, height), yaw=0.4)


def run(scene: SceneSpec):
    return simulate(scene, build_model(scene, image_size=64), **FRAMES)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", SIZES_M)
def test_what_stands_stays(shape, size):
    trajectory = run(scene_of(thing(0, 0, shape=shape, size=size)))
    assert trajectory.drift_m < 0.002
    assert np.ptp(trajectory.positions_m, axis=0).max() < 0.002
    assert trajectory.contacts == {}
    assert trajectory.frame_qpos.shape == (20, 7)
    np.testing.assert_allclose(trajectory.frame_times_s, np.arange(20) / 8, atol=0.002)  # half a simulation step


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("speed", [0.7, 1.0])
def test_a_push_moves_along_its_direction_after_its_time(shape, speed):
    push = Event(action="push", actor=0, time_s=0.5, velocity=(0.6 * speed, 0.8 * speed, 0.0))
    trajectory = run(scene_of(thing(0, 0, shape=shape), events=(push,)))
    travel = trajectory.positions_m[:, 0, :2] - trajectory.positions_m[0, 0, :2]
    assert np.abs(travel[trajectory.times_s <= 0.5]).max() < 0.002
    assert math.hypot(*travel[-1]) > 0.08
    np.testing.assert_allclose(travel[-1] / math.hypot(*travel[-1]), [0.6, 0.8], atol=0.2)  # cubes turn a little


@pytest.mark.parametrize("shape", SHAPES)
def test_a_hit_touches_its_target(shape):
    hit = Event(action="hit", actor=1, time_s=0.3, velocity=(1.3, 0.0, 0.0), target=0)
    trajectory = run(scene_of(thing(0.0, 0.4), thing(0.0, 0.0, shape=shape), thing(0.4, 0.0), events=(hit,)))
    assert set(trajectory.contacts) == {(0, 1)}
    assert 0.3 < trajectory.contacts[0, 1] < 1.0
    travel = np.linalg.norm(trajectory.positions_m[-1] - trajectory.positions_m[0], axis=-1)
    assert travel[0] > 0.03
    assert travel[2] < 0.002


def test_an_entering_object_floats_until_its_time_and_lands():
    enter = Event(action="enter", actor=0, time_s=0.8, velocity=(1.2, 0.0, 0.5))
    item = dataclasses.replace(thing(-1, 0), position_m=(-1.0, 0.0, 0.25))
    trajectory = run(scene_of(item, thing(0.6, 0.6), events=(enter,)))
    before = trajectory.positions_m[trajectory.times_s <= 0.8, 0]
    np.testing.assert_allclose(before, [[-1.0, 0.0, 0.25]] * len(before), atol=1e-4)
    end = trajectory.positions_m[-1, 0]
    assert end[0] > -0.4
    assert end[2] < 0.08


def test_a_simulation_that_blows_up_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its log into the working directory
    blast = Event(action="push", actor=0, time_s=0.3, velocity=(float("nan"), 0.0, 0.0))
    assert not run(scene_of(thing(0, 0), events=(blast,))).is_stable
    assert run(scene_of(thing(0, 0))).is_stable


def test_two_runs_are_identical():
    hit = Event(action="hit", actor=1, time_s=0.3, velocity=(1.3, 0.0, 0.0), target=0)
    scene = scene_of(thing(0.0, 0.4), thing(0.0, 0.0, shape="cone"), events=(hit,))
    first, second = run(scene), run(scene)
    np.testing.assert_array_equal(first.frame_qpos, second.frame_qpos)
    assert first.contacts == second.contacts


@pytest.mark.parametrize("azimuth", [0.0, 1.0, 4.0])
def test_projection_agrees_with_the_directions(azimuth):
    camera = dataclasses.replace(CAMERA, azimuth=azimuth, look_at_m=(0.0, 0.0, 0.0))
    np.testing.assert_allclose(camera.project(np.zeros(3))[0], 0, atol=1e-12)
    steps = {"left": -camera.right, "right": camera.right, "toward": -camera.forward, "away": camera.forward}
    moved = {name: camera.project(0.1 * steps[name])[0] for name in DIRECTIONS}
    assert moved["left"][0] < -0.05
    assert moved["right"][0] > 0.05
    assert moved["toward"][1] > 0.05
    assert moved["away"][1] < -0.05
    axes = np.stack([camera.right, camera.up, -camera.view])
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1)


@pytest.mark.render
def test_projection_agrees_with_the_renderer():
    from zoo.envs.rendering import OffscreenRenderer

    objects = (thing(0.3, 0.1, shape="ball"), thing(-0.2, 0.25, shape="ball"), thing(0.0, -0.3, shape="ball"))
    scene = scene_of(*objects)
    model = build_model(scene, image_size=200)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    with OffscreenRenderer(width=200, height=200) as renderer:
        renderer.bind(model)
        renderer.update(data)
        ids = renderer.geom_ids()
    for index, item in enumerate(objects):
        rows, columns = np.nonzero(ids == model.geom(f"object{index}").id)
        drawn = np.array([columns.mean() + 0.5, rows.mean() + 0.5])
        plane, _ = CAMERA.project(np.array(item.position_m))
        np.testing.assert_allclose(drawn, (plane + 1) * 100, atol=1.0)  # pixels; a sphere's outline is no circle


def test_colours_are_far_apart():
    colours = np.array(list(COLOURS.values()))
    distances = np.linalg.norm(colours[:, None] - colours[None], axis=-1) + 9 * np.eye(len(colours))
    assert distances.min() > 0.4
