"""Pick an object and place it in, on or next to a receptacle (sheet section 7, rows 2 to 4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from zoo.envs.simulation.world import World
from zoo.envs.tasks.support import ReceptacleSupport, turned_deg
from zoo.envs.tasks.task import Judgement, Task

GAP_TOLERANCE_M = 0.01
"""Added to the largest gap that a next-to episode asks for."""

_OBJECTS: dict[str, Any] = {
    "pickup_obj_name": "mug",
    "place_receptacle_name": "plate",
    "place_receptacle_start_pose": [0, 0, 0, 1, 0, 0, 0],
    "max_place_receptacle_pos_displacement": 0.1,
    "max_place_receptacle_rot_displacement": math.radians(45),
}


class PickAndPlace(Task):
    """The receptacle carries the object, the robot has let go of it, and the receptacle is about where it was.

    Reward: exp(-d), d the metres between the middles of object and receptacle.

    Args:
        pickup_obj_name: Root body of the object.
        place_receptacle_name: Root body of the receptacle.
        place_receptacle_start_pose: pose7 at the start.
        receptacle_supported_weight_frac: Share of its weight that the receptacle must carry.
        max_place_receptacle_pos_displacement: Metres that the receptacle may move.
        max_place_receptacle_rot_displacement: Radians that it may tilt; turning about the vertical is free.
        other_receptacle_names: Root bodies of receptacles like it, on which the object counts for nothing.
    """

    example_args: ClassVar[dict[str, Any]] = _OBJECTS | {"receptacle_supported_weight_frac": 0.5}

    def __init__(
        self,
        *,
        pickup_obj_name: str,
        place_receptacle_name: str,
        place_receptacle_start_pose: Sequence[float],
        receptacle_supported_weight_frac: float,
        max_place_receptacle_pos_displacement: float,
        max_place_receptacle_rot_displacement: float,
        other_receptacle_names: Sequence[str] = (),
    ) -> None:
        self.pickup_obj_name, self.place_receptacle_name = pickup_obj_name, place_receptacle_name
        self.other_receptacle_names = tuple(other_receptacle_names)
        self.start_pose7 = np.asarray(place_receptacle_start_pose, np.float64)
        self.max_moved_m = max_place_receptacle_pos_displacement
        self.max_turned_deg = math.degrees(max_place_receptacle_rot_displacement)
        self._support = ReceptacleSupport(
            pickup_obj_name, place_receptacle_name, weight_share=receptacle_supported_weight_frac
        )

    def bind(self, world: World) -> None:
        self._world = world
        self._support.bind(world)
        for name in self.other_receptacle_names:
            world.root(name)

    def judge(self) -> Judgement:
        world = self._world
        moved, tilted, _ = moved_and_turned(world, self.place_receptacle_name, self.start_pose7)
        is_supported = self._support.holds()
        is_released = world.robot_root not in world.contacts(self.pickup_obj_name).roots
        distance = centre_distance(world, self.pickup_obj_name, self.place_receptacle_name)
        return Judgement(
            success=bool(is_supported and is_released and moved <= self.max_moved_m and tilted <= self.max_turned_deg),
            reward=math.exp(-distance),
            facts={
                "distance_m": distance,
                "receptacle_moved_m": moved,
                "receptacle_tilted_deg": tilted,
                "is_supported": float(is_supported),
                "is_released": float(is_released),
            },
        )


class PickAndPlaceColor(PickAndPlace):
    """The same test, among copies of the receptacle in other colours; the prompt names the right colour."""


class PickAndPlaceNextTo(Task):
    """Object and receptacle stand on one surface with a small gap between their boxes. Reward as `PickAndPlace`.

    Whether the robot has let go is not tested (sheet section 7).

    Args:
        pickup_obj_name: Root body of the object.
        place_receptacle_name: Root body of what it is to stand next to.
        place_receptacle_start_pose: pose7 at the start.
        min_surface_to_surface_gap: Metres between the axis-aligned boxes, at least.
        max_surface_to_surface_gap: At most, but for `GAP_TOLERANCE_M`.
        max_place_receptacle_pos_displacement: Metres that the receptacle may move.
        max_place_receptacle_rot_displacement: Radians that it may turn, about any axis.
    """

    example_args: ClassVar[dict[str, Any]] = _OBJECTS | {
        "min_surface_to_surface_gap": 0.0,
        "max_surface_to_surface_gap": 0.05,
    }

    def __init__(
        self,
        *,
        pickup_obj_name: str,
        place_receptacle_name: str,
        place_receptacle_start_pose: Sequence[float],
        min_surface_to_surface_gap: float,
        max_surface_to_surface_gap: float,
        max_place_receptacle_pos_displacement: float,
        max_place_receptacle_rot_displacement: float,
    ) -> None:
        self.pickup_obj_name, self.place_receptacle_name = pickup_obj_name, place_receptacle_name
        self.start_pose7 = np.asarray(place_receptacle_start_pose, np.float64)
        self.min_gap_m, self.max_gap_m = min_surface_to_surface_gap, max_surface_to_surface_gap
        self.max_moved_m = max_place_receptacle_pos_displacement
        self.max_turned_deg = math.degrees(max_place_receptacle_rot_displacement)

    def bind(self, world: World) -> None:
        self._world = world
        world.root(self.pickup_obj_name)
        world.root(self.place_receptacle_name)

    def judge(self) -> Judgement:
        world = self._world
        moved, _, turned = moved_and_turned(world, self.place_receptacle_name, self.start_pose7)
        gap = box_gap(world, self.pickup_obj_name, self.place_receptacle_name)
        is_shared = share_a_surface(world, self.pickup_obj_name, self.place_receptacle_name)
        is_near = self.min_gap_m <= gap <= self.max_gap_m + GAP_TOLERANCE_M
        distance = centre_distance(world, self.pickup_obj_name, self.place_receptacle_name)
        return Judgement(
            success=bool(is_shared and is_near and moved <= self.max_moved_m and turned <= self.max_turned_deg),
            reward=math.exp(-distance),
            facts={
                "gap_m": gap,
                "shares_surface": float(is_shared),
                "receptacle_moved_m": moved,
                "receptacle_turned_deg": turned,
            },
        )


def centre_distance(world: World, first: str, second: str) -> float:
    """Metres between the middles of two objects' boxes."""
    return float(np.linalg.norm(world.box(first)[0] - world.box(second)[0]))


