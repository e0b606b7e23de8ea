"""One episode: all that is needed to set it up and to judge it, as public benchmarks write it.

Source: sheet molmospaces section 6. Timing is not part of an episode, so one benchmark runs at several rates; the one
exception is `task.task_horizon_sec`. Poses are x, y, z in metres and the quaternion w, x, y, z.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from zoo.envs.episodes.fields import Count, Direction, Fault, Name, Pose7, Quaternion, Size, Vector, ViewAngle
from zoo.envs.episodes.records import Record, dump_json
from zoo.envs.episodes.tasks import ChoresTask, Task

NUMBERED_BODY = re.compile(r"(?P<lemma>.+)_[0-9a-f]{3,}_\d+_\d+_\d+")
"""Name of a root body in a house: lemma, hash, count, index of the body, room (sheet section 12)."""
KEY_CHARACTERS = 16  # of an episode's hash; 64 bits tell any two episodes of a benchmark apart


@dataclass(frozen=True, kw_only=True, slots=True)
class Source(Record):
    """Where an episode came from.

    Args:
        h5_file: Recording that it was taken from.
        traj_key: Group of the recording.
        episode_length: Steps of the recorded episode.
        camera_system_class: Camera system of the recording.
        source_data_date: Of the recording, YYYY-MM-DD.
        benchmark_created_date: YYYY-MM-DD.
    """

    h5_file: str | None = None
    traj_key: str | None = None
    episode_length: Count | None = None
    camera_system_class: str | None = None
    source_data_date: str | None = None
    benchmark_created_date: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Robot(Record):
    """Which robot, and how its joints stand.

    Args:
        robot_name: Its public identifier, as `franka_droid`.
        init_qpos: Joint positions by move group, radians or metres.
        arguments: What the robot is built with, plain JSON; a field of ours, which files leave out where it is empty.
    """

    robot_name: Name
    init_qpos: Mapping[str, tuple[float, ...]]
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        content = Record.to_json(self)
        if not self.arguments and "arguments" not in (self.stated or {}):
            content.pop("arguments", None)  # as public files have it
        return content

    @property
    def embodiment(self) -> str:
        """Which body it is, for people: its name, what it is built with, and of long arguments a hash."""
        words = (str(value) if _is_short(value) else content_hash(value)[:6] for value in self.arguments.values())
        return " ".join([self.robot_name, *words])


@dataclass(frozen=True, kw_only=True, slots=True)
class Camera(Record):
    """What both types of camera have; `type` tells which of the subclasses an object is.

    Args:
        name: Key of its picture in observations.
        fov: Vertical, degrees.
        record_depth: It measures depth as well.
    """

    name: Name
    fov: ViewAngle
    record_depth: bool = False

    @classmethod
    def variant(cls, content: Mapping[str, Any], path: str, faults: list[Fault]) -> type[Record] | None:
        if cls is not Camera:
            return cls
        kinds = {"robot_mounted": MountedCamera, "exocentric": ExocentricCamera}
        given = content.get("type")
        kind = kinds.get(given) if isinstance(given, str) else None
        if kind is None:
            state = f"is {given!r}" if "type" in content else "is missing"
            faults.append(Fault(f"{path}.type", f"{state}, expected {' or '.join(map(repr, kinds))}"))
        return kind


@dataclass(frozen=True, kw_only=True, slots=True)
class MountedCamera(Camera):
    """A camera on the robot.

    Args:
        type: Of the camera.
        reference_body_names: Bodies that it may hang at; the first that the robot has counts.
        camera_offset: Metres in that body's frame.
        lookat_offset: Point that it looks at, metres in that body's frame.
        camera_quaternion: w, x, y, z in that body's frame.
    """

    type: Literal["robot_mounted"] = "robot_mounted"
    reference_body_names: tuple[str, ...]
    camera_offset: Vector
    lookat_offset: Vector
    camera_quaternion: Quaternion


@dataclass(frozen=True, kw_only=True, slots=True)
class ExocentricCamera(Camera):
    """A camera that stands in the world.

    Args:
        type: Of the camera.
        pos: Metres in the world.
        up: Direction in the world.
        forward: Direction in the world in which it looks.
    """

    type: Literal["exocentric"] = "exocentric"
    pos: Vector
    up: Direction
    forward: Direction


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneModifications(Record):
    """How the scene of an episode differs from its house.

    Args:
        added_objects: XML file below the asset folder, by the name that its first body gets.
        object_poses: pose7 by body.
        removed_objects: Bodies of the house that are left out.
    """

    added_objects: Mapping[str, str] = dataclasses.field(default_factory=dict)
    object_poses: Mapping[str, Pose7] = dataclasses.field(default_factory=dict)
    removed_objects: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Language(Record):
    """What a policy is told.

    Args:
        task_description: The instruction.
        referral_expressions: Words for an object, by its role.
        referral_expressions_priority: CLIP margin, CLIP score and words, by role; best first.
    """

    task_description: str
    referral_expressions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    referral_expressions_priority: Mapping[str, tuple[tuple[float, float, str], ...]] = dataclasses.field(
        default_factory=dict
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Episode(Record):
    """One episode.

    Args:
        source: Where it came from.
        house_index: Of its house in the data set and split.
        scene_dataset: Which family of houses.
        data_split: train, val or test.
        seed: Of whatever is drawn; see `seed_at`.
        robot: Which one, and its joints.
        img_resolution: Width and height of all pictures, pixels.
        cameras: In the order of their pictures.
        scene_modifications: How the scene differs from the house.
        task: What is to be done, with every threshold.
        task_relevant_objects: Bodies that cameras should see.
        language: What a policy is told.
    """

    source: Source | None = None
    house_index: Count
    scene_dataset: Name
    data_split: Name
    seed: Count | None = None
    robot: Robot
    img_resolution: tuple[Size, Size]
    cameras: tuple[Camera, ...] = ()
    scene_modifications: SceneModifications = dataclasses.field(default_factory=SceneModifications)
    task: Task
    task_relevant_objects: tuple[str, ...] = ()
    language: Language

    @property
    def key(self) -> str:
        """Hash of the content: equal for episodes that state the same, in whatever order."""
        return content_hash(self.to_json())[:KEY_CHARACTERS]

    @property
    def house(self) -> tuple[str, str, int]:
        """Data set, split and index of the house."""
        return self.scene_dataset, self.data_split, self.house_index

    @property
    def category(self) -> str:
        """Kind of the object that the task is about: the lemma that begins its body's name (sheet section 12).

        Of a task that is about rooms it is their type, and "none" where there is neither.
        """
        target, rooms = self.task.target, ()
        if isinstance(self.task, ChoresTask):
            named = itertools.chain.from_iterable(self.task.broad_synset_to_object_ids.values())
            target, rooms = next(named, None), self.task.room_types
        if not target:
            return rooms[0].lower() if rooms else "none"
        name = target.rsplit("/", 1)[-1].split("|")[0].lower()
        numbered = NUMBERED_BODY.fullmatch(name)
        return numbered["lemma"].replace("_", " ") if numbered else name.split("_")[0]

    def seed_at(self, index: int) -> int:
        """The seed; an episode without one uses its place in the benchmark."""
        return index if self.seed is None else self.seed


def _is_short(value: Any) -> bool:
    return isinstance(value, (str, int, float))


def content_hash(content: Any) -> str:
    """SHA-256 of plain JSON, whatever the order of keys."""
    return hashlib.sha256(dump_json(_sorted(content)).encode()).hexdigest()


def _sorted(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {key: _sorted(content[key]) for key in sorted(content)}
    return [_sorted(item) for item in content] if isinstance(content, list) else content
