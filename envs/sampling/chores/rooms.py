"""Episodes about rooms: go to one of a type, visit all.

Source: sheet spoc_ring_holodeck_graspmolmo section 1.12.
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from zoo.envs.experts.chores.rooms import INSETS_M, inner_cells
from zoo.envs.navigation.paths import RouteGrid
from zoo.envs.sampling.chores.chore import Choice, ChoreSampler
from zoo.envs.sampling.chores.objects import one_of
from zoo.envs.sampling.chores.site import Scout, Site, Ways


class RoomNavSampler(ChoreSampler):
    """Any room of a type; the robot starts outside of all of them."""

    task: ClassVar[str] = "room_nav"
    no_goal: ClassVar[str] = "room out of reach"

    def choose(self, site: Site, rng: np.random.Generator) -> Choice:
        rooms = site.scene.rooms
        types = list(dict.fromkeys(room.room_type for room in rooms))
        room_type = one_of(rng, types if len(types) > 1 else [], reason="house of one type of room")
        named = tuple(room.name for room in rooms if room.room_type == room_type)
        return Choice(fields={"room_types": (room_type,), "room_ids": named}, rooms=named)

    def ways(self, scout: Scout, grid: RouteGrid, choice: Choice) -> Ways | None:
        rooms = [room for room in scout.site.scene.rooms if room.name in choice.rooms]
        goals = [inner_cells(grid, None, room, INSETS_M[0]) for room in rooms]
        joined = np.concatenate(goals)
        if not len(joined):
            return None
        found = scout.ways_to(grid, joined)
        names = [grid.plan.room_names.get(int(number)) for number in grid.plan.rooms[tuple(found.cells.T)]]
        outside = np.array([name is not None and name not in choice.rooms for name in names], bool)
        return Ways(grid, found.cells[outside], found.lengths_m[outside])


class RoomVisitSampler(ChoreSampler):
    """All rooms of the house; the robot starts in any of them."""

    task: ClassVar[str] = "room_visit"
    no_goal: ClassVar[str] = "room out of reach"
    usual_path_m: ClassVar[tuple[float, float]] = (0.0, math.inf)

    def choose(self, site: Site, rng: np.random.Generator) -> Choice:
        del rng
        names = tuple(room.name for room in site.scene.rooms)
        return Choice(fields={"num_rooms_in_house": len(names), "room_ids": names}, rooms=names)

    def ways(self, scout: Scout, grid: RouteGrid, choice: Choice) -> Ways | None:
        """To the farthest room; only places from which all are reached."""
        farthest: np.ndarray | None = None
        for room in scout.site.scene.rooms:
            goals = inner_cells(grid, None, room, INSETS_M[-1])
            if not len(goals):
                return None
            lengths = grid.tree_of(goals, is_plain=True).cost
            farthest = lengths if farthest is None else np.maximum(farthest, lengths)
        assert farthest is not None  # every house has a room
        cells = np.argwhere(np.isfinite(farthest))
        return Ways(grid, cells, farthest[cells[:, 0], cells[:, 1]]) if len(cells) else None
