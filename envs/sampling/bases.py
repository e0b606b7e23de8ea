"""Where a robot may stand before a target: free cells of the map, then draws of a base pose among them.

Source: sheet molmospaces section 15, episode sampling order, item 4: free map cells, clearance 0.15 to 0.35 m, yaw
toward the target within 45 degrees (0.25 rad before doors and handles), 10 draws of which at most 3 free ones are
looked at, base height of the arm.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from zoo.envs.kinematics.poses import Array, planar_pose7
from zoo.envs.navigation.occupancy import OccupancyMap

DRAWS = 10
LOOKS = 3
TURN = math.radians(45)
FACING_TURN = 0.25  # rad
BELOW_M = 0.75  # of the pedestal's bottom from the target
LOWER_M, HIGHER_M = 0.30, 0.25
PX_PER_M = 50


def free_points(
    plan: OccupancyMap,
    clearance_m: Array,
    centre_m: Array,
    distance_m: tuple[float, float],
    *,
    least_clearance_m: float,
) -> Array:
    """(points, 2) middles of free cells in a ring.

    Args:
        plan: Of the house.
        clearance_m: Its clearance, by cell.
        centre_m: (2,) of the ring.
        distance_m: Least and most.
        least_clearance_m: To what stands around.
    """
    near, far = distance_m
    low, high = np.sort(plan.cell_of(centre_m + np.array([[-far, -far], [far, far]])), axis=0)
    low, high = np.clip(low, 0, plan.blocked.shape), np.clip(high + 1, 0, plan.blocked.shape)
    window = clearance_m[low[0] : high[0], low[1] : high[1]] >= least_clearance_m
    points = plan.point_of(np.argwhere(window) + low)
    distance = np.linalg.norm(points - centre_m, axis=1)
    return points[(distance >= near) & (distance <= far)]


def draws(
    rng: np.random.Generator, points_m: Array, target_m: Array, *, turn: float, height_m: float = 0.0
) -> Iterator[Array]:
    """Up to `DRAWS` base poses, pose7, each at another point.

    Args:
        rng: Of the draws.
        points_m: (points, 2) where it may stand.
        target_m: (2,) that it looks toward.
        turn: Largest angle between its front and the target.
        height_m: Of the bottom.
    """
    for index in rng.permutation(len(points_m))[:DRAWS]:
        x, y = points_m[index]
        yaw = math.atan2(target_m[1] - y, target_m[0] - x) + rng.uniform(-turn, turn)
        yield planar_pose7(float(x), float(y), yaw, height_m)


def arm_height_m(rng: np.random.Generator, target_height_m: float) -> float:
    """Of the bottom of an arm's pedestal, which never sinks into the floor."""
    return max(0.0, target_height_m - BELOW_M + float(rng.uniform(-LOWER_M, HIGHER_M)))
