"""Images and videos of others as the two forms that shards hold: jpg or png as it was, or an mp4 without sound.

Nothing is encoded anew that need not be: JPEG, PNG and mp4 keep their bytes; of other containers, and of files with
sound, the coded pictures are copied into an mp4. Every video is decoded at its ends, so that a broken one is found.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from zoo.errors import DataError
from zoo.shards.decode import decode_image, decode_video
from zoo.shards.encode import encode_jpg

if TYPE_CHECKING:
    from av.container import InputContainer

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm")
KEPT_IMAGES = {"JPEG": "jpg", "PNG": "png"}  # Pillow's name to our suffix
SET_QUALITY = 95  # of a JPEG
MP4_FAMILY = "mp4"  # in FFmpeg's name of the demuxer, which is a list
FFMPEG_HINT = "convert it: ffmpeg -i IN -pix_fmt yuv420p -an OUT.mp4"


class Media(NamedTuple):
    """A file as it goes into a shard."""

    suffix: str
    data: bytes
    width: int  # px, turned upright
    height: int
    num_frames: int
    fps: float  # mean over the video; 1 for an image


def probe(name: str, data: bytes) -> Media:
    """Look at a file, and bring it into a form that shards hold.

    Args:
        name: Its name, whose ending tells images from videos; without one it is taken for an image.
        data: Its bytes.
    Raises:
        DataError: no whole image or video, or of a kind that is not read.
    """
    suffix = Path(name).suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return _video(data)
    if suffix in IMAGE_SUFFIXES or not suffix:
        return _image(data)
    known = " ".join((*IMAGE_SUFFIXES, *VIDEO_SUFFIXES))
    raise DataError(f"{name} is no image or video that is read here ({known}); a video: {FFMPEG_HINT}")


def as_one_kind(images: Sequence[Media]) -> list[Media]:
    """Images of a set, all png or all jpg: where there are both, each png is encoded.

    Args:
        images: As `probe` gives them.
    """
    if len({image.suffix for image in images}) < 2:
        return list(images)
    return [image if image.suffix == "jpg" else _as_jpg(image) for image in images]


def _as_jpg(image: Media) -> Media:
    (pixels,) = decode_image(image.data).frames
    return image._replace(suffix="jpg", data=encode_jpg(pixels, quality=SET_QUALITY))


def _image(data: bytes) -> Media:
    from PIL import Image

    (pixels,) = decode_image(data).frames
    height, width = pixels.shape[:2]
    with Image.open(io.BytesIO(data)) as image:
        suffix = KEPT_IMAGES.get(str(image.format))
    if suffix is None:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        suffix, data = "png", buffer.getvalue()
    return Media(suffix, data, width, height, 1, 1.0)


def _video(data: bytes) -> Media:
    times_s = np.zeros(0)

    def ends(times: np.ndarray) -> np.ndarray:
        nonlocal times_s
        times_s = times
        return np.unique([0, len(times) - 1])

    frames = decode_video(data, ends).frames  # before copying, which would make a cut file look whole
    height, width = frames.shape[1:3]
    duration_s = float(times_s[-1])
    fps = (len(times_s) - 1) / duration_s if duration_s > 0 else 1.0
    return Media("mp4", _only_pictures(data), width, height, len(times_s), fps)


def _only_pictures(data: bytes) -> bytes:
    """The video in an mp4 with nothing beside it; an mp4 that has nothing beside it stays as it is."""
    import av

    try:
        with av.open(io.BytesIO(data)) as container:
            if MP4_FAMILY in container.format.name.split(",") and len(container.streams) == 1:
                return data
            return _copied(container)
    except (av.FFmpegError, ValueError) as error:  # the muxer's word for a codec that mp4 cannot hold
        raise DataError(f"the video cannot be copied into an mp4 ({error}); {FFMPEG_HINT}") from error


def _copied(container: "InputContainer") -> bytes:
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4", options={"fflags": "+bitexact"}) as copy:
        source = container.streams.video[0]
        stream = copy.add_stream_from_template(source)
        for packet in container.demux(source):
            if packet.size:
                packet.stream = stream
                copy.mux(packet)
    return buffer.getvalue()
