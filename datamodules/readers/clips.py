"""Cut a part out of a video without encoding it again: its pictures stay as they were, and so do their times.

A picture may need others before it to be decoded, so what is stored begins at the key frame at or before the part, and
the record's `clip` says which of the stored frames belong to it. Encoding anew would lose quality, take longer than
decoding, and give every frame of a variable rate the wrong time; storing whole videos would repeat each for all of its
clips.
"""

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from zoo.errors import DataError
from zoo.shards.decode import frame_times

if TYPE_CHECKING:
    from av import Packet

END_TOLERANCE_S = 0.5  # published ends are those of containers, which outlast their last picture
ROUNDING_S = 1e-3  # published times are rounded


@dataclass(frozen=True, slots=True)
class SecondsPart:
    """From one time to another, both included.

    Args:
        start_s: After the video's first frame.
        end_s: The same; up to `END_TOLERANCE_S` behind the last frame.
        may_be_cut: A file that is no longer than the part holds nothing else, and is taken whole.
    """

    start_s: float
    end_s: float
    may_be_cut: bool = False

    def frames(self, times_s: np.ndarray) -> tuple[int, int]:
        """First frame, and the one behind the last.

        Raises:
            DataError: it ends behind the video, or holds no frame.
        """
        if self.may_be_cut and times_s[-1] <= self.end_s - self.start_s + END_TOLERANCE_S:
            return 0, len(times_s)
        if self.end_s > times_s[-1] + END_TOLERANCE_S + _period(times_s):
            raise DataError(f"the clip ends at {self.end_s:g} s, the video at {times_s[-1]:.3g} s")
        first = int(np.searchsorted(times_s, self.start_s - ROUNDING_S))
        stop = int(np.searchsorted(times_s, self.end_s + ROUNDING_S, side="right"))
        if first >= stop:
            raise DataError(f"no frame between {self.start_s:g} and {self.end_s:g} s")
        return first, stop


@dataclass(frozen=True, slots=True)
class FramesPart:
    """From one frame to another, both included, counted from 0."""

    first: int
    last: int

    def frames(self, times_s: np.ndarray) -> tuple[int, int]:
        """First frame, and the one behind the last.

        Raises:
            DataError: there are fewer.
        """
        if not 0 <= self.first <= self.last < len(times_s):
            raise DataError(f"the clip is frames {self.first} to {self.last}, the video has {len(times_s)}")
        return self.first, self.last + 1


class Cut(NamedTuple):
    """A part of a video as it goes into a shard.

    Args:
        data: An mp4.
        first_frame: Of the part, among those in `data`.
        num_frames: Of the part.
        stored_frames: In `data`.
        fps: Mean over the part.
    """

    data: bytes
    first_frame: int
    num_frames: int
    stored_frames: int
    fps: float


def cut(data: bytes, part: SecondsPart | FramesPart) -> Cut:
    """A part of a video.

    Args:
        data: An mp4 that holds nothing but a video.
        part: Which frames.
    Raises:
        DataError: the video has no such frames, or its stream cannot be cut.
    """
    times_s = frame_times(data)
    first, stop = part.frames(times_s)
    own = times_s[first:stop]
    fps = (len(own) - 1) / float(own[-1] - own[0]) if len(own) > 1 else 1 / _period(times_s)
    if (first, stop) == (0, len(times_s)):
        return Cut(data, 0, len(own), len(own), fps)
    copied, before = _copied(data, first, stop)
    stored_s = frame_times(copied)
    kept_s = stored_s[before : before + len(own)]
    if len(kept_s) != len(own) or np.abs(kept_s - kept_s[0] - (own - own[0])).max() > ROUNDING_S:
        raise DataError("the video cannot be cut without encoding it again; cut it: ffmpeg -ss START -to END -i IN OUT")
    return Cut(copied, before, len(own), len(stored_s), fps)


def _copied(data: bytes, first: int, stop: int) -> tuple[bytes, int]:
    """The packets that frames `first` to `stop` need, and how many frames are shown before them."""
    import av

    buffer = io.BytesIO()
    try:
        with av.open(io.BytesIO(data)) as container, av.open(
            buffer, "w", format="mp4", options={"fflags": "+bitexact"}
        ) as copy:  # fmt: skip
            source = container.streams.video[0]
            packets = [packet for packet in container.demux(source) if packet.size]
            shown = sorted(packet.pts for packet in packets if not packet.is_discard)
            kept = _needed(packets, shown[first], shown[stop - 1])
            begin = kept[0].pts
            stream = copy.add_stream_from_template(source)
            for packet in kept:
                packet.pts, packet.dts = packet.pts - begin, packet.dts - begin
                packet.stream = stream
                copy.mux(packet)
    except (av.FFmpegError, ValueError) as error:
        raise DataError(f"the video cannot be cut: {error}") from error
    return buffer.getvalue(), sum(begin <= pts < shown[first] for pts in shown)


def _needed(packets: "list[Packet]", first_pts: int, last_pts: int) -> "list[Packet]":
    """Packets in decoding order from the key frame at or before the first frame to the last frame's.

    Frames that are shown before that key frame and stored behind it refer to what is not copied; they are left out.
    """
    start = max(place for place, packet in enumerate(packets) if packet.is_keyframe and packet.pts <= first_pts)
    end = max(place for place, packet in enumerate(packets) if packet.pts <= last_pts)
    return [packet for packet in packets[start : end + 1] if packet.pts >= packets[start].pts]


def _period(times_s: np.ndarray) -> float:
    """Mean seconds from a frame to the next; 1 for a single frame."""
    return float(times_s[-1]) / (len(times_s) - 1) if len(times_s) > 1 else 1.0
