"""Contract of experts: they live in the process of their environment and may look at everything in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from zoo.envs.simulation.environment import EpisodeEnv
from zoo.errors import ConfigError
from zoo.navigation_actions import SpocAction


@dataclass(frozen=True, slots=True)
class Move:
    """What an expert does next.

    Args:
        commands: By move group, in the environment's modes; groups that are not named stay where they are told to be.
        is_done: The expert has finished, or given up; the episode ends with this step.
        phase: What it is at, for records: approach, grasp, lift, ...
        action: Of a robot that moves in discrete steps; None for the others, which have commands.
        is_recovery: The move undoes one that failed, or was drawn by chance after it; data that is recorded marks it.
    """

    commands: Mapping[str, np.ndarray] = field(default_factory=dict)
    is_done: bool = False
    phase: str = ""
    action: SpocAction | None = None
    is_recovery: bool = False


class Expert(ABC):
    """Does one or several tasks with one robot."""

    kind: ClassVar[str] = "expert"
    example_args: ClassVar[dict[str, Any]] = {}
    robots: ClassVar[tuple[str, ...]]
    """Names of robots that it knows to move."""

    @abstractmethod
    def reset(self, env: EpisodeEnv, rng: np.random.Generator) -> None:
        """Begin the episode that an environment was just set to.

        Args:
            env: Freshly reset.
            rng: Of whatever the expert draws; the same gives the same moves.
        """

    @abstractmethod
    def act(self) -> Move:
        """The next policy step, from the state as it is now."""

    def propose(self) -> SpocAction:
        """What it would do from the state as it is now, whoever brought it about: the label of somebody else's step.

        It changes nothing in the simulation. Experts of robots that move in discrete steps have it.

        Raises:
            ConfigError: this expert commands joints.
        """
        raise ConfigError(f"{type(self).__name__} commands joints; only experts of discrete robots propose actions")
