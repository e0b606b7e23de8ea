import math

import numpy as np
import pytest
from furnished_room import TABLE_M, episode, furnished, start

from zoo.envs.experts.placing import placements, poses_beside, poses_on
from zoo.envs.experts.workspace import Held, Workspace
from zoo.envs.kinematics.poses import compose, distance, invert

UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])
PLATE, CAN = (2.75, 2.72), (2.5, 2.5)


@pytest.fixture(scope="module")
def arm():
    patch = pytest.MonkeyPatch()
    things = {
        "table": ("dining_table_0", (2.5, 2.5, 0.0)),
        "block": ("toy_block_0", (2.75, 2.4, TABLE_M + 0.001)),
        "plate": ("plate_0", (*PLATE, TABLE_M + 0.001)),
        "can": ("can_0", (*CAN, TABLE_M + 0.001)),
    }
    pose = (2.75, 2.4, TABLE_M, 1, 0, 0, 0)
    wanted = episode("pick", (3.3, 2.5, 0.05, math.pi), pickup_obj_name="block", pickup_obj_start_pose=pose)
    env = start(patch, furnished(things), wanted)
    patch.undo()
    return Workspace(env)


@pytest.fixture
def held(arm):
    """The block as if it hung in the hand, below the tool."""
    arm.sync()
    hanging = np.array([*arm.tcp(arm.q)[:3] - (0, 0, 0.02), *UPRIGHT])
    return Held("block", compose(invert(arm.tcp(arm.q)), hanging))


def test_poses_on_a_plate_are_over_it_and_just_above_what_carries(arm, held):
    poses = poses_on(arm, held, "plate", UPRIGHT)
    assert np.linalg.norm(poses[0][:2] - PLATE) < 0.02  # the middle comes first
    for pose in poses:
        assert arm.object_is_free("block", pose)
        assert not arm.object_is_free("block", pose - np.array([0, 0, 0.02, 0, 0, 0, 0]))


def test_poses_beside_keep_the_gap_and_stay_on_the_table(arm, held):
    poses = poses_beside(arm, held, "can", UPRIGHT, (0.0, 0.05))
    assert poses
    centre, half = arm.world.box("can")
    for pose in poses:
        arm.put_object("block", pose)
        arm.object_is_free("block", pose)
        own, own_half = arm.trial.box("block")
        gaps = np.maximum(0, np.abs(own - centre)[:2] - (half + own_half)[:2])
        assert 0.005 < np.hypot(*gaps) < 0.05
        assert abs(own[2] - own_half[2] - TABLE_M) < 0.01


def test_what_stands_beside_the_table_stands_on_the_floor(arm, held):
    poses = poses_beside(arm, held, "table", UPRIGHT, (0.0, 0.05))
    assert poses
    assert max(pose[2] for pose in poses) < 0.05


def test_a_placement_ends_with_the_object_where_it_should_be(arm, held):
    poses = poses_on(arm, held, "plate", UPRIGHT)
    placement = next(placements(arm, held, poses, np.random.default_rng(0)))
    there = compose(arm.tcp(placement.down[-1]), held.tcp_from_object)
    assert min(float(distance(there, pose)) for pose in poses) < 0.005
    assert next(placements(arm, held, [], np.random.default_rng(0)), None) is None
