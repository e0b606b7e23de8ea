"""A compiled model as other simulators see it: rigid links, the joints between them, and triangles of any shape.

MuJoCo welds bodies without joints to their parents; here such bodies are one link with it, but what stands at the
world is a link of its own, so that furniture stays apart from the house. Joint positions of other formats are 0 where
MuJoCo's are `qpos0`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zoo.envs.simulator import mujoco

PLANE_HALF_M = 50.0
"""Half the edge of a plane that MuJoCo draws without end."""

FLAT_M = 1e-6
"""A surface whose volume is less than this times its area is flat."""

RINGS, SEGMENTS = 12, 24
"""Of the triangles of an ellipsoid."""


@dataclass(frozen=True, slots=True)
class Link:
    """Bodies that move as one.

    Args:
        body: Its root, which names it; 0 is the world.
        bodies: All of them, the root first, parents before children.
        parent: Root body of the link that it hangs on; -1 of the world's link.
        joints: Between it and its parent, in the order in which they apply; empty where it stands still.
    """

    body: int
    bodies: tuple[int, ...]
    parent: int
    joints: tuple[int, ...]

    def is_free(self, model: mujoco.MjModel) -> bool:
        """Whether it flies."""
        return bool(self.joints) and joint_type(model, self.joints[0]) == mujoco.mjtJoint.mjJNT_FREE


def joint_type(model: mujoco.MjModel, joint: int) -> mujoco.mjtJoint:
    """As MuJoCo's enumeration, whose members do not equal the numbers of the model's arrays."""
    return mujoco.mjtJoint(int(model.jnt_type[joint]))


def geom_type(model: mujoco.MjModel, geom: int) -> mujoco.mjtGeom:
    """As MuJoCo's enumeration, whose members do not equal the numbers of the model's arrays."""
    return mujoco.mjtGeom(int(model.geom_type[geom]))


def links_of(model: mujoco.MjModel) -> dict[int, Link]:
    """Links by root body, parents first."""
    root_of = {0: 0}
    members: dict[int, list[int]] = {0: [0]}
    for body in range(1, model.nbody):
        parent = int(model.body_parentid[body])
        root = body if model.body_jntnum[body] or parent == 0 else root_of[parent]
        root_of[body] = root
        members.setdefault(root, []).append(body)
    links = {}
    for root, bodies in members.items():
        first, count = int(model.body_jntadr[root]), int(model.body_jntnum[root])
        parent = -1 if root == 0 else root_of[int(model.body_parentid[root])]
        links[root] = Link(root, tuple(bodies), parent, tuple(range(first, first + count)))
    return links


def at_zero(model: mujoco.MjModel) -> mujoco.MjData:
    """The state in which joints of other formats are 0: every position at `qpos0`."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    return data


def position_from_zero(model: mujoco.MjModel, data: mujoco.MjData, joint: int) -> float:
    """Position of a hinge or slide, measured from `qpos0`."""
    address = model.jnt_qposadr[joint]
    return float(data.qpos[address] - model.qpos0[address])


def limits_from_zero(model: mujoco.MjModel, joint: int) -> tuple[float, float] | None:
    """Range of a hinge or slide, measured from `qpos0`; None without limits."""
    if not model.jnt_limited[joint]:
        return None
    low, high = model.jnt_range[joint] - model.qpos0[model.jnt_qposadr[joint]]
    return float(low), float(high)


