"""Choose episodes for a benchmark out of many recorded ones, so that kinds of objects and houses are spread.

Source: sheet molmospaces section 6, "benchmark builder". Greedy: each time the episode is taken that costs least, and
equal costs are settled by an order drawn from the seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zoo.envs.episodes.schema import Episode
from zoo.errors import ConfigError

SEED = 42
REPEAT_COST = 1000.0  # the house, or the very same object, is in already
CATEGORY_COST = 100.0  # for each episode with this kind of object
HOUSE_COST = 10.0  # for each episode in this house
INSTANCE_COST = 1.0  # for each episode with this object
UNFIT_CATEGORIES = {"open": ("laptop",), "close": ("laptop",)}
"""Kinds of objects that a task leaves out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A recorded episode that may be chosen.

    Args:
        episode: As it will stand in the benchmark.
        category: Kind of its object.
        instance: Which object exactly.
        success_at_start: The success test held at step 0: nothing would be left to do.
        success_at_end: It held at the last step.
    """

    episode: Episode
    category: str
    instance: str
    success_at_start: bool
    success_at_end: bool

    @property
    def is_usable(self) -> bool:
        """It was solved, and there was something to solve."""
        unfit = UNFIT_CATEGORIES.get(self.episode.task.name or "", ())
        return self.success_at_end and not self.success_at_start and self.category.lower() not in unfit


def select(
    candidates: Sequence[Candidate], count: int, *, min_per_category: int = 0, seed: int = SEED
) -> tuple[Episode, ...]:
    """Choose episodes.

    Args:
        candidates: Recorded episodes; the unusable ones are left out.
        count: How many to choose.
        min_per_category: Different pairs of house and object that a category must offer to be used.
        seed: Of the order among equals.
    Returns:
        In the order in which they were chosen, each stating all its fields.
    Raises:
        ConfigError: fewer usable candidates than asked for.
    """
    usable = _of_frequent_categories([one for one in candidates if one.is_usable], min_per_category)
    if not 1 <= count <= len(usable):
        raise ConfigError(
            f"{count} episodes are asked for, and {len(usable)} of {len(candidates)} candidates are usable: solved at "
            f"the end, not at the start, in categories with at least {min_per_category} pairs of house and object; "
            "ask for fewer or record more"
        )
    order = np.random.default_rng(seed).permutation(len(usable))
    usable = [usable[index] for index in order]
    houses = _numbered([one.episode.house for one in usable])
    categories = _numbered([one.category for one in usable])
    instances = _numbered([one.instance for one in usable])
    in_house, in_category, in_instance = (np.zeros(len(usable)) for _ in range(3))  # by number: episodes taken
    is_taken = np.zeros(len(usable), bool)
    chosen = []
    for _ in range(count):
        repeats = (in_house[houses] > 0) | (in_instance[instances] > 0)
        cost = (
            REPEAT_COST * repeats
            + CATEGORY_COST * in_category[categories]
            + HOUSE_COST * in_house[houses]
            + INSTANCE_COST * in_instance[instances]
        )
        best = int(np.argmin(np.where(is_taken, np.inf, cost)))
        is_taken[best] = True
        in_house[houses[best]] += 1
        in_category[categories[best]] += 1
        in_instance[instances[best]] += 1
        chosen.append(usable[best].episode.explicit())
    return tuple(chosen)


def _of_frequent_categories(candidates: list[Candidate], min_per_category: int) -> list[Candidate]:
    pairs: dict[str, set[tuple[object, str]]] = {}
    for one in candidates:
        pairs.setdefault(one.category, set()).add((one.episode.house, one.instance))
    return [one for one in candidates if len(pairs[one.category]) >= min_per_category]


def _numbered(values: Sequence[object]) -> np.ndarray:
    """Equal values get equal numbers, counted from 0 in the order of their appearance."""
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values])
