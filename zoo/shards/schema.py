"""The versioned JSON records that lie beside the media inside a shard, and the check that every one of them passes.

`VIDEO_QA` is an ordinary JSON Schema (draft 2020-12), so other programs can validate our shards. `validate_record`
understands exactly the keywords which that schema uses; writers run it on every sample, readers run `check_header` only.
"""

import re
from collections.abc import Mapping
from typing import Any

from zoo.errors import DataError

SCHEMA_NAME = "video_qa"
SCHEMA_VERSION = 1
MEDIA = ("mp4", "jpg")

_TEXT = {"type": "string", "minLength": 1}
_COUNT = {"type": "integer", "minimum": 1}

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
        "width": _COUNT,
        "height": _COUNT,
        "num_frames": _COUNT,
        "fps": {"type": "number", "exclusiveMinimum": 0},
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
                },
            },
        },
        "statements": {"type": "array", "items": _TEXT},
        "meta": {"type": "object"},
    },
}

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (Mapping,),
    "array": (list, tuple),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}
_KEYWORDS = frozenset(
    {
        *("$schema", "title", "type", "required", "properties", "additionalProperties", "items", "minItems"),
        *("minimum", "exclusiveMinimum", "minLength", "pattern", "const", "enum"),
    }
)


def validate_record(record: Mapping[str, Any], schema: Mapping[str, Any] = VIDEO_QA) -> None:
    """Check a record against the schema and against what a JSON Schema cannot say.

    Args:
        record: One sample's JSON, as written beside its media.
        schema: Schema to check against.
    Raises:
        DataError: names the sample key and every faulty field, in one message.
    """
    faults = list(_faults(record, schema, ""))
    if not faults and schema is VIDEO_QA:
        faults = list(_answer_faults(record))
    if faults:
        key = record.get("key", "?") if isinstance(record, Mapping) else "?"
        more = f" (and {len(faults) - 5} more)" if len(faults) > 5 else ""
        raise DataError(f"sample {key!r} is no {SCHEMA_NAME} v{SCHEMA_VERSION} record: {'; '.join(faults[:5])}{more}")


def check_header(record: Mapping[str, Any], *, where: str) -> None:
    """Check only schema name, version and media, which is cheap enough for every read.

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


def _answer_faults(record: Mapping[str, Any]):
    for index, annotation in enumerate(record["annotations"]):
        choices = annotation.get("choices")
        if choices is not None and annotation["answer"] not in choices:
            yield f"annotations[{index}].answer {annotation['answer']!r} is not among its choices {choices}"
    if record["media"] == "jpg" and record["num_frames"] != 1:
        yield f"num_frames {record['num_frames']} with media 'jpg', expected 1"


def _faults(value: Any, schema: Mapping[str, Any], path: str):
    """Yield one sentence per violation; `path` is the field, as `annotations[3].answer`."""
    name = path or "record"
    unknown = set(schema) - _KEYWORDS
    assert not unknown, f"keywords that this validator does not know: {sorted(unknown)}"
    kind = schema.get("type")
    if kind is not None and not _is_type(value, kind):
        yield f"{name} is {type(value).__name__} {_short(value)}, expected {kind}"
        return
    if "const" in schema and value != schema["const"]:
        yield f"{name} is {_short(value)}, expected {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{name} is {_short(value)}, expected one of {', '.join(map(str, schema['enum']))}"
    if kind == "string":
        yield from _string_faults(value, schema, name)
    elif kind in ("integer", "number"):
        yield from _number_faults(value, schema, name)
    elif kind == "array":
        if len(value) < schema.get("minItems", 0):
            yield f"{name} has {len(value)} items, expected {schema['minItems']} or more"
        for index, item in enumerate(value):
            yield from _faults(item, schema["items"], f"{path}[{index}]")
    elif kind == "object":
        yield from _object_faults(value, schema, path)


def _string_faults(value: str, schema: Mapping[str, Any], name: str):
    if len(value) < schema.get("minLength", 0):
        yield f"{name} is empty"
    if "pattern" in schema and re.search(schema["pattern"], value) is None:
        yield f"{name} is {_short(value)}, expected to match {schema['pattern']}"


def _number_faults(value: float, schema: Mapping[str, Any], name: str):
    if not value >= schema.get("minimum", value):  # written so that nan fails
        yield f"{name} is {value}, expected {schema['minimum']} or more"
    if "exclusiveMinimum" in schema and not value > schema["exclusiveMinimum"]:
        yield f"{name} is {value}, expected more than {schema['exclusiveMinimum']}"


def _object_faults(value: Mapping[str, Any], schema: Mapping[str, Any], path: str):
    prefix = f"{path}." if path else ""
    properties = schema.get("properties", {})
    for field in schema.get("required", ()):
        if field not in value:
            yield f"{prefix}{field} is missing"
    for field, item in value.items():
        if field in properties:
            yield from _faults(item, properties[field], f"{prefix}{field}")
        elif schema.get("additionalProperties", True) is False:
            yield f"{prefix}{field} is not a field of this schema"


def _is_type(value: Any, kind: str) -> bool:
    if isinstance(value, bool):  # a bool is an int for Python, not for JSON
        return kind == "boolean"
    return isinstance(value, _TYPES[kind])


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
