"""Chance moves within the action space, and bases at their own pace."""

import numpy as np
from two_rooms import mobile_episode, start, two_rooms

from zoo.envs.evaluation.drivers import RandomDriver
from zoo.envs.experts.driving import SPEED, TURN_SPEED
from zoo.envs.scenes.specification import Leaf


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
