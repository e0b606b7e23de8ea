import warnings
from dataclasses import replace

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from zoo.envs.episodes.tasks import Task
from zoo.envs.simulation.environment import ActionError, EpisodeEnv
from zoo.envs.simulation.occlusion import with_occlusion
from zoo.errors import ConfigError, UnknownNameError


@pytest.fixture(scope="module")
def env(settled):
    env = EpisodeEnv(robot="franka_droid", episodes=[settled], horizon_steps=3)
    env.reset(seed=0)
    yield env
    env.close()


def test_gymnasium_accepts_it(settled):
    env = EpisodeEnv(robot="franka_droid", episodes=[settled], horizon_steps=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Commands are radians and gripper counts, as public policies give them, and not shares of a range.
        warnings.filterwarnings("ignore", message=".*symmetric and normalized.*")
        warnings.filterwarnings("ignore", message=".*not having a spec.*")
        check_env(env, skip_render_check=True)
    env.close()


@pytest.mark.render
def test_pictures(settled):
    env = EpisodeEnv(robot="franka_droid", episodes=[settled], cameras=["exo", "wrist"], render_mode="rgb_array")
    observation, _ = env.reset(seed=0)
    assert observation["exo"].shape == (64, 96, 3)
    assert env.observation_space.contains(observation)
    assert observation["exo"].std() > 5
    np.testing.assert_array_equal(env.render(), observation["exo"])
    pixels = env.simulation.world.visible_pixels("exo", settled.task.pickup_obj_name)
    assert 0 < pixels < 64 * 96
    env.close()


@pytest.mark.render
def test_what_an_episode_covers_is_black_in_every_picture(settled):
    exo, wrist = settled.cameras
    covered = replace(settled, cameras=(with_occlusion(exo, (0.25, 0.5, 1, 1)), wrist))
    env = EpisodeEnv(robot="franka_droid", episodes=[settled], cameras=["exo", "wrist"], render_mode="rgb_array")
    plain, _ = env.reset(options={"episode": settled})
    seen = env.simulation.world.visible_pixels("exo", settled.task.pickup_obj_name)
    observation, _ = env.reset(options={"episode": covered})
    expected = plain["exo"].copy()
    expected[32:, 24:] = 0
    np.testing.assert_array_equal(observation["exo"], expected)
    np.testing.assert_array_equal(observation["wrist"], plain["wrist"])
    np.testing.assert_array_equal(env.render(), expected)
    assert not env.step(env.joined({}))[0]["exo"][32:, 24:].any()
    assert env.simulation.world.visible_pixels("exo", settled.task.pickup_obj_name) == seen  # judged by what is there
    np.testing.assert_array_equal(env.reset(options={"episode": settled})[0]["exo"], plain["exo"])
    env.close()


def test_an_episode_ends_at_its_horizon_with_both_scores(env):
    env.reset(seed=0)
    for step in range(3):
        _, _, terminated, truncated, info = env.step(env.joined({}))
        assert not terminated
        assert truncated == (step == 2)
    assert info["success_at_end"] is False
    assert info["success_oracle"] is False


def test_commands_of_groups(env):
    env.reset(seed=0)
    start = env.simulation.view.qpos("arm")
    target = start + 0.05 * np.eye(7)[0]
    for _ in range(3):
        observation, *_ = env.step(env.joined({"arm": target}))
    np.testing.assert_allclose(env.simulation.view.qpos("arm"), target, atol=5e-3)
    np.testing.assert_allclose(observation["state"][:7], env.simulation.view.qpos("arm"), atol=1e-5)
    parts = env.by_group(env.joined({"arm": target}))
    np.testing.assert_allclose(parts["arm"], target, atol=1e-6)


@pytest.mark.parametrize(
    ("action", "match"),
    [(np.zeros(3), r"shape \(3,\), expected \(8,\): arm 7"), (np.full(8, np.nan), "not finite")],
)
def test_actions_that_cannot_be_executed(env, action, match):
    env.reset(seed=0)
    with pytest.raises(ActionError, match=match):
        env.step(action)


def test_what_does_not_fit(settled):
    with pytest.raises(ConfigError, match="image_size must be given"):
        EpisodeEnv(robot="franka_droid")
    with pytest.raises(ConfigError, match="horizon_steps is 0"):
        EpisodeEnv(robot="franka_droid", episodes=[settled], horizon_steps=0)
    with pytest.raises(ConfigError, match="no camera head; it has exo, wrist"):
        EpisodeEnv(robot="franka_droid", episodes=[settled], cameras=["head"]).reset(seed=0)
    with pytest.raises(ConfigError, match="for robot 'franka_droid', this environment has 'rby1'"):
        EpisodeEnv(robot="rby1", episodes=[settled]).reset(seed=0)
    with pytest.raises(ConfigError, match="has no episodes"):
        EpisodeEnv(robot="franka_droid", image_size=(64, 64)).reset()


def test_a_task_that_nobody_registered(settled):
    task = Task.from_json({"task_cls": "lab.Juggle"}, "task")
    env = EpisodeEnv(robot="franka_droid", episodes=[replace(settled, task=task)])
    with pytest.raises(UnknownNameError, match="no task for task_cls 'lab.Juggle'"):
        env.reset(seed=0)