def box_gap(world: World, first: str, second: str) -> float:
    """Metres in the plane between the axis-aligned boxes of two objects; 0 where they overlap (sheet section 7)."""
    (centre, half), (other, other_half) = world.box(first), world.box(second)
    gaps = np.maximum(0.0, np.abs(centre - other)[:2] - (half + other_half)[:2])
    return float(np.hypot(*gaps))


def share_a_surface(world: World, first: str, second: str) -> bool:
    """Whether one root carries both; where contacts say nothing of either, whether both bottoms are on one height."""
    carriers = [world.roots_of_geoms(world.supporting_geoms(name)) for name in (first, second)]
    if all(carriers):
        return bool(carriers[0] & carriers[1])
    bottoms = [float(centre[2] - half[2]) for centre, half in (world.box(first), world.box(second))]
    return abs(bottoms[0] - bottoms[1]) <= GAP_TOLERANCE_M


def moved_and_turned(world: World, name: str, start_pose7: np.ndarray) -> tuple[float, float, float]:
    """Since the start: metres moved, degrees tilted (turning about the vertical apart), degrees turned at all."""
    pose = world.pose7(name)
    moved = float(np.linalg.norm(pose[:3] - start_pose7[:3]))
    tilted, turned = turned_deg(start_pose7[3:], pose[3:])
    return moved, tilted, turned
