"""Where a Stretch can stand to take a thing with its magnet, and how its arm gets there.

Source: sheet spoc_ring_holodeck_graspmolmo sections 1.3 (pickup takes what is in the gripper's sphere), 1.15 (pickup:
align the arm, lift to clear, extend, wrist, lower).
Differs: the wrist unfolds before the arm extends, so that the hand sweeps over less of what stands around.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np

from zoo.envs.kinematics.poses import Array
from zoo.envs.robots.stretch import EXTENSION_M, HAND_M, LIFT_LIMITS, LIFT_OFFSET_M, MAGNET_RADIUS_M, WRIST_M
from zoo.envs.simulation.world import World
from zoo.envs.simulator import mujoco

AWAY_M = 1e3  # where the robot's own body is in nobody's way
ALL_GROUPS = np.ones(6, np.uint8)
HAND_HALF_M = 0.035  # of hand and arm, upwards and downwards, with a margin
HAND_SIDE_M = 0.065  # to the sides
HELD_M = 0.09  # from the middle of the sphere, within which a thing is taken for sure
FROM_ABOVE_M = 0.07  # of the hand above a thing's centre of mass, at most; higher things are taken from the side
BESIDE_M = 0.07  # of the middle of the sphere before the centre of mass of what is taken from the side
WIDE_M = 0.085  # half width of what can be taken from the side
LOWERED_M = 0.04  # by which the hand comes down on what it takes from above
SPARE_M = 0.02  # of the extension


@dataclass(frozen=True, slots=True)
class Grip:
    """How the hand takes a thing.

    Args:
        centre_m: (3,) centre of mass of the thing.
        height_m: Of the hand when it takes it.
        clear_m: Of the hand while it moves there.
        gap_m: In the plane between hand and centre of mass.
    """

    centre_m: Array
    height_m: float
    clear_m: float
    gap_m: float

    def extension_m(self, distance_m: float) -> float:
        """Of the arm, from a base at a distance from the centre of mass."""
        return distance_m - self.gap_m - WRIST_M - HAND_M

    @property
    def distances_m(self) -> tuple[float, float]:
        """Least and greatest distance of the base."""
        folded = WRIST_M + HAND_M + self.gap_m
        return folded + SPARE_M, folded + EXTENSION_M - SPARE_M


class Reach:
    """Judges from where things can be taken, in a scene as it is now without its robot.

    Args:
        world: Of the scene; is only read.
    """

    def __init__(self, world: World) -> None:
        self._world, self._model = world, world.model
        self._data = copy.copy(world.data)
        if world.robot_root is not None:
            first = int(self._model.jnt_qposadr[self._model.body_jntadr[world.robot_root]])
            self._data.qpos[first] += AWAY_M
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        self._grips: dict[str, Grip | None] = {}

    def grip(self, name: str) -> Grip | None:
        """How a thing is taken; None where the hand is too low, too high or too small for it."""
        if name not in self._grips:
            self._grips[name] = self._grip_of(name)
        return self._grips[name]

    def centre_m(self, name: str) -> Array:
        """(3,) centre of mass of a thing."""
        return self._data.xipos[self._world.root(name)]

    def _grip_of(self, name: str) -> Grip | None:
        middle, half = self._world.box(name)
        centre = self.centre_m(name).copy()
        top, bottom = middle[2] + half[2], middle[2] - half[2]
        if top + HAND_HALF_M - centre[2] <= FROM_ABOVE_M:
            height, gap = top + HAND_HALF_M, 0.0
            clear = height + LOWERED_M
        else:
            height, gap = max(float(centre[2]), bottom + HAND_HALF_M), BESIDE_M
            clear = height
            if half[:2].max() > WIDE_M or math.hypot(height - centre[2], gap) > HELD_M:
                return None
        lowest, highest = (LIFT_OFFSET_M + limit for limit in LIFT_LIMITS)
        if clear > highest:
            return None
        if height < lowest:
            height = clear = lowest
            if math.hypot(height - centre[2], gap) > HELD_M:
                return None
        return Grip(centre, float(height), float(clear), gap)

    def can_take(self, name: str, place_m: Array) -> bool:
        """Whether a base at a place, its arm turned to a thing, has nothing in the way of the hand.

        Args:
            name: Of the thing.
            place_m: (2,) of the base.
        """
        grip = self.grip(name)
        if grip is None:
            return False
        toward = grip.centre_m[:2] - place_m
        distance = float(np.linalg.norm(toward))
        if not grip.distances_m[0] <= distance <= grip.distances_m[1]:
            return False
        along = toward / distance
        aside = np.array([-along[1], along[0]])
        offsets = [(side, up) for side in (-HAND_SIDE_M, 0.0, HAND_SIDE_M) for up in (-HAND_HALF_M, HAND_HALF_M)]
        length = distance - grip.gap_m
        for side, up in offsets:
            start = np.array([*(place_m + side * aside), grip.clear_m + up])
            if self._is_hit(name, start, np.array([*along, 0.0]), length):
                return False
        return True

    def _is_hit(self, name: str, start: Array, along: Array, length_m: float) -> bool:
        """Whether something other than the thing is on a line."""
        geom = np.full(1, -1, np.int32)
        distance = mujoco.mj_ray(self._model, self._data, start, along, ALL_GROUPS, 1, -1, geom, None)
        if geom[0] < 0 or distance > length_m:
            return False
        return int(self._model.body_rootid[self._model.geom_bodyid[geom[0]]]) != self._world.root(name)


assert HELD_M < MAGNET_RADIUS_M
