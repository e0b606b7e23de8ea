"""The greedy choice: equal to a slow one written from the sheet, and what it leaves out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.envs.episodes.schema import Episode
from zoo.envs.episodes.selection import Candidate, select
from zoo.errors import ConfigError


@pytest.fixture(scope="session")
def candidate(public_episode):
    """Makes a candidate; its seed is its number."""

    def make(number=0, house=0, category="mug", instance="mug_1", task="pick", at_start=False, at_end=True):
        content = public_episode(task) | {"house_index": house, "seed": number}
        return Candidate(
            episode=Episode.from_json(content, "here"),
            category=category,
            instance=instance,
            success_at_start=at_start,
            success_at_end=at_end,
        )

    return make


def slow_choice(candidates, count, seed):
    """The rule of the sheet, one cost at a time."""
    left = [candidates[index] for index in np.random.default_rng(seed).permutation(len(candidates))]
    chosen = []

    def cost(one):
        houses = [other.episode.house for other in chosen]
        instances = [other.instance for other in chosen]
        is_repeated = one.episode.house in houses or one.instance in instances
        return (
            1000 * is_repeated
            + 100 * [other.category for other in chosen].count(one.category)
            + 10 * houses.count(one.episode.house)
            + instances.count(one.instance)
        )

    for _ in range(count):
        best = min(left, key=cost)
        left.remove(best)
        chosen.append(best)
    return [one.episode.seed for one in chosen]


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_equal_to_the_rule_of_the_sheet(data, candidate):
    kinds = st.tuples(st.integers(0, 3), st.sampled_from("abc"), st.integers(0, 2))
    drawn = data.draw(st.lists(kinds, min_size=1, max_size=12))
    candidates = [candidate(i, house, kind, f"{kind}_{one}") for i, (house, kind, one) in enumerate(drawn)]
    count, seed = data.draw(st.integers(1, len(candidates))), data.draw(st.integers(0, 100))
    chosen = [episode.seed for episode in select(candidates, count, seed=seed)]
    assert chosen == slow_choice(candidates, count, seed)


def test_kinds_and_houses_are_spread(candidate):
    candidates = [candidate(i, i % 20, "mug" if i < 90 else "bowl", f"thing_{i}") for i in range(100)]
    chosen = select(candidates, 10)
    kinds = ["mug" if episode.seed < 90 else "bowl" for episode in chosen]
    assert kinds.count("bowl") == 5 and len({episode.house for episode in chosen}) == 10
    assert [one.seed for one in chosen] == [one.seed for one in select(candidates, 10)]
    assert [one.seed for one in chosen] != [one.seed for one in select(candidates, 10, seed=43)]


def test_unsolved_trivial_and_unfit_ones_are_left_out(candidate):
    good = candidate(1, task="open", category="dresser")
    bad = [
        candidate(2, at_end=False),
        candidate(3, at_start=True),
        candidate(4, task="open", category="Laptop"),
        candidate(5, task="close", category="laptop"),
    ]
    assert [one.seed for one in select([*bad, good], 1)] == [1]
    assert [one.seed for one in select([candidate(6, category="laptop")], 1)] == [6]  # may be picked up
    with pytest.raises(ConfigError, match="2 episodes are asked for, and 1 of 5 candidates are usable"):
        select([*bad, good], 2)
    with pytest.raises(ConfigError, match="0 episodes are asked for"):
        select([good], 0)


def test_rare_categories_can_be_left_out(candidate):
    pairs = [(0, "a"), (1, "a"), (1, "b")]
    candidates = [candidate(i, house, "mug", instance) for i, (house, instance) in enumerate(pairs)]
    candidates += [candidate(9, 0, "bowl", "c"), candidate(10, 0, "bowl", "c")]  # one pair, twice
    assert {one.seed for one in select(candidates, 3, min_per_category=2)} == {0, 1, 2}
    with pytest.raises(ConfigError, match="3 of 5 candidates are usable: .* at least 2 pairs"):
        select(candidates, 4, min_per_category=2)


def test_chosen_episodes_state_every_threshold(candidate):
    (chosen,) = select([candidate(task="pick_and_place")], 1)
    assert chosen.to_json()["task"]["receptacle_supported_weight_frac"] == 0.5
