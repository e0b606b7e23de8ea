import numpy as np
import pytest

from zoo.envs.episodes.records import slots_of
from zoo.envs.kinematics.poses import yaw_of
from zoo.envs.sampling.base import Stand
from zoo.envs.sampling.sampler import RejectedError

GIVEN = ("task_cls", "task_type", "robot_base_pose")


@pytest.mark.parametrize(("task", "share"), [("open", 0.0), ("close", 0.5)])
def test_the_joint_begins_where_the_task_says(drawn, task, share):
    found = drawn(task)
    record, world = found.episode.task, found.simulation.world
    joint = world.joint(record.joint_name)
    assert world.openness(joint) == pytest.approx(share, abs=1e-9)
    assert record.joint_name.startswith(f"{record.pickup_obj_name}/")
    articulations = found.sampler.stage(found.place).facts[record.pickup_obj_name].articulations
    assert record.joint_name == f"{record.pickup_obj_name}/{articulations[record.joint_index].joint}"
    others = [other for other in world.joints_of(record.pickup_obj_name) if other != joint]
    assert all(world.openness(other) < 0.15 for other in others)
    assert found.episode.language.task_description.startswith(f"{task} ")


@pytest.mark.parametrize("task", ["open", "close"])
def test_the_arm_faces_the_handle(drawn, task):
    found = drawn(task)
    record = found.episode.task
    part = found.sampler.stage(found.place).facts[record.pickup_obj_name].articulations[record.joint_index]
    handle = found.simulation.model.geom(f"{record.pickup_obj_name}/{part.handle}").id
    way = found.simulation.data.geom_xpos[handle][:2] - found.base_xy
    assert 0.45 <= np.linalg.norm(way) <= 0.75
    turn = np.arctan2(way[1], way[0]) - float(yaw_of(record.robot_base_pose[3:]))
    assert abs(np.angle(np.exp(1j * turn))) <= 0.25 + 1e-9
    front = float(yaw_of(found.simulation.world.pose7(record.pickup_obj_name)[3:]))
    assert -way @ [np.cos(front), np.sin(front)] >= 0.5 * np.linalg.norm(way) - 1e-9


def test_what_is_open_already_is_rejected(drawn):
    found = drawn("open")
    stage, record = found.sampler.stage(found.place), found.episode.task
    fields = {name: getattr(record, name) for name in slots_of(type(record)) if name not in GIVEN}
    stage.set_joint(record.joint_name, 0.16 * stage.model.joint(record.joint_name).range[1])
    stage.forward()
    with pytest.raises(RejectedError, match="already done"):
        found.sampler.episode(
            stage,
            np.random.default_rng(0),
            stand=Stand(base_pose7=record.robot_base_pose, positions={}, cameras=()),
            fields=fields,
            words={},
            prompt="open it",
            relevant=(),
        )
