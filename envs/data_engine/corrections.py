"""One episode in which a policy acts and an expert says at every step what it would have done, recorded step by step.

Source: Ross et al. 2011 (DAgger: the states are those that the policy brings about, and the labels the expert's).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from zoo.envs.data_engine.recorder import AT_START, GAVE_UP, NO_ROUTE, UNSTABLE, Recording, before_action
from zoo.envs.data_engine.sight import RecordingEnv
from zoo.envs.episodes.schema import Episode
from zoo.envs.experts.expert import Expert
from zoo.envs.navigation.paths import NoRouteError
from zoo.envs.sampling.sampler import RejectedError
from zoo.envs.simulation.simulation import UnstableError
from zoo.navigation_actions import SpocAction
from zoo.policy import Observation
from zoo.shards.policy_episode import EXPERT_ACTIONS

NO_ACTION = -1
"""In `last_action` at the start."""


class Actor(Protocol):
    """Acts in one episode at a time."""

    def reset(self, task: dict[str, Any]) -> None:
        """Begin an episode, described as in the `info` of the environment's reset."""

    def act(self, observation: Observation) -> np.ndarray:
        """(chunk, 1) actions, of which the first is asked for; an empty chunk is a `done`."""


@dataclass
class CorrectedRecording(Recording):
    """A recording whose actions are not all the expert's.

    Args:
        expert_moves: Steps at which the expert's action was made, whether or not the policy chose the same.
        first_done: Whether the policy's first `done` would have been scored as success; None where it said none.
    """

    expert_moves: int = 0
    first_done: bool | None = None

    @property
    def is_success(self) -> bool:
        """It ends in `done`, which is made only where strict success holds."""
        return self.rows["actions"][-1] == SpocAction.DONE


def record_corrected(
    env: RecordingEnv,
    episode: Episode,
    expert: Expert,
    actor: Actor,
    rng: np.random.Generator,
    *,
    expert_share: float,
    max_steps: int,
    index: int = 0,
) -> CorrectedRecording:
    """Let a policy do an episode under the eyes of an expert.

    A step makes the expert's action with a probability, else the policy's. A `done` of the policy that is no strict
    success is not made: the episode would be over before anything is learnt from its mistake, so the expert's action is
    made instead. The episode ends with a `done` that is right; where the expert gives up, which is not recorded, since
    its `done` would be a wrong label; or after `max_steps`.

    Args:
        env: For the episode's robot, with the pictures that are wanted.
        episode: What to do.
        expert: For its task; labels every step.
        actor: The policy. Its observations hold `last_action` (1,), the action that was made before, beside what the
            environment observes.
        rng: Of the expert's own draws, and of who acts.
        expert_share: Probability that the expert acts, at each step.
        max_steps: After which the episode is cut off.
        index: Place of the episode in its data set: its seed if it states none.
    Raises:
        RejectedError: the episode cannot be set up, begins where it should end, or the expert has no first action.
    """
    try:
        observation, info = env.reset(options={"episode": episode, "index": index})
        expert.reset(env, rng)
        actor.reset(info["task"])
        return _run(env, expert, actor, rng, observation, info, expert_share=expert_share, max_steps=max_steps)
    except NoRouteError as error:
        raise RejectedError(NO_ROUTE) from error
    except UnstableError as error:
        raise RejectedError(UNSTABLE) from error


def _run(
    env: RecordingEnv,
    expert: Expert,
    actor: Actor,
    rng: np.random.Generator,
    observation: Observation,
    info: dict[str, Any],
    *,
    expert_share: float,
    max_steps: int,
) -> CorrectedRecording:
    rooms = {room.name: place for place, room in enumerate(env.simulation.house.scene.rooms)}
    recording = CorrectedRecording({camera: [] for camera in env.cameras}, categories=env.synsets)
    last = NO_ACTION
    while recording.num_steps < max_steps:
        label, is_strict = _label(expert), env.task.strict_success()
        if label is None or (label == SpocAction.DONE and not is_strict):
            break
        if label == SpocAction.DONE and not recording.num_steps:
            raise RejectedError(AT_START)
        chosen = _chosen(actor, {**observation, "last_action": np.array([last])})
        if chosen == SpocAction.DONE and recording.first_done is None:
            recording.first_done = bool(env.task.is_success())
        is_experts = rng.random() < expert_share or (chosen == SpocAction.DONE and not is_strict)
        action = label if is_experts else chosen
        if action == SpocAction.DONE:
            label = action  # the expert would go on to well within the distance, but this is a success
        for camera in env.cameras:
            recording.frames[camera].append(observation[camera])
        recording.add(before_action(env, observation, info, rooms))
        recording.add({"actions": int(action), EXPERT_ACTIONS: int(label), "strict_success": is_strict})
        observation, _, _, _, info = env.step(np.array([action]))
        is_over = action == SpocAction.DONE
        recording.add({"action_success": bool(observation["last_action_success"][0]) or is_over, "is_recovery": False})
        recording.expert_moves += is_experts
        last = int(action)
        if is_over:
            break
    if not recording.num_steps:
        raise RejectedError(GAVE_UP)
    return recording


def _label(expert: Expert) -> SpocAction | None:
    """What the expert would do; None where the policy has gone to where it knows no way."""
    try:
        return expert.propose()
    except NoRouteError:
        return None


def _chosen(actor: Actor, observation: Observation) -> SpocAction:
    chunk = np.asarray(actor.act(observation))
    return SpocAction(int(chunk[0, 0])) if len(chunk) else SpocAction.DONE
