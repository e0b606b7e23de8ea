"""Occupancy maps with room ids, made from a compiled model without a renderer.

Source: sheet molmospaces section 12. A cell is blocked when the shadow of a collision geom that reaches into the
agent's height range touches it, or when it lies in no room. Doorways are free because the lintel is above the agent;
their leaves are obstacles at their present angle, or left out with `door_bodies`.
Differs: the published maps are segmentation pictures taken from 5 m, so what hangs above the agent blocks there too,
and what only pictures show (without collision) blocks there and not here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import ndimage

from zoo.envs.navigation.footprints import collision_footprints, subtree
from zoo.envs.navigation.raster import cells_within, touched_cells
from zoo.envs.scenes.specification import Scene
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError

PX_PER_M = 100
FLOOR_CLEARANCE_M = 0.05
"""Lower things are driven over: rugs, door sills."""
AGENT_HEIGHT_M = 1.8  # of SPOC's navigation meshes
MARGIN_M = 0.25  # beyond the rooms, so that outer walls are on the map
MAX_ROOMS = 255  # a room id is one byte of the picture
NO_ROOM = 0
_DOOR_PREFIXES = ("door_", "doorway_", "doorframe_")  # root bodies of MolmoSpaces houses


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OccupancyMap:
    """A floor plan in cells.

    Map coordinates are (row, column), 0 at the outer edge of the first cell; a cell is the integer part. In maps of
    ours rows run along -y and columns along +x, as a plan is drawn; other files may have any orientation.

    Args:
        blocked: (rows, columns) bool.
        rooms: (rows, columns) uint8; id of the room whose floor this is, also below furniture, or 0.
        room_names: Name of each id.
        world_to_map: (2, 4); map coordinates are world_to_map @ (x, y, z, 1).
        map_to_world: (3, 3); (x, y, 0) is map_to_world @ (row, column, 1).
        px_per_m: Cells a metre.
    """

    blocked: np.ndarray
    rooms: np.ndarray
    room_names: Mapping[int, str] = field(default_factory=dict)
    world_to_map: np.ndarray
    map_to_world: np.ndarray
    px_per_m: float

    def __post_init__(self) -> None:
        shapes = (self.blocked.ndim, self.rooms.shape, self.world_to_map.shape, self.map_to_world.shape)
        if shapes != (2, self.blocked.shape, (2, 4), (3, 3)) or self.blocked.dtype != bool or self.px_per_m <= 0:
            raise ConfigError(
                f"an occupancy map needs bool `blocked` and `rooms` of one (rows, columns), world_to_map (2, 4), "
                f"map_to_world (3, 3) and px_per_m above 0; got {self.blocked.dtype} {self.blocked.shape}, "
                f"{self.rooms.shape}, {self.world_to_map.shape}, {self.map_to_world.shape} and {self.px_per_m:g}"
            )

    @property
    def cell_m(self) -> float:
        """Edge of a cell."""
        return 1.0 / self.px_per_m

    def cell_of(self, points_m: np.ndarray | Sequence[float]) -> np.ndarray:
        """(..., 2) int cells of (..., 2) points; negative or too large beyond the map."""
        points = np.asarray(points_m, np.float64)
        return np.floor(points @ self.world_to_map[:, :2].T + self.world_to_map[:, 3]).astype(np.int64)

    def point_of(self, cells: np.ndarray | Sequence[int]) -> np.ndarray:
        """(..., 2) world points of the centres of (..., 2) cells."""
        middle = np.asarray(cells, np.float64) + 0.5
        return middle @ self.map_to_world[:2, :2].T + self.map_to_world[:2, 2]

    def contains(self, cells: np.ndarray) -> np.ndarray:
        """(...) bool; which of (..., 2) cells are on the map."""
        return ((cells >= 0) & (cells < self.blocked.shape)).all(axis=-1)

    def is_free(self, points_m: np.ndarray | Sequence[float]) -> np.ndarray:
        """(...) bool for (..., 2) points; what is beyond the map is blocked."""
        cells = self.cell_of(points_m)
        inside = self.contains(cells)
        row, column = np.moveaxis(np.where(inside[..., None], cells, 0), -1, 0)
        return inside & ~self.blocked[row, column]

    def room_at(self, point_m: Sequence[float]) -> str | None:
        """Name of the room that a point is in."""
        cell = self.cell_of(point_m)
        return self.room_names.get(int(self.rooms[tuple(cell)])) if self.contains(cell) else None

    def clearance_m(self) -> np.ndarray:
        """(rows, columns) float64 distance from each cell's centre to the nearest blocked one's; beyond is blocked."""
        padded = np.pad(~self.blocked, 1)
        return ndimage.distance_transform_edt(padded)[1:-1, 1:-1] * self.cell_m

    def dilated(self, radius_m: float) -> OccupancyMap:
        """The map for the middle of a round agent: cells within `radius_m` of a blocked one are blocked too.

        Distances are between centres of cells.
        """
        if radius_m < 0:
            raise ConfigError(f"the agent's radius is {radius_m:g} m, expected 0 or more")
        return replace(self, blocked=self.clearance_m() <= radius_m)

    def coarser(self, factor: int) -> OccupancyMap:
        """Cells `factor` times as large; blocked when any of theirs is, in the room of the cell in their middle."""
        if factor < 1:
            raise ConfigError(f"a map is made coarser by a whole factor of 1 or more, got {factor}")
        rows, columns = (-(-size // factor) for size in self.blocked.shape)
        padding = [(0, rows * factor - self.blocked.shape[0]), (0, columns * factor - self.blocked.shape[1])]
        blocked = np.pad(self.blocked, padding, constant_values=True)
        rooms = np.pad(self.rooms, padding, constant_values=NO_ROOM)
        return replace(
            self,
            blocked=blocked.reshape(rows, factor, columns, factor).any(axis=(1, 3)),
            rooms=rooms[factor // 2 :: factor, factor // 2 :: factor].copy(),
            world_to_map=self.world_to_map / factor,
            map_to_world=self.map_to_world * np.array([factor, factor, 1.0]),
            px_per_m=self.px_per_m / factor,
        )


def build_map(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    *,
    scene: Scene | None = None,
    skip_bodies: Iterable[str] = (),
    agent_height_m: float = AGENT_HEIGHT_M,
    floor_clearance_m: float = FLOOR_CLEARANCE_M,
    px_per_m: int = PX_PER_M,
) -> OccupancyMap:
    """Map of what stands in an agent's way.

    Args:
        model: Any model whose floor is level at z = 0.
        data: Its state, with positions computed (`mj_kinematics`).
        scene: Whose rooms have ids 1, 2, ... in their order and bound the free space; without it there are no rooms
            and the map reaches as far as the obstacles.
        skip_bodies: Bodies that are no obstacles, with all that hangs on them: the robot, `door_bodies`.
        agent_height_m: What begins at or above this height is passed below.
        floor_clearance_m: What ends at or below this height is driven over.
        px_per_m: Cells a metre.

    Raises:
        ConfigError: heights or resolution make no sense, a body is unknown, there are too many rooms, nothing bounds
            the map, or a geom has no footprint (slanted plane, height field).
    """
    if not 0 <= floor_clearance_m < agent_height_m or px_per_m < 1:
        raise ConfigError(
            f"floor_clearance_m {floor_clearance_m:g}, agent_height_m {agent_height_m:g} and px_per_m {px_per_m}: "
            f"expected 0 <= clearance < height and at least 1 cell a metre"
        )
    rooms = scene.rooms if scene is not None else ()
    if len(rooms) > MAX_ROOMS:
        raise ConfigError(f"the scene has {len(rooms)} rooms, a map holds at most {MAX_ROOMS}")
    shapes = collision_footprints(
        model, data, bodies=~subtree(model, skip_bodies), low_m=floor_clearance_m, high_m=agent_height_m
    )
    polygons = [np.asarray(room.polygon_m, np.float64) for room in rooms]
    low, high = _bounds(polygons, shapes.bounds())
    # The grid begins at a whole cell of the world, so that equal walls fall on equal cells in every scene.
    left = np.floor((low[0] - MARGIN_M) * px_per_m + 1e-6)
    top = np.ceil((high[1] + MARGIN_M) * px_per_m - 1e-6)
    columns = int(np.ceil((high[0] + MARGIN_M) * px_per_m - 1e-6) - left)
    rows = int(top - np.floor((low[1] - MARGIN_M) * px_per_m + 1e-6))
    linear, shift = np.array([[px_per_m, 0.0], [0.0, -px_per_m]]), np.array([-left, top])  # world xy to column, row
    blocked = touched_cells(shapes.moved(linear, shift), rows, columns)
    ids = np.zeros((rows, columns), np.uint8)
    for index, polygon in enumerate(polygons):
        ids[cells_within(polygon @ linear.T + shift, rows, columns)] = index + 1
    if rooms:
        blocked |= ids == NO_ROOM
    return OccupancyMap(
        blocked=blocked,
        rooms=ids,
        room_names={index + 1: room.name for index, room in enumerate(rooms)},
        world_to_map=np.array([[0.0, -px_per_m, 0.0, top], [px_per_m, 0.0, 0.0, -left]]),
        map_to_world=np.array([[0.0, 1 / px_per_m, left / px_per_m], [-1 / px_per_m, 0.0, top / px_per_m], [0, 0, 0]]),
        px_per_m=float(px_per_m),
    )


def door_bodies(model: mujoco.MjModel, scene: Scene | None = None) -> tuple[str, ...]:
    """Bodies to skip for a map on which every door is open.

    Args:
        model: Compiled from the scene, or a MolmoSpaces house.
        scene: Names its leaves; without it doors are root bodies named as in MolmoSpaces, frames included.
    """
    if scene is not None:
        return tuple(hole.name for _, hole in scene.doors if hole.leaf is not None)
    roots = [model.body(index).name for index in range(1, model.nbody) if model.body_parentid[index] == 0]
    return tuple(name for name in roots if name.startswith(_DOOR_PREFIXES))


def _bounds(
    polygons: Sequence[np.ndarray], shapes: tuple[np.ndarray, np.ndarray] | None
) -> tuple[np.ndarray, np.ndarray]:
    if polygons:
        corners = np.concatenate(polygons)
        return corners.min(axis=0), corners.max(axis=0)
    if shapes is None:
        raise ConfigError("nothing bounds the map: the model has no obstacle in the agent's height range; give a scene")
    return shapes
