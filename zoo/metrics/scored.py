"""What scoring one answer gives, and the bins of its tables.

Source: bins of counts from Molmo2 sheet A9; those of mask sizes contain COCO's limits 32 and 96 px. Differs: nothing
publishes bins of resolution; powers of two are ours.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

Tally = tuple[float, float]

COUNT_LIMITS = (5, 10, 15, 20, 25)
MASK_LIMITS_PX = (8, 16, 32, 96)
RESOLUTION_LIMITS_PX = (128, 256, 512, 1024)


class Scored(NamedTuple):
    """One answer's scores.

    Args:
        scores: Shares in [0, 1] by name, averaged over answers.
        tallies: (hits, cases) by name, summed over the data set before they are divided: `recall/mask_size/16-32 px` is
            how many of its objects of that size an answer found.
    """

    scores: dict[str, float]
    tallies: dict[str, Tally]


def count_bin(count: int) -> str:
    """Bin of a true count; the lower limit is in, the upper out: 5 lies in 5-10."""
    return _bin(count, COUNT_LIMITS)


def mask_size_bin(area_px: float) -> str:
    """Bin of a mask's area, by the side of the square with the same area."""
    return f"{_bin(area_px**0.5, MASK_LIMITS_PX)} px"


def resolution_bin(width: int, height: int) -> str:
    """Bin of a picture's resolution, by its shorter side."""
    return f"{_bin(min(width, height), RESOLUTION_LIMITS_PX)} px"


def precision_recall_f1(hits: float, predicted: int, true: int) -> dict[str, float]:
    """`precision`, `recall` and `f1`; all three are 1 where there is nothing to find and nothing was said, 0 where
    something was (Molmo2 sheet A9).
    """
    if not true:
        return dict.fromkeys(("precision", "recall", "f1"), float(not predicted))
    precision = hits / predicted if predicted else 0.0
    return {"precision": precision, "recall": hits / true, "f1": 2 * hits / (predicted + true)}


def recall_by_mask_size(found: Iterable[bool], areas_px: Iterable[float]) -> dict[str, Tally]:
    """Tallies of how many objects were found by size; an object without a mask where it was asked for is in none."""
    tallies: dict[str, Tally] = {}
    for is_found, area in zip(found, areas_px, strict=True):
        if area:
            add_tally(tallies, f"recall/mask_size/{mask_size_bin(area)}", float(is_found), 1)
    return tallies


def add_tally(tallies: dict[str, Tally], name: str, hits: float, cases: float) -> None:
    """Add to a tally."""
    before = tallies.get(name, (0.0, 0.0))
    tallies[name] = (before[0] + hits, before[1] + cases)


def by_resolution(scores: dict[str, float], name: str, size_px: np.ndarray) -> dict[str, Tally]:
    """Tally of one score by the picture's resolution; `size_px` is (width, height)."""
    return {f"{name}/resolution/{resolution_bin(int(size_px[0]), int(size_px[1]))}": (scores[name], 1.0)}


def _bin(value: float, limits: Sequence[int]) -> str:
    place = bisect_right(limits, value)
    return f"{(0, *limits)[place]}-{limits[place]}" if place < len(limits) else f"{limits[-1]}+"
