"""Episodes of picking something up.

Source: sheet molmospaces section 7, row 1; 15, episode sampling order, items 1, 4, 5 and 7.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from zoo.envs.episodes.schema import Episode
from zoo.envs.kinematics.poses import Array
from zoo.envs.sampling import bases, words
from zoo.envs.sampling.arm import ArmSampler, expression_on
from zoo.envs.sampling.reach import whole
from zoo.envs.sampling.sampler import RejectedError
from zoo.envs.sampling.stage import Stage
from zoo.envs.sampling.surfaces import Standing, standing_things
from zoo.envs.simulation.houses import House

BASE_M = (0.45, 0.70)
"""Of the arm's base from its target."""

HOLDABLE_M = 0.08
"""Smallest extent of what fits between the fingers."""

LIFT_M, GOAL_M = 0.01, 0.05


class TargetSampler(ArmSampler):
    """What picking and placing share: something that stands on an open surface."""

    def prepare(self, stage: Stage) -> None:
        super().prepare(stage)
        self.targets = [item for item in standing_things(stage) if min(item.facts.size_m) <= HOLDABLE_M]

    def draw_target(self, rng: np.random.Generator) -> Standing:
        """Something to pick up.

        Raises:
            RejectedError: the house has nothing.
        """
        if not self.targets:
            raise RejectedError("nothing to pick up", is_hopeless=True)
        return self.targets[int(rng.integers(len(self.targets)))]


class PickSampler(TargetSampler):
    """Something that fits into the hand, on an open surface; the arm stands before it."""

    task: ClassVar[str] = "pick"

    def sample(self, place: House, rng: np.random.Generator) -> Episode:
        stage = self.stage(place)
        target = self.draw_target(rng)
        middle = stage.world.position(target.name)
        points = self.points_around(middle[:2], BASE_M)
        stand = self.take_stand(
            stage,
            rng,
            points,
            target_m=middle,
            turn=bases.TURN,
            seen=[target.name],
            hold=whole(stage, target.name),
        )
        called = expression_on(stage, target.name, target.surface.host, stand.base_pose7)
        return self.episode(
            stage,
            rng,
            stand=stand,
            fields=pickup_fields(stage, target),
            words={"pickup_obj_name": called},
            prompt=words.pick(called),
            relevant=[target.name],
        )


def pickup_fields(stage: Stage, target: Standing) -> dict[str, object]:
    """Fields of a task about what is picked up."""
    pose: Array = stage.world.pose7(target.name)
    goal = pose + np.array([0, 0, GOAL_M, 0, 0, 0, 0])
    return {
        "pickup_obj_name": target.name,
        "pickup_obj_start_pose": tuple(pose.tolist()),
        "pickup_obj_goal_pose": tuple(goal.tolist()),
        "receptacle_name": target.surface.host,
        "succ_pos_threshold": LIFT_M,
    }
