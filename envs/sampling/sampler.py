"""Contract of samplers, and how episodes are drawn from many houses with rejections counted.

Source: sheet molmospaces section 15, "Episode sampling order".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar
from zlib import crc32

import numpy as np

from zoo import registry
from zoo.envs.episodes.schema import Episode
from zoo.envs.simulation.houses import House, house
from zoo.errors import ConfigError, ZooError

MAX_REJECTIONS = 10
"""In a row, after which a house is left (sheet section 15)."""


class RejectedError(ZooError):
    """A draw that makes no episode.

    Args:
        reason: A few words, the same for the same cause, for counting.
        is_hopeless: Another draw in this house will not do either.
    """

    def __init__(self, reason: str, *, is_hopeless: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.is_hopeless = reason, is_hopeless


class TaskSampler(ABC):
    """Draws episodes of one task."""

    kind: ClassVar[str] = "task_sampler"
    example_args: ClassVar[dict[str, Any]] = {}
    robot_name: ClassVar[str]
    """Registry name of the robot that its episodes are for."""

    @abstractmethod
    def sample(self, place: House, rng: np.random.Generator) -> Episode:
        """One episode in a house: target, receptacle, robot pose, cameras, prompt, and the pose of every free object.

        Args:
            place: The house.
            rng: Of all draws.
        Raises:
            RejectedError: this draw failed.
        """


@dataclass
class SamplingReport:
    """What it took to draw episodes.

    Args:
        accepted: Episodes.
        rejected: Draws, by reason.
        houses: That were visited.
    """

    accepted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    houses: int = 0

    def text(self) -> str:
        """One line for people."""
        reasons = ", ".join(f"{reason} {count}" for reason, count in self.rejected.most_common())
        return f"{self.accepted} episodes from {self.houses} houses; rejected draws: {reasons or 'none'}"


def sample_episodes(
    task: str,
    *,
    dataset: str = "procedural",
    split: str = "val",
    count: int,
    seed: int = 0,
    per_house: int = 1,
    arguments: Mapping[str, Any] = MappingProxyType({}),
    report: SamplingReport | None = None,
) -> Iterator[Episode]:
    """Draw episodes, house after house; the same arguments give the same episodes in every process.

    Args:
        task: Registry name of the task sampler.
        dataset: Registry name of the scene planner.
        split: Of houses and asset instances.
        count: How many.
        seed: Of the draws; also chooses where in the split the houses begin, so that seeds do not share houses.
        per_house: Episodes of one house before the next is taken.
        arguments: Of the sampler, where it takes any.
        report: Filled along the way.
    Raises:
        ConfigError: a number out of its range.
        UnknownNameError: no such sampler or planner.
    """
    if count < 1 or per_house < 1:
        raise ConfigError(f"count is {count} and per_house {per_house}, expected 1 or more")
    sampler = registry.build("task_sampler", task, **arguments)
    report = SamplingReport() if report is None else report
    first = seed * 100_000
    for index in range(first, first + 100_000):
        place = house(dataset, split, index)
        report.houses += 1
        rng = np.random.default_rng([seed, index, crc32(task.encode())])
        for _ in range(per_house):
            episode = _draw(sampler, place, rng, report)
            if episode is None:
                break
            yield episode
            report.accepted += 1
            if report.accepted == count:
                return
    raise ConfigError(f"100,000 houses of {dataset!r} gave {report.accepted} of {count} episodes. {report.text()}")


def _draw(sampler: TaskSampler, place: House, rng: np.random.Generator, report: SamplingReport) -> Episode | None:
    """An episode, or None after too many rejections in a row."""
    for _ in range(MAX_REJECTIONS):
        try:
            return sampler.sample(place, rng)
        except RejectedError as rejection:
            report.rejected[rejection.reason] += 1
            if rejection.is_hopeless:
                return None
    return None
