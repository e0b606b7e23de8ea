"""Recorded episodes of a policy inside a shard: record, arrays and one video a camera, and the checks all three pass.

A sample is `<key>.json`, `<key>.npz` and `<key>.<camera>.mp4` for every camera. Row t of an array and frame t of a
video show what was seen before action t, so all of them have `num_steps` rows (sheet spoc_ring section 1.8: the state
behind the last action has no action and is left out). Free of torch.
"""

from __future__ import annotations

import functools
import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from zoo.embodiment import NUM_EMBODIMENT
from zoo.errors import DataError
from zoo.navigation_actions import SpocAction
from zoo.shards import schema
from zoo.shards.decode import frame_times
from zoo.shards.quick_check import Check, column_check
from zoo.shards.sample_schema import Media, SampleSchema
from zoo.shards.writer import npz_bytes

POLICY_SCHEMA = "policy_episode"
POLICY_VERSION = 1
FPS = 5.0
"""Of SPOC's recordings."""
BOXES_PER_CAMERA = 2
BOX_VALUES = 5
MISSING_BOX = (1000.0, 1000.0, 1000.0, 1000.0, 0.0)
"""x1, y1, x2, y2 in pixels and area where nothing is in view (sheet 1.6)."""
NO_ROOM = -1
"""In `room`, of a base that stands in none, or of a recording that does not say."""
NOT_COUNTED = -1
"""In `visible`, where nobody counted."""
CELL_ROWS, CELL_COLUMNS = 8, 14
"""Cells of equal size that `shows` divides a picture into."""
MAX_CATEGORIES = 32
"""Bits of a cell of `shows`."""

Reason = Literal[
    "bad_record",
    "bad_arrays",
    "missing_frames",
    "frame_size",
    "length_mismatch",
    "unknown_action",
    "unknown_body",
    "early_done",
    "empty_goal",
    "house_without_target",
]
"""What is wrong with a recorded episode, for counting."""

_NAME = {"type": "string", "minLength": 1}
_COUNT = {"type": "integer", "minimum": 1}
_METRES = {"anyOf": [{"type": "number", "minimum": 0}, {"type": "null"}]}

POLICY_EPISODE: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": POLICY_SCHEMA,
    "type": "object",
    "additionalProperties": False,
    "required": [
        *("schema", "version", "key", "task", "goal", "goal_spec", "cameras", "fps", "num_steps", "robot"),
        *("embodiment", "episode", "house", "expert_steps", "path_m", "shortest_m", "success", "meta"),
    ],
    "properties": {
        "schema": {"const": POLICY_SCHEMA},
        "version": {"const": POLICY_VERSION},
        # A tar key ends at its first dot (WebDataset), so a key has none; nor may it climb out of a folder.
        "key": {"type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_/-]*$"},
        "task": _NAME,  # registry name, as object_nav_type
        "goal": {"type": "string"},  # the instruction; an empty one has a reason of its own
        "goal_spec": {"type": "object"},  # fields of the task specification (sheet section 1.12)
        "cameras": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name", "width", "height", "fovy_deg"],
                "properties": {
                    # Part of a file's name behind the key's dot; lower case, because readers fold suffixes.
                    "name": {"type": "string", "pattern": "^[a-z0-9_-]+$"},
                    "width": _COUNT,
                    "height": _COUNT,
                    "fovy_deg": {"type": "number", "exclusiveMinimum": 0, "maximum": 180},
                },
            },
        },
        "fps": {"type": "number", "exclusiveMinimum": 0, "maximum": 1000},
        "num_steps": _COUNT,
        "robot": _NAME,
        "embodiment": {
            "anyOf": [
                {
                    "type": "array",
                    "minItems": NUM_EMBODIMENT,
                    "maxItems": NUM_EMBODIMENT,
                    "items": {"type": "number"},
                },
                {"type": "null"},
            ]
        },
        "episode": {"anyOf": [{"type": "object"}, {"type": "null"}]},  # the public record; null: from elsewhere
        "house": {
            "type": "object",
            "additionalProperties": False,
            "required": ["dataset", "split", "index", "rooms"],
            "properties": {
                "dataset": _NAME,
                "split": _NAME,
                "index": {"type": "integer", "minimum": 0},
                # In the order that the array `room` counts in; empty where a recording does not say.
                "rooms": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["id", "type"],
                        "properties": {"id": _NAME, "type": _NAME},
                    },
                },
            },
        },
        "expert_steps": {"anyOf": [_COUNT, {"type": "null"}]},
        "path_m": _METRES,  # walked
        "shortest_m": _METRES,  # shortest way to the goal; null where there is no single one
        "success": {"type": "boolean"},  # by the strict test (sheet section 1.13)
        # Synsets, in the order of the bits of the array `shows`; there if and only if that is.
        "categories": {"type": "array", "minItems": 1, "maxItems": MAX_CATEGORIES, "items": _NAME},
        "meta": {"type": "object"},
    },
}


