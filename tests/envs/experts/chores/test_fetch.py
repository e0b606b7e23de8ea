import numpy as np
import pytest
from chore_runs import folded_episode, run_chore
from two_rooms import two_rooms
from wheeled import wheeled_env

from zoo.envs.experts.chores.fetch import FetchExpert
from zoo.envs.experts.chores.reach import HELD_M, Reach
from zoo.navigation_actions import SpocAction

TABLE_M = 0.75  # height of dining_table_0
TABLE = ("dining_table_0", (2.6, 1.75, 0.0))
THINGS = {
    "table": TABLE,
    "book": ("book_0", (2.35, 1.3, TABLE_M + 0.002)),
    "other": ("bottle_1", (2.35, 1.7, TABLE_M + 0.002)),
    "bottle": ("bottle_0", (2.35, 2.1, TABLE_M + 0.002)),
    "sofa": ("sofa_0", (6.5, 1.75, 0.0)),
}
BASE = (0.7, 0.7, 2.0)


def wanted(name, *targets, base=BASE):
    return folded_episode(name, base, broad_synset_to_object_ids={"thing.n.01": list(targets)})


@pytest.mark.parametrize(("name", "target"), [("pickup_type", "book"), ("fetch_type", "bottle")])
def test_it_takes_the_thing_that_was_asked_for(monkeypatch, name, target):
    """A book from above, a bottle, which is taller, from the side."""
    env = wheeled_env(monkeypatch, two_rooms(THINGS), wanted(name, target))
    run = run_chore(env, FetchExpert())
    assert env.judgement.success
    assert run.strict
    assert env.simulation.world.held == (target,)
    assert run.actions[-2:] == [SpocAction.PICKUP, SpocAction.DONE]
    assert run.actions.count(SpocAction.PICKUP) == 1
    assert env.collisions == 0
    order = [phase for before, phase in zip([None, *run.phases], run.phases, strict=False) if phase != before]
    assert order[0] == "drive"
    assert order[-1] == "take"
    env.close()


def test_what_is_held_by_mistake_is_put_down(monkeypatch):
    env = wheeled_env(monkeypatch, two_rooms(THINGS), wanted("pickup_type", "book"))
    expert = FetchExpert()
    expert.reset(env, np.random.default_rng(0))
    env.simulation.world.held = ("bottle",)
    assert expert.propose() == SpocAction.DROPOFF
    env.close()


def test_what_no_arm_gets_at_is_given_up(monkeypatch):
    env = wheeled_env(monkeypatch, two_rooms(THINGS), wanted("pickup_type", "sofa"))
    assert run_chore(env, FetchExpert()).actions == [SpocAction.DONE]
    env.close()


@pytest.fixture
def reach(monkeypatch):
    env = wheeled_env(monkeypatch, two_rooms(THINGS), wanted("pickup_type", "book"))
    yield Reach(env.simulation.world)
    env.close()


def test_low_things_are_taken_from_above_and_tall_ones_from_the_side(reach):
    book, bottle = reach.grip("book"), reach.grip("bottle")
    assert book.gap_m == 0
    assert book.clear_m > book.height_m > TABLE_M + 0.03  # the book is that high
    assert bottle.gap_m > 0
    assert bottle.clear_m == bottle.height_m
    for name, grip in (("book", book), ("bottle", bottle)):
        assert np.hypot(grip.height_m - grip.centre_m[2], grip.gap_m) <= HELD_M, name
    assert reach.grip("sofa") is None


def test_a_thing_is_taken_only_from_the_right_distance_and_past_nothing(reach):
    book, bottle = reach.grip("book").centre_m[:2], reach.grip("bottle").centre_m[:2]
    assert reach.can_take("book", book - [0.7, 0.0])
    assert not reach.can_take("book", book - [1.2, 0.0])
    assert not reach.can_take("book", book - [0.3, 0.0])
    assert reach.can_take("bottle", bottle - [0.88, 0.0])
    assert not reach.can_take("bottle", bottle - [0.0, 0.88])  # the other bottle is in between
