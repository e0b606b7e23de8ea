import math

import pytest
from furnished_room import episode, furnished, run, start

DRAWER, DOOR = ("nightstand_0", "drawer0_joint", 0.28), ("cabinet_0", "door0_joint", 1.65)
FRONT_M = 0.95  # from the middle of the furniture to the middle of the pedestal


def work(monkeypatch, task, furniture, begin_share, threshold):
    asset, joint, reach = furniture
    place = furnished({"thing": (asset, (2.5, 2.5, 0.0))})
    wanted = episode(
        task,
        (2.5 + FRONT_M, 2.5, 0.0, math.pi),
        pickup_obj_name="thing",
        joint_name=f"thing/{joint}",
        joint_start_position=begin_share * reach,
        task_success_threshold=threshold,
    )
    env = start(monkeypatch, place, wanted)
    expert, _ = run(env)
    return env, expert


@pytest.mark.parametrize("furniture", [DRAWER, DOOR], ids=["drawer", "door"])
def test_a_part_is_opened(monkeypatch, furniture):
    env, expert = work(monkeypatch, "open", furniture, 0.0, 0.15)
    assert env.outcome()["success_at_end"], expert.failures


@pytest.mark.parametrize("furniture", [DRAWER, DOOR], ids=["drawer", "door"])
def test_a_part_is_closed(monkeypatch, furniture):
    env, expert = work(monkeypatch, "close", furniture, 0.5, 0.85)
    assert env.outcome()["success_at_end"], expert.failures
