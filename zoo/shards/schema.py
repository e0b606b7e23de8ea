"""The versioned JSON records that lie beside the media inside a shard, and the check that every one of them passes.

`VIDEO_QA` is an ordinary JSON Schema (draft 2020-12), so other programs can validate our shards. Writers run
`validate_record` on every sample, readers `check_record`, which is quick where nothing is wrong.
"""

import functools
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from zoo.errors import DataError
from zoo.shards import point_entries
from zoo.shards.quick_check import Check, column_check

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

SCHEMA_NAME = "video_qa"
SCHEMA_VERSION = 1
IMAGES = ("jpg", "png")
TEXT = "text"
"""Media of a sample that shows nothing: no file, and 0 for its size and frames."""
MEDIA = ("mp4", *IMAGES, TEXT)

FAMILY_BYTES = 48
"""Longest name of a question family that metrics keep apart, UTF-8 bytes."""

SHORT_SCORES = ("vqa_score", "relaxed_accuracy", "anls")
"""What a short answer may be scored by (`zoo.metrics.short_answers`)."""

_TEXT = {"type": "string", "minLength": 1}
_COUNT = {"type": "integer", "minimum": 1}
_COUNT_OR_NONE = {"type": "integer", "minimum": 0}  # 0 where nothing is shown; `_contradictions` refuses it elsewhere
_SECONDS = {"type": "number", "minimum": 0}

VIDEO_QA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": SCHEMA_NAME,
    "type": "object",
    "additionalProperties": False,
    "required": [
        *("schema", "version", "key", "media", "width", "height", "num_frames"),
        *("fps", "annotations", "statements", "meta"),
    ],
    "properties": {
        "schema": {"const": SCHEMA_NAME},
        "version": {"const": SCHEMA_VERSION},
        # A tar key ends at its first dot (WebDataset), so a key has none; nor may it climb out of a folder.
        "key": {"type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_/-]*$"},
        "media": {"enum": list(MEDIA)},
        "width": _COUNT_OR_NONE,
        "height": _COUNT_OR_NONE,
        "num_frames": _COUNT_OR_NONE,
        "fps": {"type": "number", "exclusiveMinimum": 0},
        # Sizes of several images, which lie beside the record as <key>.0.jpg, <key>.1.jpg and so on, in order; of
        # them `num_frames` is the number, `width` and `height` those of the first. One image is <key>.jpg.
        "images": {
            "type": "array",
            "minItems": 2,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["width", "height"],
                "properties": {"width": _COUNT, "height": _COUNT},
            },
        },
        "subtitles": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["start_s", "end_s", "text"],
                "properties": {"start_s": _SECONDS, "end_s": _SECONDS, "text": _TEXT},
            },
        },
        # Where the sample is a part of its video: the file's frames before it and in all, `num_frames` being its own.
        "clip": {
            "type": "object",
            "additionalProperties": False,
            "required": ["first_frame", "stored_frames"],
            "properties": {"first_frame": {"type": "integer", "minimum": 0}, "stored_frames": _COUNT},
        },
        "annotations": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["family", "question", "answer", "temporal"],
                "properties": {
                    "family": _TEXT,
                    "question": _TEXT,
                    "answer": _TEXT,
                    "temporal": {"type": "boolean"},
                    "choices": {"type": "array", "minItems": 2, "items": _TEXT},
                    "style": _TEXT,  # name of the kind of question, which prompts may begin with
                    # How an answer is scored, where it is not right or wrong, and all answers that will do.
                    "score": {"enum": list(SHORT_SCORES)},
                    "references": {"type": "array", "minItems": 1, "items": _TEXT},
                    # Earlier turns of the same conversation, oldest first: what this question may refer to.
                    "history": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "additionalProperties": False,
                            "required": ["question", "answer"],
                            "properties": {"question": _TEXT, "answer": _TEXT},
                        },
                    },
                },
            },
        },
        "statements": {"type": "array", "items": _TEXT},
        "descriptions": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["request", "text"],
                "properties": {"request": _TEXT, "text": _TEXT, "style": _TEXT},
            },
        },
        # What the ids in the npz file's `masks` are, 0 being background: how each looks, and what it does.
        "instances": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["id", "text"],
                "properties": {"id": {"type": "integer", "minimum": 1, "maximum": 255}, "text": _TEXT, "deeds": _TEXT},
            },
        },
        # What to point at, to count and to follow.
        "points": point_entries.POINT_ENTRIES,
        "meta": {"type": "object"},
    },
}

MAX_FAULTS = 5  # listed in one message


def validate_record(record: Mapping[str, Any]) -> None:
    """Check a record against the schema and against what a JSON Schema cannot say.

    Args:
        record: One sample's JSON, as written beside its media.
    Raises:
        DataError: names the sample key and the faulty fields, in one message.
    """
    errors = sorted(_validator().iter_errors(record), key=lambda error: list(map(str, error.absolute_path)))
    _refuse([sentence(error) for error in errors] or list(_contradictions(record)), record)


