"""Contract of what makes training data with the policy that is being trained, round by round.

Source: DESIGN section 4, an on-policy module; Ross et al. 2011, A reduction of imitation learning and structured
prediction to no-regret online learning (DAgger).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from zoo.policy import Policy


class RolloutRounds(ABC):
    """Lets a policy act in episodes that are new in every round, and writes down what it should have done."""

    kind: ClassVar[str] = "rollouts"

    @abstractmethod
    def check(self, policy: Policy) -> None:
        """Refuse a policy that looks at other pictures than those that are recorded.

        Raises:
            ConfigError: names what differs.
        """

    @abstractmethod
    def collect(self, folder: Path, number: int, policy: Policy, *, workers: int) -> Mapping[str, float]:
        """Record a round, as a data set of shards whose split is `train`.

        Args:
            folder: Of this round alone. A round that is finished there stays, one that was stopped is gone on with.
            number: Of the round, from 0.
            policy: Acts in this process for all workers, in whichever thread.
            workers: Processes that simulate; 0 simulates in this one.
        Returns:
            What is to be told of the round, by name; also of one that was finished before.
        Raises:
            ConfigError: the folder holds other data.
        """
