import numpy as np
import pytest

from zoo.envs.kinematics.poses import planar_pose7
from zoo.envs.sampling.reach import GraspSearch, part, whole


@pytest.fixture
def situation(drawn):
    """The stage of a pick episode as it begins."""
    found = drawn("pick")
    stage, task = found.sampler.stage(found.place), found.episode.task
    positions = {name: np.array(values) for name, values in found.episode.robot.init_qpos.items()}
    stage.stand(task.robot_base_pose, positions)
    return stage, task, positions


def test_what_stands_before_the_arm_is_within_reach_and_nothing_is_moved(situation):
    stage, task, _ = situation
    before, contacts = stage.data.qpos.copy(), stage.data.ncon
    assert GraspSearch().can_hold(stage, whole(stage, task.pickup_obj_name))
    np.testing.assert_array_equal(stage.data.qpos, before)
    assert stage.data.ncon == contacts


def test_what_is_far_is_not(situation):
    stage, task, positions = situation
    x, y, z = task.robot_base_pose[:3]
    stage.stand(planar_pose7(x + 30.0, y, 0.0, z), positions)
    assert not GraspSearch().can_hold(stage, whole(stage, task.pickup_obj_name))


def test_what_is_below_the_floor_is_not(situation):
    stage, task, _ = situation
    pose = stage.world.pose7(task.pickup_obj_name)
    stage.put(task.pickup_obj_name, [*pose[:2], -0.3, *pose[3:]])
    stage.forward()
    assert not GraspSearch().can_hold(stage, whole(stage, task.pickup_obj_name))


def test_a_part_must_be_reached_where_it_goes_too(drawn):
    found = drawn("open")
    stage, task = found.sampler.stage(found.place), found.episode.task
    stage.stand(
        task.robot_base_pose, {name: np.array(values) for name, values in found.episode.robot.init_qpos.items()}
    )
    facts = stage.facts[task.pickup_obj_name].articulations[task.joint_index]
    handle = stage.model.geom(f"{task.pickup_obj_name}/{facts.handle}").id
    hold = part(stage, task.pickup_obj_name, joint=stage.world.joint(task.joint_name), handle=handle)
    before = stage.data.qpos.copy()
    search = GraspSearch()
    assert search.can_hold(stage, hold)
    assert search.can_hold(stage, hold, move=lambda: stage.set_joint(task.joint_name, 0.2 * facts.range[1]))
    np.testing.assert_array_equal(stage.data.qpos, before)
    root = stage.world.root(task.pickup_obj_name)

    def send_away():
        stage.model.body_pos[root] += [20.0, 0, 0]
        if stage.is_free(task.pickup_obj_name):
            pose = stage.world.pose7(task.pickup_obj_name)
            stage.put(task.pickup_obj_name, pose + np.array([20.0, 0, 0, 0, 0, 0, 0]))

    try:
        assert not search.can_hold(stage, hold, move=send_away)
    finally:
        stage.model.body_pos[root] -= [20.0, 0, 0]
