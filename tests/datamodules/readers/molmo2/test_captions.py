"""Captions of videos: which are taken, of what part, and what a judge is given."""

import pytest
from molmo2_rows import FPS, FRAMES, cap, cap_eval, lines, made, video

from zoo.errors import DataError


@pytest.fixture
def read(tmp_path):
    video(tmp_path / "media" / "v_abc.mp4")

    def read(name, rows, **arguments):
        source = lines(tmp_path / "rows.jsonl", rows)
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        return [s.record for s in made(name, source, out, media_root=str(tmp_path / "media"), **arguments)]

    return read


def test_each_kind_of_caption_has_its_style_and_request(read):
    (record,) = read("molmo2_cap", [cap(video_caption=None)])
    assert [(one["style"], one["text"]) for one in record["descriptions"]] == [
        ("video_merged_caption", "A cat on a roof."),
        ("video_long_caption", "A grey cat on a red roof in the rain."),
    ]
    assert len({one["request"] for one in record["descriptions"]}) == 2
    assert record["annotations"] == []


def test_one_kind_alone(read):
    (record,) = read("molmo2_cap", [cap()], captions=["video_frame_merged_caption"])
    assert [one["style"] for one in record["descriptions"]] == ["video_long_caption"]


@pytest.mark.parametrize("score", [2.9, None, float("nan")])
def test_captions_of_low_score_are_left_out_and_told(read, score, caplog):
    (record,) = read("molmo2_cap", [cap(annotation_score=score, merged_caption="bad"), cap()])
    assert "bad" not in str(record)
    assert "molmo2_cap: 1 rows were left out: annotation_score below min_score" in caplog.text
    assert "bad rows" not in caplog.text
    assert len(read("molmo2_cap", [cap(annotation_score=2.9)], min_score=0)) == 1


def test_a_row_without_any_caption_is_left_out(read):
    empty = dict.fromkeys(("video_caption", "merged_caption", "video_frame_merged_caption"), "")
    with pytest.raises(DataError, match="all rows were left out \\(none of video_caption"):
        read("molmo2_cap", [cap(**empty)])


def test_a_part_of_a_video(read, tmp_path):
    part, whole = read("molmo2_cap", [cap(video_start=1.0, video_end=3.0), cap()])
    if part["num_frames"] == FRAMES:
        part, whole = whole, part
    assert (part["num_frames"], whole["num_frames"]) == (2 * FPS + 1, FRAMES)
    assert part["clip"]["stored_frames"] >= part["num_frames"]
    video(tmp_path / "media" / "abc_bounded_decimal_2_100.17_103.0.mp4", frames=12)
    (record,) = read("molmo2_cap", [cap(video_start=100.17, video_end=103.0)])
    assert (record["num_frames"], "clip" in record) == (12, False)


def test_a_part_behind_the_end_of_its_video(read):
    with pytest.raises(DataError, match=r"the clip ends at 40 s, the video at 5\.75 s"):
        read("molmo2_cap", [cap(video_start=38.0, video_end=40.0)], on_bad_sample="raise")


def test_statements_are_for_a_judge(read):
    (record,) = read("molmo2_cap_eval", [cap_eval()])
    assert record["statements"] == []  # else sentences would be looked up among them, word for word
    assert record["meta"]["statements"] == ["There is a cat.", "It rains."]
    assert record["meta"]["statement_categories"] == ["object", "weather"]
    assert record["descriptions"][0]["text"] == "A cat in the rain."
