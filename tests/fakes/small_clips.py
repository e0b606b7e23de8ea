"""Data sets of a few tiny clips, written as ours are; for tests in any folder."""

from pathlib import Path

import numpy as np

from zoo.shards.encode import encode_mp4
from zoo.shards.schema import SCHEMA_NAME, SCHEMA_VERSION
from zoo.shards.writer import ShardWriter, shard_name, write_index

NUM_FRAMES = 6


def record(key, **changes):
    return {
        "schema": SCHEMA_NAME,
        "version": SCHEMA_VERSION,
        "key": key,
        "media": "mp4",
        "width": 16,
        "height": 16,
        "num_frames": NUM_FRAMES,
        "fps": 8.0,
        "annotations": [{"family": "name", "question": "Who?", "answer": key, "temporal": False}],
        "statements": [],
        "meta": {},
    } | changes


def write_split(root, split, shards):
    """shards: for each shard its keys, or (key, media) pairs where the media is to be bad."""
    clip = encode_mp4(np.zeros((NUM_FRAMES, 16, 16, 3), np.uint8), fps=8)
    listing = []
    for number, keys in enumerate(shards):
        with ShardWriter(root / split / shard_name(number)) as writer:
            for entry in keys:
                key, media = (entry, clip) if isinstance(entry, str) else entry
                writer.write(record(key), media)
        listing.append((shard_name(number), len(keys)))
    return listing


def write_dataset(root: Path, **splits) -> Path:
    """Splits by name: lists of shards, each a list of keys."""
    listing = {split: write_split(root, split, shards) for split, shards in splits.items()}
    write_index(root, splits=listing, generator={"name": "test"}, blind=None)
    return root
