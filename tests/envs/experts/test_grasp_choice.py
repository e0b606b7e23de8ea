"""Grasps in a scene: with their twins, ranked without near copies, and reached where they are said to be."""

import math

import numpy as np
import pytest
from furnished_room import TABLE_M, episode, furnished, start

from zoo.envs.experts import grasp_choice
from zoo.envs.experts.grasp_choice import object_candidates, ranked, reachable
from zoo.envs.experts.workspace import Workspace
from zoo.envs.kinematics.poses import angle_between, distance, matrix_from_pose
from zoo.envs.robots.gripper import MAX_OPENING_M

BLOCK = (2.75, 2.4, TABLE_M + 0.001)


@pytest.fixture(scope="module")
def arm():
    patch = pytest.MonkeyPatch()
    things = {"table": ("dining_table_0", (2.5, 2.5, 0.0)), "block": ("toy_block_0", BLOCK)}
    wanted = episode(
        "pick", (3.3, 2.5, 0.05, math.pi), pickup_obj_name="block", pickup_obj_start_pose=(*BLOCK, 1, 0, 0, 0)
    )
    env = start(patch, furnished(things), wanted)
    patch.undo()
    arm = Workspace(env)
    arm.sync()
    return arm


@pytest.fixture(scope="module")
def candidates(arm):
    return object_candidates(arm, "block", np.random.default_rng(0))


def test_every_grasp_has_its_twin_half_a_turn_about_the_approach(candidates):
    poses, found = candidates
    half = len(poses) // 2
    assert len(poses) == len(found) == 2 * half > 0
    np.testing.assert_allclose(poses[half:, :3, 2], poses[:half, :3, 2], atol=1e-9)
    np.testing.assert_allclose(poses[half:, :3, :2], -poses[:half, :3, :2], atol=1e-9)
    np.testing.assert_array_equal(found.quality[half:], found.quality[:half])


def test_ranked_grasps_differ_from_all_cheaper_ones(arm, candidates):
    poses, found = candidates
    tools = ranked(arm, poses, found, np.array(BLOCK))
    assert 0 < len(tools) <= grasp_choice.RANKED
    assert len(tools) < len(poses)
    matrices = matrix_from_pose(tools)
    for index, one in enumerate(matrices):
        near = np.linalg.norm(matrices[:index, :3, 3] - one[:3, 3], axis=1) < grasp_choice.ALIKE_M
        cosines = np.einsum("nik,ik->nk", matrices[:index, :3, 1:3], one[:3, 1:3])
        assert not (near & (cosines > grasp_choice.ALIKE_COSINE).all(axis=1)).any()


def test_the_cheapest_grasp_comes_first(arm, candidates):
    poses, found = candidates
    order = np.random.default_rng(1).permutation(len(poses))
    first = ranked(arm, poses, found, np.array(BLOCK))[0]
    np.testing.assert_allclose(ranked(arm, poses[order], found.at(order), np.array(BLOCK))[0], first, atol=1e-9)


def test_a_reachable_grasp_is_reached_and_touches_only_what_it_may(arm, candidates):
    poses, found = candidates
    tools = ranked(arm, poses, found, np.array(BLOCK))
    own = arm.bodies_of("block")
    grasp = next(reachable(arm, tools, np.random.default_rng(0), allowed=own))
    assert distance(arm.tcp(grasp.q), grasp.tcp) < 2e-3
    assert angle_between(arm.tcp(grasp.q)[3:], grasp.tcp[3:]) < 0.02
    assert distance(arm.tcp(grasp.pre), grasp.tcp) == pytest.approx(grasp_choice.PRE_GRASP_M, abs=2e-3)
    assert arm.is_free(grasp.pre, MAX_OPENING_M)
    np.testing.assert_array_equal(grasp.approach[-1], grasp.q)


def test_nothing_is_reachable_far_away(arm):
    far = np.array([[30.0, 30.0, 1.0, 0.0, 1.0, 0.0, 0.0]])
    assert not list(reachable(arm, far, np.random.default_rng(0), allowed=()))
