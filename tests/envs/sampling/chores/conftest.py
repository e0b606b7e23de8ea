from dataclasses import replace

import numpy as np
import pytest

from zoo import registry
from zoo.envs.sampling.sampler import RejectedError
from zoo.envs.simulation.houses import house_of


@pytest.fixture(scope="session")
def home():
    """A validation house of three rooms."""
    planned = registry.build("scene_planner", "procedural", num_rooms=(3, 3)).plan("val", 1)
    return house_of(replace(planned, dataset="procedural", split="val", index=1))


@pytest.fixture(scope="session")
def bare(home):
    """The same house without anything in it."""
    return house_of(replace(home.scene, objects=()))


@pytest.fixture(scope="session")
def drawn(home):
    """Some episodes of a sampler from the house."""
    known = {}

    def draw(sampler, count=4):
        if sampler not in known:
            known[sampler] = []
            for seed in range(10 * count):
                try:
                    known[sampler].append(sampler.sample(home, np.random.default_rng(seed)))
                except RejectedError:
                    continue
                if len(known[sampler]) == count:
                    break
            assert known[sampler]
        return known[sampler]

    return draw
