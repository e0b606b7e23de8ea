"""Episodes of opening and closing drawers, doors and lids of furniture.

Source: sheet molmospaces section 7, rows 5 and 6; 15, episode sampling order, item 4 (yaw within 0.25 rad); 21 for the
threshold of opening, 0.15 as in the papers.
Differs: what one hand can lift does not count, so boxes with lids and laptops are left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from zoo.envs.assets.library import Articulation
from zoo.envs.episodes.schema import Episode
from zoo.envs.kinematics.poses import Array, yaw_of
from zoo.envs.sampling import bases, words
from zoo.envs.sampling.arm import ArmSampler
from zoo.envs.sampling.base import NO_PLACE
from zoo.envs.sampling.reach import part
from zoo.envs.sampling.sampler import RejectedError
from zoo.envs.sampling.stage import DEPTH_M, Stage
from zoo.envs.simulation.houses import House

BASE_M = (0.45, 0.75)
"""Of the arm's base from the handle."""

FRONT = math.radians(60)
"""Largest angle between the way to the robot and the front of the furniture."""

OPEN_THRESHOLD, CLOSE_THRESHOLD = 0.15, 0.85
HALF_OPEN = 0.5
SLACK = 0.05  # beyond the threshold, of the range, that the arm must reach


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A part of furniture that opens.

    Args:
        name: Root body of the object.
        index: Of the articulation within the object.
        facts: Of the articulation.
    """

    name: str
    index: int
    facts: Articulation

    @property
    def joint(self) -> str:
        """In the model."""
        return f"{self.name}/{self.facts.joint}"


class OpenSampler(ArmSampler):
    """A part that is closed; the arm stands before its handle."""

    task: ClassVar[str] = "open"
    threshold: ClassVar[float] = OPEN_THRESHOLD
    start_share: ClassVar[float] = 0.0
    """Where the joint begins, of its range."""

    goal_share: ClassVar[float] = 1.0
    """Where it should go."""

    reached_share: ClassVar[float] = OPEN_THRESHOLD + SLACK
    """Where the hand must be able to take it."""

    def prepare(self, stage: Stage) -> None:
        super().prepare(stage)
        self.parts = [
            [Part(name=item.name, index=index, facts=facts) for index, facts in enumerate(parts)]
            for item in stage.place.scene.objects
            if (parts := stage.facts[item.name].articulations) and not stage.facts[item.name].is_pickupable
        ]

    def sample(self, place: House, rng: np.random.Generator) -> Episode:
        stage = self.stage(place)
        target = self._draw_part(rng)
        joint, handle = stage.world.joint(target.joint), stage.model.geom(f"{target.name}/{target.facts.handle}").id
        closed, opened = sorted(target.facts.range, key=abs)
        start, goal, reached = (
            closed + share * (opened - closed) for share in (self.start_share, self.goal_share, self.reached_share)
        )
        stage.set_joint(target.joint, start)
        stage.forward()
        if _is_blocked(stage, int(stage.model.jnt_bodyid[joint])):
            raise RejectedError("something is in the way of the part")
        middle = stage.data.geom_xpos[handle].copy()
        points = self._before(stage, target.name, middle)
        stand = self.take_stand(
            stage,
            rng,
            points,
            target_m=middle,
            turn=bases.FACING_TURN,
            seen=[target.name],
            hold=part(stage, target.name, joint=joint, handle=handle),
            move=lambda: stage.set_joint(target.joint, reached),
        )
        called, is_any = self.name_part(stage, target, stand.base_pose7)
        return self.episode(
            stage,
            rng,
            stand=stand,
            fields={
                "pickup_obj_name": target.name,
                "pickup_obj_start_pose": tuple(stage.world.pose7(target.name).tolist()),
                "joint_name": target.joint,
                "joint_index": target.index,
                "joint_start_position": start,
                "joint_goal_position": goal,
                "task_success_threshold": self.threshold,
                "any_inst_of_category": is_any,
            },
            words={"pickup_obj_name": called},
            prompt=f"{self.task} {'any' if is_any else 'the'} {called}",
            relevant=[target.name],
        )

    def name_part(self, stage: Stage, target: Part, base_pose7: Array) -> tuple[str, bool]:
        """Words for the furniture, and whether any of its category will do because nothing tells it from others."""
        room = stage.world.objects[target.name].room
        names = [parts[0].name for parts in self.parts if stage.world.objects[parts[0].name].room == room]
        rivals = {name: stage.facts[name] for name in names}
        positions = {name: stage.world.position(name) for name in names}
        called = words.expression(target.name, rivals, positions, base_pose7)
        return (rivals[target.name].category, True) if called is None else (called, False)

    def _draw_part(self, rng: np.random.Generator) -> Part:
        if not self.parts:
            raise RejectedError("nothing that opens", is_hopeless=True)
        parts = self.parts[int(rng.integers(len(self.parts)))]
        return parts[int(rng.integers(len(parts)))]

    def _before(self, stage: Stage, name: str, handle_m: Array) -> Array:
        """(points, 2) where the arm may stand before a handle.

        Raises:
            RejectedError: nowhere.
        """
        points = self.points_around(handle_m[:2], BASE_M)
        yaw = float(yaw_of(stage.world.pose7(name)[3:]))
        ways = points - handle_m[:2]
        ahead = ways @ np.array([math.cos(yaw), math.sin(yaw)])
        points = points[ahead >= math.cos(FRONT) * np.linalg.norm(ways, axis=1)]
        if not len(points):
            raise RejectedError(NO_PLACE)
        return points


class CloseSampler(OpenSampler):
    """A part that is half open."""

    task: ClassVar[str] = "close"
    threshold: ClassVar[float] = CLOSE_THRESHOLD
    start_share: ClassVar[float] = HALF_OPEN
    goal_share: ClassVar[float] = 0.0
    reached_share: ClassVar[float] = 1 - CLOSE_THRESHOLD - SLACK

    def name_part(self, stage: Stage, target: Part, base_pose7: Array) -> tuple[str, bool]:
        del base_pose7  # what is open is told by that
        return stage.facts[target.name].category, False


def _is_blocked(stage: Stage, body: int) -> bool:
    """Whether a part is stuck in another object where it begins."""
    data, roots = stage.data, stage.model.body_rootid
    bodies = stage.model.geom_bodyid[data.contact.geom[: data.ncon]]  # (contacts, 2)
    is_own = (bodies == body).any(axis=1) & (roots[bodies] != roots[body]).any(axis=1)
    return bool((is_own & (data.contact.dist[: data.ncon] < -DEPTH_M)).any())
