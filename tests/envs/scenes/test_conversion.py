"""Scenes in other formats: each file is read again by its own reader, with everything where it begins."""

import json

import pytest
from box_house import LIBRARIES, door, house, thing

from zoo.envs.scenes.conversion import export_scene
from zoo.envs.scenes.house_json import load_house
from zoo.envs.scenes.sources import MjcfScene, SpecifiedScene
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError


@pytest.fixture
def opened():
    cabinet = thing("cabinet", "cabinet", 2.0, 3.0, room="kitchen", is_static=True, joints={"slide": 0.2})
    scene = house([cabinet], openings=[door(angle=0.7)], name="val_3")
    return SpecifiedScene(scene=scene, libraries=LIBRARIES)


def test_mjcf_begins_as_the_scene(opened, tmp_path):
    path = export_scene(opened, "mjcf", tmp_path / "deep" / "scene.xml", with_ceiling=True)
    model = mujoco.MjModel.from_xml_path(str(path))
    data = mujoco.MjData(model)
    assert data.joint("door/hinge").qpos[0] == pytest.approx(0.7, abs=1e-5)  # the file has six digits
    assert data.joint("cabinet/slide").qpos[0] == pytest.approx(0.2, abs=1e-5)
    assert model.geom("kitchen/ceiling").id >= 0


def test_urdf_begins_as_the_scene(opened, tmp_path):
    path = export_scene(opened, "urdf", tmp_path / "deep" / "urdf")
    content = json.loads(path.read_text())
    assert content["name"] == "val_3"
    joints = {item["name"]: item["joints"] for item in content["objects"]}
    assert next(iter(joints["door"].values())) == pytest.approx(0.7)
    assert next(iter(joints["cabinet"].values())) == pytest.approx(0.2)


def test_usd(opened, tmp_path):
    usd = pytest.importorskip("pxr.Usd")
    path = export_scene(opened, "usd", tmp_path / "deep" / "scene.usda")
    assert usd.Stage.Open(str(path)).GetPrimAtPath("/World")


def test_the_json_of_a_house_is_read_to_the_same_scene(opened, tmp_path):
    path = export_scene(opened, "house_json", tmp_path / "deep" / "house.json")
    read = load_house(path, libraries=LIBRARIES)
    assert read.changes == ()
    cabinet, expected = read.scene.object("cabinet"), opened.scene.object("cabinet")
    assert (cabinet.asset, cabinet.joints, cabinet.room) == (expected.asset, expected.joints, expected.room)
    assert cabinet.position_m == pytest.approx(expected.position_m)  # its axes go through Unity's and back
    assert [wall.name for wall in read.scene.walls] == [wall.name for wall in opened.scene.walls]
    assert read.scene.doors[0][1].leaf.angle == pytest.approx(0.7)


def test_what_is_refused(opened, tmp_path):
    with pytest.raises(ConfigError, match=r"cannot write mjcf to .*scene\.json: expected a name that ends in \.xml"):
        export_scene(opened, "mjcf", tmp_path / "scene.json")
    with pytest.raises(ConfigError, match=r"ends in \.json"):
        export_scene(opened, "house_json", tmp_path / "scene.xml")
    model = MjcfScene(name="lab", path=tmp_path / "lab.xml", objects=())
    with pytest.raises(ConfigError, match="'lab' is MJCF, which does not say where rooms and walls are"):
        export_scene(model, "house_json", tmp_path / "scene.json")
