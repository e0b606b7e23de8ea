"""Fill convex shapes and polygons into a grid of cells, all shapes at once, without a renderer.

Pixel frame: x right along columns, y down along rows, 0 at the outer edge of the first cell; cell (row, column) is the
square [column, column + 1] x [row, row + 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

EDGE_PX = 1e-6
"""Shapes that reach into a cell by less do not touch it: a box between cell borders covers just its cells."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ConvexShapes:
    """Convex outlines on a plane: polygons of any number of corners, and ellipses.

    Args:
        corners: (corners, 2) of all polygons in a row, in order around each.
        counts: (polygons,) int; how many corners each has.
        centres: (ellipses, 2).
        spreads: (ellipses, 2, 2) symmetric; an ellipse is the points whose offset d has d' spread^-1 d <= 1.
    """

    corners: np.ndarray
    counts: np.ndarray
    centres: np.ndarray
    spreads: np.ndarray

    def moved(self, linear: np.ndarray, shift: np.ndarray) -> ConvexShapes:
        """The shapes under x -> linear x + shift; `linear` (2, 2), `shift` (2,)."""
        return ConvexShapes(
            corners=self.corners @ linear.T + shift,
            counts=self.counts,
            centres=self.centres @ linear.T + shift,
            spreads=linear @ self.spreads @ linear.T,
        )

    def bounds(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Lowest and highest (2,) coordinates of all shapes; None where there is no shape."""
        half = np.sqrt(np.maximum(np.diagonal(self.spreads, axis1=1, axis2=2), 0))  # what is flat may round below 0
        points = np.concatenate([self.corners, self.centres - half, self.centres + half])
        return (points.min(axis=0), points.max(axis=0)) if len(points) else None


def touched_cells(shapes: ConvexShapes, rows: int, columns: int) -> np.ndarray:
    """Cells that a shape reaches into by more than `EDGE_PX`; what is thinner than a cell touches at least one a row.

    Args:
        shapes: In pixels; parts beyond the grid are cut off.
        rows: Height of the grid.
        columns: Its width.
    Returns:
        (rows, columns) bool.
    """
    spans = [_polygon_spans(shapes.corners, shapes.counts, rows), _ellipse_spans(shapes.centres, shapes.spreads, rows)]
    row, left, right = (np.concatenate(parts) for parts in zip(*spans, strict=True))
    first = np.floor(left + EDGE_PX)
    last = np.maximum(np.ceil(right - EDGE_PX) - 1, first)
    is_inside = (last >= 0) & (first < columns)
    row = row[is_inside]
    first = np.clip(first[is_inside], 0, columns - 1).astype(np.int64)
    last = np.clip(last[is_inside], 0, columns - 1).astype(np.int64)
    # A span adds 1 where it begins and takes it away behind its end; the running sum then counts shapes over a cell.
    steps = np.bincount(row * (columns + 1) + first, minlength=rows * (columns + 1))
    steps -= np.bincount(row * (columns + 1) + last + 1, minlength=rows * (columns + 1))
    counts = np.cumsum(steps.astype(np.int32).reshape(rows, columns + 1), axis=1, dtype=np.int32)
    return counts[:, :-1] > 0


def cells_within(polygon: Sequence[Sequence[float]] | np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Cells whose centres lie inside a polygon, which may be concave.

    Args:
        polygon: (corners, 2) in pixels.
        rows: Height of the grid.
        columns: Its width.
    Returns:
        (rows, columns) bool. Polygons that share an edge share no cell.
    """
    start = np.asarray(polygon, np.float64)
    end = np.roll(start, -1, axis=0)
    low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    first = np.clip(np.ceil(low - 0.5), 0, rows).astype(np.int64)  # rows whose centre lies in [low, high)
    stop = np.clip(np.ceil(high - 0.5), 0, rows).astype(np.int64)
    edge, row = _expanded(first, stop - first)
    span = end[edge, 1] - start[edge, 1]
    x = start[edge, 0] + (row + 0.5 - start[edge, 1]) / span * (end[edge, 0] - start[edge, 0])
    column = np.clip(np.ceil(x - 0.5), 0, columns).astype(np.int64)
    crossings = np.bincount(row * (columns + 1) + column, minlength=rows * (columns + 1))
    odd = np.bitwise_xor.accumulate((crossings & 1).astype(bool).reshape(rows, columns + 1), axis=1)
    return odd[:, :-1]


def _expanded(first: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For ranges of integers: index of its range and value, for each member of all ranges in a row."""
    counts = np.maximum(counts, 0)
    index = np.repeat(np.arange(len(counts)), counts)
    starts = np.cumsum(counts) - counts
    return index, np.arange(len(index)) - starts[index] + first[index]


def _row_range(low: np.ndarray, high: np.ndarray, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """First row and number of rows that [low, high] touches within the grid."""
    first = np.floor(low + EDGE_PX)
    last = np.maximum(np.ceil(high - EDGE_PX) - 1, first)
    first, last = np.maximum(first, 0), np.minimum(last, rows - 1)
    return first.astype(np.int64), np.maximum(last - first + 1, 0).astype(np.int64)


def _polygon_spans(corners: np.ndarray, counts: np.ndarray, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, left and right end of what each polygon covers of each row's strip."""
    if not len(counts):
        return np.zeros(0, np.int64), np.zeros(0), np.zeros(0)
    begins = np.cumsum(counts) - counts
    polygon = np.repeat(np.arange(len(counts)), counts)
    following = np.arange(len(corners)) + 1
    following[begins + counts - 1] = begins
    first, height = _row_range(
        np.minimum.reduceat(corners[:, 1], begins), np.maximum.reduceat(corners[:, 1], begins), rows
    )
    place = np.cumsum(height) - height  # where a polygon's rows begin in the result
    start, end = corners, corners[following]
    lower, upper = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    last = first + height - 1
    edge_first = np.maximum(np.floor(lower).astype(np.int64), first[polygon])
    edge_last = np.minimum(np.ceil(upper).astype(np.int64), last[polygon])
    edge, row = _expanded(edge_first, edge_last - edge_first + 1)
    slope_span = end[edge, 1] - start[edge, 1]
    is_level = slope_span == 0
    shares = [
        np.where(is_level, default, (np.clip(y, lower[edge], upper[edge]) - start[edge, 1]) / (slope_span + is_level))
        for default, y in ((0.0, row), (1.0, row + 1))
    ]
    xs = [start[edge, 0] + share * (end[edge, 0] - start[edge, 0]) for share in shares]
    # An edge that ends on the strip's border has one point in it, which is right: the polygon reaches that point.
    is_near = (upper[edge] >= row) & (lower[edge] <= row + 1)
    slot = (place[polygon[edge]] + row - first[polygon[edge]])[is_near]
    left, right = np.full(height.sum(), np.inf), np.full(height.sum(), -np.inf)
    np.minimum.at(left, slot, np.minimum(*xs)[is_near])
    np.maximum.at(right, slot, np.maximum(*xs)[is_near])
    _, covered = _expanded(first, height)
    return covered, left, right


def _ellipse_spans(centres: np.ndarray, spreads: np.ndarray, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `_polygon_spans`, for ellipses."""
    width2, shear, height2 = spreads[:, 0, 0], spreads[:, 0, 1], np.maximum(spreads[:, 1, 1], 1e-12)
    half_height = np.sqrt(height2)
    first, height = _row_range(centres[:, 1] - half_height, centres[:, 1] + half_height, rows)
    shape, row = _expanded(first, height)
    low = np.clip(row - centres[shape, 1], -half_height[shape], half_height[shape])
    high = np.clip(row + 1 - centres[shape, 1], -half_height[shape], half_height[shape])
    lean = (shear / height2)[shape]
    thickness = np.sqrt(np.maximum(width2 - shear**2 / height2, 0))[shape]
    extreme = (shear / np.sqrt(np.maximum(width2, 1e-12)))[shape]  # where the outline is farthest right
    ends = []
    for sign in (-1.0, 1.0):
        offset = np.clip(sign * extreme, low, high)
        arch = np.sqrt(np.maximum(1 - offset**2 / height2[shape], 0))
        ends.append(centres[shape, 0] + lean * offset + sign * thickness * arch)
    return row, ends[0], ends[1]