class EpisodeFault(DataError):  # noqa: N818 - a fault of what was recorded, not of who reads it
    """A recorded episode that cannot be learned from.

    Args:
        message: For people.
        reason: For counting.
    """

    def __init__(self, message: str, *, reason: Reason) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Column:
    """One array: its type and the shape of a row; `cameras` stands for their number."""

    dtype: str
    row: tuple[int | Literal["cameras"], ...] = ()


ARRAYS: Mapping[str, _Column] = {
    "actions": _Column("int8"),  # indices of `zoo.navigation_actions.SpocAction`
    "action_success": _Column("bool"),  # whether the action did what it should
    "is_recovery": _Column("bool"),  # the expert's way out of where it was stuck (sheet 1.8)
    "in_hand": _Column("int8"),  # 0 or 1, before the action
    "base_pose": _Column("float32", (3,)),  # x, y in metres, yaw in radians, counter-clockwise
    "arm": _Column("float32", (4,)),  # Stretch's proprioception (sheet 1.2); zeros of other robots
    "room": _Column("int16"),  # index in the record's house.rooms, or NO_ROOM
    "distance_m": _Column("float32"),  # to the nearest target; nan where there is none
    "strict_success": _Column("bool"),  # if done were said now
    "boxes": _Column("float32", ("cameras", BOXES_PER_CAMERA, BOX_VALUES)),  # pixels of the recorded picture
    "visible": _Column("int32", ("cameras",)),  # pixels of the recorded picture that show targets, or NOT_COUNTED
}
"""Arrays of the npz file; each has `num_steps` rows."""

EXPERT_ACTIONS, SHOWS = "expert_actions", "shows"
OPTIONAL_ARRAYS: Mapping[str, _Column] = {
    EXPERT_ACTIONS: _Column("int8"),  # what an expert would have done, where somebody else chose `actions`
    # Bit k of a cell: a pixel of it shows an object of the record's category k, near or far, whatever the task is.
    SHOWS: _Column("uint32", ("cameras", CELL_ROWS, CELL_COLUMNS)),
}
"""Arrays that not every recording has."""


@dataclass(frozen=True, slots=True)
class PolicyEpisode:
    """One recorded episode.

    Args:
        record: Of `POLICY_EPISODE`.
        arrays: Of `ARRAYS`, and maybe of `OPTIONAL_ARRAYS`.
        media: Bytes of each camera's mp4.
    """

    record: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]
    media: Mapping[str, bytes]

    @property
    def key(self) -> str:
        """Stable id within the data set."""
        return self.record["key"]

    @property
    def num_steps(self) -> int:
        """Actions, and so pictures of each camera."""
        return self.record["num_steps"]

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names, in the order of `boxes` and `visible`."""
        return tuple(camera["name"] for camera in self.record["cameras"])

    @property
    def labels(self) -> np.ndarray:
        """(T,) what is to be learnt: the expert's actions, whoever chose those that were made."""
        return self.arrays.get(EXPERT_ACTIONS, self.arrays["actions"])

    def check(self) -> None:
        """Refuse what cannot be learned from; pictures are counted, not decoded.

        Raises:
            EpisodeFault: names the sample and the fault, with its `reason`.
        """
        check_policy_record(self.record)
        check_arrays(self.record, self.arrays)
        check_media(self.record, self.media)

    def files(self) -> dict[str, bytes]:
        """Bytes by suffix (`json`, `npz`, `<camera>.mp4`), in the order in which a shard holds them."""
        text = json.dumps(self.record, separators=(",", ":"), allow_nan=False)
        videos = {f"{name}.mp4": self.media[name] for name in self.cameras}
        named = {name: self.arrays[name] for name in (*ARRAYS, *OPTIONAL_ARRAYS) if name in self.arrays}
        return {**videos, "json": text.encode(), "npz": npz_bytes(named)}


def read_policy_sample(files: Mapping[str, bytes], *, where: str = "sample") -> PolicyEpisode:
    """One sample from its files, checked.

    Args:
        files: Bytes by suffix: `json`, `npz` and `<camera>.mp4`.
        where: Shard and key, for messages.
    Raises:
        EpisodeFault: see `PolicyEpisode.check`, or a file is missing or does not parse.
    """
    try:
        record = json.loads(files["json"])
    except KeyError:
        raise EpisodeFault(f"{where}: no json beside the media", reason="bad_record") from None
    except ValueError as error:  # bad JSON and bad UTF-8 alike
        raise EpisodeFault(f"{where}: the json does not parse: {error}", reason="bad_record") from error
    return policy_episode(record, files, where=where)


