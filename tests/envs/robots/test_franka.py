"""The Franka: kinematics against Denavit-Hartenberg, start noise, and a cube lifted with inverse kinematics."""

import numpy as np
import pytest

from zoo.envs.kinematics import poses
from zoo.envs.kinematics.inverse import solve
from zoo.envs.robots.franka import HOME, LIMITS, MAX_START_SHIFT_M, START_NOISE, FrankaDroid
from zoo.envs.robots.gripper import CTRL_CLOSED
from zoo.envs.simulator import mujoco

PUBLISHED = [  # modified Denavit-Hartenberg parameters of the FR3, as Franka prints them: a, d, alpha
    (0, 0.333, 0),
    (0, 0, -np.pi / 2),
    (0, 0.316, np.pi / 2),
    (0.0825, 0, np.pi / 2),
    (-0.0825, 0.384, -np.pi / 2),
    (0, 0, np.pi / 2),
    (0.088, 0, np.pi / 2),
]


def denavit_hartenberg(q):
    """Tool in the frame of the pedestal, straight from the textbook."""
    matrix = np.eye(4)
    matrix[2, 3] = 0.58
    for (a, d, alpha), theta in zip(PUBLISHED, q, strict=True):
        ca, sa, ct, st = np.cos(alpha), np.sin(alpha), np.cos(theta), np.sin(theta)
        matrix = matrix @ np.array(
            [[ct, -st, 0, a], [st * ca, ct * ca, -sa, -d * sa], [st * sa, ct * sa, ca, d * ca], [0, 0, 0, 1]]
        )
    tool = np.eye(4)
    tool[2, 3] = 0.107 + 0.155
    return matrix @ tool


def test_the_tool_is_where_denavit_and_hartenberg_put_it(build_robot):
    view = build_robot(FrankaDroid())
    rng = np.random.default_rng(0)
    for q in [np.array(HOME), *rng.uniform(*np.array(LIMITS).T, (20, 7))]:
        view.set_qpos({"arm": q})
        mujoco.mj_kinematics(view.model, view.data)
        found = poses.matrix_from_pose(view.tcp_pose("arm"))
        np.testing.assert_allclose(found, denavit_hartenberg(q), atol=1e-6)


def test_at_home_it_points_down_and_opens_sideways(build_robot):
    tool = poses.matrix_from_pose(build_robot(FrankaDroid()).tcp_pose("arm"))
    np.testing.assert_allclose(tool[:3, 2], [0, 0, -1], atol=1e-3)
    np.testing.assert_allclose(np.abs(tool[:3, 1]), [0, 1, 0], atol=1e-3)


def test_start_noise_moves_the_tool_by_ten_centimetres_at_most(build_robot):
    view = build_robot(FrankaDroid())
    chain, home = view.chain("arm"), view.tcp_pose("arm")
    rng = np.random.default_rng(0)
    starts = np.array([view.start_qpos(rng)["arm"] for _ in range(200)])
    shifts = poses.distance(chain.forward(starts), home)
    assert 0.05 < shifts.max() <= MAX_START_SHIFT_M
    assert (np.abs(starts - HOME) <= START_NOISE).all()


def test_links_touch_nothing_of_the_robot_near_home(build_robot):
    view = build_robot(FrankaDroid())
    rng = np.random.default_rng(0)
    for _ in range(50):
        view.set_qpos({"arm": np.array(HOME) + rng.uniform(-0.4, 0.4, 7)})
        mujoco.mj_forward(view.model, view.data)
        assert view.data.ncon == 0


@pytest.mark.parametrize(("mass", "x", "y"), [(0.05, 0.5, 0.1), (1.0, 0.55, -0.15)])
def test_it_lifts_a_cube(build_robot, box, mass, x, y):
    """Above, down, close, ten centimetres up: the sheet's screw motions at 8 cm/s, tracked with one solution a step."""
    top = 0.6

    def table(spec):
        box(spec, "table", [0.6, 0, top / 2], [0.3, 0.4, top / 2])
        box(spec, "cube", [x, y, top + 0.02], [0.02] * 3, is_free=True, mass=mass)

    view = build_robot(FrankaDroid(), edit=table)
    chain, clocks = view.chain("arm"), view.robot.clocks

    def run(steps):
        for _ in range(steps * clocks.policy_steps):
            mujoco.mj_step(view.model, view.data)

    def go(target, speed):
        q = view.qpos("arm")
        for pose in poses.screw_path(view.tcp_pose("arm"), target, speed=speed, turn_speed=1.0, dt=clocks.policy_dt):
            found = solve(chain, pose, initial=q, posture=HOME)
            assert found.success
            q = found.q
            view.command({"arm": q})
            run(1)
        run(6)

    down = poses.quat_from_matrix(np.diag([1.0, -1.0, -1.0]))
    go(poses.pose7([x, y, top + 0.1], down), 0.2)
    go(poses.pose7([x, y, top + 0.024], down), 0.08)
    view.command({"gripper": [CTRL_CLOSED]})
    run(8)
    go(poses.pose7([x, y, top + 0.124], down), 0.08)
    cube = view.data.body("cube").xpos
    np.testing.assert_allclose(cube, [x, y, top + 0.12], atol=0.01)
    assert view.gripper_closed("gripper") == pytest.approx(1 - 0.04 / 0.087, abs=0.03)