def check_record(record: Any, *, where: str) -> None:
    """The same for a record that was read.

    Args:
        record: One sample's parsed JSON.
        where: Shard and key, for the message.
    Raises:
        DataError: see `check_header` and `validate_record`.
    """
    check_header(record, where=where)
    try:
        if _quick_check()([record]):
            _refuse(list(_contradictions(record)), record)
        else:
            validate_record(record)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def _refuse(faults: list[str], record: Any) -> None:
    if faults:
        key = record.get("key") if isinstance(record, Mapping) else None
        more = f" (and {len(faults) - MAX_FAULTS} more)" if len(faults) > MAX_FAULTS else ""
        shown = "; ".join(faults[:MAX_FAULTS])
        raise DataError(f"sample {key!r} is no {SCHEMA_NAME} v{SCHEMA_VERSION} record: {shown}{more}")


def check_header(record: Mapping[str, Any], *, where: str) -> None:
    """Check only schema name, version and media, whose faults have a reason that can be told.

    Args:
        record: One sample's parsed JSON.
        where: Shard and key, for the message.
    Raises:
        DataError: another schema, a version that this code does not know, or an unknown media type.
    """
    if not isinstance(record, Mapping):
        raise DataError(f"{where}: the JSON is {type(record).__name__}, expected an object with a 'schema' field")
    if record.get("schema") != SCHEMA_NAME:
        raise DataError(f"{where}: schema {record.get('schema')!r}, expected {SCHEMA_NAME!r}")
    if record.get("version") != SCHEMA_VERSION:
        raise DataError(
            f"{where}: {SCHEMA_NAME} version {record.get('version')!r}, this installation reads {SCHEMA_VERSION}; "
            "update molmo-zoo or generate the data again"
        )
    if record.get("media") not in MEDIA:
        raise DataError(f"{where}: media {record.get('media')!r}, expected one of {', '.join(MEDIA)}")


@functools.cache
def _validator() -> "Draft202012Validator":
    from jsonschema import Draft202012Validator  # 0.1 s to import; readers of valid records never need it

    return Draft202012Validator(VIDEO_QA)


@functools.cache
def _quick_check() -> Check:
    return column_check(VIDEO_QA)


def sentence(error: "ValidationError") -> str:
    """One fault with its field, as `annotations[3].answer: '' should be non-empty`."""
    if error.validator == "anyOf":  # a value or null: what is wrong with the value says more than that it is neither
        error = next(inner for inner in error.context if inner.schema_path[0] == 0)
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    message = error.message if len(error.message) <= 160 else f"{error.message[:157]}..."
    return f"{field.lstrip('.') or 'record'}: {message}"


def _contradictions(record: Mapping[str, Any]) -> Iterator[str]:
    yield from point_entries.contradictions(record)
    if not math.isfinite(record["fps"]):
        yield f"fps: {record['fps']} is not a number of frames"
    for index, annotation in enumerate(record["annotations"]):
        choices = annotation.get("choices")
        if choices is not None and annotation["answer"] not in choices:
            yield f"annotations[{index}].answer: {annotation['answer']!r} is not among its choices {choices}"
    clip = record.get("clip")
    if clip is not None and clip["first_frame"] + record["num_frames"] > clip["stored_frames"]:
        yield f"clip: {record['num_frames']} frames from {clip['first_frame']} on, of {clip['stored_frames']} stored"
    yield from _contradicting_sizes(record)
    for index, line in enumerate(record.get("subtitles", ())):
        if line["end_s"] < line["start_s"]:
            yield f"subtitles[{index}].end_s: {line['end_s']} lies before start_s {line['start_s']}"


def _contradicting_sizes(record: Mapping[str, Any]) -> Iterator[str]:
    media, images = record["media"], record.get("images")
    expected = 0 if media == TEXT else 1
    for field in ("width", "height", "num_frames"):
        if (record[field] > 0) != expected:
            yield f"{field}: {record[field]} with media {media!r}, expected {'1 or more' if expected else 0}"
    if images is not None and media not in IMAGES:
        yield f"images: {len(images)} sizes with media {media!r}, expected one of {', '.join(IMAGES)}"
    elif images is not None and len(images) != record["num_frames"]:
        yield f"images: {len(images)} sizes, expected num_frames {record['num_frames']}"
    elif images is not None and images[0] != {name: record[name] for name in ("width", "height")}:
        yield f"images[0]: {images[0]} is another size than the record's {record['width']} x {record['height']}"
    elif images is None and media in IMAGES and record["num_frames"] > 1:
        yield f"num_frames: {record['num_frames']} with media {media!r} and no images, expected 1"
