import pytest

from zoo.envs.episodes.tasks import new_task
from zoo.envs.tasks.pick import Pick
from zoo.errors import ConfigError, DataError


def task_of(bench):
    task = Pick(pickup_obj_name="mug", pickup_obj_start_pose=bench.pose("mug"), succ_pos_threshold=0.01)
    task.bind(bench.world)
    return task


def hold(bench, height):
    """The mug in the air, touched by the robot from below."""
    bench.put("mug", (0, 0, height))
    bench.put("robot", (0, 0, height - 0.079))


def test_lying_is_not_picked(bench):
    judged = task_of(bench).judge()
    assert not judged.success
    assert judged.reward == 0


@pytest.mark.parametrize(("lift", "success"), [(0.009, False), (0.012, True), (0.3, True)])
def test_held_in_the_air(bench, lift, success):
    task = task_of(bench)
    start = bench.pose("mug")[2]
    hold(bench, start + lift)
    judged = task.judge()
    if lift < 0.05:  # the robot's ball is in the table by then, which does not touch the mug
        assert judged.facts["others_touching"] == 0
    assert judged.success == success
    assert judged.reward == pytest.approx(lift, abs=1e-9)


def test_another_hand_than_the_robots_spoils_it(bench):
    task = task_of(bench)
    hold(bench, 0.9)
    bench.put("plate", (0.12, 0, 0.9))  # leans at the mug in the air
    judged = task.judge()
    assert not judged.success
    assert judged.reward == 0
    assert judged.facts["others_touching"] == 1


def test_thrown_into_the_air_is_rewarded_but_not_picked(bench):
    task = task_of(bench)
    bench.put("mug", (0, 0, 1.0))
    judged = task.judge()
    assert not judged.success
    assert judged.reward == pytest.approx(1.0 - task.start_height_m)


def test_unknown_object(bench):
    task = Pick(pickup_obj_name="mgu", pickup_obj_start_pose=[0] * 7, succ_pos_threshold=0.01)
    with pytest.raises(DataError, match="no body 'mgu'; near: mug"):
        task.bind(bench.world)


def test_fields_of_an_episode(bench):
    pose = (0.0, 0.0, 0.4, 1.0, 0.0, 0.0, 0.0)
    record = new_task("pick", robot_base_pose=pose, pickup_obj_name="mug", pickup_obj_start_pose=pose)
    fields = record.fields()
    assert Pick.from_episode(fields).succ_pos_threshold == 0.01
    with pytest.raises(DataError, match="Pick lacks pickup_obj_start_pose, succ_pos_threshold"):
        Pick.from_episode({"pickup_obj_name": "mug"})
    with pytest.raises(ConfigError, match="succ_pos_threshold is 0"):
        Pick.from_episode(fields | {"succ_pos_threshold": 0})
