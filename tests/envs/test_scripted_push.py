"""The scripted policy succeeds, a random one does not; a batch acts like its members."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo.envs.scripted_push import ScriptedPush
from zoo.envs.tabletop_push import TabletopPush
from zoo.policy import Observation, Policy, stack_observations

EPISODES = 20


class RandomPolicy(Policy):
    """Uniform actions."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def reset(self, tasks: Mapping[int, Mapping[str, Any]]) -> None:
        pass

    def act(self, observation: Observation, slots: Sequence[int]) -> np.ndarray:
        return self.rng.uniform(-1, 1, (len(slots), 1, 3)).astype(np.float32)


def play(policy: Policy, seed: int) -> dict[str, Any]:
    env = TabletopPush()
    observation, info = env.reset(seed=seed)
    policy.reset({0: info["task"]})
    while True:
        for action in policy.act(stack_observations([observation]), [0])[0]:
            observation, _, terminated, truncated, info = env.step(action)
            if terminated or truncated:
                return info


def success_rate(policy: Policy) -> float:
    return float(np.mean([play(policy, seed)["success_at_end"] for seed in range(EPISODES)]))


def test_the_script_succeeds_and_chance_does_not():
    assert success_rate(ScriptedPush()) >= 0.9
    assert success_rate(RandomPolicy(0)) <= 0.1


def test_a_batch_acts_like_its_members():
    seeds = (0, 1, 2)
    envs = [TabletopPush() for _ in seeds]
    starts = [env.reset(seed=seed) for env, seed in zip(envs, seeds, strict=True)]
    together, alone = ScriptedPush(), [ScriptedPush() for _ in seeds]
    together.reset({slot: info["task"] for slot, (_, info) in enumerate(starts)})
    for policy, (_, info) in zip(alone, starts, strict=True):
        policy.reset({0: info["task"]})
    observations = [observation for observation, _ in starts]
    for _ in range(40):
        batch = stack_observations(observations)
        before = copy.deepcopy(batch)
        actions = together.act(batch, range(len(seeds)))
        assert actions.shape == (3, 1, 3)
        assert actions.dtype == np.float32
        for name, array in batch.items():
            np.testing.assert_array_equal(array, before[name])  # the observation was left alone
        single = [policy.act(stack_observations([o]), [0])[0] for policy, o in zip(alone, observations, strict=True)]
        np.testing.assert_array_equal(actions, np.stack(single))
        observations = [env.step(action[0])[0] for env, action in zip(envs, actions, strict=True)]
