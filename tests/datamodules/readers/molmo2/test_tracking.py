"""Tracks: both views of the rows, the three tasks, clips of whole videos, masks."""

import json

import pytest
from molmo2_rows import FPS, FRAMES, HEIGHT, WIDTH, instruction, lines, made, media, rle, track, track_eval, video

from zoo.errors import DataError


@pytest.fixture
def read(tmp_path):
    media(tmp_path / "media")

    def read(rows, name="molmo2_video_track", **arguments):
        source = lines(tmp_path / "rows.jsonl", rows)
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        return [s.record for s in made(name, source, out, media_root=str(tmp_path / "media"), **arguments)]

    return read


def of_object(told, object_id):
    return [one for one in told["points"] if one[1] == object_id]


def test_the_raw_view_is_thinned_to_its_rate(read):
    (record,) = read([track()])
    (told,) = record["points"]
    assert (told["label"], told["kind"], told["fps"], told["count"]) == ("the people who run", "tracks", 2.0, 2)
    assert [one[0] for one in of_object(told, 1)] == [number / 2 for number in range(12)]
    assert of_object(told, 1)[3] == [1.5, 1, 16.0, 16.0]
    assert [one[0] for one in of_object(told, 2)] == [2.0, 2.5, 3.0, 3.5, 4.0]
    (slow,) = read([track()], sampling_fps=1.0)
    assert [one[0] for one in of_object(slow["points"][0], 1)] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_the_instruction_view_has_its_own_rate_and_leaves_out_what_is_hidden(read):
    (record,) = read([instruction()])
    (told,) = record["points"]
    assert told["fps"] == 1
    # at 1 s the second object stands further left, but the first one appeared before it
    assert told["points"] == [[0.0, 1, 10, 16], [1.0, 1, 14, 16], [1.0, 2, 3, 4], [2.0, 2, 5, 8]]
    (text,) = read([instruction(frame_trajectories=json.dumps(instruction()["frame_trajectories"]))])
    assert text["points"] == record["points"]


def test_objects_are_numbered_as_they_appear_and_by_place(read):
    first = {"object_id": "m3", "points": [[40, 9]] * FRAMES}
    second = {"object_id": "m7", "points": [[20, 9]] * FRAMES}
    (record,) = read([track(points=[first, second])])
    assert record["points"][0]["points"][:2] == [[0.0, 1, 20, 9], [0.0, 2, 40, 9]]


def test_ground_asks_for_the_ends_of_each_track(read):
    (record,) = read([track()], task="ground")
    (told,) = record["points"]
    assert told["kind"] == "ground"
    assert [(one[0], one[1]) for one in told["points"]] == [(0.0, 1), (2.0, 2), (4.0, 2), (5.5, 1)]


def test_a_single_point_is_followed_object_by_object(read):
    (record,) = read([track()], task="single_point_track")
    first, second = record["points"]
    assert (first["seed"], first["kind"], first["count"]) == ([0.0, 1, 10, 16], "single_point", 1)
    assert second["seed"] == [2.0, 1, 5, 12]
    assert [one[0] for one in second["points"]] == [2.5, 3.0, 3.5, 4.0]


def test_a_clip_of_a_whole_video(read, tmp_path):
    video(tmp_path / "media" / "mose" / "road.mp4", frames=3 * FRAMES)
    (record,) = read([track(video="road", clip="road_7", start_frame=FRAMES, end_frame=2 * FRAMES - 1)])
    assert (record["num_frames"], record["fps"]) == (FRAMES, pytest.approx(FPS))
    assert record["clip"]["stored_frames"] < 3 * FRAMES
    with pytest.raises(DataError, match="the clip is frames 0 to 99, the video has 72"):
        read([track(video="road", clip="road_8", end_frame=99)], on_bad_sample="raise")


def test_places_move_with_the_size_of_the_file(read, tmp_path):
    video(tmp_path / "media" / "mose" / "street_0.mp4", width=2 * WIDTH, height=3 * HEIGHT)
    (record,) = read([track()])
    assert record["points"][0]["points"][0] == [0.0, 1, 20, 48]


