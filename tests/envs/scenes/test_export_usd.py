"""USD export, opened again with pxr: every geom, joint, mass, limit, material and light is where MuJoCo has it."""

from pathlib import Path

import numpy as np
import pytest

from zoo.envs.scenes import links
from zoo.envs.scenes.export_usd import NAME_KEY, export_usd
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError

pytest.importorskip("pxr")
from pxr import Gf, Usd, UsdGeom, UsdLux, UsdPhysics, UsdShade

XML = Path(__file__).parent / "every_shape.xml"
MODEL = mujoco.MjModel.from_xml_path(str(XML))
POSITIONS = {"cabinet/door_joint": 0.6, "cabinet/drawer_joint": 0.3, "cart/x": 0.4, "cart/y": -0.3, "cart/yaw": 0.9}


def moved() -> mujoco.MjData:
    data = mujoco.MjData(MODEL)
    for name, position in POSITIONS.items():
        data.joint(name).qpos = position
    data.joint("mug/free").qpos[:3] += (0.1, 0.2, 0.3)
    mujoco.mj_forward(MODEL, data)
    return data


DATA = moved()


@pytest.fixture(scope="module", params=[".usda", ".usdc"])
def stage(request, tmp_path_factory):
    return Usd.Stage.Open(str(export_usd(MODEL, tmp_path_factory.mktemp("usd") / f"scene{request.param}", data=DATA)))


def by_name(stage, kind) -> dict:
    """Prims of a kind by their MuJoCo name."""
    found = [prim for prim in stage.Traverse() if prim.IsA(kind) and prim.GetCustomDataByKey(NAME_KEY)]
    return {prim.GetCustomDataByKey(NAME_KEY): prim for prim in found}


def world_of(prim) -> np.ndarray:
    """(4, 4) of a prim in the world, columns as MuJoCo's, its scale included."""
    return np.array(UsdGeom.Xformable(prim).ComputeLocalToWorldTransform(Usd.TimeCode.Default())).T


def rigid(matrix: np.ndarray) -> np.ndarray:
    result = matrix.copy()
    result[:3, :3] /= np.linalg.norm(result[:3, :3], axis=0)
    return result


def test_units_and_gravity(stage):
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1
    assert UsdGeom.GetStageUpAxis(stage) == "Z"
    assert stage.GetDefaultPrim().GetPath() == "/World"
    (scene,) = [UsdPhysics.Scene(prim) for prim in stage.Traverse() if prim.IsA(UsdPhysics.Scene)]
    assert scene.GetGravityMagnitudeAttr().Get() == pytest.approx(9.8)
    assert tuple(scene.GetGravityDirectionAttr().Get()) == (0, 0, -1)


def test_every_geom_is_where_mujoco_has_it(stage):
    prims = by_name(stage, UsdGeom.Gprim)
    assert len(prims) == MODEL.ngeom
    for geom in range(MODEL.ngeom):
        found = rigid(world_of(prims[MODEL.geom(geom).name]))
        np.testing.assert_allclose(found, links.geom_pose(DATA, geom), atol=1e-5, err_msg=MODEL.geom(geom).name)


def test_every_body_is_an_xform(stage):
    prims = by_name(stage, UsdGeom.Xform)
    assert set(prims) - {"cart/x_link", "cart/y_link"} == {MODEL.body(body).name for body in range(1, MODEL.nbody)}
    for body in range(1, MODEL.nbody):
        np.testing.assert_allclose(world_of(prims[MODEL.body(body).name]), links.body_pose(DATA, body), atol=1e-5)


def test_sizes(stage):
    prims = by_name(stage, UsdGeom.Gprim)

    def extents(name):
        """Of the prim's own box, in its frame."""
        prim = UsdGeom.Boundable(prims[name])
        low, high = UsdGeom.Boundable.ComputeExtentFromPlugins(prim, Usd.TimeCode.Default())
        return np.subtract(high, low) * np.linalg.norm(world_of(prims[name])[:3, :3], axis=0)

    for name, expected in {
        "cabinet/door_panel": (0.02, 0.4, 0.6),
        "cabinet/frame_bar": (0.04, 0.04, 0.6),
        "cabinet/handle_bar": (0.02, 0.02, 0.14),
        "mug/body": (0.08, 0.10, 0.12),
        "mug/knob": (0.04, 0.04, 0.04),
        "floor": (6, 4, 0),
        "dune": (1, 0.8, 0.2),
    }.items():
        np.testing.assert_allclose(extents(name), expected, atol=1e-5, err_msg=name)


