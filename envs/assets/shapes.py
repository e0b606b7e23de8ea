"""The shapes that our assets are made of: primitives and small convex meshes, placed and painted.

Every maker takes full sizes in metres and `at`, the middle of the shape's lower face, so that things are stacked by
adding heights. A shape names a colour; which colour that is, the design says.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from zoo.envs.scenes.specification import Point, Quaternion, Vector, signed_area

Kind = Literal["box", "cylinder", "capsule", "sphere", "ellipsoid", "mesh"]
Bounds = tuple[Vector, Vector]
UNTURNED: Quaternion = (1.0, 0.0, 0.0, 0.0)
ORIGIN: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Shape:
    """One geom.

    Args:
        kind: What it is.
        size: As MuJoCo's: half extents of a box or ellipsoid; radius and half length of a cylinder or capsule, along
            its z; radius of a sphere; unused for a mesh.
        centre_m: Of the shape; the origin of a mesh's vertices.
        colour: Name of the colour it is painted in.
        quat_wxyz: Its rotation about the centre.
        name: Of the geom; shapes without one are numbered.
        is_visual: Seen, but touched by nothing and without mass.
        density: Relative to the other shapes of the asset.
        vertices_m: Of a mesh: the corners of a convex body.
        mesh_volume_m3: Of a mesh.
    """

    kind: Kind
    size: Vector
    centre_m: Vector
    colour: str
    quat_wxyz: Quaternion = UNTURNED
    name: str = ""
    is_visual: bool = False
    density: float = 1.0
    vertices_m: tuple[Vector, ...] = ()
    mesh_volume_m3: float = 0.0

    def named(self, name: str) -> Shape:
        return dataclasses.replace(self, name=name)

    def weighing(self, density: float) -> Shape:
        """Made of something denser or lighter than the asset's other shapes."""
        return dataclasses.replace(self, density=density)

    def visual(self) -> Shape:
        return dataclasses.replace(self, is_visual=True)

    def turned(self, axis: Vector, angle: float) -> Shape:
        """Turned about its own centre by an angle in radians."""
        return dataclasses.replace(self, quat_wxyz=product(about(axis, angle), self.quat_wxyz))

    def volume_m3(self) -> float:
        a, b, c = self.size
        if self.kind == "box":
            return 8 * a * b * c
        if self.kind == "mesh":
            return self.mesh_volume_m3
        if self.kind == "ellipsoid":
            return 4 / 3 * math.pi * a * b * c
        ball = 4 / 3 * math.pi * a**3
        return {"sphere": ball, "capsule": ball + 2 * math.pi * a * a * b, "cylinder": 2 * math.pi * a * a * b}[
            self.kind
        ]

    def bounds(self) -> Bounds:
        """Lowest and highest x, y, z of the shape where it is, exactly."""
        if self.kind == "mesh":
            return _mesh_bounds(self)
        x, y, z = self.centre_m
        dx, dy, dz = _half_extents(self)
        return (x - dx, y - dy, z - dz), (x + dx, y + dy, z + dz)


def _half_extents(shape: Shape) -> Vector:
    a, b, c = shape.size
    if shape.kind == "sphere":
        return a, a, a
    if shape.quat_wxyz == UNTURNED:
        return {"cylinder": (a, a, b), "capsule": (a, a, a + b)}.get(shape.kind, (a, b, c))
    rows = matrix(shape.quat_wxyz)
    if shape.kind == "cylinder":
        return _each(rows, lambda row: a * math.sqrt(max(0.0, 1 - row[2] ** 2)) + b * abs(row[2]))
    if shape.kind == "capsule":
        return _each(rows, lambda row: a + b * abs(row[2]))
    if shape.kind == "ellipsoid":
        return _each(rows, lambda row: math.hypot(a * row[0], b * row[1], c * row[2]))
    return _each(rows, lambda row: a * abs(row[0]) + b * abs(row[1]) + c * abs(row[2]))


def _each(rows: tuple[Vector, Vector, Vector], extent: Callable[[Vector], float]) -> Vector:
    return extent(rows[0]), extent(rows[1]), extent(rows[2])


