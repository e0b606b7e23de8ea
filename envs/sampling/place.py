"""Episodes of placing something in, on or next to a receptacle that is added to the house.

Source: sheet molmospaces section 7, rows 2 to 4; 15, episode sampling order, item 2; 21 for the thresholds, where the
papers' are taken: receptacle 0.10 m and 45 degrees, next to 5 cm and 45 degrees.
Differs: a house gets one set of receptacles, where upstream changes it every two episodes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from zoo.envs.assets.library import AssetFacts
from zoo.envs.episodes.schema import Episode
from zoo.envs.houses.footprints import Footprint
from zoo.envs.kinematics.poses import Array, planar_pose7
from zoo.envs.sampling import bases, words
from zoo.envs.sampling.arm import expression_on
from zoo.envs.sampling.pick import BASE_M, TargetSampler, pickup_fields
from zoo.envs.sampling.reach import whole
from zoo.envs.sampling.sampler import RejectedError
from zoo.envs.sampling.stage import Spare, Stage, spawn_rng
from zoo.envs.sampling.surfaces import Standing, draw_place, obstacles_on
from zoo.envs.simulation.houses import House

CATEGORIES = ("plate", "tray", "basket", "bowl", "pan", "open box", "cutting board")
SIDE_M = (0.17, 0.50)
MAX_HEIGHT_M = 0.15
KINDS = 3
"""Of receptacles, loaded with each house."""

ROBOT_M = (0.35, 0.70)
"""Of the arm's base from a receptacle: the sheet gives the largest; nearer than the least the arm has to fold."""

TRIES = 150  # of a place for a receptacle
REST_M = 0.001  # above the surface, before it comes to rest
SETTLE_STEPS = 100
MOVED_M, LEANING = 0.01, math.radians(5)  # of a receptacle that does not stand still
BOTTOMS_M = 0.05
SUPPORTED_SHARE = 0.5
PLACE_MOVED_M, NEXT_MOVED_M = 0.10, 0.05
TURNED = math.radians(45)
GAP_M = (0.0, 0.05)


