"""Routes over an occupancy map: cheapest with respect to clearance, shortest in metres, reachable places.

Source: sheets molmospaces section 15 (navigation expert: map scaled down by 5, radius 0.5 m) and
spoc_ring_holodeck_graspmolmo sections 1.2 (fall-back radii) and 2.5 (cost, edge weights). A cell of a route grid is
passable when the agent's middle may be anywhere in it; clearance is the distance to the nearest impassable cell. The
search is Dijkstra's, that is A* with the heuristic 0, exact; scipy runs it in compiled code, and one run from a place
answers every goal.
Differs: a goal that cannot be reached is an error that names the nearest place that can.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np
from scipy import ndimage
from scipy.sparse import csgraph, csr_array

from zoo.envs.navigation.lines import cheaper_corners, shortest_corners
from zoo.envs.navigation.metrics import path_length_m
from zoo.envs.navigation.occupancy import OccupancyMap
from zoo.errors import ConfigError

RADII_M = (0.5, 0.4, 0.3, 0.2)
"""Agent radii to plan with; the first that reaches the goal wins."""
FACTOR = 5
SNAP_M = 1.0
"""How far a start or goal may be from a passable cell; objects stand on furniture."""
COST_FLOOR = 1e-30
BLOB_M = 0.35
"""Edge of the square around a place where the agent got stuck, in which clearance is halved."""

Connectivity = Literal[4, 8]
Point = Sequence[float] | np.ndarray


class NoRouteError(ConfigError):
    """There is no way from a start to a goal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RouteCost:
    """Price of a cell: clearance to a negative power, so that routes keep away from obstacles.

    Args:
        exponent: Of the clearance in metres, without its sign.
        clip_m: More clearance than this is worth no more.
        easy_m: Simplification takes any straight line whose clearance stays above this.
    """

    exponent: float
    clip_m: float = 1.0
    easy_m: float = 0.6

    def of(self, clearance_m: np.ndarray | float) -> np.ndarray:
        """Price at a clearance; 1e30 at 0."""
        clearance = np.minimum(np.asarray(clearance_m, np.float64), self.clip_m)
        return 1.0 / np.maximum(clearance**self.exponent, COST_FLOOR)


MOLMOSPACES_COST = RouteCost(exponent=2.0)
RING_COST = RouteCost(exponent=3.0)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Route:
    """Straight legs from a start to a goal.

    Args:
        points_m: (points, 2), the start first.
        radius_m: Of the agent that it was planned for.
    """

    points_m: np.ndarray
    radius_m: float

    @property
    def length_m(self) -> float:
        return path_length_m(self.points_m)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RouteTree:
    """Cheapest ways from one cell, or from the nearest of several, to all others.

    Args:
        source: (2,) its cell, or (sources, 2).
        cost: (rows, columns) of the way there; infinite where there is none.
        previous: (rows, columns) flat index of the cell before, negative at the source and where there is no way.
    """

    source: np.ndarray
    cost: np.ndarray
    previous: np.ndarray

    def cells_to(self, goal: np.ndarray) -> np.ndarray:
        """(cells, 2) from the source, or the nearest of several, to a cell that it reaches."""
        columns = self.previous.shape[1]
        flat = self.previous.ravel()
        here = int(goal[0]) * columns + int(goal[1])
        chain = []
        while here >= 0:
            chain.append(here)
            here = int(flat[here])
        return np.stack(np.divmod(np.array(chain[::-1]), columns), axis=1)