def policy_episode(record: Any, files: Mapping[str, bytes], *, where: str = "sample") -> PolicyEpisode:
    """The same where the JSON was parsed already, as `zoo.shards.reader.read_shard` does.

    Args:
        record: Parsed JSON.
        files: Bytes by suffix: `npz` and `<camera>.mp4`.
        where: Shard and key, for messages.
    Raises:
        EpisodeFault: see `PolicyEpisode.check`.
    """
    check_policy_record(record, where=where)
    arrays = _read_arrays(files.get("npz"), where)
    media = {suffix.removesuffix(".mp4"): data for suffix, data in files.items() if suffix.endswith(".mp4")}
    episode = PolicyEpisode(record, arrays, media)
    check_arrays(record, arrays, where=where)
    check_media(record, media, where=where)
    return episode


def check_policy_record(record: Any, *, where: str = "sample") -> None:
    """Check a record against the schema and against what a JSON Schema cannot say.

    Args:
        record: Parsed JSON.
        where: Shard and key, for messages.
    Raises:
        EpisodeFault: another schema or version, faulty fields, an empty goal, or a goal that the house cannot meet.
    """
    _check_header(record, where)
    if not _quick_check()([record]):
        faults = sorted(_validator().iter_errors(record), key=lambda error: list(map(str, error.absolute_path)))
        if faults:
            shown = "; ".join(schema.sentence(fault) for fault in faults[: schema.MAX_FAULTS])
            raise EpisodeFault(
                f"{where} {record.get('key')!r} is no {POLICY_SCHEMA} v{POLICY_VERSION} record: {shown}",
                reason="bad_record",
            )
    named = f"{where} {record['key']!r}"
    cameras = [camera["name"] for camera in record["cameras"]]
    if len(set(cameras)) < len(cameras):
        raise EpisodeFault(f"{named}: two cameras of one name in {', '.join(cameras)}", reason="bad_record")
    categories = record.get("categories", ())
    if len(set(categories)) < len(categories):
        raise EpisodeFault(f"{named}: one category twice in {', '.join(categories)}", reason="bad_record")
    if not record["goal"].strip():
        raise EpisodeFault(f"{named}: the goal is an empty text", reason="empty_goal")
    if fault := _goal_fault(record):
        raise EpisodeFault(f"{named}: {fault}", reason="house_without_target")


def check_arrays(record: Mapping[str, Any], arrays: Mapping[str, np.ndarray], *, where: str = "sample") -> None:
    """Check the arrays of a record that is valid.

    Args:
        record: Passed `check_policy_record`.
        arrays: By name.
        where: Shard and key, for messages.
    Raises:
        EpisodeFault: one is missing, has another shape, type or length, holds what it may not, or an unknown action.
    """
    named = f"{where} {record['key']!r}"
    steps, cameras = record["num_steps"], len(record["cameras"])
    known = {**ARRAYS, **OPTIONAL_ARRAYS}
    missing, extra = sorted(ARRAYS.keys() - arrays.keys()), sorted(arrays.keys() - known.keys())
    if missing or extra:
        raise EpisodeFault(f"{named}: arrays missing: {missing}, unknown: {extra}", reason="bad_arrays")
    for name, array in arrays.items():
        column = known[name]
        row = tuple(cameras if size == "cameras" else size for size in column.row)
        if array.dtype != column.dtype or array.ndim != 1 + len(row) or array.shape[1:] != row:
            raise EpisodeFault(
                f"{named}: {name} is {array.dtype} {array.shape}, expected {column.dtype} {(steps, *row)}",
                reason="bad_arrays",
            )
        if len(array) != steps:
            raise EpisodeFault(
                f"{named}: {name} has {len(array)} rows, the record speaks of {steps} steps", reason="length_mismatch"
            )
    for fault, reason in _content_faults(record, arrays):
        raise EpisodeFault(f"{named}: {fault}", reason=reason)


def check_media(record: Mapping[str, Any], media: Mapping[str, bytes], *, where: str = "sample") -> None:
    """Check that every camera has a video with one frame a step; nothing is decoded.

    Args:
        record: Passed `check_policy_record`.
        media: Bytes of each camera's mp4.
        where: Shard and key, for messages.
    Raises:
        EpisodeFault: a video is missing, unreadable or of another length, or belongs to no camera.
    """
    named = f"{where} {record['key']!r}"
    cameras = [camera["name"] for camera in record["cameras"]]
    if extra := sorted(media.keys() - set(cameras)):
        raise EpisodeFault(f"{named}: videos of unknown cameras: {', '.join(extra)}", reason="bad_record")
    for camera in cameras:
        if camera not in media:
            raise EpisodeFault(f"{named}: no video of camera {camera}", reason="missing_frames")
        try:
            frames = len(frame_times(media[camera]))
        except DataError as error:
            raise EpisodeFault(f"{named}: camera {camera}: {error}", reason="missing_frames") from error
        if frames != record["num_steps"]:
            raise EpisodeFault(
                f"{named}: camera {camera} has {frames} frames, the record speaks of {record['num_steps']} steps",
                reason="missing_frames" if frames < record["num_steps"] else "length_mismatch",
            )


