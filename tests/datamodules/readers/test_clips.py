"""Parts of videos: the same pictures at the same times, whatever the codec orders them by."""

import io

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.datamodules.readers.clips import FramesPart, SecondsPart, cut
from zoo.datamodules.readers.media import probe
from zoo.errors import DataError
from zoo.shards.decode import decode_sample, decode_video, frame_times, shown_frames
from zoo.shards.encode import encode_mp4
from zoo.shards.reader import Sample
from zoo.shards.sampling import FrameSampling

ALL = FrameSampling(max_frames=999, frame_rate=99.0)
COUNT, FPS = 40, 8


def noise(count=COUNT):
    return np.random.default_rng(1).integers(0, 256, (count, 16, 32, 3), dtype=np.uint8)


def other(codec, options):
    """The same frames from an encoder with other habits: open groups of pictures, many B-frames, another codec."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        stream = out.add_stream(codec, rate=FPS)
        stream.width, stream.height, stream.pix_fmt, stream.options = 32, 16, "yuv420p", options
        for pixels in noise():
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        out.mux(stream.encode())
    return buffer.getvalue()


VIDEOS = {
    "ours": encode_mp4(noise(), fps=FPS, gop=12),
    "open": other("libx264", {"g": "10", "bf": "3", "x264-params": "open-gop=1:b-pyramid=normal"}),
    "one": other("libx264", {"g": "250"}),
    "mpeg4": other("mpeg4", {"g": "9", "bf": "2"}),
}


def sample_of(made):
    clip = {"first_frame": made.first_frame, "stored_frames": made.stored_frames}
    return Sample("k", "s.tar", {"num_frames": made.num_frames, "clip": clip}, {"mp4": made.data})


@pytest.mark.parametrize("name", VIDEOS)
@settings(max_examples=25, deadline=None)
@given(ends=st.tuples(st.integers(0, COUNT - 1), st.integers(0, COUNT - 1)).map(sorted))
def test_a_part_has_the_pictures_and_times_of_the_whole(name, ends):
    data, (first, last) = VIDEOS[name], ends
    whole = decode_video(data, ALL)
    made = cut(data, FramesPart(first, last))
    clip = decode_sample(sample_of(made), ALL)
    assert made.num_frames == len(clip.frames) == last - first + 1
    np.testing.assert_array_equal(clip.frames, whole.frames[first : last + 1])
    np.testing.assert_allclose(clip.times_s, whole.times_s[first : last + 1] - whole.times_s[first], atol=1e-6)
    np.testing.assert_array_equal(clip.indices, np.arange(last - first + 1))
    few = FrameSampling(max_frames=3)
    shown, sampled = shown_frames(sample_of(made), few), decode_sample(sample_of(made), few)
    for clip in (sampled, decode_sample(sample_of(made), shown)):
        np.testing.assert_array_equal(clip.times_s, shown.times_s)
        np.testing.assert_array_equal(clip.indices, shown.indices)
        np.testing.assert_array_equal(clip.frames, sampled.frames)


def test_what_is_before_the_key_frame_is_not_stored():
    made = cut(VIDEOS["ours"], FramesPart(26, 30))
    assert 0 < made.first_frame < 12  # frames between two key frames
    assert made.num_frames == 5
    assert made.stored_frames < 20
    assert len(made.data) < len(VIDEOS["ours"]) / 3
    assert made.fps == pytest.approx(FPS)


def test_a_part_that_is_the_whole_keeps_the_bytes():
    for part in (FramesPart(0, COUNT - 1), SecondsPart(0, COUNT / FPS)):
        made = cut(VIDEOS["ours"], part)
        assert made == (VIDEOS["ours"], 0, COUNT, COUNT, pytest.approx(FPS))


def test_seconds_take_both_ends():
    made = cut(VIDEOS["ours"], SecondsPart(1.0, 2.0))
    assert made.num_frames == FPS + 1
    assert cut(VIDEOS["ours"], SecondsPart(1.0006, 1.9994)).num_frames == FPS + 1  # as rounded as published times are
    assert cut(VIDEOS["ours"], SecondsPart(4.5, 5.4)).num_frames == 4  # the last frame is at 4.875 s


def test_a_file_that_was_cut_before():
    part = SecondsPart(100.0, 105.0, may_be_cut=True)
    assert cut(VIDEOS["ours"], part).num_frames == COUNT
    assert cut(VIDEOS["ours"], SecondsPart(1.0, 2.0, may_be_cut=True)).num_frames == FPS + 1


def test_a_frame_rate_that_varies():
    buffer = io.BytesIO()
    times = np.cumsum([0, 1, 3, 1, 1, 7, 2, 1])  # tenths of a second
    with av.open(buffer, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.options = 32, 16, "yuv420p", {"g": "3"}
        for time, pixels in zip(times, noise(8), strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = int(time)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    data = probe("a.mp4", buffer.getvalue()).data
    np.testing.assert_allclose(frame_times(data), times / 10, atol=1e-6)
    clip = decode_sample(sample_of(cut(data, SecondsPart(0.4, 1.5))), ALL)
    np.testing.assert_allclose(clip.times_s, [0, 0.1, 0.2, 0.9, 1.1], atol=1e-6)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (SecondsPart(2, 9), r"the clip ends at 9 s, the video at 4\.88 s"),
        (SecondsPart(2.01, 2.02), r"no frame between 2\.01 and 2\.02 s"),
        (SecondsPart(3, 2), "no frame between 3 and 2 s"),
        (FramesPart(10, 40), "frames 10 to 40, the video has 40"),
        (FramesPart(-1, 4), "frames -1 to 4"),
        (FramesPart(4, 3), "frames 4 to 3"),
    ],
)
def test_parts_that_are_none(part, words):
    with pytest.raises(DataError, match=words):
        cut(VIDEOS["ours"], part)
