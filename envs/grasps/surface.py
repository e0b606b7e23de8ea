"""Collision geometry as convex pieces, points on its outside, and whether boxes are clear of it.

MuJoCo collides convex shapes only: primitives, and the hulls of meshes. So every asset is a union of convex polyhedra,
each the intersection of half-spaces, and points, boxes and lines are tested against all of them in numpy.

Source: sheet of MolmoSpaces section 14, steps 1 to 3.
Differs: upstream merges the meshes into one watertight mesh; here the parts of a surface that lie within another piece
are left out, which gives the same outside without a mesh library.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull

from zoo.envs.scenes.physics import collides
from zoo.envs.simulator import mujoco
from zoo.errors import DataError

AREA_PER_POINT_M2 = 25e-6  # one point per 25 mm2
ROUND_SIDES = 32  # of the prism that stands for a cylinder: sagitta of 0.2 mm at a radius of 4 cm
SPHERE_POINTS = 122
MAX_HULL_VERTICES = 128  # of a mesh; the sheet halves the triangles instead
MAX_EDGE_DIRECTIONS = 24  # of pieces with more, which are nearly round, faces alone tell whether a box is clear
INSIDE_M = 0.5e-3  # a surface that another piece covers to this depth is not on the outside

_BOX_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)
_BOX_TRIANGLES = ConvexHull(_BOX_CORNERS).simplices
_BOX_NORMALS = np.concatenate([np.eye(3), -np.eye(3)])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ConvexPiece:
    """A convex polyhedron, given three ways.

    Args:
        vertices: (vertices, 3) metres.
        triangles: (triangles, 3) indices of vertices; the surface, wound either way.
        normals: (planes, 3) outward unit normals.
        offsets: (planes,) metres; inside is normals @ point <= offsets.
        edges: (directions, 3) unit directions of its edges; empty if there are more than `MAX_EDGE_DIRECTIONS`.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    normals: np.ndarray
    offsets: np.ndarray
    edges: np.ndarray

    @classmethod
    def hull(cls, points: np.ndarray) -> ConvexPiece:
        """Of points (points, 3) that do not lie in one plane."""
        hull = ConvexHull(points)
        planes = np.unique(np.round(hull.equations, 7), axis=0)  # one for each face, not for each of its triangles
        lengths = np.linalg.norm(planes[:, :3], axis=1)
        return cls(
            vertices=points,
            triangles=hull.simplices,
            normals=planes[:, :3] / lengths[:, None],
            offsets=-planes[:, 3] / lengths,
            edges=_edge_directions(hull),
        )

    @classmethod
    def box(cls, half_size_m: Sequence[float]) -> ConvexPiece:
        """Around the origin, from its half extents."""
        half = np.asarray(half_size_m, np.float64)
        return cls(
            vertices=_BOX_CORNERS * half,
            triangles=_BOX_TRIANGLES,
            normals=_BOX_NORMALS,
            offsets=np.concatenate([half, half]),
            edges=np.eye(3),
        )

    def moved(self, rotation: np.ndarray, position_m: np.ndarray) -> ConvexPiece:
        """The same piece in a frame in which its own frame has this (3, 3) rotation and (3,) position."""
        normals = self.normals @ rotation.T
        return ConvexPiece(
            vertices=self.vertices @ rotation.T + position_m,
            triangles=self.triangles,
            normals=normals,
            offsets=self.offsets + normals @ position_m,
            edges=self.edges @ rotation.T,
        )

    def depth(self, points: np.ndarray) -> np.ndarray:
        """How far (points, 3) are inside: (points,) metres to the nearest plane, negative outside."""
        return (self.offsets - points @ self.normals.T).min(axis=1)


def pieces_of(model: mujoco.MjModel, data: mujoco.MjData, geoms: Iterable[int], body: int) -> list[ConvexPiece]:
    """Convex pieces of geoms in the frame of a body.

    Args:
        model: Compiled.
        data: With up-to-date kinematics.
        geoms: Identifiers.
        body: In whose frame the pieces are.
    Raises:
        DataError: a geom is of a kind without a bounded convex shape.
    """
    turn, place = data.xmat[body].reshape(3, 3), data.xpos[body]
    return [
        _piece(model, geom).moved(turn.T @ data.geom_xmat[geom].reshape(3, 3), turn.T @ (data.geom_xpos[geom] - place))
        for geom in geoms
    ]


def pieces_near(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    centre_m: Sequence[float],
    radius_m: float,
    *,
    skip_bodies: Collection[int] = (),
) -> list[ConvexPiece]:
    """What stands in the way around a point of a scene, in the world frame.

    Args:
        model: Of the scene.
        data: With up-to-date kinematics.
        centre_m: World position.
        radius_m: How far around it.
        skip_bodies: Whose geoms do not count: the hand itself, or the object that it is to grasp.
    """
    centre = np.asarray(centre_m, np.float64)
    skipped = np.isin(model.geom_bodyid, sorted(skip_bodies))
    distance = np.linalg.norm(data.geom_xpos - centre, axis=1)
    is_plane = model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE
    is_near = is_plane | (distance <= radius_m + model.geom_rbound)
    pieces = []
    for geom in np.flatnonzero(is_near & ~skipped & collides(model)):
        turn, place = data.geom_xmat[geom].reshape(3, 3), data.geom_xpos[geom]
        if is_plane[geom]:
            pieces += _slab_below(turn, place, centre, radius_m)
        else:
            pieces.append(_piece(model, geom).moved(turn, place))
    return pieces


