import math

import pytest
from furnished_room import TABLE_M, episode, furnished, run, start

TABLE = {"table": ("dining_table_0", (2.5, 2.5, 0.0)), "block": ("toy_block_0", (2.75, 2.4, TABLE_M + 0.001))}
BASE = (3.3, 2.5, 0.05, math.pi)
START = (2.75, 2.4, TABLE_M, 1, 0, 0, 0)


def put(monkeypatch, task, receptacle, **fields):
    place = furnished(TABLE | {"goal": (receptacle, (2.75, 2.72, TABLE_M + 0.001))})
    wanted = episode(
        task,
        BASE,
        pickup_obj_name="block",
        pickup_obj_start_pose=START,
        place_receptacle_name="goal",
        place_receptacle_start_pose=(2.75, 2.72, TABLE_M, 1, 0, 0, 0),
        **fields,
    )
    env = start(monkeypatch, place, wanted)
    expert, _ = run(env)
    return env, expert


@pytest.mark.parametrize("receptacle", ["plate_0", "bowl_0"])
def test_an_object_is_put_on_and_into_a_receptacle(monkeypatch, receptacle):
    env, expert = put(monkeypatch, "pick_and_place", receptacle)
    assert env.outcome()["success_at_end"], expert.failures
    assert env.judgement.facts["is_released"]
    assert env.judgement.facts["receptacle_moved_m"] < 0.05


def test_the_receptacle_of_the_right_colour_is_used(monkeypatch):
    env, expert = put(monkeypatch, "pick_and_place_color", "plate_0", object_colors={"goal": (1, 0, 0, 1)})
    assert env.outcome()["success_at_end"], expert.failures


def test_an_object_is_put_next_to_another(monkeypatch):
    env, expert = put(monkeypatch, "pick_and_place_next_to", "can_0")
    assert env.outcome()["success_at_end"], expert.failures
    assert 0 <= env.judgement.facts["gap_m"] <= 0.05
    robot = env.simulation.world.robot_root
    assert robot not in env.simulation.world.contacts("block").roots  # let go, which the task does not ask


def test_an_object_that_cannot_be_placed_is_put_back(monkeypatch):
    place = furnished(TABLE | {"goal": ("plate_0", (0.5, 0.5, 0.001))})
    wanted = episode(
        "pick_and_place",
        BASE,
        pickup_obj_name="block",
        pickup_obj_start_pose=START,
        place_receptacle_name="goal",
        place_receptacle_start_pose=(0.5, 0.5, 0.0, 1, 0, 0, 0),
    )
    env = start(monkeypatch, place, wanted)
    expert, _ = run(env)
    assert set(expert.failures) == {"no place is in reach"}
    assert abs(env.simulation.world.position("block")[2] - TABLE_M) < 0.05
