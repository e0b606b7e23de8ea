"""Decoding: the pixels of a plain PyAV loop, true times, and named errors for files that are not what they claim."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from zoo.errors import DataError
from zoo.shards.decode import (
    array_clip,
    decode_image,
    decode_sample,
    decode_video,
    frame_times,
    image_sizes,
    media_kind,
    media_suffix,
    shown_frames,
)
from zoo.shards.reader import Sample
from zoo.shards.sampling import FrameSampling


def encode(tmp_path, *, num_frames=30, size=48, gop=250, pts=None, suffix="mp4", codec="libx264", options=()):
    """A video whose frame i has brightness 5 i and a moving square, so that every frame is told from its neighbours."""
    path = tmp_path / f"clip.{suffix}"
    movflags = {"movflags": "faststart"} if suffix == "mp4" else {}
    with av.open(str(path), "w", options=movflags) as container:
        stream = container.add_stream(codec, rate=8)
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.options = {"g": str(gop), **dict(options)}
        for index in range(num_frames):
            pixels = np.full((size, size, 3), 5 * index, np.uint8)
            pixels[8:20, index : index + 12] = (250, 20, 20)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if pts is not None:
                frame.pts, frame.time_base = pts[index], Fraction(1, 8)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path.read_bytes()


def plain_loop(data):
    """All frames and times by the loop that PyAV's documentation shows."""
    with av.open(io.BytesIO(data)) as container:
        decoded = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    return np.array([time for time, _ in decoded]), np.stack([pixels for _, pixels in decoded])


def choose(*indices):
    return lambda times_s: np.array(indices)


X264 = [
    {"gop": 250},
    {"gop": 7},
    {"gop": 1},
    {"gop": 10, "options": (("bf", "0"),)},
    {"gop": 9, "options": (("x264-params", "open-gop=1:bframes=3:b-adapt=0:b-pyramid=none:scenecut=0"),)},
]


@pytest.mark.parametrize("variant", X264, ids=str)
@pytest.mark.parametrize(
    "indices", [(0,), (29,), (3, 4, 5), (0, 14, 29), tuple(range(30)), (8, 9, 10, 17, 18, 27)], ids=str
)
def test_pixels_and_times_equal_the_plain_loop(tmp_path, variant, indices):
    data = encode(tmp_path, **variant)
    times_s, frames = plain_loop(data)
    clip = decode_video(data, choose(*indices))
    np.testing.assert_array_equal(clip.frames, frames[list(indices)])
    np.testing.assert_allclose(clip.times_s, times_s[list(indices)])
    assert clip.indices.tolist() == list(indices)


@pytest.mark.parametrize(("suffix", "codec"), [("mkv", "libx264"), ("webm", "libvpx-vp9"), ("mp4", "mpeg4")])
def test_other_containers_and_codecs(tmp_path, suffix, codec):
    data = encode(tmp_path, gop=10, suffix=suffix, codec=codec)
    clip = decode_video(data, choose(2, 11, 29))
    np.testing.assert_array_equal(clip.frames, plain_loop(data)[1][[2, 11, 29]])
    np.testing.assert_array_equal(frame_times(data)[[2, 11, 29]], clip.times_s)


def test_times_are_the_stored_ones_not_index_over_rate(tmp_path):
    pts = [0, 1, 2, 10, 11, 40]  # eighths of a second
    data = encode(tmp_path, num_frames=6, pts=pts)
    clip = decode_video(data, FrameSampling(max_frames=20, frame_rate=2.0))
    assert clip.indices.tolist() == [0, 2, 3, 4, 5]
    np.testing.assert_allclose(clip.times_s, np.array(pts)[clip.indices] / 8)


