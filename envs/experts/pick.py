"""Takes an object in the hand and lifts it."""

from __future__ import annotations

import numpy as np

from zoo.envs.experts.grasp_choice import Grasp, object_candidates, ranked, reachable
from zoo.envs.experts.paths import NEAR_SPEED, straight
from zoo.envs.experts.phases import EMPTY_M, AttemptFailedError, Moves, PhaseExpert
from zoo.envs.experts.workspace import Held
from zoo.envs.kinematics.poses import Array, compose, invert
from zoo.envs.robots.gripper import CLOSE_S, MAX_OPENING_M

LIFT_M = 0.08
LOW_LIFT_M = 0.03
"""Where the arm can go no farther up."""
DROOP_M = 0.05
"""By how much the farthest corner of what hangs from its edge must clear the place where it was held."""
MIN_RISE_SHARE, ENOUGH_M = 0.3, 0.05
"""Of the lift, by which an object must rise when the grasp is rehearsed; one held at its end droops."""
REHEARSALS = 9
LOWER_M = 0.2
"""Farthest that an object is lowered when it could not be placed."""


class PickExpert(PhaseExpert):
    """Open, pre-grasp, grasp, close, lift."""

    def attempt(self) -> Moves:
        yield from self.take(self.task.pickup_obj_name)

    def take(self, name: str) -> Moves:
        """Take hold of an object and lift it."""
        if self.arm.opening_m < MAX_OPENING_M - EMPTY_M:
            yield from self.grip(is_closed=False)
        grasp, lift, way = self._plan(name)
        yield from self.follow(way, "pregrasp")
        yield from self.follow(grasp.approach, "grasp")
        yield from self.grip(is_closed=True)
        yield from self.follow(lift, "lift")

    def recover(self) -> Moves:
        if self._is_holding and self.arm.opening_m > EMPTY_M:
            yield from self.put_back(self.task.pickup_obj_name)
        yield from super().recover()

    def put_back(self, name: str) -> Moves:
        """Lower what is in the hand until it touches something."""
        self.arm.sync()
        start, held = self.arm.told, self.held(name)
        down = self.arm.tcp(start) - np.array([0.0, 0.0, LOWER_M, 0.0, 0.0, 0.0, 0.0])
        way = straight(self.arm, start, down, speed=NEAR_SPEED)
        if way is None:
            return
        is_free = [self.arm.is_free(q, self.arm.opening_m, held=held) for q in way]
        steps = is_free.index(False) if False in is_free else len(way)
        if steps:
            yield from self.follow(way[:steps], "put back", is_watched=False)

    def held(self, name: str) -> Held:
        """How an object lies in the hand now."""
        return Held(name, compose(invert(self.arm.tcp(self.arm.q)), self.arm.world.pose7(name)))

    def _plan(self, name: str) -> tuple[Grasp, Array, Array]:
        """A grasp that holds when it is tried in a copy of the scene, the lift, and the way to its pre-grasp."""
        arm = self.arm
        arm.sync()
        poses, found = object_candidates(arm, name, self._rng)
        tools = ranked(arm, poses, found, arm.world.position(name))
        grasps = reachable(arm, tools, self._rng, allowed=arm.bodies_of(name))
        rehearsed = 0
        for grasp in grasps:
            for height in (LIFT_M, self._reach(name, grasp) + DROOP_M, LOW_LIFT_M):
                up = grasp.tcp + np.array([0.0, 0.0, height, 0.0, 0.0, 0.0, 0.0])
                lift = straight(arm, grasp.q, up, speed=NEAR_SPEED)
                if lift is None:
                    continue
                rehearsed += 1
                rose = arm.rehearse(name, grasp.q, lift, CLOSE_S)
                arm.sync()
                if rose >= min(MIN_RISE_SHARE * height, ENOUGH_M):
                    try:
                        return grasp, lift, self.way_to(grasp.pre)
                    except AttemptFailedError:
                        break
            if rehearsed >= REHEARSALS:
                break
        raise AttemptFailedError("no grasp is in reach" if not rehearsed else "no grasp holds")

    def _reach(self, name: str, grasp: Grasp) -> float:
        """Metres from a grasp to the farthest corner of the object's box."""
        centre, half = self.arm.world.box(name)
        return float(np.linalg.norm(np.abs(grasp.tcp[:3] - centre) + half))
