"""Names, texts and poses of SPOC's and RING's trajectory layout, shared by the reader and the writer.

Source: sheet spoc_ring_holodeck_graspmolmo 1.8 (folders, members, types), 1.12 (task specification), 1.2 (arm vector),
    2.2 (RING). Sensors that the sheet's list leaves out (the room, the targets' pixels) have the names that SPOC's
    public repository gives them. Of RING's sensor for the body the sheet has the content, but no name: that is ours.
Differs: poses are ours, with Unity's (x, y, z) as (x, z, y) and yaw counter-clockwise from +x, as houses are read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from zoo.navigation_actions import SHORT_NAMES, SpocAction

Release = Literal["spoc", "ring"]
Vocabulary = Literal["fifteen_type", "all_type"]

SPLITS = ("train", "val")
SENSORS = "hdf5_sensors.hdf5"
SENTINEL = "success.txt"
"""Lies in the folder of a house that is whole."""

HOUSE_DIGITS = 6
TEXT_BYTES = 200
"""Width of a row of `last_action_str`."""
GZIP_LEVEL = 6
FPS: Mapping[Release, float] = MappingProxyType({"spoc": 5.0, "ring": 10.0})
FRAME_SIZE = (224, 384)
"""Height and width of SPOC's pictures; RING's vary with the body."""
FOVY_DEG = 59.0
"""Of SPOC's cameras (sheet 1.2)."""

NAVIGATION = "navigation_camera"
CAMERAS: Mapping[str, str] = MappingProxyType({"manipulation_camera": "manip", NAVIGATION: "nav"})
"""Cameras in our order, and how names of their sensors begin."""
REQUIRED_CAMERAS: Mapping[Release, tuple[str, ...]] = MappingProxyType({"spoc": tuple(CAMERAS), "ring": (NAVIGATION,)})

TASKS: Mapping[str, str] = MappingProxyType(
    {
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
    }
)
"""Our names of tasks, and those of folders and specifications."""
OLD_TASK_TYPES: Mapping[str, str] = MappingProxyType(
    {"SimpleExploreHouse": "RoomVisit", "ObjectNavOpenVocab": "ObjectNavDescription"}
)
"""Former names in specifications."""

ACTION, SUCCESS, RECOVERY = "last_action_str", "last_action_success", "last_action_is_random"
IN_HAND, HOUSE, VISIBLE_COUNT = "an_object_is_in_hand", "house_index", "visible_target_4m_count"
LOCATION, ARM = "last_agent_location", "relative_arm_location_metadata"
STRICT, DISTANCE, ALIGNMENT = (
    "hypothetical_task_success",
    "minimum_l2_target_distance",
    "minimum_visible_target_alignment",
)
ROOM_SEEN, ROOMS_SEEN, ROOM = "room_current_seen", "rooms_seen", "current_agent_room"
SPECIFICATION = "templated_task_spec"
EMBODIMENT = "embodiment_as_bytes"
BOX_KINDS = ("task_relevant", "accurate")
EDGES = ("min_cols", "min_rows", "max_cols", "max_rows")
"""x1, y1, x2, y2 of a box."""
NO_DISTANCE = NO_ALIGNMENT = -1.0
NO_EDGE = -1.0
"""Edges of what is not visible."""
VISIBLE_M = 4.0
"""Within this a target counts for `VISIBLE_COUNT`."""

ACTIONS: Mapping[str, SpocAction] = MappingProxyType(
    {name: action for action in SpocAction for name in (SHORT_NAMES[action], action.long_name)}
)
"""Actions by their short and long names."""


def houses_file(split: str) -> str:
    """Name of the file that lists houses and their episodes."""
    return f"house_id_to_sub_house_id_{split}.json"


def house_folder(index: int) -> str:
    """Name of a house's folder."""
    return f"{index:0{HOUSE_DIGITS}d}"


def video_file(camera: str, episode: str) -> str:
    """Name of an episode's video."""
    return f"raw_{camera}__{episode}.mp4"


def box_group(camera: str, kind: str) -> str:
    """Name of the group that holds a camera's boxes."""
    return f"{CAMERAS[camera]}_{kind}_object_bbox"


def pixels_member(camera: str) -> str:
    """Name of the member that counts the targets' pixels."""
    return f"num_pixels_visible_{CAMERAS[camera]}"


def text_rows(texts: Sequence[str], width: int | None = None) -> np.ndarray:
    """(rows, width) uint8 of texts, filled with zero bytes.

    Args:
        texts: Without zero bytes, which the layout cannot tell from filling.
        width: Bytes of a row; the longest text's where left out.
    Raises:
        ValueError: a text is longer, or holds a zero byte.
    """
    coded = [text.encode() for text in texts]
    longest = max(map(len, coded), default=0)
    width = max(longest, 1) if width is None else width
    if longest > width or any(b"\0" in text for text in coded):
        raise ValueError(f"texts of up to {longest} bytes, of which {width} fit and none may be zero")
    rows = np.zeros((len(coded), width), np.uint8)
    for row, text in zip(rows, coded, strict=True):
        row[: len(text)] = np.frombuffer(text, np.uint8)
    return rows


def text_of(row: np.ndarray) -> str:
    """The text of one row.

    Raises:
        ValueError: its bytes are no UTF-8, or no bytes.
    """
    return np.asarray(row).astype(np.uint8, casting="same_kind").tobytes().rstrip(b"\0").decode()


def texts_of(rows: np.ndarray) -> list[str]:
    """The texts of all rows; see `text_of`."""
    return [text_of(row) for row in rows]


def json_rows(value: Any, rows: int) -> np.ndarray:
    """(rows, bytes) uint8: the same JSON in every row, as wide as it is long."""
    return np.repeat(text_rows([json.dumps(value, separators=(",", ":"))]), rows, axis=0)


def poses_from_unity(location: np.ndarray) -> np.ndarray:
    """(rows, 3) float32 x, y in metres and yaw in radians of (rows, 6) Unity positions and rotations in degrees."""
    yaw = np.radians(90.0 - location[:, 4])
    yaw = np.arctan2(np.sin(yaw), np.cos(yaw))
    return np.stack([location[:, 0], location[:, 2], yaw], axis=1).astype(np.float32)


def poses_to_unity(base_pose: np.ndarray, height_m: float) -> np.ndarray:
    """The way back, (rows, 6) float64, with the rotation in [0, 360).

    Args:
        base_pose: (rows, 3).
        height_m: Of the agent's centre above the floor, which a pose of the base does not have.
    """
    x, y, yaw = base_pose.astype(np.float64).T
    rows = np.zeros((len(base_pose), 6))
    rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 4] = x, height_m, y, np.mod(90.0 - np.degrees(yaw), 360.0)
    return rows


def arm_from_unity(arm: np.ndarray) -> np.ndarray:
    """(rows, 4) float32 with the wrist forward, left and up, of (rows, 4) with right, up and forward; degrees stay."""
    right, up, forward, wrist = arm.T
    return np.stack([forward, -right, up, wrist], axis=1).astype(np.float32)


def arm_to_unity(arm: np.ndarray) -> np.ndarray:
    """The way back, (rows, 4) float64."""
    forward, left, up, wrist = arm.astype(np.float64).T
    return np.stack([-left, up, forward, wrist], axis=1)
