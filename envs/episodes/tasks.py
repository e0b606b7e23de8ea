"""The `task` of an episode: one record class a task, and the table between public class names and ours.

A task from elsewhere is a component of kind `task`: its class states the record, its import path is the `task_cls`.

Source: sheet molmospaces section 6 (fields and defaults) and 21 (contradictions). What an episode states wins; where a
public file is silent, the public schema's default applies, although papers and released configurations are stricter
(open 0.15, receptacle 0.10 m and 45 degrees).
Differs: a silent `close` counts as done at 0.85 (section 7), because the schema's 0.20 holds half open, at the start.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo import registry
from zoo.envs.episodes.fields import Count, Fault, Name, NonNegative, Pose7, Positive, Rgba, Share
from zoo.envs.episodes.records import Record
from zoo.errors import ConfigError, UnknownNameError
from zoo.registry import Component, near

PUBLIC_PACKAGE = "molmo_spaces.tasks."
OLD_PUBLIC_PACKAGE = "mujoco_thor.tasks."
"""Some files of the second public benchmark still have the package's former name (sheet section 20)."""
OWN_PREFIX = "zoo.chores."
"""Begins the class names of tasks that the public package lacks."""
SCHEMA_TURN = math.radians(60)


@dataclass(frozen=True, kw_only=True, slots=True)
class Task(Record):
    """What all tasks have.

    Args:
        task_cls: Dotted class name, which decides.
        task_type: For people, but for open and close, which share a class.
        robot_base_pose: pose7 in the world.
        task_horizon_sec: Seconds that an episode may take.
    """

    task_cls: Name
    task_type: str | None = None
    robot_base_pose: Pose7
    task_horizon_sec: Positive | None = None

    @classmethod
    def variant(cls, content: Mapping[str, Any], path: str, faults: list[Fault]) -> type[Record] | None:
        del path, faults
        if cls is not Task:
            return cls
        kind = _kind(content.get("task_cls"), content.get("task_type"))
        return UnknownTask if kind is None else kind.record

    @property
    def name(self) -> str | None:
        """Its registry name; None for a class that nobody registered."""
        kind = _kind(self.task_cls, self.task_type)
        return None if kind is None else kind.name

    @property
    def target(self) -> str | None:
        """Body of the object that it is about, where there is just one."""
        return getattr(self, "pickup_obj_name", None) or getattr(self, "door_body_name", None)

    def fields(self) -> dict[str, Any]:
        """Every field by its public name, defaults included, as plain JSON: what a task is built from.

        Raises:
            UnknownNameError: nobody registered its class.
        """
        if self.name is None:
            offered = (*(kind.task_cls for kind in TASK_KINDS), *(other.class_path for other in _others()))
            similar = near(self.task_cls, offered, limit=1)
            raise UnknownNameError(
                f"no task for task_cls {self.task_cls!r} with task_type {self.task_type!r}"
                f"{f'; near: {similar[0]}' if similar else ''}. Tasks: {', '.join(_names())}. "
                "Leave its episodes out, or register the class as a `task` where this runs"
            )
        return self.explicit().to_json()


@dataclass(frozen=True, kw_only=True, slots=True)
class UnknownTask(Task):
    """A task of a class that nobody registered: kept as it is, refused only when it is to be run."""

    robot_base_pose: Pose7 | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PickTask(Task):
    """Lift an object.

    Args:
        pickup_obj_name: Root body of the object.
        pickup_obj_start_pose: pose7 at the start.
        pickup_obj_goal_pose: pose7; see `goal_pose`.
        receptacle_name: What it stands on.
        succ_pos_threshold: Metres of lift.
    """

    pickup_obj_name: Name
    pickup_obj_start_pose: Pose7
    pickup_obj_goal_pose: Pose7 | None = None
    receptacle_name: str | None = None
    succ_pos_threshold: NonNegative = 0.01

    @property
    def goal_pose(self) -> Pose7:
        """Where the object should go: 5 cm above its start if the episode does not say."""
        if self.pickup_obj_goal_pose is not None:
            return self.pickup_obj_goal_pose
        x, y, z, *quat_wxyz = self.pickup_obj_start_pose
        return (x, y, z + 0.05, *quat_wxyz)


@dataclass(frozen=True, kw_only=True, slots=True)
class PickAndPlaceTask(PickTask):
    """Put an object into or onto a receptacle.

    Args:
        place_receptacle_name: Root body of the receptacle.
        place_receptacle_start_pose: pose7 at the start.
        receptacle_supported_weight_frac: Of the object's weight that the receptacle must carry.
        max_place_receptacle_pos_displacement: Metres that the receptacle may move.
        max_place_receptacle_rot_displacement: Radians that it may turn.
    """

    place_receptacle_name: Name
    place_receptacle_start_pose: Pose7
    receptacle_supported_weight_frac: Share = 0.5
    max_place_receptacle_pos_displacement: NonNegative = 0.15
    max_place_receptacle_rot_displacement: NonNegative = SCHEMA_TURN


