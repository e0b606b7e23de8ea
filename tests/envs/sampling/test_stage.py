import numpy as np
import pytest

from zoo import registry
from zoo.envs.kinematics.poses import planar_pose7
from zoo.envs.sampling.stage import Spare, Stage


@pytest.fixture(scope="module")
def library():
    return registry.build("asset_library", "primitives")


@pytest.fixture(scope="module")
def stage(small_house, library):
    spare = Spare(name="plate_added", library="primitives", facts=library.facts()["plate_4"])
    return Stage(small_house, registry.build("robot", "franka_droid"), {"primitives": library}, [spare])


@pytest.fixture(autouse=True)
def _fresh(stage):
    stage.reset()


def test_robot_and_spares_wait_outside(stage):
    corners = np.array(stage.place.scene.rooms[0].polygon_m)
    for point in (stage.world.position("plate_added")[:2], stage.view.base_pose()[:2]):
        assert ((point < corners.min(0) - 1) | (point > corners.max(0) + 1)).any()
    assert stage.is_robot_free()
    assert "plate_added" not in stage.poses()
    assert "plate_added" in stage.poses(["plate_added"])


def test_reset_forgets_everything(stage):
    before = stage.data.qpos.copy()
    poses = stage.poses(["plate_added"])
    stage.put("plate_added", planar_pose7(0, 0, 0, 2.0))
    stage.stand(planar_pose7(1.0, 1.0, 0.3), stage.view.start_qpos(np.random.default_rng(0)))
    stage.settle(5)
    stage.reset()
    np.testing.assert_array_equal(stage.data.qpos, before)
    assert stage.poses(["plate_added"]) == poses


def test_settling_moves_free_objects_and_nothing_else(stage):
    start = stage.world.position("plate_added")
    stage.put("plate_added", [*start[:2], start[2] + 0.05, 1, 0, 0, 0])
    stage.forward()
    robot, parked = stage.view.qpos("arm"), stage.view.base_pose()
    stage.settle(200)
    np.testing.assert_allclose(stage.world.position("plate_added"), start, atol=2e-3)
    np.testing.assert_array_equal(stage.view.qpos("arm"), robot)
    np.testing.assert_array_equal(stage.view.base_pose(), parked)
    assert not stage.data.qvel.any()


def test_a_mobile_robot_stays_where_it_waits(small_house, library):
    stage = Stage(small_house, registry.build("robot", "rby1"), {"primitives": library})
    start = stage.view.base_pose()
    poses = stage.poses()
    stage.settle(100)
    np.testing.assert_allclose(stage.view.base_pose(), start, atol=1e-9)
    for name, pose in stage.poses().items():
        assert np.linalg.norm(np.subtract(pose, poses[name])[:3]) < 5e-3


def test_contacts(stage):
    item = next(item for item in stage.place.scene.objects if stage.is_free(item.name))
    stage.put("plate_added", planar_pose7(-50, 0, 0, 1.0))
    stage.forward()
    assert not stage.touches("plate_added")
    x, y, _ = stage.world.position(item.name)
    stage.stand(planar_pose7(x, y, 0.0), stage.view.start_qpos())
    assert not stage.is_robot_free()
    stage.reset()
    stage.put("plate_added", stage.world.pose7(item.name))
    stage.forward()
    assert stage.touches("plate_added")


def test_the_map_leaves_the_robot_out(stage):
    corners = np.array(stage.place.scene.rooms[0].polygon_m)
    empty = stage.occupancy(px_per_m=50)
    free = empty.point_of(np.argwhere(empty.clearance_m() > 0.4)[0])
    stage.stand(planar_pose7(*free, 0.0), stage.view.start_qpos())
    np.testing.assert_array_equal(stage.occupancy(px_per_m=50).blocked, empty.blocked)
    assert (free > corners.min(0)).all()
    assert (free < corners.max(0)).all()


def test_an_arm_in_its_own_pedestal(stage):
    assert not stage.robot_touches_itself()
    stage.view.set_qpos({"arm": [0.0, 1.2, 0.0, -2.9, 0.0, 1.57, 0.0]})
    stage.forward()
    assert stage.is_robot_free()
    assert stage.robot_touches_itself()
