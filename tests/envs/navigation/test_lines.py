"""Lines over a grid against fine sampling, and which corners of a route may go."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.envs.navigation.lines import cheaper_corners, line_between, shortest_corners

SIZE = 9
cells = st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1))


def costs(seed: int, blocked_share: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random((SIZE, SIZE)) < blocked_share, np.inf, rng.uniform(1.0, 5.0, (SIZE, SIZE)))


@given(cells, cells, st.integers(0, 99))
def test_a_line_costs_its_length_in_each_cell(start, end, seed):
    cost = costs(seed)
    line = line_between(np.array(start), np.array(end), cost)
    share = (np.arange(20_000) + 0.5) / 20_000
    points = np.array(start) + 0.5 + share[:, None] * (np.array(end) - np.array(start))
    passed = cost[tuple(np.floor(points).astype(int).T)]
    assert line.cost == pytest.approx(passed.mean() * math.dist(start, end), rel=2e-3)
    assert line.peak >= passed.max()
    back = line_between(np.array(end), np.array(start), cost)
    assert back.cost == pytest.approx(line.cost)
    assert back.peak == line.peak


def test_nothing_squeezes_between_two_blocked_cells():
    cost = np.ones((3, 3))
    cost[0, 1] = cost[1, 0] = np.inf
    assert line_between(np.array([0, 0]), np.array([2, 2]), cost).cost == np.inf
    cost[1, 0] = 1.0  # one of them is enough
    assert line_between(np.array([0, 0]), np.array([2, 2]), cost).cost == np.inf
    assert line_between(np.array([2, 0]), np.array([2, 2]), cost).cost == 2.0


def around_a_wall() -> tuple[np.ndarray, np.ndarray]:
    """A grid with a wall, and a route around its end with useless corners."""
    cost = np.ones((SIZE, SIZE))
    cost[0:6, 4] = np.inf
    down = [(row, 1 + (row % 2)) for row in range(7)]
    across = [(6, column) for column in range(2, 7)]
    up = [(row, 7) for row in range(5, 0, -1)]
    route = np.array([*down, *across, *up])
    steps = np.abs(np.diff(route, axis=0)).max(axis=1)
    return cost, route[[True, *(steps > 0)]]


def test_taut_routes_turn_only_at_obstacles():
    cost, route = around_a_wall()
    corners = shortest_corners(route, cost)
    legs = list(itertools.pairwise(corners))
    assert all(np.isfinite(line_between(a, b, cost).cost) for a, b in legs)
    length = sum(math.dist(a, b) for a, b in legs)
    assert len(corners) <= 4
    assert length < sum(math.dist(a, b) for a, b in itertools.pairwise(route))
    np.testing.assert_array_equal(corners[[0, -1]], route[[0, -1]])
    open_field = shortest_corners(route, np.ones((SIZE, SIZE)))
    np.testing.assert_array_equal(open_field, route[[0, -1]])


@given(st.integers(0, 99), st.integers(2, 20))
def test_skipping_corners_never_costs_more(seed, length):
    cost, rng = costs(seed), np.random.default_rng(seed)
    route = [rng.integers(0, SIZE, 2)]
    while len(route) < length:
        step = rng.integers(-1, 2, 2)
        if step.any():
            route.append(np.clip(route[-1] + step, 0, SIZE - 1))
    route = np.array(route)
    route = route[[True, *np.diff(route, axis=0).any(axis=1)]]

    def total(points: np.ndarray) -> float:
        return sum(line_between(a, b, cost).cost for a, b in itertools.pairwise(points))

    def peak(points: np.ndarray) -> float:
        return max((line_between(a, b, cost).peak for a, b in itertools.pairwise(points)), default=0.0)

    kept = cheaper_corners(route, cost, easy_cost=0.0)
    assert len(kept) <= len(route)
    assert total(kept) <= total(route) * (1 + 1e-6)
    assert peak(kept) <= peak(route)
    np.testing.assert_array_equal(kept[[0, -1]], route[[0, -1]])
    everything = cheaper_corners(route, cost, easy_cost=10.0)  # all of the grid is easy
    assert len(everything) <= 2


def test_a_bend_around_dear_cells_stays():
    cost = np.ones((3, 9))
    cost[0, 2:7] = 50.0
    route = np.array([(0, 0), (0, 1), (1, 1), *((1, c) for c in range(2, 8)), (0, 7), (0, 8)])
    kept = cheaper_corners(route, cost, easy_cost=0.5)
    assert len(kept) > 2
    crossed = [line_between(a, b, cost).peak for a, b in itertools.pairwise(kept)]
    assert max(crossed) <= 50.0
