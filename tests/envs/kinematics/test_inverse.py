"""Inverse kinematics on the Franka's chain: it reaches what can be reached, within limits, near to the posture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.envs.kinematics import poses
from zoo.envs.kinematics.inverse import TOLERANCE, solve
from zoo.envs.robots.franka import HOME, LIMITS, FrankaDroid
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError

LOWER, UPPER = np.array(LIMITS).T


@pytest.fixture(scope="module")
def chain():
    spec = mujoco.MjSpec()
    robot = FrankaDroid()
    robot.add_to(spec, base_pose7=poses.planar_pose7(1, -2, 0.7, 0.1))
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return robot.bind(model, data).chain("arm")


def test_a_batch_reaches_its_targets_within_limits(chain):
    rng = np.random.default_rng(0)
    wanted = np.clip(np.array(HOME) + rng.uniform(-0.7, 0.7, (256, 7)), LOWER, UPPER)
    targets = chain.forward(wanted)
    found = solve(chain, targets, initial=HOME)
    assert found.success.all()
    reached = chain.forward(found.q)
    assert poses.distance(reached, targets).max() <= TOLERANCE
    assert poses.angle_between(reached[:, 3:], targets[:, 3:]).max() <= TOLERANCE
    assert (found.q >= LOWER).all()
    assert (found.q <= UPPER).all()
    assert np.abs(found.q - HOME).max() < 1.5  # no other branch of the arm


def test_any_reachable_pose_is_found_with_restarts(chain):
    rng = np.random.default_rng(1)
    targets = chain.forward(rng.uniform(LOWER, UPPER, (128, 7)))
    alone = solve(chain, targets, initial=HOME)
    found = solve(chain, targets, initial=HOME, restarts=8, rng=np.random.default_rng(2))
    assert alone.success.mean() > 0.8
    assert found.success.mean() >= 0.98
    assert (found.success | ~alone.success).all()
    again = solve(chain, targets, initial=HOME, restarts=8, rng=np.random.default_rng(2))
    np.testing.assert_array_equal(found.q, again.q)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_one_by_one_equals_the_batch(chain, seed):
    rng = np.random.default_rng(seed)
    targets = chain.forward(np.clip(np.array(HOME) + rng.uniform(-0.5, 0.5, (3, 7)), LOWER, UPPER))
    batch = solve(chain, targets, initial=HOME)
    for row in range(3):
        one = solve(chain, targets[row], initial=HOME)
        assert one.q.shape == (7,)
        assert one.success.shape == ()
        np.testing.assert_allclose(one.q, batch.q[row], atol=1e-9)  # sums in another order


def test_the_free_direction_goes_to_the_posture(chain):
    target = chain.forward(HOME)
    start = np.array(HOME) + np.array([0.3, 0.2, 0.3, 0.1, -0.2, 0.2, 0.2])
    far, near = start + np.array([0.8, 0, -0.8, 0, 0, 0, 0]), start
    found = [solve(chain, target, initial=start, posture=posture).q for posture in (far, near)]
    assert np.linalg.norm(found[0] - far) < np.linalg.norm(found[1] - far) - 0.05


def test_what_cannot_be_reached_fails_with_its_distance(chain):
    target = poses.compose([0, 0, 3.0, 1, 0, 0, 0], chain.forward(HOME))
    found = solve(chain, target, initial=HOME, max_iterations=60)
    assert not found.success
    assert found.position_error_m > 1.0
    assert np.isfinite(found.q).all()
    reached = chain.forward(found.q)
    assert poses.distance(reached, target) == pytest.approx(float(found.position_error_m))


def test_half_a_turn_away_is_reached(chain):
    target = poses.compose(chain.forward(HOME), poses.pose7([0, 0, 0], poses.quat_from_yaw(np.pi)))
    assert solve(chain, target, initial=HOME, restarts=4, rng=np.random.default_rng(0)).success


def test_bad_arguments_are_named(chain):
    target = chain.forward(HOME)
    with pytest.raises(ConfigError, match=r"targets has shape \(6,\), expected \(7,\)"):
        solve(chain, target[:6], initial=HOME)
    with pytest.raises(ConfigError, match="initial has a value that is not finite: nan"):
        solve(chain, target, initial=[np.nan] * 7)
    with pytest.raises(ConfigError, match="restarts=2 needs rng"):
        solve(chain, target, initial=HOME, restarts=2)
