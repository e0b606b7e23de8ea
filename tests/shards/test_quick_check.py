"""The quick check says yes only where jsonschema does, and says yes to what is ordinarily read."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from zoo.shards.quick_check import column_check
from zoo.shards.schema import VIDEO_QA

RECORD = {
    "schema": "video_qa",
    "version": 1,
    "key": "train/00001",
    "media": "mp4",
    "width": 144,
    "height": 144,
    "num_frames": 20,
    "fps": 8.0,
    "annotations": [
        {"family": "count", "question": "How many?", "answer": "3", "temporal": False, "choices": ["3", "4"]},
        {"family": "shape", "question": "What shape?", "answer": "cube", "temporal": True},
    ],
    "statements": ["there are 3 objects"],
    "descriptions": [{"request": "Describe.", "text": "A cube."}],
    "instances": [{"id": 1, "text": "red cube"}],
    "points": [
        {
            "label": "red cube",
            "question": None,
            "kind": "points",
            "fps": None,
            "style": "point_count",
            "points": [[0.5, 1, 70, 71.5]],
            "objects": None,
            "count": 1,
            "seed": None,
            "masks": "npz",
            "rle": [{"key": 0.5, "id": 1, "size": [144, 144], "counts": "a0"}],
        },
        {"label": "cubes", "question": "Follow the cubes.", "kind": "tracks", "fps": 2.0, "objects": [0, 3]},
    ],
    "meta": {"anything": [1, None]},
}
CHECK = column_check(VIDEO_QA)

SCALARS = st.none() | st.booleans() | st.integers(-2, 300) | st.floats() | st.sampled_from(["", "a", "mp4", "a.b"])
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "text", "family", "answer", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(value, path=()):
    """Paths of everything inside a value."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in entries:
        yield (*path, name)
        yield from places(inner, (*path, name))


def at(value, path):
    for step in path:
        value = value[step]
    return value


def test_what_is_ordinarily_read_passes():
    assert CHECK([RECORD])
    assert CHECK([{name: RECORD[name] for name in VIDEO_QA["required"]}])
    assert CHECK([RECORD | {name: [] for name in ("annotations", "statements", "descriptions", "instances", "points")}])


@given(data=st.data())
def test_a_yes_is_the_schema_s_yes(data):
    """Records with one or two values replaced, removed or added."""
    record = copy.deepcopy(RECORD)
    for _ in range(data.draw(st.integers(1, 2))):
        *path, last = data.draw(st.sampled_from(list(places(record))))
        holder, change = at(record, path), data.draw(st.sampled_from(["replace", "remove", "add"]))
        if change == "replace":
            holder[last] = data.draw(JSON)
        elif change == "remove":
            del holder[last]
        elif isinstance(holder, dict):
            holder[data.draw(st.sampled_from(["x", "choices", "id", "text"]))] = data.draw(JSON)
        else:
            holder.append(data.draw(JSON))
    if CHECK([record]):
        assert Draft202012Validator(VIDEO_QA).is_valid(record)


@pytest.mark.parametrize("schema", [VIDEO_QA["properties"][name] for name in VIDEO_QA["properties"]])
@given(data=st.data())
def test_every_field_alone(schema, data):
    value = data.draw(JSON)
    if column_check(schema)([value]):
        assert Draft202012Validator(schema).is_valid(value)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string", "format": "date"}, "keywords .'format'. are not"),
        ({"enum": [1, 2]}, "enumeration"),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "something else than a value and null"),
        ({"type": "object", "additionalProperties": {}}, "expected true or false"),
        ({"minimum": 3}, "without const, enum, anyOf or type"),
    ],
)
def test_what_it_does_not_know_is_an_error(schema, words):
    with pytest.raises(ValueError, match=words):
        column_check(schema)
