"""Drives a body to the nearest of several places by the discrete actions of the base, from wherever it is.

Source: sheet spoc_ring_holodeck_graspmolmo sections 1.15 (rules of the walker, largest radius first) and 2.5 (ways over
a grid of clearance for the body's own size, simplified).
Differs: nothing is undone and no move is drawn by chance after a failure. The pilot tests an action on the floor map
before it proposes it, remembers an action that failed all the same, and searches a few moves ahead where the walker's
rule leads nowhere. So what it proposes depends on the pose and on the failures seen, not on its own last action. On the
way it goes ahead at bearings of up to 20 degrees where the floor allows it, so that one turn is not taken back by the
next: with the walker's rule one turn in eight was.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from zoo.envs.experts.chores.body import Floor, positions_along
from zoo.envs.kinematics.poses import Array, wrapped
from zoo.envs.navigation.paths import NoRouteError, RouteGrid, Router, RouteTree
from zoo.envs.navigation.walker import TURN_DEG, bearing_deg, has_moved, is_at, step_towards
from zoo.navigation_actions import SpocAction

NEAR_M = 0.4  # a start from the next cell of a grid
OFF_WAY_M = 0.3  # from the leg that it drives on, beyond which it plans anew
SAME_M, SAME_RAD = 0.02, math.radians(1)  # poses that are one
AVOID_M = 0.25  # before a base that found no way on
AHEAD_M = 0.6  # along the way that a search looks for
LARGE_FROM_DEG = 20.0  # of an angle, from which a turn of 30 degrees leaves no more than 10
CORNER_M = 0.25  # before a corner, within which small bearings are corrected
MAX_EXPANSIONS = 1500  # poses of one search
SEARCH_STEP_M, SEARCH_STEP_RAD = 0.05, math.radians(6)  # poses that a search holds for one
BASE_ACTIONS = (
    SpocAction.MOVE_AHEAD,
    SpocAction.ROTATE_LEFT,
    SpocAction.ROTATE_RIGHT,
    SpocAction.MOVE_BACK,
    SpocAction.ROTATE_LEFT_SMALL,
    SpocAction.ROTATE_RIGHT_SMALL,
)
LEFT_TURNS = (SpocAction.ROTATE_LEFT, SpocAction.ROTATE_LEFT_SMALL)
RIGHT_TURNS = (SpocAction.ROTATE_RIGHT, SpocAction.ROTATE_RIGHT_SMALL)

Key = tuple[int, int, int]


class StuckError(Exception):
    """No way, or no action that leads along it."""


@dataclass
class Course:
    """Where a pilot is going.

    Args:
        grid: That it plans on.
        tree: Of the places to reach.
    """

    grid: RouteGrid
    tree: RouteTree


@dataclass
class Pilot:
    """Proposes base actions; `observe` the pose once before each.

    Args:
        floor: Free for the body.
    """

    floor: Floor
    is_recovering: bool = field(default=False, init=False)
    """The last proposal was not the walker's, because of an action that failed."""
    _router: Router = field(init=False, repr=False)
    _failed: set[tuple[Key, SpocAction]] = field(default_factory=set, init=False, repr=False)
    _avoided: list[Array] = field(default_factory=list, init=False, repr=False)
    _last: Array | None = field(default=None, init=False, repr=False)
    _detour: list[tuple[Array, SpocAction]] = field(default_factory=list, init=False, repr=False)
    _ends: dict[Key, set[Key]] = field(default_factory=dict, init=False, repr=False)
    """Of detours, by where they began: who is back there did not come on from them."""
    _course: Course | None = field(default=None, init=False, repr=False)
    _way: Array | None = field(default=None, init=False, repr=False)
    _leg: int = field(default=1, init=False, repr=False)

    def __post_init__(self) -> None:
        self._router = self.floor.router

    def grids(self) -> list[RouteGrid]:
        """To plan on, the roomiest first."""
        return [self._router.grid(radius) for radius in self._router.radii_m]

    def avoid(self, pose: Array) -> None:
        """Plan around what lies before a pose from now on, as far as there is another way."""
        ahead = AVOID_M * np.array([math.cos(pose[2]), math.sin(pose[2])])
        self._avoided.append(np.asarray(pose[:2]) + ahead)
        self._router = self._router.avoiding(self._avoided)

    def steer_for(self, course: Course) -> None:
        """Go somewhere else from now on."""
        self._course, self._way, self._detour, self._ends = course, None, [], {}

    def observe(self, pose: Array, said: SpocAction | None) -> None:
        """Learn from the last step.

        Args:
            pose: x, y, yaw now.
            said: The action of that step, whoever chose it.
        """
        if self._last is not None and said in BASE_ACTIONS and not has_moved(said, self._last, pose):
            self._failed.add((_key(pose), said))
            self._detour = []
        self._last = np.array(pose)

    def propose(self, pose: Array) -> SpocAction | None:
        """The next action of the base; None where it has arrived.

        Raises:
            StuckError: nothing leads on from here.
        """
        assert self._course is not None, "steer_for comes first"
        if (action := self._continued(pose)) is not None:
            return action
        way = self._way_from(pose)
        if self._leg >= len(way):
            return None
        corner = way[self._leg]
        for action in dict.fromkeys((calm_step_towards(pose, corner), step_towards(pose, corner))):
            if self._leads_on(pose, action):
                return action
        self.is_recovering = (_key(pose), action) in self._failed
        aim = _ahead_on(way, self._leg, pose)
        ends = self._ends.setdefault(_key(pose), set())
        first = self.search(
            pose,
            aim,
            lambda here: _key(here) not in ends and is_at(here, aim) and self._leads_on(here, SpocAction.MOVE_AHEAD),
        )
        ends.add(_key(positions_along(*self._detour[-1])[-1]))
        return first

    def search(self, pose: Array, aim_m: Array, accepts: Callable[[Array], bool]) -> SpocAction:
        """The first of the fewest actions to a pose that is accepted; `propose` goes on with the others.

        Args:
            pose: Where to begin; it is not asked about itself.
            aim_m: (2,) near which such poses are.
            accepts: Whether a pose will do.
        Raises:
            StuckError: there is none among those that were tried.
        """
        self._detour = self._searched(pose, aim_m, accepts)
        return self._detour[0][1]

    @property
    def end_m(self) -> Array | None:
        """(2,) of the way's end; None before there is one."""
        return None if self._way is None else self._way[-1]

    def turn_to(self, pose: Array, yaw: float, *, within_deg: float) -> SpocAction:
        """The next action of turning on the spot, by a longer way where something is in the way of the shortest.

        Args:
            pose: x, y, yaw now.
            yaw: To turn to.
            within_deg: Of it is near enough.
        Raises:
            StuckError: nothing leads there.
        """
        if (action := self._continued(pose)) is not None:
            return action
        action = _calm_turn(math.degrees(wrapped(yaw - pose[2])))
        if self._leads_on(pose, action):
            return action
        within = math.radians(within_deg)
        spin = self._spin(pose, yaw, within, is_left=not action.effect.turn_deg > 0)
        if spin:
            self._detour = spin
            return spin[0][1]
        place = np.array(pose[:2])
        return self.search(
            pose,
            place,
            lambda here: abs(wrapped(yaw - here[2])) <= within and math.dist(here[:2], place) < SAME_M,
        )

    def _spin(self, pose: Array, yaw: float, within: float, *, is_left: bool) -> list[tuple[Array, SpocAction]]:
        """Turns one way round to a yaw, each with the pose that it starts from; none where one of them is not free."""
        large, small = LEFT_TURNS if is_left else RIGHT_TURNS
        here, steps = np.array(pose, np.float64), []
        left = (yaw - here[2] if is_left else here[2] - yaw) % (2 * math.pi)
        while left > within:
            action = large if left >= math.radians(abs(large.effect.turn_deg)) else small
            if not self._leads_on(here, action):
                return []
            steps.append((here, action))
            turn = math.radians(action.effect.turn_deg)
            here, left = here + np.array([0.0, 0.0, turn]), left - abs(turn)
        return steps

    def has_failed_here(self, pose: Array) -> bool:
        """An action that the map allows has failed at this pose."""
        return any(key == _key(pose) for key, _ in self._failed)

    def _continued(self, pose: Array) -> SpocAction | None:
        """The action that the last search had for a pose; None where it had none."""
        for index, (expected, action) in enumerate(self._detour):
            if _is_same(pose, expected):
                self._detour = self._detour[index:]
                return action
        self._detour, self.is_recovering = [], False
        return None

    def _leads_on(self, pose: Array, action: SpocAction) -> bool:
        return (_key(pose), action) not in self._failed and self.floor.leads_free(pose, action)

    def _way_from(self, pose: Array) -> Array:
        """Corners to drive along; `_leg` is the next of them."""
        if self._way is not None:
            leg = min(self._leg, len(self._way) - 1)
            if _distance_to_leg_m(pose, self._way[leg - 1], self._way[leg]) > OFF_WAY_M:
                self._way = None
        if self._way is None:
            course = self._course
            assert course is not None
            try:
                self._way = course.grid.way_home(pose[:2], course.tree, within_m=NEAR_M).points_m
            except NoRouteError as error:
                raise StuckError(str(error)) from error
            self._leg = 1
        while self._leg < len(self._way) and is_at(pose, self._way[self._leg]):
            self._leg += 1
        return self._way

    def _searched(self, pose: Array, aim: Array, accepts: Callable[[Array], bool]) -> list[tuple[Array, SpocAction]]:
        """The fewest actions, each with the pose that it starts from."""
        begin = np.array(pose, np.float64)
        is_inside = not bool(self.floor.is_free(begin))
        queue: list[tuple[float, int, Key]] = [(0.0, 0, _key(begin))]
        poses, costs = {_key(begin): begin}, {_key(begin): 0.0}
        before: dict[Key, tuple[Key, SpocAction]] = {}
        numbers, closed = itertools.count(1), set()
        while queue and len(closed) < MAX_EXPANSIONS:
            _, _, key = heapq.heappop(queue)
            if key in closed:
                continue
            closed.add(key)
            here = poses[key]
            if before and accepts(here):
                return _chain(key, before, poses)
            for action, after, price in self._steps(here, is_inside):
                reached, cost = _key(after), costs[key] + price
                if cost < costs.get(reached, math.inf) and reached not in closed:
                    costs[reached], poses[reached], before[reached] = cost, after, (key, action)
                    left = math.dist(after[:2], aim) / SpocAction.MOVE_AHEAD.effect.forward_m
                    heapq.heappush(queue, (cost + left, next(numbers), reached))
        raise StuckError(f"no {MAX_EXPANSIONS} moves from ({pose[0]:.2f}, {pose[1]:.2f}) lead on")

    def _steps(self, pose: Array, is_inside: bool) -> list[tuple[SpocAction, Array, float]]:
        """Actions from a pose, where they lead and what they cost; a body that stands in something may leave it."""
        found, key = [], _key(pose)
        actions = [action for action in BASE_ACTIONS if (key, action) not in self._failed]
        along = np.stack([positions_along(pose, action) for action in actions]) if actions else np.zeros((0, 3, 3))
        free = self.floor.is_free(along)
        for action, passed, is_free in zip(actions, along, free, strict=True):
            if is_free.all():
                found.append((action, passed[-1], 1.0))
            elif is_inside:
                found.append((action, passed[-1], 10.0))
        return found


