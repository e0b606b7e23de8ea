import numpy as np
import pytest

from zoo.envs.kinematics.poses import yaw_of
from zoo.envs.sampling.pick import HOLDABLE_M


@pytest.fixture
def found(drawn):
    return drawn("pick")


def test_the_arm_stands_before_its_target(found):
    task = found.episode.task
    assert 0.45 <= found.distance(task.pickup_obj_name) <= 0.70 + 0.02
    way = found.simulation.world.position(task.pickup_obj_name)[:2] - found.base_xy
    turn = np.arctan2(way[1], way[0]) - float(yaw_of(task.robot_base_pose[3:]))
    assert abs(np.angle(np.exp(1j * turn))) <= np.radians(45) + 1e-3
    height = found.simulation.world.position(task.pickup_obj_name)[2]
    assert max(0.0, height - 0.75 - 0.30) <= task.robot_base_pose[2] <= max(0.0, height - 0.75 + 0.25)


def test_the_target_stands_on_open_furniture_and_fits_the_hand(found):
    task = found.episode.task
    facts = found.sampler.stage(found.place).facts
    target = found.place.scene.object(task.pickup_obj_name)
    assert facts[target.name].is_pickupable
    assert min(facts[target.name].size_m) <= HOLDABLE_M
    assert task.receptacle_name == target.support
    assert not facts[target.support].is_pickupable
    carriers = found.simulation.world.supporting_geoms(target.name)
    assert found.simulation.world.roots_of_geoms(carriers) == {found.simulation.world.root(target.support)}


def test_goal_is_five_centimetres_up(found):
    task = found.episode.task
    rise = np.subtract(task.pickup_obj_goal_pose, task.pickup_obj_start_pose)
    np.testing.assert_allclose(rise, [0, 0, 0.05, 0, 0, 0, 0], atol=1e-9)
    assert found.episode.language.task_description.startswith("pick up the ")
