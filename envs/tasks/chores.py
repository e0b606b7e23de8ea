"""The ten tasks of CHORES for robots that move in discrete steps: find, fetch, go to a room, visit all rooms.

Source: sheet spoc_ring_holodeck_graspmolmo sections 1.12 (tasks and their lengths), 1.13 (success), 1.18 (visible means
any pixel of the segmentation), 1.16 and 2.6 (rewards). Distances are measured in the plane, from the robot's base to
the box around the object or to the outline of the room.
Differs: the strict rule asks for pixels of pictures of 384x224; where pictures are smaller it asks for fewer, in
proportion to their area. The reward of fetching is shaped by the distance to the base, where the release takes the
gripper's, and has nothing for the first moment at which an object could be taken.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from zoo.envs.kinematics.poses import wrapped
from zoo.envs.navigation.success import (
    RoomVisits,
    Sighting,
    box_distance_m,
    has_fetched,
    has_found,
    has_reached_room,
    is_in_room,
    is_well_seen,
    largest_face_m2,
)
from zoo.envs.scenes.specification import Room
from zoo.envs.simulation.world import World
from zoo.envs.tasks.task import Judgement, Task
from zoo.errors import ConfigError, DataError
from zoo.navigation_actions import NAVIGATION_ACTIONS, SpocAction

NAVIGATION_CAMERA = "navigation_camera"
RULE_PICTURE_PX = 384 * 224
"""Of the pictures whose pixels the strict rule counts."""
SUCCESS_REWARD = 10.0
HELD_REWARD = 5.0  # the first time that a target is in the gripper
ROOM_REWARD, CLAIM_REWARD, WRONG_CLAIM_REWARD = 2.0, 2.0, -0.2  # a new room; a sub-goal claimed rightly, wrongly
CELL_M, CELL_REWARD = 0.1, 0.005  # of the floor, where the base has not been before
OBJECT_NAVS = ("type", "room", "rel_attribute", "affordance", "local_ref", "description")
SHORT_CHORES = (*(f"object_nav_{what}" for what in OBJECT_NAVS), "room_nav", "pickup_type", "fetch_type")
HORIZON_STEPS: Mapping[str, int] = {**dict.fromkeys(SHORT_CHORES, 600), "room_visit": 1000}
"""Steps of an episode that does not state another length, by registry name."""


class Chore(Task):
    """What all of them have: nothing counts before `done` is said.

    Reward: 10 for success, `step_reward`, and `metre_reward` for each metre by which the distance falls below its least
    so far. Facts: `distance_m` to the nearest target or room.
    """

    step_reward: ClassVar[float] = -0.01
    metre_reward: ClassVar[float] = 1.0
    actions: ClassVar[tuple[SpocAction, ...]] = NAVIGATION_ACTIONS
    """Those with which it can be done."""

    def bind(self, world: World) -> None:
        if world.robot_base is None:
            raise DataError(f"{type(self).__name__} needs a robot in the scene")
        self.world = world
        self._least_m = math.inf

    def judge(self) -> Judgement:
        distance = self.distance_m()
        success = self.is_done() and self.is_success()
        nearer = max(0.0, self._least_m - distance) if math.isfinite(self._least_m) else 0.0
        self._least_m = min(self._least_m, distance)
        reward = SUCCESS_REWARD * success + self.step_reward + self.metre_reward * nearer + self._extra_reward()
        return Judgement(success, reward, {"distance_m": distance, **self._facts()})

    def is_done(self) -> bool:
        """`done` was the last step's action."""
        return self.world.said == SpocAction.DONE

    @abstractmethod
    def distance_m(self) -> float:
        """From the base to the nearest target, in the plane."""

    @abstractmethod
    def is_success(self) -> bool:
        """Whether `done`, said now, is scored as success."""

    @abstractmethod
    def strict_success(self) -> bool:
        """Whether `done`, said now, would count by the stricter rule that experts and recordings follow."""

    def _extra_reward(self) -> float:
        """Of this step, beside what all have; called once a step."""
        return 0.0

    def _facts(self) -> dict[str, float]:
        return {}


