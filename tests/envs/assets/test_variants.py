"""Drawn designs: the same for the same numbers, painted where they have parts, with legs that reach the floor."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.envs.assets.design import Design, category, paint
from zoo.envs.assets.shapes import box, union
from zoo.envs.assets.variants import Variants, any_legs, ellipse, painted, row, star


def drawn(rng):
    size = tuple(rng.uniform(0.2, 0.5, 3).tolist())
    return Design("crate", 1.0, (box(size),), paint(body="red"))


@category(synset="crate.n.01")
def long_crate():
    yield Design("crate", 1.0, (box((0.1, 0.1, 0.1)),), paint(body="red"))


CRATES = Variants(long_crate, drawn)


def test_variants_repeat_and_more_of_them_leave_the_first_as_they_are():
    few, many = list(CRATES.assets(3)), list(CRATES.assets(9))
    assert many[:3] == few
    assert [facts.uid for facts, _ in few] == ["long_crate_v0", "long_crate_v1", "long_crate_v2"]
    assert len({facts.size_m for facts, _ in many}) == 9
    assert {facts.split for facts, _ in many} == {"train"}
    assert {(facts.category, facts.synset) for facts, _ in many} == {("long crate", "crate.n.01")}


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 1.0), st.floats(0.3, 2.0), st.floats(0.3, 2.0))
def test_legs_stand_on_the_floor_below_what_they_carry(seed, height, length, width):
    shapes = any_legs(np.random.default_rng(seed), (0.02, 0.06), height, (length, width))
    low, high = union([shape.bounds() for shape in shapes])
    assert len(shapes) == 4
    assert low[2] == pytest.approx(0.0, abs=0.03)
    assert high[2] == pytest.approx(height, abs=0.03)
    assert high[0] - low[0] <= length + 1e-9
    assert high[1] - low[1] <= width + 1e-9
    assert {shape.colour for shape in shapes} == {"legs"}


@given(st.integers(0, 2**32 - 1), st.integers(3, 6))
def test_a_star_reaches_out_on_all_sides(seed, arms):
    shapes = star(np.random.default_rng(seed), 0.3, arms)
    low, high = union([shape.bounds() for shape in shapes])
    assert low[2] == pytest.approx(0.0, abs=1e-9)
    assert max(high[0], -low[0], high[1], -low[1]) > 0.2


def test_paint_is_for_parts_that_there_are():
    shapes = [box((1.0, 1.0, 1.0), colour="body"), box((1.0, 1.0, 1.0), colour="lid")]
    assert painted(shapes, body="red", lid="blue", legs="oak") == paint(body="red", lid="blue")


@given(st.integers(1, 9), st.floats(0.1, 3.0))
def test_a_row_shares_a_length(count, length):
    middles = row(count, length)
    np.testing.assert_allclose(np.diff(middles), length / count)
    assert middles[0] + middles[-1] == pytest.approx(0.0, abs=1e-9)


def test_an_ellipse_has_the_extents_asked_for():
    corners = np.array(ellipse((2.0, 1.0), (0.5, 0.0)))
    np.testing.assert_allclose(corners.max(0), (1.5, 0.5), atol=1e-9)
    np.testing.assert_allclose(corners.min(0), (-0.5, -0.5), atol=1e-9)
