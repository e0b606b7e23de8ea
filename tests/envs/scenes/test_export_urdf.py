"""URDF export: MuJoCo reads each object back and has every collider where the scene had it."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from zoo.envs.scenes import links
from zoo.envs.scenes.export_urdf import PLANE_THICKNESS_M, export_urdf
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError

MODEL = mujoco.MjModel.from_xml_path(str(Path(__file__).parent / "every_shape.xml"))
POSITIONS = {"cabinet/door_joint": 0.6, "cabinet/drawer_joint": 0.3, "cart/x": 0.4, "cart/y": -0.3, "cart/yaw": 0.9}


def moved() -> mujoco.MjData:
    data = mujoco.MjData(MODEL)
    for name, position in POSITIONS.items():
        data.joint(name).qpos = position
    data.joint("mug/free").qpos[:3] += (0.1, 0.2, 0.3)
    mujoco.mj_forward(MODEL, data)
    return data


DATA = moved()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return export_urdf(MODEL, tmp_path_factory.mktemp("urdf"), name="train_3", data=DATA).parent


@pytest.fixture(scope="module")
def scene(folder):
    return json.loads((folder / "scene.json").read_text())


def test_scene_lists_every_object(scene):
    assert (scene["format"], scene["version"], scene["name"]) == ("zoo-urdf-scene", 1, "train_3")
    assert scene["gravity"] == [0, 0, -9.8]
    objects = {item["name"]: item for item in scene["objects"]}
    assert list(objects) == ["structure", "cabinet", "mug", "cart"]
    assert [item["is_static"] for item in scene["objects"]] == [True, True, False, True]
    np.testing.assert_allclose(objects["mug"]["pose"], DATA.joint("mug/free").qpos, atol=1e-12)
    assert objects["cabinet"]["joints"] == pytest.approx({"cabinet/door_joint": 0.6, "cabinet/drawer_joint": 0.2})
    assert objects["cart"]["joints"] == pytest.approx({"cart/x": 0.4, "cart/y": -0.3, "cart/yaw": 0.9})


def loaded(folder: Path, item: dict):
    """MuJoCo's own reading of an object, its joints set, and its root's pose (4, 4)."""
    model = mujoco.MjModel.from_xml_path(str(folder / item["urdf"]))
    data = mujoco.MjData(model)
    for name, position in item["joints"].items():
        data.joint(name).qpos = position
    mujoco.mj_kinematics(model, data)
    rotation = np.empty(9)
    mujoco.mju_quat2Mat(rotation, np.array(item["pose"][3:]))
    return model, data, links.pose(np.array(item["pose"][:3]), rotation)


def corners(model, data, geom) -> np.ndarray:
    """(n, 3) points of a mesh in the world; order does not matter, as MuJoCo may turn a mesh's own frame."""
    vertices, _ = links.triangles_of(model, geom)
    frame = links.geom_pose(data, geom)
    return vertices @ frame[:3, :3].T + frame[:3, 3]


def same_points(one: np.ndarray, other: np.ndarray, atol: float) -> None:
    distance = np.linalg.norm(one[:, None] - other[None], axis=-1)
    assert distance.min(0).max() < atol
    assert distance.min(1).max() < atol


