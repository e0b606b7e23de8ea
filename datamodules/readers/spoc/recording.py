"""One recorded episode of the layout: its HDF5 group to arrays of ours, and back.

Source: sheet spoc_ring_holodeck_graspmolmo 1.8. The group has a row for every state, the one behind the last action
    included; what belongs to an action stands one row below it. A shard has a row for every action.
Differs: SPOC's room sensors say whether rooms were seen before; that is counted here from the rooms that the base is
    in. How well the targets are aligned is not recorded, and written as "none visible".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo.datamodules.readers.spoc import boxes as box_members
from zoo.datamodules.readers.spoc import layout
from zoo.datamodules.readers.spoc.layout import Release
from zoo.shards.policy_episode import NO_ROOM, NOT_COUNTED, EpisodeFault

AGENT_HEIGHT_M = 0.90099
"""Of the agent's centre above the floor (sheet 1.2)."""


class Group:
    """The members of one episode, with faults that say which.

    Args:
        members: An HDF5 group, or arrays by name.
    """

    def __init__(self, members: Mapping[str, Any]) -> None:
        self.members = members
        self.num_states = len(self.actions_said())

    def actions_said(self) -> list[str]:
        """Texts of `last_action_str`, one a state."""
        try:
            return layout.texts_of(self.rows(layout.ACTION))
        except (ValueError, TypeError) as error:
            raise EpisodeFault(f"{layout.ACTION} is no rows of text: {error}", reason="bad_arrays") from error

    def rows(self, name: str) -> np.ndarray:
        """A member's rows.

        Raises:
            EpisodeFault: it is missing, or no array with rows.
        """
        try:
            rows = np.asarray(self.members[name][()])
        except (KeyError, OSError, TypeError) as error:
            raise EpisodeFault(f"no readable {name} ({error})", reason="bad_arrays") from error
        if rows.ndim < 1:
            raise EpisodeFault(f"{name} is a single number, expected a row for each state", reason="bad_arrays")
        return rows

    def has(self, name: str) -> bool:
        """Whether there is such a member."""
        return name in self.members

    def states(self, name: str, width: int = 1) -> np.ndarray:
        """(states, width) of a member, or (states,) where the width is 1.

        Raises:
            EpisodeFault: see `rows`; or another shape.
        """
        rows = self.rows(name)
        if len(rows) != self.num_states:
            raise EpisodeFault(
                f"{name} has {len(rows)} rows, {layout.ACTION} has {self.num_states}", reason="length_mismatch"
            )
        flat = rows.reshape(len(rows), -1)
        if flat.shape[1] != width or (not np.issubdtype(flat.dtype, np.number) and flat.dtype != np.bool_):
            raise EpisodeFault(f"{name} is {rows.dtype} {rows.shape}, expected {width} a row", reason="bad_arrays")
        return flat[:, 0] if width == 1 else flat

    def text(self, name: str) -> str:
        """The text in a member's first row.

        Raises:
            EpisodeFault: see `rows`; or it is no text.
        """
        try:
            return layout.text_of(self.rows(name)[0])
        except (ValueError, IndexError, TypeError) as error:
            raise EpisodeFault(f"{name} is no text: {error}", reason="bad_record") from error

    def json(self, name: str) -> Any:
        """The JSON in a member's first row.

        Raises:
            EpisodeFault: see `text`; or it does not parse.
        """
        try:
            return json.loads(self.text(name))
        except json.JSONDecodeError as error:
            raise EpisodeFault(f"{name} is no JSON: {error}", reason="bad_record") from error


def actions_of(group: Group) -> np.ndarray:
    """(steps,) int8, the action after each state but the last.

    Raises:
        EpisodeFault: no action, one before the first state, or an unknown one.
    """
    said = group.actions_said()
    if len(said) < 2:
        raise EpisodeFault(
            f"{len(said)} states, expected two or more: an action lies between", reason="length_mismatch"
        )
    if said[0]:
        raise EpisodeFault(f"the first state comes after {said[0]!r}, expected no action", reason="length_mismatch")
    unknown = next((place for place, name in enumerate(said[1:]) if name not in layout.ACTIONS), None)
    if unknown is not None:
        raise EpisodeFault(f"action {said[unknown + 1]!r} at step {unknown}", reason="unknown_action")
    return np.array([layout.ACTIONS[name] for name in said[1:]], np.int8)


def arrays_of(group: Group, *, targets: list[str], cameras: tuple[str, ...], num_rooms: int) -> dict[str, np.ndarray]:
    """Arrays of a shard.

    Args:
        group: Of the episode.
        targets: Ids of the objects that count.
        cameras: That have videos.
        num_rooms: Rooms that the record lists; without them a room's number says nothing.
    Raises:
        EpisodeFault: a member is missing, or of another shape or length; an unknown action.
    """
    actions = actions_of(group)
    distance = group.states(layout.DISTANCE)[:-1].astype(np.float32)
    has_room = bool(num_rooms) and group.has(layout.ROOM)
    room = group.states(layout.ROOM)[:-1].astype(np.int16) if has_room else np.full(len(actions), NO_ROOM, np.int16)
    return {
        "actions": actions,
        "action_success": group.states(layout.SUCCESS)[1:].astype(bool),
        "is_recovery": group.states(layout.RECOVERY)[1:].astype(bool),
        "in_hand": _or_zeros(group, layout.IN_HAND)[:-1].astype(np.int8),
        "base_pose": layout.poses_from_unity(group.states(layout.LOCATION, 6)[:-1]),
        "arm": layout.arm_from_unity(_or_zeros(group, layout.ARM, 4)[:-1]),
        "room": room,
        "distance_m": np.where(distance == layout.NO_DISTANCE, np.float32(np.nan), distance),
        "strict_success": group.states(layout.STRICT)[:-1].astype(bool),
        "boxes": np.stack([_boxes(group, camera, targets)[:-1] for camera in cameras], axis=1),
        "visible": np.stack([_pixels(group, camera)[:-1] for camera in cameras], axis=1),
    }


