"""Numbers that can be checked by hand, or against scipy."""

import csv
import io
import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from zoo.envs.episodes.results import EpisodeResult, Run, RunHeader
from zoo.envs.episodes.statistics import (
    CSV_COLUMNS,
    as_table,
    beta_interval,
    csv_text,
    joint_jerk,
    length_weighted_success,
    over_seeds,
    path_weighted_success,
    reasons,
    seeds_table,
    summary,
)
from zoo.errors import ConfigError

numbers = itertools.count()


def result(at_end, oracle=None, **changes):
    fields = {
        "index": next(numbers),
        "key": "k",
        "task": "pick",
        "category": "mug",
        "success_at_end": at_end,
        "success_oracle": at_end if oracle is None else oracle,
        "steps": 10,
        "failure": None if at_end else "horizon",
    }
    return EpisodeResult(**(fields | changes))


def run_of(*results, num_episodes=3):
    header = RunHeader(policy="expert", benchmark="mini", digest="abc", num_episodes=num_episodes, settings={"dt": 0.1})
    return Run(header, {one.index: one for one in results})


@given(total=st.integers(0, 3000), data=st.data())
def test_intervals_are_quantiles_of_beta(total, data):
    successes = data.draw(st.integers(0, total))
    low, high = beta_interval(successes, total)
    expected = beta.ppf([0.025, 0.975], 1 + successes, 1 + total - successes)
    np.testing.assert_allclose([low, high], expected, rtol=1e-9, atol=1e-12)  # two ways to invert one function
    assert 0 <= low < (1 + successes) / (2 + total) < high <= 1


def test_intervals_in_closed_form():
    # Beta(1, 11) has the distribution 1 - (1 - x)^11, Beta(11, 1) has x^11.
    np.testing.assert_allclose(beta_interval(0, 10), [1 - 0.975 ** (1 / 11), 1 - 0.025 ** (1 / 11)], rtol=1e-12)
    np.testing.assert_allclose(beta_interval(10, 10), [0.025 ** (1 / 11), 0.975 ** (1 / 11)], rtol=1e-12)
    assert beta_interval(0, 0) == pytest.approx((0.025, 0.975))  # nothing is known
    # Beta(2, 2): 3 x^2 - 2 x^3 = 0.025 at 0.0943.
    low, high = beta_interval(1, 2)
    assert 3 * low**2 - 2 * low**3 == pytest.approx(0.025) and low == pytest.approx(1 - high)


@pytest.mark.parametrize("pair", [(-1, 3), (4, 3), (0, -1)])
def test_impossible_counts_are_refused(pair):
    with pytest.raises(ConfigError, match=f"{pair[0]} successes of {pair[1]}: expected 0 to"):
        beta_interval(*pair)


def test_jerk_of_a_cubic_is_its_third_derivative():
    dt = 0.05
    times = np.arange(40)[:, None] * dt
    jerk = joint_jerk(times**3 * [0.5, -2.0] + times**2 * [3.0, 1.0] + 7, dt)
    # 6 c for c t^3; rounding errors of 1e-15 grow by 1/dt^3.
    assert jerk.mean == pytest.approx(6 * math.hypot(0.5, 2.0), rel=1e-7)
    assert jerk.std == pytest.approx(0, abs=1e-7)


def test_jerk_of_a_jump_by_hand():
    # Third differences of 0 0 0 0 1 1 1 1: 0, 1, -2, 1, 0; over dt^3 = 1/8.
    jerk = joint_jerk(np.array([0, 0, 0, 0, 1, 1, 1, 1])[:, None], 0.5)
    assert jerk.mean == pytest.approx(8 * 4 / 5)
    assert jerk.std == pytest.approx(8 * math.sqrt(6 / 5 - (4 / 5) ** 2))


def test_jerk_that_is_none_or_cannot_be():
    assert joint_jerk(np.zeros((3, 7)), 0.1) is None
    with pytest.raises(ConfigError, match=r"jerk of an array of shape \(9,\) at dt 0.1: expected \(steps, joints\)"):
        joint_jerk(np.zeros(9), 0.1)
    with pytest.raises(ConfigError, match="at dt 0: .* dt above 0"):
        joint_jerk(np.zeros((9, 1)), 0)


def test_weighted_success_by_hand():
    results = [
        result(True, shortest_length_m=4.0, path_length_m=5.0, expert_steps=5, steps=10),
        result(True, shortest_length_m=4.0, path_length_m=3.9, expert_steps=30, steps=10),  # cut a corner
        result(False, shortest_length_m=4.0, path_length_m=4.0, expert_steps=10),
        result(True, shortest_length_m=0.0, path_length_m=0.0, expert_steps=0, steps=0),
        result(True, shortest_length_m=0.0, path_length_m=2.0, expert_steps=0, steps=3),
    ]
    assert path_weighted_success(results) == pytest.approx((0.8 + 1 + 0 + 1 + 0) / 5)
    assert length_weighted_success(results) == pytest.approx((0.5 + 1 + 0 + 1 + 0) / 5)


