"""Chance moves within the action space, and bases at their own pace; discrete robots by what their tasks need."""

import numpy as np
import pytest
from two_rooms import DEPTH_M, mobile_episode, start, two_rooms
from wheeled import find, wheeled_env, wheeled_episode

from zoo.envs.evaluation.drivers import ExpertDriver, RandomDriver
from zoo.envs.evaluation.rollout import Driver, RolloutSettings, run_episode
from zoo.envs.experts.driving import SPEED, TURN_SPEED
from zoo.envs.experts.expert import Expert, Move
from zoo.envs.scenes.specification import Leaf
from zoo.errors import ConfigError
from zoo.navigation_actions import NAVIGATION_ACTIONS, SpocAction


def test_a_base_is_sent_no_farther_than_it_drives(monkeypatch):
    place = two_rooms({}, leaf=Leaf(hinge="start", swing="left"))
    wanted = mobile_episode("open_door", (1.5, 2.0, 0.0), door_body_name="door_0")
    env = start(monkeypatch, place, wanted)
    driver = RandomDriver()
    driver.reset(env, {}, np.random.default_rng(0))
    pace = np.array([SPEED, SPEED, TURN_SPEED]) * env.simulation.clocks.policy_dt
    arms = []
    for _ in range(20):
        (action,) = driver.act({})
        assert env.action_space.contains(action)
        here = env.simulation.view.qpos("base")
        assert (np.abs(env.by_group(action)["base"] - here) <= pace + 1e-5).all()
        arms.append(env.by_group(action)["left_arm"])
        env.step(action)  # raises where the physics fails
    assert np.ptp(arms, axis=0).min() > 0.5  # rad: of everything else all of the range is drawn
    env.close()


CHAIR = {"chair": ("chair_0", (DEPTH_M + 2.0, 1.6, 0.0))}
HERE = (1.5, 1.7, 0.0)
MOVES = set(NAVIGATION_ACTIONS) - {SpocAction.DONE}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (find(["chair"], HERE), MOVES),
        (find(["chair"], HERE, "pickup_type"), set(SpocAction) - {SpocAction.DONE}),
        (wheeled_episode("room_visit", HERE, robot="ring_body"), MOVES | {SpocAction.SUB_DONE}),
    ],
)
def test_chance_says_done_at_the_last_step_alone(monkeypatch, wanted, expected):
    env = wheeled_env(monkeypatch, two_rooms(CHAIR), wanted)
    driver, horizon = RandomDriver(), 200
    driver.reset(env, {"horizon_steps": horizon}, np.random.default_rng(0))
    said = []
    for step in range(horizon):
        env.steps = step
        (action,) = driver.act({})
        assert env.action_space.contains(action.astype(int)) and action.shape == (1,)
        said.append(SpocAction(int(action[0])))
    assert said[-1] == SpocAction.DONE and set(said[:-1]) == expected


class Steps(Expert, Driver):
    """Says some actions; as an expert, and as a driver."""

    robots = ("stretch", "ring_body")

    def __init__(self, actions):
        self.actions = actions

    def reset(self, env, *_):
        self.left = iter(self.actions)

    def propose(self):
        return next(self.left)

    def act(self, observation=None):
        action = self.propose()
        if observation is not None:
            return (np.array([action], np.float32),)
        return Move(action=action, is_done=action == SpocAction.DONE, is_recovery=True)


def test_an_expert_of_a_discrete_robot(monkeypatch):
    env = wheeled_env(monkeypatch, two_rooms(CHAIR), find(["chair"], HERE))
    monkeypatch.setattr("zoo.registry.build", lambda *_: Steps([SpocAction.MOVE_AHEAD, SpocAction.DONE]))
    driver = ExpertDriver()
    driver.reset(env, {"task": "object_nav_type"}, np.random.default_rng(0))
    assert [action.tolist() for _ in range(3) for action in driver.act({})] == [[0.0], [4.0]]
    with pytest.raises(ConfigError, match="commands joints; only experts of discrete robots propose"):
        Expert.propose(driver)


@pytest.mark.render
def test_a_navigation_episode_is_scored(monkeypatch):
    """Three metres to the chair: 1 m ahead of the door, then through it; and what becomes of the others."""
    wanted = find(["chair"], (DEPTH_M - 1.4, 1.6, 0.0), expert_length=6, seed=3)
    env = wheeled_env(monkeypatch, two_rooms(CHAIR), wanted)
    ahead, done, bump = [SpocAction.MOVE_AHEAD], [SpocAction.DONE], [SpocAction.ROTATE_LEFT] * 3
    settings = RolloutSettings(horizon_steps=20)

    def run(actions, told=settings):
        return run_episode(env, wanted, 0, Steps(actions), told)

    found = run(ahead * 8 + done)
    assert found.success_at_end and found.steps == 9 and found.expert_steps == 6 and found.collisions == 0
    assert found.path_length_m == pytest.approx(1.6) and 1.0 < found.shortest_length_m <= 1.6
    assert found.rooms_visited == 1.0 and found.category == "chair" and found.embodiment == "stretch"
    assert found.jerk_mean is None  # of joints that jump
    early = run(ahead + done)
    assert (early.failure, early.steps, early.rooms_visited) == ("wrong_stop", 2, 0.5)
    bumped = run(bump + ahead * 12, RolloutSettings(horizon_steps=15))
    assert (bumped.failure, bumped.steps) == ("horizon", 15) and bumped.collisions > 3
    unknown = run([20])
    assert (unknown.failure, unknown.steps) == ("unknown_action", 0)
    env.close()


def test_lengths_of_episodes_and_seeds_of_draws():
    wanted, settings = find(["chair"], HERE), RolloutSettings()
    assert settings.steps_of(wanted, 0.2) == 600
    assert settings.steps_of(wheeled_episode("room_visit", HERE), 0.2) == 1000
    assert settings.steps_of(find(["chair"], HERE, task_horizon_sec=60.0), 0.2) == 300
    assert RolloutSettings(horizon_s={"object_nav_type": 10.0}).steps_of(wanted, 0.2) == 50
    assert settings.seed_of(7) == 7
    others = [RolloutSettings(seed=seed).seed_of(7) for seed in (1, 2, 1)]
    assert others[0] == others[2] and len({7, *others}) == 3


def test_what_is_told_to_whoever_acts(monkeypatch):
    env = wheeled_env(monkeypatch, two_rooms(CHAIR), find(["chair"], HERE))
    told = []

    class Ear(Steps):
        def reset(self, env, task, rng):
            super().reset(env)
            told.append(task)

    run_episode(
        env, find(["chair"], HERE, task_horizon_sec=1.0), 4, Ear([SpocAction.ROTATE_LEFT] * 9), RolloutSettings()
    )
    assert told[0]["seed"] == 4 and told[0]["horizon_steps"] == 5 and told[0]["instruction"] == "object_nav_type"
