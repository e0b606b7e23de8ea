"""Videos a frame shorter, and a frame longer."""

import io

import av
import numpy as np
import pytest
from spoc_files import pictures

from zoo.datamodules.readers.spoc.videos import opened, with_last_frame_again, without_last_frame
from zoo.errors import DataError
from zoo.shards.decode import decode_video, frame_times
from zoo.shards.encode import encode_mp4
from zoo.shards.mp4 import read_index


def decoded(data):
    return decode_video(data, lambda times_s: np.arange(len(times_s))).frames


def small(count):
    return pictures(count, height=32, width=128)


def by_ffmpeg(data):
    """All frames, one after the other, as most programs read them."""
    with av.open(io.BytesIO(data)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def others(frames, fps, codec="libx264", **options):
    """As another program encodes: with the encoder's own defaults."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        stream.options = options
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


@pytest.mark.parametrize("count", [2, 3, 4, 5, 12, 21, 22, 41])
@pytest.mark.parametrize("fps", [5, 10])
@pytest.mark.parametrize("by", ["ours", "others", "others without B-frames"])
def test_the_last_frame_is_gone_and_the_others_are_as_they_were(count, fps, by):
    frames = small(count)
    if by == "ours":
        data = encode_mp4(frames, fps=fps)
    else:
        data = others(frames, fps, **({} if by == "others" else {"bf": "0"}))
    shorter = without_last_frame(data)
    np.testing.assert_allclose(frame_times(shorter), np.arange(count - 1) / fps, atol=1e-3)
    np.testing.assert_array_equal(decoded(shorter), decoded(data)[:-1])
    np.testing.assert_array_equal(by_ffmpeg(shorter), by_ffmpeg(data)[:-1])


@pytest.mark.parametrize("count", [1, 2, 5, 20, 21, 40, 41])
@pytest.mark.parametrize("fps", [5, 10])
@pytest.mark.parametrize("preset", ["veryfast", "ultrafast"])
def test_the_last_frame_comes_again_behind_unchanged_ones(count, fps, preset):
    data = encode_mp4(small(count), fps=fps, preset=preset, crf=30)
    longer = with_last_frame_again(data, fps=fps)
    np.testing.assert_allclose(frame_times(longer), np.arange(count + 1) / fps, atol=1e-3)
    was, now = decoded(data), decoded(longer)
    np.testing.assert_array_equal(now[:-1], was)
    assert np.abs(now[-1].astype(int) - was[-1]).mean() < 2  # coded once more
    np.testing.assert_array_equal(by_ffmpeg(longer), now)
    np.testing.assert_array_equal(decoded(without_last_frame(longer)), was)


def test_decoders_that_go_back_find_the_same_pictures():
    longer = with_last_frame_again(encode_mp4(small(30), fps=5, preset="ultrafast"), fps=5)
    forwards = decoded(longer)
    for place in (30, 3, 30, 0):
        (frame,) = decode_video(longer, lambda times_s, place=place: np.array([place])).frames
        np.testing.assert_array_equal(frame, forwards[place])


@pytest.mark.parametrize("count", [3, 12, 13, 40])
def test_a_frame_that_was_hidden_is_shown_again(count):
    data = others(small(count), 10)
    longer = with_last_frame_again(without_last_frame(data), fps=10)
    was, now = decoded(data), decoded(longer)
    assert len(now) == count
    np.testing.assert_array_equal(now[:-1], was[:-1])
    assert np.abs(now[-1].astype(int) - was[-1]).mean() < 20  # the last one, or the one before it again


def test_a_video_of_another_codec_is_coded_anew():
    data = others(small(5), 10, codec="mpeg4", qscale="2")
    longer = with_last_frame_again(data, fps=10)
    assert read_index(longer) is not None
    now = decoded(longer)
    assert len(now) == 6
    assert np.abs(now[:-1].astype(int) - decoded(data)).mean() < 4


def test_what_a_video_is():
    video = opened(encode_mp4(small(3), fps=5))
    assert (video.height, video.width, video.num_frames) == (32, 128, 3)


def test_a_single_frame_has_none_to_spare():
    with pytest.raises(DataError, match="a video of 1 frames, expected two or more"):
        without_last_frame(encode_mp4(small(1), fps=5))


@pytest.mark.parametrize(
    ("data", "match"),
    [(b"", "video of 0 bytes"), (b"no video", "video of 8 bytes"), (encode_mp4(small(9), fps=5)[:800], "of 800 bytes")],
)
def test_no_video(data, match):
    with pytest.raises(DataError, match=match):
        opened(data)
    with pytest.raises(DataError, match=match):
        without_last_frame(data)
