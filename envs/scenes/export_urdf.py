"""Write a compiled model as one URDF an object and a scene JSON that places them, for ManiSkill and other loaders.

Every link that stands at the world is an object with all that hangs on it; the geoms of the world itself are an object
called `structure`. `scene.json` lists them:

    {"format": "zoo-urdf-scene", "version": 1, "name": ..., "gravity": [x, y, z], "objects": [
      {"name", "urdf": path beside it, "pose": [x, y, z, qw, qx, qy, qz] of the root link, "is_static": no free joint,
       "joints": {name: position, rad or m}}]}

Joint positions are 0 where MuJoCo's are `qpos0`. URDF has no capsules (a cylinder and two spheres are written), no
ellipsoids, height fields (meshes) and planes (flat boxes), and no ball joints (refused).
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from zoo.envs.kinematics.poses import quat_from_matrix
from zoo.envs.scenes import links as model_links
from zoo.envs.scenes.links import Link
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError

FORMAT, VERSION = "zoo-urdf-scene", 1
STRUCTURE = "structure"
SCENE_FILE = "scene.json"
PLANE_THICKNESS_M = 0.02
PLATE_THICKNESS_M = 0.001  # of flat meshes, which MuJoCo for one reads from no URDF
FAR = 1e3  # rad or m; URDF wants limits of every slide
EFFORT, VELOCITY = 1e3, 1e3  # URDF wants them, MuJoCo has none
ENDS = (("low", -1), ("high", 1))  # of a capsule
LEAST_MASS_KG = 1e-6
"""Of links between two joints of one body, which have none of their own."""

LEAST_INERTIA = 1e-9


def export_urdf(
    model: mujoco.MjModel, folder: str | Path, *, name: str = "scene", data: mujoco.MjData | None = None
) -> Path:
    """Write the objects and their scene into a folder.

    Args:
        model: Compiled.
        folder: Is made; files of the same names in it are replaced.
        name: Of the scene.
        data: Where things are; None is `qpos0`. Kinematics are computed again.
    Returns:
        Path of the scene JSON.
    Raises:
        ConfigError: the model has a ball joint.
    """
    folder = Path(folder)
    links = model_links.links_of(model)
    _refuse_balls(model)
    (folder / "meshes").mkdir(parents=True, exist_ok=True)
    shown = mujoco.MjData(model)
    if data is not None:
        shown.qpos[:], shown.mocap_pos[:], shown.mocap_quat[:] = data.qpos, data.mocap_pos, data.mocap_quat
    mujoco.mj_kinematics(model, shown)
    writer = _Writer(model, shown, model_links.at_zero(model), links, folder)
    objects = [writer.object(root) for root in links.values() if root.parent == 0]
    if model_links.geoms_of(model, 0):
        objects.insert(0, writer.object(links[0]))
    content = {
        "format": FORMAT,
        "version": VERSION,
        "name": name,
        "gravity": [float(value) for value in model.opt.gravity],
        "objects": objects,
    }
    path = folder / SCENE_FILE
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def _refuse_balls(model: mujoco.MjModel) -> None:
    for joint in range(model.njnt):
        if model_links.joint_type(model, joint) == mujoco.mjtJoint.mjJNT_BALL:
            name = model_links.name_of(model, mujoco.mjtObj.mjOBJ_JOINT, joint)
            raise ConfigError(f"joint {name!r} is a ball, which URDF does not have; export USD or MJCF instead")


@dataclass(slots=True)
class _Writer:
    """One export: the model, its state to show, its state with every joint at 0, and what has been written."""

    model: mujoco.MjModel
    data: mujoco.MjData
    zero: mujoco.MjData
    links: dict[int, Link]
    folder: Path
    files: set[str] = field(default_factory=set)
    frames: dict[int, np.ndarray] = field(default_factory=dict)
    """Frame of each link in the world at zero, by root body: at its joint, with the axes of its body."""

    def object(self, root: Link) -> dict[str, Any]:
        """Write one object; its entry in the scene."""
        name = STRUCTURE if root.body == 0 else self._name(mujoco.mjtObj.mjOBJ_BODY, root.body)
        robot = ET.Element("robot", name=_safe(name))
        # For MuJoCo, which else drops what only shows, and merges what is fixed; other readers skip it.
        compiler = {"strippath": "false", "discardvisual": "false", "fusestatic": "false"}
        ET.SubElement(ET.SubElement(robot, "mujoco"), "compiler", compiler)
        joints: dict[str, float] = {}
        is_hung = bool(root.joints) and not root.is_free(self.model)
        frame = model_links.body_pose(self.zero if is_hung else self.data, root.body)
        if is_hung:  # at the world itself: the base is an empty link there
            ET.SubElement(robot, "link", name=f"{name}_base")
            zero = model_links.body_pose(self.zero, root.body)
            self._jointed(robot, root, (f"{name}_base", zero), joints)
        else:
            self.frames[root.body] = model_links.body_pose(self.zero, root.body)
            self._link(robot, root, name)
        for link in self._below(root):
            parent = self._name(mujoco.mjtObj.mjOBJ_BODY, link.parent)
            self._jointed(robot, link, (parent, self.frames[link.parent]), joints)
        file = self._file(name)
        ET.indent(robot)
        (self.folder / file).write_text(ET.tostring(robot, encoding="unicode") + "\n", encoding="utf-8")
        return {
            "name": name,
            "urdf": file,
            "pose": [float(value) for value in (*frame[:3, 3], *quat_from_matrix(frame[:3, :3]))],
            "is_static": not root.is_free(self.model),
            "joints": joints,
        }

    def _below(self, root: Link) -> Iterator[Link]:
        """Links that hang on a root, parents first; what stands at the world is an object of its own."""
        inside = {root.body} - {0}
        for link in self.links.values():
            if link.parent in inside:
                inside.add(link.body)
                yield link

    def _file(self, name: str) -> str:
        base, count = _safe(name), 1
        while f"{base}.urdf" in self.files:
            count += 1
            base = f"{_safe(name)}_{count}"
        self.files.add(f"{base}.urdf")
        return f"{base}.urdf"

    def _name(self, kind: mujoco.mjtObj, index: int) -> str:
        return model_links.name_of(self.model, kind, index)

    def _jointed(self, robot: ET.Element, link: Link, above: tuple[str, np.ndarray], joints: dict[str, float]) -> None:
        """A link with its joints, all but the last of which get links without shape.

        Args:
            robot: Gets them.
            link: With at least one joint.
            above: Name and frame at zero of the link that it hangs on.
            joints: Gets their positions.
        """
        own = self._name(mujoco.mjtObj.mjOBJ_BODY, link.body)
        for joint in link.joints:
            is_last = joint == link.joints[-1]
            name = self._name(mujoco.mjtObj.mjOBJ_JOINT, joint)
            child = own if is_last else f"{name}_link"
            frame = model_links.pose(self.zero.xanchor[joint], self.zero.xmat[link.body])
            self._joint(robot, joint, above, (child, frame))
            joints[name] = model_links.position_from_zero(self.model, self.data, joint)
            if not is_last:
                between = ET.SubElement(robot, "link", name=child)
                _inertial(between, LEAST_MASS_KG, np.zeros(3), np.zeros((3, 3)))
            above = (child, frame)
        self.frames[link.body] = above[1]
        self._link(robot, link, own)

    def _joint(
        self, robot: ET.Element, joint: int, above: tuple[str, np.ndarray], below: tuple[str, np.ndarray]
    ) -> None:
        is_hinge = model_links.joint_type(self.model, joint) == mujoco.mjtJoint.mjJNT_HINGE
        limits = model_links.limits_from_zero(self.model, joint)
        kind = "prismatic" if not is_hinge else "revolute" if limits else "continuous"
        element = ET.SubElement(robot, "joint", name=self._name(mujoco.mjtObj.mjOBJ_JOINT, joint), type=kind)
        ET.SubElement(element, "parent", link=above[0])
        ET.SubElement(element, "child", link=below[0])
        _origin(element, np.linalg.inv(above[1]) @ below[1])
        axis = below[1][:3, :3].T @ self.zero.xaxis[joint]
        ET.SubElement(element, "axis", xyz=_numbers(axis))
        low, high = limits or (-FAR, FAR)
        bounds = {"effort": _numbers([EFFORT]), "velocity": _numbers([VELOCITY])}
        ET.SubElement(element, "limit", lower=_numbers([low]), upper=_numbers([high]), **bounds)
        dof = self.model.jnt_dofadr[joint]
        damping, friction = self.model.dof_damping[dof], self.model.dof_frictionloss[dof]
        ET.SubElement(element, "dynamics", damping=_numbers([damping]), friction=_numbers([friction]))

    def _link(self, robot: ET.Element, link: Link, name: str) -> None:
        element = ET.SubElement(robot, "link", name=name)
        to_link = np.linalg.inv(self.frames[link.body])
        if link.body:
            inertia = model_links.inertia_of(self.model, self.zero, link)
            root = to_link @ model_links.body_pose(self.zero, link.body)
            centre = root[:3, :3] @ inertia.centre_m + root[:3, 3]
            tensor = root[:3, :3] @ inertia.tensor @ root[:3, :3].T
            _inertial(element, inertia.mass_kg, centre, tensor)
        for body in link.bodies:
            for geom in model_links.geoms_of(self.model, body):
                self._geom(element, geom, to_link @ model_links.geom_pose(self.zero, geom))

    def _geom(self, link: ET.Element, geom: int, frame: np.ndarray) -> None:
        name = self._name(mujoco.mjtObj.mjOBJ_GEOM, geom)
        parts = self._parts(geom, name)
        for which, is_wanted in (
            ("visual", not model_links.is_hidden(self.model, geom)),
            ("collision", model_links.is_collider(self.model, geom)),
        ):
            for suffix, offset, shape in parts if is_wanted else ():
                label = (
                    f"{name}{suffix}" if which == "collision" else f"{name}{suffix}_{which}"
                )  # MuJoCo wants all apart
                element = ET.SubElement(link, which, name=label)
                _origin(element, frame @ offset)
                tag, attributes = shape
                ET.SubElement(ET.SubElement(element, "geometry"), tag, attributes)
                if which == "visual":
                    material = ET.SubElement(element, "material", name=f"{_safe(name)}_colour")
                    ET.SubElement(material, "color", rgba=_numbers(model_links.colour_of(self.model, geom)))

    def _parts(self, geom: int, name: str) -> list[tuple[str, np.ndarray, tuple[str, dict[str, str]]]]:
        """Shapes of URDF that make a geom: what to add to its name, where in its frame, tag and attributes."""
        kind, size = model_links.geom_type(self.model, geom), self.model.geom_size[geom]
        types = mujoco.mjtGeom
        here = np.eye(4)
        if kind == types.mjGEOM_BOX:
            return [("", here, ("box", {"size": _numbers(2 * size)}))]
        if kind == types.mjGEOM_SPHERE:
            return [("", here, ("sphere", {"radius": _numbers(size[:1])}))]
        if kind == types.mjGEOM_PLANE:
            half = [value or model_links.PLANE_HALF_M for value in size[:2]]
            low = _shifted(-PLANE_THICKNESS_M / 2)
            return [("", low, ("box", {"size": _numbers([2 * half[0], 2 * half[1], PLANE_THICKNESS_M])}))]
        if kind in (types.mjGEOM_CYLINDER, types.mjGEOM_CAPSULE):
            radius = _numbers(size[:1])
            tube = ("cylinder", {"radius": radius, "length": _numbers(2 * size[1:2])})
            ends = [(f"_end_{side}", _shifted(sign * size[1]), ("sphere", {"radius": radius})) for side, sign in ENDS]
            return [("", here, tube), *(ends if kind == types.mjGEOM_CAPSULE else [])]
        return [("", here, ("mesh", {"filename": self._mesh(geom, name)}))]

    def _mesh(self, geom: int, name: str) -> str:
        """Write the triangles of a geom, once a mesh of the model; the file's path in the folder."""
        index = int(self.model.geom_dataid[geom])
        is_mesh = model_links.geom_type(self.model, geom) == mujoco.mjtGeom.mjGEOM_MESH
        file = f"meshes/mesh_{index}.obj" if is_mesh else f"meshes/{_safe(name)}.obj"
        if file not in self.files:
            self.files.add(file)
            vertices, faces = model_links.solid(*model_links.triangles_of(self.model, geom), PLATE_THICKNESS_M)
            lines = [f"v {_numbers(vertex)}" for vertex in vertices]
            lines += [f"f {a} {b} {c}" for a, b, c in faces + 1]
            (self.folder / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return file


def _shifted(height_m: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[2, 3] = height_m
    return matrix


def _inertial(link: ET.Element, mass_kg: float, centre_m: np.ndarray, tensor: np.ndarray) -> None:
    element = ET.SubElement(link, "inertial")
    frame = np.eye(4)
    frame[:3, 3] = centre_m
    _origin(element, frame)
    ET.SubElement(element, "mass", value=_numbers([max(mass_kg, LEAST_MASS_KG)]))
    full = tensor + LEAST_INERTIA * np.eye(3)
    pairs = {"ixx": (0, 0), "iyy": (1, 1), "izz": (2, 2), "ixy": (0, 1), "ixz": (0, 2), "iyz": (1, 2)}
    ET.SubElement(element, "inertia", {key: _numbers([full[place]]) for key, place in pairs.items()})


def _origin(element: ET.Element, matrix: np.ndarray) -> None:
    """Position, and roll, pitch and yaw about the fixed axes x, y, z."""
    rotation = matrix[:3, :3]
    pitch = float(np.arcsin(np.clip(-rotation[2, 0], -1, 1)))
    if abs(rotation[2, 0]) < 1 - 1e-9:
        roll = float(np.arctan2(rotation[2, 1], rotation[2, 2]))
        yaw = float(np.arctan2(rotation[1, 0], rotation[0, 0]))
    else:  # upright: only one of the other two angles is defined
        roll, yaw = 0.0, float(np.arctan2(-rotation[0, 1], rotation[1, 1]))
    ET.SubElement(element, "origin", xyz=_numbers(matrix[:3, 3]), rpy=_numbers([roll, pitch, yaw]))


def _numbers(values: Any) -> str:
    return " ".join(f"{float(value):.12g}" for value in values)


def _safe(name: str) -> str:
    """A name that is also a file's."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name)
