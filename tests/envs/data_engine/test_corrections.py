"""Whose actions are made, what they are labelled with, and where an episode ends; a world and an expert of numbers."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.envs.data_engine.corrections import record_corrected
from zoo.envs.navigation.paths import NoRouteError
from zoo.envs.sampling.sampler import RejectedError
from zoo.envs.simulation.simulation import UnstableError
from zoo.navigation_actions import SpocAction

AHEAD, BACK, LEFT, DONE = (
    SpocAction.MOVE_AHEAD,
    SpocAction.MOVE_BACK,
    SpocAction.ROTATE_LEFT,
    SpocAction.DONE,
)
SHIFT = {AHEAD: 1, BACK: -1}


class Line:
    """A base on a line: strict success at 3 m, success in the loose sense from 2 m on; 9 m is torn apart."""

    cameras, synsets = ("eye",), ()

    def __init__(self) -> None:
        self.simulation = SimpleNamespace(
            house=SimpleNamespace(scene=SimpleNamespace(rooms=[])),
            world=SimpleNamespace(base_pose=lambda: np.array([self.x, 0.0, 0.0]), room_at=lambda point: None),
        )
        self.task = SimpleNamespace(targets=(), strict_success=lambda: self.x == 3, is_success=lambda: self.x >= 2)
        self.made = []

    def reset(self, *, options):
        self.x, self.made = options["episode"], []
        return self.observation(), {"distance_m": 0.0, "task": {"instruction": "go", "seed": options["index"]}}

    def observation(self):
        picture = np.full((2, 2, 3), self.x + 10, np.uint8)
        return {"eye": picture, "in_hand": np.array([0]), "last_action_success": np.array([1])}

    def step(self, action):
        self.made.append(SpocAction(int(action[0])))
        self.x += SHIFT.get(self.made[-1], 0)
        if self.x == 9:
            raise UnstableError("up and away")
        return self.observation(), 0.0, False, False, {"distance_m": 0.0}


class ToThree:
    """Walks to 3 m from wherever it is; gives up below -2, and knows no way beyond 6."""

    def reset(self, env, rng):
        self.env, self.proposals = env, 0

    def propose(self):
        self.proposals += 1
        if self.env.x > 6:
            raise NoRouteError("walled in")
        if self.env.x == 3 or self.env.x < -2:
            return DONE
        return AHEAD if self.env.x < 3 else BACK


class Says:
    """A policy that says what it was told to, and the last for ever; what it saw is kept."""

    def __init__(self, *actions) -> None:
        self.actions, self.seen, self.tasks = actions, [], []

    def reset(self, task):
        self.tasks.append(task)

    def act(self, observation):
        self.seen.append(observation)
        said = self.actions[min(len(self.seen), len(self.actions)) - 1]
        return np.zeros((0, 1), np.float32) if said is None else np.array([[said]], np.float32)


def run(*actions, start=0, share=0.0, max_steps=20, seed=0):
    env, expert, actor = Line(), ToThree(), Says(*actions)
    rng = np.random.default_rng(seed)
    made = record_corrected(env, start, expert, actor, rng, expert_share=share, max_steps=max_steps, index=7)
    return made, env, expert, actor


def test_the_policy_acts_and_the_expert_labels_where_it_has_come_to():
    made, env, expert, actor = run(BACK, AHEAD, AHEAD, LEFT, AHEAD, AHEAD, AHEAD, BACK, DONE)
    # 0 -> -1 -> 0 -> 1 -> 1 -> 2 -> 3 -> 4 (past it) -> 3, done
    assert env.made == [BACK, AHEAD, AHEAD, LEFT, AHEAD, AHEAD, AHEAD, BACK, DONE]
    assert made.rows["actions"] == [int(action) for action in env.made]
    labels = [AHEAD, AHEAD, AHEAD, AHEAD, AHEAD, AHEAD, DONE, BACK, DONE]
    assert made.rows["expert_actions"] == [int(label) for label in labels]
    assert made.rows["strict_success"] == [False] * 6 + [True, False, True]
    assert [pose[0] for pose in made.rows["base_pose"]] == [0, -1, 0, 1, 1, 2, 3, 4, 3]
    assert [frame[0, 0, 0] for frame in made.frames["eye"]] == [10, 9, 10, 11, 11, 12, 13, 14, 13]
    assert (made.is_success, made.first_done, made.expert_moves) == (True, True, 0)
    assert expert.proposals == made.num_steps  # asked once a step, before it
    assert actor.tasks == [{"instruction": "go", "seed": 7}]
    assert {len(values) for values in made.rows.values()} == {9}


def test_the_policy_is_told_what_was_made_last():
    made, _, _, actor = run(LEFT, share=1.0)
    assert made.rows["actions"] == [AHEAD, AHEAD, AHEAD, DONE]
    assert [int(seen["last_action"][0]) for seen in actor.seen] == [-1, AHEAD, AHEAD, AHEAD]
    assert made.expert_moves == made.num_steps
    assert made.first_done is None  # it never said so itself


def test_a_wrong_done_is_corrected_and_counted_once():
    made, env, _, _ = run(DONE)  # at every step
    assert env.made == [AHEAD, AHEAD, AHEAD, DONE]
    assert made.rows["expert_actions"] == made.rows["actions"]
    assert made.expert_moves == 3  # the last done was right, and the policy's own
    assert made.first_done is False
    assert made.is_success


def test_an_empty_chunk_is_a_done():
    made, env, *_ = run(AHEAD, AHEAD, AHEAD, None)
    assert env.made == [AHEAD, AHEAD, AHEAD, DONE]
    assert made.first_done is True


def test_done_is_scored_as_it_would_be_and_made_where_strict():
    made, env, _, _ = run(AHEAD, AHEAD, DONE, AHEAD, DONE)
    assert made.first_done is True  # at 2 m, by the loose rule
    assert env.made == [AHEAD, AHEAD, AHEAD, AHEAD, BACK, DONE]  # which the strict one does not let it say yet
    assert made.is_success


def test_a_success_that_the_expert_would_still_improve_is_learnt_as_it_was(monkeypatch):
    """It says done at 3 m, the strict rule holds from 2 m on, and there the policy does."""
    reset = Line.reset

    def strict_from_two(self, *, options):
        self.task.strict_success = lambda: self.x >= 2
        return reset(self, options=options)

    monkeypatch.setattr(Line, "reset", strict_from_two)
    made, env, _, _ = run(AHEAD, AHEAD, DONE)
    assert env.made == [AHEAD, AHEAD, DONE]
    assert made.rows["expert_actions"] == [AHEAD, AHEAD, DONE]


@pytest.mark.parametrize(
    ("actions", "start", "steps"),
    [
        ([BACK], 0, 3),  # -3: it gives up, whose done is no label
        ([AHEAD], 4, 3),  # 7: it knows no way
    ],
)
def test_what_an_expert_says_that_gave_up_is_no_label(actions, start, steps):
    made, *_ = run(*actions, start=start)
    assert made.num_steps == steps
    assert DONE not in made.rows["expert_actions"]
    assert not made.is_success


def test_it_is_cut_off_after_so_many_steps():
    made, *_ = run(LEFT, max_steps=5)
    assert (made.num_steps, made.is_success) == (5, False)


@pytest.mark.parametrize(("start", "reason"), [(3, "done_at_start"), (-3, "gave_up"), (7, "gave_up")])
def test_an_episode_without_a_step_is_rejected(start, reason):
    with pytest.raises(RejectedError) as caught:
        run(AHEAD, start=start)
    assert caught.value.reason == reason


def test_physics_that_blow_up_reject_the_episode(monkeypatch):
    monkeypatch.setattr(ToThree, "propose", lambda self: AHEAD)
    with pytest.raises(RejectedError) as caught:
        run(AHEAD, start=7)
    assert caught.value.reason == "unstable"


@given(share=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_the_expert_acts_as_often_as_it_should_and_always_in_the_same_steps(share, seed):
    made, *_ = run(LEFT, share=share, seed=seed, max_steps=400, start=-2)
    again, *_ = run(LEFT, share=share, seed=seed, max_steps=400, start=-2)
    assert again.rows["actions"] == made.rows["actions"]
    assert made.expert_moves == sum(action != LEFT for action in made.rows["actions"])
    if share == 0:
        assert made.expert_moves == 0
    elif made.num_steps == 400:  # it waits for the six moves of the expert's that end it
        assert made.expert_moves < 6
    else:
        assert made.expert_moves == 6