class ObjectChore(Chore):
    """A task about objects.

    Args:
        broad_synset_to_object_ids: Root bodies that count, by synset.

    Raises:
        ConfigError: nothing counts.
    """

    example_args: ClassVar[dict[str, Any]] = {"broad_synset_to_object_ids": {"mug.n.04": ["mug"]}}

    def __init__(self, *, broad_synset_to_object_ids: Mapping[str, Sequence[str]]) -> None:
        named = [name for names in broad_synset_to_object_ids.values() for name in names]
        if not named:
            raise ConfigError(
                f"{type(self).__name__}: broad_synset_to_object_ids names no object, expected at least one that counts"
            )
        self.targets = tuple(dict.fromkeys(named))

    def bind(self, world: World) -> None:
        super().bind(world)
        for name in self.targets:
            world.root(name)

    def distance_m(self) -> float:
        return min(self.distance_to_m(name, self.world.base_pose()) for name in self.targets)

    def distance_to_m(self, name: str, point_m: Sequence[float]) -> float:
        """From a point of the floor to the box of an object, in the plane."""
        centre, half = self.world.box(name)
        return box_distance_m(point_m[:2], (centre - half)[:2], (centre + half)[:2])


class ObjectNav(ObjectChore):
    """Say done where the navigation camera shows one of the targets, near enough. Which ones count is the episode's.

    Args:
        broad_synset_to_object_ids: See `ObjectChore`.
        succ_pos_threshold: Metres between base and box.
        camera: That must see it.

    Raises:
        ConfigError: nothing counts, or the distance is not above 0.
    """

    example_args: ClassVar[dict[str, Any]] = {**ObjectChore.example_args, "succ_pos_threshold": 2.0}

    def __init__(
        self,
        *,
        broad_synset_to_object_ids: Mapping[str, Sequence[str]],
        succ_pos_threshold: float,
        camera: str = NAVIGATION_CAMERA,
    ) -> None:
        super().__init__(broad_synset_to_object_ids=broad_synset_to_object_ids)
        if succ_pos_threshold <= 0:
            raise ConfigError(
                f"{type(self).__name__}: succ_pos_threshold is {succ_pos_threshold}, expected metres above 0"
            )
        self.succ_pos_threshold, self.camera = succ_pos_threshold, camera

    def is_success(self) -> bool:
        return has_found(True, map(self._sighting, self._near()), within_m=self.succ_pos_threshold)

    def strict_success(self) -> bool:
        return any(self.is_well_seen(name) for name in self._near())

    def is_well_seen(self, name: str) -> bool:
        """The stricter rule for one of the targets; pictures are drawn only where the cheap tests leave it open."""
        x, y, yaw = self.world.base_pose()
        (centre, half), within = self.world.box(name), self.succ_pos_threshold
        sighting = Sighting(
            pixels=RULE_PICTURE_PX,
            distance_m=self.distance_to_m(name, (x, y)),
            bearing_deg=math.degrees(wrapped(math.atan2(centre[1] - y, centre[0] - x) - yaw)),
            largest_face_m2=largest_face_m2(2 * half),
        )
        if not is_well_seen(sighting, within_m=within):
            return False  # however many pixels it had
        pixels = self.world.visible_pixels(self.camera, name)
        asked_share = min(1.0, self.world.picture_px / RULE_PICTURE_PX)
        sighting = replace(sighting, pixels=round(pixels / asked_share))
        if not pixels or is_well_seen(sighting, within_m=within):
            return pixels > 0
        whole = max(self.world.unoccluded_pixels(self.camera, name), pixels)
        return is_well_seen(replace(sighting, visible_share=pixels / whole), within_m=within)

    def _near(self) -> list[str]:
        """Targets that are near enough to count where they are seen."""
        here = self.world.base_pose()
        return [name for name in self.targets if self.distance_to_m(name, here) <= self.succ_pos_threshold]

    def _sighting(self, name: str) -> Sighting:
        distance = self.distance_to_m(name, self.world.base_pose())
        return Sighting(pixels=self.world.visible_pixels(self.camera, name), distance_m=distance)


