"""A house of square rooms for tests of maps and routes: its scene, and a model of its walls made here."""

from collections.abc import Callable

import numpy as np
import pytest

from zoo.envs.navigation.occupancy import OccupancyMap
from zoo.envs.scenes.specification import Leaf, Light, Material, Opening, Room, Scene, Wall
from zoo.envs.simulator import mujoco

ROOM_M = 3.0
WALL_M = 0.1
HEIGHT_M = 2.5
DOOR_M = 0.9
LINTEL_M = 2.0
PLAIN = Material(rgba=(1.0, 1.0, 1.0, 1.0))


def make_scene(columns: int, rows: int, *, leaves: bool = False) -> Scene:
    """Rooms `room_<column>_<row>` in a grid from the origin; a door in the middle of every inner wall."""

    def name(column: int, row: int) -> str | None:
        return f"room_{column}_{row}" if 0 <= column < columns and 0 <= row < rows else None

    def wall(start: tuple[int, int], end: tuple[int, int], left: str | None, right: str | None) -> Wall:
        label = f"{start[0]}{start[1]}{end[0]}{end[1]}"
        leaf = Leaf(hinge="start", swing="left") if leaves else None
        door = Opening(
            name=f"opening_{label}",
            kind="door" if leaves else "doorway",
            offset_m=(ROOM_M - DOOR_M) / 2,
            width_m=DOOR_M,
            bottom_m=0.0,
            height_m=LINTEL_M,
            leaf=leaf,
        )
        return Wall(
            name=f"wall_{label}",
            start_m=(start[0] * ROOM_M, start[1] * ROOM_M),
            end_m=(end[0] * ROOM_M, end[1] * ROOM_M),
            height_m=HEIGHT_M,
            thickness_m=WALL_M,
            rooms=(left, right),
            materials=(PLAIN, PLAIN),
            openings=(door,) if left and right else (),
        )

    cells = [(column, row) for column in range(columns) for row in range(rows)]
    corners = ((0, 0), (1, 0), (1, 1), (0, 1))
    return Scene(
        name="grid",
        rooms=tuple(
            Room(
                name=f"room_{column}_{row}",
                room_type="bedroom",
                polygon_m=tuple(((column + x) * ROOM_M, (row + y) * ROOM_M) for x, y in corners),
                floor=PLAIN,
                ceiling=PLAIN,
            )
            for column, row in cells
        ),
        walls=(
            *(wall((c, r), (c, r + 1), name(c - 1, r), name(c, r)) for c in range(columns + 1) for r in range(rows)),
            *(wall((c, r), (c + 1, r), name(c, r), name(c, r - 1)) for c in range(columns) for r in range(rows + 1)),
        ),
        lights=(Light(name="lamp", position_m=(1.0, 1.0, 2.4)),),
    )


def add_walls(spec: mujoco.MjSpec, scene: Scene) -> None:
    """Boxes left of, above and right of each door; leaves as bodies with a hinge."""

    def box(parent: mujoco.MjsBody, wall: Wall, begin: float, end: float, low: float, high: float) -> None:
        (x0, y0), (x1, y1) = wall.at(begin), wall.at(end)
        half = [abs(x1 - x0) / 2, abs(y1 - y0) / 2, (high - low) / 2]
        half[0 if abs(y1 - y0) > abs(x1 - x0) else 1] += wall.thickness_m / 2
        parent.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=[(x0 + x1) / 2, (y0 + y1) / 2, (low + high) / 2], size=half)

    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 1], name="ground")
    for wall in scene.walls:
        at = 0.0
        for hole in wall.openings:
            box(spec.worldbody, wall, at, hole.offset_m, 0.0, wall.height_m)
            box(spec.worldbody, wall, hole.offset_m, hole.offset_m + hole.width_m, hole.height_m, wall.height_m)
            at = hole.offset_m + hole.width_m
            if hole.leaf is not None:
                x, y = wall.at(hole.offset_m)
                half = hole.width_m / 2
                leaf = spec.worldbody.add_body(name=hole.name, pos=[x, y, 0], euler=[0, 0, np.degrees(wall.yaw)])
                leaf.add_joint(type=mujoco.mjtJoint.mjJNT_HINGE, axis=[0, 0, 1], name=f"{hole.name}/hinge")
                leaf.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=[half, 0, 1], size=[half, 0.02, 0.98])
        box(spec.worldbody, wall, at, wall.length_m, 0.0, wall.height_m)


def compiled(spec: mujoco.MjSpec) -> tuple[mujoco.MjModel, mujoco.MjData]:
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    return model, data


@pytest.fixture(scope="session")
def house() -> Callable[..., tuple[Scene, mujoco.MjModel, mujoco.MjData]]:
    """Scene, model and state of a house; `furnish` may add geoms to its specification."""

    def build(
        columns: int = 2,
        rows: int = 2,
        *,
        leaves: bool = False,
        furnish: Callable[[mujoco.MjSpec], None] | None = None,
    ) -> tuple[Scene, mujoco.MjModel, mujoco.MjData]:
        scene, spec = make_scene(columns, rows, leaves=leaves), mujoco.MjSpec()
        add_walls(spec, scene)
        if furnish is not None:
            furnish(spec)
        return scene, *compiled(spec)

    return build


@pytest.fixture(scope="session")
def model_of() -> Callable[[str], tuple[mujoco.MjModel, mujoco.MjData]]:
    """Model and state of the inside of an MJCF worldbody."""

    def build(worldbody: str, assets: str = "") -> tuple[mujoco.MjModel, mujoco.MjData]:
        text = f"<mujoco><asset>{assets}</asset><worldbody>{worldbody}</worldbody></mujoco>"
        return compiled(mujoco.MjSpec.from_string(text))

    return build


@pytest.fixture(scope="session")
def map_of() -> Callable[..., OccupancyMap]:
    """Map of a drawing, '#' blocked, one character a cell; digits are free cells of that room."""

    def build(drawing: str, px_per_m: float = 10.0) -> OccupancyMap:
        lines = drawing.split()
        cells = np.array([list(line) for line in lines])
        rooms = np.where(np.char.isdigit(cells), cells, "0").astype(np.uint8)
        rows = len(lines)
        return OccupancyMap(
            blocked=cells == "#",
            rooms=rooms,
            room_names={int(index): f"room_{index}" for index in np.unique(rooms) if index},
            world_to_map=np.array([[0, -px_per_m, 0, rows], [px_per_m, 0, 0, 0]], float),
            map_to_world=np.array([[0, 1 / px_per_m, 0], [-1 / px_per_m, 0, rows / px_per_m], [0, 0, 0]]),
            px_per_m=px_per_m,
        )

    return build
