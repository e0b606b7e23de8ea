"""The shortest way of a navigation episode, which its length and its number of steps are weighed against.

Source: sheet molmospaces sections 7, row 8 (where the task is done) and 15 (pace of the navigation expert); sheet
spoc_ring_holodeck_graspmolmo sections 1.14 (SPL and SEL; the former is not in the MolmoSpaces release) and 1.2 (reach).

The way leads from where the base stands to the nearest place where the task can be done: nearer to a candidate than its
success distance, with rays at the height of the task's camera that meet it; or, to fetch a candidate, within reach. It
is planned on the occupancy map of the scene as the episode begins, doors as they stand. Its radius is of the largest
circle within the base, about its axis, because the axis comes no nearer to anything than that, however the base turns;
so nothing is shorter by more than cells are wide.
Differs: an expert stops at 0.8 m, well inside of the success distance, so its SPL is below 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zoo.envs.experts.driving import SPEED, TURN_SPEED
from zoo.envs.experts.sight import Sight
from zoo.envs.kinematics.poses import Array
from zoo.envs.navigation.footprints import collision_footprints
from zoo.envs.navigation.occupancy import build_map
from zoo.envs.navigation.paths import NoRouteError, RouteGrid, Router
from zoo.envs.navigation.waypoints import poses_along
from zoo.envs.robots.stretch import REACH_M
from zoo.envs.simulation.simulation import Simulation
from zoo.envs.tasks.chores import ObjectChore, ObjectNav
from zoo.envs.tasks.navigate import NavigateTo
from zoo.errors import DataError

PX_PER_M = 50
ROUTE_FACTOR = 2  # routes are searched on cells of 4 cm
SPACING_M = 0.12  # between the places from which rays look
MAX_LOOKS = 300
DIRECTIONS = 360  # in which the reach of a base is measured


@dataclass(frozen=True, slots=True)
class ShortestWay:
    """From the start to where the task can be done.

    Args:
        length_m: Of the way of the base.
        steps: Minimal length of the episode, policy steps: the base drives along the way at 1.25 m/s and turns on the
            spot at 50 degrees/s, the pace of the navigation expert, until it faces the candidate. Nothing else takes
            time: no arm is folded, and the base does not lag behind its targets. None for robots that move in discrete
            steps: their episodes state how many an expert took.
    """

    length_m: float
    steps: int | None


@dataclass(frozen=True, slots=True)
class _Aim:
    """What the base must come near to.

    Args:
        candidates: Root bodies.
        low: (candidates, 2) corners of the boxes that distances are measured to.
        high: (candidates, 2); equal to `low` where that is a point.
        within_m: The task is done below this distance.
        camera: That must see the candidate; None: there is none.
    """

    candidates: tuple[str, ...]
    low: Array
    high: Array
    within_m: float
    camera: str | None

    def distances_m(self, points_m: Array) -> Array:
        """(points, candidates) of (points, 2)."""
        points = points_m[:, None]
        return np.linalg.norm(np.maximum(np.maximum(self.low - points, points - self.high), 0), axis=2)


@dataclass(frozen=True, slots=True)
class _Goals:
    """Places that are near enough, in the order of their ways.

    Args:
        cells: (places, 2) of the grid.
        candidates: (places,) index of the one that is nearest, which alone counts.
    """

    cells: np.ndarray
    candidates: np.ndarray


def shortest_way(simulation: Simulation, task: NavigateTo | ObjectChore) -> ShortestWay:
    """Plan it; the simulation is only read.

    Args:
        simulation: Of the episode, at its start.
        task: Its task.
    Raises:
        NoRouteError: the base reaches no place that is near enough.
        DataError: the episode lacks the camera that must see the object.
        ConfigError: the robot has no base that could drive.
    """
    simulation.robot.group("base")
    x, y, yaw = (float(value) for value in simulation.view.qpos("base"))
    aim = _aim(simulation, task)
    grid = _grid(simulation)
    goals = _goals(grid, (x, y), aim)
    goal, candidate = _seen(simulation, aim, grid, goals)
    route = grid.shortest((x, y), grid.plan.point_of(goal))
    if simulation.robot.is_discrete:
        return ShortestWay(route.length_m, None)
    dt, middle = simulation.clocks.policy_dt, (aim.low[candidate] + aim.high[candidate]) / 2
    poses = poses_along(route.points_m, start_yaw=yaw, facing_m=middle, step_m=SPEED * dt, turn_rad=TURN_SPEED * dt)
    return ShortestWay(route.length_m, len(poses))


def _aim(simulation: Simulation, task: NavigateTo | ObjectChore) -> _Aim:
    world = simulation.world
    if isinstance(task, NavigateTo):
        places = np.array([world.position(name)[:2] for name in task.candidates])
        return _Aim(task.candidates, places, places, task.succ_pos_threshold, task.camera)
    centres, halves = np.array([world.box(name) for name in task.targets])[:, :, :2].swapaxes(0, 1)
    within, camera = (task.succ_pos_threshold, task.camera) if isinstance(task, ObjectNav) else (REACH_M, None)
    return _Aim(task.targets, centres - halves, centres + halves, within, camera)


def base_radius_m(simulation: Simulation) -> float:
    """Of the largest circle about the base's axis that the outline of what never moves within the base contains."""
    model, data = simulation.model, simulation.data
    base = simulation.view.base_id
    bodies = model.body_weldid == model.body_weldid[base]
    shadow = collision_footprints(model, data, bodies=bodies, low_m=-math.inf, high_m=math.inf)
    turn = float(simulation.view.qpos("base")[2])
    angles = turn + np.linspace(0, 2 * np.pi, DIRECTIONS, endpoint=False)
    ahead = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    axis = data.xpos[base][:2]
    round_reach = np.sqrt(np.einsum("di,nij,dj->dn", ahead, shadow.spreads, ahead))
    reach = np.concatenate([ahead @ (shadow.corners - axis).T, ahead @ (shadow.centres - axis).T + round_reach], axis=1)
    return max(float(reach.max(axis=1, initial=0.0).min()), 0.0)