class ObjectNavRoom(ObjectNav):
    """`ObjectNav` with objects of some rooms only.

    Args:
        broad_synset_to_object_ids: See `ObjectNav`, as all but the last.
        succ_pos_threshold: See there.
        room_ids: Names of the rooms; objects elsewhere do not count.
        camera: See there.

    Raises:
        ConfigError: as of `ObjectNav`, or there is no room.
    """

    example_args: ClassVar[dict[str, Any]] = {**ObjectNav.example_args, "room_ids": ["room_0"]}

    def __init__(
        self,
        *,
        broad_synset_to_object_ids: Mapping[str, Sequence[str]],
        succ_pos_threshold: float,
        room_ids: Sequence[str],
        camera: str = NAVIGATION_CAMERA,
    ) -> None:
        super().__init__(
            broad_synset_to_object_ids=broad_synset_to_object_ids, succ_pos_threshold=succ_pos_threshold, camera=camera
        )
        if not room_ids:
            raise ConfigError("ObjectNavRoom: room_ids is empty, expected the rooms in which an object counts")
        self.room_ids = tuple(room_ids)

    def bind(self, world: World) -> None:
        super().bind(world)
        there = tuple(name for name in self.targets if name in world.objects and self._room_of(name) in self.room_ids)
        if not there:
            raise DataError(
                f"none of {', '.join(self.targets)} is in {', '.join(self.room_ids)}; they are in "
                f"{', '.join(sorted({str(self._room_of(name)) for name in self.targets}))}"
            )
        self.targets = there

    def _room_of(self, name: str) -> str | None:
        facts = self.world.objects.get(name)
        return None if facts is None else facts.room


class Fetch(ObjectChore):
    """Say done while one of the targets is in the gripper: PickupType, which begins near it, and FetchType.

    Reward: 5 for the first target in the gripper, 5 a metre of approach, 10 for success.

    Args:
        broad_synset_to_object_ids: See `ObjectChore`.
    """

    actions: ClassVar[tuple[SpocAction, ...]] = tuple(SpocAction)
    step_reward: ClassVar[float] = 0.0
    metre_reward: ClassVar[float] = 5.0

    def bind(self, world: World) -> None:
        super().bind(world)
        self._was_held = False

    def is_success(self) -> bool:
        return has_fetched(True, self.world.held, self.targets)

    def strict_success(self) -> bool:
        return self.is_success()

    def _extra_reward(self) -> float:
        is_first = not self._was_held and self.is_success()
        self._was_held = self._was_held or is_first
        return HELD_REWARD * is_first

    def _facts(self) -> dict[str, float]:
        return {"held": float(self.is_success())}


class RoomNav(Chore):
    """Say done in a room of the asked type.

    Args:
        room_types: That are asked for.
        room_ids: Rooms that count; empty: all of these types.

    Raises:
        ConfigError: neither is given.
    """

    example_args: ClassVar[dict[str, Any]] = {"room_types": ["kitchen"]}

    def __init__(self, *, room_types: Sequence[str] = (), room_ids: Sequence[str] = ()) -> None:
        if not room_types and not room_ids:
            raise ConfigError("RoomNav: room_types and room_ids are empty, expected a type of room or names of rooms")
        self.room_types, self.room_ids = tuple(room_types), tuple(room_ids)

    def bind(self, world: World) -> None:
        super().bind(world)
        if self.room_ids:
            self.rooms = _rooms(world, self.room_ids)
            return
        self.rooms = tuple(room for room in world.rooms if room.room_type in self.room_types)
        if not self.rooms:
            known = ", ".join(sorted({room.room_type for room in world.rooms})) or "no rooms"
            raise DataError(f"the house has no {' or '.join(self.room_types)}; it has {known}")

    def distance_m(self) -> float:
        return min(_distance_to_room_m(self.world.base_pose()[:2], room) for room in self.rooms)

    def is_success(self) -> bool:
        return has_reached_room(True, self.world.base_pose()[:2], (room.polygon_m for room in self.rooms))

    def strict_success(self) -> bool:
        return self.is_success()


