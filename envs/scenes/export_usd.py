"""Write a compiled model as USD, for Isaac Sim and other readers of UsdPhysics. Needs the extra `usd`.

One Xform for every link under `/World`, with what is welded to it below; joints, lights and materials in scopes beside.
Metres, kilograms, z up. Every prim carries its MuJoCo name as custom data `mujoco_name`, because prim names allow fewer
characters. Pictures on surfaces become their mean colour; which geoms may touch which (contact bits) is not written,
beyond that visual ones never do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from zoo.envs.kinematics.poses import quat_from_matrix
from zoo.envs.scenes import links as model_links
from zoo.envs.scenes.links import Link
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError
from zoo.libraries import optional

SUFFIXES = (".usd", ".usda", ".usdc")
NAME_KEY = "mujoco_name"
FAR_M = 200.0
"""Edge of a plane without end."""

LIGHT_INTENSITY = 1000.0
"""Of a light of colour 1; USD counts in nits, MuJoCo in shares of a surface's colour, so brightness is a choice."""


def export_usd(model: mujoco.MjModel, path: str | Path, *, data: mujoco.MjData | None = None) -> Path:
    """Write one file.

    Args:
        model: Compiled.
        path: Ends in .usd, .usda (text) or .usdc (binary).
        data: State to show; None is `qpos0`. Kinematics are computed again.
    Returns:
        The path.
    Raises:
        ConfigError: another ending.
        MissingLibraryError: usd-core is not installed.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"cannot write USD to {path}: expected a name that ends in {', '.join(SUFFIXES)}")
    usd = optional("pxr.Usd", extra="usd", purpose="export USD")
    shown = mujoco.MjData(model)
    if data is not None:
        shown.qpos[:], shown.mocap_pos[:], shown.mocap_quat[:] = data.qpos, data.mocap_pos, data.mocap_quat
    mujoco.mj_kinematics(model, shown)
    stage = usd.Stage.CreateInMemory()
    _Writer(stage, model, shown, model_links.at_zero(model)).write()
    stage.GetRootLayer().Export(str(path))
    return path


@dataclass(slots=True)
class _Writer:
    """One export: the stage, the model, its state to show, and its state with every joint at 0."""

    stage: Any
    model: mujoco.MjModel
    data: mujoco.MjData
    zero: mujoco.MjData
    materials: dict[tuple[float, ...], Any] = field(default_factory=dict)
    paths: dict[int, str] = field(default_factory=dict)  # of links, by root body
    taken: set[str] = field(default_factory=set)

    def write(self) -> None:
        from pxr import UsdGeom, UsdPhysics

        UsdGeom.SetStageUpAxis(self.stage, UsdGeom.Tokens.z)
        UsdGeom.SetStageMetersPerUnit(self.stage, 1.0)
        UsdPhysics.SetStageKilogramsPerUnit(self.stage, 1.0)
        self.stage.SetDefaultPrim(UsdGeom.Xform.Define(self.stage, "/World").GetPrim())
        for scope in ("Looks", "Lights", "Joints"):
            UsdGeom.Scope.Define(self.stage, f"/World/{scope}")
            self.taken.add(f"/World/{scope}")
        self._physics_scene()
        links = model_links.links_of(self.model)
        for link in links.values():
            self._link(link)
        for link in links.values():
            self._joints(link)
        for light in range(self.model.nlight):
            self._light(light)

    def _physics_scene(self) -> None:
        from pxr import Gf, UsdPhysics

        scene = UsdPhysics.Scene.Define(self.stage, self._free_path("/World", "PhysicsScene"))
        gravity = np.array(self.model.opt.gravity)
        size = float(np.linalg.norm(gravity))
        scene.CreateGravityDirectionAttr(Gf.Vec3f(*map(float, gravity / size if size else (0, 0, -1))))
        scene.CreateGravityMagnitudeAttr(size)

    def _free_path(self, parent: str, name: str) -> str:
        from pxr import Tf

        base = f"{parent}/{Tf.MakeValidIdentifier(name)}"
        path, count = base, 1
        while path in self.taken:
            count += 1
            path = f"{base}_{count}"
        self.taken.add(path)
        return path

    def _xform(self, parent: str, name: str, matrix: np.ndarray) -> Any:
        from pxr import UsdGeom

        xform = UsdGeom.Xform.Define(self.stage, self._free_path(parent, name))
        _place(xform, matrix)
        xform.GetPrim().SetCustomDataByKey(NAME_KEY, name)
        return xform

    def _link(self, link: Link) -> None:
        if link.body == 0:
            self.paths[0] = "/World"
            self._geoms(0, "/World", np.eye(4))
            return
        paths: dict[int, str] = {}
        for body in link.bodies:
            name = model_links.name_of(self.model, mujoco.mjtObj.mjOBJ_BODY, body)
            world = model_links.body_pose(self.data, body)
            parent = int(self.model.body_parentid[body])
            above = paths.get(parent, "/World")
            base = model_links.body_pose(self.data, parent) if parent in paths else np.eye(4)
            xform = self._xform(above, name, np.linalg.inv(base) @ world)
            paths[body] = str(xform.GetPath())
            self._geoms(body, paths[body], world)
        self.paths[link.body] = paths[link.body]
        if link.joints:
            self._rigid(paths[link.body], model_links.inertia_of(self.model, self.zero, link))

    def _rigid(self, path: str, inertia: model_links.Inertia) -> None:
        from pxr import Gf, UsdPhysics

        prim = self.stage.GetPrimAtPath(path)
        UsdPhysics.RigidBodyAPI.Apply(prim)
        mass = UsdPhysics.MassAPI.Apply(prim)
        moments, axes = np.linalg.eigh(inertia.tensor)
        axes[:, 2] *= np.linalg.det(axes)  # a rotation, not a mirror
        mass.CreateMassAttr(inertia.mass_kg)
        mass.CreateCenterOfMassAttr(Gf.Vec3f(*map(float, inertia.centre_m)))
        mass.CreateDiagonalInertiaAttr(Gf.Vec3f(*map(float, moments)))
        mass.CreatePrincipalAxesAttr(_quatf(axes))

    def _geoms(self, body: int, path: str, world: np.ndarray) -> None:
        from pxr import UsdGeom, UsdPhysics, UsdShade

        for geom in model_links.geoms_of(self.model, body):
            name = model_links.name_of(self.model, mujoco.mjtObj.mjOBJ_GEOM, geom)
            shape, scale = self._shape(geom, self._free_path(path, name))
            _place(shape, np.linalg.inv(world) @ model_links.geom_pose(self.data, geom), scale)
            prim = shape.GetPrim()
            prim.SetCustomDataByKey(NAME_KEY, name)
            red, green, blue, _ = model_links.colour_of(self.model, geom)
            shape.CreateDisplayColorAttr([(red, green, blue)])
            UsdShade.MaterialBindingAPI.Apply(prim).Bind(self._material(geom))
            if model_links.is_collider(self.model, geom):
                UsdPhysics.CollisionAPI.Apply(prim)
                if prim.IsA(UsdGeom.Mesh):
                    UsdPhysics.MeshCollisionAPI.Apply(prim).CreateApproximationAttr(self._approximation(geom))
            if model_links.is_hidden(self.model, geom):
                shape.CreatePurposeAttr(UsdGeom.Tokens.guide)

    def _approximation(self, geom: int) -> str:
        """MuJoCo collides with hulls of meshes, and with height fields as they are."""
        is_field = model_links.geom_type(self.model, geom) == mujoco.mjtGeom.mjGEOM_HFIELD
        return "none" if is_field else "convexHull"

    def _shape(self, geom: int, path: str) -> tuple[Any, tuple[float, float, float]]:
        """The prim of a geom, and the scale that gives it its size."""
        from pxr import UsdGeom

        kind, size = model_links.geom_type(self.model, geom), [float(value) for value in self.model.geom_size[geom]]
        one = (1.0, 1.0, 1.0)
        types = mujoco.mjtGeom
        if kind == types.mjGEOM_BOX:
            cube = UsdGeom.Cube.Define(self.stage, path)
            cube.CreateSizeAttr(2.0)
            return cube, (size[0], size[1], size[2])
        if kind in (types.mjGEOM_SPHERE, types.mjGEOM_ELLIPSOID):
            sphere = UsdGeom.Sphere.Define(self.stage, path)
            sphere.CreateRadiusAttr(size[0] if kind == types.mjGEOM_SPHERE else 1.0)
            return sphere, one if kind == types.mjGEOM_SPHERE else (size[0], size[1], size[2])
        if kind in (types.mjGEOM_CAPSULE, types.mjGEOM_CYLINDER):
            define = UsdGeom.Capsule.Define if kind == types.mjGEOM_CAPSULE else UsdGeom.Cylinder.Define
            tube = define(self.stage, path)
            tube.CreateRadiusAttr(size[0])
            tube.CreateHeightAttr(2 * size[1])
            tube.CreateAxisAttr(UsdGeom.Tokens.z)
            return tube, one
        if kind == types.mjGEOM_PLANE:
            plane = UsdGeom.Plane.Define(self.stage, path)
            plane.CreateWidthAttr(2 * size[0] or FAR_M)
            plane.CreateLengthAttr(2 * size[1] or FAR_M)
            plane.CreateAxisAttr(UsdGeom.Tokens.z)
            return plane, one
        vertices, faces = model_links.triangles_of(self.model, geom)
        mesh = UsdGeom.Mesh.Define(self.stage, path)
        mesh.CreatePointsAttr([tuple(map(float, vertex)) for vertex in vertices])
        mesh.CreateFaceVertexCountsAttr([3] * len(faces))
        mesh.CreateFaceVertexIndicesAttr([int(index) for index in faces.ravel()])
        mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
        return mesh, one

    def _material(self, geom: int) -> Any:
        """Look and friction of a geom, one material for all that are alike."""
        from pxr import Gf, Sdf, UsdPhysics, UsdShade

        index = int(self.model.geom_matid[geom])
        shine = float(self.model.mat_shininess[index]) if index >= 0 else 0.5
        friction = float(self.model.geom_friction[geom, 0])
        key = (*model_links.colour_of(self.model, geom), shine, friction)
        if key not in self.materials:
            path = self._free_path("/World/Looks", f"look_{len(self.materials)}")
            material = UsdShade.Material.Define(self.stage, path)
            shader = UsdShade.Shader.Define(self.stage, f"{path}/surface")
            shader.CreateIdAttr("UsdPreviewSurface")
            shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).Set(Gf.Vec3f(*key[:3]))
            shader.CreateInput("opacity", Sdf.ValueTypeNames.Float).Set(key[3])
            shader.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(1.0 - shine)
            material.CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
            physics = UsdPhysics.MaterialAPI.Apply(material.GetPrim())
            physics.CreateStaticFrictionAttr(friction)
            physics.CreateDynamicFrictionAttr(friction)
            self.materials[key] = material
        return self.materials[key]

    def _joints(self, link: Link) -> None:
        """Joints of a link; several at one body get links without shape between them."""
        if not link.joints or link.is_free(self.model):
            return
        before = self.paths[link.parent]
        before_zero = model_links.body_pose(self.zero, link.parent) if link.parent else np.eye(4)
        own_zero = model_links.body_pose(self.zero, link.body)
        for joint in link.joints:
            is_last = joint == link.joints[-1]
            after = self.paths[link.body] if is_last else self._between(link, joint)
            self._joint(joint, (before, before_zero), (after, own_zero))
            before, before_zero = after, own_zero

    def _between(self, link: Link, joint: int) -> str:
        """A link that has made the moves up to a joint and not the later ones."""
        partial = mujoco.MjData(self.model)
        partial.qpos[:] = self.data.qpos
        partial.mocap_pos[:], partial.mocap_quat[:] = self.data.mocap_pos, self.data.mocap_quat
        later = self.model.jnt_qposadr[joint + 1]
        end = self.model.jnt_qposadr[link.joints[-1]] + 1
        partial.qpos[later:end] = self.model.qpos0[later:end]
        mujoco.mj_kinematics(self.model, partial)
        name = f"{model_links.name_of(self.model, mujoco.mjtObj.mjOBJ_JOINT, joint)}_link"
        xform = self._xform("/World", name, model_links.body_pose(partial, link.body))
        whole = model_links.inertia_of(self.model, self.zero, link)
        share = model_links.Inertia(1e-3 * whole.mass_kg, whole.centre_m, 1e-3 * whole.tensor)
        self._rigid(str(xform.GetPath()), share)
        return str(xform.GetPath())

    def _joint(self, joint: int, before: tuple[str, np.ndarray], after: tuple[str, np.ndarray]) -> None:
        from pxr import Gf, UsdPhysics

        kind = model_links.joint_type(self.model, joint)
        name = model_links.name_of(self.model, mujoco.mjtObj.mjOBJ_JOINT, joint)
        path = self._free_path("/World/Joints", name)
        frame = model_links.pose(self.zero.xanchor[joint], _x_along(self.zero.xaxis[joint]))
        if kind == mujoco.mjtJoint.mjJNT_BALL:
            made = UsdPhysics.SphericalJoint.Define(self.stage, path)
        elif kind == mujoco.mjtJoint.mjJNT_HINGE:
            made = UsdPhysics.RevoluteJoint.Define(self.stage, path)
        else:
            made = UsdPhysics.PrismaticJoint.Define(self.stage, path)
        made.GetPrim().SetCustomDataByKey(NAME_KEY, name)
        made.CreateAxisAttr("X")
        if before[0] != "/World":
            made.CreateBody0Rel().SetTargets([before[0]])
        made.CreateBody1Rel().SetTargets([after[0]])
        for matrix, position, turn in (
            (np.linalg.inv(before[1]) @ frame, made.CreateLocalPos0Attr, made.CreateLocalRot0Attr),
            (np.linalg.inv(after[1]) @ frame, made.CreateLocalPos1Attr, made.CreateLocalRot1Attr),
        ):
            position(Gf.Vec3f(*map(float, matrix[:3, 3])))
            turn(_quatf(matrix[:3, :3]))
        if kind != mujoco.mjtJoint.mjJNT_BALL:
            self._limits_and_drive(made, joint, is_hinge=kind == mujoco.mjtJoint.mjJNT_HINGE)

    def _limits_and_drive(self, made: Any, joint: int, *, is_hinge: bool) -> None:
        """Limits in degrees or metres; spring and damping as a drive, whose angular units are per degree."""
        from pxr import UsdPhysics

        unit = math.degrees(1) if is_hinge else 1.0
        limits = model_links.limits_from_zero(self.model, joint)
        if limits is not None:
            made.CreateLowerLimitAttr(unit * limits[0])
            made.CreateUpperLimitAttr(unit * limits[1])
        stiffness = float(self.model.jnt_stiffness[joint])
        damping = float(self.model.dof_damping[self.model.jnt_dofadr[joint]])
        if stiffness or damping:
            address = self.model.jnt_qposadr[joint]
            drive = UsdPhysics.DriveAPI.Apply(made.GetPrim(), "angular" if is_hinge else "linear")
            drive.CreateTypeAttr("force")
            drive.CreateStiffnessAttr(stiffness / unit)
            drive.CreateDampingAttr(damping / unit)
            rest = float(self.model.qpos_spring[address] - self.model.qpos0[address])
            drive.CreateTargetPositionAttr(unit * rest)

    def _light(self, light: int) -> None:
        from pxr import Gf, UsdLux

        if not self.model.light_active[light]:
            return
        name = mujoco.mj_id2name(self.model, mujoco.mjtObj.mjOBJ_LIGHT, light) or f"light_{light}"
        path = self._free_path("/World/Lights", name)
        kind = mujoco.mjtLightType(int(self.model.light_type[light]))
        if kind == mujoco.mjtLightType.mjLIGHT_DIRECTIONAL:
            made = UsdLux.DistantLight.Define(self.stage, path)
        else:
            made = UsdLux.SphereLight.Define(self.stage, path)
            made.CreateRadiusAttr(0.05)
            if kind == mujoco.mjtLightType.mjLIGHT_SPOT:
                shaping = UsdLux.ShapingAPI.Apply(made.GetPrim())
                shaping.CreateShapingConeAngleAttr(float(self.model.light_cutoff[light]))
        body = model_links.body_pose(self.data, int(self.model.light_bodyid[light]))
        position = body[:3, :3] @ self.model.light_pos[light] + body[:3, 3]
        back = -(body[:3, :3] @ self.model.light_dir[light])  # lights of USD shine along -z
        _place(made, model_links.pose(position, np.roll(_x_along(back), -1, axis=1)))
        made.GetPrim().SetCustomDataByKey(NAME_KEY, name)
        made.CreateColorAttr(Gf.Vec3f(*map(float, self.model.light_diffuse[light])))
        made.CreateIntensityAttr(LIGHT_INTENSITY)


def _x_along(direction: np.ndarray) -> np.ndarray:
    """A rotation (3, 3) whose x axis has a direction."""
    x = np.asarray(direction, float) / np.linalg.norm(direction)
    y = np.cross(np.eye(3)[int(np.argmin(np.abs(x)))], x)
    y /= np.linalg.norm(y)
    return np.stack([x, y, np.cross(x, y)], axis=1)


def _place(xform: Any, matrix: np.ndarray, scale: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> None:
    """Give a prim the operations translate, orient and scale."""
    from pxr import Gf, UsdGeom

    xform.AddTranslateOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Vec3d(*map(float, matrix[:3, 3])))
    quat = quat_from_matrix(matrix[:3, :3]).tolist()
    xform.AddOrientOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Quatd(*quat))
    xform.AddScaleOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Vec3d(*scale))


def _quatf(rotation: np.ndarray) -> Any:
    from pxr import Gf

    return Gf.Quatf(*quat_from_matrix(rotation).tolist())
