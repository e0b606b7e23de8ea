"""Short ways of a gliding base to one exact pose, turning wherever there is room for it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from zoo.envs.experts.driving import ROUTE_FACTOR, Surroundings, glide
from zoo.envs.kinematics.poses import Array
from zoo.envs.navigation.paths import NoRouteError, Router

RADII_M = (0.4, 0.36, 0.3)
CHECK_M = 0.05  # between poses that are looked at


def approach(around: Surroundings, start: Array, goal: Array) -> tuple[Array, bool]:
    """The first way on which the body is free, else the one on which it is for the longest.

    Args:
        around: What is in the way.
        start: (3,) x, y, yaw of the base.
        goal: (3,) where it shall be.
    Returns:
        (corners, 3) without the start, the goal last; and whether all of the way is free.
    """
    best, best_share = np.reshape(goal, (1, 3)), -1.0
    for corners in _ways(around, start, goal):
        poses = glide(start, corners, dt=CHECK_M, speed=1.0, turn_speed=4.0)
        share = float((around.blocked_share(poses) == 0).mean()) if len(poses) else 1.0
        if share > best_share:
            best, best_share = corners, share
        if share == 1.0:
            break
    return best, best_share == 1.0


def _ways(around: Surroundings, start: Array, goal: Array) -> Iterator[Array]:
    """Straight, then over the map; turning on the way, at its beginning, or at its end."""
    yield from _turnings(np.stack([start[:2], goal[:2]]), start, goal)
    router = Router(occupancy=around.whole, radii_m=RADII_M, factor=ROUTE_FACTOR)
    try:
        points = router.route(start[:2], goal[:2]).points_m
    except NoRouteError:
        return
    yield from _turnings(np.concatenate([points, goal[None, :2]]), start, goal)


def _turnings(points_m: Array, start: Array, goal: Array) -> Iterator[Array]:
    until = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points_m, axis=0), axis=1))])
    shares = until / max(until[-1], 1e-9)
    turn = (goal[2] - start[2] + np.pi) % (2 * np.pi) - np.pi
    yield np.column_stack([points_m, start[2] + turn * shares])[1:]
    yield np.column_stack([points_m, np.full(len(points_m), goal[2])])
    yield np.concatenate([np.column_stack([points_m, np.full(len(points_m), start[2])])[1:], goal[None]])
