"""Driving a gliding base along poses, and what of the floor it covers on its way.

Source: sheet molmospaces section 15 (poses at most 0.25 m or 10 degrees apart, one each 0.2 s).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from zoo.envs.kinematics.poses import Array, wrapped
from zoo.envs.navigation.occupancy import OccupancyMap, build_map
from zoo.envs.navigation.waypoints import STEP_M, TURN_RAD
from zoo.envs.robots.rby1 import BASE_CLEARANCE_M, BASE_HALF_M
from zoo.envs.simulation.simulation import Simulation

SPEED = STEP_M / 0.2  # m/s
TURN_SPEED = TURN_RAD / 0.2  # rad/s
ROBOT_HEIGHT_M = 1.5  # head included
PX_PER_M = 50
ROUTE_FACTOR = 2  # routes are searched on cells of 4 cm; the sheet's have 5
NEAR_M, NEAR_RAD = 0.3, math.radians(25)
"""A base this near to where it is told to be gets the next pose; at full speed it lags by 0.2 m and 8 degrees."""
ARRIVED_M, ARRIVED_RAD = 0.02, math.radians(2)
CHEST_HALF_LENGTH_M, SHOULDER_HALF_WIDTH_M = 0.2, 0.31
"""Of the robot above its waist, with tucked arms."""
STUCK_S = 1.0
REST_SPEED = 0.02  # m/s and rad/s
MARGIN_M = 0.02  # around the body, for what the servos give way
WAIST_M = 0.75  # arms are always above
NO_POINTS: Array = np.zeros((0, 2))


def _filled(half_length_m: float, half_width_m: float) -> Array:
    """(points, 2) of a rectangle around the origin, some 6 cm apart."""
    x = np.linspace(-half_length_m, half_length_m, max(2, round(2 * half_length_m / 0.06) + 1))
    y = np.linspace(-half_width_m, half_width_m, max(2, round(2 * half_width_m / 0.06) + 1))
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


_LOW_POINTS = _filled(BASE_HALF_M + MARGIN_M, BASE_HALF_M + MARGIN_M)
_HIGH_POINTS = _filled(CHEST_HALF_LENGTH_M + MARGIN_M, SHOULDER_HALF_WIDTH_M + MARGIN_M)


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """What stands in the robot's way, of one grid for each part of it that is of another width.

    Args:
        low: Around the base.
        high: Around chest, arms and head.
    """

    low: OccupancyMap
    high: OccupancyMap

    @property
    def whole(self) -> OccupancyMap:
        """At any height."""
        return replace(self.low, blocked=self.low.blocked | self.high.blocked)

    def blocked_share(self, poses: Array, arms_m: Array = NO_POINTS) -> Array:
        """How much of the robot is within obstacles.

        Args:
            poses: (..., 3) x, y, yaw of the base.
            arms_m: (points, 2) of arms that are not tucked, frame of the base.
        Returns:
            (...), 0 where it stands free.
        """
        low = ~self.low.is_free(points_at(poses, _LOW_POINTS))
        high = ~self.high.is_free(points_at(poses, np.concatenate([_HIGH_POINTS, arms_m])))
        return np.concatenate([low, high], axis=-1).mean(axis=-1)


def surroundings(simulation: Simulation, skip_bodies: Sequence[str] = ()) -> Surroundings:
    """What is there now, doors as they stand.

    Args:
        simulation: Of the episode.
        skip_bodies: Beside the robot itself, what is no obstacle.
    """
    model, data = simulation.model, simulation.data
    robot = model.body(model.body_rootid[simulation.view.base_id]).name
    low, high = (
        build_map(
            model,
            data,
            scene=simulation.house.scene,
            skip_bodies=[robot, *skip_bodies],
            agent_height_m=top,
            floor_clearance_m=bottom,
            px_per_m=PX_PER_M,
        )
        for bottom, top in ((BASE_CLEARANCE_M, WAIST_M), (WAIST_M, ROBOT_HEIGHT_M))
    )
    return Surroundings(low=low, high=high)


def points_at(poses: Array, points_m: Array) -> Array:
    """(..., points, 2) in the world, of (points, 2) in the frame of bases at (..., 3) poses."""
    poses = np.asarray(poses, np.float64)
    cos, sin = np.cos(poses[..., 2, None]), np.sin(poses[..., 2, None])
    x, y = points_m[:, 0], points_m[:, 1]
    return np.stack([poses[..., 0, None] + cos * x - sin * y, poses[..., 1, None] + sin * x + cos * y], axis=-1)


def glide(start: Array, corners: Array, *, dt: float, speed: float = SPEED, turn_speed: float = TURN_SPEED) -> Array:
    """Poses one policy step apart on straight ways between corners, moving and turning at once.

    Args:
        start: (3,) x, y, yaw.
        corners: (n, 3).
        dt: Seconds of a policy step.
        speed: m/s.
        turn_speed: rad/s.
    Returns:
        (poses, 3), the start not included; empty where it is at the last corner already.
    """
    poses, here = [np.empty((0, 3))], np.asarray(start, np.float64)
    for corner in np.reshape(corners, (-1, 3)):
        step = np.array([corner[0] - here[0], corner[1] - here[1], wrapped(corner[2] - here[2])])
        seconds = max(float(np.hypot(*step[:2])) / speed, abs(step[2]) / turn_speed)
        number = math.ceil(seconds / dt - 1e-9)
        shares = np.arange(1, number + 1)[:, None] / max(number, 1)
        poses.append(here + shares * step)
        here = here + step
    return np.concatenate(poses)


@dataclass
class Drive:
    """Gives a base its poses one after the other, and notices when it does not get there.

    Args:
        poses: (n, 3) x, y, yaw.
        dt: Seconds of a policy step.
    """

    poses: Array
    dt: float
    _index: int = field(default=0, repr=False)
    _waited: int = field(default=0, repr=False)

    def next(self, base: Array) -> Array | None:
        """The pose to command; None when the base is at the last.

        Args:
            base: (3,) where it is.
        """
        if self._index == 0 or is_near(base, self.poses[self._index - 1], NEAR_M, NEAR_RAD):
            if self._index < len(self.poses):
                self._index, self._waited = self._index + 1, 0
            elif not len(self.poses) or is_near(base, self.poses[-1], ARRIVED_M, ARRIVED_RAD):
                return None
            else:
                self._waited += 1
        else:
            self._waited += 1
        return self.poses[self._index - 1]

    @property
    def is_stuck(self) -> bool:
        """The base has not come near its pose for a while."""
        return self._waited * self.dt >= STUCK_S

    def passed(self, number: int) -> Array:
        """(3,) the pose that was commanded so many poses before the present one."""
        return self.poses[max(self._index - 1 - number, 0)]


def is_near(base: Array, pose: Array, distance_m: float, angle: float) -> bool:
    """Whether two planar poses differ by no more than a distance and an angle."""
    return math.dist(base[:2], pose[:2]) <= distance_m and abs(wrapped(float(base[2] - pose[2]))) <= angle
