"""What samplers of the arm on a pedestal share: where it stands, what its camera sees, whether it reaches.

Source: sheet molmospaces section 15, episode sampling order, items 4 and 5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np

from zoo.envs.kinematics.poses import Array
from zoo.envs.robots.franka import PEDESTAL_M
from zoo.envs.sampling import bases, cameras, words
from zoo.envs.sampling.base import NO_PLACE, StagedSampler, Stand
from zoo.envs.sampling.reach import GraspSearch, Hold
from zoo.envs.sampling.sampler import RejectedError
from zoo.envs.sampling.stage import Stage
from zoo.envs.sampling.surfaces import is_inside

OVERLOOK = "exo_camera_1"
"""The camera that must see what the task is about; the wrist's looks elsewhere at the start."""

REASONS = (NO_PLACE, "hidden from the camera", "no grasp within reach")


class ArmSampler(StagedSampler):
    """Draws episodes for the Franka-like arm."""

    robot_name: ClassVar[str] = "franka_droid"

    def __init__(self) -> None:
        super().__init__()
        self._search = GraspSearch()

    def prepare(self, stage: Stage) -> None:
        self.plan = stage.occupancy(px_per_m=bases.PX_PER_M)
        self.clearance_m = self.plan.clearance_m()

    def points_around(self, centre_m: Array, distance_m: tuple[float, float]) -> Array:
        """(points, 2) where the middle of a pedestal may be.

        Args:
            centre_m: (2,) of what is to be reached.
            distance_m: Least and most.
        Raises:
            RejectedError: nowhere.
        """
        least = PEDESTAL_M[0] / 2
        points = bases.free_points(self.plan, self.clearance_m, centre_m, distance_m, least_clearance_m=least)
        if not len(points):
            raise RejectedError(NO_PLACE)
        return points

    def take_stand(
        self,
        stage: Stage,
        rng: np.random.Generator,
        points_m: Array,
        *,
        target_m: Array,
        turn: float,
        seen: Sequence[str],
        hold: Hold,
        move: Callable[[], None] | None = None,
    ) -> Stand:
        """Put the robot where it touches nothing, sees enough and can take hold of the target.

        Args:
            stage: With everything else where it begins.
            rng: Of the draws.
            points_m: (points, 2) to draw from.
            target_m: (3,) that it stands before.
            turn: Largest angle between its front and the target.
            seen: Objects that its camera must see.
            hold: What it must be able to take hold of.
            move: Puts that where it should go.
        Raises:
            RejectedError: no draw will do; the reason of the one that came farthest.
        """
        positions, placed = stage.view.start_qpos(rng), self.camera_system.draw(rng)
        overlook = next(camera for camera in placed if camera.name == OVERLOOK)
        height = bases.arm_height_m(rng, float(target_m[2]))
        looks, came = 0, 0
        for pose in bases.draws(rng, points_m, target_m[:2], turn=turn, height_m=height):
            stage.stand(pose, positions)
            if not stage.is_robot_free():
                continue
            if not all(cameras.sees(stage, overlook, name, size=self.size) for name in seen):
                came = max(came, 1)
            elif self._search.can_hold(stage, hold, move=move):
                return Stand(base_pose7=pose, positions=positions, cameras=placed)
            else:
                came = 2
            looks += 1
            if looks == bases.LOOKS:
                break
        raise RejectedError(REASONS[came])


def expression_on(stage: Stage, name: str, host: str, base_pose7: Array, *, added: Sequence[str] = ()) -> str:
    """Words for an object among all that its host carries.

    Args:
        stage: As the episode begins.
        name: Of the object.
        host: That carries it.
        base_pose7: Where the robot stands.
        added: Spares that stand there too.
    Raises:
        RejectedError: nothing tells it from another.
    """
    there = [item.name for item in stage.place.scene.objects if item.support == host]
    names = [other for other in there if not is_inside(stage, other)] + list(added)
    rivals = {other: stage.facts[other] for other in names}
    positions = {other: stage.world.position(other) for other in names}
    found = words.expression(name, rivals, positions, base_pose7)
    if found is None:
        raise RejectedError("cannot be told from its twin")
    return found
