"""Environments of robots that act by SPOC's twenty actions, without physics."""

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from two_rooms import DEPTH_M, two_rooms
from wheeled import find, wheeled_env, wheeled_episode

from zoo.envs.episodes.schema import SceneModifications
from zoo.envs.robots.ring_body import BODIES, draw_embodiment
from zoo.envs.simulation.environment import ActionError
from zoo.errors import ConfigError
from zoo.navigation_actions import NAVIGATION_ACTIONS, SpocAction

CHAIR = {"chair": ("chair_0", (DEPTH_M + 3.0, 0.8, 0.0))}
MIDDLE = (1.5, 1.7, 0.0)
A = SpocAction


def chosen(action):
    return np.array([action])


@pytest.fixture
def env(monkeypatch):
    env = wheeled_env(monkeypatch, two_rooms(CHAIR), find(["chair"], MIDDLE, seed=5))
    yield env
    env.close()


@pytest.mark.parametrize("robot", ["stretch", "ring_body"])
def test_gymnasium_accepts_it(monkeypatch, robot):
    env = wheeled_env(monkeypatch, two_rooms(CHAIR), find(["chair"], MIDDLE, robot=robot), horizon_steps=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*not having a spec.*")
        check_env(env, skip_render_check=True)
    env.close()


def test_what_is_observed(env):
    observation, info = env.reset(seed=0)
    assert env.is_discrete and env.action_space.nvec.tolist() == [20]
    assert env.observation_space.contains(observation)
    assert set(observation) == {"base_pose", "in_hand", "last_action_success", "arm"}
    np.testing.assert_allclose(observation["base_pose"][:2], MIDDLE[:2], atol=1e-6)
    np.testing.assert_array_equal(observation["arm"], env.simulation.actions.proprioception())
    assert observation["in_hand"].tolist() == [0] and observation["last_action_success"].tolist() == [1]
    assert info["task"]["seed"] == 5 and info["task"]["task"] == "object_nav_type"
    assert env.simulation.world.said is None


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint8])
def test_an_action_is_an_index_of_any_number_type(env, dtype):
    env.step(np.array([A.MOVE_AHEAD], dtype))
    observation, *_ = env.step(np.array([A.ROTATE_LEFT], dtype))
    x, y, yaw = env.simulation.world.base_pose()
    np.testing.assert_allclose([x, y, yaw], [MIDDLE[0] + 0.2, MIDDLE[1], math.radians(30)], atol=1e-9)
    np.testing.assert_allclose(observation["base_pose"][:2], [x, y], atol=1e-6)
    assert env.simulation.world.said == A.ROTATE_LEFT and env.simulation.data.time == 0  # no physics


@pytest.mark.parametrize(
    ("action", "reason", "match"),
    [
        ([20], "unknown_action", "action 20 is none of the 20"),
        ([-1], "unknown_action", "action -1 is none"),
        ([2.5], "unknown_action", r"action 2\.5 is none"),
        ([math.nan], "nan_action", "not finite"),
        ([0.0] * 20, "wrong_shape", r"shape \(20,\), expected \(1,\): the index of one of 20"),
    ],
)
def test_actions_that_cannot_be_executed(env, action, reason, match):
    with pytest.raises(ActionError, match=match) as caught:
        env.step(np.array(action))
    assert caught.value.reason == reason and env.steps == 0


def test_what_blocks_the_base_is_counted(monkeypatch):
    start = (DEPTH_M - 0.5, 2.9, 0.0)  # before the wall between the rooms, beside its door
    env = wheeled_env(monkeypatch, two_rooms({}), wheeled_episode("room_nav", start, room_types=["kitchen"]))
    seen = [env.step(chosen(A.MOVE_AHEAD))[0]["last_action_success"][0] for _ in range(4)]
    assert seen[-1] == 0 and env.collisions == seen.count(0) > 0
    before = env.collisions
    _, _, terminated, truncated, _ = env.step(chosen(A.MOVE_BACK))
    assert env.collisions == before and not terminated and not truncated
    env.reset(seed=0)
    assert env.collisions == 0


def test_done_ends_an_episode(env):
    _, _, terminated, truncated, info = env.step(chosen(A.DONE))
    assert terminated and not truncated
    assert info["success_at_end"] is False and info["distance_m"] > 5


def test_arms_are_not_for_boxes_on_wheels(monkeypatch):
    env = wheeled_env(monkeypatch, two_rooms(CHAIR), find(["chair"], MIDDLE, robot="ring_body"))
    assert set(env.reset(seed=0)[0]) == {"base_pose", "in_hand", "last_action_success"}
    for action in SpocAction:
        before = env.simulation.data.qpos.copy()
        succeeded = env.step(chosen(action))[0]["last_action_success"][0]
        assert succeeded == (action in (*NAVIGATION_ACTIONS, A.SUB_DONE))  # which are moves, or words
        if action not in NAVIGATION_ACTIONS:
            np.testing.assert_array_equal(env.simulation.data.qpos, before)
    assert env.collisions == 0


