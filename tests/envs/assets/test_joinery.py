import itertools

import numpy as np
import pytest

from zoo.envs.assets import joinery
from zoo.envs.assets.shapes import union


def bounds(shapes):
    return np.array(union([shape.bounds() for shape in shapes]))


@pytest.mark.parametrize("style", ["bar", "knob"])
@pytest.mark.parametrize("along", ["y", "z"])
def test_a_handle_can_be_held(style, along):
    shapes = joinery.handle("grip", (0.2, 0.1, 0.5), 0.14, along=along, style=style)
    (grip,) = (shape for shape in shapes if shape.name == "grip")
    low, high = np.array(grip.bounds())
    np.testing.assert_allclose((low + high)[1:] / 2, (0.1, 0.5), atol=1e-9)
    behind = low[0] - 0.2
    assert 0.015 <= behind <= 0.04
    assert (high - low)[0] <= 0.04
    assert sorted(high - low)[1] <= 0.04


@pytest.mark.parametrize("count", [1, 2, 4])
def test_drawers_share_their_opening(count):
    depth, width, height = 0.4, 0.5, 0.6
    parts = joinery.drawers(count, depth, width, height, (0.2, 0.0, 0.1))
    assert [part.name for part in parts] == [f"drawer{index}" for index in range(count)]
    fronts = [bounds(part.shapes) for part in parts]
    assert fronts[0][0][2] > 0.1
    assert fronts[-1][1][2] < 0.1 + height
    for below, above in itertools.pairwise(fronts):
        assert above[0][2] - below[1][2] > 0.003
    for part in parts:
        (surface,) = part.surfaces
        assert surface.is_inside
        assert 0 < part.reach < depth
        inner = [shape.bounds() for shape in part.shapes if shape.colour == "inside"]
        low, high = np.array(union(inner))
        assert low[0] > 0.2 - depth + joinery.BACK_M - 1e-9
        assert -width / 2 < low[1] < high[1] < width / 2


@pytest.mark.parametrize("hinge", ["left", "right"])
def test_a_door_opens_to_the_front(hinge):
    leaf = joinery.door("door0", 0.4, 0.6, (0.25, 0.0, 0.1), hinge=hinge)
    side = 1 if hinge == "right" else -1
    assert leaf.anchor_m[1] == pytest.approx(side * 0.2)
    (grip,) = (shape for shape in leaf.shapes if shape.name == leaf.handle)
    motion = np.cross(leaf.axis, np.subtract(grip.centre_m, leaf.anchor_m))
    assert motion[0] > 0.3  # m per radian


def test_a_flap_comes_down_and_a_lid_goes_up():
    for part, direction in (
        (joinery.flap("door0", 0.5, 0.4, (0.3, 0.0, 0.1)), (1, 0, 0)),
        (joinery.lid("lid", (0.3, 0.4, 0.02), (0.0, 0.0, 0.3), grip=0.1), (0, 0, 1)),
    ):
        (grip,) = (shape for shape in part.shapes if shape.name == part.handle)
        motion = np.cross(part.axis, np.subtract(grip.centre_m, part.anchor_m))
        assert motion @ direction > 0.2
        assert part.is_counterbalanced


def test_a_carcass_is_open_to_the_front_only():
    shapes = joinery.carcass((0.4, 0.5, 0.6), (0.0, 0.0, 0.1))
    np.testing.assert_allclose(bounds(shapes), [(-0.2, -0.25, 0.1), (0.2, 0.25, 0.7)])

    def is_solid(point):
        return any(
            all(low <= x <= high for low, x, high in zip(*box[:1], point, *box[1:], strict=True))
            for box in (shape.bounds() for shape in shapes)
        )

    assert not is_solid((0.199, 0.0, 0.4))
    assert not is_solid((0.0, 0.0, 0.4))
    for wall in ((-0.199, 0.0, 0.4), (0.0, 0.249, 0.4), (0.0, -0.249, 0.4), (0.0, 0.0, 0.101), (0.0, 0.0, 0.699)):
        assert is_solid(wall), wall
