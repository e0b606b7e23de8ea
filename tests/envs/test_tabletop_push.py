"""The pushing task: Gymnasium's own checks, seeds, thresholds, pictures, refusals."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from zoo.envs.simulator import mujoco
from zoo.envs.tabletop_push import TabletopPush
from zoo.errors import ConfigError


def random_actions(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, 3)).astype(np.float32)


def play(env: TabletopPush, seed: int, actions: np.ndarray) -> list:
    start = env.reset(seed=seed)
    return [start, *(env.step(action) for action in actions)]


def test_gymnasium_has_nothing_to_say():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(TabletopPush(), skip_render_check=True)


def test_a_seed_repeats_everything():
    first, second = (play(TabletopPush(), 4, random_actions(1, 30)) for _ in range(2))
    assert repr(first) == repr(second)
    for one, other in zip(first, second, strict=True):
        for name, value in one[0].items():
            np.testing.assert_array_equal(value, other[0][name])
    other = TabletopPush().reset(seed=5)[0]
    assert not np.array_equal(first[0][0]["object_xy_m"], other["object_xy_m"])


@pytest.mark.parametrize("num_objects", [1, 2, 4])
def test_observations_stay_in_their_space(num_objects):
    env = TabletopPush(num_objects=num_objects)
    for step in play(env, 2, random_actions(2, 60)):
        assert step[0] in env.observation_space
        assert step[0]["target"].sum() == 1


def test_the_finger_goes_where_it_is_sent():
    env = TabletopPush()
    start = env.reset(seed=0)[0]["finger_xyz_m"]
    for _ in range(10):
        observation = env.step(np.array([1.0, -0.5, 0.0], np.float32))[0]
    moved = observation["finger_xyz_m"] - start
    np.testing.assert_allclose(moved, [0.5, -0.25, 0.0], atol=0.05)  # one second at these speeds, less the start


def put_target(env: TabletopPush, distance_m: float) -> None:
    """Set the target beside the disc's centre, at rest."""
    address = env._model.jnt_qposadr[env._model.body_jntadr[env._bodies[env._target]]]
    env._data.qpos[address : address + 2] = env._goal + np.array([distance_m, 0.0])
    env._data.qvel[:] = 0
    mujoco.mj_forward(env._model, env._data)


@pytest.mark.parametrize(("distance", "expected"), [(0.0, True), (0.03, True), (0.05, False)])
def test_success_is_lying_on_the_disc_for_long_enough(distance, expected):
    env = TabletopPush(num_objects=1, success_distance_m=0.04, hold_steps=3)
    env.reset(seed=3)
    put_target(env, distance)
    steps = [env.step(np.zeros(3, np.float32)) for _ in range(3)]
    assert [step[2] for step in steps] == [False, False, expected]
    assert steps[-1][1] == pytest.approx(-distance, abs=0.005)  # what is set down settles by some millimetres
    if expected:
        assert steps[-1][4]["success_at_end"]
        assert steps[-1][4]["success_oracle"]


def test_a_moving_target_is_no_success():
    env = TabletopPush(num_objects=1, hold_steps=1, success_speed=1e-9)
    env.reset(seed=3)
    put_target(env, 0.0)
    env._data.qvel[env._target_dof] = 0.2
    assert not env.step(np.zeros(3, np.float32))[4]["success"]


def test_the_horizon_truncates():
    env = TabletopPush(horizon_steps=4)
    env.reset(seed=0)
    steps = [env.step(np.zeros(3, np.float32)) for _ in range(4)]
    assert [step[3] for step in steps] == [False, False, False, True]
    assert not any(step[2] for step in steps)
    assert steps[-1][4]["success_at_end"] is False


def test_the_task_is_described_with_all_its_thresholds():
    info = TabletopPush(success_distance_m=0.07, hold_steps=5).reset(seed=0)[1]
    task = info["task"]
    assert task["instruction"].startswith("push the ")
    assert task["success_distance_m"] == 0.07
    assert task["hold_steps"] == 5
    assert {"success_speed", "horizon_steps", "policy_dt", "version"} <= set(task)


@pytest.mark.render
def test_pictures():
    env = TabletopPush(render_mode="rgb_array", image_size=96)
    env.reset(seed=0)
    first = env.render()
    assert first.shape == (96, 96, 3)
    assert first.dtype == np.uint8
    env.reset(seed=1)
    assert np.abs(env.render().astype(int) - first).max() > 50
    env.close()
    assert TabletopPush().render() is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"num_objects": 0}, "num_objects is 0"),
        ({"num_objects": 9}, "num_objects is 9"),
        ({"success_distance_m": 0.0}, "success_distance_m 0.0"),
        ({"horizon_steps": -1}, "horizon_steps -1"),
        ({"render_mode": "human"}, "render_mode is 'human'"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(ConfigError, match=words):
        TabletopPush(**arguments)


def test_it_is_a_gymnasium_environment():
    assert isinstance(TabletopPush(), gymnasium.Env)
