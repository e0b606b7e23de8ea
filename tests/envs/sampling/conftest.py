import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest

from zoo import registry
from zoo.envs.episodes.schema import Episode
from zoo.envs.sampling.base import StagedSampler
from zoo.envs.sampling.sampler import RejectedError
from zoo.envs.simulation.houses import House, house, house_of
from zoo.envs.simulation.simulation import Simulation

HOUSES = (7, 12)  # of the validation split; the first has three rooms, the second large tables


@dataclass
class Drawn:
    sampler: StagedSampler
    place: House
    seed: list[int]
    episode: Episode
    simulation: Simulation

    @property
    def base_xy(self):
        return np.array(self.episode.task.robot_base_pose[:2])

    def distance(self, name):
        return float(np.linalg.norm(self.simulation.world.position(name)[:2] - self.base_xy))


@pytest.fixture(scope="session")
def small_house():
    """One room with little in it."""
    return house_of(registry.build("scene_planner", "procedural", num_rooms=(1, 1)).plan("val", 2))


@pytest.fixture(scope="session")
def bare_house(small_house):
    """A room with neither objects nor doors."""
    walls = tuple(dataclasses.replace(wall, openings=()) for wall in small_house.scene.walls)
    return house_of(dataclasses.replace(small_house.scene, walls=walls, objects=()))


@pytest.fixture(scope="session")
def drawn():
    """An episode of a task from the first house that has one, set up."""
    known = {}

    def draw(task):
        if task not in known:
            known[task] = _first(task)
        return known[task]

    return draw


def _first(task):
    sampler = registry.build("task_sampler", task)
    for index in HOUSES:
        place = house("procedural", "val", index)
        for attempt in range(5):
            try:
                episode = sampler.sample(place, np.random.default_rng([index, attempt]))
            except RejectedError as rejection:
                if rejection.is_hopeless:
                    break
                continue
            return Drawn(sampler, place, [index, attempt], episode, Simulation(episode))
    raise AssertionError(f"no episode of {task} in houses {HOUSES}")
