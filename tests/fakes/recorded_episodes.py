"""Data sets of short recorded episodes, written as ours are; a picture's grey level tells its step."""

from pathlib import Path

import numpy as np

from zoo.datamodules.sources import Source
from zoo.shards.encode import encode_mp4
from zoo.shards.policy_episode import MISSING_BOX, POLICY_SAMPLES, POLICY_SCHEMA, POLICY_VERSION, check_policy_record
from zoo.shards.reader import read_split
from zoo.shards.writer import ShardWriter, shard_name, write_index

CAMERAS = ("manipulation", "navigation")
GREY_OF_A_STEP = 6
"""Steps between 0 and 42 have grey levels of their own; coding changes them by less than half of it."""
SIZE = (16, 24)
GOAL = "find a mug"
SPECIFICATION = {"task_type": "object_nav_type", "synsets": ["mug.n.04"]}


def steps_shown(frames):
    """Step of each picture, from (..., height, width) grey levels."""
    return (np.asarray(frames, np.float64).mean((-1, -2)) / GREY_OF_A_STEP).round().astype(int)


def record(key, num_steps, *, task="object_nav_type", cameras=CAMERAS, size=SIZE, **changes):
    """Of an episode."""
    height, width = size
    return {
        "schema": POLICY_SCHEMA,
        "version": POLICY_VERSION,
        "key": key,
        "task": task,
        "goal": GOAL,
        "goal_spec": SPECIFICATION | {"task_type": task},
        "cameras": [{"name": name, "width": width, "height": height, "fovy_deg": 59.0} for name in cameras],
        "fps": 5.0,
        "num_steps": num_steps,
        "robot": "stretch",
        "embodiment": None,
        "episode": None,
        "house": {"dataset": "drawn", "split": "train", "index": 0, "rooms": [{"id": "0", "type": "kitchen"}]},
        "expert_steps": num_steps,
        "path_m": 1.0,
        "shortest_m": 1.0,
        "success": True,
        "meta": {},
    } | changes


def arrays(num_steps, *, cameras=CAMERAS, actions=None, **changes):
    """Of an episode: actions count up to 3 again and again, then done; boxes and the hand tell the step."""
    steps = np.arange(num_steps)
    boxes = np.tile(np.array(MISSING_BOX, np.float32), (num_steps, len(cameras), 2, 1))
    boxes[:, :, 0] = np.stack([steps, steps, steps + 5, steps + 5, np.full(num_steps, 25)], -1)[:, None]
    boxes[:, :, 0, 0] += np.arange(len(cameras))
    return {
        "actions": np.r_[steps[:-1] % 4, 4].astype(np.int8) if actions is None else np.asarray(actions, np.int8),
        "action_success": np.ones(num_steps, bool),
        "is_recovery": np.zeros(num_steps, bool),
        "in_hand": (steps % 2).astype(np.int8),
        "base_pose": np.zeros((num_steps, 3), np.float32),
        "arm": np.zeros((num_steps, 4), np.float32),
        "room": np.zeros(num_steps, np.int16),
        "distance_m": np.ones(num_steps, np.float32),
        "strict_success": steps == num_steps - 1,
        "boxes": boxes,
        "visible": np.zeros((num_steps, len(cameras)), np.int32),
    } | changes


def video(num_steps, *, size=SIZE):
    """An mp4 whose frame t is grey of level 6 t."""
    levels = (GREY_OF_A_STEP * np.arange(num_steps)).astype(np.uint8)
    return encode_mp4(np.broadcast_to(levels[:, None, None, None], (num_steps, *size, 3)), fps=5.0, crf=5)


def episode_files(key, num_steps, **changes):
    """(record, videos, arrays) of an episode; changes are of its record."""
    made = record(key, num_steps, **changes)
    names = tuple(camera["name"] for camera in made["cameras"])
    return made, dict.fromkeys(names, video(num_steps)), arrays(num_steps, cameras=names)


def write_episodes(root: Path, **splits) -> Path:
    """Splits by name: lists of shards, each a list of (key, steps) or of what `episode_files` gives."""
    listing = {}
    for split, shards in splits.items():
        listing[split] = []
        for number, episodes in enumerate(shards):
            with ShardWriter(root / split / shard_name(number), schema=POLICY_SAMPLES) as writer:
                for episode in episodes:
                    made, videos, columns = episode_files(*episode) if len(episode) == 2 else episode
                    writer.write(made, videos, arrays=columns)
            listing[split].append((shard_name(number), len(episodes)))
    write_index(root, splits=listing, generator={"name": "test"}, blind=None, schema=POLICY_SAMPLES)
    return root


def episode_source(folder: Path, split: str = "train") -> Source:
    """A split of such a data set, as a stream reads it."""
    return Source(folder=str(folder), shards=tuple(read_split(folder, split)), check=check_policy_record)
