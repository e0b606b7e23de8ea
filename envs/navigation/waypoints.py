"""Poses along a route for a base that turns on the spot.

Source: sheet molmospaces section 15 (navigation expert: stop at 0.8 m, poses at most 0.25 m or 10 degrees apart).
"""

from __future__ import annotations

import math

import numpy as np

from zoo.envs.kinematics.poses import wrapped
from zoo.envs.navigation.paths import Point

STOP_M = 0.8  # from the middle of the target
STEP_M = 0.25
TURN_RAD = math.radians(10.0)


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
