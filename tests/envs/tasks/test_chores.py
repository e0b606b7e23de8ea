"""Success of the ten tasks of CHORES, their stricter rule and their rewards."""

import math

import numpy as np
import pytest
from two_rooms import DEPTH_M, two_rooms
from wheeled import find, wheeled_env, wheeled_episode

from zoo import registry
from zoo.envs.tasks.chores import HORIZON_STEPS, RULE_PICTURE_PX, Chore, Fetch, ObjectNav, ObjectNavRoom, RoomNav
from zoo.envs.tasks.chores import RoomVisit as Visit
from zoo.errors import ConfigError, DataError
from zoo.navigation_actions import SpocAction

A = SpocAction
MUG = {"mug.n.04": ["mug"]}
OBJECTS = {"bed": ("bed_0", (DEPTH_M + 2.0, 1.6, 0.0)), "other": ("bed_0", (1.0, 2.0, 0.0))}


@pytest.fixture
def near(bench):
    """Looking for the mug, which lies at the origin, 6 cm wide; the robot is put at places and looks along +x."""
    task = ObjectNav(broad_synset_to_object_ids=MUG, succ_pos_threshold=2.0)
    task.bind(bench.world)
    bench.put("mug", (0, 0, 0.43))
    return task


def say(task, action):
    task.world.said = action
    return task.judge()


def test_every_task_has_its_class_and_its_length():
    for name, steps in HORIZON_STEPS.items():
        kind = registry.load("task", name)
        assert issubclass(kind, Chore) and isinstance(registry.example("task", name), kind)
        assert steps == (1000 if name == "room_visit" else 600)
    assert len(HORIZON_STEPS) == 10


@pytest.mark.parametrize(
    ("x", "seen", "success"), [(-1.9, 1, True), (-1.9, 0, False), (-2.02, 1, True), (-2.04, 9999, False)]
)
def test_found_where_it_is_near_and_seen_and_said(bench, near, x, seen, success):
    bench.put("robot", (x, 0, 0.5))
    bench.seen = seen
    assert not say(near, A.MOVE_AHEAD).success and not say(near, None).success
    judged = say(near, A.DONE)
    assert judged.success == success
    assert judged.facts["distance_m"] == pytest.approx(-x - 0.03, abs=1e-3)


def test_the_reward_is_progress_beyond_the_nearest_so_far(bench, near):
    bench.put("robot", (-3.0, 0, 0.5))
    rewards = [say(near, None).reward]
    for x in (-2.5, -3.0, -2.4):
        bench.put("robot", (x, 0, 0.5))
        rewards.append(say(near, A.MOVE_AHEAD).reward)
    assert rewards == pytest.approx([-0.01, 0.49, -0.01, 0.09])
    bench.seen = 1
    bench.put("robot", (-1.4, 0, 0.5))
    assert say(near, A.DONE).reward == pytest.approx(10 - 0.01 + 1.0)


def looked_at(bench, task, *, pixels, whole=10**6, picture_px=RULE_PICTURE_PX, y=0.0):
    """Whether the strict rule holds; how often pictures were drawn."""
    calls = []
    bench.world.picture_px = picture_px
    bench.world._visible_pixels = lambda *_: calls.append("seen") or pixels
    bench.world._unoccluded_pixels = lambda *_: calls.append("whole") or whole
    bench.put("robot", (-1.0, y, 0.5))
    return task.strict_success(), calls


def test_the_stricter_rule_draws_only_what_it_needs(bench, near):
    assert looked_at(bench, near, pixels=200) == (True, ["seen"])
    assert looked_at(bench, near, pixels=0) == (False, ["seen"])
    assert looked_at(bench, near, pixels=199) == (False, ["seen", "whole"])
    assert looked_at(bench, near, pixels=80, whole=100) == (True, ["seen", "whole"])
    assert looked_at(bench, near, pixels=79, whole=100) == (False, ["seen", "whole"])
    assert looked_at(bench, near, pixels=999, y=math.tan(math.radians(11))) == (False, [])  # not ahead
    bench.put("mug", (2.0, 0, 0.43))
    assert looked_at(bench, near, pixels=999) == (False, [])  # not near


def test_smaller_pictures_need_fewer_pixels_and_larger_ones_as_many(bench, near):
    small = 112 * 64  # a twelfth: 200 / 12 = 16.7
    assert looked_at(bench, near, pixels=17, picture_px=small)[0]
    assert not looked_at(bench, near, pixels=16, picture_px=small)[0]
    assert not looked_at(bench, near, pixels=199, picture_px=4 * RULE_PICTURE_PX)[0]


def test_large_things_must_fill_more(bench):
    task = ObjectNav(broad_synset_to_object_ids={"table.n.02": ["table"]}, succ_pos_threshold=2.0)
    task.bind(bench.world)  # its top has 1.44 m2, which asks for the most, 1000
    assert not looked_at(bench, task, pixels=999)[0] and looked_at(bench, task, pixels=1000)[0]


