"""How sure a difference between two models is that were asked the same questions: a paired bootstrap over clips.

Questions about one clip stand or fall together, so whole clips are drawn, with replacement, and the difference is taken
within each question. It tells how far another draw of test clips could have moved the difference; how far another
training would have, the spread over seeds tells.
"""

from typing import NamedTuple

import numpy as np

from zoo.errors import ConfigError

DRAWS = 2000
LEVEL = 0.95


class Interval(NamedTuple):
    """A mean difference and its interval.

    Args:
        mean: Over all questions.
        low: Lower end.
        high: Upper end.
        questions: That both were asked.
        clips: That these are about.
    """

    mean: float
    low: float
    high: float
    questions: int
    clips: int


def paired_interval(
    difference: np.ndarray, clip: np.ndarray, *, draws: int = DRAWS, level: float = LEVEL, seed: int = 0
) -> Interval:
    """The mean of differences within questions, with its percentile interval over resampled clips.

    Args:
        difference: (questions,) float, one model's score minus the other's.
        clip: (questions,) int, the clip that each question is about.
        draws: Resamples of clips.
        level: Share of resampled means inside the interval, in (0, 1).
        seed: Of the draws.
    Raises:
        ConfigError: no question.
    """
    difference = np.asarray(difference, np.float64)
    if not len(difference):
        raise ConfigError("the two share no question, so that there is no difference; test both on the same clips")
    _, place = np.unique(clip, return_inverse=True)
    sums, counts = np.bincount(place, weights=difference), np.bincount(place).astype(np.float64)
    clips = len(counts)
    drawn = np.random.default_rng(seed).multinomial(clips, np.full(clips, 1 / clips), size=draws)
    means = (drawn @ sums) / (drawn @ counts)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(sums.sum() / counts.sum()), float(low), float(high), len(difference), clips)
