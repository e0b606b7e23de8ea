"""MJCF export: the file compiles to the same model, alone and elsewhere."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from zoo.envs.scenes.export_mjcf import export_mjcf
from zoo.envs.simulator import mujoco
from zoo.errors import DataError

XML = Path(__file__).parent / "every_shape.xml"
TETRAHEDRON = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 2 3 4\nf 3 1 4\n"


def same_model(one: mujoco.MjModel, other: mujoco.MjModel) -> None:
    assert (one.nbody, one.ngeom, one.njnt, one.nlight) == (other.nbody, other.ngeom, other.njnt, other.nlight)
    poses = []
    for model in (one, other):
        data = mujoco.MjData(model)
        mujoco.mj_kinematics(model, data)
        poses.append(np.concatenate([data.geom_xpos, data.geom_xmat], axis=1))
    np.testing.assert_allclose(*poses, atol=1e-5)  # the file has six digits
    np.testing.assert_allclose(one.body_mass, other.body_mass, rtol=1e-5)
    names = [[model.geom(geom).name for geom in range(model.ngeom)] for model in (one, other)]
    assert names[0] == names[1]


def test_round_trip(tmp_path):
    spec = mujoco.MjSpec.from_file(str(XML))
    path = export_mjcf(spec, tmp_path / "scene.xml")
    same_model(mujoco.MjModel.from_xml_path(str(path)), spec.compile())
    assert [item.name for item in tmp_path.iterdir()] == ["scene.xml"]


def test_files_come_along(tmp_path):
    """Two meshes of one file name from two folders; the export is moved before it is read."""
    for folder in ("one", "two"):
        (tmp_path / "in" / folder).mkdir(parents=True)
        scale = "" if folder == "one" else "v 0 0 2\n"
        (tmp_path / "in" / folder / "part.obj").write_text(TETRAHEDRON.replace("v 0 0 1\n", scale or "v 0 0 1\n"))
    xml = (
        "<mujoco><asset><mesh name='a' file='one/part.obj'/><mesh name='b' file='two/part.obj'/></asset><worldbody>"
        "<geom name='a' type='mesh' mesh='a'/><geom name='b' type='mesh' mesh='b' pos='2 0 0'/></worldbody></mujoco>"
    )
    (tmp_path / "in" / "scene.xml").write_text(xml)
    spec = mujoco.MjSpec.from_file(str(tmp_path / "in" / "scene.xml"))
    expected = spec.compile()
    export_mjcf(spec, tmp_path / "out" / "scene.xml")
    shutil.rmtree(tmp_path / "in")
    shutil.move(tmp_path / "out", tmp_path / "elsewhere")
    same_model(mujoco.MjModel.from_xml_path(str(tmp_path / "elsewhere" / "scene.xml")), expected)
    assert sorted(path.name for path in (tmp_path / "elsewhere" / "assets").iterdir()) == ["part.obj", "part_2.obj"]


def test_files_in_memory_are_written(tmp_path):
    spec = mujoco.MjSpec()
    spec.assets = {"part.obj": TETRAHEDRON.encode()}
    spec.add_mesh(name="a", file="part.obj")
    spec.worldbody.add_geom(name="a", type=mujoco.mjtGeom.mjGEOM_MESH, meshname="a")
    path = export_mjcf(spec, tmp_path / "scene.xml")
    same_model(mujoco.MjModel.from_xml_path(str(path)), spec.compile())
    assert (tmp_path / "assets" / "part.obj").read_text() == TETRAHEDRON


def test_absent_files_are_named(tmp_path):
    asset = "<asset><mesh name='a' file='part.obj'/></asset>"
    xml = f"<mujoco>{asset}<worldbody><geom type='mesh' mesh='a'/></worldbody></mujoco>"
    (tmp_path / "scene.xml").write_text(xml)
    spec = mujoco.MjSpec.from_file(str(tmp_path / "scene.xml"))
    with pytest.raises(DataError, match=r"cannot export out\.xml: 'a' refers to .*part\.obj, which is not there"):
        export_mjcf(spec, tmp_path / "out.xml")


def test_specifications_that_do_not_compile_are_refused(tmp_path):
    spec = mujoco.MjSpec()
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname="absent")
    with pytest.raises(DataError, match=r"cannot export out\.xml: .*absent"):
        export_mjcf(spec, tmp_path / "out.xml")
