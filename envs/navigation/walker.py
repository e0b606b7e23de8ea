"""Turn waypoints into SPOC's discrete actions, one action for each pose that is measured.

Source: sheet spoc_ring_holodeck_graspmolmo sections 1.15 (rules of the walker) and 1.2 (when an action counts).
Poses are x, y in metres and yaw in radians, counter-clockwise from +x.
Differs: after a 30 degree turn the walker does not turn 30 degrees back but 6, or a bearing of exactly 15 degrees would
make it swing for ever; an undo of a failed step back goes ahead.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from zoo.envs.kinematics.poses import wrapped
from zoo.navigation_actions import SpocAction

POSITION_TOLERANCE_M = 0.19 / math.sqrt(2)  # along each axis of the world
ANGLE_TOLERANCE_DEG = 5.0
ARM_TOLERANCE_M = 0.05
BACK_UP_DEG = 178.0
BACK_UP_M = 0.25
TURN_DEG = 10.0  # smaller bearings are driven
LARGE_TURN_DEG = 15.0
LARGE_ARM_STEP_M = 0.1
MOVED_M = 0.01
TURNED_DEG = 2.0
RANDOM_MOVES = 5
RANDOM_CHOICES = (SpocAction.MOVE_BACK, SpocAction.ROTATE_LEFT, SpocAction.ROTATE_RIGHT)
RANDOM_SHARES = (0.5, 0.25, 0.25)
MAX_REPLANS = 10

Pose = Sequence[float]
Replan = Callable[[Pose, Sequence[tuple[float, float]]], np.ndarray]
"""From a pose and the places where the walker got stuck to (waypoints, 2) on another way to the same goal."""

_OPPOSITE = {
    SpocAction.MOVE_AHEAD: SpocAction.MOVE_BACK,
    SpocAction.MOVE_BACK: SpocAction.MOVE_AHEAD,
    SpocAction.ROTATE_LEFT: SpocAction.ROTATE_RIGHT,
    SpocAction.ROTATE_RIGHT: SpocAction.ROTATE_LEFT,
    SpocAction.ROTATE_LEFT_SMALL: SpocAction.ROTATE_RIGHT_SMALL,
    SpocAction.ROTATE_RIGHT_SMALL: SpocAction.ROTATE_LEFT_SMALL,
}
_SMALL = {
    SpocAction.ROTATE_LEFT: SpocAction.ROTATE_LEFT_SMALL,
    SpocAction.ROTATE_RIGHT: SpocAction.ROTATE_RIGHT_SMALL,
}


def bearing_deg(pose: Pose, point_m: Sequence[float]) -> float:
    """Direction of a point seen from a pose: 0 ahead, positive to the left, in [-180, 180)."""
    return math.degrees(wrapped(math.atan2(point_m[1] - pose[1], point_m[0] - pose[0]) - pose[2]))


def has_moved(action: SpocAction, before: Pose, after: Pose) -> bool:
    """Whether a base action did what it should, by the poses measured around it; other actions always did."""
    effect = action.effect
    if effect.forward_m:
        return math.dist(before[:2], after[:2]) > MOVED_M
    if effect.turn_deg:
        return abs(math.degrees(wrapped(after[2] - before[2]))) > TURNED_DEG
    return True


def is_at(pose: Pose, point_m: Sequence[float]) -> bool:
    """Within the position tolerance, along each axis."""
    return max(abs(pose[0] - point_m[0]), abs(pose[1] - point_m[1])) <= POSITION_TOLERANCE_M


def turn_towards(angle_deg: float) -> SpocAction:
    """The turn that lessens an angle to the left (positive) or right."""
    if abs(angle_deg) >= LARGE_TURN_DEG:
        return SpocAction.ROTATE_LEFT if angle_deg > 0 else SpocAction.ROTATE_RIGHT
    return SpocAction.ROTATE_LEFT_SMALL if angle_deg > 0 else SpocAction.ROTATE_RIGHT_SMALL


def step_towards(pose: Pose, point_m: Sequence[float]) -> SpocAction:
    """The action that brings the base nearer to a point that it is not at."""
    bearing = bearing_deg(pose, point_m)
    ahead_m = math.dist(pose[:2], point_m[:2]) * math.cos(math.radians(bearing))
    if abs(bearing) > BACK_UP_DEG and abs(ahead_m) < BACK_UP_M:
        return SpocAction.MOVE_BACK
    return turn_towards(bearing) if abs(bearing) > TURN_DEG else SpocAction.MOVE_AHEAD


def arm_step(lift_gap_m: float, extend_gap_m: float, wrist_gap_deg: float) -> SpocAction | None:
    """The next arm action towards a target, by the priority up, out, wrist, in, down; None within all tolerances.

    Args:
        lift_gap_m: Target minus present height.
        extend_gap_m: Target minus present extension.
        wrist_gap_deg: Target minus present wrist yaw; closing is positive.
    """
    if lift_gap_m > ARM_TOLERANCE_M:
        return SpocAction.MOVE_ARM_UP if lift_gap_m > LARGE_ARM_STEP_M else SpocAction.MOVE_ARM_UP_SMALL
    if extend_gap_m > ARM_TOLERANCE_M:
        return SpocAction.MOVE_ARM_OUT if extend_gap_m > LARGE_ARM_STEP_M else SpocAction.MOVE_ARM_OUT_SMALL
    if abs(wrist_gap_deg) > ANGLE_TOLERANCE_DEG:
        return SpocAction.WRIST_CLOSE if wrist_gap_deg > 0 else SpocAction.WRIST_OPEN
    if extend_gap_m < -ARM_TOLERANCE_M:
        return SpocAction.MOVE_ARM_IN if extend_gap_m < -LARGE_ARM_STEP_M else SpocAction.MOVE_ARM_IN_SMALL
    if lift_gap_m < -ARM_TOLERANCE_M:
        return SpocAction.MOVE_ARM_DOWN if lift_gap_m < -LARGE_ARM_STEP_M else SpocAction.MOVE_ARM_DOWN_SMALL
    return None


@dataclass(kw_only=True)
class Walker:
    """Follows waypoints, looks at the target, says done; recovers when an action has no effect.

    Args:
        waypoints_m: (waypoints, 2) to pass in order; the first may be where the walker stands.
        rng: Of the random moves when it is stuck.
        facing_m: What to look at when the last waypoint is reached.
        replan: Finds another way; without it the walker tries the same one again.
        max_replans: It gives up, with done, when it got stuck more often.
    """

    waypoints_m: np.ndarray
    rng: np.random.Generator
    facing_m: Sequence[float] | None = None
    replan: Replan | None = None
    max_replans: int = MAX_REPLANS
    blacklist_m: list[tuple[float, float]] = field(default_factory=list, init=False)
    """Places where an action failed, in order, for whoever plans."""
    is_recovering: bool = field(default=False, init=False)
    """The last action was not towards the goal; data that is recorded marks it."""
    _next: int = field(default=0, init=False)
    _undo: deque[SpocAction] = field(default_factory=deque, init=False)
    _random_left: int = field(default=0, init=False)
    _last: tuple[SpocAction, tuple[float, ...]] | None = field(default=None, init=False)

    @property
    def has_given_up(self) -> bool:
        """It got stuck more often than allowed."""
        return len(self.blacklist_m) > self.max_replans

    def act(self, pose: Pose) -> SpocAction:
        """The next action.

        Args:
            pose: x, y, yaw as measured after the previous action.
        """
        failed = self._last is not None and not has_moved(self._last[0], self._last[1], pose)
        action = self._recovery(failed, pose)
        self.is_recovering = action is not None
        if action is None:
            action = SpocAction.DONE if self.has_given_up else self._forward(pose)
        self._last = (action, tuple(float(value) for value in pose))
        return action

    def _recovery(self, failed: bool, pose: Pose) -> SpocAction | None:
        """The next move of a recovery, or None where there is none or it has just ended."""
        if not self.is_recovering:
            if not failed:
                return None
            assert self._last is not None
            action = self._last[0]
            self.blacklist_m.append((float(pose[0]), float(pose[1])))
            self._undo = deque([_OPPOSITE[action]])
            if action.effect.turn_deg:
                self._undo.append(SpocAction.MOVE_BACK)
            self._random_left = RANDOM_MOVES
        elif not failed and not self._undo:
            return self._end_recovery(pose)
        if self._undo:
            return self._undo.popleft()
        if self._random_left == 0:
            return self._end_recovery(pose)
        self._random_left -= 1
        return SpocAction(self.rng.choice(RANDOM_CHOICES, p=RANDOM_SHARES))

    def _end_recovery(self, pose: Pose) -> None:
        if self.replan is not None and not self.has_given_up:
            self.waypoints_m, self._next = self.replan(pose, self.blacklist_m), 0

    def _forward(self, pose: Pose) -> SpocAction:
        while self._next < len(self.waypoints_m) and is_at(pose, self.waypoints_m[self._next]):
            self._next += 1
        if self._next < len(self.waypoints_m):
            return self._without_swing(step_towards(pose, self.waypoints_m[self._next]))
        if self.facing_m is not None and math.dist(pose[:2], self.facing_m) > 0:
            angle = bearing_deg(pose, self.facing_m)
            if abs(angle) > ANGLE_TOLERANCE_DEG:
                return self._without_swing(turn_towards(angle))
        return SpocAction.DONE

    def _without_swing(self, action: SpocAction) -> SpocAction:
        turned_there = self._last is not None and self._last[0] == _OPPOSITE[action] and action in _SMALL
        return _SMALL[action] if turned_there else action
