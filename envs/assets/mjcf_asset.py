"""An MJCF file of someone else's as one of our assets: turned, scaled, named and given our contact bits.

The first body of the file is taken, without its free joint. It keeps its own frame (grasp files refer to it) as a child
of a root that has our frame: +x front, origin in the middle of the footprint at its bottom, measured on the compiled
file with all joints at their reference. Masses and friction stay the file's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from zoo.envs.assets.library import Articulation, Asset, AssetFacts
from zoo.envs.scenes.export_mjcf import referenced_files
from zoo.envs.scenes.physics import COLLISION_GROUP, CONTACT_BITS, add_free_joint
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError, DataError


@dataclass(frozen=True, slots=True)
class Measured:
    """What a compiled file says of its first body.

    Args:
        low_m: (3,) lowest corner of the box around it, in the frame of the file's world.
        high_m: (3,) highest corner.
        mass_kg: Of all of it.
        articulations: Hinges and slides with limits, one end of which is 0.
    """

    low_m: np.ndarray
    high_m: np.ndarray
    mass_kg: float
    articulations: tuple[Articulation, ...]

    @property
    def size_m(self) -> np.ndarray:
        return self.high_m - self.low_m


class MjcfAsset(Asset):
    """An asset out of an MJCF file.

    Args:
        facts: What is known of it; size, mass and articulations are replaced by those of the file.
        path: Of the file.
        front_yaw: Direction of its front in the file's frame, radians counter-clockwise from +x.
    """

    def __init__(self, facts: AssetFacts, path: Path, *, front_yaw: float = 0.0) -> None:
        self._known, self._path, self._front_yaw = facts, path, front_yaw

    @cached_property
    def facts(self) -> AssetFacts:
        x, y, z = (float(value) for value in self._measured.size_m)
        is_across = abs(math.sin(self._front_yaw)) > math.sqrt(0.5)
        return replace(
            self._known,
            size_m=(y, x, z) if is_across else (x, y, z),
            mass_kg=self._measured.mass_kg,
            articulations=self._measured.articulations,
        )

    @cached_property
    def _measured(self) -> Measured:
        return measure(read_spec(self._path), self._path)

    def add_to(
        self,
        parent: mujoco.MjsBody,
        name: str,
        *,
        position_m: Sequence[float],
        quat_wxyz: Sequence[float],
        is_free: bool,
        scale: float = 1.0,
        colours: Mapping[str, Sequence[float]] | None = None,
    ) -> mujoco.MjsBody:
        if colours:
            raise ConfigError(f"asset {self.facts.uid!r} cannot be coloured, got colours of {', '.join(colours)}")
        spec = read_spec(self._path)
        body = first_body(spec, self._path)
        for joint in [joint for joint in spec.joints if joint.type == mujoco.mjtJoint.mjJNT_FREE]:
            spec.delete(joint)
        for key in spec.keys:
            spec.delete(key)
        set_roles(body)
        if scale != 1:
            scale_spec(spec, scale)
        root = parent.add_body(name=name, pos=position_m, quat=quat_wxyz)
        if is_free:
            add_free_joint(root, name)
        low, high = self._measured.low_m * scale, self._measured.high_m * scale
        cosine, sine = math.cos(self._front_yaw), math.sin(self._front_yaw)
        back = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])
        bottom = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
        half = -self._front_yaw / 2
        frame = root.add_frame(pos=-back @ bottom, quat=(math.cos(half), 0, 0, math.sin(half)))
        frame.attach_body(body, f"{name}/", "")
        return root


def read_spec(path: Path) -> mujoco.MjSpec:
    """A file as a specification whose meshes and pictures have absolute paths, so that it can be attached anywhere.

    Raises:
        DataError: it is no MJCF, or is not there.
    """
    try:
        spec = mujoco.MjSpec.from_file(str(path))
    except (ValueError, OSError) as error:
        raise DataError(f"cannot read the asset {path}: {error}") from error
    for element, source in referenced_files(spec):
        element.file = str(source.resolve())
    spec.compiler.meshdir = spec.compiler.texturedir = ""
    return spec


def first_body(spec: mujoco.MjSpec, path: Path) -> mujoco.MjsBody:
    """The body that is the asset.

    Raises:
        DataError: the file has none.
    """
    body = spec.worldbody.first_body()
    if body is None:
        raise DataError(f"the asset {path} has no body, expected one under worldbody")
    return body


def measure(spec: mujoco.MjSpec, path: Path) -> Measured:
    """Box, mass and joints of the first body of a file.

    Raises:
        DataError: the file does not compile, or the body has no shape.
    """
    name = first_body(spec, path).name
    try:
        model = spec.compile()
    except ValueError as error:
        raise DataError(f"the asset {path} does not compile: {error}") from error
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    root = model.body(name).id if name else 1
    inside = [body for body in range(1, model.nbody) if model.body_rootid[body] == model.body_rootid[root]]
    corners = [
        bounds
        for body in inside
        for geom in range(model.body_geomadr[body], model.body_geomadr[body] + model.body_geomnum[body])
        for bounds in geom_bounds(model, data, geom)
    ]
    if not corners:
        raise DataError(f"the asset {path} has no geom")
    return Measured(
        low_m=np.min(corners, axis=0),
        high_m=np.max(corners, axis=0),
        mass_kg=float(model.body_mass[inside].sum()),
        articulations=tuple(_articulations(model, inside)),
    )


def geom_bounds(model: mujoco.MjModel, data: mujoco.MjData, geom: int) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest corner of the box around a geom, world axes; exact but for height fields."""
    rotation, centre = data.geom_xmat[geom].reshape(3, 3), data.geom_xpos[geom]
    kind, size = mujoco.mjtGeom(int(model.geom_type[geom])), model.geom_size[geom]
    types = mujoco.mjtGeom
    mesh = int(model.geom_dataid[geom])
    if kind == types.mjGEOM_MESH:
        first, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
        points = model.mesh_vert[first : first + count] @ rotation.T + centre
        return points.min(0), points.max(0)
    if kind == types.mjGEOM_SPHERE:
        half = np.full(3, size[0])
    elif kind == types.mjGEOM_CAPSULE:
        half = size[0] + size[1] * np.abs(rotation[:, 2])
    elif kind == types.mjGEOM_CYLINDER:
        half = size[0] * np.sqrt(np.maximum(0, 1 - rotation[:, 2] ** 2)) + size[1] * np.abs(rotation[:, 2])
    elif kind == types.mjGEOM_ELLIPSOID:
        half = np.sqrt(((rotation * size) ** 2).sum(1))
    else:
        middle, extent = model.geom_aabb[geom, :3], model.geom_aabb[geom, 3:]
        centre, half = centre + rotation @ middle, np.abs(rotation) @ extent
    return centre - half, centre + half


