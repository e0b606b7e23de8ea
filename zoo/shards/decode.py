"""Decode the sampled frames of a clip to RGB with their true times; still images are frames at 0 s.

The hot path of every loader. The table of a video's packets is read first, which costs little and tells every frame's
time; then only the groups of pictures that hold a wanted frame are decoded, and only wanted frames become RGB. Decoding
uses one thread: clips are small and loaders run in workers (20 frames of 144 px: 3.3 ms on one thread, 3.8 on two).
Differs from a plain PyAV loop over `decode(video=0)`: skips unwanted frames that no other refers to. The pixels agree.
"""

import io
import math
import threading
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from zoo.errors import DataError
from zoo.shards.mp4 import Mp4Index, read_index
from zoo.shards.sampling import FrameSampling
from zoo.shards.schema import TEXT

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.codec.context import CodecContext
    from av.container import InputContainer
    from av.video.reformatter import VideoReformatter

    from zoo.shards.reader import Sample

VIDEO_SUFFIXES = ("mp4",)
IMAGE_SUFFIXES = ("jpg", "jpeg", "png")

MAX_DECODERS = 8  # kept by a thread, one for each configuration of an encoder that was met lately

ChooseFrames = Callable[[np.ndarray], np.ndarray]
"""(frames,) times of all stored frames in seconds → (sampled,) growing indices of those to decode."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """Ordered frames given to the model at once.

    Args:
        frames: (frames, height, width, 3) uint8 RGB; of several images a tuple of (height, width, 3), of text alone an
            empty one.
        times_s: (frames,) float64, seconds after the first frame of the sample; 0 for images.
        indices: (frames,) int64, places among all frames of the sample; label arrays are indexed by them.
    """

    frames: np.ndarray | tuple[np.ndarray, ...]
    times_s: np.ndarray
    indices: np.ndarray


class _Kept(threading.local):
    """What is dear to set up, apart for each thread: it has a state while it works on a clip."""

    def __init__(self) -> None:
        self.decoders: dict[bytes, CodecContext] = {}  # by configuration
        self.reformatter: VideoReformatter | None = None  # to RGB; a new one costs as much as a small frame


_kept = _Kept()


def decode_sample(sample: "Sample", choose: "FrameSampling | ChooseFrames | ShownFrames") -> Clip:
    """Decode the sampled frames of a sample read from a shard.

    Args:
        sample: Holds one media file, several images, or text alone.
        choose: Sampling rule, a function from the times of all stored frames to indices, or what `shown_frames` gave
            for this sample.
    Raises:
        DataError: names shard and key: no media file, a corrupt or truncated one,
            or another number of frames or images than recorded.
    """
    with _named(sample):
        match media_kind(sample):
            case "video":
                index = choose.index if isinstance(choose, ShownFrames) else None
                part = _Part(sample.record, choose)
                data = sample.files[media_suffix(sample.files)]
                return part.of(decode_video(data, part, expected_frames=part.stored_frames, index=index))
            case "images":
                return _decode_images(sample)
            case "text":
                return still_clip(())


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownFrames:
    """Which frames of a sample are shown, known before any is decoded.

    Args:
        times_s: (frames,) float64, seconds after the sample's first frame; 0 for images.
        indices: (frames,) int64, places among the sample's frames or images; label arrays are indexed by them.
        is_video: Frames of a clip rather than images.
        index: Of a plain mp4 its table of packets, which decoding would read again.
    """

    times_s: np.ndarray
    indices: np.ndarray
    is_video: bool
    index: Mp4Index | None = None


def shown_frames(sample: "Sample", choose: FrameSampling | ChooseFrames) -> ShownFrames:
    """The frames that `decode_sample` would give, from the table of packets alone: nothing is decoded.

    Args:
        sample: Holds one media file, several images, or text alone.
        choose: Sampling rule, or a function from the times of all stored frames to indices.
    Raises:
        DataError: names shard and key: no media file, or a video without a readable table. Damage inside frames is
            found by decoding only.
    """
    with _named(sample):
        match media_kind(sample):
            case "video":
                part = _Part(sample.record, choose)
                data = sample.files[media_suffix(sample.files)]
                index = read_index(data)
                times_s = frame_times(data, expected_frames=part.stored_frames, index=index)
                indices = np.asarray(part(times_s), dtype=np.int64)
                return ShownFrames(
                    times_s=times_s[indices] - part.start_s, indices=indices - part.first, is_video=True, index=index
                )
            case "images":
                count = len(media_files(sample))
                return ShownFrames(times_s=np.zeros(count), indices=np.arange(count), is_video=False)
            case "text":
                return ShownFrames(times_s=np.zeros(0), indices=np.zeros(0, np.int64), is_video=False)


MediaKind = Literal["video", "images", "text"]


def media_kind(sample: "Sample") -> MediaKind:
    """What a sample shows: a video, one or more images, or nothing but text.

    Raises:
        DataError: it should show something and has no media file.
    """
    if sample.record.get("media") == TEXT:
        return "text"
    return "video" if media_suffix(sample.files) in VIDEO_SUFFIXES else "images"


def image_sizes(sample: "Sample") -> tuple[tuple[int, int], ...]:
    """(width, height) of a sample's images, as recorded; nothing is decoded."""
    return tuple((image["width"], image["height"]) for image in sample.record.get("images", (sample.record,)))


