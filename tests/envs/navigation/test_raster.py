"""Cells under convex shapes and within polygons, against point tests by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from zoo.envs.navigation.raster import ConvexShapes, cells_within, touched_cells
from zoo.envs.navigation.success import is_in_room

SIZE = 12
SAMPLES = 15  # points along an edge of a cell


def shapes_of(polygons=(), ellipses=()) -> ConvexShapes:
    return ConvexShapes(
        corners=np.concatenate([np.zeros((0, 2)), *map(np.asarray, polygons)]),
        counts=np.array([len(polygon) for polygon in polygons], np.int64),
        centres=np.array([centre for centre, _ in ellipses]).reshape(-1, 2),
        spreads=np.array([spread for _, spread in ellipses]).reshape(-1, 2, 2),
    )


def sample_points() -> np.ndarray:
    """(rows, columns, samples, 2) points well inside each cell."""
    inside = (np.arange(SAMPLES) + 0.5) / SAMPLES
    grid = np.stack(np.meshgrid(inside, inside), axis=-1).reshape(-1, 2)
    corner = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), axis=-1)
    return corner[:, :, None] + grid


def within_polygon(points: np.ndarray, polygon: np.ndarray, slack: float) -> np.ndarray:
    hull = ConvexHull(polygon)
    return (points @ hull.equations[:, :2].T + hull.equations[:, 2] <= slack).all(axis=-1)


def assert_touches(blocked: np.ndarray, inside: np.ndarray, nearly: np.ndarray) -> None:
    """A cell with a point inside is touched; a touched cell has a point that is nearly inside."""
    assert not (inside.any(axis=-1) & ~blocked).any()
    assert not (blocked & ~nearly.any(axis=-1)).any()


coordinates = st.floats(-3.0, SIZE + 3.0)


@given(st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=9))
def test_a_convex_polygon_touches_the_cells_that_it_reaches_into(points):
    points = np.array(points)
    if np.linalg.matrix_rank(points - points[0], tol=1e-2) < 2:
        return
    polygon = points[ConvexHull(points).vertices]
    samples = sample_points()
    blocked = touched_cells(shapes_of([polygon]), SIZE, SIZE)
    # Half the way between two samples is the most that a shape can reach into a cell unseen.
    unseen = 1.5 / SAMPLES
    assert_touches(blocked, within_polygon(samples, polygon, -1e-4), within_polygon(samples, polygon, unseen))


@given(
    st.tuples(coordinates, coordinates),
    st.floats(0.05, 6.0),
    st.floats(0.05, 6.0),
    st.floats(0.0, math.pi),
)
def test_an_ellipse_touches_the_cells_that_it_reaches_into(centre, long, short, angle):
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])

    def inside(points: np.ndarray, slack: float) -> np.ndarray:
        local = (points - np.array(centre)) @ turn / np.array([long + slack, short + slack])
        return (local**2).sum(axis=-1) <= 1

    spread = turn @ np.diag([long**2, short**2]) @ turn.T
    samples = sample_points()
    blocked = touched_cells(shapes_of(ellipses=[(centre, spread)]), SIZE, SIZE)
    assert_touches(blocked, inside(samples, -1e-4), inside(samples, 1.5 / SAMPLES))


def test_a_box_between_cell_borders_covers_just_its_cells():
    blocked = touched_cells(shapes_of([[(2, 3), (6, 3), (6, 5), (2, 5)]]), SIZE, SIZE)
    expected = np.zeros((SIZE, SIZE), bool)
    expected[3:5, 2:6] = True
    np.testing.assert_array_equal(blocked, expected)


@pytest.mark.parametrize("slope", [0.0, 0.1, 0.5, 1.0, 3.0])
def test_a_line_without_thickness_leaves_no_gap(slope):
    end = (SIZE, 1.3 + slope * (SIZE - 0.5)) if slope <= 1 else (0.5 + (SIZE - 1.3) / slope, SIZE)
    blocked = touched_cells(shapes_of([[(0.5, 1.3), end]]), SIZE, SIZE)
    rows, columns = np.nonzero(blocked)
    last = min(SIZE - 1, int(end[1]))
    assert set(rows) == set(range(1, last + 1))
    steps = np.diff(np.unique(columns))
    assert (steps == 1).all()


def test_several_shapes_and_none():
    square = [(1, 1), (3, 1), (3, 3), (1, 3)]
    both = touched_cells(shapes_of([square], [((8.0, 8.0), np.eye(2))]), SIZE, SIZE)
    apart = touched_cells(shapes_of([square]), SIZE, SIZE) | touched_cells(
        shapes_of(ellipses=[((8.0, 8.0), np.eye(2))]), SIZE, SIZE
    )
    np.testing.assert_array_equal(both, apart)
    assert both[8, 8] and both[2, 2]
    assert not touched_cells(shapes_of(), SIZE, SIZE).any()
    assert shapes_of().bounds() is None
    assert not touched_cells(shapes_of([[(20, 1), (22, 1), (22, 3)]]), SIZE, SIZE).any()


def test_moving_shapes_moves_their_bounds():
    shapes = shapes_of([[(0, 0), (2, 0), (2, 1)]], [((5.0, 5.0), np.diag([4.0, 1.0]))])
    low, high = shapes.moved(np.array([[0.0, 10.0], [-10.0, 0.0]]), np.array([1.0, 2.0])).bounds()
    np.testing.assert_allclose(low, [1.0, -68.0])
    np.testing.assert_allclose(high, [61.0, 2.0])


@given(st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=8))
def test_a_polygon_holds_the_cells_whose_centre_it_holds(polygon):
    filled = cells_within(polygon, SIZE, SIZE)
    for row in range(SIZE):
        for column in range(SIZE):
            assert filled[row, column] == is_in_room((column + 0.5, row + 0.5), polygon)


def test_polygons_that_share_an_edge_share_no_cell():
    left, right = [(0, 0), (4.5, 0), (4.5, 9), (0, 9)], [(4.5, 0), (9, 0), (9, 9), (4.5, 9)]
    first, second = cells_within(left, SIZE, SIZE), cells_within(right, SIZE, SIZE)
    assert not (first & second).any()
    assert (first | second)[:9, :9].all()