def test_one_environment_takes_on_every_body(monkeypatch):
    drawn = draw_embodiment(np.random.default_rng(3))
    env = wheeled_env(monkeypatch, two_rooms(CHAIR), find(["chair"], MIDDLE, robot="ring_body"))
    assert env.robot.params == BODIES["stretch"]
    for arguments, expected in (({"body": "locobot"}, BODIES["locobot"]), ({"body": drawn.to_json()}, drawn)):
        _, info = env.reset(options={"episode": find(["chair"], MIDDLE, robot="ring_body", arguments=arguments)})
        assert env.robot.params == expected
        np.testing.assert_allclose(info["task"]["embodiment"], expected.vector(), atol=1e-6)
        size = env.simulation.model.geom("robot_0/box").size
        np.testing.assert_allclose(size[:2] * 2, [expected.size_m[2], expected.size_m[0]])


def test_stretch_says_the_numbers_that_the_box_of_its_name_has(env):
    _, info = env.reset(seed=0)
    np.testing.assert_allclose(info["task"]["embodiment"], BODIES["stretch"].vector(), atol=1e-6)


def test_a_body_that_is_none(monkeypatch):
    wanted = find(["chair"], MIDDLE, robot="ring_body")
    env = wheeled_env(monkeypatch, two_rooms(CHAIR), wanted)
    broken = replace(wanted, robot=replace(wanted.robot, arguments={"body": {"size_m": [1, 1, 1]}}))
    with pytest.raises(ConfigError, match=r"body\.cameras is missing"):
        env.reset(options={"episode": broken})


def test_the_magnet_takes_and_lets_fall(monkeypatch):
    """A ball within the hand's sphere: it moves with the arm, and falls when it is let go."""
    x, y, _ = MIDDLE
    things = {"ball": ("tennis_ball_0", (x, y - 0.4, 0.763)), **CHAIR}
    poses = {name: (*place, 1.0, 0.0, 0.0, 0.0) for name, (_, place) in things.items()}
    wanted = replace(
        find(["ball"], MIDDLE, "fetch_type"), scene_modifications=SceneModifications(object_poses=poses)
    )  # what every free object's pose is stated of does not settle, so the ball hangs where it is
    env = wheeled_env(monkeypatch, two_rooms(things), wanted)
    observation, *_ = env.step(chosen(A.PICKUP))
    assert observation["in_hand"].tolist() == [1] and env.simulation.world.held == ("ball",)
    for action in (A.MOVE_ARM_UP, A.ROTATE_LEFT, A.MOVE_ARM_OUT):
        assert env.step(chosen(action))[0]["last_action_success"].tolist() == [1]
    held = env.simulation.world.position("ball")
    assert held[2] == pytest.approx(0.863, abs=1e-6)
    assert math.dist(held[:2], MIDDLE[:2]) == pytest.approx(0.5, abs=1e-6)
    stance = {group: env.simulation.view.qpos(group) for group in ("base", "arm")}
    observation, *_ = env.step(chosen(A.DROPOFF))
    assert observation["in_hand"].tolist() == [0] and env.simulation.world.held == ()
    assert env.simulation.world.position("ball")[2] < 0.1  # on the floor, at rest
    for group, values in stance.items():
        np.testing.assert_array_equal(env.simulation.view.qpos(group), values)
    env.step(chosen(A.PICKUP))
    assert not env.simulation.world.held


def test_noise_is_drawn_from_the_seed_of_the_episode(monkeypatch):
    def walked(seed, *, noise=True, index=0):
        wanted = find(["chair"], MIDDLE, seed=seed)
        env = wheeled_env(monkeypatch, two_rooms(CHAIR), wanted, noise=noise)
        env.reset(options={"episode": wanted, "index": index})
        for action in (A.MOVE_AHEAD, A.ROTATE_LEFT, A.MOVE_AHEAD):
            env.step(chosen(action))
        return env.simulation.world.base_pose()

    exact, once = walked(1, noise=False), walked(1)
    assert 1e-4 < np.abs(once - exact).max() < 0.1
    np.testing.assert_array_equal(walked(1), once)
    assert np.abs(walked(2) - once).max() > 1e-4
    assert np.abs(walked(None, index=1) - walked(None, index=2)).max() > 1e-4
    np.testing.assert_array_equal(walked(None, index=1), once)  # an episode without a seed has its place


def test_nothing_but_the_robot_moves(env):
    before = env.simulation.free_poses()
    rng = np.random.default_rng(0)
    for action in rng.choice([a for a in SpocAction if a not in (A.DONE, A.DROPOFF)], 40):
        env.step(chosen(action))
    for name, pose in env.simulation.free_poses().items():
        np.testing.assert_array_equal(pose, before[name])
