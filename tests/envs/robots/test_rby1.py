"""The RB-Y1: sides mirror each other, the sheet's numbers, arms reach by inverse kinematics."""

import numpy as np
import pytest

from zoo.envs.kinematics import poses
from zoo.envs.kinematics.inverse import solve
from zoo.envs.robots.rby1 import ARM_HOME, NAVIGATION, Rby1
from zoo.envs.simulator import mujoco

MIRROR = np.array([1, -1, 1])


@pytest.fixture
def view(build_robot):
    return build_robot(Rby1())


def test_homes_and_clocks_are_those_of_the_sheet():
    robot = Rby1()
    assert robot.group("left_arm").home == (0.5, 0, 0, -2.3, 0, -0.5, 0)
    assert robot.group("right_arm").home == ARM_HOME
    assert robot.group("head").home == (0, 0.6)
    assert [len(group.actuators) for group in robot.groups] == [3, 6, 7, 1, 7, 1, 2]
    assert (robot.clocks.sim_dt, robot.clocks.ctrl_dt, robot.clocks.policy_dt) == (0.004, 0.02, 0.1)
    assert Rby1(clocks=NAVIGATION).clocks.policy_dt == 0.2


def test_sides_mirror_each_other(view):
    rng = np.random.default_rng(0)
    left = np.array(ARM_HOME) + rng.uniform(-0.3, 0.3, 7)
    left[1] = abs(left[1])
    right = left * [1, -1, -1, 1, -1, 1, -1]  # rolls and yaws turn the other way
    view.set_qpos({"left_arm": left, "right_arm": right})
    mujoco.mj_forward(view.model, view.data)
    np.testing.assert_allclose(view.tcp_pose("left_arm")[:3] * MIRROR, view.tcp_pose("right_arm")[:3], atol=1e-9)


@pytest.mark.parametrize("side", ["left", "right"])
def test_arms_reach_a_box_in_front(view, side):
    rng = np.random.default_rng(0)
    sign = 1 if side == "left" else -1
    chain = view.chain(f"{side}_arm")
    places = rng.uniform([0.4, 0.1, 0.7], [0.55, 0.3, 1.05], (64, 3)) * [1, sign, 1]
    ahead = poses.quat_from_rotation_vector([0, np.pi / 2, 0])
    found = solve(chain, poses.pose7(places, ahead), initial=ARM_HOME, restarts=4, rng=np.random.default_rng(1))
    assert found.success.mean() > 0.95


def test_the_head_looks_down_at_home(view):
    forward = poses.matrix_from_pose(view.tcp_pose("head"))[:3, 0]
    np.testing.assert_allclose(forward, [np.cos(0.6), 0, -np.sin(0.6)], atol=1e-9)


def test_the_whole_range_of_height_stays_upright(view):
    for height in (0.0, 0.6, 1.2):
        view.set_qpos({"torso": np.array([0, 1, -2, 1, 0, 0]) * height})
        mujoco.mj_forward(view.model, view.data)
        np.testing.assert_allclose(view.tcp_pose("torso")[3:], [1, 0, 0, 0], atol=1e-9)
        assert view.data.ncon == 0