def collision_geoms(model: mujoco.MjModel, bodies: Collection[int]) -> list[int]:
    """Geoms of bodies that can touch anything."""
    return [int(geom) for geom in np.flatnonzero(np.isin(model.geom_bodyid, sorted(bodies)) & collides(model))]


def surface_points(
    pieces: Sequence[ConvexPiece], rng: np.random.Generator, *, others: Sequence[ConvexPiece] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Points spread evenly over the outside of a union of pieces, one for every 25 mm2.

    Args:
        pieces: To sample.
        rng: Source of randomness.
        others: More pieces that may cover parts of the surface.
    Returns:
        (points, 3) positions and (points, 3) outward normals.
    """
    all_pieces = (*pieces, *others)
    found = [_points_of(piece, rng) for piece in pieces]
    for index, (points, normals) in enumerate(found):
        just_outside = points + INSIDE_M * normals  # also finds faces that lie on one another
        is_covered = np.zeros(len(points), bool)
        for number, other in enumerate(all_pieces):
            if number != index:
                is_covered |= other.depth(just_outside) > -INSIDE_M / 2
        found[index] = points[~is_covered], normals[~is_covered]
    if not found:
        return np.zeros((0, 3)), np.zeros((0, 3))
    return np.concatenate([points for points, _ in found]), np.concatenate([normals for _, normals in found])


def boxes_are_clear(
    pieces: Sequence[ConvexPiece], poses: np.ndarray, centres_m: np.ndarray, half_sizes_m: np.ndarray
) -> np.ndarray:
    """Whether boxes that move together touch no piece.

    Separating planes are sought along the faces of both, and along pairs of edges except on nearly round pieces, which
    may count as touched a little early.

    Args:
        pieces: Obstacles.
        poses: (poses, 4, 4) of the frame that carries the boxes, in the frame of the pieces.
        centres_m: (boxes, 3) in the carrying frame, whose axes the boxes follow.
        half_sizes_m: (boxes, 3).
    Returns:
        (poses,) bool.
    """
    clear = np.ones(len(poses), bool)
    middle = (np.min(centres_m - half_sizes_m, axis=0) + np.max(centres_m + half_sizes_m, axis=0)) / 2
    reach = np.linalg.norm(np.abs(centres_m - middle) + half_sizes_m, axis=1).max()
    for piece in pieces:
        centre = piece.vertices.mean(axis=0)
        radius = np.linalg.norm(piece.vertices - centre, axis=1).max()
        around = poses[:, :3, :3] @ middle + poses[:, :3, 3]
        near = np.flatnonzero(clear & (np.linalg.norm(around - centre, axis=1) <= radius + reach))
        if len(near):
            clear[near] = _boxes_miss(piece, poses[near], centres_m, half_sizes_m)
    return clear


def _boxes_miss(piece: ConvexPiece, poses: np.ndarray, centres_m: np.ndarray, half_sizes_m: np.ndarray) -> np.ndarray:
    turn, place = poses[:, :3, :3], poses[:, :3, 3]
    seen = (piece.vertices[None] - place[:, None]) @ turn  # (poses, vertices, 3) in the carrying frame
    low, high = seen.min(axis=1), seen.max(axis=1)
    normals = piece.normals[None] @ turn  # (poses, planes, 3)
    offsets = piece.offsets[None] - place @ piece.normals.T
    misses = np.ones(len(poses), bool)
    for centre, half in zip(centres_m, half_sizes_m, strict=True):
        is_beside = ((low > centre + half) | (high < centre - half)).any(axis=1)
        nearest = normals @ centre - np.abs(normals) @ half
        is_apart = is_beside | (nearest > offsets).any(axis=1)
        unclear = np.flatnonzero(misses & ~is_apart)
        if len(unclear) and len(piece.edges):
            is_apart[unclear] = _edges_part(seen[unclear], piece.edges @ turn[unclear], centre, half)
        misses &= is_apart
    return misses


def _edges_part(seen: np.ndarray, edges: np.ndarray, centre: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Whether a plane along an edge of a box and one of (poses, edges, 3) parts it from (poses, vertices, 3)."""
    axes = np.cross(np.eye(3)[:, None], edges[:, None]).reshape(len(seen), -1, 3)
    places = axes @ seen.transpose(0, 2, 1)  # (poses, axes, vertices)
    middle, reach = axes @ centre, np.abs(axes) @ half + 1e-12  # parallel edges have no axis and part nothing
    return ((places.min(axis=2) > middle + reach) | (places.max(axis=2) < middle - reach)).any(axis=1)


def _piece(model: mujoco.MjModel, geom: int) -> ConvexPiece:
    """A geom in its own frame."""
    kind, size = model.geom_type[geom], model.geom_size[geom]
    if kind == mujoco.mjtGeom.mjGEOM_BOX:
        return ConvexPiece.box(size)
    if kind == mujoco.mjtGeom.mjGEOM_SPHERE:
        return ConvexPiece.hull(size[0] * _sphere(SPHERE_POINTS))
    if kind == mujoco.mjtGeom.mjGEOM_ELLIPSOID:
        return ConvexPiece.hull(size * _sphere(SPHERE_POINTS))
    if kind == mujoco.mjtGeom.mjGEOM_CYLINDER:
        return ConvexPiece.hull(_rims(size[0], size[1]))
    if kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
        ball = size[0] * _sphere(SPHERE_POINTS)
        ball[:, 2] += np.where(ball[:, 2] > 0, size[1], -size[1])
        return ConvexPiece.hull(np.concatenate([ball, _rims(size[0], size[1])]))
    if kind == mujoco.mjtGeom.mjGEOM_MESH:
        return _mesh_piece(model, int(model.geom_dataid[geom]))
    name = mujoco.mjtGeom(kind).name.removeprefix("mjGEOM_").lower()
    raise DataError(
        f"geom {model.geom(geom).name!r} is a {name}, which has no bounded convex shape to grasp or to avoid; "
        "make it of boxes, spheres, ellipsoids, cylinders, capsules or meshes"
    )


def _mesh_piece(model: mujoco.MjModel, mesh: int) -> ConvexPiece:
    start, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
    vertices = np.unique(model.mesh_vert[start : start + count].astype(np.float64), axis=0)
    corners = vertices[ConvexHull(vertices).vertices]
    if len(corners) > MAX_HULL_VERTICES:  # those that are farthest in evenly spread directions
        corners = corners[np.unique((corners @ _sphere(MAX_HULL_VERTICES).T).argmax(axis=0))]
    return ConvexPiece.hull(corners)


def _slab_below(turn: np.ndarray, place: np.ndarray, centre: np.ndarray, radius_m: float) -> list[ConvexPiece]:
    """The part of a plane's lower side that is within reach of a point."""
    height = float((centre - place) @ turn[:, 2])
    if height > radius_m:
        return []
    middle = centre - (height + radius_m) * turn[:, 2]
    return [ConvexPiece.box((radius_m, radius_m, radius_m)).moved(turn, middle)]


def _points_of(piece: ConvexPiece, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    corners = piece.vertices[piece.triangles]  # (triangles, 3 corners, 3)
    crossed = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(crossed, axis=1) / 2
    number = math.ceil(area.sum() / AREA_PER_POINT_M2)
    chosen = rng.choice(len(area), size=number, p=area / area.sum())
    first, second = rng.random((2, number, 1))
    flip = first + second > 1
    first, second = np.where(flip, 1 - first, first), np.where(flip, 1 - second, second)
    a, b, c = corners[chosen].transpose(1, 0, 2)
    points = a + first * (b - a) + second * (c - a)
    normals = crossed[chosen] / (2 * area[chosen, None])
    outward = np.sign(np.einsum("ni,ni->n", normals, a - piece.vertices.mean(axis=0)))
    return points, normals * outward[:, None]


def _edge_directions(hull: ConvexHull) -> np.ndarray:
    """Of a hull's edges between faces that do not lie in one plane, each direction once."""
    found = []
    for corners, neighbours, plane in zip(hull.simplices, hull.neighbors, hull.equations, strict=True):
        for corner, neighbour in enumerate(neighbours):  # the neighbour lies across from the corner
            if plane[:3] @ hull.equations[neighbour, :3] < 1 - 1e-9:
                first, last = np.delete(corners, corner)
                found.append(hull.points[last] - hull.points[first])
    directions = np.array(found) / np.linalg.norm(found, axis=1, keepdims=True)
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=1)[:, None], axis=1)
    directions = np.unique(np.round(directions * np.sign(largest), 6), axis=0)
    return directions if len(directions) <= MAX_EDGE_DIRECTIONS else np.zeros((0, 3))


def _sphere(number: int) -> np.ndarray:
    """(number, 3) evenly spread unit vectors."""
    height = 1 - (2 * np.arange(number) + 1) / number
    angle = np.arange(number) * math.pi * (3 - math.sqrt(5))
    return np.stack([np.sqrt(1 - height**2) * np.cos(angle), np.sqrt(1 - height**2) * np.sin(angle), height], axis=1)


def _rims(radius_m: float, half_length_m: float) -> np.ndarray:
    """(2 * ROUND_SIDES, 3) points around both ends of a cylinder along z, the lower end's first."""
    angle = 2 * math.pi * np.arange(ROUND_SIDES) / ROUND_SIDES
    ring = radius_m * np.stack([np.cos(angle), np.sin(angle), np.zeros(ROUND_SIDES)], axis=1)
    end = np.array([0.0, 0.0, half_length_m])
    return np.concatenate([ring - end, ring + end])
