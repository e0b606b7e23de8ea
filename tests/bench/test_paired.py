"""Intervals of paired differences: known cases, and how often they hold the truth."""

import numpy as np
import pytest

from zoo.bench.paired import paired_interval
from zoo.errors import ConfigError


def test_identical_answers_have_no_width():
    interval = paired_interval(np.zeros(40), np.repeat(np.arange(8), 5))
    assert (interval.mean, interval.low, interval.high) == (0.0, 0.0, 0.0)
    assert (interval.questions, interval.clips) == (40, 8)


def test_a_difference_that_every_clip_shares_has_no_width():
    interval = paired_interval(np.full(12, 0.25), np.arange(12) % 3)
    assert interval[:3] == (0.25, 0.25, 0.25)


def test_one_clip_tells_nothing_of_others():
    interval = paired_interval(np.array([1.0, 0.0]), np.array([7, 7]))
    assert interval[:3] == (0.5, 0.5, 0.5)


def test_the_mean_is_over_questions_and_not_over_clips():
    interval = paired_interval(np.array([1.0, 0.0, 0.0, 0.0]), np.array([0, 1, 1, 1]))
    assert interval.mean == 0.25
    assert interval.low == 0.0 and interval.high == 1.0


def test_the_draws_are_those_of_a_slow_loop():
    generator = np.random.default_rng(3)
    difference, clip = generator.integers(-1, 2, 60).astype(float), generator.integers(0, 9, 60)
    names = np.unique(clip)
    drawn = np.random.default_rng(5).multinomial(len(names), np.full(len(names), 1 / len(names)), size=300)
    means = []
    for counts in drawn:
        chosen = [d for name, count in zip(names, counts, strict=True) for _ in range(count) for d in difference[clip == name]]  # noqa: E501 # fmt: skip
        means.append(np.mean(chosen))
    interval = paired_interval(difference, clip, draws=300, seed=5)
    np.testing.assert_allclose(interval[1:3], np.quantile(means, [0.025, 0.975]), rtol=1e-12)


def test_questions_of_one_clip_that_fall_together_widen_it():
    generator = np.random.default_rng(0)
    of_clip = generator.choice([-1.0, 0.0, 1.0], 100)
    together = paired_interval(np.repeat(of_clip, 10), np.repeat(np.arange(100), 10))
    apart = paired_interval(generator.choice([-1.0, 0.0, 1.0], 1000), np.repeat(np.arange(100), 10))
    assert together.high - together.low > 2 * (apart.high - apart.low)


def test_it_holds_the_truth_about_as_often_as_it_says():
    """300 sets of 80 clips, between 1 and 9 questions each, which share a clip's luck; the truth is 0.05."""
    generator, held = np.random.default_rng(1), 0
    for number in range(300):
        clip = np.repeat(np.arange(80), generator.integers(1, 10, 80))
        difference = 0.05 + (generator.normal(0, 0.3, 80)[clip] + generator.normal(0, 0.5, len(clip)))
        interval = paired_interval(difference, clip, draws=500, seed=number)
        held += interval.low <= 0.05 <= interval.high
    assert (
        0.90 <= held / 300 <= 0.98
    )  # 0.95, and two and a half standard errors of 300 sets; bootstraps are a bit short


def test_no_shared_question():
    with pytest.raises(ConfigError, match="share no question"):
        paired_interval(np.array([]), np.array([]))
