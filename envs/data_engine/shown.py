"""Which categories each cell of a picture shows: the array `shows` of recorded episodes.

A category means what it means as the target of `object_nav_type`: objects of its synset and of the synset's hyponyms
(sheet spoc_ring_holodeck_graspmolmo section 1.12), so an object may have the bits of several.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zoo.envs.sampling.chores.vocabulary import counts_as
from zoo.envs.scenes.specification import Scene
from zoo.envs.simulation.houses import library
from zoo.envs.simulation.world import World
from zoo.errors import ConfigError
from zoo.shards.policy_episode import CELL_COLUMNS, CELL_ROWS, MAX_CATEGORIES


def synsets_of(scene: Scene, categories: Sequence[str]) -> tuple[str, ...]:
    """Synsets of all assets of some categories, in the order of these; goals name synsets.

    Args:
        scene: Whose libraries the assets are of.
        categories: Of assets.
    Raises:
        ConfigError: a category that no asset has, or more synsets than a cell has bits.
    """
    facts = [one for name in sorted({item.library for item in scene.objects}) for one in library(name).facts().values()]
    found = dict.fromkeys(one.synset for wanted in categories for one in facts if one.category == wanted)
    unknown = [wanted for wanted in categories if all(one.category != wanted for one in facts)]
    if unknown:
        raise ConfigError(f"shows_categories: no asset of the house's libraries is called {', '.join(unknown)}")
    if len(found) > MAX_CATEGORIES:
        raise ConfigError(
            f"shows_categories: the categories have {len(found)} synsets, a cell of `shows` has room for "
            f"{MAX_CATEGORIES}; give fewer categories"
        )
    return tuple(found)


def bits_of_bodies(world: World, scene: Scene, synsets: Sequence[str]) -> np.ndarray:
    """(bodies + 1,) uint32: bit k of a root body is set where it counts as synset k; the last, of no body, has none.

    Args:
        world: Of the scene.
        scene: Whose objects are assets of its libraries.
        synsets: At most 32.
    """
    bits = np.zeros(world.model.nbody + 1, np.uint32)
    facts = {name: library(name).facts() for name in {item.library for item in scene.objects}}
    for item in scene.objects:
        if item.name not in world.objects:
            continue  # the episode took it out
        synset = facts[item.library][item.asset].synset
        for place, wanted in enumerate(synsets):
            if counts_as(synset, wanted):
                bits[world.root(item.name)] |= np.uint32(1 << place)
    return bits


def cells_of(bits: np.ndarray) -> np.ndarray:
    """(8, 14) uint32: the bits of all pixels of each cell together.

    Args:
        bits: (height, width) uint32, at least as many rows and columns as there are cells.
    """
    height, width = bits.shape
    by_rows = np.bitwise_or.reduceat(bits, _begins(height, CELL_ROWS), axis=0)
    return np.bitwise_or.reduceat(by_rows, _begins(width, CELL_COLUMNS), axis=1)


def _begins(pixels: int, cells: int) -> np.ndarray:
    """(cells,) first pixel of each cell along a side: pixel p lies in cell p * cells // pixels."""
    return -(-np.arange(cells) * pixels // cells)
