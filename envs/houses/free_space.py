"""Where somebody can stand in a room while it is being furnished: a 5 cm grid around a body of 0.3 m radius, with a
centimetre to spare, because the cells of occupancy maps are as wide and count as blocked when they are touched.

Conservative: obstacles grow by squares and not by discs, so whatever is connected here is connected for the body.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from scipy import ndimage

from zoo.envs.houses.footprints import Rect

CELL_M = 0.05
RADIUS_M = 0.31
POCKET_M2 = 0.15
"""Area of a spot, in positions of the body's middle, that may be cut off: a gap behind an armchair is no room."""

_POCKET_CELLS = int(POCKET_M2 / CELL_M**2)


class FreeSpace:
    """Free cells of one room.

    Args:
        inside: The room up to the faces of its walls.
        ways: Where one stands before each of its doors, all of which have to stay connected.
    """

    def __init__(self, inside: Rect, ways: Sequence[tuple[float, float]]) -> None:
        self._inside = inside
        shape = math.ceil(inside.width / CELL_M), math.ceil(inside.depth / CELL_M)
        self._is_free = np.zeros(shape, bool)
        self._is_free[self._cells(inside.grown(-RADIUS_M))] = True
        # A door's place may lie a few millimetres nearer to its wall than the body fits: take the next free cell.
        self._ways = [self._cell(*way) for way in ways]

    def block(self, rect: Rect) -> None:
        """Put an obstacle there for good."""
        self._is_free[self._cells(rect.grown(RADIUS_M))] = False

    def reachable(self, extra: Iterable[Rect] = ()) -> np.ndarray | None:
        """(cells along x, cells along y) bool: what is connected with the doors.

        Args:
            extra: Obstacles to try.
        Returns:
            None where two doors are not connected, or where more than a pocket is cut off.
        """
        is_free = self._is_free.copy()
        for rect in extra:
            is_free[self._cells(rect.grown(RADIUS_M))] = False
        labels, count = ndimage.label(is_free)
        found = {int(labels[way]) for way in self._ways}
        if not found:  # no door at all: any one area will do
            found = {int(np.bincount(labels.ravel())[1:].argmax()) + 1} if count else {0}
        if len(found) > 1 or 0 in found:
            return None
        main = found.pop()
        if count > 1:
            sizes = np.bincount(labels.ravel())
            sizes[[0, main]] = 0
            if sizes.max() > _POCKET_CELLS:
                return None
        return labels == main

    def any_within(self, cells: np.ndarray, rect: Rect) -> bool:
        """Whether one of the cells lies in a rectangle."""
        return bool(cells[self._cells(rect)].any())

    def _cells(self, rect: Rect) -> tuple[slice, slice]:
        """Cells whose middles lie within."""
        x0, y0 = self._inside.x0, self._inside.y0
        return (
            slice(max(0, math.ceil((rect.x0 - x0) / CELL_M - 0.5)), max(0, math.ceil((rect.x1 - x0) / CELL_M - 0.5))),
            slice(max(0, math.ceil((rect.y0 - y0) / CELL_M - 0.5)), max(0, math.ceil((rect.y1 - y0) / CELL_M - 0.5))),
        )

    def _cell(self, x: float, y: float) -> tuple[int, int]:
        i, j = int((x - self._inside.x0) / CELL_M), int((y - self._inside.y0) / CELL_M)
        return min(max(i, 0), self._is_free.shape[0] - 1), min(max(j, 0), self._is_free.shape[1] - 1)
