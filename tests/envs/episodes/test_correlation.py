"""Correlations against numpy and scipy, rank violation by hand, files with names that do not match."""

import json
import re

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from zoo.envs.episodes import correlation
from zoo.envs.episodes.correlation import (
    Rate,
    correlate,
    correlation_report,
    mean_maximum_rank_violation,
    read_rates,
)
from zoo.errors import DataError


def rates(*values, episodes=200):
    return [Rate(value, episodes) for value in values]


@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), min_size=3, max_size=8))
def test_estimates_agree_with_numpy_and_scipy(pairs):
    simulated, real = np.array(pairs).T / 10
    assume(np.ptp(simulated) > 0 and np.ptp(real) > 0)
    found = correlate("pick", rates(*simulated), rates(*real))
    assert found.pearson == pytest.approx(np.corrcoef(simulated, real)[0, 1], abs=1e-9)
    assert found.spearman == pytest.approx(spearmanr(simulated, real).statistic, abs=1e-9)
    for low, high in (found.pearson_ci95, found.spearman_ci95):
        assert -1 <= low <= high <= 1


@pytest.fixture(autouse=True)
def _fewer_draws(monkeypatch):
    monkeypatch.setattr(correlation, "NUM_DRAWS", 2000)


def test_more_episodes_tell_more_and_a_seed_repeats():
    simulated, real = (0.1, 0.3, 0.5, 0.8), (0.2, 0.25, 0.6, 0.7)
    few, many = (correlate("t", rates(*simulated, episodes=n), rates(*real, episodes=n)) for n in (10, 1000))
    assert few.pearson == many.pearson
    assert np.ptp(many.pearson_ci95) < np.ptp(few.pearson_ci95) / 3
    assert many.pearson_ci95[0] < many.pearson < many.pearson_ci95[1]
    assert few == correlate("t", rates(*simulated, episodes=10), rates(*real, episodes=10))
    assert (
        few.pearson_ci95
        != correlate("t", rates(*simulated, episodes=10), rates(*real, episodes=10), seed=1).pearson_ci95
    )


def test_draws_have_the_mean_of_beta():
    drawn = correlation._draws([Rate(0.3, 10), Rate(1.0, 50)], np.random.default_rng(0))
    # Means of Beta(4, 8) and Beta(51, 1); 2000 draws of a deviation of 0.13 leave 0.003.
    np.testing.assert_allclose(drawn.mean(axis=0), [4 / 12, 51 / 52], atol=0.015)


def test_rank_violation_by_hand():
    # The last two policies change places; they differ by 0.2 in reality.
    assert mean_maximum_rank_violation(np.array([0.1, 0.2, 0.3]), np.array([0.1, 0.5, 0.3])) == pytest.approx(0.4 / 3)
    assert mean_maximum_rank_violation(np.array([1, 2, 3]), np.array([0.1, 0.2, 0.9])) == 0
    assert mean_maximum_rank_violation(np.array([3, 2, 1]), np.array([0.1, 0.2, 0.9])) == pytest.approx(2.3 / 3)
    # A tie in simulation: the worse of the two is misplaced, the better is not.
    assert mean_maximum_rank_violation(np.array([0.5, 0.5]), np.array([0.2, 0.6])) == pytest.approx(0.4 / 2)


@pytest.mark.parametrize(
    ("simulated", "real", "message"),
    [
        ((0.1, 0.2), (0.1, 0.2), "pick: 2 simulated and 2 real rates, expected at least 3 pairs"),
        ((0.1, 0.2, 0.3), (0.1, 0.2), "pick: 3 simulated and 2 real rates"),
        ((0.5, 0.5, 0.5), (0.1, 0.2, 0.3), "pick: all simulated rates are 0.5; a correlation needs two that differ"),
        ((0.1, 0.2, 0.3), (0.0, 0.0, 0.0), "pick: all real rates are 0; "),
    ],
)
def test_what_cannot_be_correlated(simulated, real, message):
    with pytest.raises(DataError, match=message):
        correlate("pick", rates(*simulated), rates(*real))


