import pytest

from zoo.envs.tasks.articulated import Close, Open, OpenDoor
from zoo.errors import ConfigError, DataError

DRESSER = {"pickup_obj_name": "dresser", "joint_name": "dresser/slide"}


def bound(task, bench):
    task.bind(bench.world)
    return task


@pytest.mark.parametrize(("position", "success"), [(0.0, False), (0.059, False), (0.061, True), (0.4, True)])
def test_open(bench, position, success):
    task = bound(Open(**DRESSER, task_success_threshold=0.15), bench)
    bench.set_joint("dresser/slide", position)
    judged = task.judge()
    assert judged.success == success
    assert judged.reward == pytest.approx(position / 0.4)


@pytest.mark.parametrize(("position", "success"), [(0.2, False), (0.061, False), (0.059, True), (0.0, True)])
def test_close(bench, position, success):
    task = bound(Close(**DRESSER, task_success_threshold=0.85), bench)
    bench.set_joint("dresser/slide", position)
    judged = task.judge()
    assert judged.success == success
    assert judged.reward == pytest.approx(1 - position / 0.4)


@pytest.mark.parametrize(("angle", "success"), [(0.2, False), (1.15, False), (1.17, True)])
def test_door_by_what_is_now(bench, angle, success):
    fields = {"door_body_name": "door_0", "articulated_joint_range": [0.5, 1.5]}
    task = bound(OpenDoor(**fields, door_openness_threshold=0.66), bench)
    bench.set_joint("door_0/hinge", 1.5)
    assert task.judge().success
    bench.set_joint("door_0/hinge", angle)
    judged = task.judge()
    assert judged.success == success
    assert judged.reward == pytest.approx(max(0.0, angle - 0.5))


def test_a_door_without_a_range_takes_the_models(bench):
    task = bound(OpenDoor(door_body_name="door_0", door_openness_threshold=0.67), bench)
    bench.set_joint("door_0/hinge", 0.75)
    assert task.judge().reward == pytest.approx(0.5)


def test_what_cannot_be_opened(bench):
    with pytest.raises(DataError, match="no joint 'dresser/slid'; near: dresser/slide"):
        bound(Open(pickup_obj_name="dresser", joint_name="dresser/slid", task_success_threshold=0.2), bench)
    with pytest.raises(DataError, match="'plate' has no joint with a range"):
        bound(Open(pickup_obj_name="plate", joint_name="dresser/slide", task_success_threshold=0.2), bench)
    with pytest.raises(DataError, match="body 'table' has no hinge"):
        bound(OpenDoor(door_body_name="table", door_openness_threshold=0.67), bench)
    with pytest.raises(ConfigError, match="threshold is 1.2"):
        Open(**DRESSER, task_success_threshold=1.2)
