import math

import numpy as np
import pytest
from furnished_room import episode, furnished, start

from zoo.envs.experts.phases import arm_axis
from zoo.envs.experts.pushing import carried, fist_poses
from zoo.envs.experts.workspace import Workspace
from zoo.envs.kinematics.poses import angle_between, compose, invert, pose7
from zoo.envs.robots.gripper import TIP_BEYOND_TCP_M
from zoo.envs.simulator import mujoco

PARTS = {"drawer": ("nightstand_0", "drawer0_joint", 0.14), "door": ("cabinet_0", "door0_joint", 0.8)}


@pytest.fixture(scope="module", params=PARTS)
def half_open(request):
    asset, joint, position = PARTS[request.param]
    patch = pytest.MonkeyPatch()
    wanted = episode(
        "close",
        (3.3, 2.5, 0.0, math.pi),
        pickup_obj_name="thing",
        joint_name=f"thing/{joint}",
        joint_start_position=position,
    )
    env = start(patch, furnished({"thing": (asset, (2.5, 2.5, 0.0))}), wanted)
    patch.undo()
    arm = Workspace(env)
    return arm, arm.world.joint(f"thing/{joint}"), position


def body_pose(arm, joint, position):
    arm.put_joint(joint, position)
    mujoco.mj_kinematics(arm.model, arm.data)
    body = arm.model.jnt_bodyid[joint]
    return pose7(arm.data.xpos[body], arm.data.xquat[body])


def test_a_tool_that_is_carried_stays_where_it_is_on_the_part(half_open):
    arm, joint, position = half_open
    tool = arm.tcp(arm.home)
    positions = np.linspace(position, 0.0, 5)
    poses = carried(arm, joint, tool, positions)
    start_pose = body_pose(arm, joint, position)
    for q, pose in zip(positions, poses, strict=True):
        expected = compose(body_pose(arm, joint, q), compose(invert(start_pose), tool))
        np.testing.assert_allclose(pose[:3], expected[:3], atol=1e-9)
        assert angle_between(pose[3:], expected[3:]) < 1e-6
    body_pose(arm, joint, position)


def test_a_tip_that_is_carried_looks_the_same_way(half_open):
    arm, joint, position = half_open
    tool = arm.tcp(arm.home)
    positions = np.linspace(position, 0.0, 5)
    ends = []
    for is_turned in (True, False):
        poses = carried(arm, joint, tool, positions, is_turned=is_turned)
        ends.append([pose[:3] + TIP_BEYOND_TCP_M * arm_axis(pose) for pose in poses])
    np.testing.assert_allclose(ends[1], ends[0], atol=1e-9)
    np.testing.assert_allclose(poses[:, 3:], np.tile(tool[3:], (5, 1)))


@pytest.mark.parametrize("is_hook", [False, True])
def test_a_fist_moves_the_part_the_way_that_is_wanted(half_open, is_hook):
    arm, joint, position = half_open
    poses = fist_poses(arm, joint, -1.0, np.random.default_rng(0), is_hook=is_hook)
    assert len(poses)
    for pose in poses[:40]:
        tip = pose[:3] + TIP_BEYOND_TCP_M * arm_axis(pose)
        ends = carried(arm, joint, pose7(tip, pose[3:]), np.array([position, position - 1e-4]))
        way = (ends[1] - ends[0])[:3] / np.linalg.norm((ends[1] - ends[0])[:3])
        along = float(way @ arm_axis(pose))
        assert abs(along) < 0.2 if is_hook else along > 0.5