def _grid(simulation: Simulation) -> RouteGrid:
    model = simulation.model
    robot = model.body(model.body_rootid[simulation.view.base_id]).name
    plan = build_map(model, simulation.data, scene=simulation.house.scene, skip_bodies=[robot], px_per_m=PX_PER_M)
    radius = base_radius_m(simulation)
    return Router(occupancy=plan, radii_m=(radius,), factor=ROUTE_FACTOR).grid(radius)


def _goals(grid: RouteGrid, start: Sequence[float], aim: _Aim) -> _Goals:
    """Where the base can get that is near enough."""
    ways = grid.distances_m(start)
    cells = np.argwhere(np.isfinite(ways))
    distances = aim.distances_m(grid.plan.point_of(cells))  # (cells, candidates)
    is_near = distances.min(axis=1) < aim.within_m
    if not is_near.any():
        cell, candidate = np.unravel_index(distances.argmin(), distances.shape)
        there = grid.plan.point_of(cells[cell])
        raise NoRouteError(
            f"the goal is unreachable: from ({start[0]:.2f}, {start[1]:.2f}) a base of radius {grid.radius_m:.2f} m "
            f"comes to within {distances[cell, candidate]:.2f} m of {aim.candidates[candidate]!r}, at "
            f"({there[0]:.2f}, {there[1]:.2f}), and to no other candidate nearer; the task is done below "
            f"{aim.within_m:g} m. Open what is closed on the way, or name another start or object"
        )
    cells, distances = cells[is_near], distances[is_near]
    order = np.argsort(ways[cells[:, 0], cells[:, 1]], kind="stable")
    return _Goals(cells[order], distances[order].argmin(axis=1))


def _seen(simulation: Simulation, aim: _Aim, grid: RouteGrid, goals: _Goals) -> tuple[np.ndarray, int]:
    """The first place from which rays meet its candidate, and the candidate; the first of all where none does.

    Rays aim at a few points of an object, so one that hides may yet show some pixels.
    """
    if aim.camera is None:
        return goals.cells[0], int(goals.candidates[0])
    eye_z = _eye_z(simulation, aim.camera)
    sight = Sight(simulation)
    spacing = max(1, round(SPACING_M / grid.plan.cell_m))
    looked = np.flatnonzero((goals.cells % spacing == 0).all(axis=1))[:MAX_LOOKS]
    for index in looked:
        candidate = int(goals.candidates[index])
        eye = np.array([*grid.plan.point_of(goals.cells[index]), eye_z])
        if sight.share(aim.candidates[candidate], eye) > 0:
            return goals.cells[index], candidate
    return goals.cells[0], int(goals.candidates[0])


def _eye_z(simulation: Simulation, name: str) -> float:
    if name not in simulation.cameras:
        known = ", ".join(simulation.cameras) or "none"
        raise DataError(
            f"the task is done when camera {name!r} sees the object, which the episode lacks; it has {known}"
        )
    camera = simulation.model.camera(simulation.cameras[name]).id
    return float(simulation.data.cam_xpos[camera][2])