@pytest.mark.render
def test_looking_for_a_bed(monkeypatch):
    wanted = find(["bed", "other"], (DEPTH_M - 0.6, 1.6, 0.0))
    env = wheeled_env(monkeypatch, two_rooms(OBJECTS), wanted)
    assert env.task.targets == ("bed", "other")
    while env.task.distance_m() > 1.5:
        assert not env.task.strict_success() or env.task.distance_m() <= 2.0
        env.step(np.array([A.MOVE_AHEAD]))
    assert env.task.strict_success()
    env.step(np.array([A.ROTATE_LEFT]))
    assert not env.task.strict_success()  # 30 degrees beside
    _, reward, terminated, _, info = env.step(np.array([A.DONE]))
    assert terminated and info["success_at_end"] and info["success_oracle"] and reward > 9  # seen, if not ahead
    env.close()


def test_objects_of_other_rooms_do_not_count(monkeypatch):
    wanted = find(["bed", "other"], (0.8, 0.6, 0.0), "object_nav_room", room_ids=["east"])
    env = wheeled_env(monkeypatch, two_rooms(OBJECTS), wanted)
    assert env.task.targets == ("bed",) and isinstance(env.task, ObjectNavRoom)
    nowhere = find(["other"], (0.8, 0.6, 0.0), "object_nav_room", room_ids=["east"])
    with pytest.raises(DataError, match="none of other is in east; they are in west"):
        env.reset(options={"episode": nowhere})


def test_fetching(bench):
    task = Fetch(broad_synset_to_object_ids={"plate.n.04": ["plate", "plate_2"]})
    task.bind(bench.world)
    bench.put("robot", (0.3, -0.9, 0.5))
    assert say(task, None).reward == 0 and not task.strict_success()
    bench.world.held = ("mug",)
    assert not say(task, A.DONE).success
    bench.world.held = ("plate_2",)
    assert say(task, A.PICKUP).reward == pytest.approx(5.0) and task.strict_success()
    assert not say(task, A.PICKUP).success and say(task, A.MOVE_BACK).reward == 0
    judged = say(task, A.DONE)
    assert judged.success and judged.reward == 10 and judged.facts["held"] == 1


def rooms_env(monkeypatch, name, start=(DEPTH_M - 0.5, 1.6, 0.0), **fields):
    return wheeled_env(monkeypatch, two_rooms({}), wheeled_episode(name, start, **fields))


@pytest.mark.parametrize("asked", [{"room_ids": ["east"]}, {"room_types": ["kitchen"], "room_ids": ["east"]}])
def test_going_to_a_room(monkeypatch, asked):
    env = rooms_env(monkeypatch, "room_nav", **asked)
    assert env.judgement.facts["distance_m"] == pytest.approx(0.5) and not env.task.strict_success()
    for _ in range(3):
        *_, info = env.step(np.array([A.MOVE_AHEAD]))
    assert info["distance_m"] == 0 and env.task.strict_success() and not info["success"]
    assert env.step(np.array([A.DONE]))[-1]["success"]


def test_any_room_of_the_type_will_do(monkeypatch):
    env = rooms_env(monkeypatch, "room_nav", room_types=["kitchen"])
    assert [room.name for room in env.task.rooms] == ["west", "east"] and env.task.strict_success()
    with pytest.raises(DataError, match="the house has no attic; it has kitchen"):
        env.reset(options={"episode": wheeled_episode("room_nav", (1, 1, 0), room_types=["attic"])})
    with pytest.raises(DataError, match="has no room cellar; it has west, east"):
        env.reset(options={"episode": wheeled_episode("room_nav", (1, 1, 0), room_ids=["cellar"])})


def test_visiting_all_rooms(monkeypatch):
    env = rooms_env(monkeypatch, "room_visit")
    assert isinstance(env.task, Visit)
    steps = [A.SUB_DONE, A.SUB_DONE, A.MOVE_AHEAD, A.MOVE_AHEAD, A.MOVE_AHEAD, A.SUB_DONE]
    seen = [env.step(np.array([action])) for action in steps]
    assert [one[-1]["rooms_claimed"] for one in seen] == [1, 1, 1, 1, 1, 2]
    # A right claim; a wrong one; two steps into new cells, of which the second or third enters the room; a right claim.
    rewards = [one[1] for one in seen]
    assert rewards[:2] == pytest.approx([2.0, -0.2]) and rewards[-1] == pytest.approx(2.0)
    assert sorted(rewards[2:5]) == pytest.approx([0.005, 0.005, 2.005])
    assert env.task.strict_success() and seen[-1][-1]["distance_m"] == 0
    assert env.step(np.array([A.DONE]))[-1]["success"]
    env.reset(seed=0)
    assert not env.task.strict_success() and not env.step(np.array([A.DONE]))[-1]["success"]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: ObjectNav(broad_synset_to_object_ids={"a": []}, succ_pos_threshold=2.0), "names no object"),
        (lambda: ObjectNav(broad_synset_to_object_ids=MUG, succ_pos_threshold=0), "succ_pos_threshold is 0"),
        (lambda: Fetch(broad_synset_to_object_ids={}), "Fetch: broad_synset_to_object_ids names no object"),
        (lambda: ObjectNavRoom(broad_synset_to_object_ids=MUG, succ_pos_threshold=1, room_ids=[]), "room_ids is empty"),
        (RoomNav, "room_types and room_ids are empty"),
    ],
)
def test_what_makes_no_task(make, match):
    with pytest.raises(ConfigError, match=match):
        make()


def test_an_object_that_is_not_there(bench):
    task = Fetch(broad_synset_to_object_ids={"mug.n.04": ["mugg"]})
    with pytest.raises(DataError, match="no body 'mugg'; near: mug"):
        task.bind(bench.world)
