import itertools
import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from zoo import registry
from zoo.envs.episodes.schema import Episode
from zoo.envs.simulation import registration
from zoo.errors import ConfigError, UnknownNameError


@pytest.fixture
def _quick_draws(monkeypatch, settled):
    """Episodes of one house, whose arm starts elsewhere with every seed."""

    def drawn(task, *, seed, **_):
        assert task == "pick"
        content = settled.to_json()
        content["robot"]["init_qpos"]["arm"][0] = seed / registration.NUM_SEEDS
        return itertools.repeat(Episode.from_json(content, "episode"))

    monkeypatch.setattr(registration, "sample_episodes", drawn)


def test_every_task_that_can_be_drawn_has_an_id():
    ids = registration.register_envs()
    assert ids == registration.register_envs()
    assert {"molmo_zoo/Pick-v0", "molmo_zoo/PickAndPlaceNextTo-v0", "molmo_zoo/NavigateTo-v0"} <= set(ids)
    assert len(ids) == len(registry.names("task_sampler"))
    assert all(name in gymnasium.registry for name in ids)


@pytest.mark.render
@pytest.mark.usefixtures("_quick_draws")
def test_gymnasium_accepts_it():
    env = gymnasium.make("molmo_zoo/Pick-v0", cameras=("exo",), image_size=(32, 24), render_mode="rgb_array")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Commands are radians and gripper counts, as public policies give them, and not shares of a range.
        warnings.filterwarnings("ignore", message=".*symmetric and normalized.*")
        check_env(env.unwrapped)
    env.close()


@pytest.mark.usefixtures("_quick_draws")
def test_a_seed_decides_about_all_episodes_that_follow():
    env = gymnasium.make("molmo_zoo/Pick-v0")

    def starts(seed):
        return [env.reset(seed=seed)[0]["state"], env.reset()[0]["state"]]

    first, again, other = starts(3), starts(3), starts(4)
    np.testing.assert_array_equal(first, again)
    assert first[0][0] != first[1][0]
    assert first[0][0] != other[0][0]
    env.close()


@pytest.mark.usefixtures("_quick_draws")
def test_a_given_episode_is_taken(settled):
    env = gymnasium.make("molmo_zoo/Pick-v0")
    observation, info = env.reset(options={"episode": settled})
    assert info["task"]["key"] == settled.key
    np.testing.assert_allclose(observation["state"][:7], settled.robot.init_qpos["arm"], atol=1e-6)
    env.close()


def test_an_episode_is_drawn_in_a_process_that_knows_the_module_only():
    code = (
        "import sys, zoo\n"
        "assert 'gymnasium' not in sys.modules\n"
        "import gymnasium\n"
        "env = gymnasium.make('zoo.envs.simulation.registration:molmo_zoo/Pick-v0', split='val')\n"
        "observation, info = env.reset(seed=1)\n"
        "assert env.observation_space.contains(observation)\n"
        "assert 'torch' not in sys.modules\n"
        "print(info['task']['task'], info['task']['instruction'])"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert told.startswith("pick pick up the ")


def test_what_does_not_fit():
    with pytest.raises(UnknownNameError, match="no task_sampler 'pikc'"):
        registration.SampledEnv(task="pikc")
    with pytest.raises(UnknownNameError, match="procedual"):
        gymnasium.make("molmo_zoo/Pick-v0", dataset="procedual")
    with pytest.raises(ConfigError, match="horizon_steps is 0"):
        gymnasium.make("molmo_zoo/Pick-v0", horizon_steps=0)
