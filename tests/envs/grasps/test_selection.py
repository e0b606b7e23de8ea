"""Choice of grasps: the vectorised cost is that of a loop, and what stands in the way is noticed."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from zoo.envs.grasps.files import grasps_path, write_grasps
from zoo.envs.grasps.selection import GraspBook, best_grasps, free_grasps, grasp_costs
from zoo.envs.grasps.surface import ConvexPiece, pieces_near
from zoo.envs.simulator import mujoco
from zoo.errors import DataError

DOWN = np.diag([1.0, -1.0, -1.0, 1.0])


def poses(*leading, seed=0):
    rng = np.random.default_rng(seed)
    made = np.tile(np.eye(4), (*leading, 1, 1))
    number = int(np.prod(leading))
    made[..., :3, :3] = Rotation.random(number, rng=rng).as_matrix().reshape(*leading, 3, 3)
    made[..., :3, 3] = rng.uniform(-0.5, 0.5, (*leading, 3))
    return made


def looped_cost(pose, tcp_pose, origin_m, is_opening):
    turn = Rotation.from_matrix(pose[:3, :3].T @ tcp_pose[:3, :3])
    up = float(pose[:3, 2] @ [0, 0, 1])
    cost = np.linalg.norm(pose[:3, 3] - tcp_pose[:3, 3]) + 0.01 * np.rad2deg(turn.magnitude())
    cost += 2 * up + 8 * np.linalg.norm(pose[:3, 3] - origin_m)
    return cost + 10 * up**2 if is_opening else cost


@pytest.mark.parametrize("is_opening", [False, True])
def test_costs_are_those_of_a_loop(is_opening):
    grasps, tcp_pose, origin = poses(50), poses(1, seed=1)[0], np.array([0.1, 0.2, 0.3])
    costs = grasp_costs(grasps, tcp_pose, origin, is_opening=is_opening)
    expected = [looped_cost(grasp, tcp_pose, origin, is_opening) for grasp in grasps]
    np.testing.assert_allclose(costs, expected, atol=1e-6)  # arccos is steep at 0 and 180 degrees


def test_batches_are_single_situations():
    grasps, objects, hands = poses(30), poses(4, seed=1), poses(4, seed=2)
    batch = best_grasps(grasps, objects, hands, limit=7)
    assert batch.poses.shape == (4, 7, 4, 4)
    for number in range(4):
        single = best_grasps(grasps, objects[number], hands[number], limit=7)
        np.testing.assert_array_equal(batch.indices[number], single.indices)
        np.testing.assert_allclose(batch.costs[number], single.costs, atol=1e-12)
        np.testing.assert_allclose(batch.poses[number], objects[number] @ grasps[single.indices], atol=1e-12)
        assert (np.diff(single.costs) >= 0).all()
    many_hands = best_grasps(grasps, objects[0], hands, limit=7)
    np.testing.assert_array_equal(many_hands.indices[0], batch.indices[0])


def test_from_above_is_cheapest_for_lifting_and_level_for_opening():
    grasps = np.stack([DOWN, np.eye(4)[[2, 1, 0, 3]] * [1, -1, 1, 1]])  # approaches -z and +x
    hand = np.eye(4)
    hand[:3, :3] = Rotation.from_euler("y", 135, degrees=True).as_matrix()  # halfway between both
    assert best_grasps(grasps, np.eye(4), hand).indices[0] == 0
    assert best_grasps(grasps, np.eye(4), hand, is_opening=True).indices[0] == 1


def test_fewer_grasps_than_the_limit():
    assert best_grasps(poses(3), np.eye(4), np.eye(4)).indices.shape == (3,)
    assert best_grasps(np.zeros((0, 4, 4)), np.eye(4), np.eye(4)).indices.shape == (0,)


def above(height_m, y_m=0.0):
    pose = DOWN.copy()
    pose[:3, 3] = (0, y_m, height_m)
    return pose


def test_fingers_stop_short_of_the_table():
    table = ConvexPiece.box((1, 1, 0.1)).moved(np.eye(3), np.array([0, 0, -0.1]))
    grasps = np.stack([above(height) for height in (0.015, 0.025, 0.1)])  # tips are 2 cm beyond the tool frame
    np.testing.assert_array_equal(free_grasps(grasps, [table]), [1, 2])


def test_a_neighbour_and_what_hangs_above_are_noticed():
    neighbour = ConvexPiece.box((0.05, 0.02, 0.05)).moved(np.eye(3), np.array([0, 0.1, 0.05]))
    shelf = ConvexPiece.box((0.3, 0.3, 0.01)).moved(np.eye(3), np.array([0, 0, 0.26]))
    grasps = np.stack([above(0.05), above(0.05, 0.04), above(0.15), above(0.2)])
    np.testing.assert_array_equal(free_grasps(grasps, [neighbour, shelf]), [0, 2])  # the last begins in the shelf
    between = ConvexPiece.box((0.01, 0.03, 0.05)).moved(np.eye(3), np.array([0, 0, 0.0]))
    assert not len(free_grasps(grasps[:1], [between]))  # the fingers could not close on the object


def test_search_ends_when_enough_are_free():
    grasps = np.stack([above(0.015)] + [above(0.1)] * 300)
    table = ConvexPiece.box((1, 1, 0.1)).moved(np.eye(3), np.array([0, 0, -0.1]))
    np.testing.assert_array_equal(free_grasps(grasps, [table], wanted=3), [1, 2, 3])
    assert len(free_grasps(grasps, [table])) == 300
    assert free_grasps(grasps, []).tolist() == list(range(301))


def test_in_a_scene():
    """The way of this module in an expert: rank, then keep what a scene leaves free."""
    model = mujoco.MjModel.from_xml_string(
        """<mujoco><worldbody>
        <geom type="plane" size="1 1 0.1"/>
        <geom type="box" size="0.05 0.05 0.2" pos="0.45 0.09 0.2"/>
        <body name="target" pos="0.45 0 0.03"><freejoint/><geom type="box" size="0.02 0.02 0.03"/></body>
        </worldbody></mujoco>"""
    )
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    body = model.body("target").id
    target = np.eye(4)
    target[:3, 3] = data.xpos[body]
    across, along = DOWN.copy(), DOWN.copy()
    along[:3, :2] = [[0, 1], [1, 0], [0, 0]]  # fingers at +-x of the target
    for grasp in (across, along):
        grasp[2, 3] = 0.01
    hand = DOWN.copy()
    hand[:3, 3] = (0.3, 0, 0.4)
    ranked = best_grasps(np.stack([across, along]), target, hand)
    assert ranked.indices[0] == 0
    scene = pieces_near(model, data, target[:3, 3], 0.3, skip_bodies=[body])
    assert ranked.indices[free_grasps(ranked.poses, scene)].tolist() == [1]


def test_book_reads_each_file_once(tmp_path):
    for joint in (None, "door"):
        write_grasps(tmp_path / grasps_path("safe", joint), poses(10))
    write_grasps(tmp_path / grasps_path("cube"), np.zeros((0, 4, 4)))
    book = GraspBook([tmp_path])
    assert book.has_grasps("safe")
    assert book.has_grasps("safe", "door")
    assert not book.has_grasps("cube")
    assert not book.has_grasps("lamp")
    (tmp_path / grasps_path("safe")).unlink()
    assert book.grasps("safe").shape == (20, 4, 4)
    with pytest.raises(ValueError, match="read-only"):
        book.grasps("safe")[0, 0, 0] = 1
    with pytest.raises(DataError, match="no grasps of asset 'lamp'"):
        book.grasps("lamp")


def test_book_ranks_for_lifting_and_for_opening(tmp_path):
    for joint in (None, "door"):
        write_grasps(tmp_path / grasps_path("safe", joint), poses(10))
    book, target, hand = GraspBook([tmp_path]), poses(1, seed=1)[0], poses(3, seed=2)
    for joint in (None, "door"):
        ranked = book.best("safe", target, hand, joint=joint, limit=5)
        expected = best_grasps(book.grasps("safe"), target, hand, is_opening=joint is not None, limit=5)
        np.testing.assert_array_equal(ranked.indices, expected.indices)
        assert ranked.poses.shape == (3, 5, 4, 4)


def test_a_broken_file_is_not_taken_for_a_missing_one(tmp_path):
    path = tmp_path / grasps_path("safe")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"nonsense")
    with pytest.raises(DataError, match="is no NPZ archive"):
        GraspBook([tmp_path]).has_grasps("safe")
