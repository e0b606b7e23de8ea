"""Outlines on the floor of a model's collision geoms: exact shadows of primitives, hulls of meshes.

The shadow of a geom is its orthographic projection along z. Boxes, spheres, capsules, cylinders and ellipsoids are
exact; a mesh is its convex hull, which is what MuJoCo collides with.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from zoo.envs.navigation.raster import ConvexShapes
from zoo.envs.scenes.physics import collides
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError

_TYPES = mujoco.mjtGeom
_SUPPORTED = ("box", "sphere", "capsule", "cylinder", "ellipsoid", "mesh", "sdf")


def subtree(model: mujoco.MjModel, names: Iterable[str]) -> np.ndarray:
    """Which bodies are one of the named ones or hang on one.

    Returns:
        (bodies,) bool.
    Raises:
        ConfigError: the model has no such body.
    """
    is_within = np.zeros(model.nbody, bool)
    for name in names:
        body = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, name)
        if body < 0:
            known = [model.body(index).name for index in range(1, model.nbody)]
            shown = ", ".join(known[:10]) + (f" and {len(known) - 10} more" if len(known) > 10 else "")
            raise ConfigError(f"the model has no body {name!r}; its bodies: {shown or 'none'}")
        is_within[body] = True
    for body in range(1, model.nbody):  # parents come before their children
        is_within[body] |= is_within[model.body_parentid[body]]
    return is_within


def collision_footprints(
    model: mujoco.MjModel, data: mujoco.MjData, *, bodies: np.ndarray, low_m: float, high_m: float
) -> ConvexShapes:
    """Shadows of the geoms that collide and whose height range meets [low_m, high_m].

    Args:
        model: Any model.
        data: Its state, with positions computed (`mj_kinematics`).
        bodies: (bodies,) bool; whose geoms count.
        low_m: Geoms that end at or below this height do not count.
        high_m: Geoms that begin at or above this height do not count.
    Returns:
        In world coordinates, metres.
    Raises:
        ConfigError: a plane that is not level, or a height field, reaches into the range.
    """
    counts = bodies[model.geom_bodyid] & collides(model)
    geoms = np.flatnonzero(counts)
    rotations = data.geom_xmat[geoms].reshape(-1, 3, 3)
    positions, sizes, kinds = data.geom_xpos[geoms], model.geom_size[geoms], model.geom_type[geoms]
    _refuse_terrain(model, geoms, kinds, rotations, positions, low_m)
    hulls = {int(geom): _mesh_points(model, data, int(geom)) for geom in geoms[_is_mesh(kinds)]}
    reach = _half_height(kinds, sizes, rotations)
    bottom, top = positions[:, 2] - reach, positions[:, 2] + reach
    for index in np.flatnonzero(_is_mesh(kinds)):
        heights = hulls[int(geoms[index])][:, 2]
        bottom[index], top[index] = heights.min(), heights.max()
    meets = (top > low_m) & (bottom < high_m) & (kinds != _TYPES.mjGEOM_PLANE)
    meshes = [_outline(hulls[int(geom)][:, :2]) for geom in geoms[meets & _is_mesh(kinds)]]
    primitives = _primitive_shapes(kinds[meets], sizes[meets], rotations[meets], positions[meets])
    return ConvexShapes(
        corners=np.concatenate([primitives.corners, *meshes]),
        counts=np.concatenate([primitives.counts, np.array([len(mesh) for mesh in meshes], np.int64)]),
        centres=primitives.centres,
        spreads=primitives.spreads,
    )


def _is_mesh(kinds: np.ndarray) -> np.ndarray:
    return (kinds == _TYPES.mjGEOM_MESH) | (kinds == _TYPES.mjGEOM_SDF)


def _refuse_terrain(
    model: mujoco.MjModel,
    geoms: np.ndarray,
    kinds: np.ndarray,
    rotations: np.ndarray,
    positions: np.ndarray,
    low_m: float,
) -> None:
    is_level = (rotations[:, 2, 2] > 1 - 1e-6) & (positions[:, 2] <= low_m)
    bad = ((kinds == _TYPES.mjGEOM_PLANE) & ~is_level) | (kinds == _TYPES.mjGEOM_HFIELD)
    if bad.any():
        geom = int(geoms[np.argmax(bad)])
        raise ConfigError(
            f"geom {model.geom(geom).name or geom!r} is a height field, or a plane that is not level floor: a map can "
            f"be made of {', '.join(_SUPPORTED)} and of level planes at or below {low_m:g} m; use a box"
        )


def _half_height(kinds: np.ndarray, sizes: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """Half the extent along z of each primitive."""
    up = rotations[:, 2]  # (geoms, 3): z components of the three axes
    radius, half = sizes[:, 0], sizes[:, 1]
    tilt = np.abs(up[:, 2])
    return np.select(
        [
            kinds == _TYPES.mjGEOM_BOX,
            kinds == _TYPES.mjGEOM_CAPSULE,
            kinds == _TYPES.mjGEOM_CYLINDER,
            kinds == _TYPES.mjGEOM_ELLIPSOID,
        ],
        [
            np.abs(up * sizes).sum(axis=1),
            radius + tilt * half,
            tilt * half + radius * np.sqrt(np.maximum(1 - tilt**2, 0)),
            np.sqrt(((up * sizes) ** 2).sum(axis=1)),
        ],
        radius,
    )


def _primitive_shapes(
    kinds: np.ndarray, sizes: np.ndarray, rotations: np.ndarray, positions: np.ndarray
) -> ConvexShapes:
    is_box, is_ellipsoid = kinds == _TYPES.mjGEOM_BOX, kinds == _TYPES.mjGEOM_ELLIPSOID
    is_sphere = kinds == _TYPES.mjGEOM_SPHERE
    is_long = (kinds == _TYPES.mjGEOM_CAPSULE) | (kinds == _TYPES.mjGEOM_CYLINDER)
    flat = positions[:, :2]
    boxes = _box_outlines(sizes[is_box], rotations[is_box]) + flat[is_box, None]
    along = rotations[is_long][:, :2, 2] * sizes[is_long, 1:2]  # from the middle to an end, on the floor
    radius = sizes[is_long, 0]
    beside = np.stack([-along[:, 1], along[:, 0]], axis=1)
    length = np.linalg.norm(beside, axis=1, keepdims=True)
    beside = beside / np.where(length > 0, length, 1) * radius[:, None]  # an upright one has no rectangle between ends
    rectangles = np.stack([along + beside, beside - along, -along - beside, along - beside], axis=1)
    rectangles += flat[is_long, None]
    square = np.eye(2) * (sizes[:, 0] ** 2)[:, None, None]
    axis = rotations[:, :2, 2]
    disc = square - (sizes[:, 0] ** 2)[:, None, None] * axis[:, :, None] * axis[:, None, :]  # of a cylinder's end
    ends = np.where((kinds == _TYPES.mjGEOM_CYLINDER)[:, None, None], disc, square)[is_long]
    axes = rotations[is_ellipsoid][:, :2] * sizes[is_ellipsoid][:, None, :]
    return ConvexShapes(
        corners=np.concatenate([boxes.reshape(-1, 2), rectangles.reshape(-1, 2)]),
        counts=np.concatenate([np.full(len(boxes), 6), np.full(len(rectangles), 4)]).astype(np.int64),
        centres=np.concatenate([flat[is_sphere], flat[is_ellipsoid], flat[is_long] + along, flat[is_long] - along]),
        spreads=np.concatenate([square[is_sphere], axes @ axes.transpose(0, 2, 1), ends, ends]),
    )


def _box_outlines(sizes: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """(boxes, 6, 2) corners of each shadow about its middle: the sum of three segments; a level box has two double."""
    arms = (rotations[:, :2] * sizes[:, None, :]).transpose(0, 2, 1)  # (boxes, axis, xy)
    is_back = (arms[..., 1] < 0) | ((arms[..., 1] == 0) & (arms[..., 0] < 0))
    arms = np.where(is_back[..., None], -arms, arms)
    order = np.argsort(np.arctan2(arms[..., 1], arms[..., 0]), axis=1)
    arms = np.take_along_axis(arms, order[..., None], axis=1)
    lowest = -arms.sum(axis=1, keepdims=True)
    half = lowest + 2 * np.concatenate([np.zeros_like(lowest), np.cumsum(arms, axis=1)[:, :2]], axis=1)
    return np.concatenate([half, -half], axis=1)


def _mesh_points(model: mujoco.MjModel, data: mujoco.MjData, geom: int) -> np.ndarray:
    """(points, 3) corners of a mesh geom's convex hull in the world."""
    mesh = int(model.geom_dataid[geom])
    begin, graph = int(model.mesh_vertadr[mesh]), int(model.mesh_graphadr[mesh])
    if graph >= 0:  # counts, edge addresses, then the indices of the hull's vertices
        number = int(model.mesh_graph[graph])
        vertices = model.mesh_vert[begin + model.mesh_graph[graph + 2 + number : graph + 2 + 2 * number]]
    else:
        vertices = model.mesh_vert[begin : begin + int(model.mesh_vertnum[mesh])]
    return vertices.astype(np.float64) @ data.geom_xmat[geom].reshape(3, 3).T + data.geom_xpos[geom]


def _outline(points: np.ndarray) -> np.ndarray:
    """(corners, 2) of the convex hull, in order; the two ends where all points lie on a line."""
    try:
        return points[ConvexHull(points).vertices]
    except QhullError:  # a flat mesh that stands upright
        offset = points - points.mean(axis=0)
        along = offset @ np.linalg.svd(offset, full_matrices=False)[2][0]
        return points[[int(along.argmin()), int(along.argmax())]]
