"""Windows, times and thinned-out repeats, on action sequences made by hand and drawn ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.datamodules.policy.windows import MAX_STEPS, WindowRule, window_start, without_repeats
from zoo.errors import ConfigError


def generator(seed=0):
    return np.random.default_rng(seed)


@given(num_steps=st.integers(1, 200), length=st.integers(1, 100), last=st.floats(0, 1), seed=st.integers(0, 99))
def test_a_window_lies_in_its_episode(num_steps, length, last, seed):
    start = window_start(num_steps, length, last_probability=last, generator=generator(seed))
    assert start >= 0
    assert start + length <= num_steps or start == 0


@given(num_steps=st.integers(1, 80), length=st.integers(1, 60), seed=st.integers(0, 99), redundancy=st.booleans())
def test_steps_grow_and_times_stay_below_the_limit(num_steps, length, seed, redundancy):
    actions = generator(seed).integers(0, 3, num_steps)
    rule = WindowRule(length=length, reduce_redundancy=redundancy)
    window = rule.training_window(actions, progress=0.5, generator=generator(seed))
    assert len(window.steps) == min(length, num_steps)
    assert (np.diff(window.steps) > 0).all()
    assert window.steps[0] >= 0
    assert window.steps[-1] < num_steps
    assert 0 <= window.time_offset <= MAX_STEPS - len(window.steps)


def test_a_short_episode_is_whole():
    window = WindowRule(length=50).training_window(np.arange(50), progress=0.0, generator=generator())
    assert window.steps.tolist() == list(range(50))


def test_every_start_is_drawn_equally_often():
    counts = np.bincount([window_start(13, 10, last_probability=0.0, generator=generator(s)) for s in range(4000)])
    assert len(counts) == 4
    assert counts.min() > 850  # 1,000 expected, standard deviation 27


def test_the_share_of_last_windows_falls_evenly():
    rule = WindowRule(length=10, last_probability=0.8, final_last_probability=0.0)
    actions = np.arange(1010) % 20
    for progress, expected in ((0.0, 0.8), (0.5, 0.4), (1.0, 0.0)):
        windows = [rule.training_window(actions, progress=progress, generator=generator(s)) for s in range(1500)]
        share = np.mean([window.steps[-1] == 1009 for window in windows])
        assert abs(share - expected) < 0.05  # standard deviation 0.013; by chance 0.001 are last


def test_times_are_moved_anywhere_up_to_the_limit():
    rule = WindowRule(length=10)
    offsets = [
        rule.training_window(np.arange(990), progress=0.0, generator=generator(seed)).time_offset
        for seed in range(4000)
    ]
    assert min(offsets) < 5
    assert 985 < max(offsets) <= 990


def test_times_and_mirrors_follow_the_rule():
    actions = np.arange(300) % 20
    rule = WindowRule(length=10, max_time=30, mirror_probability=0.25)
    windows = [rule.training_window(actions, progress=0.0, generator=generator(seed)) for seed in range(2000)]
    assert {window.time_offset for window in windows} == set(range(21))
    assert abs(np.mean([window.is_mirrored for window in windows]) - 0.25) < 0.04  # standard deviation 0.01
    assert not WindowRule(mirror_probability=1.0).evaluation_window(9, generator()).is_mirrored
    with pytest.raises(ConfigError, match="max_time is 9, expected 50, the length, to 1000 steps"):
        WindowRule(max_time=9)
    with pytest.raises(ConfigError, match="mirror_probability is 2"):
        WindowRule(mirror_probability=2)


def test_the_only_offset_of_the_longest_window_is_none():
    window = WindowRule(length=MAX_STEPS).training_window(np.arange(1200), progress=0.0, generator=generator())
    assert (len(window.steps), window.time_offset) == (MAX_STEPS, 0)


def test_evaluation_draws_the_same_window_and_true_times():
    rule = WindowRule(length=5, last_probability=1.0, reduce_redundancy=True)
    first, second = (rule.evaluation_window(40, generator(7)) for _ in range(2))
    assert first.steps.tolist() == second.steps.tolist()
    assert len(first.steps) == 5
    assert first.time_offset == 0
    starts = {int(rule.evaluation_window(40, generator(seed)).steps[0]) for seed in range(300)}
    assert starts == set(range(36))
    assert rule.evaluation_window(3, generator()).steps.tolist() == [0, 1, 2]


@given(actions=st.lists(st.integers(0, 2), min_size=1, max_size=60), least=st.integers(1, 60), seed=st.integers(0, 99))
def test_only_repeats_leave_and_enough_stays(actions, least, seed):
    actions = np.array(actions)
    kept = without_repeats(actions, least=least, generator=generator(seed))
    assert len(kept) >= min(least, len(actions))
    gone = np.setdiff1d(np.arange(len(actions)), kept)
    assert (actions[gone] == actions[gone - 1]).all()
    assert 0 not in gone


def test_a_third_of_the_repeats_stays():
    kept = without_repeats(np.zeros(9001, int), least=1, generator=generator())
    assert 2850 < len(kept) < 3150  # 3,000 repeats and the first, standard deviation 45


def test_where_too_few_would_stay_exactly_enough_do():
    kept = without_repeats(np.zeros(60, int), least=50, generator=generator())
    assert len(kept) == 50


def test_three_of_four_episodes_lose_repeats():
    rule = WindowRule(length=10, reduce_redundancy=True)
    whole = [
        bool((np.diff(rule.training_window(np.zeros(60, int), progress=0.0, generator=generator(s)).steps) == 1).all())
        for s in range(2000)
    ]
    assert 0.22 < np.mean(whole) < 0.28  # 0.25 expected, standard deviation 0.01; a thinned window has gaps


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"length": 0}, "length is 0, expected 1 to 1000"),
        ({"length": 1001}, "length is 1001"),
        ({"last_probability": 1.5, "final_last_probability": -0.1}, "last_probability is 1.5.*final_last_.* is -0.1"),
    ],
)
def test_rules_that_cannot_work_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        WindowRule(**arguments)
