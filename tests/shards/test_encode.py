"""Video and image bytes: right pictures, right times, same bytes, and refusals."""

import io

import av
import numpy as np
import pytest
from PIL import Image

from zoo.errors import DataError
from zoo.shards.encode import encode_frames, encode_jpg, encode_mp4


def ramp_frames(num_frames: int = 12, size: int = 48) -> np.ndarray:
    """Frames of one grey each, so that a decoded picture tells its index: 20 grey levels apart."""
    frames = np.zeros((num_frames, size, size, 3), np.uint8)
    frames += (np.arange(num_frames, dtype=np.uint8) * 20)[:, None, None, None]
    return frames


def decode(payload: bytes) -> tuple[list[np.ndarray], list[float], list[bool]]:
    with av.open(io.BytesIO(payload)) as container:
        pictures = list(container.decode(video=0))
        return (
            [p.to_ndarray(format="rgb24") for p in pictures],
            [p.time for p in pictures],
            [p.key_frame for p in pictures],
        )


@pytest.mark.parametrize("fps", [8.0, 12.5, 30000 / 1001])
def test_frames_come_back_in_order_and_on_time(fps):
    frames = ramp_frames()
    pictures, times, _ = decode(encode_mp4(frames, fps=fps))
    assert np.array(pictures).shape == frames.shape
    np.testing.assert_allclose([p.mean() for p in pictures], frames.mean(axis=(1, 2, 3)), atol=4)  # lossy
    np.testing.assert_allclose(times, np.arange(len(frames)) / fps, atol=1e-4)  # the container's clock ticks


def test_key_frames_come_as_often_as_asked():
    key_frames = decode(encode_mp4(ramp_frames(12), fps=8, gop=5))[2]
    assert all(key_frames[::5])


def test_the_index_stands_before_the_pictures():
    payload = encode_mp4(ramp_frames(), fps=8)
    assert payload.index(b"moov") < payload.index(b"mdat")


def moving_discs(seed: int) -> np.ndarray:
    """Twenty frames of shaded discs that start to move one after another."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:144, :144]
    shade = (90 + 60 * columns / 144 + 40 * rows / 144)[..., None] * np.array([1, 0.9, 0.8])
    frames = np.repeat(shade[None], 20, axis=0)
    for _ in range(5):
        centre, velocity, start = rng.uniform(20, 110, 2), rng.uniform(-4, 4, 2), rng.integers(2, 12)
        colour, radius = rng.uniform(0, 255, 3), rng.uniform(8, 16)
        for index, frame in enumerate(frames):
            row, column = centre + velocity * np.clip(index - start, 0, 8)
            distance = np.hypot(rows - row, columns - column)
            frame[distance < radius] = (colour * (1.2 - 0.5 * distance[..., None] / radius))[distance < radius]
    return np.clip(frames, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", [0, 2, 6, 9])
def test_the_same_frames_give_the_same_bytes(seed):
    """With x264's defaults these clips vary from run to run: memory beside the small pictures plays a part."""
    frames = moving_discs(seed)
    rng = np.random.default_rng()
    junk = [b""] * 8  # allocations that leave other bytes in memory each time
    payloads = set()
    for index in range(12):
        junk[index % len(junk)] = rng.bytes(int(rng.integers(1000, 500_000)))
        payloads.add(encode_mp4(frames, fps=8))
    assert len(payloads) == 1


def test_frames_that_are_a_view_are_fine():
    frames = ramp_frames()[::-1, ::-1]
    pictures = decode(encode_mp4(frames, fps=8))[0]
    np.testing.assert_allclose([p.mean() for p in pictures], frames.mean(axis=(1, 2, 3)), atol=4)


@pytest.mark.parametrize(
    ("frames", "fps", "words"),
    [
        (np.zeros((2, 48, 48, 3), np.float32), 8, "float32"),
        (np.zeros((48, 48, 3), np.uint8), 8, "4 axes"),
        (np.zeros((2, 48, 48, 4), np.uint8), 8, "RGB last"),
        (np.zeros((2, 47, 48, 3), np.uint8), 8, "even"),
        (np.zeros((0, 48, 48, 3), np.uint8), 8, "one frame or more"),
        (np.zeros((2, 48, 48, 3), np.uint8), 0, "fps is 0"),
        (np.zeros((2, 48, 48, 3), np.uint8), float("nan"), "fps is nan"),
    ],
)
def test_mp4_refuses(frames, fps, words):
    with pytest.raises(DataError, match=words):
        encode_mp4(frames, fps=fps)


def test_jpg_round_trip_and_refusals():
    image = ramp_frames()[5]
    again = np.asarray(Image.open(io.BytesIO(encode_jpg(image))))
    np.testing.assert_allclose(again, image, atol=2)  # lossy
    with pytest.raises(DataError, match="quality is 0"):
        encode_jpg(image, quality=0)
    with pytest.raises(DataError, match="3 axes"):
        encode_jpg(image[0])


def test_frames_one_by_one_give_the_same_bytes():
    frames = np.random.default_rng(0).integers(0, 256, (7, 16, 32, 3), dtype=np.uint8)
    assert encode_frames(iter(frames), fps=4) == encode_mp4(frames, fps=4)


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        ([], "mp4: no frame"),
        ([np.zeros((16, 32, 3), np.uint8), np.zeros((16, 16, 3), np.uint8)], r"a frame of \(16, 16\) pixels behind"),
        ([np.zeros((15, 32, 3), np.uint8)], "15 x 32 pixels; H.264 needs even"),
        ([np.zeros((16, 32), np.uint8)], "expected uint8 with 3 axes"),
    ],
)
def test_frames_one_by_one_that_are_no_video(frames, words):
    with pytest.raises(DataError, match=words):
        encode_frames(frames, fps=4)
