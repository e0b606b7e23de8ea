"""Pieces, points and boxes: against shapes of known surface and distance, and against MuJoCo's own collisions."""

import grasp_assets
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from zoo.envs.grasps.surface import (
    AREA_PER_POINT_M2,
    ConvexPiece,
    boxes_are_clear,
    collision_geoms,
    pieces_near,
    pieces_of,
    surface_points,
)
from zoo.envs.simulator import mujoco
from zoo.errors import DataError

SHAPES = """
<mujoco>
  <asset><mesh name="wedge" vertex="0 0 0  0.1 0 0  0 0.1 0  0.1 0.1 0  0 0 0.1  0 0.1 0.1"/></asset>
  <worldbody>
    <geom name="floor" type="plane" size="5 5 0.1" pos="0 0 -1"/>
    <body name="thing" pos="0.3 -0.2 0.5" euler="20 30 40">
      <geom name="box" type="box" size="0.02 0.03 0.04" pos="1 0 0" euler="10 20 30"/>
      <geom name="ball" type="sphere" size="0.04" pos="2 0 0"/>
      <geom name="egg" type="ellipsoid" size="0.02 0.03 0.05" pos="3 0 0" euler="40 0 10"/>
      <geom name="can" type="cylinder" size="0.03 0.05" pos="4 0 0" euler="0 70 0"/>
      <geom name="pill" type="capsule" size="0.02 0.05" pos="5 0 0" euler="80 0 0"/>
      <geom name="wedge" type="mesh" mesh="wedge" pos="6 0 0"/>
      <geom name="picture" type="box" size="1 1 1" contype="0" conaffinity="0"/>
    </body>
  </worldbody>
</mujoco>
"""
KNOWN_AREA_M2 = {
    "box": 8 * (0.02 * 0.03 + 0.03 * 0.04 + 0.02 * 0.04),
    "ball": 4 * np.pi * 0.04**2,
    "can": 2 * np.pi * 0.03 * (0.03 + 0.1),
    "pill": 4 * np.pi * 0.02**2 + 2 * np.pi * 0.02 * 0.1,
    "wedge": 0.1**2 * (1 + 1 + 1 + np.sqrt(2)),
}


@pytest.fixture(scope="module")
def shapes():
    model = mujoco.MjModel.from_xml_string(SHAPES)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data


def unit_box(half=(0.5, 0.5, 0.5), position=(0, 0, 0)):
    return ConvexPiece.box(half).moved(np.eye(3), np.array(position, float))


@pytest.mark.parametrize("name", KNOWN_AREA_M2)
def test_points_are_as_many_as_the_area_asks(shapes, name):
    model, data = shapes
    pieces = pieces_of(model, data, [model.geom(name).id], model.body("thing").id)
    points, normals = surface_points(pieces, np.random.default_rng(0))
    assert len(points) == pytest.approx(KNOWN_AREA_M2[name] / AREA_PER_POINT_M2, rel=0.03)  # round things are facetted
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-9)


@pytest.mark.parametrize("name", ["box", "ball", "egg", "can", "pill", "wedge"])
def test_points_lie_on_the_surface_that_mujoco_has(shapes, name):
    """A ray along minus the normal, from 1 cm outside, meets the geom after 1 cm."""
    model, data = shapes
    body = model.body("thing").id
    points, normals = surface_points(pieces_of(model, data, [model.geom(name).id], body), np.random.default_rng(1))
    turn, place = data.xmat[body].reshape(3, 3), data.xpos[body]
    hit = np.array([-1], np.int32)
    for point, normal in zip(points[:60], normals[:60], strict=True):
        start = turn @ (point + 0.01 * normal) + place
        distance = mujoco.mj_ray(model, data, start, turn @ -normal, None, 1, -1, hit)
        assert model.geom(hit[0]).name == name
        assert distance == pytest.approx(0.01, abs=0.0012)  # facets of the largest: sagitta of 1 mm on the ball


def test_only_what_can_touch_counts(shapes):
    model, _ = shapes
    names = {model.geom(geom).name for geom in collision_geoms(model, [model.body("thing").id])}
    assert names == {"box", "ball", "egg", "can", "pill", "wedge"}


def test_faces_that_lie_on_one_another_are_not_outside():
    """Two cubes of 10 cm side by side are one block of 20 cm."""
    halves = [unit_box((0.05,) * 3, (-0.05, 0, 0)), unit_box((0.05,) * 3, (0.05, 0, 0))]
    points, _ = surface_points(halves, np.random.default_rng(0))
    assert len(points) == pytest.approx((4 * 0.2 * 0.1 + 2 * 0.01) / AREA_PER_POINT_M2, rel=0.02)
    assert not (np.abs(points[:, 0]) < 1e-9).any()


def test_what_other_pieces_cover_is_not_outside():
    points, _ = surface_points([unit_box((0.05,) * 3)], np.random.default_rng(0), others=[unit_box((1, 1, 0.05))])
    np.testing.assert_allclose(np.abs(points[:, 2]), 0.05)


