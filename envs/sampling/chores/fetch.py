"""Episodes of picking a thing up, from near it or from anywhere.

Source: sheet spoc_ring_holodeck_graspmolmo section 1.12. An episode is drawn only where the arm can get at a target.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from zoo.envs.experts.chores.fetch import places_beside
from zoo.envs.experts.chores.reach import Reach
from zoo.envs.navigation.paths import RouteGrid
from zoo.envs.robots.stretch import MAX_CARRIED_KG
from zoo.envs.sampling.chores.chore import Choice, ChoreSampler
from zoo.envs.sampling.chores.objects import about, one_of
from zoo.envs.sampling.chores.site import Scout, Site, Ways

MAX_PLACES = 3  # of a thing, after which no more are looked for


class FetchTypeSampler(ChoreSampler):
    """Any thing of a category that one hand can lift; the robot starts somewhere else."""

    task: ClassVar[str] = "fetch_type"
    robots: ClassVar[tuple[str, ...]] = ("stretch",)
    no_goal: ClassVar[str] = "target out of the arm's reach"

    def choose(self, site: Site, rng: np.random.Generator) -> Choice:
        liftable = {
            name
            for name in site.visible
            if site.facts[name].is_pickupable
            and site.facts[name].mass_kg <= MAX_CARRIED_KG
            and site.stage.is_free(name)
        }
        offered = [
            category for category in site.categories(self.categories) if liftable & set(site.of_category(category))
        ]
        category = one_of(rng, offered)
        names = [name for name in site.counting_as(category) if name in liftable]
        return about(site.synset_of(category), names)

    def ways(self, scout: Scout, grid: RouteGrid, choice: Choice) -> Ways | None:
        reach = Reach(scout.site.stage.world)
        found = []
        for name in choice.targets:
            cells = places_beside(reach, grid, None, name)
            good = (cell for cell in cells if reach.can_take(name, grid.plan.point_of(cell)))
            found += [cell for cell, _ in zip(good, range(MAX_PLACES), strict=False)]
        return scout.ways_to(grid, np.array(found)) if found else None


class PickupTypeSampler(FetchTypeSampler):
    """Any thing of a category that one hand can lift; the robot starts near one."""

    task: ClassVar[str] = "pickup_type"
    usual_path_m: ClassVar[tuple[float, float]] = (0.0, 2.0)