def _or_zeros(group: Group, name: str, width: int = 1) -> np.ndarray:
    """A sensor that bodies without an arm do not have."""
    if group.has(name):
        return group.states(name, width)
    return np.zeros(group.num_states if width == 1 else (group.num_states, width))


def _pixels(group: Group, camera: str) -> np.ndarray:
    name = layout.pixels_member(camera)
    if not group.has(name):
        return np.full(group.num_states, NOT_COUNTED, np.int32)
    return group.states(name).astype(np.int32)


def _boxes(group: Group, camera: str, targets: list[str]) -> np.ndarray:
    """(states, slots, 5) float32."""
    sensors = [box_members.missing(group.num_states)]
    for kind in layout.BOX_KINDS if targets else ():
        name = layout.box_group(camera, kind)
        if not group.has(name):
            continue
        try:
            found = box_members.largest(group.members[name], targets)
        except (KeyError, ValueError, TypeError, IndexError, OSError) as error:
            raise EpisodeFault(f"{name} holds no boxes: {error}", reason="bad_arrays") from error
        if len(found) != group.num_states:
            raise EpisodeFault(
                f"{name} has {len(found)} rows, {layout.ACTION} has {group.num_states}", reason="length_mismatch"
            )
        sensors.append(found)
    return box_members.best_of(sensors)


def members_of(
    arrays: Mapping[str, np.ndarray],
    *,
    objects: Mapping[str, Sequence[str]],
    cameras: tuple[str, ...],
    success: bool,
) -> dict[str, Any]:
    """Members of the layout, groups as mappings; what belongs to a house or a task is not among them.

    Args:
        arrays: Of a shard.
        objects: Ids of the objects that count, by synset.
        cameras: In the order of the arrays.
        success: In the state behind the last action, which is else the one before it.
    """
    targets = sorted({name for ids in objects.values() for name in ids})
    said = ["", *(layout.SHORT_NAMES[action] for action in arrays["actions"])]
    distance = _with_last(arrays["distance_m"]).astype(np.float64)
    seen, current_seen = _rooms_seen(_with_last(arrays["room"]))
    members: dict[str, Any] = {
        layout.ACTION: layout.text_rows(said, layout.TEXT_BYTES),
        layout.SUCCESS: _column([True, *arrays["action_success"]], bool),
        layout.RECOVERY: _column([False, *arrays["is_recovery"]], bool),
        layout.IN_HAND: _column(_with_last(arrays["in_hand"]), np.int64),
        layout.LOCATION: layout.poses_to_unity(_with_last(arrays["base_pose"]), AGENT_HEIGHT_M),
        layout.ARM: layout.arm_to_unity(_with_last(arrays["arm"])),
        layout.STRICT: _column([*arrays["strict_success"], success], bool),
        layout.DISTANCE: _column(np.where(np.isnan(distance), layout.NO_DISTANCE, distance), np.float64),
        layout.ALIGNMENT: _column(np.full(len(said), layout.NO_ALIGNMENT), np.float64),
        layout.ROOM: _column(_with_last(arrays["room"]), np.int64),
        layout.ROOMS_SEEN: _column(seen, np.int64),
        layout.ROOM_SEEN: _column(current_seen, np.int64),
    }
    visible = _with_last(arrays["visible"])
    near = (distance >= 0) & (distance <= layout.VISIBLE_M)
    first = cameras.index(layout.NAVIGATION) if layout.NAVIGATION in cameras else 0
    members[layout.VISIBLE_COUNT] = _column((visible[:, first] > 0) & near, np.int64)
    for place, camera in enumerate(cameras):
        if not (visible[:, place] == NOT_COUNTED).all():
            members[layout.pixels_member(camera)] = _column(visible[:, place], np.int64)
        best = _with_last(arrays["boxes"][:, place, 0])
        for kind, boxes in zip(layout.BOX_KINDS, (box_members.missing(len(said)), best), strict=True):
            members[layout.box_group(camera, kind)] = {
                box_members.OBJECTS: layout.json_rows(targets, len(said)),
                box_members.SYNSETS: layout.json_rows({name: list(ids) for name, ids in objects.items()}, len(said)),
                **box_members.edges_of(boxes, len(targets)),
            }
    return members


def _with_last(rows: np.ndarray) -> np.ndarray:
    """The last row once more: `done` changes nothing."""
    return np.concatenate([rows, rows[-1:]])


def _column(values: Any, dtype: Any) -> np.ndarray:
    return np.asarray(values, dtype).reshape(-1, 1)


def _rooms_seen(room: np.ndarray) -> tuple[list[int], list[bool]]:
    """At every state the rooms that were left before, and whether the present one is among them."""
    left: set[int] = set()
    counts, again = [], []
    for place, current in enumerate(room.tolist()):
        previous = int(room[place - 1]) if place else current
        if previous not in (current, NO_ROOM):
            left.add(previous)
        counts.append(len(left))
        again.append(current in left)
    return counts, again


def required_cameras(release: Release, found: tuple[str, ...]) -> None:
    """See that an episode has the videos that its release always has.

    Raises:
        EpisodeFault: one is missing.
    """
    missing = [camera for camera in layout.REQUIRED_CAMERAS[release] if camera not in found]
    if missing:
        raise EpisodeFault(f"no video of camera {', '.join(missing)}", reason="missing_frames")
