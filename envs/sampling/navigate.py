"""Episodes of going to an object, perhaps in another room.

Source: sheet molmospaces section 7, row 8; 15, episode sampling order, item 4 (4 to 20 m, free map cells), and the
navigation expert's map.
Differs: the least distance is in a straight line and the largest along the way, which is the stricter reading of both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from zoo.envs.episodes.schema import Episode
from zoo.envs.kinematics.poses import Array
from zoo.envs.navigation.paths import RouteGrid, Router
from zoo.envs.sampling import bases, words
from zoo.envs.sampling.base import StagedSampler
from zoo.envs.sampling.sampler import RejectedError
from zoo.envs.sampling.stage import Stage
from zoo.envs.sampling.surfaces import is_inside
from zoo.envs.simulation.houses import House

DISTANCE_M = (4.0, 20.0)
SUCCESS_M = 1.5
RADII_M = (0.5, 0.4)
"""Clearance of the robot on its way, the first with which the house has a way; its base reaches 0.35 m."""

GOAL_M = 1.2
"""How near to a candidate there must be a place that the robot reaches, in the candidate's room."""

PX_PER_M = 100
NOT_SOUGHT = ("ceiling lamp", "curtain")
"""Categories that nobody is sent to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """Where an episode may begin.

    Args:
        starts_m: (points, 2) places for the robot.
        nearest: (points,) index of the candidate whose way is shortest.
    """

    starts_m: Array
    nearest: np.ndarray


class NavigateSampler(StagedSampler):
    """A category, all visible objects of it, and a start from which one of them is reached."""

    task: ClassVar[str] = "navigate_to"
    robot_name: ClassVar[str] = "rby1"

    def prepare(self, stage: Stage) -> None:
        self._router = Router(occupancy=stage.occupancy(px_per_m=PX_PER_M), radii_m=RADII_M)
        self.candidates: dict[str, list[str]] = {}
        for item in stage.place.scene.objects:
            category = stage.facts[item.name].category
            if category not in NOT_SOUGHT and not is_inside(stage, item.name):
                self.candidates.setdefault(category, []).append(item.name)

    def sample(self, place: House, rng: np.random.Generator) -> Episode:
        stage = self.stage(place)
        if not self.candidates:
            raise RejectedError("nothing to look for", is_hopeless=True)
        category = list(self.candidates)[int(rng.integers(len(self.candidates)))]
        names = self.candidates[category]
        way = self._way(stage, names)
        poses = bases.draws(rng, way.starts_m, way.starts_m[0], turn=math.pi)  # looking anywhere
        stand = self.stand_free(stage, rng, poses)
        start = np.linalg.norm(way.starts_m - stand.base_pose7[:2], axis=1).argmin()
        target = names[int(way.nearest[start])]
        return self.episode(
            stage,
            rng,
            stand=stand,
            fields={
                "pickup_obj_name": target,
                "pickup_obj_candidates": tuple(names),
                "pickup_obj_start_pose": tuple(stage.world.pose7(target).tolist()),
                "receptacle_name": stage.place.scene.object(target).support,
                "succ_pos_threshold": SUCCESS_M,
            },
            words={"pickup_obj_name": category},
            prompt=words.go_to(category, len(names)),
            relevant=names,
        )

    def _way(self, stage: Stage, names: list[str]) -> Way:
        """Where one may begin to look for some objects.

        Raises:
            RejectedError: nowhere is far enough, or no place leads there.
        """
        places = np.array([stage.world.position(name)[:2] for name in names])
        reason = "target out of reach"
        for radius in RADII_M:
            grid = self._router.grid(radius)
            lengths = np.stack([self._lengths(stage, grid, name) for name in names])  # (candidates, rows, columns)
            cells = np.argwhere(np.isfinite(lengths).any(axis=0))
            points = grid.plan.point_of(cells)
            if not len(cells):
                continue
            straight = np.linalg.norm(points[:, None] - places, axis=2).min(axis=1)
            own = lengths[:, cells[:, 0], cells[:, 1]]
            nearest = own.argmin(axis=0)
            is_far = straight >= DISTANCE_M[0]
            fits = is_far & (own.min(axis=0) <= DISTANCE_M[1])
            if fits.any():
                return Way(starts_m=points[fits], nearest=nearest[fits])
            reason = "target too far" if is_far.any() else "target too near"
        raise RejectedError(reason)

    def _lengths(self, stage: Stage, grid: RouteGrid, name: str) -> Array:
        """(rows, columns) metres to a candidate; infinite everywhere where it cannot be approached."""
        place = stage.world.position(name)[:2]
        room = grid.plan.room_at(place)
        cells = np.argwhere(grid.passable)
        points = grid.plan.point_of(cells)
        distance = np.linalg.norm(points - place, axis=1)
        ids = grid.plan.rooms[cells[:, 0], cells[:, 1]]
        rooms = np.array([grid.plan.room_names.get(int(index)) == room for index in range(ids.max(initial=0) + 1)])
        near = np.flatnonzero((distance <= GOAL_M) & rooms[ids]) if len(cells) else []
        if not len(near):
            return np.full(grid.passable.shape, np.inf)
        return grid.distances_m(points[near[distance[near].argmin()]])