def test_tasks_and_data_sets_are_chosen(read, caplog):
    (record,) = read([instruction(task="ground"), instruction(expression="the car")])
    assert [one["label"] for one in record["points"]] == ["the car"]
    assert "1 rows were left out: task is not track" in caplog.text
    with pytest.raises(DataError, match=r"all rows were left out \(video_dataset not among sav, bft\)"):
        read([track()], datasets=["sav", "bft"])
    assert read([track()], datasets=["mose"])


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (track(fps=3), "fps is no multiple of 2"),
        (track(fps=1), "fps is no multiple of 2"),
        (track(points=[{"object_id": "m3", "points": [None] * FRAMES}]), "no visible point"),
        (track(points=[]), "no visible point"),
        (instruction(frame_trajectories=[]), "no visible point"),
    ],
)
def test_rows_without_a_truth_are_left_out_and_told(read, row, reason, caplog):
    (record,) = read([row, track(exp="else")])
    assert [one["label"] for one in record["points"]] == ["else"]
    assert f"1 rows were left out: {reason}" in caplog.text


def frames(*points, time=0.0):
    return [{"frame": 0, "time": time, "points": list(points)}]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (track(mask_id=["m3"]), "points of object 'm7', mask_id has m3"),
        (track(points=[{"object_id": "m3", "points": [[64.5, 1]]}]), r"point \(64\.5, 1\) lies outside of its frame"),
        (track(points=[{"object_id": "m3", "points": [[1, 2, 3]]}]), r"points holds \[1, 2, 3\], expected a point"),
        (track(points=[{"object_id": "m3", "points": [[1, 1]] * 99}]), "the last frame is at 5.75 s"),
        (track(fps=0), "fps is 0, expected frames per second above 0"),
        (track(w=None), "w is None, expected a number"),
        (track(exp=""), "an empty exp"),
        (track(start_frame=5, end_frame=1, clip="no", video="street_0"), "the clip is frames 5 to 1"),
        (instruction(frame_trajectories="{"), "no JSON"),
        (instruction(frame_trajectories=frames({"id": 0})), "point holds None, expected a point"),
        (instruction(frame_trajectories=frames({"point": [1, 1]})), "id is None"),
        (instruction(frame_trajectories=frames(time=-1.0)), "time is -1 s"),
        ({"video": "street_0", "fps": 4}, "neither frame_trajectories nor points; found video, fps"),
    ],
)
def test_rows_that_are_broken(read, row, words):
    with pytest.raises(DataError, match=words):
        read([row], on_bad_sample="raise")


def test_masks_of_every_frame_have_the_ids_of_the_points(read):
    left, right = {"object_id": "m3", "points": [[40, 9]] * FRAMES}, {"object_id": "m7", "points": [[20, 9]] * FRAMES}
    masks = [{"object_id": "m7", "masks": [rle(x=slice(20, 30))] * FRAMES}, {"object_id": "m3", "masks": [None] * 3}]
    row = track_eval(points=[left, right], masks=masks, mask_id=["m3", "m7", "m9"])
    (record,) = read([row], "molmo2_video_track_eval")
    (told,) = record["points"]
    assert told["fps"] == 1.0
    assert told["points"][:2] == [[0.0, 1, 20, 9], [0.0, 2, 40, 9]]
    assert [mask["key"] for mask in told["rle"]] == [number / FPS for number in range(FRAMES)]
    assert {mask["id"] for mask in told["rle"]} == {1}
    assert told["rle"][0]["size"] == [HEIGHT, WIDTH]


def test_masks_need_the_original_file(read, tmp_path):
    video(tmp_path / "media" / "mose" / "street_0.mp4", width=2 * WIDTH, height=2 * HEIGHT)
    with pytest.raises(DataError, match="masks of 64 x 32 pixels, the video has 128 x 64; take the original"):
        read([track_eval()], "molmo2_video_track_eval", on_bad_sample="raise")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"masks": [{"object_id": "m9", "masks": []}]}, "masks of object 'm9', mask_id has m3, m7"),
        ({"masks": [{"object_id": "m3", "masks": [{"size": [1, 2]}]}]}, "expected size and counts"),
        (
            {"masks": [{"object_id": "m3", "masks": [*[None] * 98, rle()]}]},
            r"mask at 24\.5 s, the last frame is at 5\.75 s",
        ),
    ],
)
def test_masks_that_are_broken(read, change, words):
    with pytest.raises(DataError, match=words):
        read([track_eval(**change)], "molmo2_video_track_eval", on_bad_sample="raise")
