import numpy as np
import pytest
from furnished_room import run
from two_rooms import DEPTH_M, mobile_episode, start, two_rooms

from zoo.envs.experts.navigation import NavigationExpert
from zoo.envs.experts.sight import Sight
from zoo.envs.scenes.specification import Leaf

THINGS = {
    "near": ("chair_0", (DEPTH_M + 3.0, 0.8, 0.0)),
    "far": ("chair_0", (DEPTH_M + 3.0, 2.9, 0.0)),
    "table": ("dining_table_0", (1.9, 2.7, 0.0)),
}
BASE = (0.7, 0.7, 2.0)


def chair_episode(base=BASE, names=("near", "far")):
    return mobile_episode("navigate_to", base, pickup_obj_name=names[0], pickup_obj_candidates=names)


@pytest.mark.render
def test_it_goes_through_a_doorway_and_looks(monkeypatch):
    env = start(monkeypatch, two_rooms(THINGS), chair_episode())
    _, actions = run(env, expert=NavigationExpert())
    assert env.judgement.success
    assert env.judgement.facts["distance_m"] < 1.4
    assert np.abs(env.simulation.view.qvel("base")).max() < 0.05
    bases = np.array([env.by_group(action)["base"] for action in actions])
    assert np.linalg.norm(np.diff(bases[:, :2], axis=0), axis=1).max() <= 0.25
    assert env.simulation.view.base_pose()[0] > DEPTH_M
    env.close()


@pytest.mark.render
def test_an_object_behind_a_closed_door_is_given_up(monkeypatch):
    place = two_rooms(THINGS, leaf=Leaf(hinge="start", swing="left", friction_loss=10.0))
    env = start(monkeypatch, place, chair_episode())
    _, actions = run(env, expert=NavigationExpert())
    assert len(actions) == 1
    assert not env.judgement.success
    env.close()


@pytest.mark.render
def test_a_place_that_is_barred_after_the_plan_is_driven_around(monkeypatch):
    """The map is of the reset; a chair that is pushed into the way later makes the robot stuck, and plan anew."""
    things = {"goal": ("chair_0", (3.4, 1.75, 0.0)), "barrier": ("dresser_0", (6.0, 1.75, 0.0))}
    env = start(monkeypatch, two_rooms(things), chair_episode((0.6, 1.75, 0.0), ("goal",)))
    simulation = env.simulation
    expert = NavigationExpert()
    act, phases = expert.act, []

    def barred():
        move = act()
        phases.append(move.phase)
        if len(phases) == 2:
            body = simulation.world.root("barrier")
            address = int(simulation.model.jnt_qposadr[simulation.model.body_jntadr[body]])
            simulation.model.body_mass[body] = 1e5  # not to be pushed away
            simulation.data.qpos[address : address + 2] = (1.7, 1.75)
        return move

    expert.act = barred
    run(env, expert=expert)
    assert "back_off" in phases
    assert env.judgement.success
    env.close()


@pytest.mark.render
def test_moves_repeat_and_planning_changes_nothing(monkeypatch):
    runs = []
    for seed in (0, 1):  # it draws nothing
        env = start(monkeypatch, two_rooms(THINGS), chair_episode((DEPTH_M + 0.9, 1.7, 0.0)))
        before = env.simulation.sim_state()
        expert = NavigationExpert()
        expert.reset(env, np.random.default_rng(seed))
        expert.act()
        np.testing.assert_array_equal(env.simulation.sim_state(), before)
        _, actions = run(env, seed=seed, expert=NavigationExpert())
        runs.append(np.array(actions))
        env.close()
    np.testing.assert_array_equal(runs[0], runs[1])


def test_rays_see_what_is_in_front(monkeypatch):
    place = two_rooms(THINGS, leaf=Leaf(hinge="start", swing="left"))
    env = start(monkeypatch, place, mobile_episode("open_door", BASE, door_body_name="door_0"))
    sight = Sight(env.simulation)
    assert sight.share("near", np.array([DEPTH_M + 1.5, 0.8, 1.4])) > 0.25
    assert sight.share("near", np.array([DEPTH_M - 1.5, 0.8, 1.4])) == 0  # through the wall
    assert sight.share("table", np.array([BASE[0] - 0.6, BASE[1], 1.4])) > 0.25  # the robot itself is in nobody's way
