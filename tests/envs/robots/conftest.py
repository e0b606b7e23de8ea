"""Robots in small scenes."""

from collections.abc import Callable

import pytest

from zoo.envs.kinematics.poses import planar_pose7
from zoo.envs.robots.robot import Robot
from zoo.envs.robots.view import RobotView
from zoo.envs.scenes.physics import set_contact, set_options
from zoo.envs.simulator import mujoco


def build(robot: Robot, *, base_pose7=None, edit: Callable[[mujoco.MjSpec], None] | None = None) -> RobotView:
    """A robot at home on a floor, state computed.

    Args:
        robot: What to build.
        base_pose7: Where; the origin where None.
        edit: Adds other things.
    """
    spec = mujoco.MjSpec()
    set_options(spec)
    spec.option.timestep = robot.clocks.sim_dt
    floor = spec.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[10, 10, 0.1])
    set_contact(floor, "structure")
    robot.add_to(spec, base_pose7=planar_pose7(0, 0, 0) if base_pose7 is None else base_pose7)
    if edit is not None:
        edit(spec)
    model = spec.compile()
    data = mujoco.MjData(model)
    view = robot.bind(model, data)
    view.set_qpos(view.start_qpos())
    view.hold()
    mujoco.mj_forward(model, data)
    return view


def add_box(spec, name, position_m, half_m, *, is_free=False, mass=0.1):
    """A box of the scene, fixed or free."""
    body = spec.worldbody.add_body(name=name, pos=position_m)
    if is_free:
        body.add_freejoint()
    geom = body.add_geom(name=name, type=mujoco.mjtGeom.mjGEOM_BOX, size=half_m)
    set_contact(geom, "dynamic" if is_free else "structure")
    geom.mass = mass
    return body


@pytest.fixture
def build_robot():
    return build


@pytest.fixture
def box():
    return add_box
