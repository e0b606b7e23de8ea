"""Candidates: fingers meet opposite sides, the open hand touches nothing, and the first ones are spread."""

import grasp_assets
import numpy as np
import pytest

from zoo.envs.grasps.sampling import (
    HAND_CENTRES_M,
    HAND_HALF_SIZES_M,
    MIN_QUALITY,
    STAND_OFFS_M,
    Candidates,
    contacts,
    order_candidates,
    sample_candidates,
)
from zoo.envs.grasps.surface import ConvexPiece, collision_geoms, pieces_of, surface_points
from zoo.envs.robots import gripper
from zoo.envs.simulator import mujoco


def pieces(asset):
    """Of an asset without joints, in its frame."""
    spec = mujoco.MjSpec()
    asset.add_to(spec.worldbody, "it", position_m=(0, 0, 0), quat_wxyz=(1, 0, 0, 0), is_free=True)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    return pieces_of(model, data, collision_geoms(model, [model.body("it").id]), model.body("it").id)


def sample(asset, limit=150, seed=0):
    return sample_candidates(pieces(asset), np.random.default_rng(seed), limit=limit)


def above(position_m):
    """Looking down, fingers open along the world's x axis."""
    pose = np.eye(4)
    pose[:3, :3] = np.array([[0, 1, 0], [1, 0, 0], [0, 0, -1.0]])
    pose[:3, 3] = position_m
    return pose[None]


def test_the_hand_is_that_of_the_robots():
    """Boxes and geoms of the open gripper fill the same room."""
    spec = mujoco.MjSpec()
    gripper.add_gripper(spec.worldbody, spec, "", position_m=(0, 0, -gripper.TCP_OFFSET_M))
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    found = pieces_of(model, data, range(model.ngeom), 0)
    low = np.min([piece.vertices.min(axis=0) for piece in found], axis=0)
    high = np.max([piece.vertices.max(axis=0) for piece in found], axis=0)
    np.testing.assert_allclose((HAND_CENTRES_M - HAND_HALF_SIZES_M).min(axis=0), low, atol=1e-9)
    np.testing.assert_allclose((HAND_CENTRES_M + HAND_HALF_SIZES_M).max(axis=0), high, atol=1e-9)
    for piece in found:  # each corner lies in a box; those of the mount are round
        inside = np.abs(piece.vertices[:, None] - HAND_CENTRES_M) <= HAND_HALF_SIZES_M + 1e-9
        assert inside.all(axis=2).any(axis=1).all()
    assert data.site(gripper.GripperNames("").tcp).xpos == pytest.approx([0, 0, 0], abs=1e-12)


def test_numbers_of_the_sheet():
    np.testing.assert_allclose(STAND_OFFS_M, [0.101, 0.111, 0.121, 0.131, 0.141, 0.151, 0.161, 0.171])


def test_contacts_of_a_box():
    box = ConvexPiece.box((0.015, 0.05, 0.05))
    middle = contacts([box], above((0, 0, 0)))
    assert middle.quality[0] == pytest.approx(1)
    assert middle.depth[0] == pytest.approx(0.5)
    assert middle.offset_m[0] == pytest.approx(0)
    assert contacts([box], above((0.02, 0, 0))).offset_m[0] == pytest.approx(-0.02)
    tips = contacts([box], above((0, 0, 0.06)))  # pads reach 2 cm beyond the tool frame
    assert 0.8 < tips.depth[0] <= 1
    assert contacts([box], above((0, 0, 0.08))).quality[0] == -1
    assert contacts([box], above((0.2, 0, 0))).quality[0] == -1


def test_one_edge_is_no_grasp():
    """Both faces of an edge look away from one another by 90 degrees: fingers slip off."""
    turned = ConvexPiece.box((0.06, 0.06, 0.06)).moved(
        np.array([[1, -1, 0], [1, 1, 0], [0, 0, np.sqrt(2)]]) / np.sqrt(2), np.array([0, 0.06, 0.0])
    )
    assert contacts([turned], above((0, 0, 0))).quality[0] == -1


def test_thin_side_of_a_box():
    candidates = sample(grasp_assets.box(size_m=(0.03, 0.1, 0.1)))
    assert len(candidates) == 150
    np.testing.assert_allclose(candidates.quality, np.abs(candidates.poses[:, 0, 1]), atol=1e-9)  # met faces are +-x
    np.testing.assert_allclose(contacts(pieces(grasp_assets.box()), candidates.poses).offset_m, 0, atol=1e-9)


def test_sphere_is_held_across_its_middle():
    candidates = sample(grasp_assets.sphere(0.03))
    to_middle = np.array([0, 0, 0.03]) - candidates.poses[:, :3, 3]
    assert len(candidates) == 150
    assert np.abs(np.einsum("ni,ni->n", to_middle, candidates.poses[:, :3, 1])).max() < 0.002  # facets
    assert candidates.quality.min() > MIN_QUALITY


