import numpy as np
import pytest

from zoo.envs.kinematics.poses import yaw_of
from zoo.envs.sampling.door import Side, _sweep
from zoo.envs.scenes.specification import Leaf, Material, Opening, Wall

PAINT = Material(rgba=(1.0, 1.0, 1.0, 1.0))


def side(*, hinge, swing, face):
    leaf = Leaf(hinge=hinge, swing=swing)
    hole = Opening(name="door_0", kind="door", offset_m=1.0, width_m=0.9, bottom_m=0.0, height_m=2.1, leaf=leaf)
    wall = Wall(
        name="wall_0",
        start_m=(0.0, 0.0),
        end_m=(4.0, 0.0),
        height_m=2.5,
        thickness_m=0.1,
        rooms=("a", "b"),
        materials=(PAINT, PAINT),
        openings=(hole,),
    )
    return Side(wall=wall, hole=hole, face=face)


@pytest.mark.parametrize("hinge", ["start", "end"])
@pytest.mark.parametrize("swing", ["left", "right"])
def test_the_sweep_lies_where_the_door_opens(hinge, swing):
    points = _sweep(side(hinge=hinge, swing=swing, face="left"))
    assert np.sign(points[:, 1]).tolist() == [1 if swing == "left" else -1] * len(points)
    x = 1.0 if hinge == "start" else 1.9
    assert (np.linalg.norm(points - [x, 0], axis=1) <= 0.9 + 0.06).all()


def test_pull_is_where_it_swings():
    assert side(hinge="start", swing="left", face="left").is_pull
    assert not side(hinge="start", swing="left", face="right").is_pull
    np.testing.assert_allclose(side(hinge="start", swing="left", face="right").normal, [0, -1], atol=1e-12)


def test_a_closed_door_with_the_robot_before_it(drawn):
    found = drawn("open_door")
    record, model = found.episode.task, found.simulation.model
    wall, hole = next(pair for pair in found.place.scene.doors if pair[1].name == record.door_body_name)
    joint = found.simulation.world.joint(f"{record.door_body_name}/hinge")
    assert found.simulation.world.qpos(joint) == 0.0
    np.testing.assert_allclose(record.articulated_joint_range, model.jnt_range[joint])
    way = np.array(wall.at(hole.offset_m + hole.width_m / 2)) - found.base_xy
    assert 1.0 <= np.linalg.norm(way) <= 1.5
    turn = np.arctan2(way[1], way[0]) - float(yaw_of(record.robot_base_pose[3:]))
    assert abs(np.angle(np.exp(1j * turn))) <= 0.25 + 1e-9
    left = -np.sin(wall.yaw) * -way[0] + np.cos(wall.yaw) * -way[1] > 0
    verb = "pull" if hole.leaf.swing == ("left" if left else "right") else "push"
    assert found.episode.language.task_description == f"{verb} the door open"


def test_both_sides_of_doors_are_offered(drawn):
    found = drawn("open_door")
    inner = {hole.name for wall, hole in found.place.scene.doors if hole.leaf and None not in wall.rooms}
    faces = {(one.hole.name, one.face) for one in found.sampler.sides}
    assert {(name, face) for name in inner for face in ("left", "right")} <= faces
