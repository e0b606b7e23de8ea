"""Pixels to H.264 or JPEG bytes, reproducibly: the same frames give the same bytes."""

import io
import tempfile
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np

from zoo.errors import DataError

MAX_FPS_DENOMINATOR = 1001  # enough for the broadcast rates such as 30000/1001


def encode_mp4(frames: np.ndarray, *, fps: float, crf: int = 18, gop: int = 20, preset: str = "veryfast") -> bytes:
    """Encode frames as an H.264 mp4 whose index stands in front of the pictures.

    Args:
        frames: (frames, height, width, 3) uint8 RGB; height and width even, because yuv420p halves the colour planes.
        fps: Frames per second; frame i is shown at i / fps seconds.
        crf: Constant rate factor of x264: 0 lossless, 18 visually clean, 51 worst.
        gop: Frames between two key frames; smaller means quicker random access and larger files.
        preset: Speed preset of x264.
    Returns:
        The file's bytes.
    Raises:
        DataError: wrong shape, dtype, odd size or frame rate.
    """
    _check_pixels(frames, ndim=4)
    return encode_frames(frames, fps=fps, crf=crf, gop=gop, preset=preset)


def encode_frames(
    frames: Iterable[np.ndarray], *, fps: float, crf: int = 18, gop: int = 20, preset: str = "veryfast"
) -> bytes:
    """`encode_mp4` of frames that come one by one, for videos that do not fit into memory.

    Args:
        frames: (height, width, 3) uint8 RGB each, all of one even size.
        fps: See `encode_mp4`, as the others.
        crf: See there.
        gop: See there.
        preset: See there.
    Raises:
        DataError: wrong shape, dtype, odd or differing sizes, or frame rate.
    """
    import av

    if not 0 < fps < 1000:
        raise DataError(f"mp4: fps is {fps}, expected more than 0 and less than 1000")
    rate = Fraction(fps).limit_denominator(MAX_FPS_DENOMINATOR)
    # Two frames of three are B-frames that no other refers to: a reader that samples skips them (8 of 20 frames of
    # 144 px decode in 1.02 ms; 1.22 without B-frames, in files an eighth larger).
    # Same bytes every time: no library version or date in the file; one thread, because x264's output depends on their
    # number; no macroblock tree, which with B-frames reads past small pictures (seen: 4 of 12 clips of 144 px varied).
    codec = {
        "crf": str(crf),
        "preset": preset,
        "g": str(gop),
        "bf": "2",
        "x264-params": "b-adapt=0:b-pyramid=none:mbtree=0",
        "flags": "+bitexact",
    }
    options = {"movflags": "faststart", "fflags": "+bitexact"}
    # A file, not a buffer: to move the index to the front, FFmpeg opens its own output a second time by name.
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        with av.open(file.name, mode="w", format="mp4", options=options) as container:
            stream = container.add_stream("libx264", rate=rate)
            size = None
            for pixels in frames:
                if size is None:
                    size = _even_size(pixels)
                    stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
                    stream.codec_context.thread_count = 1
                    stream.options = codec
                elif pixels.shape[:2] != size:
                    raise DataError(f"mp4: a frame of {pixels.shape[:2]} pixels behind frames of {size}")
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")))
            if size is None:
                raise DataError("mp4: no frame; H.264 needs one frame or more")
            container.mux(stream.encode())
        return Path(file.name).read_bytes()


def _even_size(pixels: np.ndarray) -> tuple[int, int]:
    _check_pixels(pixels, ndim=3)
    height, width = pixels.shape[:2]
    if height % 2 or width % 2:
        raise DataError(f"mp4: frames of {height} x {width} pixels; H.264 needs even height and width")
    return height, width


def encode_jpg(image: np.ndarray, *, quality: int = 92) -> bytes:
    """Encode one image as JPEG.

    Args:
        image: (height, width, 3) uint8 RGB.
        quality: 1 to 95.
    Returns:
        The file's bytes.
    Raises:
        DataError: wrong shape, dtype or quality.
    """
    from PIL import Image

    _check_pixels(image, ndim=3)
    if not 1 <= quality <= 95:
        raise DataError(f"jpg: quality is {quality}, expected 1 to 95")
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=quality)
    return buffer.getvalue()


def _check_pixels(pixels: np.ndarray, *, ndim: int) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != ndim or pixels.shape[-1] != 3:
        raise DataError(f"pixels are {pixels.dtype} of shape {pixels.shape}, expected uint8 with {ndim} axes, RGB last")
