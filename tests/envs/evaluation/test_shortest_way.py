"""Lengths that can be measured with a ruler: a straight corridor, and two rooms with a doorway."""

import math

import numpy as np
import pytest
from corner_episode import corner_episode
from furnished_room import walls_around
from two_rooms import DEPTH_M, PLAIN, mobile_episode, start, two_rooms
from wheeled import find, wheeled_env

from zoo.envs.episodes.schema import Episode
from zoo.envs.episodes.statistics import length_weighted_success, path_weighted_success
from zoo.envs.evaluation.drivers import ExpertDriver, RandomDriver
from zoo.envs.evaluation.rollout import Driver, RolloutSettings, run_episode
from zoo.envs.evaluation.shortest_way import base_radius_m, shortest_way
from zoo.envs.experts.driving import SPEED, TURN_SPEED, Drive
from zoo.envs.navigation.paths import NoRouteError
from zoo.envs.navigation.waypoints import poses_along
from zoo.envs.robots.stretch import REACH_M
from zoo.envs.scenes.specification import Leaf, Light, Placement, Room, Scene
from zoo.envs.simulation import simulation
from zoo.envs.simulation.environment import EpisodeEnv
from zoo.envs.simulation.houses import house_of

LENGTH_M, WIDTH_M = 14.0, 2.4
CHAIR_X, BEGIN_X, NEAR_M = 13.0, 0.7, 1.5
WAY_M = CHAIR_X - NEAR_M - BEGIN_X
CELL_M = 0.04
CHAIR = {"chair": ("chair_0", (DEPTH_M + 3.0, 0.8, 0.0))}


def corridor():
    corners = ((0.0, 0.0), (LENGTH_M, 0.0), (LENGTH_M, WIDTH_M), (0.0, WIDTH_M))
    walls = walls_around("corridor", corners)
    room = Room(name="corridor", room_type="corridor", polygon_m=corners, floor=PLAIN, ceiling=PLAIN)
    chair = Placement(name="chair", asset="chair_0", position_m=(CHAIR_X, WIDTH_M / 2, 0.0), room="corridor")
    lamp = Light(name="lamp", position_m=(LENGTH_M / 2, WIDTH_M / 2, 2.4))
    return house_of(Scene(name="corridor", rooms=(room,), walls=walls, lights=(lamp,), objects=(chair,)))


def to_chair(x=BEGIN_X, y=WIDTH_M / 2, yaw=0.0, **fields):
    return mobile_episode("navigate_to", (x, y, yaw), pickup_obj_name="chair", **fields)


@pytest.fixture
def env(monkeypatch):
    place = corridor()
    monkeypatch.setattr(simulation, "house", lambda *_: place)
    env = EpisodeEnv(robot="rby1", image_size=(96, 54))
    yield env
    env.close()


def way_of(monkeypatch, place, episode):
    env = start(monkeypatch, place, episode)
    return shortest_way(env.simulation, env.task)


class Along(Driver):
    """Drives straight from place to place, and is done at the last."""

    def __init__(self, *xs):
        self.xs = xs

    def reset(self, env, task, rng):
        self.env, self.dt = env, env.simulation.clocks.policy_dt
        corners = np.array([(x, WIDTH_M / 2) for x in (BEGIN_X, *self.xs)])
        self.drive = Drive(
            poses_along(corners, start_yaw=0.0, step_m=SPEED * self.dt, turn_rad=TURN_SPEED * self.dt), self.dt
        )

    def act(self, observation):
        pose = self.drive.next(self.env.simulation.view.qpos("base"))
        return () if pose is None else (self.env.joined({"base": pose}),)


def test_a_straight_corridor(env):
    env.reset(options={"episode": to_chair(yaw=math.pi / 2)})
    state = env.simulation.sim_state()
    found = shortest_way(env.simulation, env.task)
    assert found.length_m == pytest.approx(WAY_M, abs=3 * CELL_M)  # rays look from every third cell
    dt = env.simulation.clocks.policy_dt
    steps = (math.pi / 2) / (TURN_SPEED * dt) + WAY_M / (SPEED * dt)
    assert found.steps == pytest.approx(steps, abs=3)
    np.testing.assert_array_equal(env.simulation.sim_state(), state)
    assert shortest_way(env.simulation, env.task) == found


@pytest.mark.render
def test_weighted_success_of_an_expert_a_detour_and_a_failure(env):
    settings = RolloutSettings(horizon_steps=600)
    drivers = (ExpertDriver(), Along(12.0), Along(7.0, BEGIN_X, 12.0), Along(7.0))
    results = [run_episode(env, to_chair(), index, driver, settings) for index, driver in enumerate(drivers)]
    assert [result.success_at_end for result in results] == [True, True, True, False]
    assert results[3].failure == "wrong_stop"
    spl = [path_weighted_success([result]) for result in results]
    sel = [length_weighted_success([result]) for result in results]
    # The expert stops at 0.8 m from the chair, the others at 1 m; the task is done at 1.5 m.
    assert spl[0] == pytest.approx(WAY_M / (WAY_M + 0.7), abs=0.03)
    assert spl[1] == pytest.approx(WAY_M / (WAY_M + 0.5), abs=0.03)
    assert spl[2] == pytest.approx(WAY_M / (WAY_M + 0.5 + 2 * (7.0 - BEGIN_X)), abs=0.03)
    assert spl[3] == sel[3] == 0
    assert 0.5 < sel[0] <= 1
    assert sel[2] < 0.6 * sel[1]
    assert path_weighted_success(results) == pytest.approx(sum(spl) / 4)


