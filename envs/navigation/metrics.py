"""Scores of navigation episodes: success weighted by length, path or collisions, and rooms visited.

Source: sheet spoc_ring_holodeck_graspmolmo sections 1.14 and 2.7. Intervals are not made here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from zoo.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class NavigationEpisode:
    """What the metrics need to know of one episode.

    Args:
        success: At its end.
        steps: Actions that the agent took, of any kind.
        expert_steps: Actions that the expert takes.
        path_m: Length of the agent's way.
        shortest_m: Length of the shortest way.
        collisions: Steps with a collision.
        rooms_visited: Different rooms that were entered.
        rooms: Of the house.
    """

    success: bool
    steps: int
    expert_steps: int
    path_m: float
    shortest_m: float
    collisions: int = 0
    rooms_visited: int = 0
    rooms: int = 0

    def __post_init__(self) -> None:
        numbers = {part.name: getattr(self, part.name) for part in fields(self) if part.name != "success"}
        bad = [f"{name} {value!r}" for name, value in numbers.items() if not (math.isfinite(value) and value >= 0)]
        if bad:
            raise ConfigError(f"navigation episode: {', '.join(bad)}; expected finite numbers of 0 or more")


@dataclass(frozen=True, kw_only=True, slots=True)
class NavigationScores:
    """Means over episodes.

    Args:
        episodes: How many.
        success: Share of successes.
        spl: Success weighted by shortest over travelled path.
        sel: Success weighted by the expert's over the agent's number of actions.
        sc: Success weighted by 1 / (1 + collisions).
        collision_rate: Collisions per step, of each episode.
        safe_episodes: Share of episodes without a collision.
        rooms_visited: Share of the rooms of the house, over episodes whose rooms are known; NaN without any.
        steps: Actions an episode.
    """

    episodes: int
    success: float
    spl: float
    sel: float
    sc: float
    collision_rate: float
    safe_episodes: float
    rooms_visited: float
    steps: float


def weighted_by_length(success: bool, shortest: float, taken: float) -> float:
    """S w / max(w, e): with metres a term of SPL, with numbers of actions a term of SEL.

    Where nothing had to be done (w = 0), a success counts only if nothing was done.
    """
    if not success:
        return 0.0
    return float(taken == 0) if shortest == 0 else shortest / max(shortest, taken)


def path_length_m(positions_m: Sequence[Sequence[float]] | np.ndarray) -> float:
    """Length of the way over (steps, 2 or 3) positions in a row."""
    return float(np.linalg.norm(np.diff(np.asarray(positions_m, np.float64), axis=0), axis=1).sum())


def rooms_entered(rooms: Iterable[str | None]) -> int:
    """How many different rooms there are among those of each step; None is no room."""
    return len({room for room in rooms if room is not None})


def scores(episodes: Sequence[NavigationEpisode]) -> NavigationScores:
    """Means over episodes.

    Raises:
        ConfigError: there is no episode.
    """
    if not episodes:
        raise ConfigError("scores of no navigation episode; run at least one")

    def mean(values: Iterable[float]) -> float:
        return float(np.mean(list(values)))

    known = [episode.rooms_visited / episode.rooms for episode in episodes if episode.rooms]
    return NavigationScores(
        episodes=len(episodes),
        success=mean(e.success for e in episodes),
        spl=mean(weighted_by_length(e.success, e.shortest_m, e.path_m) for e in episodes),
        sel=mean(weighted_by_length(e.success, e.expert_steps, e.steps) for e in episodes),
        sc=mean(e.success / (1 + e.collisions) for e in episodes),
        collision_rate=mean(e.collisions / max(e.steps, 1) for e in episodes),
        safe_episodes=mean(e.collisions == 0 for e in episodes),
        rooms_visited=mean(known) if known else math.nan,
        steps=mean(e.steps for e in episodes),
    )
