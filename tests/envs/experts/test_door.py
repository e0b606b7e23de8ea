import math

import numpy as np
import pytest
from furnished_room import run
from two_rooms import DEPTH_M, DOOR_OFFSET_M, DOOR_WIDTH_M, mobile_episode, start, two_rooms

from zoo.envs.experts.door import DoorExpert
from zoo.envs.experts.door_geometry import door_geometry, side_of
from zoo.envs.scenes.specification import Leaf

HEAVY = {"stiffness": 7.0, "damping": 12.0, "friction_loss": 12.0}  # the heaviest of sheet section 17
MIDDLE = DOOR_OFFSET_M + DOOR_WIDTH_M / 2
WEST, EAST = (DEPTH_M - 1.3, MIDDLE + 0.2, 0.2), (DEPTH_M + 1.3, MIDDLE - 0.2, math.pi)


def door_episode(base):
    return mobile_episode("open_door", base, door_body_name="door_0")


@pytest.mark.parametrize(
    ("hinge", "base", "phase"),
    [("start", WEST, "pull"), ("end", WEST, "pull"), ("start", EAST, "push"), ("end", EAST, "push")],
)
def test_doors_are_pulled_and_pushed_open(monkeypatch, hinge, base, phase):
    env = start(monkeypatch, two_rooms({}, leaf=Leaf(hinge=hinge, swing="left", **HEAVY)), door_episode(base))
    _, actions = run(env, expert=DoorExpert())
    assert env.judgement.success
    assert len(actions) < 200
    assert np.abs(env.simulation.data.qvel).max() < 0.1  # at rest


def test_a_door_with_little_room_before_it_is_opened_in_parts(monkeypatch):
    """A table 1.5 m in front of the wall: the robot cannot step back as far as one pull takes."""
    place = two_rooms(
        {"table": ("dining_table_0", (DEPTH_M - 2.1, MIDDLE, 0.0))}, leaf=Leaf(hinge="start", swing="left")
    )
    env = start(monkeypatch, place, door_episode((DEPTH_M - 0.9, MIDDLE, 0.0)))
    run(env, expert=DoorExpert())
    assert env.judgement.success


def test_the_same_seed_gives_the_same_moves(monkeypatch):
    place = two_rooms({}, leaf=Leaf(hinge="start", swing="left", **HEAVY))
    runs = []
    for _ in range(2):
        env = start(monkeypatch, place, door_episode(WEST))
        _, actions = run(env, seed=3, expert=DoorExpert())
        runs.append((np.array(actions), env.simulation.sim_state()))
    np.testing.assert_array_equal(runs[0][0], runs[1][0])
    np.testing.assert_array_equal(runs[0][1], runs[1][1])


def test_planning_leaves_the_simulation_alone(monkeypatch):
    env = start(monkeypatch, two_rooms({}, leaf=Leaf(hinge="start", swing="left")), door_episode(WEST))
    before = env.simulation.sim_state()
    expert = DoorExpert()
    expert.reset(env, np.random.default_rng(0))
    expert.act()
    np.testing.assert_array_equal(env.simulation.sim_state(), before)


def test_it_gives_up_where_its_arms_do_not_reach(monkeypatch):
    place = two_rooms({}, leaf=Leaf(hinge="start", swing="left", handle_height_m=1.9))
    env = start(monkeypatch, place, door_episode(WEST))
    _, actions = run(env, expert=DoorExpert())
    assert len(actions) == 1
    assert not env.judgement.success


@pytest.mark.parametrize("hinge", ["start", "end"])
@pytest.mark.parametrize("swing", ["left", "right"])
def test_geometry_follows_the_model(monkeypatch, hinge, swing):
    env = start(monkeypatch, two_rooms({}, leaf=Leaf(hinge=hinge, swing=swing, angle=0.7)), door_episode(WEST))
    simulation = env.simulation
    side = side_of(simulation.model, "door_0", np.array(WEST[:2]))
    door = door_geometry(simulation.model, "door_0", side)
    assert door.is_pulled == (swing == "left")  # the wall goes along +y, left of it is west
    face = "left"
    bar = simulation.data.geom(f"door_0/handle_{face}_bar").xpos
    np.testing.assert_allclose(door.point_at(0.7, door.bar_m), bar[:2], atol=1e-9)
    assert door.bar_z_m == pytest.approx(bar[2])
    np.testing.assert_allclose(math.cos(door.facing_yaw), 1.0, atol=1e-9)  # from the west one looks along +x
