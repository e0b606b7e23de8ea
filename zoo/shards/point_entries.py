"""What a record knows of places: things to point at, to count and to follow, in the list `points`.

An entry holds its true points themselves, or names columns of the npz file's `points_px` and `visible`, from which the
points at whatever frames are shown are taken. Kinds and styles are those of `zoo.points`.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from zoo.points import KINDS, STYLES, TAGS

POINT_VALUES = 4


def nullable(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A value or nothing."""
    return {"anyOf": [dict(schema), {"type": "null"}]}


_NUMBER = {"type": "number"}
# Key, object's id, x and y in pixels of the source (`zoo.points.Point`).
_POINT = {"type": "array", "minItems": POINT_VALUES, "maxItems": POINT_VALUES, "items": _NUMBER}
_COUNT = {"type": "integer", "minimum": 0}

POINT_ENTRIES: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["label", "kind"],
        "properties": {
            "label": {"type": "string", "minLength": 1},
            "question": nullable({"type": "string", "minLength": 1}),  # none: the heads' own wordings
            "kind": {"enum": list(KINDS)},
            "fps": nullable({"type": "number", "exclusiveMinimum": 0}),  # of the frames that tracks cover
            "style": nullable({"enum": list(STYLES)}),  # of the answer; none: the head chooses
            "points": nullable({"type": "array", "items": _POINT}),
            "objects": nullable({"type": "array", "items": _COUNT}),
            "count": nullable(_COUNT),
            "seed": nullable(_POINT),  # the point from which `single_point` follows on
            # Masks that answers are scored by: ids of points in the npz file's `masks`, or run lengths as COCO's.
            "masks": nullable({"enum": ["npz"]}),
            "rle": nullable(
                {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["key", "id", "size", "counts"],
                        "properties": {
                            "key": {"type": "number", "minimum": 0},
                            "id": {"type": "integer", "minimum": 1},
                            "size": {"type": "array", "minItems": 2, "maxItems": 2, "items": _COUNT},
                            "counts": {"type": "string", "minLength": 1},
                        },
                    },
                }
            ),
        },
    },
}
"""JSON Schema of a record's `points`."""


def contradictions(record: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the `points` of a record that passes the schema, each fault with its field."""
    for index, entry in enumerate(record.get("points", ())):
        for fault in _faults(entry, record):
            yield f"points[{index}].{fault}"


def _faults(entry: Mapping[str, Any], record: Mapping[str, Any]) -> Iterator[str]:
    points, objects, seed = entry.get("points"), entry.get("objects"), entry.get("seed")
    if entry.get("fps") is not None and not math.isfinite(entry["fps"]):
        yield f"fps: {entry['fps']} is not a number of frames"
    if points is not None and objects is not None:
        yield "objects: given beside points; expected one of them"
    if points is None and objects is None and (entry.get("count") is None or TAGS[entry["kind"]] == "tracks"):
        yield "points: missing; expected points, objects, or for counting alone a count"
    if objects is not None and len(set(objects)) != len(objects):
        yield f"objects: {objects} names a column twice"
    if entry["kind"] != "single_point" and seed is not None:
        yield f"seed: given with kind {entry['kind']!r}; it belongs to 'single_point'"
    if entry["kind"] == "single_point" and seed is None and points is not None:
        yield "seed: missing; points of kind 'single_point' follow on from one"
    if seed is not None and (fault := _fault_of_point(seed, record)):
        yield f"seed: {fault}"
    seen: set[tuple[float, float]] = set()
    for place, point in enumerate(points or ()):
        if fault := _fault_of_point(point, record):
            yield f"points[{place}]: {fault}"
        if (point[0], point[1]) in seen:
            yield f"points[{place}]: object {point[1]} stands twice at {point[0]}"
        seen.add((point[0], point[1]))


def _fault_of_point(point: list[float], record: Mapping[str, Any]) -> str | None:
    key, object_id, x, y = point
    if not all(map(math.isfinite, point)):
        return f"{point} holds what is no number"
    if object_id < 1 or object_id != int(object_id):
        return f"an object's id is a whole number from 1 on, got {object_id}"
    sizes = [(image["width"], image["height"]) for image in record.get("images", (record,))]
    if record["media"] != "mp4":
        if key != int(key) or not 1 <= key <= len(sizes):
            return f"no image {key}; images are numbered 1 to {len(sizes)}"
        width, height = sizes[int(key) - 1]
    else:
        if not (key >= 0 and key * record["fps"] <= record["num_frames"]):
            return f"{key} s lies outside of a clip of {record['num_frames']} frames at {record['fps']:g} frames/s"
        width, height = sizes[0]
    if not (0 <= x <= width and 0 <= y <= height):
        return f"({x}, {y}) lies outside of its {width} x {height} pixels"
    return None