@dataclass(frozen=True, kw_only=True, slots=True)
class NextToTask(PickAndPlaceTask):
    """Put an object next to another.

    Args:
        min_surface_to_surface_gap: Metres between them at least.
        max_surface_to_surface_gap: Metres at most.
    """

    min_surface_to_surface_gap: float = 0.0
    max_surface_to_surface_gap: NonNegative = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class ColorTask(PickAndPlaceTask):
    """Put an object into the receptacle of one colour.

    Args:
        object_colors: RGBA by body name.
        other_receptacle_names: The wrong ones.
        other_receptacle_start_poses: pose7 by name.
    """

    object_colors: Mapping[str, Rgba] = dataclasses.field(default_factory=dict)
    other_receptacle_names: tuple[str, ...] = ()
    other_receptacle_start_poses: Mapping[str, Pose7] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenTask(Task):
    """Open something with a joint.

    Args:
        pickup_obj_name: Root body of the object.
        pickup_obj_start_pose: pose7 at the start.
        joint_name: Joint to open.
        joint_index: Its number within the object.
        joint_start_position: Radians or metres; None leaves it as the scene has it.
        joint_goal_position: Radians or metres.
        task_success_threshold: Share of the range.
        any_inst_of_category: Any object of this category counts.
    """

    pickup_obj_name: Name
    pickup_obj_start_pose: Pose7 | None = None
    joint_name: Name
    joint_index: Count = 0
    joint_start_position: float | tuple[float, ...] | None = None
    joint_goal_position: float | None = None
    task_success_threshold: Share = 0.20
    any_inst_of_category: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class CloseTask(OpenTask):
    """Close something with a joint; the fields of `OpenTask`."""

    task_success_threshold: Share = 0.85


@dataclass(frozen=True, kw_only=True, slots=True)
class NavigateTask(Task):
    """Go to an object.

    Args:
        pickup_obj_name: Root body of the object that the instruction means.
        pickup_obj_candidates: Bodies that count as well; empty for that one alone.
        pickup_obj_start_pose: pose7 at the start.
        receptacle_name: What it stands on.
        succ_pos_threshold: Metres in the plane between base and object.
    """

    pickup_obj_name: Name
    pickup_obj_candidates: tuple[str, ...] = ()
    pickup_obj_start_pose: Pose7 | None = None
    receptacle_name: str | None = None
    succ_pos_threshold: NonNegative = 1.5


@dataclass(frozen=True, kw_only=True, slots=True)
class DoorTask(Task):
    """Open a room door.

    Args:
        door_body_name: Body of the leaf.
        articulated_joint_range: Radians of its hinge, closed and open; None takes the scene's.
        articulated_joint_reset_state: Radians at the start; None leaves it as the scene has it.
        door_openness_threshold: Share of the range.
    """

    door_body_name: Name
    articulated_joint_range: tuple[float, float] | None = None
    articulated_joint_reset_state: float | tuple[float, ...] | None = None
    door_openness_threshold: Share = 0.67


@dataclass(frozen=True, kw_only=True, slots=True)
class ChoresTask(Task):
    """A task of CHORES (sheet spoc_ring section 1.12, whose field names these are).

    Args:
        synsets: What is asked for.
        broad_synset_to_object_ids: Bodies that count by synset, hyponyms included.
        room_types: Kinds of room that the instruction names.
        room_ids: Rooms that count.
        num_rooms_in_house: For the visit of all rooms.
        rel_attribute: Such as largest.
        reference_type: How the target lies to the references.
        reference_synsets: Things that the instruction names beside the target.
        affordance: What the target is good for.
        uid: The one asset that is described.
        expert_length: Steps of the expert; the episode-length-weighted success divides by it.
        succ_pos_threshold: Metres within which the target must be visible at the end.
    """

    synsets: tuple[str, ...] = ()
    broad_synset_to_object_ids: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    room_types: tuple[str, ...] = ()
    room_ids: tuple[str, ...] = ()
    num_rooms_in_house: Count | None = None
    rel_attribute: str | None = None
    reference_type: str | None = None
    reference_synsets: tuple[str, ...] = ()
    affordance: str | None = None
    uid: str | None = None
    expert_length: Count | None = None
    succ_pos_threshold: NonNegative = 2.0


@dataclass(frozen=True, slots=True)
class TaskKind:
    """One line of the table.

    Args:
        name: Ours.
        task_cls: As files have it.
        task_type: As files have it; decides where two tasks share a class.
        record: Its fields.
    """

    name: str
    task_cls: str
    task_type: str
    record: type[Task]


