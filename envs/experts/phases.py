"""The frame of all experts of one arm: phases one after the other, watched, and begun again where they fail.

Source: sheet of MolmoSpaces section 15, "Franka expert phases" (speeds, retries, what counts as a failure) and 9
(seconds of gripper commands).
Differs: inverse kinematics is solved when a phase is planned, not while it runs, so that where it fails another way is
sought before the arm moves; an attempt fails only where there is none.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Collection, Iterator
from typing import ClassVar

import numpy as np

from zoo.envs.experts.expert import Expert, Move
from zoo.envs.experts.paths import FAR_SPEED, around, is_clear, straight
from zoo.envs.experts.workspace import ARM, GRIPPER, Held, Workspace
from zoo.envs.kinematics.poses import Array, angle_between, distance
from zoo.envs.robots.gripper import CLOSE_S, CTRL_CLOSED, CTRL_OPEN, MAX_OPENING_M, OPEN_S
from zoo.envs.robots.robot import RELATIVE
from zoo.envs.simulation.environment import EpisodeEnv

MAX_RETRIES = 3
MAX_TCP_ERROR_M, MAX_TCP_ERROR = 0.1, math.radians(30)
EMPTY_M = 0.002
"""A gripper that is open by less holds nothing."""
ARRIVED_M, ARRIVED = 0.003, math.radians(1.5)
SETTLE_STEPS = 8
"""Policy steps at most that the arm is given to arrive."""
REST_STEPS = 12
"""Policy steps for which things are left alone before the task is judged."""

Moves = Iterator[Move]


class AttemptFailedError(Exception):
    """An attempt cannot go on; the next one begins from the first phase.

    Args:
        reason: A few words.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class PhaseExpert(Expert):
    """Attempts until the task's own judge is content, four times at most."""

    robots: ClassVar[tuple[str, ...]] = ("franka_droid",)

    def reset(self, env: EpisodeEnv, rng: np.random.Generator) -> None:
        self._env, self._rng = env, rng
        self.arm = Workspace(env)
        self.task = env.simulation.episode.task
        self.failures: list[str] = []
        self._is_holding = False
        self._script = self._run()

    def act(self) -> Move:
        return next(self._script, Move(is_done=True, phase="done"))

    @abstractmethod
    def attempt(self) -> Moves:
        """All phases once.

        Raises:
            AttemptFailedError: they did not come to their end.
        """

    def _run(self) -> Moves:
        for _ in range(MAX_RETRIES + 1):
            try:
                yield from self.attempt()
                yield from self.rest(REST_STEPS)
            except AttemptFailedError as failure:
                self.failures.append(failure.reason)
            if self._env.judgement.success:
                yield from self.finish()
                return
            yield from self.recover()

    def finish(self) -> Moves:
        """What is left to do when the task is done."""
        yield from ()

    def recover(self) -> Moves:
        """Let go, and draw back by some centimetres, if nothing is in the way."""
        if self.arm.opening_m < MAX_OPENING_M - EMPTY_M:
            yield from self.grip(is_closed=False)
        self.arm.sync()
        back = self.retreat_way(0.08)
        if back is not None:
            yield from self.follow(back, "retreat", is_watched=False)

    # Phases, each a few policy steps.

    def follow(self, way: Array, phase: str, *, is_watched: bool = True) -> Moves:
        """Move along a way (steps, joints), and arrive."""
        for q in way:
            yield self._move(q, phase)
            if is_watched:
                self._watch(q)
        for _ in range(SETTLE_STEPS):
            goal, now = self.arm.tcp(way[-1]), self.arm.tcp(self.arm.q)
            if distance(goal, now) <= ARRIVED_M and angle_between(goal[3:], now[3:]) <= ARRIVED:
                return
            yield self._move(way[-1], phase)
            if is_watched:
                self._watch(way[-1])

    def grip(self, *, is_closed: bool, is_holding: bool | None = None) -> Moves:
        """Close or open the gripper with the arm still.

        Args:
            is_closed: Close it.
            is_holding: Whether it should hold something then; None: if it is closed.
        """
        command = np.array([CTRL_CLOSED if is_closed else CTRL_OPEN])
        phase = "close" if is_closed else "open"
        self._is_holding = False
        for _ in range(math.ceil((CLOSE_S if is_closed else OPEN_S) / self.arm.dt)):
            yield Move({GRIPPER: command}, phase=phase)
        self._is_holding = is_closed if is_holding is None else is_holding
        if self._is_holding:
            self._watch(self.arm.told)

    def rest(self, steps: int) -> Moves:
        """Leave everything as it is."""
        for _ in range(steps):
            yield Move(phase="idle")

    # Ways, planned in the copy of the scene.

    def way_to(
        self, q: Array, *, held: Held | None = None, opening_m: float = MAX_OPENING_M, speed: float = FAR_SPEED
    ) -> Array:
        """To arm positions: straight for the tool if nothing is in the way, around it otherwise.

        Args:
            q: Arm positions (joints,).
            held: What the hand takes along.
            opening_m: Of the gripper on the way.
            speed: Of the tool, m/s.
        Raises:
            AttemptFailedError: there is no way.
        """
        arm, start = self.arm, self.arm.told

        def is_free(q: Array) -> bool:
            return arm.is_free(q, opening_m, held=held)

        direct = straight(arm, start, arm.tcp(q), speed=speed)
        if direct is not None and np.abs(direct[-1] - q).max() < 0.5 and is_clear(direct, is_free, start=start):
            return direct
        found = around(arm, start, q, is_free, self._rng, speed=speed)
        if found is None:
            raise AttemptFailedError("no way is free")
        return found

    def retreat_way(self, length_m: float, *, allowed: Collection[int] = ()) -> Array | None:
        """Straight back along the approach, as far as nothing but allowed bodies is in the way."""
        arm, start, opening = self.arm, self.arm.told, self.arm.opening_m
        pose = arm.tcp(start)
        back = -arm_axis(pose)
        for share in (1.0, 0.6, 0.3):
            goal = pose.copy()
            goal[:3] += share * length_m * back
            way = straight(arm, start, goal, speed=FAR_SPEED / 2)
            if way is not None and is_clear(way, lambda q: arm.is_free(q, opening, allowed=allowed), start=start):
                return way
        return None

    def _move(self, q: Array, phase: str) -> Move:
        mode = self._env.robot.group(ARM).mode(self._env.modes.get(ARM))
        return Move({ARM: q - self.arm.q if mode in RELATIVE else q}, phase=phase)

    def _watch(self, q: Array) -> None:
        """Compare with the way, and see whether the hand still holds what it should."""
        goal, now = self.arm.tcp(q), self.arm.tcp(self.arm.q)
        if distance(goal, now) > MAX_TCP_ERROR_M or angle_between(goal[3:], now[3:]) > MAX_TCP_ERROR:
            raise AttemptFailedError("the arm is off its way")
        if self._is_holding and self.arm.opening_m < EMPTY_M:
            raise AttemptFailedError("the gripper is empty")


def arm_axis(pose7: Array) -> Array:
    """(3,) direction in which the tool looks."""
    w, x, y, z = pose7[3:]
    return np.array([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])
