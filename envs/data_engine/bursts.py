"""An expert that is led astray now and then, and labels every step: recovery is recorded without a policy.

A burst repeats one move. Single random moves would teach little more than to undo the last action.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.envs.data_engine.corrections import CorrectedRecording, record_corrected
from zoo.envs.data_engine.recorder import GAVE_UP, TOO_LONG
from zoo.envs.data_engine.sight import RecordingEnv
from zoo.envs.episodes.schema import Episode
from zoo.envs.experts.expert import Expert
from zoo.envs.sampling.sampler import RejectedError
from zoo.navigation_actions import SpocAction
from zoo.policy import Observation

START_SHARE = 0.04  # of the steps outside of bursts that begin one
SHORTEST, LONGEST = 2, 6  # steps of a burst
MOVES = (SpocAction.MOVE_AHEAD, SpocAction.ROTATE_LEFT, SpocAction.ROTATE_RIGHT)


class Bursts:
    """Does what an expert proposes, but for bursts of one random move.

    Args:
        expert: Of the episode, asked for what it would do now.
        rng: Of the bursts.
    """

    def __init__(self, expert: Expert, rng: np.random.Generator) -> None:
        self._expert, self._rng = expert, rng

    def reset(self, task: dict[str, Any]) -> None:
        """See `zoo.envs.data_engine.corrections.Actor`."""
        self._left, self._move = 0, MOVES[0]

    def act(self, observation: Observation) -> np.ndarray:
        """See `zoo.envs.data_engine.corrections.Actor`."""
        if not self._left and self._rng.random() < START_SHARE:
            self._left = int(self._rng.integers(SHORTEST, LONGEST + 1))
            self._move = MOVES[int(self._rng.integers(len(MOVES)))]
        if not self._left:
            return np.array([[self._expert.propose()]])
        self._left -= 1
        return np.array([[self._move]])


def record_perturbed(
    env: RecordingEnv, episode: Episode, expert: Expert, rng: np.random.Generator, *, max_steps: int, index: int = 0
) -> CorrectedRecording:
    """Let an expert do an episode in spite of bursts of random moves.

    Args:
        env: For the episode's robot, with the pictures that are wanted.
        episode: What to do.
        expert: For its task; labels every step.
        rng: Of the bursts, and of what the expert draws.
        max_steps: Longer episodes are not kept.
        index: Place of the episode in its data set: its seed if it states none.
    Raises:
        RejectedError: the episode cannot be set up or done, or did not end in strict success.
    """
    actor = Bursts(expert, rng)
    recording = record_corrected(env, episode, expert, actor, rng, expert_share=0.0, max_steps=max_steps, index=index)
    if not recording.is_success:
        raise RejectedError(TOO_LONG if recording.num_steps == max_steps else GAVE_UP)
    return recording
