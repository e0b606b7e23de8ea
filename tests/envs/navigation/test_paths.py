"""Routes against a literal search, exact lengths, rooms, radii and unreachable goals."""

import heapq
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.envs.navigation.occupancy import build_map
from zoo.envs.navigation.paths import (
    MOLMOSPACES_COST,
    RING_COST,
    NoRouteError,
    RouteCost,
    RouteGrid,
    Router,
)
from zoo.errors import ConfigError

SQRT2 = math.sqrt(2)


def literal_cost(grid: RouteGrid, start: tuple[int, int], goal: tuple[int, int]) -> float:
    """A* with a heap, straight from the sheet: edge weight = larger cost of the two cells, times the step's length."""
    rows, columns = grid.passable.shape
    cheapest = np.min(grid.cell_cost[grid.passable])

    def ahead(cell: tuple[int, int]) -> float:
        dr, dc = abs(cell[0] - goal[0]), abs(cell[1] - goal[1])
        steps = dr + dc if grid.connectivity == 4 else max(dr, dc) + (SQRT2 - 1) * min(dr, dc)
        return float(cheapest * steps)

    best, queue, closed = {start: 0.0}, [(ahead(start), start)], set()
    while queue:
        _, cell = heapq.heappop(queue)
        if cell == goal:
            return best[cell]
        if cell in closed:
            continue
        closed.add(cell)
        for dr in (-1, 0, 1):
            for dc in (-1, 0, 1):
                row, column = cell[0] + dr, cell[1] + dc
                if (dr == dc == 0) or not (0 <= row < rows and 0 <= column < columns):
                    continue
                square = [(row, column), (cell[0], column), (row, cell[1])]
                if (dr and dc and grid.connectivity == 4) or not all(grid.passable[place] for place in square):
                    continue
                step = max(grid.cell_cost[cell], grid.cell_cost[row, column]) * math.hypot(dr, dc)
                if best[cell] + step < best.get((row, column), math.inf) - 1e-12:
                    best[row, column] = best[cell] + step
                    heapq.heappush(queue, (best[row, column] + ahead((row, column)), (row, column)))
    return math.inf


@given(st.integers(0, 9999), st.sampled_from([4, 8]), st.sampled_from([MOLMOSPACES_COST, RING_COST]))
def test_routes_cost_what_a_literal_search_finds(map_of, seed, connectivity, cost):
    rng = np.random.default_rng(seed)
    drawing = " ".join("".join(rng.choice(list("..#"), 10)) for _ in range(8))
    grid = RouteGrid(map_of(drawing), radius_m=0.0, connectivity=connectivity, cost=cost)
    free = np.argwhere(grid.passable)
    if not len(free):
        return
    start, goal = (tuple(int(v) for v in free[index]) for index in rng.integers(len(free), size=2))
    tree = grid.tree(grid.plan.point_of(start))
    expected = literal_cost(grid, start, goal)
    assert tree.cost[goal] == pytest.approx(expected)
    assert np.isfinite(expected) == (grid.parts[start] == grid.parts[goal])
    if np.isfinite(expected):
        cells = tree.cells_to(np.array(goal))
        assert tuple(cells[0]) == start
        assert tuple(cells[-1]) == goal
        assert (np.abs(np.diff(cells, axis=0)).max(axis=1) <= 1).all() if len(cells) > 1 else start == goal
        assert grid.passable[tuple(cells.T)].all()


@pytest.mark.parametrize(("cost", "exponent"), [(RING_COST, 3), (MOLMOSPACES_COST, 2)])
def test_cost_is_a_power_of_the_clearance(cost, exponent):
    np.testing.assert_allclose(cost.of(np.array([0.5, 1.0, 7.0])), [2.0**exponent, 1.0, 1.0])
    assert cost.of(0.0) == pytest.approx(1e30)


def test_clearance_is_the_distance_to_the_nearest_blocked_cell(map_of):
    grid = RouteGrid(map_of("....... ....... ...#... ....... ......."), radius_m=0.0)
    assert grid.clearance_m[1, 3] == pytest.approx(0.1)
    assert grid.clearance_m[1, 2] == pytest.approx(0.1 * SQRT2)
    assert grid.clearance_m[0, 0] == pytest.approx(0.1)  # beyond the map