def still_clip(images: Sequence[np.ndarray]) -> Clip:
    """Images that are shown one beside the other, of any sizes; none at all for text alone.

    Args:
        images: (height, width, 3) uint8 RGB each.
    """
    return Clip(frames=tuple(images), times_s=np.zeros(len(images)), indices=np.arange(len(images)))


def array_clip(frames: np.ndarray, *, fps: float, choose: FrameSampling | ChooseFrames) -> Clip:
    """The sampled frames of a video that is an array already.

    Args:
        frames: (frames, height, width, 3) uint8 RGB.
        fps: Frames per second; frame i is at i / fps.
        choose: Sampling rule, or a function from the times of all stored frames to indices.
    Raises:
        DataError: no frames, no pixels, another shape or type, or no rate.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or 0 in frames.shape:
        raise DataError(
            f"a video as an array is (frames, height, width, 3) uint8 with none of them 0, got {frames.shape} "
            f"{frames.dtype}"
        )
    if not (math.isfinite(fps) and fps > 0):
        raise DataError(f"a video as an array needs its frames per second above 0, got {fps}")
    times_s = np.arange(len(frames)) / fps
    indices = np.asarray(_chosen(choose)(times_s), dtype=np.int64)
    return Clip(frames=frames[indices], times_s=times_s[indices], indices=indices)


def media_files(sample: "Sample") -> list[str]:
    """Suffixes of a sample's image files, in order; of a video its own.

    Raises:
        DataError: one is missing.
    """
    promised = sample.record.get("images")
    if promised is None:
        return [media_suffix(sample.files)]
    suffix = media_suffix(sample.files).rpartition(".")[2]
    names = [f"{number}.{suffix}" for number in range(len(promised))]
    missing = [name for name in names if name not in sample.files]
    if missing:
        raise DataError(f"{len(missing)} of {len(names)} images are missing, first {missing[0]}")
    return names


def _decode_images(sample: "Sample") -> Clip:
    files = [sample.files[name] for name in media_files(sample)]
    if len(files) == 1:
        return decode_image(files[0])
    return still_clip([decode_image(data).frames[0] for data in files])


def _chosen(choose: FrameSampling | ChooseFrames | ShownFrames) -> ChooseFrames:
    match choose:
        case FrameSampling():
            return choose.indices
        case ShownFrames():
            return lambda times_s: choose.indices
        case _:
            return choose


class _Part:
    """Chooses among the frames of a file that a sample is about: all of them, or its `clip`.

    Args:
        record: Of the sample.
        choose: Sampling rule, a function from the times of the sample's frames to indices, or the frames themselves.
    """

    def __init__(self, record: Mapping[str, Any], choose: FrameSampling | ChooseFrames | ShownFrames) -> None:
        clip = record.get("clip")
        self.is_whole = clip is None
        self.first = 0 if clip is None else clip["first_frame"]
        self.stop = None if clip is None else self.first + record["num_frames"]
        self.stored_frames: int | None = record.get("num_frames") if clip is None else clip["stored_frames"]
        self.start_s = 0.0  # known when the times are
        self.choose = _chosen(choose)

    def __call__(self, times_s: np.ndarray) -> np.ndarray:
        if self.is_whole:
            return self.choose(times_s)
        own = times_s[self.first : self.stop]
        self.start_s = own[0]
        return np.asarray(self.choose(own - self.start_s), dtype=np.int64) + self.first

    def of(self, clip: Clip) -> Clip:
        """A decoded clip, with times and places counted from the sample's first frame."""
        if self.is_whole:
            return clip
        return replace(clip, times_s=clip.times_s - self.start_s, indices=clip.indices - self.first)


@contextmanager
def _named(sample: "Sample") -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise DataError(f"{sample.shard}: sample {sample.key!r}: {error}") from error


def media_suffix(files: Collection[str]) -> str:
    """The suffix of a sample's media file among its files' suffixes; of several images that of the first."""
    for suffix in (*VIDEO_SUFFIXES, *IMAGE_SUFFIXES, *(f"0.{image}" for image in IMAGE_SUFFIXES)):
        if suffix in files:
            return suffix
    expected = ", ".join((*VIDEO_SUFFIXES, *IMAGE_SUFFIXES))
    raise DataError(f"no media file; found {', '.join(files) or 'nothing'}, expected one of {expected}")


