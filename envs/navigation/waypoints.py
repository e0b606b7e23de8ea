"""Poses along a route for a base that turns on the spot, and where to begin and end.

Source: sheet molmospaces section 15 (navigation expert: stop at 0.8 m, poses at most 0.25 m or 10 degrees apart;
step 4 of episode sampling).
"""

from __future__ import annotations

import math

import numpy as np

from zoo.envs.navigation.paths import Point, RouteGrid
from zoo.errors import ConfigError

STOP_M = 0.8  # from the middle of the target
STEP_M = 0.25
TURN_RAD = math.radians(10.0)
START_DISTANCE_M = (4.0, 20.0)
START_YAW_RAD = math.radians(45.0)


class NoStartError(ConfigError):
    """No place on the map fulfils what is asked of a start."""


def wrapped(angle: float) -> float:
    """The same direction in [-pi, pi)."""
    return (angle + math.pi) % (2 * math.pi) - math.pi


def stopped_before(points_m: np.ndarray, centre_m: Point, radius_m: float = STOP_M) -> np.ndarray:
    """A route cut where it enters a circle for good.

    Args:
        points_m: (points, 2) corners of a route.
        centre_m: Of the target.
        radius_m: Distance to keep from it.
    Returns:
        (corners, 2); the route itself where it ends outside, its first point alone where it never is outside.
    """
    centre = np.asarray(centre_m, np.float64)
    outside = np.flatnonzero(np.linalg.norm(points_m - centre, axis=1) > radius_m)
    if not len(outside):
        return points_m[:1]
    last = int(outside[-1])
    if last == len(points_m) - 1:
        return points_m
    begin, leg = points_m[last], points_m[last + 1] - points_m[last]
    a, half_b = float(leg @ leg), float(leg @ (begin - centre))
    c = float((begin - centre) @ (begin - centre)) - radius_m**2
    share = (-half_b - math.sqrt(max(half_b**2 - a * c, 0.0))) / a  # the first of two crossings: on the way in
    return np.concatenate([points_m[: last + 1], [begin + share * leg]])


def poses_along(
    points_m: np.ndarray,
    *,
    start_yaw: float,
    facing_m: Point | None = None,
    step_m: float = STEP_M,
    turn_rad: float = TURN_RAD,
) -> np.ndarray:
    """Turn, drive, turn, drive, and look at the target at last.

    Args:
        points_m: (points, 2) corners of a route, where the base is first.
        start_yaw: Of the base there.
        facing_m: What to look at when the last point is reached.
        step_m: Largest distance between two poses.
        turn_rad: Largest angle between two poses.
    Returns:
        (poses, 3) x, y, yaw in [-pi, pi), the pose at the start not included.
    """
    poses: list[tuple[float, float, float]] = []
    here, yaw = np.asarray(points_m[0], np.float64), start_yaw

    def turn_to(target: float) -> float:
        angle = wrapped(target - yaw)
        steps = math.ceil(abs(angle) / turn_rad - 1e-9)
        poses.extend((here[0], here[1], wrapped(yaw + angle * (i + 1) / steps)) for i in range(steps))
        return wrapped(target)

    for corner in np.asarray(points_m[1:], np.float64):
        leg = corner - here
        length = float(np.hypot(*leg))
        if length == 0:
            continue
        yaw = turn_to(math.atan2(leg[1], leg[0]))
        steps = math.ceil(length / step_m - 1e-9)
        poses.extend((*(here + leg * (i + 1) / steps), yaw) for i in range(steps))
        here = corner
    if facing_m is not None:
        turn_to(math.atan2(facing_m[1] - here[1], facing_m[0] - here[0]))
    return np.array(poses, np.float64).reshape(-1, 3)


def sample_start(
    grid: RouteGrid,
    target_m: Point,
    rng: np.random.Generator,
    *,
    distance_m: tuple[float, float] = START_DISTANCE_M,
    yaw_rad: float = START_YAW_RAD,
    room: str | None = None,
) -> tuple[float, float, float]:
    """Draw a pose from which the target can be reached.

    Args:
        grid: Of the agent; its radius is the clearance of the start.
        target_m: Middle of the target, on furniture or not.
        rng: Source of randomness.
        distance_m: Least and greatest straight distance to the target.
        yaw_rad: Uniform deviation from looking at the target, to either side; pi for any direction.
        room: Name of the room to start in.
    Returns:
        x, y, yaw; uniform over the free places.
    Raises:
        NoRouteError: the target cannot be reached from anywhere.
        NoStartError: no free place is right.
    """
    part = int(grid.parts[tuple(grid.start_cell(target_m))])
    cells = np.argwhere(grid.parts == part)
    apart = np.linalg.norm(grid.plan.point_of(cells) - np.asarray(target_m), axis=1)
    slack = grid.plan.cell_m / math.sqrt(2)  # from a cell's middle to its corner
    is_right = (apart >= distance_m[0] + slack) & (apart <= distance_m[1] - slack)
    if room is not None:
        ids = [index for index, name in grid.plan.room_names.items() if name == room]
        is_right &= np.isin(grid.plan.rooms[cells[:, 0], cells[:, 1]], ids)
    cells = cells[is_right]
    if not len(cells):
        raise NoStartError(
            f"no start {distance_m[0]:g} to {distance_m[1]:g} m from ({target_m[0]:.2f}, {target_m[1]:.2f})"
            f"{f' in room {room!r}' if room else ''} for an agent of radius {grid.radius_m:g} m: the places that reach "
            f"it are {apart.min():.2f} to {apart.max():.2f} m away; ask for another distance or a smaller radius"
        )
    inside = cells[rng.integers(len(cells))] + rng.uniform(-0.5, 0.5, 2)
    x, y = (float(value) for value in grid.plan.point_of(inside))
    yaw = math.atan2(target_m[1] - y, target_m[0] - x) + rng.uniform(-yaw_rad, yaw_rad)
    return x, y, wrapped(float(yaw))