def test_routes_keep_to_the_middle(house):
    scene, model, data = house(2, 1)
    router = Router(occupancy=build_map(model, data, scene=scene), radii_m=(0.2,))
    route = router.route((0.5, 0.5), (5.5, 0.5))
    clearance = router.occupancy.clearance_m()
    samples = np.concatenate(
        [np.linspace(a, b, 50) for a, b in zip(route.points_m[:-1], route.points_m[1:], strict=True)]
    )
    along = clearance[tuple(router.occupancy.cell_of(samples).T)]
    assert along.min() > 0.2
    at_door = np.abs(samples[:, 0] - 3.0) < 0.05
    assert np.abs(samples[at_door][:, 1] - 1.5).max() < 0.1  # in the middle of the doorway
    shortest = router.shortest((0.5, 0.5), (5.5, 0.5))
    assert shortest.length_m < route.length_m
    np.testing.assert_allclose(route.points_m[[0, -1]], [(0.5, 0.5), (5.5, 0.5)])


def test_shortest_lengths_around_a_door(house):
    """The shortest way bends at two corners of the passable area, both beside the doorway."""
    scene, model, data = house(2, 1)
    radius = 0.25
    router = Router(occupancy=build_map(model, data, scene=scene), radii_m=(radius,))
    start, goal = (0.5, 0.5), (5.5, 0.5)
    # The wall ends at (2.95..3.05, 1.05): the agent's middle passes on an arc of its radius around each corner.
    arc = np.linspace(math.pi, math.pi / 2, 200)
    bend = np.array([2.95, 1.05]) + radius * np.stack([np.cos(arc), np.sin(arc)], axis=1)
    first = min(range(200), key=lambda i: math.dist(start, bend[i]) + math.pi / 2 * radius * (1 - i / 199))
    half = math.dist(start, bend[first]) + math.pi / 2 * radius * (1 - first / 199)
    exact = 2 * half + 0.1
    found = router.shortest(start, goal).length_m
    assert exact - 0.02 <= found <= exact * 1.02
    assert router.shortest((0.5, 0.5), (2.5, 2.5)).length_m == pytest.approx(2 * SQRT2)  # straight across a room


def test_lengths_to_all_cells_bound_the_shortest(house):
    scene, model, data = house(2, 2)
    grid = Router(occupancy=build_map(model, data, scene=scene)).grid(0.3)
    source = (0.6, 0.7)
    lengths = grid.distances_m(source)
    rng = np.random.default_rng(0)
    for cell in rng.permutation(np.argwhere(grid.passable))[:10]:
        found = grid.shortest(source, grid.plan.point_of(cell)).length_m
        assert found <= lengths[tuple(cell)] + grid.plan.cell_m
        assert lengths[tuple(cell)] <= found * 1.09 + grid.plan.cell_m
    assert np.isinf(lengths[~grid.passable]).all()


def test_a_tree_answers_many_goals(house):
    scene, model, data = house(2, 2)
    grid = Router(occupancy=build_map(model, data, scene=scene)).grid(0.3)
    tree = grid.tree((0.6, 0.7))
    for goal in ((5.4, 5.4), (5.4, 0.6), (1.0, 1.0)):
        np.testing.assert_array_equal(
            grid.route((0.6, 0.7), goal, tree=tree).points_m, grid.route((0.6, 0.7), goal).points_m
        )
    with pytest.raises(ConfigError, match="the tree is of cell"):
        grid.route((2.0, 2.0), (5.0, 5.0), tree=tree)


def test_smaller_radii_are_tried_in_turn(house):
    scene, model, data = house(2, 1)  # a doorway of 0.9 m
    router = Router(occupancy=build_map(model, data, scene=scene))
    assert router.route((1.0, 1.0), (2.0, 2.0)).radius_m == 0.5
    through = router.route((1.0, 1.0), (5.0, 1.0))
    assert through.radius_m == 0.4
    wide = Router(occupancy=router.occupancy, radii_m=(0.5,))
    with pytest.raises(NoRouteError, match=r"start \(1.00, 1.00\) to goal \(5.00, 1.00\) for an agent of radius 0.5 m"):
        wide.route((1.0, 1.0), (5.0, 1.0))


def test_an_unreachable_goal_names_the_nearest_place(map_of):
    occupancy = map_of("\n".join(["1" * 20 + "#" + "2" * 20] * 6))
    grid = RouteGrid(occupancy, radius_m=0.1)
    with pytest.raises(
        NoRouteError, match=r"nearest place it reaches is \(1.95, 0.25\), 1.75 m from the goal"
    ) as caught:
        grid.route((0.55, 0.25), (3.7, 0.25))
    assert isinstance(caught.value, ConfigError)
    with pytest.raises(NoRouteError, match=r"\(9.00, 9.00\) is more than 1 m from every place"):
        grid.route((9.0, 9.0), (0.5, 0.2))
    with pytest.raises(NoRouteError, match="agent of radius 0.1 m"):
        grid.tree((-30.0, 0.0))


def test_goals_on_furniture_end_beside_it(map_of):
    occupancy = map_of("............ ............ ....###..... ....###..... ............ ............")
    grid = RouteGrid(occupancy, radius_m=0.0)
    route = grid.route((0.15, 0.35), (0.55, 0.3))
    last = grid.plan.cell_of(route.points_m[-1])
    assert grid.passable[tuple(last)]
    assert math.dist(route.points_m[-1], (0.55, 0.3)) < 0.25


