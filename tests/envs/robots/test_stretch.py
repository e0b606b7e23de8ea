"""The Stretch: its arm, its magnet, its limits, all twenty actions."""

import numpy as np
import pytest

from zoo.envs.kinematics import poses
from zoo.envs.robots.ring_body import RingBody
from zoo.envs.robots.stretch import EXTENSION_M, LIFT_LIMITS, Stretch, StretchActions
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError
from zoo.navigation_actions import SpocAction

A = SpocAction
BALL = (0.0, -0.55, 0.5)


@pytest.fixture
def scene(build_robot, box):
    """A pickupable box to the robot's right, one that is too heavy beside it, hand turned along the arm."""

    def edit(spec):
        box(spec, "shelf", [0.0, -0.55, 0.235], [0.2, 0.1, 0.235])
        box(spec, "ball", BALL, [0.03] * 3, is_free=True, mass=0.2)
        box(spec, "anvil", [0.12, -0.55, 0.5], [0.03] * 3, is_free=True, mass=12)

    view = build_robot(Stretch(), base_pose7=poses.planar_pose7(0, 0, 0), edit=edit)
    view.set_qpos({"arm": [0.37, 0, 0, 0, 0, 0]})
    mujoco.mj_forward(view.model, view.data)
    bodies = [view.model.body(name).id for name in ("ball", "anvil")]
    return view, StretchActions(view, pickupable=bodies)


def physics(view, seconds):
    for _ in range(round(seconds / view.model.opt.timestep)):
        mujoco.mj_step(view.model, view.data)


@pytest.mark.parametrize("action", [a for a in SpocAction if a not in (A.PICKUP, A.DROPOFF, A.DONE, A.SUB_DONE)])
def test_every_motion_changes_what_it_should(scene, action):
    view, actions = scene
    view.set_base_pose(poses.planar_pose7(3, 1, 0.4))
    view.set_qpos({"arm": [0.5, 0.04, 0.04, 0.04, 0.04, -0.5]})
    mujoco.mj_forward(view.model, view.data)
    base, tool = view.base_pose(), actions.proprioception()
    assert actions.step(action).moved
    effect = action.effect
    moved = poses.compose(poses.invert(base), view.base_pose())
    expected = poses.planar_pose7(effect.forward_m, 0, np.radians(effect.turn_deg))
    np.testing.assert_allclose(moved, expected, atol=1e-9)
    change = actions.proprioception() - tool
    expected = [0, -effect.extend_m, effect.lift_m, effect.wrist_deg]  # the arm points to the right
    np.testing.assert_allclose(change, expected, atol=1e-4)


def test_limits_end_the_arm(scene):
    view, actions = scene
    view.set_qpos({"arm": [0.5, 0, 0, 0, 0, 0]})
    outcomes = [actions.step(A.MOVE_ARM_UP).moved for _ in range(8)]
    assert outcomes == [True] * 6 + [False] * 2
    assert view.qpos("arm")[0] == pytest.approx(LIFT_LIMITS[1])
    outcomes = [actions.step(A.MOVE_ARM_OUT).moved for _ in range(7)]
    assert outcomes == [True] * 6 + [False]  # five times 0.1 m and the last 0.02
    assert view.qpos("arm")[1:5].sum() == pytest.approx(EXTENSION_M)
    assert sum(actions.step(A.WRIST_CLOSE).moved for _ in range(10)) == 8  # 75 degrees
    assert sum(actions.step(A.WRIST_OPEN).moved for _ in range(40)) == 34  # 335 degrees
    np.testing.assert_allclose(actions.proprioception()[3], -260, atol=1e-3)


