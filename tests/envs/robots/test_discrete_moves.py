"""Moves without physics: whole, or blocked and undone."""

import numpy as np
import pytest

from zoo.envs.kinematics import poses
from zoo.envs.robots.discrete_moves import DiscreteMover, nearest_within
from zoo.envs.robots.ring_body import RingBody
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError
from zoo.navigation_actions import Effect, SpocAction


@pytest.fixture
def walled(build_robot, box):
    """A LoCoBot with a wall 1 m ahead and a loose box behind it."""

    def edit(spec):
        box(spec, "wall", [1.05, 0, 1], [0.05, 2, 1])
        box(spec, "loose", [-0.8, 0, 0.1], [0.1, 0.1, 0.1], is_free=True)

    return build_robot(RingBody("locobot"), edit=edit)


def test_moves_are_exact(walled):
    mover = DiscreteMover(walled)
    mujoco.mj_kinematics(walled.model, walled.data)
    expected = poses.planar_pose7(0, 0, 0)
    for action, step in (
        (SpocAction.MOVE_AHEAD, poses.planar_pose7(0.2, 0, 0)),
        (SpocAction.ROTATE_LEFT, poses.planar_pose7(0, 0, np.radians(30))),
        (SpocAction.MOVE_AHEAD, poses.planar_pose7(0.2, 0, 0)),
        (SpocAction.ROTATE_RIGHT_SMALL, poses.planar_pose7(0, 0, np.radians(-6))),
        (SpocAction.MOVE_BACK, poses.planar_pose7(-0.2, 0, 0)),
    ):
        outcome = mover.move(action.effect)
        assert outcome.moved
        assert outcome.blocked_by is None
        expected = poses.compose(expected, step)
        np.testing.assert_allclose(walled.base_pose(), expected, atol=1e-9)
        np.testing.assert_allclose(walled.qpos("base"), walled.ctrl("base"))


def test_a_blocked_move_leaves_everything_as_it_was(walled):
    mover = DiscreteMover(walled)
    results = [mover.move(SpocAction.MOVE_AHEAD.effect) for _ in range(6)]
    # Half of the body's depth is 0.2005 m: the fourth step ends 0.5 mm in the wall, which is no more than touch.
    assert [result.moved for result in results] == [True, True, True, True, False, False]
    assert walled.model.geom(results[-1].blocked_by).name == "wall"
    before = walled.data.qpos.copy()
    mover.move(SpocAction.MOVE_AHEAD.effect)
    np.testing.assert_array_equal(walled.data.qpos, before)
    np.testing.assert_allclose(walled.base_pose(), poses.planar_pose7(0.8, 0, 0), atol=1e-9)
    assert mover.move(SpocAction.MOVE_BACK.effect).moved


def test_nothing_is_jumped_over(build_robot, box):
    view = build_robot(RingBody("go1"), edit=lambda spec: box(spec, "pole", [0.7, 0, 0.5], [0.005, 0.005, 0.5]))
    outcome = DiscreteMover(view).move(Effect(forward_m=2.0))
    assert view.model.geom(outcome.blocked_by).name == "pole"


def test_turning_into_something_is_blocked(build_robot, box):
    # The A1's front corners are 0.39 m from its turning centre; a post stands beside it, nearer than that.
    view = build_robot(RingBody("a1"), edit=lambda spec: box(spec, "post", [0.25, 0.26, 0.5], [0.02, 0.02, 0.5]))
    mover = DiscreteMover(view)
    assert not mover.move(SpocAction.ROTATE_LEFT.effect).moved
    np.testing.assert_allclose(view.base_pose(), poses.planar_pose7(0, 0, 0), atol=1e-12)
    assert mover.move(SpocAction.ROTATE_RIGHT_SMALL.effect).moved


def test_loose_objects_block_and_are_not_pushed(walled):
    before = walled.data.body("loose").xpos.copy()
    mover = DiscreteMover(walled)
    results = [mover.move(SpocAction.MOVE_BACK.effect) for _ in range(3)]
    assert [result.moved for result in results] == [True, True, False]
    np.testing.assert_array_equal(walled.data.body("loose").xpos, before)


def test_who_stands_in_something_may_leave_it(walled):
    walled.set_base_pose(poses.planar_pose7(0.85, 0, 0))
    mujoco.mj_forward(walled.model, walled.data)
    mover = DiscreteMover(walled)
    assert not mover.move(SpocAction.MOVE_AHEAD.effect).moved
    assert mover.move(SpocAction.MOVE_BACK.effect).moved


def test_what_only_shows_does_not_block(build_robot):
    def edit(spec):
        spec.worldbody.add_geom(size=[0.1, 0, 0], pos=[0.3, 0, 0.5], contype=0, conaffinity=0)

    assert DiscreteMover(build_robot(RingBody("locobot"), edit=edit)).move(SpocAction.MOVE_AHEAD.effect).moved


def test_noise_repeats_and_is_small(walled):
    places = []
    for seed in (0, 0, 1):
        walled.set_base_pose(poses.planar_pose7(0, 0, 0))
        mover = DiscreteMover(walled)
        mover.move(SpocAction.MOVE_AHEAD.effect, rng=np.random.default_rng(seed))
        mover.move(SpocAction.ROTATE_LEFT.effect, rng=np.random.default_rng(seed))
        places.append(walled.qpos("base"))
    np.testing.assert_array_equal(places[0], places[1])
    assert (places[0] != places[2]).any()
    assert np.abs(places[0] - [0.2, 0, np.radians(30)]).max() < 0.05


def test_no_effect_is_no_move(walled):
    assert not DiscreteMover(walled).move(Effect()).moved
    assert not DiscreteMover(walled).move(Effect(forward_m=0.005)).moved  # below what counts


def test_carrying_needs_an_arm(walled):
    with pytest.raises(ConfigError, match="'ring_body' has no arm to carry with"):
        DiscreteMover(walled).carry(walled.model.body("loose").id)


def test_the_nearest_body_in_the_sphere_is_found(walled):
    bodies = [walled.model.body(name).id for name in ("loose", "wall")]
    assert nearest_within(walled.data, bodies, np.array([-0.75, 0, 0.1]), 0.1) == bodies[0]
    assert nearest_within(walled.data, bodies, np.array([-0.6, 0, 0.1]), 0.1) is None
    assert nearest_within(walled.data, [], np.zeros(3), 1.0) is None