def _articulations(model: mujoco.MjModel, bodies: Sequence[int]) -> Iterator[Articulation]:
    kinds: dict[int, Literal["hinge", "slide"]] = {
        int(mujoco.mjtJoint.mjJNT_HINGE): "hinge",
        int(mujoco.mjtJoint.mjJNT_SLIDE): "slide",
    }
    for joint in range(model.njnt):
        body, kind = int(model.jnt_bodyid[joint]), kinds.get(int(model.jnt_type[joint]))
        low, high = (float(value) for value in model.jnt_range[joint])
        name = model.joint(joint).name
        if kind is None or body not in bodies or not model.jnt_limited[joint] or not name or low * high != 0:
            continue
        touching = model.geom_contype | model.geom_conaffinity
        solid = [geom for geom in _geoms_below(model, body) if touching[geom] and model.geom(geom).name]
        handles = [geom for geom in solid if "handle" in _words(model, geom)] or solid
        if handles:
            handle = model.geom(handles[0]).name
            part = "drawer" if kind == "slide" else "door"
            yield Articulation(joint=name, kind=kind, range=(low, high), part=part, handle=handle)


def _geoms_below(model: mujoco.MjModel, body: int) -> list[int]:
    """Geoms of a body and of everything that hangs on it."""
    below = {body}
    for other in range(body + 1, model.nbody):  # parents come first
        if model.body_parentid[other] in below:
            below.add(other)
    return [geom for geom in range(model.ngeom) if model.geom_bodyid[geom] in below]


def _words(model: mujoco.MjModel, geom: int) -> str:
    return f"{model.geom(geom).name} {model.body(model.geom_bodyid[geom]).name}".lower()


def set_roles(body: mujoco.MjsBody) -> None:
    """Give the geoms of an asset our contact bits: none to those that touch nothing, then by what moves.

    Where an asset has shapes that only show, those that collide go to the group that pictures leave out.
    """
    geoms = list(_geoms(body, is_moving=False))
    has_looks = any(_is_visual(geom) for geom, _ in geoms)
    for geom, is_moving in geoms:
        if _is_visual(geom):
            geom.contype, geom.conaffinity = CONTACT_BITS["visual"]
        else:
            geom.contype, geom.conaffinity = CONTACT_BITS["articulated" if is_moving else "dynamic"]
            geom.group = COLLISION_GROUP if has_looks else 0


def _geoms(body: mujoco.MjsBody, *, is_moving: bool) -> Iterator[tuple[mujoco.MjsGeom, bool]]:
    """Geoms of a body and below, and whether a joint moves them within the asset."""
    for geom in body.geoms:
        yield geom, is_moving
    for child in body.bodies:
        yield from _geoms(child, is_moving=is_moving or bool(child.joints))


def _is_visual(geom: mujoco.MjsGeom) -> bool:
    return not geom.contype and not geom.conaffinity


def scale_spec(spec: mujoco.MjSpec, scale: float) -> None:
    """Multiply all lengths of a specification; masses that are given follow the volume, others do by themselves."""
    for body in spec.bodies:
        body.pos, body.ipos = body.pos * scale, body.ipos * scale
        if body.explicitinertial:
            body.mass = body.mass * scale**3
            body.inertia, body.fullinertia = body.inertia * scale**5, body.fullinertia * scale**5
    for frame in spec.frames:
        frame.pos = frame.pos * scale
    for geom in spec.geoms:
        geom.pos, geom.size, geom.fromto = geom.pos * scale, geom.size * scale, geom.fromto * scale
        geom.mass = geom.mass * scale**3
    for site in spec.sites:
        site.pos, site.size, site.fromto = site.pos * scale, site.size * scale, site.fromto * scale
    for joint in spec.joints:
        joint.pos = joint.pos * scale
        if joint.type == mujoco.mjtJoint.mjJNT_SLIDE:
            joint.range, joint.ref, joint.springref = joint.range * scale, joint.ref * scale, joint.springref * scale
    for mesh in spec.meshes:
        mesh.scale = mesh.scale * scale
