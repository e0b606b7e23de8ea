"""Videos without the frame behind the last action, and with it; coded pictures are copied wherever that can be.

The layout shows the state after the last action (sheet spoc_ring_holodeck_graspmolmo 1.8), a shard does not. A picture
that others were coded from cannot be taken out: then the file keeps it, and its edit list ends before it is shown.
"""

from __future__ import annotations

import io
import re
import struct
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from zoo.datamodules.readers.clips import FramesPart, cut
from zoo.datamodules.readers.media import probe
from zoo.errors import DataError
from zoo.shards.decode import decode_video, frame_times
from zoo.shards.encode import encode_frames
from zoo.shards.mp4 import read_index

EDIT_BOX, MOVIE_BOX = b"elst", b"mvhd"
OTHER_SETS = 7
"""Number of the parameter sets of a picture that is added; encoders begin at 0."""


def without_last_frame(data: bytes) -> bytes:
    """The same video, a frame shorter; nothing is encoded.

    Args:
        data: An mp4 of two frames or more that holds nothing but a video.
    Raises:
        DataError: it has fewer frames, or cannot be copied.
    """
    times_s = frame_times(data)
    if len(times_s) < 2:
        raise DataError(f"a video of {len(times_s)} frames, expected two or more: a state before the action and after")
    part = cut(data, FramesPart(0, len(times_s) - 2))
    if part.stored_frames == part.num_frames:
        return part.data
    # The last picture is stored before others that refer to it: a whole copy, of which it is not shown.
    shown = _ends_at(part.data, float(times_s[-2] + times_s[-1]) / 2)
    if len(frame_times(shown)) != len(times_s) - 1:
        raise DataError("the last frame cannot be hidden; encode the video anew: ffmpeg -i IN -bf 0 OUT.mp4")
    return shown


def _ends_at(data: bytes, end_s: float) -> bytes:
    """A copy whose edit list, the only one, shows nothing from `end_s` on."""
    edits, movie = data.find(EDIT_BOX), data.find(MOVIE_BOX)
    if edits < 0 or movie < 0 or data[edits + 4] or data[movie + 4]:
        raise DataError("the last frame cannot be hidden in a file without an edit list of 32-bit times")
    (time_scale,) = struct.unpack_from(">I", data, movie + 16)
    patched = bytearray(data)
    struct.pack_into(">I", patched, edits + 12, round(end_s * time_scale))
    return bytes(patched)


def with_last_frame_again(data: bytes, *, fps: float) -> bytes:
    """The same video a frame longer: with the one that `without_last_frame` hid, else with the last one once more.

    The state behind the last action looks like the one before it, because `done` changes nothing. Coded pictures of
    H.264 are copied; a video of another codec is encoded anew.

    Args:
        data: An mp4 that holds nothing but a video.
        fps: Frames per second.
    Raises:
        DataError: it cannot be read.
    """
    count = len(frame_times(data))
    index = read_index(data)
    if index is None and (shown := _with_hidden_frame(data, count, fps)):
        return shown
    if index is not None:
        (last,) = decode_video(data, lambda times_s: np.array([len(times_s) - 1])).frames
        longer = _with_picture(data, _key_frame(last))
        if len(frame_times(longer)) == count + 1:
            return longer
    frames = decode_video(data, lambda times_s: np.arange(len(times_s))).frames
    return encode_frames((*frames, frames[-1]), fps=fps)


def _with_hidden_frame(data: bytes, count: int, fps: float) -> bytes | None:
    """The video with the end of its edit list a frame later; None where that shows nothing more."""
    try:
        shown = _ends_at(data, (count + 1) / fps)
        return shown if len(frame_times(shown)) == count + 1 else None
    except DataError:  # no edit list of the kind that hides a frame
        return None


def _key_frame(pixels: np.ndarray) -> bytes:
    """One coded picture with its own parameter sets, as an mp4 holds it.

    The sets have another number than those of the video, so that its pictures are decoded with theirs whenever a
    decoder goes back.
    """
    import av

    codec = av.CodecContext.create("libx264", "w")
    codec.height, codec.width, codec.pix_fmt = *pixels.shape[:2], "yuv420p"
    codec.time_base, codec.thread_count = Fraction(1, 1), 1
    codec.options = {"preset": "ultrafast", "crf": "18", "flags": "+bitexact", "x264-params": f"sps-id={OTHER_SETS}"}
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    frame.pts = 0
    stream = b"".join(bytes(packet) for part in (frame, None) for packet in codec.encode(part))
    units = [unit for unit in re.split(b"\0\0\0?\1", stream) if unit]
    return b"".join(struct.pack(">I", len(unit)) + unit for unit in units)


def _with_picture(data: bytes, picture: bytes) -> bytes:
    """A copy with one more coded picture, a key frame, behind the last."""
    import av

    buffer = io.BytesIO()
    try:
        with av.open(io.BytesIO(data)) as container, av.open(
            buffer, "w", format="mp4", options={"fflags": "+bitexact"}
        ) as copy:  # fmt: skip
            source = container.streams.video[0]
            stream = copy.add_stream_from_template(source)
            packets = [packet for packet in container.demux(source) if packet.size]
            shown = sorted(packet.pts for packet in packets)
            period = shown[-1] - shown[-2] if len(shown) > 1 else round(1 / (source.average_rate * source.time_base))
            extra = av.Packet(picture)
            extra.pts, extra.dts = shown[-1] + period, packets[-1].dts + period
            extra.time_base, extra.is_keyframe = source.time_base, True
            for packet in (*packets, extra):
                packet.stream = stream
                copy.mux(packet)
    except (av.FFmpegError, ValueError) as error:
        raise DataError(f"the video cannot be copied: {error}") from error
    return buffer.getvalue()


class Opened(NamedTuple):
    """A video alone in an mp4.

    Args:
        data: The file.
        height: Pixels.
        width: Pixels.
        num_frames: That are shown.
    """

    data: bytes
    height: int
    width: int
    num_frames: int


def opened(data: bytes) -> Opened:
    """Look at a video; its ends are decoded, so that a broken one is found.

    Raises:
        DataError: no whole video.
    """
    media = probe("video.mp4", data)
    return Opened(media.data, media.height, media.width, media.num_frames)
