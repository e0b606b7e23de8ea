import json

import pytest
from corner_episode import corner_episode

from zoo.bench.simulation import Row, SimulationCost, measure_simulation, navigation_row, policy_rows, worker_rows
from zoo.envs.episodes.schema import Episode
from zoo.errors import ConfigError


@pytest.fixture(scope="module")
def episode():
    """The arm outside of a house, seen by two cameras."""
    content = corner_episode().to_json()
    content["cameras"].append(content["cameras"][0] | {"name": "second"})
    return Episode.from_json(content, "episode")


@pytest.mark.render
def test_policy_steps_against_a_bare_loop(episode):
    own, bare = policy_rows(episode, steps=12, rounds=2)  # one segment and a part of one
    assert own.ratio == pytest.approx(own.value / bare.value)
    assert own.ratio_cpu == pytest.approx(own.value_cpu / bare.value_cpu)
    assert own.floor == 0.85
    assert own.value > 0
    assert (bare.ratio, bare.floor) == (None, None)


@pytest.mark.render
def test_navigation_steps_are_in_free_space(episode):
    row = navigation_row(episode, steps=6, rounds=1)  # rounded up to whole walks
    assert row.floor == 60
    assert row.value > 0
    assert row.ratio is None


@pytest.mark.render
def test_workers_against_one(episode):
    two, one = worker_rows([episode] * 2, horizon_steps=2, rounds=1)
    assert two.ratio == pytest.approx(two.value / one.value)
    assert two.floor == 1.8
    assert "2 steps/min" in one.unit


def test_an_episode_that_fails_is_no_work_to_time(episode):
    content = episode.to_json()
    content["robot"]["robot_name"] = "nobody"
    with pytest.raises(ConfigError, match="episode 0 ended after 0 steps: .*'nobody'"):
        worker_rows([Episode.from_json(content, "episode")], horizon_steps=2, rounds=1)


def test_floors_bound_ratios_or_values_and_are_told():
    rows = (
        Row(what="a", value=50.0, unit="steps/s", ratio=0.9, floor=0.85, value_cpu=51.0, ratio_cpu=0.91),
        Row(what="b", value=50.0, unit="steps/s", floor=60.0),
        Row(what="c", value=50.0, unit="steps/s"),
    )
    assert [row.holds for row in rows] == [True, False, None]
    cost = SimulationCost(rows=rows, rounds=3, load=(0.5, 1.0))
    told = json.loads(json.dumps(cost.as_dict()))
    assert told["rows"][0]["ratio"] == 0.9
    assert told["rows"][1]["holds"] is False
    assert told["load"] == [0.5, 1.0]
    text = cost.as_text()
    assert text.count("holds") == 1
    assert text.count("MISSED") == 1
    assert "best of 3 rounds" in text


@pytest.mark.parametrize("wrong", ["episodes", "size", "steps", "horizon_steps", "rounds"])
def test_numbers_out_of_range(wrong):
    with pytest.raises(ConfigError, match="expected 1 or more of each"):
        measure_simulation("pick", **{wrong: 0})
