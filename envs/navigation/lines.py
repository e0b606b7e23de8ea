"""Straight lines over a grid of costs, and routes with fewer corners.

Source: sheet spoc_ring_holodeck_graspmolmo section 2.5 item 5 (when a corner may be skipped).
Cells are integer (row, column); lines run between their centres. A cell of infinite cost is impassable.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CANDIDATE_STEP = 5
"""Every so many cells of a route may become a corner when it is pulled taut, beside those where it turns."""
PROBES = (np.arange(16) + 0.5) / 16
"""Places on a line, as shares of its length, that are looked at before the whole line is."""
SLACK = 1e-9
"""Relative; sums of the same costs in another order differ by less."""


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line over the grid.

    Args:
        cost: Integral of the cells' costs along it, lengths in cells; infinite where it touches an impassable cell.
        peak: Highest cost of a cell on it.
    """

    cost: float
    peak: float


def line_between(start: np.ndarray, end: np.ndarray, cell_cost: np.ndarray) -> Line:
    """Cost of the straight line between the centres of two cells.

    Args:
        start: (2,) int.
        end: (2,) int.
        cell_cost: (rows, columns) float.
    Returns:
        Exact: every cell that the line passes counts by the length within it. Where it passes through a corner, the
        two cells beside it count for the peak, so that nothing squeezes between two impassable ones.
    """
    delta = (end - start).astype(np.float64)
    length = float(np.hypot(*delta))
    if length == 0:
        cost = float(cell_cost[start[0], start[1]])
        return Line(0.0 if np.isfinite(cost) else np.inf, cost)
    crossings = [(np.arange(abs(int(d))) + 0.5) / abs(d) for d in delta if d]
    share = np.concatenate([[0.0], *crossings, [1.0]])
    share.sort()
    gap = np.diff(share)
    middle = start + 0.5 + (share[:-1] + gap / 2)[:, None] * delta
    is_corner = gap < SLACK
    cells = np.floor(middle[~is_corner]).astype(np.int64)
    passed = cell_cost[cells[:, 0], cells[:, 1]]
    peak = float(passed.max())
    if is_corner.any():
        aside = 0.5 * np.sign(delta) * np.array([1.0, -1.0])
        both = np.floor(np.concatenate([middle[is_corner] + aside, middle[is_corner] - aside])).astype(np.int64)
        peak = max(peak, float(cell_cost[both[:, 0], both[:, 1]].max()))
    if not np.isfinite(peak):
        return Line(np.inf, np.inf)
    return Line(float(passed @ gap[~is_corner]) * length, peak)


def cheaper_corners(cells: np.ndarray, cell_cost: np.ndarray, *, easy_cost: float) -> np.ndarray:
    """Skip corners of a route, greedily from its start, where a straight line is no worse.

    A line is no worse when it neither costs more than the stretch it replaces nor has a higher peak, or when all of
    it costs less than `easy_cost`.

    Args:
        cells: (cells, 2) of a route over neighbours.
        cell_cost: (rows, columns) float.
        easy_cost: Of a cell whose clearance is ample.
    Returns:
        (corners, 2), first and last cell included.
    """
    if len(cells) <= 2:
        return cells
    cost, peaks = _step_costs(cells, cell_cost)
    until = np.concatenate([[0.0], np.cumsum(cost)])
    kept, anchor, peak = [0], 0, peaks[0]
    for index in range(2, len(cells)):
        peak = max(peak, peaks[index - 1])
        straight = line_between(cells[anchor], cells[index], cell_cost)
        replaced = until[index] - until[anchor]
        is_cheaper = straight.cost <= replaced * (1 + SLACK) and straight.peak <= peak * (1 + SLACK)
        if not (is_cheaper or straight.peak < easy_cost):
            anchor = index - 1
            kept.append(anchor)
            peak = peaks[anchor]
    return cells[[*kept, len(cells) - 1]]


def _step_costs(cells: np.ndarray, cell_cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`line_between` for each step to a neighbour: (cells - 1,) costs and peaks."""
    (row, column), (next_row, next_column) = cells[:-1].T, cells[1:].T
    here, there = cell_cost[row, column], cell_cost[next_row, next_column]
    beside = np.maximum(cell_cost[row, next_column], cell_cost[next_row, column])  # of a straight step: its own ends
    length = np.hypot(next_row - row, next_column - column)
    return (here + there) / 2 * length, np.maximum(np.maximum(here, there), beside)


def shortest_corners(cells: np.ndarray, cell_cost: np.ndarray) -> np.ndarray:
    """Pull a route taut: the shortest way over some of its cells, along passable straight lines.

    Args:
        cells: (cells, 2) of a route over neighbours.
        cell_cost: (rows, columns) float; only whether it is finite matters.
    Returns:
        (corners, 2), first and last cell included.
    """
    if len(cells) <= 2:
        return cells
    steps = np.diff(cells, axis=0)
    turns = np.flatnonzero((steps[1:] != steps[:-1]).any(axis=1)) + 1
    # Ways over neighbours have ties, so that the best turning point need not be where this one turns.
    places = np.unique(np.concatenate([[0, len(cells) - 1], turns, np.arange(0, len(cells), CANDIDATE_STEP)]))
    corners = cells[places]
    apart = np.linalg.norm(corners[:, None] - corners[None], axis=2)
    shortest, before = np.full(len(corners), np.inf), np.zeros(len(corners), np.int64)
    shortest[0] = 0.0
    for index in range(1, len(corners)):
        through = shortest[:index] + apart[:index, index]
        through[:-1][~_may_see(corners[: index - 1], corners[index], cell_cost)] = np.inf
        for candidate in np.argsort(through, kind="stable"):
            # Neighbours on the route always see each other, so that this ends.
            if candidate == index - 1 or _sees(corners[candidate], corners[index], cell_cost):
                shortest[index], before[index] = through[candidate], candidate
                break
    chain = [len(corners) - 1]
    while chain[-1]:
        chain.append(int(before[chain[-1]]))
    return corners[chain[::-1]]


def _sees(start: np.ndarray, end: np.ndarray, cell_cost: np.ndarray) -> bool:
    return bool(np.isfinite(line_between(start, end, cell_cost).cost))


def _may_see(starts: np.ndarray, end: np.ndarray, cell_cost: np.ndarray) -> np.ndarray:
    """(starts,) bool; False where one of a few points of the line is impassable. Spares most exact tests."""
    points = starts[:, None] + PROBES[:, None] * (end - starts)[:, None] + 0.5
    cells = np.floor(points).astype(np.int64)
    return np.isfinite(cell_cost[cells[..., 0], cells[..., 1]]).all(axis=1)