def _mesh_bounds(shape: Shape) -> Bounds:
    points = shape.vertices_m
    if shape.quat_wxyz != UNTURNED:
        rows = matrix(shape.quat_wxyz)
        points = tuple(tuple(r[0] * p[0] + r[1] * p[1] + r[2] * p[2] for r in rows) for p in points)
    lows, highs = zip(*((min(values), max(values)) for values in zip(*points, strict=True)), strict=True)
    x, y, z = shape.centre_m
    return (x + lows[0], y + lows[1], z + lows[2]), (x + highs[0], y + highs[1], z + highs[2])


def union(bounds: Sequence[Bounds]) -> Bounds:
    """The box around boxes."""
    lows, highs = zip(*bounds, strict=True)
    return tuple(map(min, zip(*lows, strict=True))), tuple(map(max, zip(*highs, strict=True)))


def about(axis: Vector, angle: float) -> Quaternion:
    """The rotation by an angle in radians about a unit axis."""
    s = math.sin(angle / 2)
    return math.cos(angle / 2), s * axis[0], s * axis[1], s * axis[2]


def product(a: Quaternion, b: Quaternion) -> Quaternion:
    """First rotation b, then a."""
    return (
        a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
        a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2],
        a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1],
        a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0],
    )


def matrix(quat_wxyz: Quaternion) -> tuple[Vector, Vector, Vector]:
    """Rows of the rotation matrix."""
    w, x, y, z = quat_wxyz
    return (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )


def box(size: Vector, at: Vector = ORIGIN, colour: str = "body") -> Shape:
    """A cuboid of these extents."""
    return Shape("box", (size[0] / 2, size[1] / 2, size[2] / 2), _raised(at, size[2]), colour)


def cylinder(radius: float, height: float, at: Vector = ORIGIN, colour: str = "body") -> Shape:
    """Upright."""
    return Shape("cylinder", (radius, height / 2, 0.0), _raised(at, height), colour)


def ball(radius: float, at: Vector = ORIGIN, colour: str = "body") -> Shape:
    """It touches `at` from above."""
    return Shape("sphere", (radius, 0.0, 0.0), _raised(at, 2 * radius), colour)


def ellipsoid(size: Vector, at: Vector = ORIGIN, colour: str = "body") -> Shape:
    """Of these extents along x, y and z."""
    return Shape("ellipsoid", (size[0] / 2, size[1] / 2, size[2] / 2), _raised(at, size[2]), colour)


def rod(start: Vector, end: Vector, radius: float, colour: str = "body") -> Shape:
    """A capsule around the line between two points; its round ends reach beyond them."""
    return _between("capsule", start, end, radius, colour)


def bar(start: Vector, end: Vector, radius: float, colour: str = "body") -> Shape:
    """A cylinder between two points."""
    return _between("cylinder", start, end, radius, colour)


def _between(kind: Kind, start: Vector, end: Vector, radius: float, colour: str) -> Shape:
    dx, dy, dz = (b - a for a, b in zip(start, end, strict=True))
    length, flat = math.hypot(dx, dy, dz), math.hypot(dx, dy)
    quat_wxyz = about((-dy / flat, dx / flat, 0.0), math.atan2(flat, dz)) if flat > 0 else UNTURNED
    centre = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, (start[2] + end[2]) / 2)
    return Shape(kind, (radius, length / 2, 0.0), centre, colour, quat_wxyz)


def loft(
    lower: Sequence[Point], upper: Sequence[Point], height: float, at: Vector = ORIGIN, colour: str = "body"
) -> Shape:
    """The convex body between two level polygons with as many corners each, the lower one at height 0.

    The volume is the prismatoid's: height / 6 (lower area + 4 middle area + upper area).
    """
    middle = [((a[0] + b[0]) / 2, (a[1] + b[1]) / 2) for a, b in zip(lower, upper, strict=True)]
    volume = height / 6 * (abs(signed_area(lower)) + 4 * abs(signed_area(middle)) + abs(signed_area(upper)))
    vertices = (*((x, y, 0.0) for x, y in lower), *((x, y, height) for x, y in upper))
    return Shape("mesh", ORIGIN, at, colour, vertices_m=vertices, mesh_volume_m3=volume)


