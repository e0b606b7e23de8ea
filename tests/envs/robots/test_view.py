"""Reading and commanding robots in a scene."""

import numpy as np
import pytest

from zoo.envs.kinematics import poses
from zoo.envs.robots.franka import HOME, LIMITS, FrankaDroid
from zoo.envs.robots.rby1 import Rby1
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError


@pytest.fixture
def franka(build_robot):
    return build_robot(FrankaDroid(), base_pose7=poses.planar_pose7(1, 2, 0.5, -0.1))


@pytest.fixture
def rby1(build_robot):
    return build_robot(Rby1(), base_pose7=poses.planar_pose7(1, 2, np.pi / 2))


def step(view, seconds):
    for _ in range(round(seconds / view.model.opt.timestep)):
        mujoco.mj_step(view.model, view.data)


def test_tool_poses_in_base_and_world_agree(franka):
    np.testing.assert_allclose(franka.base_pose(), poses.planar_pose7(1, 2, 0.5, -0.1), atol=1e-9)
    local, world = franka.tcp_pose("arm"), franka.tcp_pose("arm", in_world=True)
    np.testing.assert_allclose(poses.compose(franka.base_pose(), local), world, atol=1e-9)
    np.testing.assert_allclose(franka.chain("arm").forward(HOME), local, atol=1e-9)


def test_relative_commands_count_from_the_measured_positions(franka):
    franka.command({"arm": [0.1, 0, 0, 0, 0, 0, 0]}, {"arm": "joint_rel_position"})
    np.testing.assert_allclose(franka.ctrl("arm"), [0.1, *HOME[1:]])
    franka.command({"arm": [9.0] * 7})
    np.testing.assert_allclose(franka.ctrl("arm"), np.array(LIMITS)[:, 1])


def test_groups_that_are_not_named_keep_their_targets(franka):
    franka.command({"gripper": [255]})
    franka.command({"arm": HOME})
    np.testing.assert_array_equal(franka.ctrl("gripper"), [255])
    step(franka, 0.6)
    assert franka.gripper_closed("gripper") == pytest.approx(1, abs=0.02)
    franka.hold()
    np.testing.assert_array_equal(franka.ctrl("gripper"), [255])


def test_the_state_is_joints_and_openings(franka):
    state = franka.state_vector()
    assert state.dtype == np.float32
    np.testing.assert_allclose(state, [*HOME, 0], rtol=1e-6, atol=1e-6)
    franka.set_qpos({"gripper": [0.0435, 0.0435]})
    assert franka.state_vector(["gripper"]) == pytest.approx([1])
    assert franka.ctrl("gripper") == pytest.approx([255])


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ({"arm": [0.0] * 6}, r"action of 'arm' \(joint_position\) has shape \(6,\), expected \(7,\)"),
        ({"arm": [np.nan] * 7}, "expected finite numbers"),
        ({"gripper": [255], "arm": [np.inf] * 7}, "expected finite numbers"),
        ({"leg": [0.0]}, "has no move group 'leg'; it has arm, gripper"),
    ],
)
def test_bad_actions_are_named_and_change_nothing(franka, action, message):
    before = franka.data.ctrl.copy()
    with pytest.raises(ConfigError, match=message):
        franka.command(action)
    np.testing.assert_array_equal(franka.data.ctrl, before)


def test_a_pedestal_can_stand_anywhere(franka):
    pose = poses.pose7([3, -1, 0.2], poses.quat_from_rotation_vector([0.1, 0, 1.0]))
    franka.set_base_pose(pose)
    mujoco.mj_forward(franka.model, franka.data)
    np.testing.assert_allclose(franka.base_pose(), pose, atol=1e-9)


def test_planar_commands_are_poses_of_the_world(rby1):
    np.testing.assert_allclose(rby1.qpos("base"), [1, 2, np.pi / 2])
    rby1.command({"base": [1.2, 2.1, np.pi / 2 + 0.3]})
    step(rby1, 1.5)
    np.testing.assert_allclose(rby1.base_pose(), poses.planar_pose7(1.2, 2.1, np.pi / 2 + 0.3), atol=1e-3)


def test_relative_planar_commands_are_in_the_robots_frame(rby1):
    rby1.command({"base": [0.3, 0.1, 0.2]}, {"base": "holo_joint_rel_planar_position"})
    step(rby1, 1.5)  # it looks along +y of the world
    np.testing.assert_allclose(rby1.base_pose(), poses.planar_pose7(0.9, 2.3, np.pi / 2 + 0.2), atol=1e-3)


def test_a_base_turns_the_shorter_way(rby1):
    rby1.set_base_pose(poses.planar_pose7(0, 0, 3.0))
    rby1.command({"base": [0, 0, -3.0]})
    assert rby1.ctrl("base")[2] == pytest.approx(2 * np.pi - 3.0)


def test_wheels_stay_on_the_floor(rby1):
    with pytest.raises(ConfigError, match="leans"):
        rby1.set_base_pose(poses.pose7([0, 0, 0], poses.quat_from_rotation_vector([0.3, 0, 0])))
    with pytest.raises(ConfigError, match="is at height 0 m and has wheels, not 0.5 m"):
        rby1.set_base_pose(poses.planar_pose7(0, 0, 0, 0.5))
    with pytest.raises(ConfigError, match="leans"):
        Rby1().add_to(mujoco.MjSpec(), base_pose7=poses.pose7([0, 0, 0], [0.8, 0.6, 0, 0]))


def test_height_bends_three_joints(rby1):
    rby1.command({"torso": [0.8]})
    np.testing.assert_allclose(rby1.ctrl("torso"), [0, 0.8, -1.6, 0.8, 0, 0])
    tall = rby1.tcp_pose("torso")
    step(rby1, 1.5)
    low = rby1.tcp_pose("torso")
    assert tall[2] - low[2] == pytest.approx(0.6 * (np.cos(0.4) - np.cos(0.8)), abs=1e-3)
    np.testing.assert_allclose(low[3:], tall[3:], atol=2e-3)  # upright, in the same place
    np.testing.assert_allclose(low[:2], tall[:2], atol=2e-3)


def test_a_chain_follows_the_torso_when_asked(rby1):
    before = rby1.chain("left_arm").forward(rby1.qpos("left_arm"))
    rby1.set_qpos({"torso": [0, 0.8, -1.6, 0.8, 0, 0]})
    mujoco.mj_forward(rby1.model, rby1.data)
    np.testing.assert_array_equal(rby1.chain("left_arm").forward(rby1.qpos("left_arm")), before)
    rby1.refresh_chain("left_arm")
    found = rby1.chain("left_arm").forward(rby1.qpos("left_arm"))
    expected = poses.matrix_from_pose(rby1.tcp_pose("left_arm"))
    np.testing.assert_allclose(poses.matrix_from_pose(found), expected, atol=1e-9)


def test_groups_without_a_tool_say_so(rby1):
    with pytest.raises(ConfigError, match="'base' has no tool; these have: torso"):
        rby1.tcp_pose("base")
