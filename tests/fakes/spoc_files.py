"""Trajectories in SPOC's public layout, written by hand after sheet spoc_ring_holodeck_graspmolmo 1.8."""

import json

import h5py
import numpy as np

from zoo.shards.encode import encode_mp4

SAID = ["m", "r", "ls", "p", "end"]
SPEC = {
    "task_type": "ObjectNavType",
    "natural_language_spec": "find a mug",
    "synsets": ["mug.n.01"],
    "synset_to_object_ids": {"mug.n.01": ["mug|1", "mug|2"]},
    "broad_synset_to_object_ids": {"mug.n.01": ["mug|1", "mug|2"]},
    "extras": {},
}


def pictures(count, *, height=224, width=384, shift=0):
    """(count, height, width, 3): one noisy column more each frame, so that frames differ."""
    frames = np.full((count, height, width, 3), 40, np.uint8)
    columns = np.arange(width)
    for place, frame in enumerate(frames):
        frame[:, columns < 8 * (place + 1)] = (200, 30 * place % 256, shift)
    return frames


def padded(texts, width):
    """Null-padded rows, as numpy's own fixed-width bytes have them."""
    return np.array([text.encode() for text in texts], f"S{width}").view(np.uint8).reshape(len(texts), width)


def boxes(num_states, objects, edges=()):
    """A group of boxes: `edges` are (state, object, x1, y1, x2, y2), all others are not visible."""
    names = ("min_cols", "min_rows", "max_cols", "max_rows")
    members = {name: np.full((num_states, len(objects)), -1, np.float32) for name in names}
    for state, number, *corners in edges:
        for name, corner in zip(names, corners, strict=True):
            members[name][state, number] = corner
    text = json.dumps(objects)
    return members | {"oids_as_bytes": padded([text] * num_states, len(text))}


def members(said=SAID, spec=SPEC, **changes):
    """Members of an episode; a change of None leaves one out."""
    states = len(said) + 1
    text = json.dumps(spec)
    rows = np.arange(states, dtype=float)
    column = np.ones((states, 1))
    found = {
        "last_action_str": padded(["", *said], 200),
        "last_action_success": (rows != 2).reshape(-1, 1),
        "last_action_is_random": (rows == 3).reshape(-1, 1),
        "an_object_is_in_hand": (rows >= 4).astype(np.int64).reshape(-1, 1),
        "house_index": (7 * column).astype(np.int64),
        "visible_target_4m_count": (0 * column).astype(np.int64),
        "last_agent_location": np.stack([rows, 0 * rows + 0.9, -rows, 0 * rows, 30 * rows, 0 * rows], axis=1),
        "relative_arm_location_metadata": np.stack([rows, 2 * rows, 3 * rows, 0 * rows - 180], axis=1),
        "hypothetical_task_success": (rows >= states - 2).reshape(-1, 1),
        "minimum_l2_target_distance": (5 - rows / 2).reshape(-1, 1),
        "minimum_visible_target_alignment": -column,
        "room_current_seen": (2 * column).astype(np.int64),
        "rooms_seen": (19 * column).astype(np.int64),
        "templated_task_spec": padded([text] * states, len(text.encode())),
        "nav_task_relevant_object_bbox": boxes(states, ["mug|1", "mug|2"], [(1, 0, 10, 20, 30, 40)]),
        "nav_accurate_object_bbox": boxes(
            states, ["cup|9", "mug|1", "mug|2"], [(1, 1, 12, 22, 28, 30), (2, 2, 5, 6, 9, 12), (2, 0, 0, 0, 380, 220)]
        ),
        "manip_task_relevant_object_bbox": boxes(states, ["mug|1", "mug|2"]),
        "manip_accurate_object_bbox": boxes(states, ["mug|1", "mug|2"], [(0, 1, 1, 2, 3, 7)]),
    }
    found |= changes
    return {name: value for name, value in found.items() if value is not None}


def put(group, content):
    """Members into an HDF5 group."""
    for name, value in content.items():
        if isinstance(value, dict):
            put(group.create_group(name), value)
        else:
            group.create_dataset(name, data=value, compression="gzip", compression_opts=6)


def videos(num_states, *, fps=5.0, height=224, width=384):
    """Bytes by camera."""
    return {
        camera: encode_mp4(pictures(num_states, height=height, width=width, shift=shift), fps=fps, crf=30)
        for camera, shift in (("navigation", 0), ("manipulation", 90))
    }


def write_houses(root, episodes, *, task="ObjectNavType", split="train", vocabulary="fifteen_type"):
    """A task's folder.

    Args:
        root: Above the vocabularies.
        episodes: By (house, episode): (members, videos by camera).
    """
    folder = root / vocabulary / task
    listed = {}
    for (house, episode), (content, media) in episodes.items():
        place = folder / split / house
        place.mkdir(parents=True, exist_ok=True)
        listed.setdefault(house, []).append(episode)
        with h5py.File(place / "hdf5_sensors.hdf5", "a") as file:
            put(file.create_group(episode), content)
        for camera, data in media.items():
            (place / f"raw_{camera}_camera__{episode}.mp4").write_bytes(data)
    (folder / f"house_id_to_sub_house_id_{split}.json").write_text(json.dumps(listed))
    return folder