def summaries(table):
    """Plain JSON of summaries: {policy: {task: (episodes, at end, oracle)}}."""
    return [
        {
            "policy": policy,
            "tasks": [
                {"task": task, "episodes": n, "success_at_end": end, "success_oracle": oracle, "ci95": [0, 1]}
                for task, (n, end, oracle) in tasks.items()
            ],
        }
        for policy, tasks in table.items()
    ]


def test_rates_are_read_from_one_or_several_summaries(tmp_path):
    content = summaries({"a": {"pick": (10, 0.5, 0.6)}, "b": {"pick": (20, 0.1, 0.2), "open": (5, 0.0, 1.0)}})
    (tmp_path / "many.json").write_text(json.dumps(content))
    (tmp_path / "one.json").write_text(json.dumps(content[0]))
    assert read_rates(tmp_path / "one.json") == {("a", "pick"): Rate(0.5, 10)}
    assert read_rates(tmp_path / "many.json", "oracle") == {
        ("a", "pick"): Rate(0.6, 10),
        ("b", "pick"): Rate(0.2, 20),
        ("b", "open"): Rate(1.0, 5),
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"policy": "a"}, "tasks is missing, expected a list"),
        ([{"policy": "a", "tasks": [{"task": "t", "episodes": 0}]}], "[0].tasks[0].episodes is 0, expected at least 1"),
        ({"policy": "a", "tasks": [{"task": "t", "episodes": 1}]}, "policy 'a', task 't' has no success_at_end"),
        (summaries({"a": {"t": (1, 50.0, 1.0)}}), "[0].tasks[0].success_at_end is 50.0, expected 0 to 1"),
        (summaries({"a": {"t": (1, 0.5, 1.0)}}) * 2, "policy 'a', task 't' is there twice"),
        (3, "it is 3, expected an object"),
    ],
)
def test_files_that_are_no_summaries(content, message, tmp_path):
    (tmp_path / "x.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"x\.json: .*{re.escape(message)}"):
        read_rates(tmp_path / "x.json")


def test_a_report_by_task_and_over_all():
    simulated = {("a", "pick"): 0.1, ("b", "pick"): 0.5, ("c", "pick"): 0.9, ("a", "open"): 0.3, ("d", "pick"): 0.2}
    real = {("c", "pick"): 0.8, ("b", "pick"): 0.4, ("a", "pick"): 0.2, ("a", "open"): 0.1, ("e", "pick"): 0.2}
    sides = [{pair: Rate(value, 100) for pair, value in side.items()} for side in (simulated, real)]
    report = json.loads(json.dumps(correlation_report(*sides)))
    pick, overall = report["correlations"]
    assert (pick["task"], pick["pairs"], overall["task"], overall["pairs"]) == ("pick", 3, "OVERALL", 4)
    assert pick["pearson"] == pytest.approx(np.corrcoef([0.1, 0.5, 0.9], [0.2, 0.4, 0.8])[0, 1])
    assert pick["spearman"] == 1 and pick["mean_maximum_rank_violation"] == 0
    assert report["skipped"] == {"open": "open: 1 simulated and 1 real rates, expected at least 3 pairs"}
    assert report["only_simulated"] == [["d", "pick"]] and report["only_real"] == [["e", "pick"]]


def test_a_report_without_common_names_shows_both():
    sides = [{(name, "pick"): Rate(0.5, 10) for name in names} for names in (("pi0", "cap"), ("Pi-0", "CAP"))]
    message = (
        "share 0 pairs .*Only in the first: pi0/pick, cap/pick. Only in the second: Pi-0/pick, CAP/pick. Names must"
    )
    with pytest.raises(DataError, match=message):
        correlation_report(*sides)