def decode_image(data: bytes) -> Clip:
    """Decode jpg or png bytes, turned upright, as a clip of one frame.

    Raises:
        DataError: the bytes are no whole image.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(data)) as image:
            pixels = np.array(ImageOps.exif_transpose(image).convert("RGB"))  # a copy: torch warns of read-only memory
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # Pillow's words for bad files
        raise DataError(f"corrupt image of {len(data)} bytes: {error}") from error
    if not pixels.size:
        raise DataError(f"an image of {pixels.shape[1]} x {pixels.shape[0]} pixels shows nothing")
    return Clip(frames=pixels[None], times_s=np.zeros(1), indices=np.zeros(1, np.int64))


def decode_video(
    data: bytes,
    choose: FrameSampling | ChooseFrames,
    *,
    expected_frames: int | None = None,
    index: Mp4Index | None = None,
) -> Clip:
    """Decode chosen frames of a video file held in memory.

    Args:
        data: The file's bytes, in any container that PyAV reads and that stores presentation times.
        choose: Sampling rule, or a function from the times of all stored frames to indices.
        expected_frames: Number of frames that a record promises; None where nothing is promised.
        index: The file's table of packets where it was read before; None looks for one.
    Raises:
        DataError: no video, corrupt or truncated bytes, or another number of frames than expected.
    """
    import av

    choose, index = _chosen(choose), index or read_index(data)
    try:
        if index is not None:
            return _decode_indexed(data, index, choose, expected_frames)
        return _decode_container(data, choose, expected_frames)
    except av.FFmpegError as error:
        raise DataError(f"corrupt or truncated video of {len(data)} bytes: {error.strerror}") from error


def frame_times(data: bytes, *, expected_frames: int | None = None, index: Mp4Index | None = None) -> np.ndarray:
    """(frames,) float64 times of all stored frames of a video, seconds after the first; nothing is decoded.

    Args:
        data: The file's bytes.
        expected_frames: Number of frames that a record promises; None where nothing is promised.
        index: The file's table of packets where it was read before; None looks for one.
    Raises:
        DataError: no video, a damaged table, or another number of frames than expected.
    """
    import av

    index = index or read_index(data)
    if index is not None:
        return _indexed_times(index, expected_frames)[1]
    try:
        with _open(data) as container:
            return _container_times(container, expected_frames)[2]
    except av.FFmpegError as error:
        raise DataError(f"corrupt or truncated video of {len(data)} bytes: {error.strerror}") from error


def _indexed_times(index: Mp4Index, expected_frames: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Times of all frames in the stream's time base, and in seconds."""
    _check_number((len(index.pts),), (expected_frames,))
    shown = np.array(sorted(index.pts))
    return shown, (shown - shown[0]) / index.time_scale


def _container_times(
    container: "InputContainer", expected_frames: int | None
) -> tuple[list["Packet"], np.ndarray, np.ndarray]:
    """All packets, times of all frames in the stream's time base, and in seconds."""
    if not container.streams.video:
        raise DataError(f"no video stream in {container.size} bytes")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise DataError("the video is in a codec that this build of PyAV cannot decode")
    packets = [packet for packet in container.demux(stream) if packet.size]
    shown = _presentation_times(packets, promised=(stream.frames, expected_frames))
    return packets, shown, (shown - shown[0]) * float(stream.time_base)


def _decode_indexed(data: bytes, index: Mp4Index, choose: ChooseFrames, expected_frames: int | None) -> Clip:
    """The quick way, for plain mp4: no demuxer, and a decoder that served clips of the same encoder before."""
    import av

    shown, times_s = _indexed_times(index, expected_frames)
    indices = np.asarray(choose(times_s), dtype=np.int64)
    wanted = shown[indices].tolist()
    view = memoryview(data)

    def packet(place: int) -> "Packet":
        start, end = index.spans[place]
        made = av.Packet(view[start:end])
        made.pts = index.pts[place]
        return made

    codec = _decoder(index.avc_config)
    try:
        frames = _to_rgb(_decode(codec, packet, index.pts, index.keys, wanted), wanted)
    except (av.FFmpegError, DataError):
        _kept.decoders.clear()  # whatever the bad clip left in it must not reach the next one
        raise
    codec.flush_buffers()
    return Clip(frames=frames, times_s=times_s[indices], indices=indices)