@pytest.mark.parametrize(("near", "way"), [(1.5, WAY_M), (3.0, WAY_M - 1.5)])
def test_the_success_distance_of_the_episode_counts(env, near, way):
    env.reset(options={"episode": to_chair(succ_pos_threshold=near)})
    assert shortest_way(env.simulation, env.task).length_m == pytest.approx(way, abs=3 * CELL_M)


def test_it_leads_to_the_candidate_with_the_shortest_way(monkeypatch):
    things = CHAIR | {"other": ("chair_0", (3.0, 2.8, 0.0))}
    names = ("chair", "other")
    near = mobile_episode("navigate_to", (0.7, 0.7, 0.0), pickup_obj_name="chair", pickup_obj_candidates=names)
    straight = math.hypot(3.0 - 0.7, 2.8 - 0.7) - NEAR_M
    assert straight <= way_of(monkeypatch, two_rooms(things), near).length_m <= 1.05 * straight + 3 * CELL_M
    assert way_of(monkeypatch, two_rooms(things), to_chair(0.7, 0.7)).length_m > 3.0


def test_near_is_not_enough_where_a_wall_is_between(monkeypatch):
    things = {"chair": ("chair_0", (DEPTH_M + 0.6, 0.6, 0.0))}
    begin = (DEPTH_M - 0.6, 0.6)  # 1.2 m from the chair
    assert way_of(monkeypatch, two_rooms(things), to_chair(*begin)).length_m > 0.5


@pytest.mark.parametrize("yaw", [0.0, 0.7])
def test_radius_of_a_square_base(env, yaw):
    env.reset(options={"episode": to_chair(yaw=yaw)})
    assert base_radius_m(env.simulation) == pytest.approx(0.25, abs=1e-3)


def test_an_unreachable_goal_is_told_and_the_next_episode_runs(monkeypatch):
    place = two_rooms(CHAIR, leaf=Leaf(hinge="start", swing="left"))
    env = start(monkeypatch, place, to_chair(0.7, 0.7))
    with pytest.raises(NoRouteError, match="the goal is unreachable: from .0.70, 0.70."):
        shortest_way(env.simulation, env.task)
    settings = RolloutSettings(horizon_steps=2)
    lost = run_episode(env, to_chair(0.7, 0.7), 0, RandomDriver(), settings)
    assert (lost.failure, lost.steps, lost.success_at_end) == ("unreachable_goal", 0, False)
    assert "of 'chair', at (3." in lost.detail
    assert "below 1.5 m" in lost.detail
    found = run_episode(env, to_chair(DEPTH_M + 0.8, 2.8), 1, RandomDriver(), settings)
    assert (found.failure, found.steps) == ("horizon", 2)
    assert path_weighted_success([lost, found]) == 0


def test_an_episode_without_the_camera_that_must_see(env):
    content = to_chair().to_json()
    content["cameras"][0]["name"] = "chest_camera"
    result = run_episode(env, Episode.from_json(content, "episode"), 0, RandomDriver(), RolloutSettings())
    assert result.failure == "setup_failed"
    assert "'head_camera' sees the object, which the episode lacks; it has chest_camera" in result.detail


def test_other_tasks_have_no_way():
    env = EpisodeEnv(robot="franka_droid", image_size=(64, 48))
    result = run_episode(env, corner_episode(), 0, RandomDriver(), RolloutSettings(horizon_steps=1))
    assert (result.failure, result.shortest_length_m, result.expert_steps) == ("horizon", None, None)


def test_the_nearest_place_to_see_an_object_from_or_to_reach_it(monkeypatch):
    """Distances end at the chair's box, not at its middle; what is fetched must be within an arm's reach."""
    x = DEPTH_M + 2.0
    place, begin = two_rooms({"chair": ("chair_0", (x, 1.65, 0.0))}), (0.8, 1.65, 0.0)
    env = wheeled_env(monkeypatch, place, find(["chair"], begin, robot="ring_body"))
    edge = x - env.simulation.world.box("chair")[1][0]
    found = shortest_way(env.simulation, env.task)
    assert found.length_m == pytest.approx(edge - 2.0 - begin[0], abs=3 * CELL_M) and found.steps is None
    env.reset(options={"episode": find(["chair"], begin, robot="ring_body", succ_pos_threshold=1.0)})
    assert shortest_way(env.simulation, env.task).length_m == pytest.approx(edge - 1.0 - begin[0], abs=3 * CELL_M)
    env.reset(options={"episode": find(["chair"], begin, "fetch_type", robot="ring_body")})
    assert shortest_way(env.simulation, env.task).length_m == pytest.approx(edge - REACH_M - begin[0], abs=2 * CELL_M)


def test_the_nearest_of_several_objects_counts(monkeypatch):
    things = CHAIR | {"other": ("chair_0", (0.8, 3.0, 0.0))}
    env = wheeled_env(monkeypatch, two_rooms(things), find(["chair", "other"], (3.0, 0.6, 0.0), robot="ring_body"))
    assert shortest_way(env.simulation, env.task).length_m < 1.6
    env.reset(options={"episode": find(["chair"], (3.0, 0.6, 0.0), robot="ring_body")})
    assert shortest_way(env.simulation, env.task).length_m > 1.6
