"""The record schema: what passes, what is refused, and with which words."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import DataError
from zoo.shards.schema import VIDEO_QA, check_header, check_record, validate_record

GOOD = {
    "schema": "video_qa",
    "version": 1,
    "key": "train-000000-00001",
    "media": "mp4",
    "width": 144,
    "height": 144,
    "num_frames": 20,
    "fps": 8.0,
    "annotations": [
        {"family": "count", "question": "How many?", "answer": "3", "temporal": False, "choices": ["3", "4"]},
        {"family": "shape", "question": "What shape?", "answer": "cube", "temporal": False},
    ],
    "statements": ["there are 3 objects"],
    "clip": {"first_frame": 4, "stored_frames": 24},
    "points": [
        {"label": "cube", "question": None, "kind": "points", "points": [[0.5, 1, 70, 72.5]], "masks": "npz"},
        {"label": "cubes", "kind": "tracks", "fps": 2.0, "objects": [0, 1]},
        {"label": "ball", "kind": "single_point", "points": [[0.5, 1, 9, 9]], "seed": [0, 1, 8, 9]},
        {"label": "balls", "kind": "points", "style": "count", "count": 4},
    ],
    "meta": {"anything": [1, None]},
}

BAD = {
    "another schema": (("schema",), "image_qa", "schema"),
    "a newer version": (("version",), 2, "version"),
    "a key with a dot": (("key",), "clip.1", "key"),
    "a key that climbs": (("key",), "../clip", "key"),
    "an unknown media": (("media",), "avi", "media"),
    "a width as text": (("width",), "144", "width"),
    "a boolean width": (("width",), True, "width"),
    "no frames": (("num_frames",), 0, "num_frames"),
    "no rate": (("fps",), 0.0, "fps"),
    "a rate that is no number": (("fps",), float("nan"), "fps"),
    "an empty answer": (("annotations", 1, "answer"), "", r"annotations\[1\].answer"),
    "an answer outside its choices": (("annotations", 0, "answer"), "9", r"annotations\[0\].answer"),
    "one choice": (("annotations", 0, "choices"), ["3"], r"annotations\[0\].choices"),
    "temporal as text": (("annotations", 0, "temporal"), "no", r"annotations\[0\].temporal"),
    "an unknown field": (("annotations", 0, "note"), "x", "note"),
    "a statement that is a number": (("statements", 0), 3, r"statements\[0\]"),
    "several frames in a jpg": (("media",), "jpg", "num_frames"),
    "no height": (("height",), 0, "height"),
    "a size without a picture": (("media",), "text", "width: 144 with media 'text', expected 0"),
    "sizes of images of a video": (("images",), [{"width": 144, "height": 144}] * 20, "images: 20 sizes with media"),
    "a set of one image": (("images",), [{"width": 144, "height": 144}], "images"),
    "a subtitle that ends before it begins": (
        ("subtitles",),
        [{"start_s": 2.0, "end_s": 1.0, "text": "x"}],
        r"subtitles\[0\].end_s: 1.0 lies before",
    ),
    "a subtitle without text": (("subtitles",), [{"start_s": 0.0, "end_s": 1.0, "text": ""}], "subtitles"),
    "an empty style": (("annotations", 0, "style"), "", r"annotations\[0\].style"),
    "a clip behind its video": (("clip", "first_frame"), 5, "clip: 20 frames from 5 on, of 24 stored"),
    "a clip of no video": (("clip", "stored_frames"), 0, "clip.stored_frames"),
    "a kind of places that is none": (("points", 0, "kind"), "boxes", r"points\[0\].kind"),
    "a style that is none": (("points", 3, "style"), "guess", r"points\[3\].style"),
    "a point of three numbers": (("points", 0, "points", 0), [0.5, 1, 70], r"points\[0\].points\[0\]"),
    "an object without a number": (("points", 0, "points", 0), [0.5, 0, 70, 7], "whole number from 1 on, got 0"),
    "a point behind the end": (("points", 0, "points", 0), [2.6, 1, 7, 7], "2.6 s lies outside of a clip of 20 frames"),
    "a point beside the picture": (("points", 0, "points", 0), [0, 1, 7, 145], r"\(7, 145\) lies outside of its 144 x"),
    "a point that is no number": (("points", 0, "points", 0), [0, 1, float("nan"), 1], "is no number"),
    "an object twice in a frame": (("points", 0, "points"), [[0, 1, 7, 7], [0, 1, 8, 8]], "object 1 stands twice at 0"),
    "points and columns": (("points", 0, "objects"), [0], r"points\[0\].objects: given beside points"),
    "a column twice": (("points", 1, "objects"), [1, 1], r"\[1, 1\] names a column twice"),
    "tracks of nothing": (("points", 1, "objects"), None, r"points\[1\].points: missing"),
    "nothing to count": (("points", 3, "count"), None, r"points\[3\].points: missing"),
    "a seed of something else": (("points", 0, "seed"), [0, 1, 8, 9], "belongs to 'single_point'"),
    "no seed": (("points", 2, "seed"), None, r"points\[2\].seed: missing"),
    "a seed beside the picture": (("points", 2, "seed"), [0, 1, 8, 999], r"points\[2\].seed: \(8, 999\)"),
    "an endless rate of tracks": (("points", 1, "fps"), float("inf"), r"points\[1\].fps"),
}

PLAIN = {name: value for name, value in GOOD.items() if name not in ("clip", "points")}  # which are of a video
IMAGES = PLAIN | {
    "media": "jpg",
    "num_frames": 2,
    "images": [{"width": 144, "height": 144}, {"width": 9, "height": 200}],
}
TEXT = PLAIN | {"media": "text", "width": 0, "height": 0, "num_frames": 0}


@pytest.mark.parametrize(
    "record",
    [IMAGES, TEXT, GOOD | {"subtitles": [{"start_s": 0, "end_s": 1.5, "text": "x"}]}],
    ids=["set", "text", "sub"],
)
def test_sets_text_and_subtitles_pass(record):
    validate_record(record)
    check_record(json.loads(json.dumps(record)), where="here")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"num_frames": 3}, "images: 2 sizes, expected num_frames 3"),
        ({"width": 9}, r"images\[0\]: .* is another size than the record's 9 x 144"),
    ],
)
def test_sets_that_contradict_their_record_are_refused(changes, match):
    with pytest.raises(DataError, match=match):
        validate_record(IMAGES | changes)


def test_a_good_record_passes():
    validate_record(GOOD)
    validate_record(json.loads(json.dumps(GOOD)))
    check_header(GOOD, where="here")
    check_record(GOOD, where="here")
    check_record(GOOD | {"width": 144.0}, where="here")  # an integer to JSON Schema, and so no fault


@pytest.mark.parametrize("name", BAD)
def test_a_bad_record_is_refused_with_key_and_field(name):
    path, value, field = BAD[name]
    record = copy.deepcopy(GOOD)
    place = record
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(DataError, match=field) as caught:
        validate_record(record)
    assert repr(record["key"]) in str(caught.value)
    with pytest.raises(DataError, match=rf"^shard 7: .*{field}"):
        check_record(record, where="shard 7")


@pytest.mark.parametrize(
    ("point", "fault"), [([1, 1, 9, 9], None), ([2, 1, 9, 9], "no image 2"), ([0, 1, 9, 9], "1 to 1")]
)
def test_points_of_images_name_an_image(point, fault):
    entry = {"label": "x", "kind": "points", "points": [point]}
    record = GOOD | {"media": "jpg", "num_frames": 1, "points": [entry]}
    if fault is None:
        validate_record(record)
        return
    with pytest.raises(DataError, match=fault):
        validate_record(record)


@pytest.mark.parametrize("field", VIDEO_QA["required"])
def test_each_required_field_is_missed_by_name(field):
    with pytest.raises(DataError, match=f"'{field}' is a required property"):
        validate_record({name: value for name, value in GOOD.items() if name != field})


def test_many_faults_are_cut_short():
    record = copy.deepcopy(GOOD) | {"annotations": [{"family": ""}] * 4}
    with pytest.raises(DataError, match=r"and \d+ more"):
        validate_record(record)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": "image_qa"}, "image_qa"),
        ({"version": 9}, "version 9.*reads 1"),
        ({"version": None}, "version None"),
        ({"media": "gif"}, "gif"),
    ],
)
def test_header_check_names_place_and_fault(change, words):
    with pytest.raises(DataError, match=f"shard 7: .*{words}"):
        check_header(GOOD | change, where="shard 7")


def test_header_check_of_something_else():
    with pytest.raises(DataError, match="list"):
        check_header([GOOD], where="shard 7")  # type: ignore[arg-type]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(field=st.sampled_from(sorted(GOOD)), value=JSON)
def test_any_json_in_any_field_passes_or_is_a_data_error(field, value):
    record = GOOD | {field: value}
    try:
        validate_record(record)
    except DataError as error:
        # Another media, size or length is told by what no longer fits it.
        assert field in str(error) or field in ("media", "width", "height", "num_frames", "fps")  # noqa: PT017 - by value
        with pytest.raises(DataError, match="here"):
            check_record(record, where="here")
    else:
        check_record(record, where="here")
