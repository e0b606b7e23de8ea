import numpy as np
import pytest
from chore_runs import folded_episode, run_chore
from two_rooms import DEPTH_M, two_rooms
from wheeled import wheeled_env

from zoo.envs.experts.chores.rooms import RoomNavExpert, RoomVisitExpert
from zoo.envs.scenes.specification import Leaf
from zoo.navigation_actions import SpocAction

THINGS = {"table": ("dining_table_0", (1.9, 2.7, 0.0))}
WEST = (0.7, 0.7, 2.0)


def test_it_says_done_inside_of_the_room(monkeypatch):
    env = wheeled_env(monkeypatch, two_rooms(THINGS), folded_episode("room_nav", WEST, room_ids=["east"]))
    run = run_chore(env, RoomNavExpert())
    assert env.judgement.success
    assert run.strict
    x, _, _ = env.simulation.world.base_pose()
    assert DEPTH_M + 0.2 < x < DEPTH_M + 1.0  # well inside, and no farther than it must
    assert env.collisions == 0
    env.close()


def test_who_is_there_says_so_at_once(monkeypatch):
    env = wheeled_env(monkeypatch, two_rooms(THINGS), folded_episode("room_nav", WEST, room_ids=["west"]))
    assert run_chore(env, RoomNavExpert()).actions == [SpocAction.DONE]
    assert env.judgement.success
    env.close()


def test_all_rooms_are_claimed_once_the_nearest_first(monkeypatch):
    env = wheeled_env(monkeypatch, two_rooms(THINGS), folded_episode("room_visit", WEST))
    run = run_chore(env, RoomVisitExpert())
    assert env.judgement.success
    assert env.task.visits.claimed == ["west", "east"]
    assert env.task.visits.accuracy == 1.0
    assert run.actions[0] == SpocAction.SUB_DONE
    assert run.actions[-2:] == [SpocAction.SUB_DONE, SpocAction.DONE]
    env.close()


def test_a_room_that_somebody_else_claimed_is_left_out(monkeypatch):
    env = wheeled_env(monkeypatch, two_rooms(THINGS), folded_episode("room_visit", WEST))
    expert = RoomVisitExpert()
    expert.reset(env, np.random.default_rng(0))
    env.step(np.array([SpocAction.SUB_DONE], np.float32))
    assert expert.propose() not in (SpocAction.SUB_DONE, SpocAction.DONE)
    env.close()


@pytest.mark.parametrize(("name", "expert"), [("room_nav", RoomNavExpert), ("room_visit", RoomVisitExpert)])
def test_a_room_behind_a_closed_door_is_given_up(monkeypatch, name, expert):
    place = two_rooms(THINGS, leaf=Leaf(hinge="start", swing="left"))
    fields = {"room_ids": ["east"]} if name == "room_nav" else {}
    env = wheeled_env(monkeypatch, place, folded_episode(name, WEST, **fields))
    run = run_chore(env, expert())
    assert run.actions[-1] == SpocAction.DONE
    assert len(run.actions) <= 2
    assert not env.judgement.success
    env.close()
