"""What walls are said to hide is hidden: by a count of pixels, and for eyes and things anywhere by rays."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from two_rooms import DEPTH_M, DOOR_OFFSET_M, DOOR_WIDTH_M, WIDTH_M, two_rooms

from zoo.envs.rendering import OffscreenRenderer
from zoo.envs.simulation.wall_sight import Outline, WallSight
from zoo.envs.simulator import mujoco

THINGS = {
    "bed": ("bed_0", (2.6, 1.0, 0.0)),
    "shelf": ("shelf_0", (1.2, 3.2, 0.0)),
    "chair": ("chair_0", (DEPTH_M + 2.0, 1.6, 0.0)),
    "sofa": ("sofa_0", (DEPTH_M + 1.0, 0.6, 0.0)),
}
EYE_M = 1.4


@pytest.fixture(scope="module")
def scene():
    spec = two_rooms(THINGS).build()
    spec.worldbody.add_camera(name="eye", pos=(1.0, 1.0, EYE_M), fovy=60)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data, WallSight(model, data)


def hidden(scene, x, y, z=EYE_M):
    """(geoms,) bool, of all that have a box around them."""
    model, data, sight = scene
    geoms = np.flatnonzero(model.geom_rbound > 0)
    found = np.zeros(model.ngeom, bool)
    found[geoms] = sight.hides(data, np.array([x, y, z]), geoms)
    return found


def names(scene, geoms):
    model = scene[0]
    return {model.body(model.body_rootid[model.geom_bodyid[geom]]).name for geom in np.flatnonzero(geoms)}


def test_walls_are_whole_boxes_of_one_height(scene):
    """Four around, and two beside the door; neither the lintel nor furniture."""
    _, _, sight = scene
    assert sight.number == 6
    assert sight.top_m == 2.5


def test_what_is_behind_a_wall_and_what_is_before_a_door(scene):
    beside_door = names(scene, hidden(scene, 3.5, 0.3))
    assert {"chair", "sofa"} <= beside_door
    assert not {"bed", "shelf"} & beside_door
    before_door = hidden(scene, 2.0, DOOR_OFFSET_M + DOOR_WIDTH_M / 2)
    assert "chair" not in names(scene, before_door)


@pytest.mark.parametrize("eye", [(2.0, 1.0, 5.0), (2.0, 1.0, -0.1), (-4.0, 1.0, EYE_M)])
def test_eyes_above_below_and_outside_the_house_are_told_nothing(scene, eye):
    assert not hidden(scene, *eye).any()


def test_a_wall_that_is_very_near_hides_nothing(scene):
    """The picture's nearest plane may cut it open."""
    side = 0.5  # of the door, along the wall between the rooms
    assert "sofa" in names(scene, hidden(scene, DEPTH_M - 0.4, side))
    assert "sofa" not in names(scene, hidden(scene, DEPTH_M - 0.08, side))


def test_glass_hides_nothing(scene):
    model, data, _ = scene
    walls = model.geom_type == int(mujoco.mjtGeom.mjGEOM_BOX)
    alphas, materials = model.geom_rgba[:, 3].copy(), model.geom_matid.copy()
    model.geom_rgba[walls, 3], model.geom_matid[walls] = 0.5, -1
    try:
        assert WallSight(model, data).number == 0
    finally:
        model.geom_rgba[:, 3], model.geom_matid[:] = alphas, materials


@settings(max_examples=40, deadline=None)
@given(st.floats(0.2, 2 * DEPTH_M - 0.2), st.floats(0.2, WIDTH_M - 0.2), st.floats(0.1, 2.0), st.integers(0, 2**16))
def test_no_ray_meets_what_is_hidden(scene, x, y, z, seed):
    model, data, _ = scene
    gone = hidden(scene, x, y, z)
    eye, group = np.array([x, y, z]), np.array([1, 1, 1, 0, 0, 0], np.uint8)
    directions = np.random.default_rng(seed).normal(size=(400, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    met, distances = np.full(400, -1, np.int32), np.zeros(400)
    mujoco.mj_multiRay(model, data, eye, directions.ravel(), group, 1, -1, met, distances, None, 400, 1e10)
    assert not gone[met[met >= 0]].any()


@pytest.mark.render
def test_pictures_are_the_same_without_what_is_hidden(scene):
    model, data, _ = scene
    rng, count = np.random.default_rng(0), 0
    with OffscreenRenderer(width=96, height=64) as renderer:
        renderer.bind(model)
        for _ in range(24):
            place = rng.uniform([0.3, 0.3], [2 * DEPTH_M - 0.3, WIDTH_M - 0.3])
            yaw, pitch = rng.uniform(-math.pi, math.pi), rng.uniform(0.9, 1.7)
            turn = np.zeros(4), np.zeros(4)
            mujoco.mju_axisAngle2Quat(turn[0], np.array([0.0, 0, 1]), yaw)
            mujoco.mju_axisAngle2Quat(turn[1], np.array([1.0, 0, 0]), pitch)
            mujoco.mju_mulQuat(model.cam_quat[0], *turn)
            model.cam_pos[0] = *place, EYE_M
            mujoco.mj_forward(model, data)
            renderer.update(data)
            whole, groups, gone = renderer.rgb(), model.geom_group.copy(), hidden(scene, *place)
            model.geom_group[gone] = 3
            renderer.update(data)
            model.geom_group[:] = groups
            np.testing.assert_array_equal(renderer.rgb(), whole)
            count += int(gone.sum())
    assert count > 100


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_what_has_a_point_in_sight_is_not_behind(seed):
    rng = np.random.default_rng(seed)
    edges = np.sort(rng.uniform(-math.pi, math.pi, 12))
    edges = np.append(edges, edges[0] + 2 * math.pi)
    outline = Outline(edges, rng.uniform(1.0, 5.0, 12))
    angle = rng.uniform(-math.pi, math.pi)
    part = int(np.searchsorted(edges, angle, side="right")) - 1  # -1, before the first edge, is the last part
    point = rng.uniform(0.1, outline.farthest_m[part]) * np.array([math.cos(angle), math.sin(angle)])
    corners = rng.normal(scale=0.3, size=(7, 2))
    corners = np.concatenate([corners, -corners.sum(axis=0, keepdims=True)]) + point  # around the point
    assert not outline.is_past(point[None])[0]
    assert not outline.is_behind(corners[None])[0]