def test_too_wide_has_none():
    assert len(sample(grasp_assets.box(size_m=(0.095, 0.095, 0.095)))) == 0


def test_mug_is_held_at_its_rim_and_its_handle():
    """Halfway between the contacts is material, of the wall or the handle, or a hole between two parts."""
    mug = pieces(grasp_assets.mug())
    candidates = sample(grasp_assets.mug(), limit=300)
    along = -0.032 + candidates.depth * 14 * 0.069 / 19  # the last of twenty rays that our fingers reach is the 15th
    held = candidates.poses[:, :3, 3] + along[:, None] * candidates.poses[:, :3, 2]
    assert np.mean(np.max([piece.depth(held) for piece in mug], axis=0) > -0.002) > 0.8  # others hold two parts at once
    is_handle = held[:, 0] > 0.05
    is_rim = (held[:, 2] > 0.05) & (np.abs(np.linalg.norm(held[:, :2], axis=1) - 0.0425) < 0.005)
    assert is_handle.sum() > 20
    assert is_rim.sum() > 20


@pytest.mark.parametrize("make", [grasp_assets.box, grasp_assets.mug, grasp_assets.sphere])
def test_the_open_hand_touches_nothing(make):
    candidates = sample(make())
    points, _ = surface_points(pieces(make()), np.random.default_rng(1))
    seen = np.einsum("pni,nij->pnj", points[:, None] - candidates.poses[:, :3, 3], candidates.poses[:, :3, :3])
    for centre, half in zip(HAND_CENTRES_M, HAND_HALF_SIZES_M, strict=True):
        assert not (np.abs(seen - centre) < half - 1e-9).all(axis=2).any()


def test_obstacles_are_avoided_and_not_held():
    bar = ConvexPiece.box((0.008, 0.06, 0.008)).moved(np.eye(3), np.array([0.05, 0, 0]))
    plate = ConvexPiece.box((0.01, 0.2, 0.2))
    candidates = sample_candidates([bar], np.random.default_rng(0), limit=100, obstacles=[plate])
    assert len(candidates) == 100
    flange = candidates.poses[:, :3, 3] - gripper.TCP_OFFSET_M * candidates.poses[:, :3, 2]
    assert (flange[:, 0] > 0.01).all()  # none reaches through the plate
    assert (np.abs(candidates.poses[:, 1, 1]) < 0.9).all()  # none closes along the bar, which is 12 cm long


def test_fingers_do_not_close_around_an_obstacle():
    book = ConvexPiece.box((0.1, 0.1, 0.01))
    board = ConvexPiece.box((0.1, 0.1, 0.005)).moved(np.eye(3), np.array([0, 0, -0.015]))  # the book lies on it
    free = sample_candidates([book], np.random.default_rng(0), limit=100)
    lying = sample_candidates([book], np.random.default_rng(0), limit=100, obstacles=[board])
    assert len(free) == 100
    assert not len(lying)  # 35 mm of both fit between the fingers, and only from the side


def test_same_seed_same_candidates():
    first, again, other = (sample(grasp_assets.mug(), limit=40, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.poses, again.poses)
    assert not np.array_equal(first.poses, other.poses)


def test_order_is_spread_over_the_object():
    candidates = sample(grasp_assets.box(), limit=400)
    order = order_candidates(candidates, np.random.default_rng(0))
    assert sorted(order) == list(range(400))
    first, last = candidates.poses[order[:20], :3, 2], candidates.poses[order[-20:], :3, 2]
    sides = {tuple(np.round(approach)) for approach in first}
    assert len(sides) == 4  # above, below, and both ends of the thin box
    assert len(first) == len(last)
    np.testing.assert_array_equal(order, order_candidates(candidates, np.random.default_rng(0)))


def test_order_prefers_depth_and_square_contact():
    rng = np.random.default_rng(0)
    poses = np.tile(np.eye(4), (2000, 1, 1))
    poses[:, :3, 3] = rng.normal(size=(2000, 3))  # clusters say nothing about depth and quality
    candidates = Candidates(poses=poses, quality=rng.uniform(0.01, 1, 2000), depth=rng.uniform(0, 1, 2000))
    first = candidates.at(order_candidates(candidates, rng)[:200])
    assert first.quality.mean() > 0.7
    assert np.abs(first.depth - 0.75).mean() < np.abs(candidates.depth - 0.75).mean() - 0.03
    thin = candidates.at(order_candidates(candidates, rng, is_thin=True)[:200])
    assert thin.depth.mean() > first.depth.mean() + 0.03


def test_nothing_to_order():
    empty = sample_candidates([], np.random.default_rng(0), limit=5)
    assert len(empty) == 0
    assert len(order_candidates(empty, np.random.default_rng(0))) == 0