class RouteGrid:
    """Passable cells for one agent radius, their costs and the searches over them.

    Args:
        plan: Map scaled down, blocked where the agent's middle may not be.
        radius_m: Which agent that is.
        cost: Price of clearance.
        connectivity: Moves along rows and columns, or diagonals too; a diagonal needs both cells beside it.
        avoid_m: Places where the agent got stuck; each mention halves the clearance around it.
    """

    def __init__(
        self,
        plan: OccupancyMap,
        *,
        radius_m: float,
        cost: RouteCost = MOLMOSPACES_COST,
        connectivity: Connectivity = 8,
        avoid_m: Sequence[Point] = (),
    ) -> None:
        if connectivity not in (4, 8):
            raise ConfigError(f"connectivity is {connectivity!r}, expected 4 or 8")
        self.plan, self.radius_m, self.cost, self.connectivity = plan, radius_m, cost, connectivity
        self.passable = ~plan.blocked
        self.clearance_m = np.minimum(plan.clearance_m(), cost.clip_m)
        self._halve_around(avoid_m)
        self.cell_cost = np.where(self.passable, cost.of(self.clearance_m), np.inf)

    def _halve_around(self, places_m: Sequence[Point]) -> None:
        half = round(BLOB_M / self.plan.cell_m) // 2
        for row, column in self.plan.cell_of(np.reshape(places_m, (-1, 2))):
            rows = slice(max(row - half, 0), max(row + half + 1, 0))
            self.clearance_m[rows, max(column - half, 0) : max(column + half + 1, 0)] /= 2

    @cached_property
    def parts(self) -> np.ndarray:
        """(rows, columns) int; passable cells of one number can reach each other, 0 is impassable."""
        return ndimage.label(self.passable)[0]  # diagonals need both neighbours, so they join nothing more

    @cached_property
    def _weighted(self) -> csr_array:
        flat = self.cell_cost.ravel()
        return self._graph(self.connectivity, lambda a, b, step: np.maximum(flat[a], flat[b]) * step)

    @cached_property
    def _plain(self) -> csr_array:
        return self._graph(8, lambda a, b, step: np.full(len(a), step * self.plan.cell_m))

    def _graph(
        self, connectivity: Connectivity, weigh: Callable[[np.ndarray, np.ndarray, float], np.ndarray]
    ) -> csr_array:
        """Both directions of every move, weighted by `weigh(cells, cells, length in cells)`."""
        rows, columns = self.passable.shape
        index = np.arange(rows * columns).reshape(rows, columns)
        free = self.passable
        moves = [
            (index[:, :-1], index[:, 1:], free[:, :-1] & free[:, 1:], 1.0),
            (index[:-1], index[1:], free[:-1] & free[1:], 1.0),
        ]
        if connectivity == 8:
            square = free[:-1, :-1] & free[:-1, 1:] & free[1:, :-1] & free[1:, 1:]
            moves.append((index[:-1, :-1], index[1:, 1:], square, np.sqrt(2)))
            moves.append((index[:-1, 1:], index[1:, :-1], square, np.sqrt(2)))
        begins = [a[allowed] for a, _, allowed, _ in moves]
        ends = [b[allowed] for _, b, allowed, _ in moves]
        weights = np.concatenate([weigh(a, b, move[3]) for a, b, move in zip(begins, ends, moves, strict=True)])
        begin, end = np.concatenate(begins), np.concatenate(ends)
        both = (np.concatenate([begin, end]), np.concatenate([end, begin]))
        return csr_array((np.concatenate([weights, weights]), both), shape=(index.size, index.size))

    def _tree(self, graph: csr_array, source: np.ndarray) -> RouteTree:
        flat = int(source[0]) * self.passable.shape[1] + int(source[1])
        cost, previous = csgraph.dijkstra(graph, indices=flat, return_predecessors=True)
        shape = self.passable.shape
        return RouteTree(source=source, cost=cost.reshape(shape), previous=previous.reshape(shape))

    def nearest(self, point_m: Point, *, within_m: float = SNAP_M, part: int | None = None) -> np.ndarray | None:
        """(2,) passable cell nearest to a point, of one part or of any; None where none is within reach."""
        cell = self.plan.cell_of(point_m)
        half = int(np.ceil(min(within_m / self.plan.cell_m, sum(self.passable.shape)))) + 1
        # A point beyond the map has a window that is cut off, or empty.
        low = np.clip(cell - half, 0, self.passable.shape)
        high = np.clip(cell + half + 1, 0, self.passable.shape)
        window = self.parts[low[0] : high[0], low[1] : high[1]]
        cells = np.argwhere(window > 0 if part is None else window == part) + low
        if not len(cells):
            return None
        own = (cells == cell).all(axis=1)  # distance to the cell's centre would let a neighbour win at its border
        distance = np.where(own, 0.0, np.linalg.norm(self.plan.point_of(cells) - np.asarray(point_m), axis=1))
        best = int(distance.argmin())
        return cells[best] if distance[best] <= within_m else None

    def ends(self, start_m: Point, goal_m: Point) -> tuple[np.ndarray, np.ndarray]:
        """Cells of a start and of a goal that can reach each other.

        Raises:
            NoRouteError: one of them is too far from any such cell.
        """
        start = self.start_cell(start_m)
        part = int(self.parts[tuple(start)])
        goal = self.nearest(goal_m, part=part)
        if goal is None:
            anywhere = self.nearest(goal_m, within_m=np.inf, part=part)
            assert anywhere is not None  # the start's own cell is one
            point = self.plan.point_of(anywhere)
            raise NoRouteError(
                f"no way from start {_shown(start_m)} to goal {_shown(goal_m)} for an agent of radius "
                f"{self.radius_m:g} m: the nearest place it reaches is {_shown(point)}, "
                f"{np.linalg.norm(point - np.asarray(goal_m)):.2f} m from the goal; at most {SNAP_M:g} m is allowed"
            )
        return start, goal

    def start_cell(self, start_m: Point) -> np.ndarray:
        """(2,) passable cell nearest to a place.

        Raises:
            NoRouteError: none is near.
        """
        cell = self.nearest(start_m)
        if cell is None:
            raise NoRouteError(
                f"{_shown(start_m)} is more than {SNAP_M:g} m from every place where an agent of radius "
                f"{self.radius_m:g} m fits; name another place or a smaller radius"
            )
        return cell

    def tree(self, source_m: Point) -> RouteTree:
        """Cheapest ways from a place to all others, to answer many queries with."""
        return self._tree(self._weighted, self.start_cell(source_m))

    def tree_of(self, cells: np.ndarray, *, is_plain: bool = False) -> RouteTree:
        """Ways from the nearest of several cells to all others; moves go both ways, so these are ways to them as well.

        Args:
            cells: (sources, 2), at least one, passable.
            is_plain: Costs are metres, whatever the clearance.
        """
        sources = np.reshape(cells, (-1, 2))
        graph = self._plain if is_plain else self._weighted
        flat = sources[:, 0] * self.passable.shape[1] + sources[:, 1]
        cost, previous, _ = csgraph.dijkstra(graph, indices=flat, return_predecessors=True, min_only=True)
        shape = self.passable.shape
        return RouteTree(source=sources, cost=cost.reshape(shape), previous=previous.reshape(shape))

    def way_home(self, start_m: Point, tree: RouteTree, *, within_m: float = SNAP_M) -> Route:
        """From a place to the source that is nearest by a tree's costs, simplified.

        Args:
            start_m: Where the agent is.
            tree: Of this grid.
            within_m: How far the agent may be from a cell that the tree reaches.
        Raises:
            NoRouteError: it is farther from every such cell.
        """
        start = self._nearest_reached(start_m, tree, within_m)
        cells = tree.cells_to(start)[::-1]
        corners = cheaper_corners(cells, self.cell_cost, easy_cost=float(self.cost.of(self.cost.easy_m)))
        points = self.plan.point_of(corners)
        return Route(points_m=np.concatenate([[np.asarray(start_m, np.float64)], points[1:]]), radius_m=self.radius_m)

    def _nearest_reached(self, point_m: Point, tree: RouteTree, within_m: float) -> np.ndarray:
        cell = self.plan.cell_of(point_m)
        half = int(np.ceil(within_m / self.plan.cell_m)) + 1
        low = np.clip(cell - half, 0, self.passable.shape)
        high = np.clip(cell + half + 1, 0, self.passable.shape)
        cells = np.argwhere(np.isfinite(tree.cost[low[0] : high[0], low[1] : high[1]])) + low
        apart = np.linalg.norm(self.plan.point_of(cells) - np.asarray(point_m), axis=1)
        if not len(cells) or apart.min() > within_m:
            raise NoRouteError(
                f"{_shown(point_m)} is more than {within_m:g} m from every place from where an agent of radius "
                f"{self.radius_m:g} m reaches its goal"
            )
        return cells[int(apart.argmin())]

    def route(self, start_m: Point, goal_m: Point, *, tree: RouteTree | None = None, simplify: bool = True) -> Route:
        """Cheapest route.

        Args:
            start_m: Where the agent is.
            goal_m: Where it should go; the route ends at the nearest passable cell.
            tree: Of the start, where several goals are asked for.
            simplify: Straighten it where that costs nothing (RING, item 5).
        Raises:
            NoRouteError: there is none.
        """
        start, goal = self.ends(start_m, goal_m)
        tree = self._tree(self._weighted, start) if tree is None else tree
        if not np.array_equal(tree.source, start):
            raise ConfigError(f"the tree is of cell {tree.source.tolist()}, the start is in cell {start.tolist()}")
        cells = tree.cells_to(goal)
        if simplify:
            cells = cheaper_corners(cells, self.cell_cost, easy_cost=float(self.cost.of(self.cost.easy_m)))
        return Route(points_m=self._points(cells, start_m, goal_m), radius_m=self.radius_m)

    def shortest(self, start_m: Point, goal_m: Point) -> Route:
        """Shortest route whatever its clearance, pulled taut; its length is the one that SPL compares with.

        Raises:
            NoRouteError: there is none.
        """
        start, goal = self.ends(start_m, goal_m)
        cells = shortest_corners(self._tree(self._plain, start).cells_to(goal), self.cell_cost)
        return Route(points_m=self._points(cells, start_m, goal_m), radius_m=self.radius_m)

    def distances_m(self, source_m: Point) -> np.ndarray:
        """(rows, columns) metres from a place to each cell by moves to neighbours, at most 8.3 % above the shortest."""
        return self._tree(self._plain, self.start_cell(source_m)).cost

    def _points(self, cells: np.ndarray, start_m: Point, goal_m: Point) -> np.ndarray:
        """World points of a route; it begins at the start itself, and ends at the goal where that is passable."""
        points = self.plan.point_of(cells)
        goal = np.asarray(goal_m, np.float64)
        if len(cells) == 1:  # both ends in one cell
            points = np.repeat(points, 2, axis=0)
        points[0] = start_m
        if np.array_equal(self.plan.cell_of(goal), cells[-1]):
            points[-1] = goal
        return points