class PlaceSampler(TargetSampler):
    """A target, and a receptacle on the same surface."""

    task: ClassVar[str] = "pick_and_place"
    distance_m: ClassVar[tuple[float, float]] = (0.15, 0.50)
    """Of the receptacle's middle from the target's."""

    gap_m: ClassVar[float] = 0.02
    """Least distance of a receptacle from anything."""

    copies: ClassVar[int] = 1
    """Of each kind of receptacle."""

    least: ClassVar[int] = 1
    """Receptacles that an episode needs."""

    def spares(self, place: House) -> Sequence[Spare]:
        rng = spawn_rng(place, 0)
        found = []
        for library in sorted({item.library for item in place.scene.objects}):
            offered = [facts for facts in self.library(library).of(split=place.scene.split) if is_receptacle(facts)]
            found += [(library, offered[index]) for index in rng.permutation(len(offered))]
        return [
            Spare(name=f"{facts.uid}_added_{copy}", library=library, facts=facts)
            for library, facts in found[:KINDS]
            for copy in range(self.copies)
        ]

    def sample(self, place: House, rng: np.random.Generator) -> Episode:
        stage = self.stage(place)
        target = self.draw_target(rng)
        points = self.points_around(stage.world.position(target.name)[:2], BASE_M)
        wanted = self.draw_receptacles(stage, rng, target)
        added, points = self._put_down(stage, rng, target, wanted, points)
        stand = self.take_stand(
            stage,
            rng,
            points,
            target_m=stage.world.position(target.name),
            turn=bases.TURN,
            seen=[target.name, *added],
            hold=whole(stage, target.name),
        )
        called = expression_on(stage, target.name, target.surface.host, stand.base_pose7, added=added)
        extra, receptacle = self.describe(stage, rng, target, added, stand.base_pose7)
        return self.episode(
            stage,
            rng,
            stand=stand,
            fields=pickup_fields(stage, target) | self._receptacle_fields(stage, added[0]) | extra,
            words={"pickup_obj_name": called, "place_receptacle_name": receptacle},
            prompt=self.prompt(called, receptacle),
            relevant=[target.name, *added],
            added=added,
        )

    def draw_receptacles(self, stage: Stage, rng: np.random.Generator, target: Standing) -> list[str]:
        """Names of the spares to add if there is room; the first is the one that is meant.

        Raises:
            RejectedError: the house has no receptacle for this target.
        """
        fitting = [name for name, spare in stage.spares.items() if _suits(spare.facts, target.facts)]
        if not fitting:
            raise RejectedError("no receptacle for the target")
        return [fitting[int(rng.integers(len(fitting)))]]

    def describe(
        self, stage: Stage, rng: np.random.Generator, target: Standing, added: Sequence[str], base_pose7: Array
    ) -> tuple[dict[str, Any], str]:
        """Fields of this task that others lack, and words for the receptacle.

        Raises:
            RejectedError: nothing tells it from another.
        """
        del rng
        return {}, expression_on(stage, added[0], target.surface.host, base_pose7, added=added)

    def prompt(self, target: str, receptacle: str) -> str:
        """What a policy is told."""
        return words.place(target, receptacle)

    def _receptacle_fields(self, stage: Stage, name: str) -> dict[str, Any]:
        return {
            "place_receptacle_name": name,
            "place_receptacle_start_pose": tuple(stage.world.pose7(name).tolist()),
            "receptacle_supported_weight_frac": SUPPORTED_SHARE,
            "max_place_receptacle_pos_displacement": PLACE_MOVED_M,
            "max_place_receptacle_rot_displacement": TURNED,
        }

    def _put_down(
        self, stage: Stage, rng: np.random.Generator, target: Standing, wanted: Sequence[str], points_m: Array
    ) -> tuple[list[str], Array]:
        """Put receptacles onto the target's surface and let them come to rest.

        Returns:
            Those for which there was room, and (points, 2) places for the robot from which it reaches all of them.
        Raises:
            RejectedError: too few fit, or one does not stand still.
        """
        tallest = max(stage.facts[name].size_m[2] for name in wanted)
        obstacles = obstacles_on(stage, target.surface, tallest)
        poses: dict[str, Array] = {}
        for name in wanted:
            found = self._put_one(stage, rng, target, name, obstacles, points_m)
            if found is None:
                break
            poses[name], points_m = found
        if len(poses) < self.least:
            raise RejectedError("no room for the receptacle")
        stage.settle(SETTLE_STEPS)
        bottom = _bottom(stage, target.name)
        for name, pose in poses.items():
            now = stage.world.pose7(name)
            upright = 1 - 2 * (now[4] ** 2 + now[5] ** 2)  # cosine between its z axis and the world's
            is_still = np.linalg.norm(now[:3] - pose[:3]) <= MOVED_M and upright >= math.cos(LEANING)
            if not is_still or abs(_bottom(stage, name) - bottom) > BOTTOMS_M:
                raise RejectedError("the receptacle does not stand still")
        return list(poses), points_m

    def _put_one(
        self,
        stage: Stage,
        rng: np.random.Generator,
        target: Standing,
        name: str,
        obstacles: list[Footprint],
        points_m: Array,
    ) -> tuple[Array, Array] | None:
        """Its pose, and the places for the robot that are left; None where there is no room."""
        surface, facts = target.surface, stage.facts[name]
        middle, waiting = stage.world.position(target.name)[:2], stage.world.pose7(name)
        for _ in range(TRIES):
            found = draw_place(
                stage,
                rng,
                surface,
                facts,
                around_m=middle,
                distance_m=self.distance_m,
                obstacles=obstacles,
                gap_m=self.gap_m,
            )
            if found is None:
                continue
            distance = np.linalg.norm(points_m - np.array([found.x, found.y]), axis=1)
            near = (distance >= ROBOT_M[0]) & (distance <= ROBOT_M[1])
            if not near.any():
                continue
            pose = planar_pose7(found.x, found.y, found.yaw, surface.height_m + REST_M)
            stage.put(name, pose)
            stage.forward()
            if not stage.touches(name, but=(surface.host,)):
                obstacles.append(found)
                return pose, points_m[near]
        stage.put(name, waiting)
        return None


