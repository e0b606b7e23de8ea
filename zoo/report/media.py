"""Clips inside a page: the video itself, and the frames that the model saw for readers who cannot play it."""

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import ConfigError, DataError
from zoo.shards.decode import Clip, decode_image, decode_video, still_clip
from zoo.shards.sampling import FrameSampling

MAX_BYTES = 4_000_000  # of a file that is put into the page; of a larger one only frames are shown
THUMBNAIL = 160  # px, longer edge of a frame in the strip
POSTER = 480  # px, longer edge of what stands in a player before it plays
DEFAULT_SAMPLING = FrameSampling(max_frames=8, frame_rate=4.0)
MIME = {".mp4": "video/mp4", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png"}


def sampling_of(samples: Mapping[str, Any]) -> FrameSampling:
    """The frame sampling that a run recorded beside its samples."""
    recorded = samples.get("sampling")
    try:
        return FrameSampling(**recorded) if isinstance(recorded, Mapping) else DEFAULT_SAMPLING
    except (TypeError, ConfigError):  # of another version
        return DEFAULT_SAMPLING


def media_html(path: Path, sampling: FrameSampling) -> str:
    """A player and the sampled frames with their times, or a sentence why there is neither.

    Args:
        path: File of the run folder; mp4, jpg or png.
        sampling: Which frames to show.
    """
    if not path.is_file() or path.suffix not in MIME:
        return f'<p class="note">{escape(path.name)} is not in this folder.</p>'
    data = path.read_bytes()
    is_video = path.suffix == ".mp4"
    try:
        clip, fault = shown_clip([path], sampling), ""
    except DataError as error:
        clip, fault = None, f'<p class="note">{escape(str(error))}</p>'
    parts = []
    if len(data) <= MAX_BYTES and is_video:
        poster = f' poster="{jpg_url(clip.frames[0])}"' if clip is not None else ""
        source = data_url(data, MIME[path.suffix])
        parts.append(f'<video controls loop muted playsinline preload="metadata"{poster} src="{source}"></video>')
    elif len(data) <= MAX_BYTES:
        parts.append(f'<img class="still" alt="" src="{data_url(data, MIME[path.suffix])}">')
    if clip is not None and (is_video or not parts):
        parts.append(strip_html(clip))
    return "".join([*parts, fault])


def file_html(path: Path) -> str:
    """A picture, or a player that begins again at the end; a sentence where the file is missing or too large."""
    if not path.is_file() or path.suffix not in MIME:
        return f'<p class="note">{escape(path.name)} is not in this folder.</p>'
    data = path.read_bytes()
    if len(data) > MAX_BYTES:
        return f'<p class="note">{escape(path.name)} is too large for this page.</p>'
    source = data_url(data, MIME[path.suffix])
    if path.suffix == ".mp4":
        return f'<video controls loop muted playsinline preload="metadata" src="{source}"></video>'
    return f'<img alt="" src="{source}">'


def shown_clip(paths: Sequence[Path], sampling: FrameSampling) -> Clip:
    """The frames of a video, an image or several images that a model saw.

    Raises:
        DataError: one cannot be decoded.
    """
    clips = [
        decode_video(path.read_bytes(), sampling) if path.suffix == ".mp4" else decode_image(path.read_bytes())
        for path in paths
    ]
    return clips[0] if len(clips) == 1 else still_clip([clip.frames[0] for clip in clips])


def strip_html(clip: Clip) -> str:
    """The frames of a clip side by side, each over its time."""
    cells = [
        f'<figure><img alt="" src="{jpg_url(pixels, THUMBNAIL)}"><figcaption>{time_s:.1f} s</figcaption></figure>'
        for pixels, time_s in zip(clip.frames, clip.times_s, strict=True)
    ]
    return f'<div class="strip">{"".join(cells)}</div>'


def jpg_url(pixels: np.ndarray, longest: int = POSTER) -> str:
    """(height, width, 3) uint8 as a JPEG of at most `longest` pixels an edge, inside an address."""
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((longest, longest))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82)
    return data_url(buffer.getvalue(), "image/jpeg")


def data_url(data: bytes, mime: str) -> str:
    """The bytes as an address that holds them."""
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"
