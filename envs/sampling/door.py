"""Episodes of opening a hinged room door from either side.

Source: sheet molmospaces section 7, row 7; 15, episode sampling order, item 4 (1 to 1.5 m, yaw within 0.25 rad, the
swing of the door avoided).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from zoo.envs.episodes.schema import Episode
from zoo.envs.kinematics.poses import Array
from zoo.envs.navigation.occupancy import OccupancyMap
from zoo.envs.robots.rby1 import BASE_HALF_M
from zoo.envs.sampling import bases
from zoo.envs.sampling.base import NO_PLACE, StagedSampler
from zoo.envs.sampling.sampler import RejectedError
from zoo.envs.sampling.stage import Stage
from zoo.envs.scenes.doors import joint_name
from zoo.envs.scenes.specification import Leaf, Opening, Wall
from zoo.envs.simulation.houses import House

BASE_M = (1.0, 1.5)
"""Of the robot from the middle of the opening."""

ASIDE = math.radians(40)
"""Largest angle between the way to the robot and the wall's normal."""

THRESHOLD = 0.67
RADIUS_M = BASE_HALF_M * math.sqrt(2)  # of the circle around the base
SWING_SHARE = 0.85
"""Of the door's range, that must be free of furniture; the task needs 0.67."""

FRAME = math.radians(8)
"""Angles below which the sweep of a leaf is tested nowhere: there it is still within the frame."""

STEP_M = 0.04  # between the points of the sweep that are tested


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """One side of a door.

    Args:
        wall: That the door is in.
        hole: The door.
        face: Side of the wall where the robot stands, seen from start to end.
    """

    wall: Wall
    hole: Opening
    face: Literal["left", "right"]

    @property
    def leaf(self) -> Leaf:
        assert self.hole.leaf is not None
        return self.hole.leaf

    @property
    def is_pull(self) -> bool:
        """Whether the door opens toward the robot."""
        return self.leaf.swing == self.face

    @property
    def middle_m(self) -> Array:
        """(2,) of the opening."""
        return np.array(self.wall.at(self.hole.offset_m + self.hole.width_m / 2))

    @property
    def hinge_m(self) -> Array:
        """(2,) of the hinge."""
        return np.array(self.wall.at(self.hole.offset_m + (0 if self.leaf.hinge == "start" else self.hole.width_m)))

    @property
    def normal(self) -> Array:
        """(2,) unit vector out of the wall toward the robot."""
        return _normal(self.wall, self.face)


class DoorSampler(StagedSampler):
    """A closed door between two rooms or to the outside; the robot stands before it, within the house."""

    task: ClassVar[str] = "open_door"
    robot_name: ClassVar[str] = "rby1"

    def prepare(self, stage: Stage) -> None:
        self.sides = [
            Side(wall=wall, hole=hole, face=face)
            for wall, hole in stage.place.scene.doors
            if hole.leaf is not None
            for face, room in zip(("left", "right"), wall.rooms, strict=True)
            if room is not None
        ]

    def sample(self, place: House, rng: np.random.Generator) -> Episode:
        stage = self.stage(place)
        if not self.sides:
            raise RejectedError("no hinged door", is_hopeless=True)
        side = self.sides[int(rng.integers(len(self.sides)))]
        name = side.hole.name
        stage.set_joint(joint_name(side.hole), 0.0)
        stage.forward()
        plan = stage.occupancy(px_per_m=bases.PX_PER_M, skip=(name,))
        if not plan.is_free(_sweep(side)).all():
            raise RejectedError("something is in the way of the door")
        points = _stands(side, plan)
        poses = bases.draws(rng, points, side.middle_m, turn=bases.FACING_TURN)
        stand = self.stand_free(stage, rng, poses)
        joint = stage.world.joint(joint_name(side.hole))
        return self.episode(
            stage,
            rng,
            stand=stand,
            fields={
                "door_body_name": name,
                "articulated_joint_range": tuple(stage.model.jnt_range[joint].tolist()),
                "articulated_joint_reset_state": 0.0,
                "door_openness_threshold": THRESHOLD,
            },
            words={"door_body_name": "door"},
            prompt=f"{'pull' if side.is_pull else 'push'} the door open",
            relevant=[name],
        )


def _stands(side: Side, plan: OccupancyMap) -> Array:
    """(points, 2) before a door where the base fits, clear of the leaf as it swings.

    Raises:
        RejectedError: nowhere.
    """
    points = bases.free_points(plan, plan.clearance_m(), side.middle_m, BASE_M, least_clearance_m=RADIUS_M)
    ways = points - side.middle_m
    is_before = ways @ side.normal >= math.cos(ASIDE) * np.linalg.norm(ways, axis=1)
    if side.is_pull:
        is_before &= np.linalg.norm(points - side.hinge_m, axis=1) >= side.hole.width_m + RADIUS_M
    if not is_before.any():
        raise RejectedError(NO_PLACE)
    return points[is_before]


def _sweep(side: Side) -> Array:
    """(points, 2) of the floor that the leaf comes over."""
    along = side.middle_m - side.hinge_m
    along = along / np.linalg.norm(along)
    into = _normal(side.wall, side.leaf.swing)
    width = side.hole.width_m
    face = side.hinge_m + side.wall.thickness_m / 2 * into  # where the hinge's axis is
    radii = np.arange(width / 3, width, STEP_M)
    angles = np.arange(FRAME, SWING_SHARE * side.leaf.max_angle, STEP_M / width)
    spokes = np.cos(angles)[:, None] * along + np.sin(angles)[:, None] * into
    return (face + radii[:, None, None] * spokes).reshape(-1, 2)


def _normal(wall: Wall, face: str) -> Array:
    """(2,) unit vector out of one side of a wall."""
    sign = 1.0 if face == "left" else -1.0
    return sign * np.array([-math.sin(wall.yaw), math.cos(wall.yaw)])
