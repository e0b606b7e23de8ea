"""Who chooses actions within a worker: an expert, chance, or a policy in the main process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from zoo import registry
from zoo.envs.evaluation.rollout import Driver, Observation, PolicyError
from zoo.envs.experts.driving import SPEED, TURN_SPEED
from zoo.envs.experts.expert import Expert
from zoo.envs.simulation.environment import EpisodeEnv
from zoo.envs.tasks.chores import Chore
from zoo.errors import UnknownNameError
from zoo.navigation_actions import SpocAction

EXPERT, RANDOM = "expert", "random"


class ExpertDriver(Driver):
    """The expert that is registered under the name of the episode's task."""

    def reset(self, env: EpisodeEnv, task: Mapping[str, Any], rng: np.random.Generator) -> None:
        """Begin the episode.

        Raises:
            UnknownNameError: the task has no expert, or none for this robot.
        """
        self._env = env
        self._expert: Expert = registry.build("expert", task["task"])
        if env.robot.name not in self._expert.robots:
            raise UnknownNameError(
                f"the expert of task {task['task']!r} moves {', '.join(self._expert.robots)}, not {env.robot.name!r}"
            )
        self._is_done = False
        self._expert.reset(env, rng)

    def act(self, observation: Observation) -> Sequence[np.ndarray]:
        if self._is_done:
            return ()
        move = self._expert.act()
        self._is_done = move.is_done
        if self._env.is_discrete:
            assert move.action is not None, "an expert of a discrete robot without an action"
            return (np.array([move.action], np.float32),)
        return (self._env.joined(move.commands),)


class RandomDriver(Driver):
    """Uniform actions within the action space, each for one step.

    A robot that moves in discrete steps: uniform over the actions with which its task can be done, those of navigation
    where there is nothing to fetch, but `done`, which it says at its last step and never before. Saying `done` as often
    as anything else would end most episodes within ten steps, near a start that is far from the goal; to wander for the
    whole time is the better chance, and so the harder baseline.

    A base that takes places in the world is sent no farther than it drives in one step: the action space is larger than
    any house, and servos that pull over such distances tear the physics apart.
    """

    def reset(self, env: EpisodeEnv, task: Mapping[str, Any], rng: np.random.Generator) -> None:
        self._env, self._rng = env, rng
        if env.is_discrete:
            actions = env.task.actions if isinstance(env.task, Chore) else tuple(SpocAction)
            self._choices = [action for action in actions if action != SpocAction.DONE]
            self._last_step = int(task["horizon_steps"]) - 1
            return
        pace = np.array([SPEED, SPEED, TURN_SPEED]) * env.simulation.clocks.policy_dt
        modes = {group.name: env.modes.get(group.name, group.modes[0]) for group in env.robot.groups}
        self._paces = {name: pace for name, mode in modes.items() if mode == "holo_joint_planar_position"}

    def act(self, observation: Observation) -> Sequence[np.ndarray]:
        if self._env.is_discrete:
            is_last = self._env.steps >= self._last_step
            action = SpocAction.DONE if is_last else self._choices[int(self._rng.integers(len(self._choices)))]
            return (np.array([action], np.float32),)
        space = self._env.action_space
        commands = self._env.by_group(self._rng.uniform(space.low, space.high))
        for name, pace in self._paces.items():
            commands[name] = self._env.simulation.view.qpos(name) + self._rng.uniform(-pace, pace)
        return (self._env.joined(commands),)


class RemoteDriver(Driver):
    """A policy at the other end of a pipe; see `zoo.envs.evaluation.pool`.

    Args:
        connection: To the main process.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def reset(self, env: EpisodeEnv, task: Mapping[str, Any], rng: np.random.Generator) -> None:
        self._connection.send(("reset", dict(task)))

    def act(self, observation: Observation) -> Sequence[np.ndarray]:
        """Ask for a chunk.

        Raises:
            PolicyError: the policy failed in its own code.
        """
        self._connection.send(("act", dict(observation)))
        kind, content = self._connection.recv()
        if kind == "error":
            raise PolicyError(content)
        return content


def driver(policy: str, connection: Connection) -> Driver:
    """By what was asked for: `expert`, `random`, or anything else for a policy in the main process."""
    if policy == EXPERT:
        return ExpertDriver()
    return RandomDriver() if policy == RANDOM else RemoteDriver(connection)
