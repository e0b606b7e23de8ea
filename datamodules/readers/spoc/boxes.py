"""Boxes of the targets: the layout has one for each object and sensor, a shard the best one of each camera.

Source: sheet spoc_ring_holodeck_graspmolmo 1.6 (the larger of the two sensors, the second slot empty), 1.8 (members).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo.datamodules.readers.spoc.layout import EDGES, NO_EDGE, text_of
from zoo.shards.policy_episode import BOX_VALUES, BOXES_PER_CAMERA, MISSING_BOX

OBJECTS, SYNSETS = "oids_as_bytes", "synset_to_oids_as_bytes"


def missing(rows: int) -> np.ndarray:
    """(rows, 5) float32 of boxes that are not there."""
    return np.tile(np.array(MISSING_BOX, np.float32), (rows, 1))


def largest(group: Mapping[str, Any], targets: Sequence[str]) -> np.ndarray:
    """(rows, 5) float32: the largest visible box of some objects in each row.

    Args:
        group: Members of the layout: objects in a JSON list, and (rows, objects) edges.
        targets: Ids of the objects that count; others are in the group as references.
    Raises:
        ValueError: the list of objects is none, or edges are not (rows, objects).
        KeyError: a member is missing.
    """
    objects = json.loads(text_of(group[OBJECTS][0]))
    edges = np.stack([np.asarray(group[name], np.float32) for name in EDGES], axis=-1)  # (rows, objects, 4)
    if not isinstance(objects, list) or edges.ndim != 3 or edges.shape[1] != len(objects):
        raise ValueError(f"edges {edges.shape[:-1]} of {len(objects)} objects, expected (rows, objects)")
    wanted = set(targets)
    edges = edges[:, [place for place, name in enumerate(objects) if name in wanted]]
    if not edges.shape[1]:
        return missing(len(edges))
    is_visible = (edges != NO_EDGE).all(axis=-1)
    # Some files have rows the other way round.
    low, high = np.minimum(edges[..., :2], edges[..., 2:]), np.maximum(edges[..., :2], edges[..., 2:])
    areas = np.where(is_visible, np.prod(high - low, axis=-1), -1)
    rows, best = np.arange(len(edges)), areas.argmax(axis=1)
    found = np.concatenate([low[rows, best], high[rows, best], areas[rows, best, None]], axis=1)
    return np.where(is_visible.any(axis=1)[:, None], found, missing(len(edges))).astype(np.float32)


def best_of(sensors: Sequence[np.ndarray]) -> np.ndarray:
    """(rows, slots, 5): in slot 0 the larger box of the sensors, the first one's where they are equal."""
    rows = len(sensors[0])
    found = np.stack([sensors[0], *(missing(rows) for _ in range(BOXES_PER_CAMERA - 1))], axis=1)
    for sensor in sensors[1:]:
        is_larger = sensor[:, BOX_VALUES - 1] > found[:, 0, BOX_VALUES - 1]
        is_better = is_larger | (is_missing(found[:, 0]) & ~is_missing(sensor))
        found[is_better, 0] = sensor[is_better]
    return found


def is_missing(boxes: np.ndarray) -> np.ndarray:
    """(rows,) bool of (rows, 5), True where there is none."""
    return (boxes == np.array(MISSING_BOX, np.float32)).all(axis=1)


def edges_of(boxes: np.ndarray, num_objects: int) -> dict[str, np.ndarray]:
    """(rows, objects) float32 by member: each row's box belongs to the first object, the others are not visible.

    Args:
        boxes: (rows, 5).
        num_objects: None of which may have a box where there are none.
    """
    is_there = ~is_missing(boxes)
    members = {}
    for place, name in enumerate(EDGES):
        edge = np.full((len(boxes), num_objects), NO_EDGE, np.float32)
        edge[is_there, :1] = boxes[is_there, place, None]
        members[name] = edge
    return members