def calm_step_towards(pose: Array, point_m: Array) -> SpocAction:
    """As `step_towards`, but far from the point it goes ahead until a whole turn of 30 degrees is needed.

    A large turn from a bearing of half its size leads to the same bearing on the other side, and a small one is soon
    followed by another, because bearings grow on the way.
    """
    bearing = bearing_deg(pose, point_m)
    if TURN_DEG < abs(bearing) < LARGE_FROM_DEG:
        is_far = math.dist(pose[:2], point_m) > CORNER_M
        return SpocAction.MOVE_AHEAD if is_far else _calm_turn(bearing)
    return step_towards(pose, point_m)


def _calm_turn(angle_deg: float) -> SpocAction:
    """The turn that lessens an angle, of 30 degrees only where it need not be taken back."""
    if abs(angle_deg) >= LARGE_FROM_DEG:
        return SpocAction.ROTATE_LEFT if angle_deg > 0 else SpocAction.ROTATE_RIGHT
    return SpocAction.ROTATE_LEFT_SMALL if angle_deg > 0 else SpocAction.ROTATE_RIGHT_SMALL


def _key(pose: Array) -> Key:
    turn = round(wrapped(float(pose[2])) / SEARCH_STEP_RAD) % round(2 * math.pi / SEARCH_STEP_RAD)
    return round(pose[0] / SEARCH_STEP_M), round(pose[1] / SEARCH_STEP_M), turn


def _is_same(pose: Array, other: Array) -> bool:
    return math.dist(pose[:2], other[:2]) < SAME_M and abs(wrapped(float(pose[2] - other[2]))) < SAME_RAD


def _chain(
    key: Key, before: dict[Key, tuple[Key, SpocAction]], poses: dict[Key, Array]
) -> list[tuple[Array, SpocAction]]:
    steps = []
    while key in before:
        key, action = before[key]
        steps.append((poses[key], action))
    return steps[::-1]


def _ahead_on(way: Array, leg: int, pose: Array) -> Array:
    """The point of the way that lies `AHEAD_M` farther, or its end."""
    here, left = np.array(pose[:2], np.float64), AHEAD_M
    for corner in way[leg:]:
        length = math.dist(here, corner)
        if length >= left:
            return here + (corner - here) * left / length
        here, left = corner, left - length
    return here


def _distance_to_leg_m(pose: Array, start: Array, end: Array) -> float:
    leg, offset = end - start, pose[:2] - start
    share = np.clip(offset @ leg / max(float(leg @ leg), 1e-12), 0.0, 1.0)
    return float(np.linalg.norm(offset - share * leg))
