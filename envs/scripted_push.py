"""A scripted policy for `tabletop_push`: hop over the objects, come down behind the target, push it straight on."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from zoo.envs.tabletop_push import FINGER_HIGH_M, FINGER_LOW_M, FINGER_RADIUS_M, TOP_SPEED
from zoo.policy import Observation, Policy

BEHIND_M = 0.035  # room between finger and object where the finger comes down
HIGH_ENOUGH_M = 0.28  # height of the finger's centre from which it may cross objects
LOW_ENOUGH_M = FINGER_LOW_M + 0.015
NEAR_M = 0.015  # distance at which a waypoint counts as reached
ALIGNED = 0.9  # cosine between pushing direction and the way to the disc, below which it starts over
PUSH_SPEED = 0.25  # m/s at most
SLOWING = 1.5  # 1/s: pushing speed per metre that is left
ARRIVED_M = 0.012  # distance from the disc's centre at which pushing ends
APPROACH_GAIN = 6.0  # 1/s towards waypoints


class ScriptedPush(Policy):
    """Push in a straight line, lifting the finger to get behind the object; keeps no state but the current stroke.

    Args:
        push_speed: Largest speed while pushing, m/s; balls roll on when it is high.
    """

    example_args: ClassVar[dict[str, Any]] = {}

    def __init__(self, *, push_speed: float = PUSH_SPEED) -> None:
        self.push_speed = push_speed
        self._is_pushing: dict[int, bool] = {}

    def reset(self, tasks: Mapping[int, Mapping[str, Any]]) -> None:
        """Begin episodes; where to push is in the observation."""
        self._is_pushing |= dict.fromkeys(tasks, False)

    def act(self, observation: Observation, slots: Sequence[int]) -> np.ndarray:
        """(batch, 1, 3) float32 finger velocities as shares of the environment's top speed."""
        finger = observation["finger_xyz_m"].astype(np.float64)  # (batch, 3)
        index = observation["target"].argmax(axis=-1)
        rows = np.arange(len(index))
        target = observation["object_xy_m"][rows, index].astype(np.float64)
        radius = observation["object_radius_m"][rows, index].astype(np.float64)
        goal = observation["goal_xy_m"].astype(np.float64)
        velocity = np.stack(
            [self._stroke(slot, *each) for slot, *each in zip(slots, finger, target, radius, goal, strict=True)]
        )
        return np.clip(velocity / TOP_SPEED, -1, 1).astype(np.float32)[:, None]

    def _stroke(self, slot: int, finger: np.ndarray, target: np.ndarray, radius: float, goal: np.ndarray) -> np.ndarray:
        """(3,) finger velocity in m/s for one episode of the batch."""
        left = float(np.linalg.norm(goal - target))
        if left < ARRIVED_M:
            self._is_pushing[slot] = False
            return np.zeros(3)
        along = (goal - target) / left
        behind = target - along * (1.2 * radius + FINGER_RADIUS_M + BEHIND_M)
        offset = target - finger[:2]
        if self._is_pushing[slot] and offset @ along < ALIGNED * np.linalg.norm(offset):
            self._is_pushing[slot] = False
        if not self._is_pushing[slot] and np.linalg.norm(behind - finger[:2]) < NEAR_M and finger[2] < LOW_ENOUGH_M:
            self._is_pushing[slot] = True
        if self._is_pushing[slot]:
            sideways = offset - (offset @ along) * along
            return np.array([*(along * min(self.push_speed, SLOWING * left + 0.03) + 3 * sideways), 0.0])
        return _approach(finger, behind)


def _approach(finger: np.ndarray, waypoint: np.ndarray) -> np.ndarray:
    """(3,) velocity that goes up, across and down to a waypoint on the table."""
    way = waypoint - finger[:2]
    if np.linalg.norm(way) < NEAR_M:
        return np.array([*(APPROACH_GAIN * way), APPROACH_GAIN * (FINGER_LOW_M - finger[2])])
    if finger[2] < HIGH_ENOUGH_M:
        return np.array([0.0, 0.0, TOP_SPEED[2]])
    return np.array([*(APPROACH_GAIN * way), APPROACH_GAIN * (FINGER_HIGH_M - finger[2])])
