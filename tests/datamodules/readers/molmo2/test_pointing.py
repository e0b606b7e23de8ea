"""Points in videos: percent to pixels, times to the clip's, bins, and rows that contradict themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from molmo2_rows import FPS, HEIGHT, WIDTH, count_eval, lines, made, media, point, point_eval, rle, video

from zoo.datamodules.readers.molmo2.points import compressed
from zoo.errors import DataError
from zoo.points import Canvas, Point, answer_points, answer_text


@pytest.fixture
def read(tmp_path):
    media(tmp_path / "media")
    video(tmp_path / "media" / "long.mp4", frames=80 * FPS)

    def read(name, rows, **arguments):
        source = lines(tmp_path / "rows.jsonl", rows)
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        return [s.record for s in made(name, source, out, media_root=str(tmp_path / "media"), **arguments)]

    return read


def long(**more):
    times = {"video_duration": 80.0, "clip_start": 20.5, "clip_end": 30.5, "two_fps_timestamps": [20.5, 30.0]}
    return point(video_id="long", **times) | more


def test_places_are_pixels_in_the_order_of_the_text(read):
    (record,) = read("molmo2_video_point", [point()])
    (told,) = record["points"]
    assert told == {
        "label": "red cup",
        "question": "How many red cups are there?",
        "kind": "points",
        "fps": None,
        "style": None,
        "points": [
            [0.5, 1, 0.5 * WIDTH, 0.25 * HEIGHT],
            [2.0, 2, pytest.approx(0.1 * WIDTH), 0.75 * HEIGHT],
            [2.0, 3, pytest.approx(0.9 * WIDTH), HEIGHT],
        ],
        "count": 3,
        "seed": None,
        "masks": None,
    }
    canvas = Canvas(sizes_px=((record["width"], record["height"]),), times_s=(0.0, 0.5, 1.0, 2.0))
    points = answer_points([Point(*one) for one in told["points"]], "points")
    text = '<points coords="0.5 1 500 250;2.0 2 100 750 3 900 1000">red cup</points>'
    assert answer_text(points, told["label"], canvas, kind="points") == text


def test_long_videos_are_cut_and_times_count_from_the_cut(read):
    (record,) = read("molmo2_video_point", [long()])
    assert record["num_frames"] == 10 * FPS + 1
    assert 0 < record["clip"]["first_frame"] < record["clip"]["stored_frames"] < 80 * FPS
    assert [one[0] for one in record["points"][0]["points"]] == [0.0, 9.5, 9.5]


def test_questions_about_one_clip_are_one_sample(read):
    rows = [long(), long(label="cat", clip_end=40.5), long(label="dog")]
    records = read("molmo2_video_point", rows)
    assert sorted(len(record["points"]) for record in records) == [1, 2]
    assert len({record["key"] for record in records}) == 2


def test_nothing_to_point_to(read):
    (record,) = read("molmo2_video_point", [point(points=[], two_fps_timestamps=[], count=0)])
    assert (record["points"][0]["points"], record["points"][0]["count"]) == ([], 0)


def test_files_of_two_frames_a_second(read, tmp_path):
    video(tmp_path / "media" / "sora2-2fps" / "film_2fps.mp4", fps=2, frames=12)
    (record,) = read("molmo2_video_point", [point(video_id="sora2/film")])
    assert record["fps"] == pytest.approx(2)


@pytest.mark.parametrize(("bounds", "kept"), [((0, 5), {"few"}), ((6, 25), {"some"}), ((26, 60), {"many"})])
def test_bins_of_the_number_of_points(read, bounds, kept, caplog):
    rows = [
        point(label=label, count=None, points=[[{"x": n % 100, "y": 1} for n in range(count)]], two_fps_timestamps=[1])
        for label, count in (("few", 5), ("some", 6), ("many", 60), ("too many", 61))
    ]
    (record,) = read("molmo2_video_point", rows, min_points=bounds[0], max_points=bounds[1])
    assert {one["label"] for one in record["points"]} == kept
    assert "3 rows were left out: fewer than" in caplog.text


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (point(annotator_unsure=True), "annotator_unsure"),
        (point(count=4), "count is not the number of points"),
        (point(points=[[], []], count=3), "count is not the number of points"),
        (point(video_duration=80.0), "a video above 63 s without a clip"),
        (long(clip_start=1.0, clip_end=65.0), "a clip above 63 s"),
    ],
)
def test_rows_that_are_whole_and_not_wanted_are_told_apart_from_faults(read, row, reason, caplog):
    (record,) = read("molmo2_video_point", [row, point(label="cat")])
    assert [one["label"] for one in record["points"]] == ["cat"]
    assert f"molmo2_video_point: 1 rows were left out: {reason}" in caplog.text
    assert "bad" not in caplog.text


def test_unsure_annotators_may_be_kept(read):
    (record,) = read("molmo2_video_point", [point(annotator_unsure=True)], keep_unsure=True)
    assert record["points"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (point(two_fps_timestamps=[0.5]), "2 lists of points for 1 times"),
        (
            point(points=[[{"x": 100.5, "y": 1}], [{"x": 1, "y": 1}, {"x": 1, "y": 1}]]),
            r"point \(100\.5, 1\) lies outs",
        ),
        (point(points=[[{"x": -1, "y": 1}], [{"x": 1, "y": 1}, {"x": 1, "y": 1}]]), r"point \(-1, 1\) lies outside"),
        (point(points=[[{"x": None, "y": 1}], [{"x": 1, "y": 1}, {"x": 1, "y": 1}]]), "points is None, expected a num"),
        (point(points=[["x"], [{"x": 1, "y": 1}] * 2]), "points holds 'x', expected a point: x and y"),
        (point(two_fps_timestamps=[0.5, 9.5]), r"at 9\.5 s, the last frame is at 5\.75 s"),
        (long(two_fps_timestamps=[20.5, 31.0]), "point at 31 s, outside of its clip from 20.5 to 30.5 s"),
        (long(clip_start=30.5, clip_end=20.5), "clip_start is 30.5 and clip_end 20.5 s"),
        (long(clip_start=70.0, clip_end=90.0, two_fps_timestamps=[71, 72]), "the clip ends at 90 s, the video at 79.8"),
        (point(video_duration="long"), "video_duration is 'long', expected a number"),
        (point(label=" "), "an empty label"),
    ],
)
def test_rows_that_contradict_themselves_or_their_video(read, row, words):
    with pytest.raises(DataError, match=words):
        read("molmo2_video_point", [row], on_bad_sample="raise")


def test_a_time_on_the_grid_right_behind_the_end_is_the_last_frame(read):
    (record,) = read("molmo2_video_point", [point(two_fps_timestamps=[0.5, 6.0])])
    assert record["points"][0]["points"][-1][0] == 5.75


def test_points_of_the_evaluation_keep_their_own_masks(read):
    (record,) = read("molmo2_video_point_eval", [point_eval()])
    (told,) = record["points"]
    assert told["points"] == [[1.0, 1, 5.0, 5.0], [1.0, 2, 20.0, 15.0]]
    assert (told["count"], told["style"]) == (2, "point_count")
    assert [(mask["id"], mask["key"]) for mask in told["rle"]] == [(1, 1.0), (2, 1.0), (2, 1.5)]
    small, first, _ = (mask["counts"] for mask in told["rle"])
    assert (small, first) == (compressed(rle()["counts"]), compressed(rle(x=slice(15, 25))["counts"]))


@given(runs=st.lists(st.integers(0, 5000), max_size=40))
def test_run_lengths_as_text_say_the_same(runs):
    """Read back by the definition of the format."""
    found, value, shift = [], 0, 0
    for character in compressed(runs):
        code = ord(character) - 48
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        found.append(value + (found[-2] if len(found) > 2 else 0))
        value = shift = 0
    assert found == runs


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"masks": [[]]}, "2 points, 1 lists of masks and 2 times"),
        ({"masks": [[{"frame_id": 1, "rle": {"size": [1, 1]}}], []]}, "expected size and counts"),
        ({"masks": [[{"frame_id": -1, "rle": {}}], []]}, "frame_id is -1, expected a whole number"),
        ({"width": 0}, "width is 0, expected a whole number of at least 1"),
        ({"points": [{"x": 65, "y": 1}, {"x": 1, "y": 1}]}, r"point \(65, 1\) lies outside of its frame of 64 x 32"),
    ],
)
def test_evaluation_rows_that_are_broken(read, change, words):
    with pytest.raises(DataError, match=words):
        read("molmo2_video_point_eval", [point_eval(**change)], on_bad_sample="raise")


def test_counting_has_numbers_without_points(read):
    (record,) = read("molmo2_video_count_eval", [count_eval()])
    (told,) = record["points"]
    assert (told["count"], told["style"], told["points"]) == (7, "count", [])
    assert record["num_frames"] == 3 * FPS + 1
    with pytest.raises(DataError, match=r"count is 2\.5, expected a whole number"):
        read("molmo2_video_count_eval", [count_eval(count=2.5)], on_bad_sample="raise")
