"""Images and videos of many kinds: what is kept, what is copied, what is refused."""

import io

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from zoo.datamodules.readers.media import probe
from zoo.errors import DataError
from zoo.shards.decode import decode_image, decode_video
from zoo.shards.encode import encode_jpg, encode_mp4
from zoo.shards.sampling import FrameSampling

ALL = FrameSampling(max_frames=99, frame_rate=99.0)


def picture(width=6, height=4):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def image(kind, pixels, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def frames(count=5):
    return np.stack([np.full((16, 32, 3), 40 * number, np.uint8) for number in range(count)])


def video(container, codec="libx264", *, sound=False, count=5, fps=4):
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        stream = out.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        beside = out.add_stream("aac", rate=16000) if sound else None
        for pixels in frames(count):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        out.mux(stream.encode())
        if beside is not None:
            hum = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
            hum.rate = 16000
            out.mux(beside.encode(hum))
            out.mux(beside.encode())
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "kind", "suffix"), [("a.jpg", "JPEG", "jpg"), ("a.JPEG", "JPEG", "jpg"), ("a.png", "PNG", "png")]
)
def test_jpeg_and_png_keep_their_bytes(name, kind, suffix):
    data = image(kind, picture())
    assert probe(name, data) == (suffix, data, 6, 4, 1, 1.0)


def test_the_bytes_tell_jpeg_from_png():
    assert probe("a.jpg", image("PNG", picture())).suffix == "png"
    assert probe("", image("JPEG", picture())).suffix == "jpg"


@pytest.mark.parametrize(("name", "kind"), [("a.bmp", "BMP"), ("a.tiff", "TIFF"), ("a.webp", "WEBP")])
def test_other_images_become_png_without_loss(name, kind):
    data = image(kind, picture(), lossless=True) if kind == "WEBP" else image(kind, picture())
    media = probe(name, data)
    assert media.suffix == "png"
    np.testing.assert_array_equal(decode_image(media.data).frames[0], picture())


def test_size_is_that_of_the_upright_picture():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    media = probe("a.jpg", image("JPEG", picture(), exif=exif))
    assert (media.width, media.height) == (4, 6)


def test_an_mp4_keeps_its_bytes():
    data = encode_mp4(frames(), fps=4)
    assert probe("a.mp4", data) == ("mp4", data, 32, 16, 5, 4.0)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("sound.mp4", video("mp4", sound=True)),
        ("a.mov", video("mov")),
        ("a.mkv", video("matroska")),
        ("sound.mkv", video("matroska", sound=True)),
        ("a.webm", video("webm", "libvpx-vp9")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_videos_lose_all_but_their_pictures(name, data):
    media = probe(name, data)
    assert (media.suffix, media.width, media.height, media.num_frames) == ("mp4", 32, 16, 5)
    assert media.fps == pytest.approx(4.0, rel=1e-2)  # Matroska rounds times to milliseconds
    with av.open(io.BytesIO(media.data)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
    theirs, ours = decode_video(data, ALL), decode_video(media.data, ALL)
    np.testing.assert_array_equal(ours.frames, theirs.frames)
    np.testing.assert_allclose(ours.times_s, theirs.times_s, atol=2e-3)


def test_one_frame():
    assert probe("a.mp4", encode_mp4(frames(1), fps=4))[2:] == (32, 16, 1, 1.0)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.gif", b"GIF89a", r"a\.gif is no image or video that is read here"),
        ("a.txt", b"x", r"a\.txt is no image"),
        ("a.jpg", b"", "corrupt image of 0 bytes"),
        ("a.png", image("PNG", picture())[:60], "corrupt image"),
        ("a.mp4", b"", "corrupt or truncated video"),
        ("a.mp4", encode_mp4(frames(), fps=4)[:-40], "truncated|corrupt"),
        ("a.mkv", b"not a video at all" * 99, "corrupt or truncated video"),
        ("a.webm", video("webm", "libvpx"), r"cannot be copied into an mp4 .*ffmpeg -i IN"),
    ],
)  # fmt: skip
def test_refused(name, data, words):
    with pytest.raises(DataError, match=words):
        probe(name, data)


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(["a.jpg", "a.png", "a.mp4", "a.mkv"]), data=st.data())
def test_damaged_files_are_read_or_a_data_error(name, data):
    whole = {"a.jpg": encode_jpg(picture()), "a.png": image("PNG", picture()), "a.mp4": MP4, "a.mkv": MKV}[name]
    place = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:place] + data.draw(st.binary(max_size=4)) + whole[place + data.draw(st.integers(0, 40)) :]
    try:
        media = probe(name, damaged)
    except DataError as error:
        assert str(error)  # noqa: PT017 - both outcomes are right, by value
    else:
        assert media.num_frames >= 1


MP4, MKV = encode_mp4(frames(), fps=4), video("matroska")