def _decode_container(data: bytes, choose: ChooseFrames, expected_frames: int | None) -> Clip:
    """The way for every other file: FFmpeg's demuxer."""
    with _open(data) as container:
        packets, shown, times_s = _container_times(container, expected_frames)
        stream = container.streams.video[0]
        indices = np.asarray(choose(times_s), dtype=np.int64)
        stream.codec_context.thread_type, stream.codec_context.thread_count = "NONE", 1
        keys = [place for place, packet in enumerate(packets) if packet.is_keyframe]
        pts = [packet.pts for packet in packets]
        wanted = shown[indices].tolist()
        frames = _to_rgb(_decode(stream.codec_context, packets.__getitem__, pts, keys, wanted), wanted)
    return Clip(frames=frames, times_s=times_s[indices], indices=indices)


def _open(data: bytes) -> "InputContainer":
    import av

    # Tags need not be UTF-8. From version 19 on PyAV reads them so by itself, and has no such argument any more.
    tolerant = {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}
    return av.open(io.BytesIO(data), **tolerant)


def _decoder(avc_config: bytes) -> "CodecContext":
    """The thread's H.264 decoder for streams of one configuration; a new one costs as much as four small frames."""
    from av import CodecContext

    codec = _kept.decoders.get(avc_config)
    if codec is None:
        if len(_kept.decoders) >= MAX_DECODERS:
            _kept.decoders.clear()
        codec = CodecContext.create("h264", "r")
        codec.extradata = avc_config
        codec.thread_type, codec.thread_count = "NONE", 1
        _kept.decoders[avc_config] = codec
    return codec


def _presentation_times(packets: list["Packet"], *, promised: tuple[int | None, ...]) -> np.ndarray:
    """Growing (frames,) int64 times of all shown frames, in the stream's time base."""
    shown = [packet.pts for packet in packets if not packet.is_discard]
    if not shown:
        raise DataError("the video holds no frames")
    if None in shown:
        raise DataError("the video stores no presentation times; copy it into mp4: ffmpeg -i IN -c copy OUT.mp4")
    _check_number((len(shown), len(packets)), promised)  # a promise may count the frames that an edit hides
    return np.unique(np.array(shown, dtype=np.int64))


def _check_number(found: tuple[int, ...], promised: tuple[int | None, ...]) -> None:
    for number in promised:
        if number and number not in found:  # containers write 0 for "unknown"
            raise DataError(f"truncated video: {found[0]} of {number} promised frames are there")


def _decode(
    codec: "CodecContext",
    packet: Callable[[int], "Packet"],
    pts: Sequence[int],
    keys: Sequence[int],
    wanted: Sequence[int],
) -> Iterator["VideoFrame"]:
    """Yield frames, among them all of the wanted times, decoding as few packets as references allow.

    Args:
        codec: Decoder of the stream, fresh or flushed.
        packet: Gives the packet of a place in decoding order.
        pts: Times of all packets in decoding order, in the stream's time base.
        keys: Growing places of the key frames.
        wanted: Growing times.
    """
    places = {time: place for place, time in enumerate(pts)}
    key_pts = [pts[place] for place in keys]
    targets = set(wanted)
    fed = 0
    for time in wanted:
        # Frames shown before the next key frame may need this one, even if they are stored after that next one.
        before = bisect_right(key_pts, time) - 1
        start = keys[before] if before >= 0 else 0
        if start > fed:
            if fed:
                yield from codec.decode(None)
                codec.flush_buffers()
            fed = start
        while fed <= places[time]:
            codec.skip_frame = "DEFAULT" if pts[fed] in targets else "NONREF"
            yield from codec.decode(packet(fed))
            fed += 1
    yield from codec.decode(None)


def _to_rgb(decoded: Iterator["VideoFrame"], wanted: Sequence[int]) -> np.ndarray:
    """Convert the wanted frames to (frames, height, width, 3) uint8, in the order of their times."""
    from av.video.reformatter import VideoReformatter

    reformatter = _kept.reformatter = _kept.reformatter or VideoReformatter()
    slots = {pts: slot for slot, pts in enumerate(wanted)}
    frames: np.ndarray | None = None
    for frame in decoded:
        slot = slots.pop(frame.pts, None)
        if slot is None:
            continue
        # One thread: PyAV starts one per core otherwise, and waiting for them takes longer than a small frame.
        (plane,) = reformatter.reformat(frame, format="rgb24", threads=1).planes
        if frames is None:
            frames = np.empty((len(wanted), frame.height, 3 * frame.width), np.uint8)
        if (frame.height, 3 * frame.width) != frames.shape[1:]:
            raise DataError("the video changes its size half-way")
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # rows end in padding
        frames[slot] = rows[: frame.height, : 3 * frame.width]
    if frames is None or slots:
        raise DataError(f"corrupt video: {len(slots)} of {len(wanted)} sampled frames do not decode")
    return frames.reshape(*frames.shape[:2], -1, 3)
