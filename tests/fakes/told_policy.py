"""A policy that repeats what it sees, so that a test knows which action belongs to which observation."""

from collections.abc import Callable

import numpy as np

from zoo.policy import Policy


class Told(Policy):
    """The state, and one more for each further action of the chunk; what it was asked is kept.

    Args:
        chunk: Actions of an answer.
        before: Called with the number of the call, from 1; it may raise, or wait.
    """

    def __init__(self, *, chunk: int = 1, before: Callable[[int], None] = lambda call: None) -> None:
        self.chunk, self.before = chunk, before
        self.tasks, self.begun, self.batches = {}, [], []

    def reset(self, tasks):
        self.tasks |= tasks
        self.begun += tasks

    def act(self, observation, slots):
        self.batches.append(tuple(slots))
        self.before(len(self.batches))
        ahead = np.arange(self.chunk, dtype=np.float32)[:, None]
        return observation["state"][:, None] + ahead  # (batch, chunk, state)