def test_meshes_are_the_same_surface(stage):
    mesh = UsdGeom.Mesh(by_name(stage, UsdGeom.Gprim)["cart/wedge"])
    vertices, faces = links.triangles_of(MODEL, MODEL.geom("cart/wedge").id)
    np.testing.assert_allclose(np.array(mesh.GetPointsAttr().Get()), vertices, atol=1e-6)
    np.testing.assert_array_equal(np.array(mesh.GetFaceVertexIndicesAttr().Get()).reshape(-1, 3), faces)
    assert mesh.GetPrim().HasAPI(UsdPhysics.MeshCollisionAPI)
    assert UsdPhysics.MeshCollisionAPI(mesh.GetPrim()).GetApproximationAttr().Get() == "convexHull"


def test_collision_and_visibility(stage):
    for name, prim in by_name(stage, UsdGeom.Gprim).items():
        assert prim.HasAPI(UsdPhysics.CollisionAPI) == (name not in ("mug/look", "tile")), name
        purpose = UsdGeom.Imageable(prim).GetPurposeAttr().Get()
        assert (purpose == "guide") == (name == "mug/foot_mesh"), name


def test_rigid_bodies_and_masses(stage):
    moving = {
        name: prim for name, prim in by_name(stage, UsdGeom.Xform).items() if prim.HasAPI(UsdPhysics.RigidBodyAPI)
    }
    assert set(moving) == {"cabinet/door", "cabinet/drawer", "mug", "cart", "cart/x_link", "cart/y_link"}
    masses = {name: UsdPhysics.MassAPI(prim).GetMassAttr().Get() for name, prim in moving.items()}
    assert masses["cabinet/door"] == pytest.approx(3.2)
    assert masses["mug"] == pytest.approx(0.45)
    assert masses["cart/x_link"] < 0.01 * masses["cart"]
    link = links.links_of(MODEL)[MODEL.body("cabinet/door").id]
    expected = links.inertia_of(MODEL, links.at_zero(MODEL), link)
    api = UsdPhysics.MassAPI(moving["cabinet/door"])
    np.testing.assert_allclose(api.GetCenterOfMassAttr().Get(), expected.centre_m, atol=1e-6)
    axes = np.array(Gf.Matrix3d(Gf.Quatd(api.GetPrincipalAxesAttr().Get()))).T
    np.testing.assert_allclose(axes @ np.diag(api.GetDiagonalInertiaAttr().Get()) @ axes.T, expected.tensor, atol=1e-6)


def test_joints_meet_at_the_shown_position(stage):
    """Turning or sliding body 0's frame along its x by the joint's position gives body 1's frame, as PhysX reads it."""
    prims = by_name(stage, UsdPhysics.Joint)
    assert set(prims) == set(POSITIONS)
    for name, prim in prims.items():
        joint = UsdPhysics.Joint(prim)
        frames = []
        for targets, position, turn in (
            (joint.GetBody0Rel(), joint.GetLocalPos0Attr(), joint.GetLocalRot0Attr()),
            (joint.GetBody1Rel(), joint.GetLocalPos1Attr(), joint.GetLocalRot1Attr()),
        ):
            bodies = targets.GetTargets()
            base = world_of(stage.GetPrimAtPath(bodies[0])) if bodies else np.eye(4)
            local = links.pose(np.array(position.Get()), np.array(Gf.Matrix3d(Gf.Quatd(turn.Get()))).T)
            frames.append(base @ local)
        value = POSITIONS[name] - MODEL.qpos0[MODEL.joint(name).qposadr[0]]
        move = np.eye(4)
        if prim.IsA(UsdPhysics.RevoluteJoint):
            cosine, sine = np.cos(value), np.sin(value)
            move[1:3, 1:3] = [[cosine, -sine], [sine, cosine]]
        else:
            assert prim.IsA(UsdPhysics.PrismaticJoint)
            move[0, 3] = value
        np.testing.assert_allclose(frames[0] @ move, frames[1], atol=1e-5, err_msg=name)


