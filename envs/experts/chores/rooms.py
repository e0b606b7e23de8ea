"""Go to a room of a type, and visit all rooms, the nearest first.

Source: sheet spoc_ring_holodeck_graspmolmo sections 1.13 (inside of the room's polygon; each room is claimed once) and
1.15 (nearest first, sub-goal done on entry).
Differs: the goal is any place well inside of the room, not its middle.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from zoo.envs.experts.chores.chore import ChoreExpert, cells_within
from zoo.envs.kinematics.poses import Array
from zoo.envs.navigation.paths import RouteGrid
from zoo.envs.navigation.success import is_in_room
from zoo.envs.scenes.specification import Room
from zoo.envs.tasks.chores import RoomNav, RoomVisit
from zoo.navigation_actions import SpocAction

INSETS_M = (0.5, 0.3, 0.1)  # of goals from the outline of the room, the first that a place has
ARRIVED_SHARE = 0.5  # of that inset, at which the base is in the room
SPACING_M = 0.1


class RoomsExpert(ChoreExpert):
    """Goes into rooms."""

    def begin(self) -> None:
        self._inset_m = INSETS_M[0]

    @abstractmethod
    def rooms_left(self) -> Sequence[Room]:
        """To go into."""

    def goals(self, grid: RouteGrid, start: np.ndarray) -> np.ndarray:
        part = int(grid.parts[tuple(start)])
        for inset in INSETS_M:
            found = [inner_cells(grid, part, room, inset) for room in self.rooms_left()]
            cells = np.concatenate(found) if found else np.zeros((0, 2), np.int64)
            if len(cells):
                self._inset_m = inset
                return cells
        return np.zeros((0, 2), np.int64)

    def is_inside(self, pose: Array, room: Room) -> bool:
        """Well inside of a room."""
        inset = ARRIVED_SHARE * self._inset_m
        return is_in_room(pose[:2], room.polygon_m) and _distance_to_outline_m(pose[None, :2], room)[0] >= inset


class RoomNavExpert(RoomsExpert):
    """Goes to the nearest room that counts."""

    task: RoomNav

    def rooms_left(self) -> Sequence[Room]:
        return self.task.rooms

    def choose(self, pose: Array) -> SpocAction:
        if any(self.is_inside(pose, room) for room in self.task.rooms):
            self.phase = "done"
            return SpocAction.DONE
        action = self.drive(pose)
        return SpocAction.DONE if action is None else action


class RoomVisitExpert(RoomsExpert):
    """Claims every room that it enters, and goes on to the nearest that is left."""

    task: RoomVisit

    def begin(self) -> None:
        super().begin()
        self._left: tuple[str, ...] | None = None

    def rooms_left(self) -> Sequence[Room]:
        return [room for room in self.task.rooms if room.name not in self.task.visits.claimed]

    def choose(self, pose: Array) -> SpocAction:
        left = self.rooms_left()
        if not left:
            self.phase = "done"
            return SpocAction.DONE
        if any(self.is_inside(pose, room) for room in left):
            self.phase = "claim"
            return SpocAction.SUB_DONE
        names = tuple(room.name for room in left)
        if names != self._left:
            self._left = names
            self.forget_course()
        action = self.drive(pose)
        return SpocAction.DONE if action is None else action


def inner_cells(grid: RouteGrid, part: int | None, room: Room, inset_m: float) -> np.ndarray:
    """(cells, 2) of a part of a grid, or of all, that are inside of a room, some way from its outline."""
    corners = np.asarray(room.polygon_m)
    cells = cells_within(grid, part, corners.min(axis=0), corners.max(axis=0), SPACING_M)
    ids = [number for number, name in grid.plan.room_names.items() if name == room.name]
    cells = cells[np.isin(grid.plan.rooms[cells[:, 0], cells[:, 1]], ids)]
    return cells[_distance_to_outline_m(grid.plan.point_of(cells), room) >= inset_m]


def _distance_to_outline_m(points_m: Array, room: Room) -> Array:
    """(points,) from (points, 2) to the nearest edge of a room's polygon."""
    begins = np.asarray(room.polygon_m, np.float64)
    edges = np.roll(begins, -1, axis=0) - begins
    offsets = points_m[:, None] - begins
    along = np.clip((offsets * edges).sum(-1) / np.maximum((edges**2).sum(-1), 1e-12), 0.0, 1.0)
    return np.linalg.norm(offsets - along[..., None] * edges, axis=-1).min(axis=1)
