import math

import numpy as np
import pytest
from furnished_room import TABLE_M, episode, furnished, start

from zoo.envs.experts.paths import JOINT_SPEED, around, is_clear, straight, timed
from zoo.envs.experts.workspace import Workspace
from zoo.envs.robots.gripper import MAX_OPENING_M

THINGS = {
    "table": ("dining_table_0", (2.5, 2.5, 0.0)),
    "block": ("toy_block_0", (2.75, 2.4, TABLE_M + 0.001)),
    "wall": ("cereal_box_0", (2.85, 2.5, TABLE_M + 0.001)),
}


@pytest.fixture(scope="module")
def arm():
    patch = pytest.MonkeyPatch()
    pose = (2.75, 2.4, TABLE_M, 1, 0, 0, 0)
    wanted = episode("pick", (3.3, 2.5, 0.05, math.pi), pickup_obj_name="block", pickup_obj_start_pose=pose)
    env = start(patch, furnished(THINGS), wanted)
    patch.undo()
    return Workspace(env)


def test_a_straight_way_leads_the_tool_along_a_line_at_its_speed(arm):
    goal = arm.tcp(arm.q)
    goal[:3] += (0.0, 0.15, 0.1)
    way = straight(arm, arm.q, goal, speed=0.1)
    places = arm.tcp(np.concatenate([arm.q[None], way]))[:, :3]
    line = (goal[:3] - places[0]) / np.linalg.norm(goal[:3] - places[0])
    off = places - places[0] - np.outer((places - places[0]) @ line, line)
    assert np.abs(off).max() < 1e-3
    assert np.linalg.norm(np.diff(places, axis=0), axis=1).max() <= 0.1 * arm.dt * 1.01
    np.testing.assert_allclose(places[-1], goal[:3], atol=1e-3)


def test_there_is_no_straight_way_out_of_reach(arm):
    goal = arm.tcp(arm.q)
    goal[0] -= 2.0
    assert straight(arm, arm.q, goal, speed=0.2) is None


def test_a_way_around_touches_nothing_although_the_line_does(arm):
    first, second = arm.home.copy(), arm.home.copy()
    first[[0, 1, 3, 5]] += (-0.35, 0.45, -0.1, 0.0)
    second[[0, 1, 3, 5]] += (0.35, 0.45, -0.1, 0.0)

    def is_free(q):
        return arm.is_free(q, MAX_OPENING_M)

    line = first + np.linspace(0, 1, 60)[1:, None] * (second - first)
    assert is_free(first)
    assert is_free(second)
    assert not is_clear(line, is_free, start=first)
    way = around(arm, first, second, is_free, np.random.default_rng(0), speed=0.2)
    assert way is not None
    np.testing.assert_allclose(way[-1], second)
    assert all(is_free(q) for q in way)
    assert np.abs(np.diff(way, axis=0)).max() <= JOINT_SPEED * arm.dt * 1.01


def test_a_search_without_a_way_ends(arm):
    goal = arm.home.copy()
    goal[0] += 0.5
    assert around(arm, arm.home, goal, lambda q: abs(q[0]) < 0.1, np.random.default_rng(0), speed=0.2) is None


def test_timing_keeps_the_ends_and_the_speed(arm):
    nodes = np.stack([arm.home, arm.home + 0.3, arm.home - 0.2])
    way = timed(arm, nodes, speed=0.2)
    np.testing.assert_allclose(way[-1], nodes[-1])
    places = arm.tcp(way)[:, :3]
    assert np.linalg.norm(np.diff(places, axis=0), axis=1).max() <= 0.2 * arm.dt * 1.05
