import numpy as np
import pytest

from zoo.envs.scenes.physics import set_options
from zoo.envs.simulation.world import ObjectFacts, World
from zoo.envs.simulator import mujoco

TABLE = """
<mujoco>
  <compiler angle="radian"/>
  <worldbody>
    <geom name="floor" type="plane" size="5 5 1"/>
    <body name="table" pos="0 0 0.2"><geom type="box" size="0.6 0.6 0.2"/></body>
    <body name="mug" pos="0 0 0.43"><freejoint/><geom type="box" size="0.03 0.03 0.03" mass="0.3"/></body>
    <body name="plate" pos="0.3 0 0.41"><freejoint/><geom type="box" size="0.1 0.1 0.01" mass="0.4"/></body>
    <body name="plate_2" pos="0.3 0.4 0.41"><freejoint/><geom type="box" size="0.1 0.1 0.01" mass="0.4"/></body>
    <body name="dresser" pos="-1 0 0.3"><geom type="box" size="0.2 0.2 0.3"/>
      <body name="dresser/drawer" pos="0.21 0 0"><joint name="dresser/slide" type="slide" axis="1 0 0" range="0 0.4"/>
        <geom type="box" size="0.01 0.15 0.1" contype="0" conaffinity="0"/></body>
    </body>
    <body name="door_0" pos="2 0 1"><joint name="door_0/hinge" type="hinge" axis="0 0 1" range="0 1.5"/>
      <geom type="box" size="0.4 0.02 0.9" pos="0.4 0 0"/></body>
    <body name="robot" mocap="true" pos="0 -1 0.5"><geom name="hand" type="sphere" size="0.05"/></body>
  </worldbody>
</mujoco>
"""


class Bench:
    """A table with things on it, and a robot that is a ball which can be put anywhere."""

    def __init__(self):
        spec = mujoco.MjSpec.from_string(TABLE)
        set_options(spec)
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        mujoco.mj_forward(self.model, self.data)
        facts = [ObjectFacts(name=name, category=name.split("_")[0]) for name in ("table", "mug", "plate", "plate_2")]
        facts.append(ObjectFacts(name="dresser", category="dresser", is_static=True))
        self.seen = 0
        self.world = World(
            self.model,
            self.data,
            objects={one.name: one for one in facts},
            robot_root="robot",
            visible_pixels=lambda camera, root: self.seen,
        )

    def put(self, name, position, quat=(1, 0, 0, 0)):
        if name == "robot":
            self.data.mocap_pos[0] = position
        else:
            joint = self.model.body(name).jntadr[0]
            start = self.model.jnt_qposadr[joint]
            self.data.qpos[start : start + 7] = [*position, *quat]
        self.data.qvel[:] = 0
        mujoco.mj_forward(self.model, self.data)

    def set_joint(self, name, value):
        self.data.qpos[self.model.jnt_qposadr[self.model.joint(name).id]] = value
        mujoco.mj_forward(self.model, self.data)

    def settle(self, seconds=0.5):
        for _ in range(round(seconds / self.model.opt.timestep)):
            mujoco.mj_step(self.model, self.data)

    def pose(self, name):
        return self.world.pose7(name)


@pytest.fixture
def bench():
    bench = Bench()
    bench.settle()
    np.testing.assert_allclose(bench.data.qvel, 0, atol=1e-2)
    return bench