def _check_header(record: Any, where: str) -> None:
    if not isinstance(record, Mapping):
        raise EpisodeFault(f"{where}: the JSON is {type(record).__name__}, expected an object", reason="bad_record")
    if record.get("schema") != POLICY_SCHEMA:
        raise EpisodeFault(
            f"{where}: schema {record.get('schema')!r}, expected {POLICY_SCHEMA!r}; only recorded episodes can be "
            "read here, as zoo generate policy_episodes writes them",
            reason="bad_record",
        )
    if record.get("version") != POLICY_VERSION:
        raise EpisodeFault(
            f"{where}: {POLICY_SCHEMA} version {record.get('version')!r}, this installation reads {POLICY_VERSION}; "
            "update molmo-zoo or generate the data again",
            reason="bad_record",
        )


def _goal_fault(record: Mapping[str, Any]) -> str | None:
    """Why this house cannot have the goal; None where it can, or where the specification does not say."""
    spec = record["goal_spec"]
    objects = spec.get("broad_synset_to_object_ids")
    if (spec.get("synsets") or objects) and isinstance(objects, Mapping):
        missing = ", ".join(map(str, objects)) or "no category"
        return None if any(objects.values()) else f"no object of the house is a target ({missing})"
    rooms, wanted = {room["id"] for room in record["house"]["rooms"]}, spec.get("room_ids") or ()  # none: any will do
    if wanted and rooms and not rooms.intersection(map(str, wanted)):
        return f"none of the rooms {', '.join(map(str, wanted))} is in the house"
    return None


def _content_faults(record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Iterator[tuple[str, Reason]]:
    actions = arrays["actions"]
    for name in ("actions", EXPERT_ACTIONS):
        indices = arrays.get(name, actions)
        unknown = np.flatnonzero((indices < 0) | (indices >= len(SpocAction)))
        if len(unknown):
            fault = f"action {indices[unknown[0]]} at step {unknown[0]}, known are 0 to {len(SpocAction) - 1}"
            yield fault if name == "actions" else f"{name}: {fault}", "unknown_action"
    early = np.flatnonzero(actions[:-1] == SpocAction.DONE)
    if len(early):
        yield f"done is said at step {early[0]} of {len(actions)}, expected at the last one or never", "early_done"
    if not np.isin(arrays["in_hand"], (0, 1)).all():
        yield "in_hand holds another number than 0 and 1", "bad_arrays"
    rooms, room = len(record["house"]["rooms"]), arrays["room"]
    if not ((room >= NO_ROOM) & (room < rooms)).all():
        yield f"room counts to {room.max()}, the house has {rooms} rooms", "bad_arrays"
    for name in ("base_pose", "arm", "boxes"):
        if not np.isfinite(arrays[name]).all():
            yield f"{name} holds what is no finite number", "bad_arrays"
    if fault := _shows_fault(record, arrays):
        yield fault, "bad_arrays"


def _shows_fault(record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str | None:
    if ("categories" in record) != (SHOWS in arrays):
        return f"the record's categories and the array {SHOWS} belong together, and only one of them is there"
    if SHOWS not in arrays:
        return None
    known = len(record["categories"])
    highest = int(arrays[SHOWS].max(initial=0)).bit_length()
    return f"{SHOWS} holds bit {highest - 1}, the record has {known} categories" if highest > known else None


def _read_arrays(data: bytes | None, where: str) -> dict[str, np.ndarray]:
    if data is None:
        raise EpisodeFault(f"{where}: no npz beside the media", reason="bad_arrays")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise EpisodeFault(f"{where} has no readable npz: {error}", reason="bad_arrays") from error


@functools.cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator  # 0.1 s to import; readers of valid records never need it

    return Draft202012Validator(POLICY_EPISODE)


@functools.cache
def _quick_check() -> Check:
    return column_check(POLICY_EPISODE)


def _video_files(record: Mapping[str, Any], media: Media, arrays: Mapping[str, np.ndarray] | None) -> dict[str, bytes]:
    videos = media if isinstance(media, Mapping) else {}
    episode = PolicyEpisode(record, arrays or {}, videos)
    episode.check()
    return {f"{name}.mp4": videos[name] for name in episode.cameras}


POLICY_SAMPLES = SampleSchema(name=POLICY_SCHEMA, version=POLICY_VERSION, media_files=_video_files)
"""For `zoo.shards.writer` and `zoo.generator`."""
