"""Contract of tasks: fields of an episode in, success and reward of the current state out."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from zoo.envs.episodes import tasks as records
from zoo.envs.simulation.world import World
from zoo.errors import DataError


@dataclass(frozen=True, slots=True)
class Judgement:
    """How an episode stands now.

    Args:
        success: The success test of the current state; an episode is scored at its end and by whether it ever held.
        reward: Dense reward of the current state, in the unit that the task says.
        facts: What the test looked at, SI units.
    """

    success: bool
    reward: float
    facts: Mapping[str, float] = field(default_factory=dict)


class Task(ABC):
    """What is to be done, and when it is done.

    A subclass's constructor takes the fields of an episode's `task` that its test reads, by their public names (sheet
    section 6). Thresholds have no defaults here: `zoo.envs.episodes.tasks` says what holds where a file is silent.
    """

    record: ClassVar[type[records.Task]]
    """Of the fields of its episodes: stated by a task from elsewhere, as the table of `zoo.envs.episodes.tasks` has
    those of ours."""

    kind: ClassVar[str] = "task"
    targets: tuple[str, ...] = ()
    """Root bodies that count, of a task that has such."""
    version: ClassVar[int] = 1
    example_args: ClassVar[dict[str, Any]]

    @classmethod
    def from_episode(cls, fields: Mapping[str, Any]) -> Self:
        """Make a task from an episode's `task`.

        Args:
            fields: All of them; those that this task does not read are left alone.
        Raises:
            DataError: one that it needs is missing.
        """
        parameters = inspect.signature(cls).parameters
        missing = [
            name for name, one in parameters.items() if one.default is inspect.Parameter.empty and name not in fields
        ]
        if missing:
            raise DataError(f"an episode of {cls.__name__} lacks {', '.join(missing)}; it has {', '.join(fields)}")
        return cls(**{name: fields[name] for name in parameters if name in fields})

    @abstractmethod
    def bind(self, world: World) -> None:
        """Find the episode's names in a scene at its start.

        Raises:
            DataError: one of them is not there.
        """

    @abstractmethod
    def judge(self) -> Judgement:
        """Look at the current state; called once after every policy step, in order."""
