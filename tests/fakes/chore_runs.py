"""Episodes of a folded robot in the two rooms of `two_rooms`, and runs of an expert to its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from wheeled import wheeled_episode

from zoo.envs.episodes.schema import Episode
from zoo.envs.experts.chores.chore import ChoreExpert
from zoo.envs.robots.stretch import HOME
from zoo.envs.simulation.environment import EpisodeEnv
from zoo.navigation_actions import SpocAction


def folded_episode(name: str, base: Sequence[float], **more: Any) -> Episode:
    """An episode whose robot begins as samplers have it, with the arm folded."""
    episode = wheeled_episode(name, base, **more)
    if episode.robot.robot_name != "stretch":
        return episode
    return replace(episode, robot=replace(episode.robot, init_qpos={"arm": HOME}))


@dataclass
class Run:
    """What an expert did.

    Args:
        actions: All of them.
        phases: Of each.
        recoveries: Of each.
        strict: The strict rule held when done was said.
    """

    actions: list[SpocAction]
    phases: list[str]
    recoveries: list[bool]
    strict: bool


def run_chore(
    env: EpisodeEnv, expert: ChoreExpert, *, before_step: Callable[[int], None] | None = None, steps: int = 300
) -> Run:
    """Let an expert work to its end.

    Args:
        env: At the start of the episode.
        expert: Of its task.
        before_step: Called with the number of each step, before the expert is asked.
        steps: At most.
    """
    expert.reset(env, np.random.default_rng(0))
    run = Run([], [], [], strict=False)
    for number in range(steps):
        if before_step is not None:
            before_step(number)
        move = expert.act()
        run.actions.append(move.action)
        run.phases.append(move.phase)
        run.recoveries.append(move.is_recovery)
        run.strict = move.is_done and env.task.strict_success()
        env.step(np.array([move.action], np.float32))
        if move.is_done:
            break
    return run
