"""What every robot promises, and the facts that robots are made of."""

import numpy as np
import pytest
from gymnasium import spaces

from zoo import registry
from zoo.envs.kinematics.poses import planar_pose7
from zoo.envs.robots.robot import Clocks, Robot
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError

NAMES = registry.names("robot")


@pytest.fixture(params=NAMES)
def robot(request):
    return registry.example("robot", request.param)


def test_there_are_robots():
    assert NAMES


def test_it_is_called_as_it_is_registered(robot):
    assert isinstance(robot, Robot)
    assert robot.name in NAMES
    assert len({group.name for group in robot.groups}) == len(robot.groups)


def test_it_compiles_alone_and_twice(robot):
    spec = mujoco.MjSpec()
    first = robot.add_to(spec, base_pose7=planar_pose7(0, 0, 0))
    robot.add_to(spec, prefix="robot_1/", base_pose7=planar_pose7(3, 0, 1.0))
    assert first.name == "robot_0/base"
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    views = [robot.bind(model, data, prefix=f"robot_{number}/") for number in (0, 1)]
    np.testing.assert_allclose(views[0].base_pose(), planar_pose7(0, 0, 0), atol=1e-9)
    np.testing.assert_allclose(views[1].base_pose(), planar_pose7(3, 0, 1.0), atol=1e-9)
    assert not set(views[0].body_ids) & set(views[1].body_ids)


def test_degrees_of_the_scene_do_not_matter(robot):
    ranges = []
    for is_degree in (True, False):
        spec = mujoco.MjSpec()
        spec.compiler.degree = is_degree
        robot.add_to(spec, base_pose7=planar_pose7(0, 0, 1.0))
        model = spec.compile()
        ranges.append(np.concatenate([model.jnt_range.ravel(), model.qpos0]))
    np.testing.assert_allclose(ranges[0], ranges[1], atol=1e-12)


def test_it_stays_at_home(robot, build_robot):
    view = build_robot(robot, base_pose7=planar_pose7(0.5, -1, 2.0))
    before = {group.name: view.qpos(group.name) for group in robot.groups}
    assert view.data.ncon == 0
    for _ in range(round(2 / view.model.opt.timestep)):
        mujoco.mj_step(view.model, view.data)
    for group in robot.groups:
        np.testing.assert_allclose(view.qpos(group.name), before[group.name], atol=1e-4)
    assert not any(warning.number for warning in view.data.warning)


def test_joints_have_the_limits_of_their_groups(robot, build_robot):
    view = build_robot(robot)
    for group in robot.groups:
        assert len(group.home) == len(group.joints)
        if group.kind in ("base", "gripper"):
            continue
        ranges = [view.model.joint(f"robot_0/{name}").range for name in group.joints]
        np.testing.assert_allclose(ranges, group.limits, atol=1e-9)
        assert (np.array(ranges)[:, 0] <= group.home).all()
        assert (np.array(ranges)[:, 1] >= group.home).all()


def test_commands_of_every_mode_are_taken(robot, build_robot):
    view = build_robot(robot)
    for group in robot.groups:
        for mode in group.modes:
            space = robot.action_space({group.name: mode})
            assert isinstance(space[group.name], spaces.Box)
            space.seed(0)
            action = space.sample()
            view.command(action, {group.name: mode})
            lower, upper = np.array(group.limits).T
            ctrl = view.ctrl(group.name)
            assert (ctrl >= lower - 1e-9).all()
            assert (ctrl <= upper + 1e-9).all()


def test_steps_settle(robot, build_robot):
    """0.2 rad (m for slides: 0.05) of any servo but the base's: 2 % after 0.5 s, 5 % overshoot at most."""
    view = build_robot(robot)
    model, data = view.model, view.data
    for group in robot.groups:
        if group.kind in ("base", "gripper"):
            continue
        mode = next(mode for mode in group.modes if mode == "joint_position")
        for index in range(len(group.joints)):
            mujoco.mj_resetData(model, data)
            view.set_qpos(view.start_qpos())
            mujoco.mj_forward(model, data)
            start = view.qpos(group.name)
            joint = model.joint(f"robot_0/{group.joints[index]}")
            is_slide = int(joint.type[0]) == int(mujoco.mjtJoint.mjJNT_SLIDE)
            room = np.array(group.limits[index]) - start[index]
            size = 0.05 if is_slide else 0.2
            step = size if room[1] >= size else -size
            target = start.copy()
            target[index] += step
            view.command({group.name: target}, {group.name: mode})
            shares = []
            for _ in range(round(0.6 / model.opt.timestep)):
                mujoco.mj_step(model, data)
                shares.append((view.qpos(group.name)[index] - start[index]) / step)
            late = np.array(shares)[round(0.5 / model.opt.timestep) :]
            assert max(shares) < 1.05, (group.name, index)
            assert np.abs(late - 1).max() < 0.02, (group.name, index)


def test_start_noise_is_bounded_and_repeats(robot, build_robot):
    view = build_robot(robot)
    starts = [view.start_qpos(np.random.default_rng(seed)) for seed in range(30)]
    again = view.start_qpos(np.random.default_rng(3))
    for group in robot.groups:
        if group.kind == "base":
            assert group.name not in again
            continue
        np.testing.assert_array_equal(starts[3][group.name], again[group.name])
        shifts = np.array([start[group.name] for start in starts]) - group.home
        noise = np.array(group.noise or np.zeros(len(group.home)))
        assert (np.abs(shifts) <= noise + 1e-12).all()
        if group.noise:
            assert (np.abs(shifts).max(axis=0) > 0.3 * noise).all()  # 30 draws reach further than that


def test_unknown_groups_and_modes_are_named(robot):
    with pytest.raises(ConfigError, match="has no move group 'wing'; it has "):
        robot.group("wing")
    with pytest.raises(ConfigError, match="has no move group 'wing'"):
        robot.action_space({"wing": "joint_position"})
    with pytest.raises(ConfigError, match=f"{robot.groups[-1].name!r} has no mode 'height'; it has "):
        robot.groups[-1].mode("height")


def test_an_unbuilt_robot_is_named(robot):
    model = mujoco.MjSpec().compile()
    with pytest.raises(ConfigError, match="the model has no body 'robot_0/base' of robot"):
        robot.bind(model, mujoco.MjData(model))


def test_clocks_divide():
    clocks = Clocks(sim_dt=0.002, ctrl_dt=0.002, policy_dt=0.066)
    assert clocks.policy_steps == 33
    for wrong in ((0.002, 0.003, 0.066), (0.004, 0.02, 0.05), (0.0, 0.02, 0.1), (0.02, 0.01, 0.1)):
        with pytest.raises(ConfigError, match="do not divide evenly"):
            Clocks(sim_dt=wrong[0], ctrl_dt=wrong[1], policy_dt=wrong[2])
