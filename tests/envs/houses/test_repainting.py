"""Paint of train houses: a share of things, drawn for each; leaves stay leaves, and what one lifts stays as it is."""

import numpy as np
import pytest
from asset_facts import facts

from zoo.envs.houses.appearance import Style
from zoo.envs.houses.generator import HouseSettings
from zoo.envs.houses.repainting import LEAVES, RepaintedStyle
from zoo.errors import ConfigError

FRIDGE = facts("fridge", "fridge", "body", "front", "inside", "handle")


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def style(share):
    return RepaintedStyle(np.random.default_rng(3), share=share)


def test_a_house_keeps_the_woods_and_walls_that_it_had():
    plain = Style(np.random.default_rng(3))
    assert (style(0.7).woods, style(0.7).outside) == (plain.woods, plain.outside)


def test_all_parts_get_colours_and_main_ones_often_the_same(rng):
    found = [style(1.0).colours(rng, FRIDGE) for _ in range(300)]
    assert all(set(paint) == set(FRIDGE.colours) for paint in found)
    assert all(0 <= value <= 1 for paint in found for rgba in paint.values() for value in rgba)
    assert all(rgba[3] == 1 for paint in found for rgba in paint.values())
    assert 0.5 < np.mean([paint["body"] == paint["front"] for paint in found]) < 0.7
    assert len({paint["body"] for paint in found}) > 250


def test_a_share_is_painted_and_the_rest_looks_as_in_any_house(rng):
    painted = [set(style(0.7).colours(rng, FRIDGE)) == set(FRIDGE.colours) for _ in range(400)]
    assert 0.62 < np.mean(painted) < 0.78
    ordinary = style(0.0).colours(rng, FRIDGE)
    assert ordinary == Style(np.random.default_rng(3)).colours(rng, FRIDGE)


def test_leaves_stay_leaves_and_screens_dark(rng):
    for _ in range(100):
        paint = style(1.0).colours(rng, facts("house plant", "house plant", "body", "leaves", "soil"))
        assert "soil" not in paint
        assert min(np.abs(np.subtract(leaf, paint["leaves"][:3])).max() for leaf in LEAVES) < 0.09
        assert set(style(1.0).colours(rng, facts("television", "television", "body", "screen"))) == {"body"}


def test_what_one_picks_up_keeps_its_colours(rng):
    assert style(1.0).colours(rng, facts("mug", "mug", "body", is_pickupable=True)) == {}


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_that_is_none(share):
    with pytest.raises(ConfigError, match=f"repainted_share is {share}, expected a share from 0 to 1"):
        HouseSettings(repainted_share=share)
