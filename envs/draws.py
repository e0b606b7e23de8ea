"""Random choices from Python sequences; `Generator.choice` costs ten times as much for these short ones."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")


def pick(rng: np.random.Generator, items: Sequence[Item]) -> Item:
    """One of the items, each as likely as the others."""
    return items[int(rng.integers(len(items)))]


def weighted(rng: np.random.Generator, weights: Mapping[Item, float]) -> Item:
    """One of the keys, by its weight; at least one weight is positive."""
    sums = list(itertools.accumulate(weights.values()))
    place = bisect.bisect_right(sums, rng.random() * sums[-1])
    return list(weights)[min(place, len(sums) - 1)]


def shuffled(rng: np.random.Generator, items: Iterable[Item]) -> list[Item]:
    """The items in random order."""
    given = list(items)
    return [given[i] for i in rng.permutation(len(given))]


def between(rng: np.random.Generator, low: float, high: float, step: float = 0.01) -> float:
    """A number of a range, rounded to whole steps."""
    return round(round(float(rng.uniform(low, high)) / step) * step, 4)
