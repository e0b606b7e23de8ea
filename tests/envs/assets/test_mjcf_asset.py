"""Foreign MJCF files as assets: frame, size, names, scale, contact bits, joints."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.envs.assets.library import AssetFacts
from zoo.envs.assets.mjcf_asset import MjcfAsset
from zoo.envs.scenes.export_mjcf import export_mjcf
from zoo.envs.scenes.physics import COLLISION_GROUP, CONTACT_BITS
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError, DataError

FACTS = AssetFacts(uid="Desk_1", category="desk", synset="desk.n.01", description="", size_m=(0, 0, 0), mass_kg=0)
DESK = """
<mujoco>
  <compiler angle="degree" meshdir="meshes"/>
  <asset><mesh name="top" file="top.obj"/></asset>
  <worldbody>
    <body name="Desk_1" pos="0.1 0.2 0.3">
      <freejoint name="flies"/>
      <geom name="look" type="mesh" mesh="top" contype="0" conaffinity="0" mass="0"/>
      <geom name="block" type="box" size="0.6 0.3 0.35" mass="12"/>
      <site name="spot" pos="0 0 0.35"/>
      <body name="drawer" pos="0 0.3 0.1">
        <joint name="slide" type="slide" axis="0 1 0" range="0 0.25"/>
        <geom name="tray" type="box" size="0.2 0.05 0.1" mass="1"/>
        <geom name="drawer_handle" type="capsule" size="0.01 0.05" pos="0 0.06 0" euler="0 90 0" mass="0.1"/>
      </body>
    </body>
  </worldbody>
  <keyframe><key name="home" qpos="0 0 0 1 0 0 0 0.1"/></keyframe>
</mujoco>
"""
TETRAHEDRON = "v 0 0 0\nv .1 0 0\nv 0 .1 0\nv 0 0 .1\nf 1 3 2\nf 1 2 4\nf 2 3 4\nf 3 1 4\n"
LOW, HIGH = np.array([-0.5, -0.1, -0.05]), np.array([0.7, 0.57, 0.65])
"""Corners of the box around the desk in its file: the block, and at +y the handle."""


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("desk")
    (folder / "meshes").mkdir()
    (folder / "meshes" / "top.obj").write_text(TETRAHEDRON)
    (folder / "Desk_1.xml").write_text(DESK)
    return folder / "Desk_1.xml"


def built(asset, **arguments):
    spec = mujoco.MjSpec()
    spec.worldbody.add_geom(name="ground", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[5, 5, 0.1])
    given = {"position_m": (0, 0, 0), "quat_wxyz": (1, 0, 0, 0), "is_free": True} | arguments
    asset.add_to(spec.worldbody, "desk_3", **given)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    return model, data


def test_facts_are_those_of_the_file(path):
    facts = MjcfAsset(FACTS, path, front_yaw=math.pi / 2).facts
    size = HIGH - LOW
    assert facts.size_m == pytest.approx((size[1], size[0], size[2]))
    assert facts.mass_kg == pytest.approx(13.1)
    (drawer,) = facts.articulations
    assert (drawer.joint, drawer.kind, drawer.range, drawer.part) == ("slide", "slide", (0.0, 0.25), "drawer")
    assert drawer.handle == "drawer_handle"


def test_names_and_free_joint(path):
    model, _ = built(MjcfAsset(FACTS, path))
    names = [model.body(body).name for body in range(model.nbody)]
    assert names == ["world", "desk_3", "desk_3/Desk_1", "desk_3/drawer"]
    assert [model.joint(joint).name for joint in range(model.njnt)] == ["desk_3/free", "desk_3/slide"]
    assert model.nkey == 0
    fixed, _ = built(MjcfAsset(FACTS, path), is_free=False)
    assert [fixed.joint(joint).name for joint in range(fixed.njnt)] == ["desk_3/slide"]


@settings(max_examples=15, deadline=None)
@given(st.sampled_from([0.0, math.pi / 2, -math.pi / 2, math.pi]), st.floats(0.3, 3), st.floats(-3, 3))
def test_the_origin_is_below_the_middle_and_the_front_is_x(path, front_yaw, scale, yaw):
    """The handle is at the file's +y; a front there comes to +x, at any scale and pose."""
    pose = {"position_m": (1, 2, 3), "quat_wxyz": (math.cos(yaw / 2), 0, 0, math.sin(yaw / 2)), "scale": scale}
    model, data = built(MjcfAsset(FACTS, path, front_yaw=front_yaw), **pose)
    away = data.geom("desk_3/drawer_handle").xpos - (1, 2, 3)
    centre = (LOW + HIGH) / 2
    local = scale * (np.array([0.1, 0.56, 0.4]) - (centre[0], centre[1], LOW[2]))
    turn = yaw - front_yaw
    rotation = np.array([[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1]])
    np.testing.assert_allclose(away, rotation @ local, atol=1e-9)
    assert model.body("desk_3/Desk_1").mass[0] == pytest.approx(12 * scale**3)
    np.testing.assert_allclose(model.joint("desk_3/slide").range, (0, 0.25 * scale))
    np.testing.assert_allclose(model.geom("desk_3/block").size, np.array([0.6, 0.3, 0.35]) * scale)


def test_contact_bits_and_groups(path):
    model, _ = built(MjcfAsset(FACTS, path))
    found = {}
    for name in ("look", "block", "tray"):
        geom = model.geom(f"desk_3/{name}")
        found[name] = (int(geom.contype[0]), int(geom.conaffinity[0])), int(geom.group[0])
    assert found == {
        "look": (CONTACT_BITS["visual"], 0),
        "block": (CONTACT_BITS["dynamic"], COLLISION_GROUP),
        "tray": (CONTACT_BITS["articulated"], COLLISION_GROUP),
    }


def test_it_stands_on_the_floor(path):
    model, data = built(MjcfAsset(FACTS, path), position_m=(0, 0, 0.005))
    for _ in range(500):
        mujoco.mj_step(model, data)
    assert data.body("desk_3").xpos[2] == pytest.approx(0, abs=0.01)
    assert data.body("desk_3").xmat[8] == pytest.approx(1, abs=0.01)


def test_two_of_a_kind_and_export(path, tmp_path):
    """Files of attached assets are found from any folder."""
    spec = mujoco.MjSpec()
    for i in range(2):
        MjcfAsset(FACTS, path).add_to(
            spec.worldbody, f"d{i}", position_m=(2 * i, 0, 0), quat_wxyz=(1, 0, 0, 0), is_free=True
        )
    assert spec.copy().compile().nmesh == 2
    exported = export_mjcf(spec, tmp_path / "scene.xml")
    assert mujoco.MjModel.from_xml_path(str(exported)).nbody == 7
    assert [file.name for file in (tmp_path / "assets").iterdir()] == ["top.obj"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<mujoco", "cannot read the asset"),
        ("<mujoco><worldbody><geom size='1'/></worldbody></mujoco>", "has no body"),
        ("<mujoco><worldbody><body name='a'/></worldbody></mujoco>", "has no geom"),
        (DESK, "does not compile"),  # its mesh is not there
    ],
)
def test_bad_files(tmp_path, content, message):
    path = tmp_path / "a.xml"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        _ = MjcfAsset(FACTS, path).facts


def test_colours_are_refused(path):
    with pytest.raises(ConfigError, match="'Desk_1' cannot be coloured, got colours of top"):
        built(MjcfAsset(FACTS, path), colours={"top": (1, 0, 0, 1)})
