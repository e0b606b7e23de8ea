import math

import numpy as np
import pytest
from furnished_room import TABLE_M, episode, furnished, start

from zoo.envs.experts.workspace import Held, Workspace
from zoo.envs.kinematics.poses import compose, invert
from zoo.envs.robots.gripper import CLOSE_S, MAX_OPENING_M

BLOCK = (2.75, 2.4, TABLE_M + 0.001)
DOWN = (0.0, 1.0, 0.0, 0.0)  # a tool that looks down


@pytest.fixture(scope="module")
def env():
    patch = pytest.MonkeyPatch()
    place = furnished({"table": ("dining_table_0", (2.5, 2.5, 0.0)), "block": ("toy_block_0", BLOCK)})
    pose = (*BLOCK, 1, 0, 0, 0)
    wanted = episode("pick", (3.3, 2.5, 0.05, math.pi), pickup_obj_name="block", pickup_obj_start_pose=pose)
    env = start(patch, place, wanted)
    patch.undo()
    return env


@pytest.fixture
def arm(env):
    return Workspace(env)


def over_the_block(arm, height_m):
    """Arm positions with the tool above the block's middle, looking down."""
    place = arm.world.box("block")[0] + np.array([0.0, 0.0, height_m])
    found = arm.inverse(np.array([*place, *DOWN]), arm.home, rng=np.random.default_rng(0))
    assert found.success
    return found.q


def test_what_is_in_the_way_is_found(arm):
    assert arm.is_free(arm.home, MAX_OPENING_M)
    assert arm.is_free(over_the_block(arm, 0.15), MAX_OPENING_M)
    assert not arm.is_free(over_the_block(arm, -0.03), MAX_OPENING_M)  # fingers in the table


def test_the_hand_may_touch_what_it_is_told_to(arm):
    q = over_the_block(arm, 0.0)
    assert not arm.is_free(q, 0.02)  # fingers in the block
    assert arm.is_free(q, 0.02, allowed=arm.bodies_of("block"))


def test_what_is_held_goes_along(arm):
    high, low = over_the_block(arm, 0.2), over_the_block(arm, 0.1)
    held = Held("block", compose(invert(arm.tcp(low)), arm.world.pose7("block")))  # hangs 10 cm below the tool
    assert arm.is_free(high, MAX_OPENING_M, held=held)
    lower = over_the_block(arm, 0.07)
    assert arm.is_free(lower, MAX_OPENING_M)
    assert not arm.is_free(lower, MAX_OPENING_M, held=held)  # it would be in the table


def test_a_rehearsal_tells_a_grasp_that_holds_from_one_beside(env, arm):
    before = env.simulation.sim_state()
    q = over_the_block(arm, 0.005)
    lift = np.stack([over_the_block(arm, 0.005 + 0.02 * step) for step in range(1, 4)])
    assert arm.rehearse("block", q, lift, CLOSE_S) > 0.04
    assert arm.rehearse("block", over_the_block(arm, 0.2), lift + 0.0, CLOSE_S) == 0.0
    np.testing.assert_array_equal(env.simulation.sim_state(), before)
