"""A settled house as the samplers of CHORES see it: what there is to look for, and where a body can go and look.

Everything that costs is kept for the next episode of the house.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from zoo.envs.experts.chores.body import Body, Floor, floor_map
from zoo.envs.experts.chores.chore import cells_within
from zoo.envs.experts.chores.viewpoints import Eye, Viewpoints
from zoo.envs.kinematics.poses import Array
from zoo.envs.navigation.occupancy import OccupancyMap
from zoo.envs.navigation.paths import RouteGrid
from zoo.envs.navigation.success import VISIBLE_M
from zoo.envs.sampling.chores.vocabulary import NOT_SOUGHT, counts_as
from zoo.envs.sampling.stage import Stage
from zoo.envs.sampling.surfaces import is_inside

HEIGHT_STEP_M = 0.1  # bodies of about one height share a map
VIEW_SPACING_M = 0.3  # of places that are judged
USUAL_VIEW_M = 1.0  # from an object's box; places at about this distance are judged first
MAX_VIEWS = 4  # good places of an object, after which no more are looked for
MARGIN_M = 0.25  # of places inside the distance within which an object counts


class Site:
    """One house.

    Args:
        stage: Settled.
    """

    def __init__(self, stage: Stage) -> None:
        self.stage, self.scene = stage, stage.place.scene
        self.facts = stage.facts
        self.visible = tuple(
            item.name
            for item in self.scene.objects
            if self.facts[item.name].category not in NOT_SOUGHT and not is_inside(stage, item.name)
        )
        """Objects that are in no cabinet, in the order of the scene."""
        self.room_of = {item.name: item.room for item in self.scene.objects}
        self._maps: dict[int, OccupancyMap] = {}
        self._boxes: dict[str, tuple[Array, Array]] = {}

    def categories(self, wanted: Sequence[str] | None) -> list[str]:
        """Of visible objects, those that are wanted, in the order of their first object."""
        found = dict.fromkeys(self.facts[name].category for name in self.visible)
        return [category for category in found if wanted is None or category in wanted]

    def of_category(self, category: str) -> list[str]:
        """Visible objects of one category."""
        return [name for name in self.visible if self.facts[name].category == category]

    def synset_of(self, category: str) -> str:
        """Synset of the first object of a category."""
        return self.facts[self.of_category(category)[0]].synset

    def counting_as(self, category: str) -> list[str]:
        """Objects that count when a category is asked for: those of its synset and of its hyponyms, its own first."""
        wanted = self.synset_of(category)
        found = [name for name in self.visible if counts_as(self.facts[name].synset, wanted)]
        return sorted(found, key=lambda name: self.facts[name].category != category)

    def box(self, name: str) -> tuple[Array, Array]:
        """Centre and half extents of the box around an object."""
        if name not in self._boxes:
            self._boxes[name] = self.stage.world.box(name)
        return self._boxes[name]

    def plan(self, height_m: float) -> OccupancyMap:
        """What stands in the way of bodies up to a height, robot and spare objects aside."""
        level = ceil(height_m / HEIGHT_STEP_M - 1e-9)
        if level not in self._maps:
            stage = self.stage
            skip = (stage.model.body(stage.robot_root).name, *stage.spares)
            self._maps[level] = floor_map(
                stage.model, stage.data, self.scene, height_m=level * HEIGHT_STEP_M, skip_bodies=skip
            )
        return self._maps[level]


@dataclass(frozen=True, slots=True)
class Ways:
    """How far it is to the nearest goal.

    Args:
        grid: For which radius.
        cells: (cells, 2) from which a goal is reached.
        lengths_m: (cells,) of the way.
    """

    grid: RouteGrid
    cells: np.ndarray
    lengths_m: Array


class Scout:
    """What one body, with one camera, can reach and see in a house.

    Args:
        site: The house.
        body: The robot's.
        eye: Its navigation camera.
    """

    def __init__(self, site: Site, body: Body, eye: Eye) -> None:
        self.site, self.floor = site, Floor(site.plan(body.height_m), body)
        self.grids = [self.floor.router.grid(radius) for radius in body.radii_m]
        self._views = Viewpoints(site.stage.world, eye)
        self._good: dict[tuple[float, str], np.ndarray] = {}

    def views_of(self, grid: RouteGrid, name: str) -> np.ndarray:
        """(cells, 2) of a grid, a few, from which an object is seen well."""
        key = grid.radius_m, name
        if key not in self._good:
            self._good[key] = self._look_for(grid, name)
        return self._good[key]

    def ways_to(self, grid: RouteGrid, goals: np.ndarray) -> Ways:
        """To the nearest of (goals, 2) cells, from everywhere."""
        lengths = grid.tree_of(goals, is_plain=True).cost
        cells = np.argwhere(np.isfinite(lengths))
        return Ways(grid, cells, lengths[cells[:, 0], cells[:, 1]])

    def _look_for(self, grid: RouteGrid, name: str) -> np.ndarray:
        centre, half = self.site.box(name)
        reach = half[:2] + VISIBLE_M - MARGIN_M
        cells = cells_within(grid, None, centre[:2] - reach, centre[:2] + reach, VIEW_SPACING_M)
        points = grid.plan.point_of(cells)
        distances = self._views.distances_m(name, points)
        poses = self._views.facing(name, points)
        good: list[int] = []
        for index in np.argsort(np.abs(distances - USUAL_VIEW_M), kind="stable"):
            if distances[index] > VISIBLE_M - MARGIN_M or len(good) == MAX_VIEWS:
                break
            if self._views.is_good(name, poses[index]):
                good.append(int(index))
        return cells[good]