def test_limits_and_drives(stage):
    prims = by_name(stage, UsdPhysics.Joint)
    door, drawer = (
        UsdPhysics.RevoluteJoint(prims["cabinet/door_joint"]),
        UsdPhysics.PrismaticJoint(prims["cabinet/drawer_joint"]),
    )
    limits = (door.GetLowerLimitAttr().Get(), door.GetUpperLimitAttr().Get())
    np.testing.assert_allclose(limits, np.degrees([-0.2, 1.4]), rtol=1e-6)
    np.testing.assert_allclose(
        (drawer.GetLowerLimitAttr().Get(), drawer.GetUpperLimitAttr().Get()), (0, 0.35), atol=1e-6
    )
    assert not UsdPhysics.RevoluteJoint(prims["cart/yaw"]).GetLowerLimitAttr().HasAuthoredValue()
    drive = UsdPhysics.DriveAPI(prims["cabinet/door_joint"], "angular")
    assert drive.GetDampingAttr().Get() == pytest.approx(2 * np.pi / 180)
    assert drive.GetStiffnessAttr().Get() == pytest.approx(3 * np.pi / 180)


def test_materials(stage):
    prims = by_name(stage, UsdGeom.Gprim)

    def look(name):
        material, _ = UsdShade.MaterialBindingAPI(prims[name]).ComputeBoundMaterial()
        return material, material.ComputeSurfaceSource()[0]

    _, shader = look("mug/body")
    np.testing.assert_allclose(shader.GetInput("diffuseColor").Get(), (0.2, 0.4, 0.6), atol=1e-6)
    assert shader.GetInput("opacity").Get() == pytest.approx(0.5)
    _, cloth = look("cabinet/door_panel")
    np.testing.assert_allclose(cloth.GetInput("diffuseColor").Get(), (0.5, 0, 0.5), atol=0.01)
    assert cloth.GetInput("roughness").Get() == pytest.approx(0.75)
    floor, _ = look("floor")
    assert UsdPhysics.MaterialAPI(floor).GetDynamicFrictionAttr().Get() == pytest.approx(0.7)
    assert look("cart/box")[0].GetPath() == look("mug/knob")[0].GetPath()


def test_lights(stage):
    lights = {prim.GetCustomDataByKey(NAME_KEY): prim for prim in stage.Traverse() if prim.HasAPI(UsdLux.LightAPI)}
    assert lights["sun"].IsA(UsdLux.DistantLight)
    np.testing.assert_allclose(-world_of(lights["sun"])[:3, 2], (0.6, 0, -0.8), atol=1e-6)  # they shine along -z
    np.testing.assert_allclose(UsdLux.LightAPI(lights["sun"]).GetColorAttr().Get(), (0.5, 0.4, 0.3), atol=1e-6)
    assert lights["lamp"].IsA(UsdLux.SphereLight)
    np.testing.assert_allclose(world_of(lights["lamp"])[:3, 3], (1, 2, 3))
    assert UsdLux.ShapingAPI(lights["lamp"]).GetShapingConeAngleAttr().Get() == pytest.approx(40)


def test_names_that_collide_as_prims_stay_apart(tmp_path):
    bodies = "".join(f"<body name='{name}'><geom size='1'/></body>" for name in ("a/b", "a_b"))
    model = mujoco.MjModel.from_xml_string(f"<mujoco><worldbody>{bodies}</worldbody></mujoco>")
    opened = Usd.Stage.Open(str(export_usd(model, tmp_path / "s.usda")))
    assert set(by_name(opened, UsdGeom.Xform)) == {"a/b", "a_b"}


def test_the_same_model_gives_the_same_bytes(tmp_path):
    one, other = (export_usd(MODEL, tmp_path / f"{name}.usda", data=DATA).read_bytes() for name in "ab")
    assert one == other


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"expected a name that ends in \.usd, \.usda, \.usdc"):
        export_usd(MODEL, tmp_path / "scene.glb")