class NextToSampler(PlaceSampler):
    """The target is to stand next to something that it is apart from."""

    task: ClassVar[str] = "pick_and_place_next_to"
    distance_m: ClassVar[tuple[float, float]] = (0.30, 0.50)
    gap_m: ClassVar[float] = 0.08  # more than the test's largest, or the task would begin done

    def prompt(self, target: str, receptacle: str) -> str:
        return words.place_next_to(target, receptacle)

    def describe(
        self, stage: Stage, rng: np.random.Generator, target: Standing, added: Sequence[str], base_pose7: Array
    ) -> tuple[dict[str, Any], str]:
        extra, receptacle = super().describe(stage, rng, target, added, base_pose7)
        low, high = GAP_M
        return extra | {
            "min_surface_to_surface_gap": low,
            "max_surface_to_surface_gap": high,
            "max_place_receptacle_pos_displacement": NEXT_MOVED_M,
        }, receptacle


class ColorSampler(PlaceSampler):
    """One of two or three copies of a receptacle, told by its colour."""

    task: ClassVar[str] = "pick_and_place_color"
    copies: ClassVar[int] = 3
    least: ClassVar[int] = 2

    def draw_receptacles(self, stage: Stage, rng: np.random.Generator, target: Standing) -> list[str]:
        host = target.surface.host
        there = {stage.facts[item.name].category for item in stage.place.scene.objects if item.support == host}
        fitting: dict[str, list[str]] = {}
        for name, spare in stage.spares.items():
            if _suits(spare.facts, target.facts) and spare.facts.category not in there:
                fitting.setdefault(spare.facts.uid, []).append(name)
        if not fitting:
            raise RejectedError("no receptacle for the target")
        copies = list(fitting.values())[int(rng.integers(len(fitting)))]
        return copies[: int(rng.integers(2, self.copies + 1))]

    def describe(
        self, stage: Stage, rng: np.random.Generator, target: Standing, added: Sequence[str], base_pose7: Array
    ) -> tuple[dict[str, Any], str]:
        names = list(words.NAMED_COLOURS)
        colours = [names[index] for index in rng.permutation(len(names))[: len(added)]]
        others = added[1:]
        fields = {
            "object_colors": {name: words.NAMED_COLOURS[one] for name, one in zip(added, colours, strict=True)},
            "other_receptacle_names": tuple(others),
            "other_receptacle_start_poses": {name: tuple(stage.world.pose7(name).tolist()) for name in others},
        }
        return fields, f"{colours[0]} {stage.facts[added[0]].category}"


def is_receptacle(facts: AssetFacts) -> bool:
    """Whether things are placed in or on it."""
    length, width, height = facts.size_m
    low, high = SIDE_M
    is_sized = low <= min(length, width) and max(length, width) <= high and height <= MAX_HEIGHT_M
    return facts.category in CATEGORIES and is_sized and not facts.is_static


def is_large_enough(receptacle: AssetFacts, target: AssetFacts) -> bool:
    """Whether the target's footprint is no longer than the receptacle's, corner to corner."""
    return math.hypot(*target.size_m[:2]) <= math.hypot(*receptacle.size_m[:2])


def _suits(receptacle: AssetFacts, target: AssetFacts) -> bool:
    """Whether one would place the target there: plates go onto trays, and not onto plates."""
    return receptacle.category != target.category and is_large_enough(receptacle, target)


def _bottom(stage: Stage, name: str) -> float:
    centre, half = stage.world.box(name)
    return float(centre[2] - half[2])