def test_sample_of_a_video_and_of_an_image(tmp_path):
    video = decode_sample(sample(mp4=encode(tmp_path, num_frames=20)), FrameSampling(max_frames=8))
    assert video.frames.shape == (6, 48, 48, 3) and video.frames.dtype == np.uint8
    assert video.times_s.tolist() == [0, 0.5, 1.0, 1.5, 2.0, 2.375]
    buffer = io.BytesIO()
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    Image.fromarray(pixels).save(buffer, "png")
    image = decode_sample(sample(png=buffer.getvalue()), FrameSampling(max_frames=8))
    np.testing.assert_array_equal(image.frames, pixels[None])
    assert image.times_s.tolist() == [0.0]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("max_frames", [1, 5, 8])
def test_times_without_decoding_are_those_of_the_decoded_clip(tmp_path, suffix, max_frames):
    sampling = FrameSampling(max_frames=max_frames)
    of_video = sample(mp4=encode(tmp_path, num_frames=20, suffix=suffix), num_frames=20)
    shown, clip = shown_frames(of_video, sampling), decode_sample(of_video, sampling)
    np.testing.assert_array_equal(shown.times_s, clip.times_s)
    np.testing.assert_array_equal(shown.indices, clip.indices)
    assert shown.is_video


def test_an_image_has_one_time_whatever_its_bytes():
    shown = shown_frames(sample(jpg=b"broken"), FrameSampling(max_frames=8))
    assert (shown.times_s.tolist(), shown.indices.tolist(), shown.is_video) == ([0.0], [0], False)


def test_grey_and_turned_images_come_out_upright_in_colour():
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: shown a quarter turn clockwise
    Image.fromarray(np.zeros((4, 8), np.uint8)).save(buffer, "jpeg", exif=exif)
    assert decode_image(buffer.getvalue()).frames.shape == (1, 8, 4, 3)


def sample(*, num_frames=None, **files):
    record = {} if num_frames is None else {"num_frames": num_frames}
    return Sample("clip-7", "train/shard-000003.tar", record, files)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return encode(tmp_path_factory.mktemp("good"), num_frames=20)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (lambda good: {}, "no media file; found nothing"),
        (lambda good: {"npz": b""}, "found npz, expected one of mp4"),
        (lambda good: {"mp4": b""}, "corrupt or truncated video of 0 bytes"),
        (lambda good: {"mp4": b"no video at all" * 9}, "corrupt or truncated video"),
        (lambda good: {"mp4": good[: len(good) * 2 // 3]}, r"truncated video: \d+ of 20"),
        (lambda good: {"mp4": good[:600]}, "video"),
        (lambda good: {"jpg": b"\xff\xd8\xff"}, "corrupt image of 3 bytes"),
        (lambda good: {"mp4": good, "num_frames": 33}, "20 of 33"),
    ],
)
def test_bad_media_names_shard_and_key(good, files, message):
    with pytest.raises(DataError, match=rf"train/shard-000003\.tar: sample 'clip-7': .*{message}"):
        decode_sample(sample(**files(good)), FrameSampling(max_frames=8))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (lambda good: {}, "no media file; found nothing"),
        (lambda good: {"mp4": b"no video at all" * 9}, "corrupt or truncated video"),
        (lambda good: {"mp4": good, "num_frames": 33}, "20 of 33"),
    ],
)
def test_a_video_without_a_readable_table_names_shard_and_key(good, files, message):
    with pytest.raises(DataError, match=rf"train/shard-000003\.tar: sample 'clip-7': .*{message}"):
        shown_frames(sample(**files(good)), FrameSampling(max_frames=8))


def test_truncated_image():
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(buffer, "jpeg")
    with pytest.raises(DataError, match="corrupt image"):
        decode_image(buffer.getvalue()[:-200])


