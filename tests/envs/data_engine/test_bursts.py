"""Bursts of one random move, and what is kept of an episode with them; an expert and a world made of numbers."""

from itertools import groupby
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.envs.data_engine.bursts import LONGEST, MOVES, SHORTEST, START_SHARE, Bursts, record_perturbed
from zoo.envs.sampling.sampler import RejectedError
from zoo.navigation_actions import SpocAction

AHEAD, BACK, DONE = SpocAction.MOVE_AHEAD, SpocAction.MOVE_BACK, SpocAction.DONE
GOAL = 60


class Backs:
    """An expert that proposes what no burst has."""

    def propose(self):
        return BACK


class Road:
    """A base that goes ahead by 1; strict success at the goal and for 9 beyond it."""

    cameras, synsets = ("eye",), ()

    def __init__(self):
        self.simulation = SimpleNamespace(
            house=SimpleNamespace(scene=SimpleNamespace(rooms=[])),
            world=SimpleNamespace(base_pose=lambda: np.array([self.x, 0.0, 0.0]), room_at=lambda point: None),
        )
        self.task = SimpleNamespace(
            targets=(), strict_success=lambda: GOAL <= self.x < GOAL + 10, is_success=lambda: False
        )

    def reset(self, *, options):
        self.x = options["episode"]
        return self.observation(), {"distance_m": 0.0, "task": {}}

    def observation(self):
        return {"eye": np.zeros((2, 2, 3), np.uint8), "in_hand": np.array([0]), "last_action_success": np.array([1])}

    def step(self, action):
        self.x += {AHEAD: 1, BACK: -1}.get(int(action[0]), 0)
        return self.observation(), 0.0, False, False, {"distance_m": 0.0}


class ToGoal:
    """Goes there; gives up where it begins below 0."""

    def reset(self, env, rng):
        self.env = env

    def propose(self):
        if self.env.x < 0 or GOAL <= self.env.x < GOAL + 10:
            return DONE
        return AHEAD if self.env.x < GOAL else BACK


def run(seed, *, start=0, max_steps=1000):
    return record_perturbed(Road(), start, ToGoal(), np.random.default_rng(seed), max_steps=max_steps)


def test_bursts_are_of_one_move_of_a_few_steps_and_as_frequent_as_said():
    actor = Bursts(Backs(), np.random.default_rng(0))
    actor.reset({})
    said = [SpocAction(int(actor.act({})[0, 0])) for _ in range(20_000)]
    assert set(said) == {BACK, *MOVES}
    runs = [(move, len(list(steps))) for move, steps in groupby(said)]
    bursts = [length for move, length in runs if move != BACK]
    assert min(bursts) == SHORTEST
    assert np.quantile(bursts, 0.95) <= LONGEST  # two may follow each other
    outside = said.count(BACK)
    assert len(bursts) / outside == pytest.approx(START_SHARE, rel=0.15)
    shares = [sum(kind == move for kind, _ in runs) / len(bursts) for move in MOVES]
    assert shares == pytest.approx([1 / 3] * 3, abs=0.05)


@given(st.integers(0, 2**32))
def test_labels_are_the_expert_s_and_the_episode_ends_in_its_done(seed):
    made, again = run(seed), run(seed)
    rows = made.rows
    assert rows["actions"] == again.rows["actions"]
    assert rows["actions"][-1] == rows["expert_actions"][-1] == DONE
    assert rows["strict_success"][-1]
    for action, label in zip(rows["actions"], rows["expert_actions"], strict=True):
        assert action == label or action in MOVES


@pytest.mark.parametrize(
    ("given_run", "reason"),
    [({"max_steps": 20}, "too_long"), ({"start": -1}, "gave_up"), ({"start": GOAL}, "done_at_start")],
)
def test_what_does_not_end_well_is_not_kept(given_run, reason):
    with pytest.raises(RejectedError) as caught:
        run(0, **given_run)
    assert caught.value.reason == reason
