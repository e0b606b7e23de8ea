"""Turned rectangles: shapely is the judge of overlaps and bounds."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from shapely.geometry import Polygon

from zoo.envs.houses.footprints import Footprint, Rect, around

places = st.floats(-2, 2)
sizes = st.floats(0.05, 2)
footprints = st.builds(Footprint, places, places, sizes, sizes, st.floats(-math.pi, math.pi))
rects = st.builds(around, places, places, sizes, sizes)


def polygon(shape):
    return Polygon(shape.corners if isinstance(shape, Footprint) else shape_corners(shape))


def shape_corners(rect):
    return [(rect.x0, rect.y0), (rect.x1, rect.y0), (rect.x1, rect.y1), (rect.x0, rect.y1)]


@given(footprints, footprints)
def test_overlap_of_turned_rectangles_is_that_of_their_areas(first, second):
    area = polygon(first).intersection(polygon(second)).area
    distance = polygon(first).distance(polygon(second))
    assume(area > 1e-6 or distance > 1e-6)  # else they touch, and rounding decides
    assert first.overlaps(second) == (area > 0)
    assert first.overlaps(second) == second.overlaps(first)


@given(footprints, footprints, st.floats(0, 0.5))
def test_a_gap_is_never_less_than_asked(first, second, gap):
    if not first.overlaps(second, gap):
        assert polygon(first).distance(polygon(second)) >= gap - 1e-9


@given(footprints)
def test_the_box_is_the_least_around_the_corners(footprint):
    assert tuple(footprint.box) == pytest.approx(polygon(footprint).bounds, abs=1e-9)


@given(rects, rects)
def test_upright_rectangles_agree_with_turned_ones(first, second):
    areas = polygon(first).intersection(polygon(second)).area
    assume(areas > 1e-6 or polygon(first).distance(polygon(second)) > 1e-6)
    assert first.overlaps(second) == (areas > 0)


@given(rects, st.floats(0, 0.5))
def test_a_grown_rectangle_contains_the_old_one(rect, margin):
    grown = rect.grown(margin)
    assert grown.contains(rect)
    assert grown.width == pytest.approx(rect.width + 2 * margin)
    assert rect.contains(grown) == (margin < 1e-9)


def test_touching_is_no_overlap():
    left = Rect(0, 0, 1, 1)
    assert not left.overlaps(Rect(1, 0, 2, 1))
    assert left.overlaps(Rect(1, 0, 2, 1), gap=0.01)
    assert not Footprint(0.5, 0.5, 1, 1, 0).overlaps(Footprint(1.5, 0.5, 1, 1, 0))
