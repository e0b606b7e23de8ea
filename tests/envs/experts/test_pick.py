import math

import numpy as np
import pytest
from furnished_room import TABLE_M, episode, furnished, run, start

from zoo import registry

THINGS = {"table": ("dining_table_0", (2.5, 2.5, 0.0)), "block": ("toy_block_0", (2.75, 2.4, TABLE_M + 0.001))}
BASE = (3.3, 2.5, 0.05, math.pi)


def block_episode(base=BASE, where=(2.75, 2.4)):
    pose = (*where, TABLE_M, 1, 0, 0, 0)
    return episode("pick", base, pickup_obj_name="block", pickup_obj_start_pose=pose)


@pytest.fixture(scope="module")
def place():
    return furnished(THINGS)


def test_an_object_is_lifted_and_kept(monkeypatch, place):
    env = start(monkeypatch, place, block_episode())
    expert, actions = run(env)
    assert env.outcome()["success_at_end"]
    assert expert.failures == []
    assert env.judgement.facts["lift_m"] > 0.05
    assert len(actions) < 200


def test_an_object_that_slips_is_picked_up_again(monkeypatch, place):
    env = start(monkeypatch, place, block_episode())
    expert = registry.build("expert", "pick")
    simulation = env.simulation
    (joint,) = (simulation.free_joints()["block"],)
    address = int(simulation.model.jnt_qposadr[joint])
    begin, act, slips = simulation.data.qpos[address : address + 7].copy(), expert.act, []

    def slippery():
        move = act()
        if move.phase == "lift" and not slips:
            slips.append(True)
            simulation.data.qpos[address : address + 7] = begin + 0.12 * np.eye(7)[1]  # beside the hand
        return move

    expert.act = slippery
    run(env, expert=expert)
    assert expert.failures == ["the gripper is empty"]
    assert env.outcome()["success_at_end"]


def test_what_is_out_of_reach_is_given_up(monkeypatch, place):
    env = start(monkeypatch, place, block_episode(base=(4.5, 4.0, 0.05, math.pi)))
    expert, actions = run(env)
    assert expert.failures == ["no grasp is in reach"] * 4
    assert len(actions) < 120
    assert not env.outcome()["success_oracle"]


def test_planning_leaves_the_simulation_alone_and_the_same_seed_makes_the_same_moves(monkeypatch, place):
    moves = []
    for _ in range(2):
        env = start(monkeypatch, place, block_episode())
        expert = registry.build("expert", "pick")
        before = env.simulation.sim_state()
        expert.reset(env, np.random.default_rng(3))
        first = expert.act()
        np.testing.assert_array_equal(env.simulation.sim_state(), before)
        moves.append([first] + [expert.act() for _ in range(20)])
    for one, other in zip(*moves, strict=True):
        assert one.phase == other.phase
        for name, command in one.commands.items():
            np.testing.assert_array_equal(command, other.commands[name])
