"""Bits of bodies by category, and of cells by pixel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from two_rooms import two_rooms
from wheeled import find, wheeled_env

from zoo.envs.data_engine.shown import bits_of_bodies, cells_of, synsets_of
from zoo.envs.simulation.houses import library
from zoo.errors import ConfigError


@settings(deadline=None)
@given(st.integers(8, 40), st.integers(14, 60), st.integers(0, 2**32 - 1))
def test_a_cell_has_the_bits_of_its_pixels(height, width, seed):
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2**32, (height, width), np.uint32) & rng.integers(0, 2**32, (height, width), np.uint32)
    expected = np.zeros((8, 14), np.uint32)
    for row in range(height):
        for column in range(width):
            expected[row * 8 // height, column * 14 // width] |= bits[row, column]
    found = cells_of(bits)
    assert found.dtype == np.uint32
    np.testing.assert_array_equal(found, expected)


def test_what_is_a_kind_of_a_category_has_its_bit_too(monkeypatch):
    place = two_rooms(
        {"one": ("chair_0", (2.0, 2.5, 0.0)), "soft": ("armchair_0", (3.0, 0.6, 0.0)), "bed": ("bed_0", (6.0, 1.7, 0))}
    )
    env = wheeled_env(monkeypatch, place, find(["bed"], (0.8, 1.7, 0.0)))
    world = env.simulation.world
    synsets = synsets_of(place.scene, ["armchair", "chair", "toilet"])
    assert synsets == ("armchair.n.01", "chair.n.01", "toilet.n.02")
    bits = bits_of_bodies(world, place.scene, synsets)
    assert [int(bits[world.root(name)]) for name in ("one", "soft", "bed")] == [2, 3, 0]
    assert len(bits) == world.model.nbody + 1
    assert np.count_nonzero(bits) == 2
    assert bits[-1] == 0  # where a picture shows nothing
    env.close()


def test_more_synsets_than_bits_are_refused():
    place = two_rooms({"one": ("chair_0", (2.0, 2.5, 0.0))})
    every = list(dict.fromkeys(one.category for one in library("primitives").facts().values()))
    with pytest.raises(ConfigError, match="no asset of the house's libraries is called unicorn"):
        synsets_of(place.scene, ["chair", "unicorn"])
    with pytest.raises(ConfigError, match=r"have \d+ synsets, a cell of `shows` has room for 32"):
        synsets_of(place.scene, every)
