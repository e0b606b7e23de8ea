import numpy as np
import pytest

from zoo.envs.simulation.world import ObjectFacts, World
from zoo.envs.simulator import mujoco
from zoo.errors import DataError

STACK = """
<mujoco>
  <worldbody>
    <geom name="floor" type="plane" size="5 5 1"/>
    <body name="low" pos="0 0 0.1"><freejoint/><geom name="low_geom" type="box" size="0.1 0.1 0.1" mass="1"/></body>
    <body name="high" pos="0.02 0 0.25" euler="0 0 30"><freejoint/>
      <geom name="high_geom" type="box" size="0.05 0.05 0.05" mass="0.5"/>
      <geom type="sphere" size="0.01" pos="0 0 0.2" contype="0" conaffinity="0" mass="0"/></body>
  </worldbody>
</mujoco>
"""


@pytest.fixture(scope="module")
def world():
    model = mujoco.MjModel.from_xml_string(STACK)
    data = mujoco.MjData(model)
    for _ in range(500):
        mujoco.mj_step(model, data)
    objects = {name: ObjectFacts(name=name, category="box") for name in ("low", "high")}
    return World(model, data, objects=objects)


def test_contact_forces_carry_the_weight(world):
    contacts = world.contacts("high")
    np.testing.assert_allclose(contacts.forces.sum(0), [0, 0, 0.5 * 9.81], atol=0.02)
    assert set(contacts.roots) == {world.root("low")}
    np.testing.assert_allclose(contacts.normals, np.tile([0, 0, 1], (len(contacts.roots), 1)), atol=1e-3)


def test_both_neighbours_push_the_one_between(world):
    contacts = world.contacts("low")
    assert set(contacts.roots) == {0, world.root("high")}
    floor = contacts.forces[contacts.roots == 0].sum(0)
    above = contacts.forces[contacts.roots != 0].sum(0)
    np.testing.assert_allclose(floor, [0, 0, 1.5 * 9.81], atol=0.05)
    np.testing.assert_allclose(above, [0, 0, -0.5 * 9.81], atol=0.02)


def test_supports(world):
    assert world.roots_of_geoms(world.supporting_geoms("high")) == {world.root("low")}
    assert world.roots_of_geoms(world.supporting_geoms("low")) == {0}


def test_box_is_of_what_collides_and_of_how_it_is_turned(world):
    centre, half = world.box("high")
    wide = 0.05 * (np.cos(np.radians(30)) + np.sin(np.radians(30)))
    np.testing.assert_allclose(half, [wide, wide, 0.05], atol=1e-3)
    np.testing.assert_allclose(centre, [0.02, 0, 0.25], atol=2e-3)


def test_names_that_are_not_there(world):
    with pytest.raises(DataError, match="no body 'lo'; near: low"):
        world.root("lo")
    with pytest.raises(DataError, match="no joint 'hinge'"):
        world.joint("hinge")
    with pytest.raises(DataError, match="renders nothing"):
        world.visible_pixels("head_camera", "low")
