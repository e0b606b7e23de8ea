"""Kinematics of a chain against MuJoCo's own."""

import numpy as np
import pytest

from zoo.envs.kinematics import poses
from zoo.envs.kinematics.chain import Chain
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError

XML = """
<mujoco><compiler angle="radian"/><worldbody>
  <body name="root" pos="1 2 3" quat="0.8 0.1 0.5 0.3">
    <joint name="below" type="slide" axis="1 0 0"/><geom size="0.1"/>
    <body pos="0.1 0.2 0.3" quat="0.5 0.5 0.5 0.5">
      <joint name="turn" axis="0 1 1" pos="0.05 0 0.1" range="-2 2" limited="true"/>
      <joint name="slide" type="slide" axis="0.2 0 1" range="0 0.5" limited="true"/>
      <joint name="still" axis="1 0 0" pos="0 0.2 0"/><geom size="0.1"/>
      <body pos="0 0.3 0"><joint name="last" axis="0 0 1" ref="0.3" range="-1 3" limited="true"/><geom size="0.1"/>
        <site name="tool" pos="0.1 0 0.2" quat="0.9 0 0.1 0.2"/>
      </body>
    </body>
    <body name="aside"><joint name="aside"/><geom size="0.1"/></body>
  </body>
  <body name="ball"><freejoint name="free"/><geom size="0.1"/><site name="on_ball"/></body>
</worldbody></mujoco>
"""
EXACT = 1e-12


@pytest.fixture(scope="module")
def model():
    return mujoco.MjModel.from_xml_string(XML)


@pytest.mark.parametrize("joints", [("turn", "slide", "last"), ("last", "turn")])
@pytest.mark.parametrize("root", ["root", None])
def test_positions_and_jacobian_are_those_of_mujoco(model, joints, root):
    data = mujoco.MjData(model)
    rng = np.random.default_rng(3)
    data.qpos[: model.nq - 7] = rng.uniform(-0.5, 0.5, model.nq - 7)
    chain = Chain(model, joints=joints, site="tool", root=root, qpos=data.qpos)
    q = rng.uniform(0, 0.5, (4, len(joints)))
    found, jacobian = chain.forward(q), chain.jacobian(q)
    for row in range(4):
        data.qpos[chain.qpos_index] = q[row]
        mujoco.mj_forward(model, data)
        site = data.site("tool")
        world = poses.pose7(site.xpos, poses.quat_from_matrix(site.xmat.reshape(3, 3)))
        body = data.body(root or "world")
        base = poses.pose7(body.xpos, body.xquat)
        expected = poses.compose(poses.invert(base), world)
        np.testing.assert_allclose(poses.matrix_from_pose(found[row]), poses.matrix_from_pose(expected), atol=EXACT)
        columns = np.zeros((2, 3, model.nv))
        mujoco.mj_jacSite(model, data, columns[0], columns[1], model.site("tool").id)
        dofs = [int(model.joint(name).dofadr[0]) for name in joints]
        turned = poses.matrix_from_quat(base[3:]).T @ columns[:, :, dofs]
        np.testing.assert_allclose(jacobian[row], turned.reshape(6, -1), atol=EXACT)


def test_shapes_follow_the_input(model):
    chain = Chain(model, joints=("turn", "slide"), site="tool")
    assert chain.forward(np.zeros(2)).shape == (7,)
    assert chain.jacobian(np.zeros((3, 5, 2))).shape == (3, 5, 6, 2)
    np.testing.assert_array_equal(chain.lower, [-2, 0])
    np.testing.assert_array_equal(chain.upper, [2, 0.5])


def test_joints_that_do_not_move_the_tool_are_named(model):
    with pytest.raises(ConfigError, match="aside do not move site 'tool'.*these do: turn"):
        Chain(model, joints=("turn", "aside"), site="tool")
    with pytest.raises(ConfigError, match="is not carried by body 'ball'"):
        Chain(model, joints=("turn",), site="tool", root="ball")
    with pytest.raises(ConfigError, match="'free' is free or a ball"):
        Chain(model, joints=("free",), site="on_ball")
