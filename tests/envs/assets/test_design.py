from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.envs.assets.design import COLOURS, Design, MovingPart, category, inside, paint, small, split_of, top
from zoo.envs.assets.shapes import box


@given(st.integers(3, 60))
def test_splits_are_8_1_1_and_none_is_empty(count):
    splits = [split_of(index, count) for index in range(count)]
    assert splits == sorted(splits, key=("train", "val", "test").index)
    assert splits.count("val") == splits.count("test") == max(1, count // 10)
    assert splits.count("train") >= 1


@small(synset="block.n.01")
def odd_block() -> Iterator[Design]:
    """Described away from its own middle."""
    for length in (0.1, 0.2, 0.3):
        shape = box((length, 0.2, 0.1), (1.0, 2.0, 3.0))
        yield Design("block", 1.0, (shape,), paint(body="red"), (top("top", (1.0, 2.0, 3.1), (length, 0.2)),))


def test_a_category_is_a_function_of_a_few_lines():
    facts = [facts for facts, _ in odd_block.assets()]
    assert [item.uid for item in facts] == ["odd_block_0", "odd_block_1", "odd_block_2"]
    assert [item.split for item in facts] == ["train", "val", "test"]
    assert {item.category for item in facts} == {"odd block"}
    assert facts[0].is_pickupable
    assert facts[0].mounting == "surface"
    assert facts[0].is_receptacle
    np.testing.assert_allclose(facts[2].size_m, (0.3, 0.2, 0.1))


def test_the_origin_is_the_middle_of_the_footprint_at_the_bottom():
    for facts, design in odd_block.assets():
        np.testing.assert_allclose(design.origin_m(), (1.0, 2.0, 3.0))
        np.testing.assert_allclose(facts.surfaces[0].centre_m, (0.0, 0.0, 0.1), atol=1e-12)


def test_what_moves_has_its_frame_at_its_anchor():
    tray = MovingPart(
        name="tray",
        kind="slide",
        axis=(1.0, 0.0, 0.0),
        anchor_m=(0.1, 0.0, 0.2),
        reach=0.3,
        shapes=(box((0.2, 0.2, 0.02), (0.0, 0.0, 0.2)).named("tray_handle"),),
        part="drawer",
        surfaces=(inside("tray", (0.0, 0.0, 0.22), (0.2, 0.2), 0.1),),
    )

    @category(synset="tray.n.01", is_static=True)
    def slider() -> Iterator[Design]:
        yield Design("slider", 2.0, (box((0.2, 0.2, 0.1)),), paint(body="red"), moving=(tray,))

    ((facts, _),) = slider.assets()
    (surface,) = facts.surfaces
    assert surface.body == "tray"
    np.testing.assert_allclose(surface.centre_m, (-0.1, 0.0, 0.02), atol=1e-12)
    (articulation,) = facts.articulations
    assert (articulation.joint, articulation.handle) == ("tray_joint", "tray_handle")
    assert (articulation.kind, articulation.range, articulation.part) == ("slide", (0.0, 0.3), "drawer")
    np.testing.assert_allclose(facts.size_m, (0.2, 0.2, 0.22))


@pytest.mark.parametrize("name", COLOURS)
def test_paints_are_opaque_colours(name):
    (rgba,) = paint(body=name).values()
    assert len(rgba) == 4
    assert all(0 <= value <= 1 for value in rgba)
    assert rgba[3] == 1
