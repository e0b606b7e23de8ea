"""Boxes of targets in observations: those that are recorded, and enough for a policy that takes boxes to act."""

import numpy as np
import pytest
from tiny_policy import tiny_policy
from two_rooms import two_rooms
from wheeled import find

from zoo.envs.data_engine.boxed import BoxedEnv
from zoo.envs.data_engine.targets import look
from zoo.envs.episodes.benchmark import Benchmark, find_benchmark
from zoo.envs.evaluation.pool import EpisodePool, WorkerSettings, with_wishes
from zoo.envs.evaluation.rollout import RolloutSettings
from zoo.envs.simulation import simulation
from zoo.navigation_actions import SpocAction
from zoo.policy import boxes_name
from zoo.shards.policy_episode import MISSING_BOX


@pytest.mark.render
def test_observed_boxes_are_those_that_are_recorded(monkeypatch):
    place = two_rooms({"bed": ("bed_0", (6.0, 1.7, 0.0)), "sofa": ("sofa_0", (3.0, 0.6, 0))})
    monkeypatch.setattr(simulation, "house", lambda *_: place)
    episode = find(["sofa"], (1.2, 1.7, 0.0), size=(64, 48))
    cameras = ("navigation_camera", "manipulation_camera")
    env = BoxedEnv(robot=episode.robot.robot_name, cameras=cameras, image_size=(64, 48), horizon_steps=100)
    try:
        observation, _ = env.reset(options={"episode": episode})
        seen = set()
        for _ in range(12):
            assert env.observation_space.contains(observation)
            expected, _ = look(env, cameras, ["sofa"])
            for camera, boxes in zip(cameras, expected, strict=True):
                np.testing.assert_array_equal(observation[boxes_name(camera)], boxes)
                np.testing.assert_array_equal(boxes[1], MISSING_BOX)
                seen.add((camera, boxes[0, 4] > 0))
            observation, *_ = env.step(np.array([SpocAction.ROTATE_LEFT]))
        assert {("navigation_camera", True), ("navigation_camera", False)} <= seen
    finally:
        env.close()


@pytest.mark.render
def test_a_policy_that_takes_boxes_acts_in_a_benchmark():
    policy = tiny_policy(variant="double_det").eval().policy()
    settings = with_wishes(WorkerSettings(policy="boxed", rollout=RolloutSettings(horizon_steps=3)), policy)
    assert settings.has_boxes
    episode = Benchmark.load(find_benchmark("nav100")).episodes[0]
    with EpisodePool(settings, policy=policy) as pool:
        (result,) = pool.run({0: episode})
    assert (result.failure in (None, "horizon", "wrong_stop"), result.detail) == (True, None)
