"""Contract of policies: observations in, chunks of actions out, be it a script, a module, a checkpoint or a server.

Everything is batched, because policy inference runs in the main process for many simulators at once, and everything is
numpy, because simulators are free of torch. Episodes begin and end at different times, so each has a slot of its own.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

Observation = Mapping[str, np.ndarray]


class Policy(ABC):
    """Acts for several episodes, each in a slot.

    A policy may keep state between calls (a plan, a cache), by slot. It never edits an observation.
    """

    kind: ClassVar[str] = "policy"
    cameras: tuple[str, ...] | None = None
    """Whose pictures it looks at, where a caller does not say; those of them that an episode lacks are left out of its
    observations. None: all that are there."""
    image_size: tuple[int, int] | None = None
    """Width and height of the pictures that it looks at, pixels; None: as the episode has them."""
    takes_boxes: bool = False
    """Beside the picture of each camera it wants boxes of its targets in it, under `boxes_name(camera)`."""

    @abstractmethod
    def reset(self, tasks: Mapping[int, Mapping[str, Any]]) -> None:
        """Begin episodes in these slots; what other slots are at goes on.

        Args:
            tasks: By slot, a description as the environment's `reset` puts it into `info["task"]`; plain JSON values.
        """

    @abstractmethod
    def act(self, observation: Observation, slots: Sequence[int]) -> Sequence[np.ndarray] | np.ndarray:
        """Choose what to do next.

        Args:
            observation: The environments' observations, each array with the batch in front.
            slots: Of the batch's rows, each begun by `reset`.
        Returns:
            A chunk for each row, (chunk, action_dim) float32 actions to be executed in order; chunks may differ in
            length, and a caller may execute fewer than it got and ask again. One of length 0 says that the policy is
            done.
        """


def boxes_name(camera: str) -> str:
    """What boxes of targets in a camera's picture are called in observations: (boxes, 5), x1, y1, x2, y2 and area."""
    return f"{camera}_boxes"


@runtime_checkable
class ActingModule(Protocol):
    """A module that can act."""

    def policy(self) -> Policy:
        """A policy over the weights as they are, which are not copied."""


def stack_observations(observations: Sequence[Observation]) -> dict[str, np.ndarray]:
    """Put observations of several environments into one batch.

    Args:
        observations: One each, with the same names and shapes.
    Raises:
        ValueError: none given, or their names differ.
    """
    if not observations:
        raise ValueError("stack_observations: no observation")
    names = set(observations[0])
    for observation in observations:
        if set(observation) != names:
            raise ValueError(f"stack_observations: names differ, {sorted(names ^ set(observation))} are not in all")
    return {name: np.stack([observation[name] for observation in observations]) for name in observations[0]}