def test_the_wrist_counts_clockwise(scene):
    view, _ = scene
    view.set_qpos({"arm": [0.5, 0, 0, 0, 0, -np.pi / 2]})
    mujoco.mj_forward(view.model, view.data)
    np.testing.assert_allclose(poses.matrix_from_pose(view.tcp_pose("arm"))[:3, 2], [1, 0, 0], atol=1e-9)  # ahead
    view.set_qpos({"arm": [0.5, 0, 0, 0, 0, 0]})
    mujoco.mj_forward(view.model, view.data)
    np.testing.assert_allclose(poses.matrix_from_pose(view.tcp_pose("arm"))[:3, 2], [0, -1, 0], atol=1e-9)  # right


def test_the_magnet_takes_carries_and_drops(scene):
    view, actions = scene
    assert not actions.step(A.PICKUP).moved  # too far
    assert not actions.step(A.DROPOFF).moved
    assert actions.step(A.MOVE_ARM_OUT).moved
    assert actions.step(A.PICKUP).moved
    ball = view.data.body("ball")
    assert actions.held == view.model.body("ball").id
    assert not actions.step(A.PICKUP).moved  # the hand is full
    tool_from_ball = poses.compose(
        poses.invert(view.tcp_pose("arm", in_world=True)), poses.pose7(ball.xpos, ball.xquat)
    )
    for action in (A.MOVE_ARM_UP, A.MOVE_BACK, A.ROTATE_LEFT, A.MOVE_ARM_IN_SMALL):
        assert actions.step(action).moved, action
    now = poses.compose(view.tcp_pose("arm", in_world=True), tool_from_ball)
    np.testing.assert_allclose(ball.xpos, now[:3], atol=1e-9)
    physics(view, 1.0)  # the weld holds it too
    np.testing.assert_allclose(ball.xpos, now[:3], atol=0.01)
    assert actions.step(A.DROPOFF).moved
    assert actions.held is None
    physics(view, 2.0)
    assert ball.xpos[2] == pytest.approx(0.5, abs=1e-3)  # it fell back onto the shelf


def test_what_is_carried_blocks_too(scene):
    view, actions = scene
    actions.step(A.MOVE_ARM_OUT)
    assert actions.step(A.PICKUP).moved
    outcome = actions.step(A.MOVE_ARM_DOWN_SMALL)  # the hand itself has room
    assert not outcome.moved
    assert view.model.geom(outcome.blocked_by).name == "shelf"
    np.testing.assert_allclose(view.data.body("ball").xpos, BALL, atol=1e-9)


def test_heavy_things_stay(scene):
    view, actions = scene
    view.set_base_pose(poses.planar_pose7(0.12, 0, 0))
    mujoco.mj_forward(view.model, view.data)
    actions.step(A.MOVE_ARM_OUT)
    anvil = view.data.body("anvil").xipos
    assert np.linalg.norm(view.tcp_pose("arm", in_world=True)[:3] - anvil) < 0.1
    assert not actions.step(A.PICKUP).moved


def test_done_is_no_motion(scene):
    view, actions = scene
    before = view.data.qpos.copy()
    assert actions.step(A.DONE).moved
    assert actions.step(A.SUB_DONE).moved
    np.testing.assert_array_equal(view.data.qpos, before)


def test_it_reaches_as_far_as_the_sheet_says(scene):
    view, _ = scene
    view.set_qpos({"arm": [0.8, *[EXTENSION_M / 4] * 4, 0]})
    mujoco.mj_forward(view.model, view.data)
    assert np.hypot(*view.tcp_pose("arm")[:2]) == pytest.approx(0.867, abs=0.06)


def test_bad_arguments_are_named(build_robot, box):
    with pytest.raises(ConfigError, match="magnet_radius_m is 0"):
        Stretch(magnet_radius_m=0)
    with pytest.raises(ConfigError, match="these actions are a Stretch's, not those of 'ring_body'"):
        StretchActions(build_robot(RingBody()))
    view = build_robot(Stretch(), edit=lambda spec: box(spec, "table", [2, 0, 0.5], [0.2] * 3))
    with pytest.raises(ConfigError, match="'table' has no free joint"):
        StretchActions(view).mover.carry(view.model.body("table").id)
