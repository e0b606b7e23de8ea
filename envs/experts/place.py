"""Takes an object and puts it in, on or next to another one."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from zoo.envs.experts.phases import AttemptFailedError, Moves
from zoo.envs.experts.pick import PickExpert
from zoo.envs.experts.placing import Placement, placements, poses_beside, poses_on
from zoo.envs.experts.workspace import Held
from zoo.envs.kinematics.poses import Array

RETREAT_M = 0.05
OPTIONS = 8
"""Placements to which a way is sought."""


class PutDownExpert(PickExpert):
    """Everything of `PickExpert`, then pre-place, place, open, retreat, home."""

    @abstractmethod
    def poses(self, held: Held, upright_wxyz: Array) -> list[Array]:
        """world_from_object at which the held object may be let go, best first."""

    def attempt(self) -> Moves:
        name = self.task.pickup_obj_name
        yield from self.take(name)
        held = self.held(name)
        placement, way = self._plan_placement(held)
        yield from self.follow(way, "preplace")
        yield from self.follow(placement.down, "place")
        yield from self.grip(is_closed=False)
        self.arm.sync()
        back = self.retreat_way(RETREAT_M, allowed=self.arm.bodies_of(name))
        if back is not None:
            yield from self.follow(back, "retreat")

    def finish(self) -> Moves:
        self.arm.sync()
        try:
            way = self.way_to(self.arm.home)
        except AttemptFailedError:
            return
        yield from self.follow(way, "home", is_watched=False)
        yield from self.rest(2)

    def _plan_placement(self, held: Held) -> tuple[Placement, Array]:
        arm = self.arm
        arm.sync()
        upright = np.array(self.task.pickup_obj_start_pose[3:])
        poses = self.poses(held, upright)
        if not poses:
            raise AttemptFailedError("no place is free")
        arm.sync()
        tried = 0
        for placement in placements(arm, held, poses, self._rng):
            try:
                return placement, self.way_to(placement.pre, held=held, opening_m=arm.opening_m)
            except AttemptFailedError:
                tried += 1
            if tried == OPTIONS:
                break
        raise AttemptFailedError("no place is in reach")


class PlaceExpert(PutDownExpert):
    """Puts an object in or on a receptacle."""

    def poses(self, held: Held, upright_wxyz: Array) -> list[Array]:
        return poses_on(self.arm, held, self.task.place_receptacle_name, upright_wxyz)


class NextToExpert(PutDownExpert):
    """Puts an object next to another one, on the same surface."""

    def poses(self, held: Held, upright_wxyz: Array) -> list[Array]:
        gap = self.task.min_surface_to_surface_gap, self.task.max_surface_to_surface_gap
        return poses_beside(self.arm, held, self.task.place_receptacle_name, upright_wxyz, gap)
