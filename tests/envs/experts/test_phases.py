import math

import numpy as np
import pytest
from furnished_room import TABLE_M, episode, furnished, start

from zoo import registry
from zoo.envs.experts.workspace import ARM
from zoo.envs.simulation import simulation
from zoo.envs.simulation.environment import EpisodeEnv

THINGS = {"table": ("dining_table_0", (2.5, 2.5, 0.0)), "block": ("toy_block_0", (2.75, 2.4, TABLE_M + 0.001))}
WANTED = episode(
    "pick",
    (3.3, 2.5, 0.05, math.pi),
    pickup_obj_name="block",
    pickup_obj_start_pose=(2.75, 2.4, TABLE_M, 1, 0, 0, 0),
)


@pytest.fixture(scope="module")
def place():
    return furnished(THINGS)


def test_an_arm_that_is_pushed_off_its_way_begins_again(monkeypatch, place):
    env = start(monkeypatch, place, WANTED)
    expert = registry.build("expert", "pick")
    expert.reset(env, np.random.default_rng(0))
    for _ in range(5):
        env.step(env.joined(expert.act().commands))
    view = env.simulation.view
    pushed = view.qpos(ARM)
    pushed[0] += 0.8
    env.simulation.data.qpos[view.chain(ARM).qpos_index] = pushed
    expert.act()
    assert expert.failures == ["the arm is off its way"]


def test_relative_commands_lead_to_the_same_targets(monkeypatch, place):
    monkeypatch.setattr(simulation, "house", lambda *_: place)
    targets = []
    for mode in ("joint_position", "joint_rel_position"):
        env = EpisodeEnv(robot="franka_droid", image_size=(64, 48), modes={ARM: mode})
        env.reset(options={"episode": WANTED})
        expert = registry.build("expert", "pick")
        expert.reset(env, np.random.default_rng(0))
        env.command(env.joined(expert.act().commands))
        targets.append(env.simulation.view.ctrl(ARM))
    np.testing.assert_allclose(targets[0], targets[1], atol=1e-6)  # actions are float32
