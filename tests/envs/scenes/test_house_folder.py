"""Folders of scenes: every file is read back, and models begin where the scene begins."""

import numpy as np
import pytest
from box_house import LIBRARIES, door, house, thing
from hypothesis import given
from hypothesis import strategies as st

from zoo.envs.navigation.map_files import read_map
from zoo.envs.scenes.compile import compile_scene, start_state
from zoo.envs.scenes.house_folder import make_portable, write_house_folder
from zoo.envs.scenes.molmospaces import load_scene
from zoo.envs.simulator import mujoco

TOLERANCE_M = 1e-5  # the file has six digits
number = st.floats(-1, 1)


def ajar_house():
    cabinet = thing("cabinet", "cabinet", 2.0, 3.6, yaw=-1.0, room="kitchen", is_static=True, joints={"slide": 0.2})
    table = thing("table", "table", 6.0, 2.0, room="bedroom")
    mug = thing("mug", "mug", 6.0, 2.0, 0.75, room="bedroom", support="table")
    return house([cabinet, table, mug], openings=[door(angle=0.9, max_angle=1.4)], name="val_3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_house_folder(ajar_house(), LIBRARIES, tmp_path_factory.mktemp("houses") / "val_3")


def test_files_have_their_public_names(folder):
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "scene.json",
        "val_3.xml",
        "val_3_ceiling.xml",
        "val_3_metadata.json",
        "val_3_map.png",
        "assets",
    }
    assert sorted(path.suffix for path in (folder / "assets").iterdir()) == [".png"] * 2  # tiles and planks


@pytest.mark.parametrize("file", ["val_3.xml", "val_3_ceiling.xml"])
def test_models_begin_as_the_scene(folder, file):
    scene = ajar_house()
    expected = compile_scene(scene, LIBRARIES, with_ceiling="ceiling" in file)
    start = start_state(expected, scene)
    read = mujoco.MjModel.from_xml_path(str(folder / file))
    data = mujoco.MjData(read)
    mujoco.mj_forward(read, data)
    assert (read.nbody, read.ngeom, read.nmesh) == (expected.nbody, expected.ngeom, expected.nmesh)
    for index in range(expected.njnt):
        name = expected.joint(index).name
        np.testing.assert_allclose(data.joint(name).qpos, start.joint(name).qpos, atol=TOLERANCE_M)
    for index in range(expected.ngeom):
        name = expected.geom(index).name
        np.testing.assert_allclose(data.geom(name).xpos, start.geom(name).xpos, atol=TOLERANCE_M)
    assert data.joint("door/hinge").qpos[0] == pytest.approx(0.9, abs=TOLERANCE_M)


def test_metadata_and_map_fit_the_model(folder):
    loaded = load_scene(folder / "val_3.xml")
    assert list(loaded.objects) == ["cabinet", "table", "mug", "door"]
    assert loaded.absent == ()
    assert loaded.object("mug").parent == "table"
    assert loaded.rooms == {1: "kitchen", 2: "bedroom"}
    plan = read_map(loaded.map_path)
    assert not plan.is_free((6.0, 2.0))  # the table
    assert plan.is_free((6.0, 0.7))
    assert plan.room_at((6.0, 2.0)) == "bedroom"


def test_writing_again_gives_the_same_bytes(folder, tmp_path):
    again = write_house_folder(ajar_house(), LIBRARIES, tmp_path)
    for path in folder.rglob("*.*"):
        assert (again / path.relative_to(folder)).read_bytes() == path.read_bytes(), path


@given(st.sampled_from(["HINGE", "SLIDE"]), *[st.tuples(number, number, number)] * 2, number, number)
def test_a_joint_that_begins_open_moves_as_before(kind, anchor, axis, start, other):
    """Wherever the joint goes, the part is where it was before the specification was changed."""
    if np.linalg.norm(axis) < 0.1:
        axis = (0.0, 1.0, 0.0)
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    body = spec.worldbody.add_body(pos=(1, 2, 3), quat=(0.5, 0.5, -0.5, 0.5))
    body.add_joint(name="joint", type=getattr(mujoco.mjtJoint, f"mjJNT_{kind}"), pos=anchor, axis=axis)
    body.add_geom(size=(0.1, 0.2, 0.3), type=mujoco.mjtGeom.mjGEOM_BOX, pos=(0.1, 0, 0))
    before = spec.compile()
    make_portable(spec, {"joint": start})
    after = spec.compile()
    assert after.qpos0[0] == start
    for value in (start, other):
        poses = []
        for model in (before, after):
            data = mujoco.MjData(model)
            data.qpos[0] = value
            mujoco.mj_kinematics(model, data)
            poses.append(np.concatenate([data.geom_xpos[0], data.geom_xmat[0]]))
        np.testing.assert_allclose(*poses, atol=1e-9)