class RoomVisit(Chore):
    """Say the sub-goal done once in every room, then done.

    Reward: 2 for every room that is entered for the first time, 2 for a claim that counts, -0.2 for another, 0.005 for
    every new cell of 0.1 m, 10 for success. Facts: `distance_m` to the nearest room that is not claimed, 0 if there is
    none, `rooms_claimed`, `rooms_entered`.

    Args:
        room_ids: Rooms that are to be visited; empty: all of the house.
    """

    example_args: ClassVar[dict[str, Any]] = {}
    actions: ClassVar[tuple[SpocAction, ...]] = (*NAVIGATION_ACTIONS, SpocAction.SUB_DONE)
    step_reward: ClassVar[float] = 0.0
    metre_reward: ClassVar[float] = 0.0

    def __init__(self, *, room_ids: Sequence[str] = ()) -> None:
        self.room_ids = tuple(room_ids)

    def bind(self, world: World) -> None:
        super().bind(world)
        self.rooms = _rooms(world, self.room_ids) if self.room_ids else world.rooms
        if not self.rooms:
            raise DataError("the house has no rooms that could be visited")
        self.visits = RoomVisits(rooms=frozenset(room.name for room in self.rooms))
        self._entered: set[str | None] = {None, world.room_at(world.base_pose()[:2])}
        self._cells = {self._cell()}
        self._claim_reward = 0.0

    def judge(self) -> Judgement:
        self._claim_reward = 0.0
        if self.world.said == SpocAction.SUB_DONE:
            counts = self.visits.claim(self.world.room_at(self.world.base_pose()[:2]))
            self._claim_reward = CLAIM_REWARD if counts else WRONG_CLAIM_REWARD
        return super().judge()

    def distance_m(self) -> float:
        here = self.world.base_pose()[:2]
        left = [room for room in self.rooms if room.name not in self.visits.claimed]
        return min((_distance_to_room_m(here, room) for room in left), default=0.0)

    def is_success(self) -> bool:
        return self.visits.has_succeeded(True)

    def strict_success(self) -> bool:
        return self.is_success()

    def _extra_reward(self) -> float:
        room, cell = self.world.room_at(self.world.base_pose()[:2]), self._cell()
        news = ROOM_REWARD * (room not in self._entered) + CELL_REWARD * (cell not in self._cells)
        self._entered.add(room)
        self._cells.add(cell)
        return self._claim_reward + news

    def _facts(self) -> dict[str, float]:
        return {"rooms_claimed": float(len(self.visits.claimed)), "rooms_entered": float(len(self._entered - {None}))}

    def _cell(self) -> tuple[int, int]:
        x, y, _ = self.world.base_pose()
        return math.floor(x / CELL_M), math.floor(y / CELL_M)


def _rooms(world: World, names: Sequence[str]) -> tuple[Room, ...]:
    """Rooms by their names.

    Raises:
        DataError: there is none of a name.
    """
    known = {room.name: room for room in world.rooms}
    if missing := [name for name in names if name not in known]:
        raise DataError(f"the house has no room {', '.join(missing)}; it has {', '.join(known) or 'none'}")
    return tuple(known[name] for name in names)


def _distance_to_room_m(point_m: Sequence[float], room: Room) -> float:
    """From a point of the floor to a room's outline; 0 within."""
    if is_in_room(point_m, room.polygon_m):
        return 0.0
    begins = np.asarray(room.polygon_m, np.float64)
    edges = np.roll(begins, -1, axis=0) - begins
    offsets = np.asarray(point_m, np.float64) - begins
    along = np.clip((offsets * edges).sum(axis=1) / np.maximum((edges**2).sum(axis=1), 1e-12), 0.0, 1.0)
    return float(np.linalg.norm(offsets - along[:, None] * edges, axis=1).min())
