"""Pick a thing up, from near or from anywhere: drive beside it, turn the arm to it, reach, take it, say done.

Source: sheet spoc_ring_holodeck_graspmolmo section 1.15, pickup: an arm-reachable pose, the arm at -90 degrees of the
front, lift to clear, extend, wrist, lower, pickup, done.
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from zoo.envs.experts.chores.chore import ChoreExpert, cells_within
from zoo.envs.experts.chores.pilot import StuckError
from zoo.envs.experts.chores.reach import HELD_M, Grip, Reach
from zoo.envs.kinematics.poses import Array
from zoo.envs.navigation.paths import RouteGrid
from zoo.envs.navigation.success import ARM_BEARING_DEG
from zoo.envs.navigation.walker import bearing_deg
from zoo.envs.robots.stretch import LIFT_OFFSET_M
from zoo.envs.tasks.chores import Fetch
from zoo.navigation_actions import NOTHING, SpocAction

SPACING_M = 0.1  # of places that are judged
SPREAD_M = 0.7  # of way beyond the nearest good place, within which others are goals too
MAX_LOOKS = 600
TRIED_M = 0.12  # around a place that did not do
SAME_M = 0.02  # places that are one
ALIGNED_DEG = 3.2  # of the arm; turns come in steps of 6
NEAR_M, NEAR_DEG = 0.025, 6.0  # of lift and extension, and of the wrist, from where they should be
SWEEP_DEG = 40.0  # that the base turns at most with the hand unfolded
LARGE_M = 0.1  # gaps above take the large step of the arm


class FetchExpert(ChoreExpert):
    """Takes the nearest target that its arm gets at."""

    robots: ClassVar[tuple[str, ...]] = ("stretch",)
    task: Fetch

    def begin(self) -> None:
        self.reach = Reach(self.world)
        self._tried: list[tuple[str, Array]] = []
        self._taking: tuple[str, Array] | None = None
        self._last_arm: Array | None = None
        self._has_failed = False

    def choose(self, pose: Array) -> SpocAction:
        if self.world.held:
            return SpocAction.DONE if self.task.is_success() else SpocAction.DROPOFF
        if self._taking is not None and math.dist(self._taking[1], pose[:2]) > SAME_M:
            self._taking = None
        if self._taking is not None and self._has_failed:
            self._give_up_place()
        while True:
            if self._taking is None:
                self._taking = self._at_hand(pose)
            if self._taking is not None:
                action = self._take(self._taking[0], pose)
                if action is not None:
                    return action
                self._give_up_place()
                continue
            if self._has_failed:
                return SpocAction.MOVE_ARM_UP_SMALL  # what the hand is stuck at is rather below it
            action = self.drive(pose)
            action = self._come_closer(pose) if action is None else action
            if action is not None:
                return action
            self._tried += [(name, np.array(pose[:2])) for name in self.task.targets]
            if not self.plan(pose):
                self.phase = "done"
                return SpocAction.DONE

    def _come_closer(self, pose: Array) -> SpocAction | None:
        """From where the way ends to where something can be taken; None where no few moves lead there."""
        assert self.pilot.end_m is not None
        try:
            return self.pilot.search(pose, self.pilot.end_m, lambda here: self._at_hand(here) is not None)
        except StuckError:
            return None

    def goals(self, grid: RouteGrid, start: np.ndarray) -> np.ndarray:
        part = int(grid.parts[tuple(start)])
        distances = grid.tree_of(start, is_plain=True).cost
        cells, names = [np.zeros((0, 2), np.int64)], []
        for name in self.task.targets:
            found = places_beside(self.reach, grid, part, name)
            cells.append(found)
            names += [name] * len(found)
        joined = np.concatenate(cells)
        ways, points = distances[joined[:, 0], joined[:, 1]], grid.plan.point_of(joined)
        good: list[int] = []
        for index in np.argsort(ways, kind="stable")[:MAX_LOOKS]:
            if good and ways[index] > ways[good[0]] + SPREAD_M:
                break
            if not self._was_tried(names[index], points[index]) and self.reach.can_take(names[index], points[index]):
                good.append(int(index))
        return np.unique(joined[good], axis=0) if good else joined[:0]

    def observe(self, pose: Array, said: SpocAction | None) -> None:
        """See `ChoreExpert`; notices also whether a step of the arm, or a pickup, changed nothing."""
        super().observe(pose, said)
        before, self._last_arm = self._last_arm, self.env.simulation.view.qpos("arm")
        effect = NOTHING if said is None else said.effect
        moves_arm = bool(effect.lift_m or effect.extend_m or effect.wrist_deg) or said == SpocAction.PICKUP
        self._has_failed = before is not None and moves_arm and np.array_equal(before, self._last_arm)

    def _give_up_place(self) -> None:
        assert self._taking is not None
        self._tried.append(self._taking)
        self._taking = None
        self.forget_course()

    def _at_hand(self, pose: Array) -> tuple[str, Array] | None:
        """The first target that can be taken from here."""
        place = np.array(pose[:2])
        for name in self.task.targets:
            if self._was_tried(name, place) or not self.reach.can_take(name, place):
                continue
            turned = bearing_deg((*place, 0.0), self.reach.centre_m(name)) - ARM_BEARING_DEG
            if self.pilot.floor.is_free(np.array([*place, math.radians(turned)])):
                return name, place
        return None

    def _was_tried(self, name: str, place: Array) -> bool:
        return any(tried == name and math.dist(place, where) <= TRIED_M for tried, where in self._tried)

    def _take(self, name: str, pose: Array) -> SpocAction | None:
        """The next action of taking a thing from here; None where the arm cannot be turned to it."""
        grip = self.reach.grip(name)
        assert grip is not None, name
        off = (bearing_deg(pose, grip.centre_m) - ARM_BEARING_DEG + 180.0) % 360.0 - 180.0
        if abs(off) > ALIGNED_DEG:
            self.phase = "align"
            is_small = abs(off) <= SWEEP_DEG and not self.pilot.has_failed_here(pose)
            fold = self.retracting() if is_small else self.folding()
            if fold is not None:
                return fold
            try:
                return self.pilot.turn_to(pose, pose[2] + math.radians(off), within_deg=ALIGNED_DEG)
            except StuckError:
                return None
        self.phase = "take"
        tool = self.env.simulation.view.tcp_pose("arm", in_world=True)[:3]
        if np.linalg.norm(tool - grip.centre_m) <= HELD_M:
            return SpocAction.PICKUP
        return self._arm_action(grip, math.dist(pose[:2], grip.centre_m[:2]))

    def _arm_action(self, grip: Grip, distance_m: float) -> SpocAction | None:
        """Up, unfold, out, down; None where the arm is there and the thing is not."""
        arm = self.env.simulation.view.qpos("arm")
        height, out, wrist = LIFT_OFFSET_M + arm[0], float(arm[1:-1].sum()), math.degrees(arm[-1])
        gap_out = grip.extension_m(distance_m) - out
        is_unfolded, is_out = abs(wrist) <= NEAR_DEG, abs(gap_out) <= NEAR_M
        if not (is_unfolded and is_out) and abs(grip.clear_m - height) > NEAR_M:
            return _lift(grip.clear_m - height)
        if not is_unfolded:
            return SpocAction.WRIST_CLOSE if wrist < 0 else SpocAction.WRIST_OPEN
        if not is_out:
            return _extend(gap_out)
        return _lift(grip.height_m - height) if abs(grip.height_m - height) > NEAR_M / 2 else None


def places_beside(reach: Reach, grid: RouteGrid, part: int | None, name: str) -> np.ndarray:
    """(cells, 2) of one part of a grid, or of all, at such a distance from a thing that an arm may get at it."""
    grip = reach.grip(name)
    if grip is None:
        return np.zeros((0, 2), np.int64)
    low, high = grip.distances_m
    middle = grip.centre_m[:2]
    cells = cells_within(grid, part, middle - high, middle + high, SPACING_M)
    apart = np.linalg.norm(grid.plan.point_of(cells) - middle, axis=1)
    return cells[(apart >= low) & (apart <= high)]


def _lift(gap_m: float) -> SpocAction:
    if gap_m > 0:
        return SpocAction.MOVE_ARM_UP if gap_m > LARGE_M else SpocAction.MOVE_ARM_UP_SMALL
    return SpocAction.MOVE_ARM_DOWN if gap_m < -LARGE_M else SpocAction.MOVE_ARM_DOWN_SMALL


def _extend(gap_m: float) -> SpocAction:
    if gap_m > 0:
        return SpocAction.MOVE_ARM_OUT if gap_m > LARGE_M else SpocAction.MOVE_ARM_OUT_SMALL
    return SpocAction.MOVE_ARM_IN if gap_m < -LARGE_M else SpocAction.MOVE_ARM_IN_SMALL