def test_weighted_success_needs_lengths_of_successes_only():
    known = result(True, shortest_length_m=4.0, path_length_m=8.0, expert_steps=5)
    killed = result(False, failure="worker_killed")
    assert path_weighted_success([known, killed]) == pytest.approx(0.25)
    assert path_weighted_success([known, result(True)]) is None
    assert path_weighted_success([killed]) is None and length_weighted_success([killed]) is None
    assert path_weighted_success([result(False, shortest_length_m=1.0)]) == 0


def test_csv_rows_by_hand():
    run = run_of(
        result(True, category="mug", jerk_mean=2.0),
        result(False, oracle=True, category="mug", jerk_mean=4.0),
        result(False, category="bowl"),
    )
    rows = list(csv.reader(io.StringIO(csv_text(run))))
    assert tuple(rows[0]) == CSV_COLUMNS
    # 0 of 1 is Beta(1, 2): 1 - sqrt(1 - p). 2 of 2 is Beta(3, 1): the cube root of p. 1 of 2 is Beta(2, 2), see above.
    # 1 of 3 is Beta(2, 3), 2 of 3 Beta(3, 2): their ends mirror each other.
    bowl = ["expert", "bowl", "0", "1", "0.00", "1.26", "84.19", "0", "0.00", "1.26", "84.19", "", ""]
    mug = ["expert", "mug", "1", "2", "50.00", "9.43", "90.57", "2", "100.00", "29.24", "99.16", "3.000000", "1.000000"]
    overall = ["expert", "OVERALL", "1", "3", "33.33", "6.76", "80.59"]
    overall += ["2", "66.67", "19.41", "93.24", "3.000000", "1.000000"]
    assert rows[1:] == [bowl, mug, overall]


def test_csv_columns_are_the_public_ones():
    assert ",".join(CSV_COLUMNS) == (
        "policy,category,successes,total,success_rate_pct,ci_95_low_pct,ci_95_high_pct,oracle_successes,"
        "oracle_rate_pct,oracle_ci_95_low_pct,oracle_ci_95_high_pct,jerk_joint_mean,jerk_joint_std"
    )


def test_summary_by_task():
    run = run_of(
        result(True),
        result(False, oracle=True, failure="nan_action"),
        result(False),
        result(False),
        result(True, task="navigate_to", shortest_length_m=2.0, path_length_m=4.0, expert_steps=10),
        num_episodes=9,
    )
    content = json.loads(json.dumps(summary(run)))
    assert (content["policy"], content["digest"], content["settings"]) == ("expert", "abc", {"dt": 0.1})
    assert (content["num_episodes"], content["num_scored"]) == (9, 5)
    pick, navigate = content["tasks"]
    assert pick == {
        "task": "pick",
        "episodes": 4,
        "success_at_end": 0.25,
        "ci95": list(beta_interval(1, 4)),
        "success_oracle": 0.5,
        "ci95_oracle": list(beta_interval(2, 4)),
        "failures": {"horizon": 2, "nan_action": 1},
    }
    assert (navigate["spl"], navigate["sel"], navigate["failures"]) == (0.5, 1.0, {})


def test_the_table_says_what_the_summary_says():
    run = run_of(
        result(True),
        result(False, failure="wrong_shape"),
        result(True, task="navigate_to", shortest_length_m=2.0, path_length_m=4.0),
        num_episodes=4,
    )
    assert as_table(summary(run)).splitlines() == [
        "expert on mini",
        "task         episodes  at end  95 %       oracle  95 %       SPL   SEL  failures",
        "pick         2         50.0    9.4-90.6   50.0    9.4-90.6   -     -    wrong_shape 1",
        "navigate_to  1         100.0   15.8-98.7  100.0   15.8-98.7  50.0  -    -",
        "1 of 4 episodes have no result yet.",
    ]


def test_a_run_without_results_has_numbers_too():
    run = run_of()
    assert summary(run)["tasks"] == []
    assert csv_text(run).splitlines()[1].startswith("expert,OVERALL,0,0,0.00,2.50,97.50,0,")
    assert as_table(summary(run)).endswith("3 of 3 episodes have no result yet.")


def test_reasons_are_told_once_a_task_and_kind():
    results = [
        result(False, detail="too early", failure="wrong_stop", index=900),
        result(False, detail="no mug", failure="setup_failed", index=901),
        result(False, detail="no cup", failure="setup_failed", index=902),
        result(False, detail="no door", failure="setup_failed", index=903, task="open_door"),
        result(True, index=904),
    ]
    assert reasons(results) == (
        "setup_failed, such as episode 901 (pick): no mug",
        "setup_failed, such as episode 903 (open_door): no door",
    )


def walked(at_end, collisions=0, **changes):
    fields = {"task": "object_nav_type", "category": "bed", "embodiment": "stretch", "collisions": collisions}
    return result(at_end, **(fields | changes))