def test_start_and_goal_in_one_cell(map_of):
    grid = RouteGrid(map_of("... ... ..."), radius_m=0.0)
    np.testing.assert_allclose(grid.route((0.11, 0.12), (0.18, 0.17)).points_m, [(0.11, 0.12), (0.18, 0.17)])


def test_places_where_the_agent_got_stuck_are_avoided(house):
    scene, model, data = house(2, 2)
    router = Router(occupancy=build_map(model, data, scene=scene), radii_m=(0.3,))
    start, goal = (1.0, 1.0), (4.6, 4.8)  # two ways round, of nearly the same length
    usual = router.route(start, goal).points_m

    def crosses(points: np.ndarray, place: tuple[float, float]) -> bool:
        samples = np.concatenate([np.linspace(a, b, 200) for a, b in itertools.pairwise(points)])
        return bool((np.linalg.norm(samples - place, axis=1) < 0.3).any())

    doors = [(3.0, 1.5), (1.5, 3.0), (3.0, 4.5), (4.5, 3.0)]
    used = next(door for door in doors if crosses(usual, door))
    other = router.avoiding([used] * 6)
    assert not crosses(other.route(start, goal).points_m, used)
    before, after = router.grid(0.3), other.grid(0.3)
    place = tuple(before.plan.cell_of(used))
    assert after.clearance_m[place] == before.clearance_m[place] / 2**6
    np.testing.assert_array_equal(router.route(start, goal).points_m, usual)  # the first router is as it was
    often = router.avoiding([used] * 2000).grid(0.3)  # dear as it can be, and passable still
    assert np.isfinite(often.cell_cost[often.passable]).all()
    assert often.route(start, goal).length_m > 0
    edge = router.avoiding([(-9.0, -9.0), (0.05, 0.05)]).grid(0.3)
    np.testing.assert_array_equal(edge.passable, before.passable)


def test_bad_arguments(map_of):
    with pytest.raises(ConfigError, match="connectivity is 6, expected 4 or 8"):
        RouteGrid(map_of("..."), radius_m=0.0, connectivity=6)
    with pytest.raises(ConfigError, match=r"radii_m is \(\)"):
        Router(occupancy=map_of("..."), radii_m=())
    with pytest.raises(ConfigError, match="one or more radii of 0 m or more"):
        Router(occupancy=map_of("..."), radii_m=(0.5, -0.1))


def test_routes_are_the_same_every_time(house):
    routes = []
    for _ in range(2):
        scene, model, data = house(3, 2)
        router = Router(occupancy=build_map(model, data, scene=scene), cost=RouteCost(exponent=3.0), connectivity=4)
        routes.append(router.route((0.7, 0.7), (8.2, 5.1)).points_m.tobytes())
    assert routes[0] == routes[1]


WALLED = "............ ............ #######..... ............ ............ ............"
"""A wall with a gap at its right."""


def test_a_tree_of_several_sources_leads_to_the_nearest(map_of):
    grid = RouteGrid(map_of(WALLED), radius_m=0.0)
    sources = np.array([[0, 0], [5, 11], [5, 0]])
    tree, singles = grid.tree_of(sources), [grid.tree(grid.plan.point_of(cell)) for cell in sources]
    np.testing.assert_allclose(tree.cost, np.min([single.cost for single in singles], axis=0), rtol=1e-12)
    for cell in [(1, 3), (3, 1), (4, 9)]:  # the second is nearest to the first source as the crow flies
        start = grid.plan.point_of(np.array(cell))
        way = grid.way_home(start, tree)
        nearest = sources[int(np.argmin([single.cost[cell] for single in singles]))]
        np.testing.assert_allclose(way.points_m[0], start)
        np.testing.assert_allclose(way.points_m[-1], grid.plan.point_of(nearest))


def test_a_plain_tree_is_in_metres(map_of):
    grid = RouteGrid(map_of(WALLED), radius_m=0.0)
    source = np.array([0, 0])
    lengths = grid.tree_of(source, is_plain=True).cost
    np.testing.assert_array_equal(lengths, grid.distances_m(grid.plan.point_of(source)))
    assert lengths[0, 5] == pytest.approx(0.5)


def test_a_way_home_from_far_away_is_refused(map_of):
    grid = RouteGrid(map_of(WALLED), radius_m=0.0)
    with pytest.raises(NoRouteError, match=r"\(9\.00, 9\.00\) is more than 0\.5 m from every place"):
        grid.way_home((9.0, 9.0), grid.tree_of(np.array([0, 0])), within_m=0.5)