def test_every_collider_is_where_the_scene_had_it(folder, scene):
    seen = set()
    for item in scene["objects"]:
        model, data, root = loaded(folder, item)
        for geom in range(model.ngeom):
            name = model.geom(geom).name
            if not links.is_collider(model, geom):
                continue
            placed = root @ links.geom_pose(data, geom)
            base = name.partition("_end_")[0]
            source = MODEL.geom(base).id
            seen.add(base)
            expected = links.geom_pose(DATA, source)
            if links.geom_type(model, geom) == mujoco.mjtGeom.mjGEOM_MESH:
                found = corners(model, data, geom) @ root[:3, :3].T + root[:3, 3]
                same_points(found, corners(MODEL, DATA, source), atol=1e-5)
                continue
            if "_end_" in name:
                expected = expected @ links.pose(np.array([0, 0, 0.06 if "high" in name else -0.06]), np.eye(3))
            if links.geom_type(MODEL, source) == mujoco.mjtGeom.mjGEOM_PLANE:
                expected = expected @ links.pose(np.array([0, 0, -PLANE_THICKNESS_M / 2]), np.eye(3))
            np.testing.assert_allclose(placed[:3, 3], expected[:3, 3], atol=1e-6, err_msg=name)
            np.testing.assert_allclose(placed[:3, :3], expected[:3, :3], atol=1e-6, err_msg=name)
    assert seen == {MODEL.geom(geom).name for geom in range(MODEL.ngeom) if links.is_collider(MODEL, geom)}


def test_masses_and_limits(folder, scene):
    objects = {item["name"]: item for item in scene["objects"]}
    model, _, _ = loaded(folder, objects["cabinet"])
    assert model.body("cabinet/door").mass[0] == pytest.approx(3.2)
    np.testing.assert_allclose(model.joint("cabinet/door_joint").range, (-0.2, 1.4))
    np.testing.assert_allclose(model.joint("cabinet/drawer_joint").range, (0, 0.35), atol=1e-9)
    assert model.joint("cabinet/door_joint").damping[0] == pytest.approx(2)
    assert model.joint("cabinet/door_joint").frictionloss[0] == pytest.approx(0.5)


def test_links_form_a_tree_with_one_root(folder, scene):
    for item in scene["objects"]:
        robot = ET.parse(folder / item["urdf"]).getroot()
        names = [element.get("name") for element in robot.findall("link")]
        assert len(set(names)) == len(names)
        children = [joint.find("child").get("link") for joint in robot.findall("joint")]
        assert len(set(names) - set(children)) == 1
        assert {joint.find("parent").get("link") for joint in robot.findall("joint")} <= set(names)
    cart = ET.parse(folder / "cart.urdf").getroot()
    assert [link.get("name") for link in cart.findall("link")] == ["cart_base", "cart/x_link", "cart/y_link", "cart"]
    kinds = {joint.get("name"): joint.get("type") for joint in cart.findall("joint")}
    assert kinds == {"cart/x": "prismatic", "cart/y": "prismatic", "cart/yaw": "continuous"}


def test_what_is_shown_and_what_collides(folder):
    mug = ET.parse(folder / "mug.urdf").getroot().find("link")
    shown = {element.get("name") for element in mug.findall("visual")}
    solid = {element.get("name") for element in mug.findall("collision")}
    assert shown == {"mug/body_visual", "mug/knob_visual", "mug/look_visual"}
    assert solid == {"mug/body", "mug/knob", "mug/foot_mesh"}
    colour = mug.find("visual/material/color").get("rgba")
    np.testing.assert_allclose([float(value) for value in colour.split()], (0.2, 0.4, 0.6, 0.5), atol=1e-6)


def test_ball_joints_are_refused(tmp_path):
    xml = "<mujoco><worldbody><body><joint name='hip' type='ball'/><geom size='1'/></body></worldbody></mujoco>"
    with pytest.raises(ConfigError, match="joint 'hip' is a ball, which URDF does not have; export USD or MJCF"):
        export_urdf(mujoco.MjModel.from_xml_string(xml), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_names_that_collide_as_files_stay_apart(tmp_path):
    bodies = "".join(f"<body name='{name}'><geom size='1'/></body>" for name in ("a/b", "a_b"))
    model = mujoco.MjModel.from_xml_string(f"<mujoco><worldbody>{bodies}</worldbody></mujoco>")
    scene = json.loads(export_urdf(model, tmp_path).read_text())
    assert [item["urdf"] for item in scene["objects"]] == ["a_b.urdf", "a_b_2.urdf"]
