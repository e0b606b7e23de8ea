"""robosuite's objects, from a folder in its layout; the package itself is not needed."""

import pytest

from zoo.envs.assets.external import RobosuiteObjects
from zoo.envs.simulator import mujoco
from zoo.errors import DataError, MissingLibraryError, UnknownNameError

CAN = """
<mujoco model="can">
  <worldbody><body><body name="object">
    <geom name="shell" type="cylinder" size="0.03 0.06" density="100" group="0" condim="4"/>
  </body>
  <site rgba="0 0 0 0" size="0.005" pos="0 0 -0.06" name="bottom_site"/>
  <site rgba="0 0 0 0" size="0.005" pos="0 0 0.06" name="top_site"/>
  <site rgba="0 0 0 0" size="0.005" pos="0.03 0.03 0" name="horizontal_radius_site"/>
  </body></worldbody>
</mujoco>
"""


@pytest.fixture
def folder(tmp_path):
    objects = tmp_path / "models" / "assets" / "objects"
    objects.mkdir(parents=True)
    (objects / "can.xml").write_text(CAN)
    (objects / "round-nut.xml").write_text(CAN)
    return tmp_path


def test_listing_and_building(folder):
    library = RobosuiteObjects(folder=str(folder))
    (facts,) = library.facts().values()  # the nut is a test piece
    assert (facts.uid, facts.category, facts.synset) == ("can", "can", "can.n.01")
    assert facts.size_m == pytest.approx((0.06, 0.06, 0.12))
    assert facts.is_pickupable
    spec = mujoco.MjSpec()
    library.asset("can").add_to(spec.worldbody, "c", position_m=(1, 0, 0), quat_wxyz=(1, 0, 0, 0), is_free=True)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    assert data.geom("c/shell").xpos == pytest.approx((1, 0, 0.06))
    assert library.digest == RobosuiteObjects(folder=str(folder)).digest


def test_faults(folder, monkeypatch):
    library = RobosuiteObjects(folder=str(folder))
    with pytest.raises(UnknownNameError, match="robosuite has no object 'cans'. Near: can. There: can"):
        library.asset("cans")
    with pytest.raises(DataError, match="expected the folder of the package robosuite"):
        RobosuiteObjects(folder=str(folder / "models"))
    (folder / "models" / "assets" / "objects" / "milk.xml").write_text("<mujoco/>")
    with pytest.raises(DataError, match=r"milk\.xml is no object of robosuite .*expected the sites bottom_site"):
        RobosuiteObjects(folder=str(folder)).facts()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingLibraryError, match="pip install --no-deps robosuite, or give its folder"):
        RobosuiteObjects()
