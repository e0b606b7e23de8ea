"""Navigation scores on cases that can be worked out by hand."""

import dataclasses
import math

import pytest

from zoo.envs.navigation.metrics import (
    NavigationEpisode,
    path_length_m,
    rooms_entered,
    scores,
    weighted_by_length,
)
from zoo.errors import ConfigError


@pytest.mark.parametrize(
    ("success", "shortest", "taken", "expected"),
    [
        (True, 10, 20, 0.5),
        (True, 10, 10, 1.0),
        (True, 10, 5, 1.0),  # better than the expert is no more than 1
        (True, 0, 0, 1.0),
        (True, 0, 3, 0.0),
        (False, 10, 10, 0.0),
        (False, 0, 0, 0.0),
    ],
)
def test_weighted_by_length(success, shortest, taken, expected):
    assert weighted_by_length(success, shortest, taken) == expected


EPISODE = NavigationEpisode(
    success=True, steps=40, expert_steps=30, path_m=8.0, shortest_m=6.0, collisions=4, rooms_visited=2, rooms=4
)


def test_scores_of_two_episodes():
    lost = dataclasses.replace(EPISODE, success=False, steps=60, collisions=0, rooms_visited=4)
    result = scores([EPISODE, lost])
    assert result.episodes == 2
    assert result.success == 0.5
    assert result.spl == pytest.approx(0.75 / 2)
    assert result.sel == pytest.approx(0.75 / 2)
    assert result.sc == pytest.approx(1 / 5 / 2)
    assert result.collision_rate == pytest.approx((4 / 40 + 0) / 2)
    assert result.safe_episodes == 0.5
    assert result.rooms_visited == pytest.approx((0.5 + 1.0) / 2)
    assert result.steps == 50


def test_rooms_that_are_not_known_do_not_count():
    unknown = dataclasses.replace(EPISODE, rooms_visited=0, rooms=0)
    assert scores([EPISODE, unknown]).rooms_visited == 0.5
    assert math.isnan(scores([unknown]).rooms_visited)


def test_an_episode_without_a_step_has_no_collisions():
    assert scores([dataclasses.replace(EPISODE, steps=0, collisions=0)]).collision_rate == 0.0


def test_path_length_and_rooms():
    assert path_length_m([(0, 0), (3, 4), (3, 4), (3, 0)]) == 9.0
    assert path_length_m([(1, 1)]) == 0.0
    assert rooms_entered(["a", None, "b", "a"]) == 2


def test_bad_input():
    with pytest.raises(ConfigError, match="no navigation episode"):
        scores([])
    with pytest.raises(ConfigError, match="steps -1, path_m nan"):
        dataclasses.replace(EPISODE, steps=-1, path_m=math.nan)