def test_a_file_with_sound_only(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(DataError, match="no video stream"):
        decode_video(path.read_bytes(), FrameSampling(max_frames=8))


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_random_damage_gives_a_clip_or_a_data_error(good, data):
    content = bytearray(good)
    for _ in range(data.draw(st.integers(1, 10))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content
    try:
        times_s = frame_times(bytes(content))
        clip = decode_video(bytes(content), FrameSampling(max_frames=8))
    except DataError:
        return
    np.testing.assert_array_equal(clip.times_s, times_s[clip.indices])
    assert len(clip.frames) == len(clip.times_s) == len(clip.indices) <= 8


def test_media_suffix_prefers_the_video():
    assert media_suffix({"json": b"", "jpg": b"", "mp4": b""}) == "mp4"


def jpg(width, height, level=100):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (level,) * 3).save(buffer, "JPEG")
    return buffer.getvalue()


SET = {"media": "jpg", "images": [{"width": 8, "height": 6}, {"width": 20, "height": 30}], "num_frames": 2}


def test_images_of_a_set_keep_their_order_and_sizes():
    files = {"1.jpg": jpg(20, 30, 200), "0.jpg": jpg(8, 6, 10)}
    sample = Sample("a", "shard", SET, files)
    clip = decode_sample(sample, FrameSampling(max_frames=1))
    assert [frame.shape for frame in clip.frames] == [(6, 8, 3), (30, 20, 3)]
    assert [int(frame.mean()) for frame in clip.frames] == [10, 200]
    assert clip.times_s.tolist() == shown_frames(sample, FrameSampling(max_frames=1)).times_s.tolist() == [0, 0]
    assert clip.indices.tolist() == [0, 1]
    assert (media_kind(sample), image_sizes(sample)) == ("images", ((8, 6), (20, 30)))
    assert media_suffix(files) == "0.jpg"


def test_a_set_that_lacks_an_image_is_named():
    with pytest.raises(DataError, match=r"shard: sample 'a': 1 of 2 images are missing, first 1\.jpg"):
        decode_sample(Sample("a", "shard", SET, {"0.jpg": jpg(8, 6)}), FrameSampling(max_frames=1))


def test_a_broken_image_of_a_set_is_named():
    with pytest.raises(DataError, match="sample 'a': corrupt image"):
        decode_sample(Sample("a", "s", SET, {"0.jpg": jpg(8, 6), "1.jpg": b"no"}), FrameSampling(max_frames=1))


def test_text_alone_shows_nothing():
    sample = Sample("a", "shard", {"media": "text"}, {})
    clip = decode_sample(sample, FrameSampling(max_frames=4))
    assert (clip.frames, len(clip.times_s), len(clip.indices)) == ((), 0, 0)
    assert len(shown_frames(sample, FrameSampling(max_frames=4)).times_s) == 0
    assert media_kind(sample) == "text"


def test_an_array_is_sampled_like_a_file():
    frames = np.arange(20, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 6, 3), np.uint8)
    clip = array_clip(frames, fps=8.0, choose=FrameSampling(max_frames=8))
    assert clip.indices.tolist() == [0, 4, 8, 12, 16, 19]
    np.testing.assert_allclose(clip.times_s, clip.indices / 8)
    np.testing.assert_array_equal(clip.frames, frames[clip.indices])
    assert array_clip(frames, fps=8.0, choose=choose(3)).indices.tolist() == [3]


@pytest.mark.parametrize(
    ("frames", "fps", "match"),
    [
        (np.zeros((0, 4, 6, 3), np.uint8), 8.0, r"none of them 0, got \(0, 4, 6, 3\)"),
        (np.zeros((2, 0, 6, 3), np.uint8), 8.0, "none of them 0"),
        (np.zeros((2, 4, 6, 3)), 8.0, "float64"),
        (np.zeros((2, 4, 6), np.uint8), 8.0, r"got \(2, 4, 6\)"),
        (np.zeros((2, 4, 6, 3), np.uint8), 0.0, "above 0, got 0.0"),
    ],
)
def test_arrays_that_are_no_video_are_refused(frames, fps, match):
    with pytest.raises(DataError, match=match):
        array_clip(frames, fps=fps, choose=FrameSampling(max_frames=4))