def test_same_seed_same_points():
    first, again = (surface_points([unit_box((0.05,) * 3)], np.random.default_rng(5))[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_moved_piece_keeps_its_depths():
    turn, place = Rotation.from_euler("xyz", [0.3, -1, 2]).as_matrix(), np.array([0.4, 0.5, -0.6])
    points = np.random.default_rng(0).uniform(-1, 1, (50, 3))
    piece = ConvexPiece.box((0.2, 0.5, 0.7))
    np.testing.assert_allclose(piece.moved(turn, place).depth(points @ turn.T + place), piece.depth(points), atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_boxes_are_clear_agrees_with_mujoco(seed):
    """Clear is what MuJoCo measures a gap of, but for its tolerance."""
    rng = np.random.default_rng(seed)
    model, data = two_boxes()
    poses = np.tile(np.eye(4), (20, 1, 1))
    poses[:, :3, :3] = Rotation.random(20, rng=rng).as_matrix()
    poses[:, :3, 3] = rng.uniform(-0.25, 0.25, (20, 3))
    turn = Rotation.random(rng=rng).as_matrix()
    piece = ConvexPiece.box(model.geom_size[0]).moved(turn, np.zeros(3))
    clear = boxes_are_clear([piece], poses, np.zeros((1, 3)), model.geom_size[1:2])
    for pose, is_clear in zip(poses, clear, strict=True):
        data.mocap_quat[:] = [Rotation.from_matrix(m).as_quat(scalar_first=True) for m in (turn, pose[:3, :3])]
        data.mocap_pos[1] = pose[:3, 3]
        mujoco.mj_fwdPosition(model, data)
        gap = mujoco.mj_geomDistance(model, data, 0, 1, 1.0, None)
        assert is_clear == (gap > 0) or abs(gap) < 1e-5


def test_edges_are_found_whatever_the_shape():
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-2, 2) for z in (-3, 3)], float)
    np.testing.assert_allclose(ConvexPiece.hull(corners).edges, np.eye(3)[::-1], atol=1e-6)
    angle = 2 * np.pi * np.arange(6) / 6
    ring = np.stack([np.cos(angle), np.sin(angle), np.zeros(6)], axis=1)
    prism = ConvexPiece.hull(np.concatenate([ring, np.add(ring, (0, 0, 1))]))
    assert len(prism.edges) == 4  # three along its sides, one upwards


def two_boxes():
    body = '<body mocap="true"><geom type="box" size="{}"/></body>'
    text = "".join(body.format(size) for size in ("0.1 0.05 0.02", "0.02 0.08 0.04"))
    model = mujoco.MjModel.from_xml_string(f"<mujoco><worldbody>{text}</worldbody></mujoco>")
    return model, mujoco.MjData(model)


def test_pieces_near_a_point_of_a_scene(shapes):
    model, data = shapes
    centre = data.geom_xpos[model.geom("ball").id]
    assert len(pieces_near(model, data, centre, 0.2)) == 1
    assert not pieces_near(model, data, centre, 0.2, skip_bodies=[model.body("thing").id])


def test_floor_is_a_slab_within_reach(shapes):
    model, data = shapes
    (floor,) = pieces_near(model, data, (0, 0, -0.9), 0.3)
    depth = floor.depth(np.array([[0, 0, -0.99], [0.2, 0.1, -1.01]]))
    np.testing.assert_allclose(depth, [-0.01, 0.01], atol=1e-9)
    assert not pieces_near(model, data, (0, 0, 0), 0.3)


def test_a_plane_cannot_be_grasped(shapes):
    model, data = shapes
    with pytest.raises(DataError, match=r"geom 'floor' is a plane.*make it of boxes"):
        pieces_of(model, data, [model.geom("floor").id], 0)


def test_a_hull_of_many_corners_is_thinned():
    rng = np.random.default_rng(0)
    corners = rng.normal(size=(2000, 3))
    corners *= 0.05 / np.linalg.norm(corners, axis=1, keepdims=True)
    text = " ".join(f"{x:.6f}" for x in corners.ravel())
    model = mujoco.MjModel.from_xml_string(
        f'<mujoco><asset><mesh name="m" vertex="{text}"/></asset>'
        '<worldbody><body name="b"><geom type="mesh" mesh="m"/></body></worldbody></mujoco>'
    )
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    (piece,) = pieces_of(model, data, [0], 1)
    assert len(piece.vertices) <= 128
    inner = -piece.depth(np.zeros((1, 3)))
    assert 0.046 < -inner[0] <= 0.05


def test_a_mug_is_hollow():
    asset = grasp_assets.mug()
    spec = mujoco.MjSpec()
    asset.add_to(spec.worldbody, "mug", position_m=(0, 0, 0), quat_wxyz=(1, 0, 0, 0), is_free=True)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    pieces = pieces_of(model, data, collision_geoms(model, [1]), 1)
    assert max(piece.depth(np.array([[0, 0, 0.06]]))[0] for piece in pieces) == pytest.approx(-0.04, abs=0.001)