def rectangle(size: Point, middle: Point = (0.0, 0.0)) -> tuple[Point, ...]:
    """Corners for `loft`."""
    (x, y), dx, dy = middle, size[0] / 2, size[1] / 2
    return (x - dx, y - dy), (x + dx, y - dy), (x + dx, y + dy), (x - dx, y + dy)


def cone(
    radius: float, top_radius: float, height: float, at: Vector = ORIGIN, colour: str = "body", *, sides: int = 10
) -> Shape:
    """A solid frustum; its radii are those of the corners."""
    turns = [2 * math.pi * (side + 0.5) / sides for side in range(sides)]
    lower, upper = ([(r * math.cos(turn), r * math.sin(turn)) for turn in turns] for r in (radius, top_radius))
    return loft(lower, upper, height, at, colour)


def ring(
    radius: float,
    height: float,
    wall: float,
    at: Vector = ORIGIN,
    colour: str = "body",
    *,
    top_radius: float | None = None,
    sides: int = 8,
) -> tuple[Shape, ...]:
    """The wall of a round vessel: panels around an opening, convex each, so that things fit between them.

    Args:
        radius: Of the circle that the outer faces touch, at the bottom.
        height: Of the wall.
        wall: Its thickness.
        at: Middle of the circle at the bottom.
        colour: Of all panels.
        top_radius: As radius, at the top; where it differs the panels are meshes instead of boxes.
        sides: Number of panels.
    """
    tangent, x, y, z = math.tan(math.pi / sides), *at
    if top_radius is None or top_radius == radius:
        panel = Shape("box", (wall / 2, radius * tangent, height / 2), ORIGIN, colour)
        reach, middle = radius - wall / 2, z + height / 2
    else:
        lower, upper = (
            ((r - wall, -(r - wall) * tangent), (r, -r * tangent), (r, r * tangent), (r - wall, (r - wall) * tangent))
            for r in (radius, top_radius)
        )
        panel, reach, middle = loft(lower, upper, height, ORIGIN, colour), 0.0, z
    return tuple(
        dataclasses.replace(
            panel,
            centre_m=(x + reach * math.cos(turn), y + reach * math.sin(turn), middle),
            quat_wxyz=about((0.0, 0.0, 1.0), turn),
        )
        for turn in (2 * math.pi * side / sides for side in range(sides))
    )


def vessel(
    radius: float,
    height: float,
    *,
    wall: float,
    floor: float,
    top_radius: float | None = None,
    colour: str = "body",
) -> tuple[Shape, ...]:
    """A round open vessel: a disc, on it a ring. Arguments as of `ring`; the height is that of the whole."""
    base = cylinder(radius, floor, colour=colour)
    return base, *ring(radius, height - floor, wall, (0.0, 0.0, floor), colour, top_radius=top_radius)


def floor_square(radius: float, wall: float) -> Point:
    """A square on the floor of a vessel, with corners that just miss its wall."""
    side = 0.95 * math.sqrt(2) * (radius - wall)
    return side, side


def frame(size: Vector, wall: float, at: Vector = ORIGIN, colour: str = "body") -> tuple[Shape, ...]:
    """Four upright boards around an opening: the wall of an angular vessel, size measured outside."""
    (lx, ly, lz), (x, y, z) = size, at
    across, along = (wall, ly, lz), (lx - 2 * wall, wall, lz)
    dx, dy = (lx - wall) / 2, (ly - wall) / 2
    return (
        box(across, (x - dx, y, z), colour),
        box(across, (x + dx, y, z), colour),
        box(along, (x, y - dy, z), colour),
        box(along, (x, y + dy, z), colour),
    )


def legs(size: Vector, spread: Point, at: Vector = ORIGIN, colour: str = "legs") -> tuple[Shape, ...]:
    """Four upright legs; their outer faces span `spread`."""
    dx, dy = (spread[0] - size[0]) / 2, (spread[1] - size[1]) / 2
    return tuple(box(size, (at[0] + sx * dx, at[1] + sy * dy, at[2]), colour) for sx in (-1, 1) for sy in (-1, 1))


def _raised(at: Vector, height: float) -> Vector:
    return at[0], at[1], at[2] + height / 2
