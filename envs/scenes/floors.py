"""Floors and ceilings: a picture per room, cut from its polygon, over one plane that everything stands on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zoo.envs.scenes.appearance import Palette
from zoo.envs.scenes.physics import COLLISION_GROUP, set_contact
from zoo.envs.scenes.specification import FLOOR, Material, Point, Room
from zoo.envs.simulator import mujoco
from zoo.errors import DataError

PLANE_GRID_M = 10.0
FLOOR_MASS_KG = 1e-6  # of what is fixed to the world, and so many kg m2
FLAT_M2 = 1e-9  # twice the area of three corners that count as one line


def triangles(polygon: Sequence[Point]) -> list[tuple[int, int, int]]:
    """Cut a polygon without holes into triangles by taking off its ears.

    Args:
        polygon: At least three corners, counter-clockwise; corners in the middle of an edge are allowed.
    Returns:
        Counter-clockwise triples of corner numbers; together they cover the polygon once.
    Raises:
        DataError: its edges cross or touch.
    """
    if _crosses_itself(polygon):
        raise DataError(f"polygon {[list(corner) for corner in polygon]} crosses itself; expected a simple outline")
    left = list(range(len(polygon)))
    found = []
    while len(left) > 3:
        ear = _next_ear(polygon, left)
        before, corner, after = left[ear - 1], left[ear], left[(ear + 1) % len(left)]
        if _turn(polygon[before], polygon[corner], polygon[after]) > FLAT_M2:  # a corner on an edge makes no triangle
            found.append((before, corner, after))
        del left[ear]
    if _turn(*(polygon[i] for i in left)) > FLAT_M2:
        found.append((left[0], left[1], left[2]))
    return found


def _crosses_itself(polygon: Sequence[Point]) -> bool:
    edges = list(zip(polygon, [*polygon[1:], polygon[0]], strict=True))
    for number, (a, b) in enumerate(edges):
        for c, d in edges[number + 1 :]:
            if _turn(a, b, c) * _turn(a, b, d) < 0 and _turn(c, d, a) * _turn(c, d, b) < 0:
                return True
    return False


def _next_ear(polygon: Sequence[Point], left: list[int]) -> int:
    """Place in `left` of a corner that can be cut off: convex or flat, with no other corner in its triangle."""
    for place, corner in enumerate(left):
        ear = (polygon[left[place - 1]], polygon[corner], polygon[left[(place + 1) % len(left)]])
        turn = _turn(*ear)
        if turn < -FLAT_M2:
            continue
        if turn <= FLAT_M2 or not any(_holds(ear, polygon[other]) for other in left if polygon[other] not in ear):
            return place
    raise DataError(f"polygon {[list(corner) for corner in polygon]} touches itself; expected a simple outline")


def _turn(a: Point, b: Point, c: Point) -> float:
    """Twice the area of a triangle; positive counter-clockwise."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _holds(triangle: tuple[Point, Point, Point], point: Point) -> bool:
    a, b, c = triangle
    return min(_turn(a, b, point), _turn(b, c, point), _turn(c, a, point)) >= 0


def add_ground(world: mujoco.MjsBody) -> None:
    """The plane `floor` that things stand on; pictures leave it out."""
    geom = world.add_geom(
        name=FLOOR, type=mujoco.mjtGeom.mjGEOM_PLANE, size=(0.0, 0.0, PLANE_GRID_M), group=COLLISION_GROUP
    )
    set_contact(geom, "structure")


def add_floor(spec: mujoco.MjSpec, room: Room, palette: Palette) -> mujoco.MjsBody:
    """The body called like the room, with the geom `<room>/floor`, seen from above."""
    # Said here, because that of a flat shell is refused once its numbers are rounded to the digits of a file.
    body = spec.worldbody.add_body(
        name=room.name, explicitinertial=True, mass=FLOOR_MASS_KG, inertia=(FLOOR_MASS_KG,) * 3, ipos=(0.0, 0.0, 0.0)
    )
    _add_sheet(spec, body, f"{room.name}/floor", room, 0.0, room.floor, palette)
    return body


def add_ceiling(spec: mujoco.MjSpec, body: mujoco.MjsBody, room: Room, height_m: float, palette: Palette) -> None:
    """The geom `<room>/ceiling`, seen from below; renderers leave out its back, so that one can look in from above."""
    _add_sheet(spec, body, f"{room.name}/ceiling", room, height_m, room.ceiling, palette, faces_down=True)


def _add_sheet(
    spec: mujoco.MjSpec,
    body: mujoco.MjsBody,
    name: str,
    room: Room,
    height_m: float,
    material: Material,
    palette: Palette,
    *,
    faces_down: bool = False,
) -> None:
    corners = np.array(room.polygon_m, float)
    faces = np.array(triangles(room.polygon_m), int)
    if faces_down:
        faces = faces[:, ::-1]
    spec.add_mesh(
        name=name,
        uservert=np.column_stack([corners, np.full(len(corners), height_m)]).ravel(),
        userface=faces.ravel(),
        usertexcoord=(corners / material.tile_m).ravel(),
        userfacetexcoord=faces.ravel(),
        inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
    )
    geom = body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=name,
        material=palette.name_of(material, is_mapped=True),
    )
    set_contact(geom, "visual")
