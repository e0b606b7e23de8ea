"""Go to an object: the cheapest way over the map to a place from which it is seen, then look at it.

Source: sheet molmospaces section 15, "Navigation expert" (A* on the map scaled down by 5, radius 0.5 m, cost from
clearance, poses at most 0.25 m or 10 degrees apart, stop at 0.8 m); sheet spoc_ring_holodeck_graspmolmo section 1.15
(turn toward the object, done when the strict test holds, replan around places where it got stuck).
Differs: where no place at 0.8 m is reachable or shows the object, farther or nearer ones are tried; rays tell
beforehand from where the object can be seen. The arms fold at the start, to 0.62 m of width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from zoo.envs.experts.driving import (
    REST_SPEED,
    ROUTE_FACTOR,
    SPEED,
    TURN_SPEED,
    Drive,
    glide,
    surroundings,
)
from zoo.envs.experts.expert import Expert, Move
from zoo.envs.experts.sight import Sight
from zoo.envs.kinematics.poses import Array
from zoo.envs.navigation.paths import RADII_M, NoRouteError, RouteGrid, Router
from zoo.envs.navigation.waypoints import STOP_M, poses_along
from zoo.envs.simulation.environment import EpisodeEnv
from zoo.envs.tasks.navigate import NavigateTo

TUCK = {"left_arm": (0.25, 0.0, 0.0, -2.6, 0.0, -0.87, 0.0), "right_arm": (0.25, 0.0, 0.0, -2.6, 0.0, -0.87, 0.0)}
"""Hands beside the chest: nothing of the arms is outside of the base and the shoulders, and they get there without
reaching out. At home the hands are 0.35 m in front, and with the start noise up to 0.4 m to the side."""
TUCK_S = 1.0
MARGIN_M = 0.1  # a goal is this much inside of the success distance
WEIGHT = 3.0  # metres of way that one metre off the distance to stop at is worth
SEEN_SHARE = 0.25  # of an object's points; a place that shows this much of it is as good as any
MAX_LOOKS = 150  # places that are looked at with rays, in one plan
SPACING_M = 0.1  # between them
EYE_AHEAD_M, EYE_ABOVE_M = 0.1, 0.05  # of the head camera from the head's last joint
RETRIES = 3
APART_M = 0.4  # between a place that did not do and the next that is tried
SETTLE_S = 1.5  # longest wait for what the cameras see after arriving
BACK_POSES = 3


@dataclass(frozen=True, slots=True)
class Goal:
    """A place to go to.

    Args:
        point_m: (2,) of it.
        name: Object to look at there.
        grid: On which it is reached.
        share: Of the object's points that rays from there meet.
    """

    point_m: Array
    name: str
    grid: RouteGrid
    share: float


class NavigationExpert(Expert):
    """Drives to the nearest candidate that it can reach and see."""

    robots: ClassVar[tuple[str, ...]] = ("rby1",)

    def reset(self, env: EpisodeEnv, rng: np.random.Generator) -> None:
        """Make the map, which stays until the robot gets stuck; nothing is drawn."""
        assert isinstance(env.task, NavigateTo), env.task
        self._env, self._task = env, env.task
        simulation = env.simulation
        self._dt = simulation.clocks.policy_dt
        head = simulation.view.tcp_pose("head", in_world=True)
        self._eye_z = float(head[2]) + EYE_ABOVE_M
        self._avoided: list[Array] = []
        self._tried: list[Array] = []
        self._look_around()
        self._moves = self._all_moves()

    def act(self) -> Move:
        return next(self._moves)

    def _all_moves(self) -> Iterator[Move]:
        """Moves of all attempts, the last with `is_done`."""
        for _ in range(RETRIES + 1):
            goal = self._plan()
            if goal is None:
                break
            if not (yield from self._go(goal)):
                continue  # stuck: another way
            if (yield from self._look(goal)):
                break
            self._tried.append(goal.point_m)
        while True:
            yield Move(is_done=True, phase="done")

    def _go(self, goal: Goal) -> Iterator[Move]:
        """Drive; returns whether it arrived."""
        base = self._base()
        try:
            points = goal.grid.route(base[:2], goal.point_m).points_m
        except NoRouteError:  # pushed somewhere from where there is none
            self._tried.append(goal.point_m)
            return False
        target = self._env.simulation.world.position(goal.name)[:2]
        poses = poses_along(
            points,
            start_yaw=float(base[2]),
            facing_m=target,
            step_m=SPEED * self._dt,
            turn_rad=TURN_SPEED * self._dt,
        )
        drive = Drive(poses, self._dt)
        while (pose := drive.next(self._base())) is not None:
            if drive.is_stuck:
                yield from self._back_off(drive)
                return False
            yield Move({"base": pose, **TUCK}, phase="navigate")
        return True

    def _back_off(self, drive: Drive) -> Iterator[Move]:
        """Remember the place ahead as one to avoid, and leave it the way that led there."""
        base = self._base()
        ahead = 0.3 * np.array([math.cos(base[2]), math.sin(base[2])])
        self._avoided.append(base[:2] + ahead)
        self._look_around()  # something may have moved
        for pose in glide(base, drive.passed(BACK_POSES), dt=self._dt, speed=SPEED / 2):
            yield Move({"base": pose}, phase="back_off")

    def _look(self, goal: Goal) -> Iterator[Move]:
        """Point the head at the object; returns whether the task is done, at rest."""
        view = self._env.simulation.view
        for _ in range(math.ceil(SETTLE_S / self._dt)):
            yield Move({"head": self._head_at(goal.name), **TUCK}, phase="look")
            speed = max(np.abs(view.qvel(group)).max() for group in ("base", "head"))
            if self._env.judgement.success and speed < REST_SPEED:
                return True
        return self._env.judgement.success

    def _look_around(self) -> None:
        """What is where now, and the places to avoid."""
        simulation = self._env.simulation
        self._around, self._sight = surroundings(simulation), Sight(simulation)
        self._router = Router(
            occupancy=self._around.whole, radii_m=RADII_M, factor=ROUTE_FACTOR, avoid_m=tuple(self._avoided)
        )

    def _head_at(self, name: str) -> Array:
        base, target = self._base(), self._sight.middle(name)
        ahead = math.dist(base[:2], target[:2]) - EYE_AHEAD_M
        pitch = math.atan2(self._eye_z - target[2], max(ahead, 0.1))
        lower, upper = self._env.robot.group("head").bounds()
        return np.clip([0.0, pitch], lower, upper)

    def _base(self) -> Array:
        return self._env.simulation.view.qpos("base")

    def _plan(self) -> Goal | None:
        """The best place that can be reached; the largest radius that has a good one wins."""
        best: Goal | None = None
        for radius in self._router.radii_m:
            found = self._best_on(self._router.grid(radius))
            if found is not None and (best is None or found.share > best.share):
                best = found
            if best is not None and best.share >= SEEN_SHARE:
                return best
        return best

    def _best_on(self, grid: RouteGrid) -> Goal | None:
        """Of the places near a candidate, in order of way and distance to stop at, the first that shows it well."""
        start = self._base()[:2]
        try:
            part = grid.parts[tuple(grid.start_cell(start))]
        except NoRouteError:
            return None
        spacing = max(1, round(SPACING_M / grid.plan.cell_m))
        cells = np.argwhere(grid.parts == part)
        cells = cells[(cells % spacing == 0).all(axis=1)]
        points = grid.plan.point_of(cells)
        places = np.array([self._sight.middle(name)[:2] for name in self._task.candidates])
        origins = np.array([self._env.simulation.world.position(name)[:2] for name in self._task.candidates])
        apart = np.linalg.norm(points[:, None] - origins, axis=2)
        nearest = apart.argmin(axis=1)  # only that one counts
        distance = apart[np.arange(len(points)), nearest]
        is_near = distance < self._task.succ_pos_threshold - MARGIN_M
        for tried in self._tried:
            is_near &= np.linalg.norm(points - tried, axis=1) > APART_M
        if not is_near.any():
            return None
        cells, points, nearest, distance = cells[is_near], points[is_near], nearest[is_near], distance[is_near]
        toward = places[nearest] - points
        yaws = np.arctan2(toward[:, 1], toward[:, 0])
        way = grid.distances_m(start)[cells[:, 0], cells[:, 1]]
        cost = way + WEIGHT * np.abs(distance - STOP_M)
        cost += np.where(self._around.blocked_share(np.column_stack([points, yaws])) > 0, 2 * WEIGHT, 0.0)
        best: Goal | None = None
        for index in np.argsort(cost, kind="stable")[:MAX_LOOKS]:
            name = self._task.candidates[nearest[index]]
            ahead = EYE_AHEAD_M * np.array([math.cos(yaws[index]), math.sin(yaws[index])])
            share = self._sight.share(name, np.array([*(points[index] + ahead), self._eye_z]))
            if best is None or share > best.share:
                best = Goal(points[index], name, grid, share)
            if share >= SEEN_SHARE:
                break
        return best