@dataclass(kw_only=True)
class Router:
    """Route grids of one map for several radii, made when they are needed.

    Args:
        occupancy: At full resolution, not dilated.
        radii_m: To try in this order.
        factor: Cells of the map along an edge of a grid's cell.
        cost: Price of clearance.
        connectivity: See `RouteGrid`.
        avoid_m: See `RouteGrid`.
    """

    occupancy: OccupancyMap
    radii_m: tuple[float, ...] = RADII_M
    factor: int = FACTOR
    cost: RouteCost = MOLMOSPACES_COST
    connectivity: Connectivity = 8
    avoid_m: tuple[Point, ...] = ()
    _clearance_m: np.ndarray | None = field(default=None, repr=False)
    _grids: dict[float, RouteGrid] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self.radii_m or min(self.radii_m) < 0:
            raise ConfigError(f"radii_m is {self.radii_m}, expected one or more radii of 0 m or more")

    def grid(self, radius_m: float) -> RouteGrid:
        """Of one radius."""
        if radius_m not in self._grids:
            if self._clearance_m is None:
                self._clearance_m = self.occupancy.clearance_m()
            plan = replace(self.occupancy, blocked=self._clearance_m <= radius_m).coarser(self.factor)
            self._grids[radius_m] = RouteGrid(
                plan, radius_m=radius_m, cost=self.cost, connectivity=self.connectivity, avoid_m=self.avoid_m
            )
        return self._grids[radius_m]

    def grid_between(self, start_m: Point, goal_m: Point) -> RouteGrid:
        """The grid of the first radius that has a route.

        Raises:
            NoRouteError: none has; the message is of the last radius.
        """
        for radius in self.radii_m[:-1]:
            try:
                self.grid(radius).ends(start_m, goal_m)
            except NoRouteError:
                continue
            return self.grid(radius)
        last = self.grid(self.radii_m[-1])
        last.ends(start_m, goal_m)
        return last

    def route(self, start_m: Point, goal_m: Point) -> Route:
        """Cheapest route for the first radius that has one, simplified."""
        return self.grid_between(start_m, goal_m).route(start_m, goal_m)

    def shortest(self, start_m: Point, goal_m: Point) -> Route:
        """Shortest route for the first radius that has one."""
        return self.grid_between(start_m, goal_m).shortest(start_m, goal_m)

    def avoiding(self, places_m: Sequence[Point]) -> Router:
        """The same with other places where the agent got stuck; the map's clearance is not computed again."""
        return replace(self, avoid_m=tuple(places_m), _grids={})


def _shown(point_m: Point) -> str:
    return f"({float(point_m[0]):.2f}, {float(point_m[1]):.2f})"