def test_numbers_of_navigation_by_category_and_by_body():
    run = run_of(
        walked(True, 1, steps=20, expert_steps=10, shortest_length_m=2.0, path_length_m=4.0, rooms_visited=0.5),
        walked(False, 3, steps=30, expert_steps=10, rooms_visited=1.0, category="mug"),
        walked(True, steps=10, expert_steps=10, shortest_length_m=2.0, path_length_m=2.0, embodiment="ring_body 1"),
        walked(False, steps=40, expert_steps=10, embodiment="ring_body 2"),
        num_episodes=4,
    )
    content = json.loads(json.dumps(summary(run)))
    (task,) = content["tasks"]
    assert task["sel"] == pytest.approx((0.5 + 1.0) / 4) and task["spl"] == pytest.approx((0.5 + 1.0) / 4)
    assert task["ci95_sel"] == list(beta_interval(1.5, 4)) and task["rooms_visited"] == pytest.approx(0.75)
    assert task["ci95_rooms_visited"] == list(beta_interval(1.5, 2)) and task["steps"] == 25
    assert task["collisions"] == 1 and task["collision_free"] == 0.5
    assert task["collision_rate"] == pytest.approx((1 / 20 + 3 / 30) / 4)
    bed, mug = content["categories"]
    assert (bed["category"], bed["episodes"], mug["category"]) == ("object_nav_type: bed", 3, "object_nav_type: mug")
    assert mug["success_at_end"] == 0 and mug["sel"] == 0
    stretch, others = content["embodiments"]
    assert (stretch["embodiment"], stretch["episodes"]) == ("stretch", 2)
    assert (others["embodiment"], others["episodes"], others["collisions"]) == ("bodies of one episode each", 2, 0)
    lines = as_table(content).splitlines()
    assert lines[1].split() == [
        *("task", "episodes", "at", "end", "95", "%", "oracle", "95", "%"),
        *("SPL", "SEL", "rooms", "collisions", "steps", "failures"),
    ]
    assert "37.5  37.5  75.0   1.0         25.0   horizon 2" in lines[2]
    assert [line.split("  ")[0] for line in lines[4:]] == [
        "category",
        "object_nav_type: bed",
        "object_nav_type: mug",
        "",
        "embodiment",
        "stretch",
        "bodies of one episode each",
    ]


def test_the_interval_of_a_mean_of_shares_covers_at_least_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(1000):
        shares = rng.random(40) * (rng.random(40) < 0.6)  # mean 0.3: success weighted by a length
        low, high = beta_interval(float(shares.sum()), 40)
        covered.append(low <= 0.3 <= high)
    assert np.mean(covered) > 0.95


def test_arms_that_count_no_collisions_have_one_table():
    content = summary(run_of(result(True)))
    assert "categories" not in content and "collisions" not in content["tasks"][0]
    assert "rooms" not in as_table(content)


def test_means_over_seeds_keep_the_interval_of_one_run():
    runs = [[walked(index < good, steps=10, expert_steps=5) for index in range(10)] for good in (4, 5, 6)]
    told = [summary(run_of(*results, num_episodes=10)) for results in runs]
    for seed, content in enumerate(told):
        content["settings"] = {"seed": seed}
    content = json.loads(json.dumps(over_seeds(told)))
    (task,) = content["tasks"]
    assert content["seeds"] == [0, 1, 2] and task["success_at_end_by_seed"] == [0.4, 0.5, 0.6]
    assert task["success_at_end"] == pytest.approx(0.5) and task["ci95"] == pytest.approx(beta_interval(5, 10))
    assert task["sel"] == pytest.approx(0.25) and "spl" not in task
    assert seeds_table(content).splitlines() == [
        "expert on mini, seeds 0, 1, 2",
        "object_nav_type, 10 episodes: at end 50.0 (40.0, 50.0, 60.0; 95 % 23.4-76.6), SEL 25.0 (20.0, 25.0, 30.0; "
        "95 % 8.3-56.5)",
    ]


def test_means_over_seeds_by_category_and_body():
    def of_seed(seed, successes, collisions):
        bodies = ("a1", "a1", "go1", "go1")
        results = [walked(one, collisions, embodiment=body) for one, body in zip(successes, bodies, strict=True)]
        return summary(run_of(*results, num_episodes=4)) | {"settings": {"seed": seed}}

    content = over_seeds([of_seed(0, (True, False, True, True), 2), of_seed(1, (False, False, True, True), 4)])
    (bed,), bodies = content["categories"], {group["embodiment"]: group for group in content["embodiments"]}
    assert (bed["category"], bed["success_at_end"]) == ("object_nav_type: bed", 0.625)
    assert bodies["a1"]["success_at_end_by_seed"] == [0.5, 0.0] and bodies["go1"]["success_at_end"] == 1
    assert bodies["a1"]["failures"] == {"horizon": 3} and bodies["a1"]["collisions"] == 3
    assert bodies["a1"]["ci95"] == pytest.approx(beta_interval(0.5, 2))
    assert [line.split()[:3] for line in seeds_table(content).splitlines()[-2:]] == [
        ["a1", "2", "25.0"],
        ["go1", "2", "100.0"],
    ]