TASK_KINDS: tuple[TaskKind, ...] = (
    TaskKind("pick", f"{PUBLIC_PACKAGE}pick_task.PickTask", "pick", PickTask),
    TaskKind(
        "pick_and_place", f"{PUBLIC_PACKAGE}pick_and_place_task.PickAndPlaceTask", "pick_and_place", PickAndPlaceTask
    ),
    TaskKind(
        "pick_and_place_next_to",
        f"{PUBLIC_PACKAGE}pick_and_place_next_to_task.PickAndPlaceNextToTask",
        "pick_and_place_next_to",
        NextToTask,
    ),
    TaskKind(
        "pick_and_place_color",
        f"{PUBLIC_PACKAGE}pick_and_place_color_task.PickAndPlaceColorTask",
        "pick_and_place_color",
        ColorTask,
    ),
    TaskKind("open", f"{PUBLIC_PACKAGE}opening_tasks.OpeningTask", "open", OpenTask),
    TaskKind("close", f"{PUBLIC_PACKAGE}opening_tasks.OpeningTask", "close", CloseTask),
    TaskKind("open_door", f"{PUBLIC_PACKAGE}opening_tasks.DoorOpeningTask", "door_opening", DoorTask),
    TaskKind("navigate_to", f"{PUBLIC_PACKAGE}nav_task.NavToObjTask", "nav_to_obj", NavigateTask),
    *(
        TaskKind(name, f"{OWN_PREFIX}{chore}", name, ChoresTask)
        for name, chore in {
            "object_nav_type": "ObjectNavType",
            "object_nav_room": "ObjectNavRoom",
            "object_nav_rel_attribute": "ObjectNavRelAttribute",
            "object_nav_affordance": "ObjectNavAffordance",
            "object_nav_local_ref": "ObjectNavLocalRef",
            "object_nav_description": "ObjectNavDescription",
            "room_nav": "RoomNav",
            "room_visit": "RoomVisit",
            "pickup_type": "PickupType",
            "fetch_type": "FetchType",
        }.items()
    ),
)


def new_task(name: str, **fields: Any) -> Task:
    """A task by its name, for a sampler to put into an episode.

    Args:
        name: Of `TASK_KINDS`, or of a `task` that somebody registered.
        **fields: Of its record class, but for `task_cls` and `task_type`.
    Raises:
        UnknownNameError: no task of this name.
        ConfigError: the registered class states no record.
    """
    kind = next((kind for kind in TASK_KINDS if kind.name == name), None)
    if kind is None:
        other = next((other for other in _others() if other.name == name), None)
        if other is None:
            similar = near(name, _names())
            hint = f" Near: {', '.join(similar)}." if similar else ""
            raise UnknownNameError(f"no task {name!r}.{hint} Tasks: {', '.join(_names())}")
        kind = _registered_kind(other)
    return kind.record(task_cls=kind.task_cls, task_type=kind.task_type, **fields)


def _kind(task_cls: Any, task_type: Any) -> TaskKind | None:
    """The line for what a file states; a class shared by two tasks means the first if no type is given.

    Raises:
        ConfigError: a registered class states no record.
    """
    if not isinstance(task_cls, str):
        return None
    public = PUBLIC_PACKAGE + task_cls.removeprefix(OLD_PUBLIC_PACKAGE)
    wanted = public if task_cls.startswith(OLD_PUBLIC_PACKAGE) else task_cls
    lines = [kind for kind in TASK_KINDS if kind.task_cls == wanted]
    if not lines:
        other = next((other for other in _others() if other.class_path == task_cls), None)
        return None if other is None else _registered_kind(other)
    if len(lines) > 1 and task_type is not None:
        lines = [kind for kind in lines if kind.task_type == task_type]
    return lines[0] if lines else None


def _others() -> tuple[Component, ...]:
    """Registered tasks from elsewhere, none of them imported; the table has ours."""
    known = {kind.name for kind in TASK_KINDS}
    return tuple(
        other for other in registry.components("task") if other.origin != registry.OWN and other.name not in known
    )


def _names() -> tuple[str, ...]:
    return (*(kind.name for kind in TASK_KINDS), *(other.name for other in _others()))


def _registered_kind(component: Component) -> TaskKind:
    """The line of a registered task; imports its class, and no other."""
    record = getattr(component.load(), "record", None)
    if not (isinstance(record, type) and issubclass(record, Task)):
        raise ConfigError(
            f"task {component.name!r} ({component.class_path}) has record {record!r}, expected the class of its "
            f"episodes' fields. Write into the class: record = Fields, where Fields is {Task.__module__}.PickTask or "
            f"another subclass of {Task.__module__}.Task"
        )
    return TaskKind(component.name, component.class_path, component.name, record)
