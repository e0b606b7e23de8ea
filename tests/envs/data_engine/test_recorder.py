"""What a recording holds step by step, and which episodes are not kept, with an expert and a world made of numbers."""

from types import SimpleNamespace

import numpy as np
import pytest

from zoo.envs.data_engine.recorder import record
from zoo.envs.experts.expert import Move
from zoo.envs.navigation.paths import NoRouteError
from zoo.envs.sampling.sampler import RejectedError
from zoo.envs.simulation.simulation import UnstableError
from zoo.navigation_actions import SpocAction
from zoo.shards.policy_episode import MISSING_BOX, NO_ROOM

AHEAD, LEFT, DONE = SpocAction.MOVE_AHEAD, SpocAction.ROTATE_LEFT, SpocAction.DONE


class NumberLine:
    """A base on a line: `ahead` goes 1 m, but not beyond 3; success beyond 2.5, in the loose sense beyond 1.5."""

    cameras, synsets = ("eye",), ()

    def __init__(self) -> None:
        self.simulation = SimpleNamespace(
            house=SimpleNamespace(scene=SimpleNamespace(rooms=[SimpleNamespace(name="a"), SimpleNamespace(name="b")])),
            world=SimpleNamespace(
                base_pose=lambda: np.array([self.x, 0.0, 0.5]),
                room_at=lambda point: "b" if point[0] >= 2 else None,
            ),
        )
        self.task = SimpleNamespace(targets=(), strict_success=lambda: self.x > 2.5, is_success=lambda: self.x > 1.5)

    def reset(self, *, options):
        assert options["index"] == 7
        self.x, self.moved, self.steps = 0.0, True, 0
        return self.observation(), self.info(False)

    def observation(self):
        return {
            "eye": np.full((2, 2, 3), self.steps, np.uint8),
            "in_hand": np.array([0]),
            "last_action_success": np.array([self.moved]),
        }

    def info(self, success):
        return {"success": success, "distance_m": 3.0 - self.x}

    def step(self, action):
        assert action.shape == (1,)
        before, self.steps = self.x, self.steps + 1
        if action[0] == AHEAD:
            self.x = min(self.x + 1, 3.0)
        self.moved = self.x != before
        return self.observation(), 0.0, action[0] == DONE, False, self.info(action[0] == DONE and self.x > 1.5)


class Told:
    """An expert that does as it is told."""

    def __init__(self, *actions, fault=None) -> None:
        self.actions, self.fault = list(actions), fault

    def reset(self, env, rng):
        self.rng = rng

    def act(self):
        if self.fault is not None:
            raise self.fault
        action = self.actions.pop(0)
        return Move(action=action, is_done=action == DONE, is_recovery=action == LEFT)


def run(*actions, max_steps=20, **more):
    return record(NumberLine(), None, Told(*actions, **more), np.random.default_rng(0), max_steps=max_steps, index=7)


def test_rows_are_what_was_so_before_each_action():
    recording = run(AHEAD, LEFT, AHEAD, AHEAD, DONE)
    rows = recording.rows
    assert rows["actions"] == [0, 2, 0, 0, 4]
    assert rows["action_success"] == [True, False, True, True, True]
    assert rows["is_recovery"] == [False, True, False, False, False]
    assert [pose[0] for pose in rows["base_pose"]] == [0, 1, 1, 2, 3]
    assert rows["distance_m"] == [3, 2, 2, 1, 0]
    assert rows["room"] == [NO_ROOM, NO_ROOM, NO_ROOM, 1, 1]
    assert rows["strict_success"] == [False, False, False, False, True]
    assert [frame[0, 0, 0] for frame in recording.frames["eye"]] == [0, 1, 2, 3, 4]
    assert recording.num_steps == 5
    assert recording.path_m == pytest.approx(3.0)
    np.testing.assert_array_equal(rows["boxes"][0], [[MISSING_BOX, MISSING_BOX]])
    assert {len(values) for values in rows.values()} == {5}


@pytest.mark.parametrize(
    ("actions", "more", "reason"),
    [
        ((AHEAD, DONE), {}, "gave_up"),
        ((AHEAD, AHEAD, DONE), {}, "not_strict"),
        ((AHEAD, AHEAD, AHEAD, DONE), {"max_steps": 3}, "too_long"),
        ((), {"fault": NoRouteError("walled in")}, "no_route"),
        ((), {"fault": UnstableError("up and away")}, "unstable"),
    ],
)
def test_what_is_not_kept_has_a_reason(actions, more, reason):
    with pytest.raises(RejectedError) as caught:
        run(*actions, **more)
    assert caught.value.reason == reason


def test_the_longest_episode_is_kept():
    assert run(AHEAD, AHEAD, AHEAD, DONE, max_steps=4).num_steps == 4


def test_an_episode_that_begins_done_teaches_nothing(monkeypatch):
    env = NumberLine()
    env.task.strict_success = lambda: True
    with pytest.raises(RejectedError, match="done_at_start"):
        record(env, None, Told(DONE), np.random.default_rng(0), max_steps=5, index=7)