def pose(position: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """(4, 4) of a position (3,) and a rotation of nine numbers."""
    matrix = np.eye(4)
    matrix[:3, 3], matrix[:3, :3] = position, np.reshape(rotation, (3, 3))
    return matrix


def body_pose(data: mujoco.MjData, body: int) -> np.ndarray:
    """(4, 4) of a body in the world."""
    return pose(data.xpos[body], data.xmat[body])


def geom_pose(data: mujoco.MjData, geom: int) -> np.ndarray:
    """(4, 4) of a geom in the world; `mj_kinematics` has been called."""
    return pose(data.geom_xpos[geom], data.geom_xmat[geom])


def name_of(model: mujoco.MjModel, kind: mujoco.mjtObj, index: int) -> str:
    """Name of an element, or its kind and number where it has none."""
    word = {mujoco.mjtObj.mjOBJ_BODY: "body", mujoco.mjtObj.mjOBJ_JOINT: "joint", mujoco.mjtObj.mjOBJ_GEOM: "geom"}
    return mujoco.mj_id2name(model, kind, index) or f"{word.get(kind, 'element')}_{index}"


@dataclass(frozen=True, slots=True)
class Inertia:
    """Of a link, in the frame of its root body.

    Args:
        mass_kg: Total.
        centre_m: (3,) centre of mass.
        tensor: (3, 3) about the centre, kg m2, axes of the root body.
    """

    mass_kg: float
    centre_m: np.ndarray
    tensor: np.ndarray


def inertia_of(model: mujoco.MjModel, zero: mujoco.MjData, link: Link) -> Inertia:
    """Mass properties of all bodies of a link together."""
    world = np.linalg.inv(body_pose(zero, link.body))
    masses, centres, tensors = [], [], []
    for body in link.bodies:
        own = np.eye(4)
        rotation = np.empty(9)
        mujoco.mju_quat2Mat(rotation, model.body_iquat[body])
        own[:3, :3], own[:3, 3] = rotation.reshape(3, 3), model.body_ipos[body]
        frame = world @ body_pose(zero, body) @ own
        masses.append(float(model.body_mass[body]))
        centres.append(frame[:3, 3])
        tensors.append(frame[:3, :3] @ np.diag(model.body_inertia[body]) @ frame[:3, :3].T)
    total = sum(masses)
    centre = sum((m * c for m, c in zip(masses, centres, strict=True)), np.zeros(3)) / total if total else np.zeros(3)
    tensor = np.zeros((3, 3))
    for mass, own_centre, own_tensor in zip(masses, centres, tensors, strict=True):
        away = own_centre - centre
        tensor += own_tensor + mass * (away @ away * np.eye(3) - np.outer(away, away))
    return Inertia(total, centre, tensor)


def geoms_of(model: mujoco.MjModel, body: int) -> range:
    """Geoms of a body."""
    first = int(model.body_geomadr[body])
    return range(first, first + int(model.body_geomnum[body]))


def is_collider(model: mujoco.MjModel, geom: int) -> bool:
    """Whether anything can touch it."""
    return bool(model.geom_contype[geom] or model.geom_conaffinity[geom])


def is_hidden(model: mujoco.MjModel, geom: int) -> bool:
    """Whether pictures leave it out: MuJoCo shows the groups 0 to 2."""
    return bool(model.geom_group[geom] > 2)


def triangles_of(model: mujoco.MjModel, geom: int) -> tuple[np.ndarray, np.ndarray]:
    """Surface of a mesh, height field or ellipsoid in the geom's frame.

    Returns:
        Vertices (n, 3) in metres and faces (m, 3), counter-clockwise seen from outside.
    """
    kind, index = geom_type(model, geom), int(model.geom_dataid[geom])
    if kind == mujoco.mjtGeom.mjGEOM_HFIELD:
        return _height_field(model, index)
    if kind == mujoco.mjtGeom.mjGEOM_ELLIPSOID:
        vertices, faces = _sphere()
        return vertices * model.geom_size[geom], faces
    first, count = model.mesh_vertadr[index], model.mesh_vertnum[index]
    face, faces = model.mesh_faceadr[index], model.mesh_facenum[index]
    return model.mesh_vert[first : first + count].astype(float), model.mesh_face[face : face + faces].astype(int)


def solid(vertices: np.ndarray, faces: np.ndarray, thickness_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Triangles that enclose a volume: those of a flat surface as a plate below it, others as they are.

    Args:
        vertices: (n, 3).
        faces: (m, 3), counter-clockwise seen from outside.
        thickness_m: Of the plate.
    """
    corners = vertices[faces] - vertices.mean(0)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normals, axis=1).sum() / 2
    if abs(np.linalg.det(corners).sum()) / 6 > FLAT_M * area:
        return vertices, faces
    down = -thickness_m * normals.sum(0) / np.linalg.norm(normals.sum(0))
    count = len(vertices)
    edges = {(int(a), int(b)) for face in faces for a, b in zip(face, np.roll(face, -1), strict=True)}
    rim = [(a, b) for a, b in sorted(edges) if (b, a) not in edges]
    sides = [face for a, b in rim for face in ((a, a + count, b + count), (a, b + count, b))]
    return np.concatenate([vertices, vertices + down]), np.concatenate([faces, faces[:, ::-1] + count, sides])


def _sphere() -> tuple[np.ndarray, np.ndarray]:
    polar, around = np.meshgrid(
        np.linspace(0, np.pi, RINGS + 1), np.linspace(0, 2 * np.pi, SEGMENTS, endpoint=False), indexing="ij"
    )
    vertices = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], -1)
    return vertices.reshape(-1, 3), _grid_faces(RINGS, SEGMENTS, is_closed=True)


def _height_field(model: mujoco.MjModel, index: int) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = int(model.hfield_nrow[index]), int(model.hfield_ncol[index])
    half_x, half_y, top, _ = model.hfield_size[index]
    start = model.hfield_adr[index]
    heights = model.hfield_data[start : start + rows * columns].reshape(rows, columns) * top
    y, x = np.meshgrid(np.linspace(-half_y, half_y, rows), np.linspace(-half_x, half_x, columns), indexing="ij")
    faces = _grid_faces(rows - 1, columns, is_closed=False)[:, ::-1]  # rows go along y here, down the sphere there
    return np.stack([x, y, heights], -1).reshape(-1, 3), faces


def _grid_faces(rows: int, columns: int, *, is_closed: bool) -> np.ndarray:
    """Two triangles for every cell of a grid of vertices; a closed one goes around."""
    cells = columns if is_closed else columns - 1
    row, column = (part.ravel() for part in np.meshgrid(np.arange(rows), np.arange(cells), indexing="ij"))
    after = (column + 1) % columns
    a, b = row * columns + column, row * columns + after
    c, d = (row + 1) * columns + column, (row + 1) * columns + after
    return np.concatenate([np.stack([a, c, d], -1), np.stack([a, d, b], -1)])


def colour_of(model: mujoco.MjModel, geom: int) -> tuple[float, float, float, float]:
    """RGBA as MuJoCo draws it, a picture on it as its mean."""
    material = int(model.geom_matid[geom])
    own = model.geom_rgba[geom]
    is_default = np.allclose(own, (0.5, 0.5, 0.5, 1.0))
    rgba = np.array(model.mat_rgba[material] if material >= 0 and is_default else own, float)
    picture = int(model.mat_texid[material, mujoco.mjtTextureRole.mjTEXROLE_RGB]) if material >= 0 else -1
    if picture >= 0:
        channels, start = int(model.tex_nchannel[picture]), int(model.tex_adr[picture])
        size = int(model.tex_width[picture] * model.tex_height[picture]) * channels
        mean = model.tex_data[start : start + size].reshape(-1, channels).mean(0) / 255
        rgba[: min(channels, 3)] *= mean[: min(channels, 3)]
    red, green, blue, alpha = (float(value) for value in np.clip(rgba, 0, 1))
    return (red, green, blue, alpha)
