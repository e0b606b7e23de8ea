"""The sample table of mp4 files: FFmpeg's demuxer is the judge, and whatever is unusual or damaged is left to it."""

import io
import struct

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.shards import decode
from zoo.shards.mp4 import read_index
from zoo.shards.sampling import FrameSampling


def encode(tmp_path, *, movflags="faststart", codec="libx264", options=None, num_frames=25, pts=None, sound=False):
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w", options={"movflags": movflags} if movflags else {}) as container:
        stream = container.add_stream(codec, rate=8)
        stream.width = stream.height = 48
        stream.pix_fmt = "yuv420p"
        stream.options = options or {"g": "10"}
        audio = container.add_stream("aac", rate=16000) if sound else None
        for index in range(num_frames):
            pixels = np.full((48, 48, 3), 9 * index, np.uint8)
            pixels[8:20, index : index + 12] = (250, 20, 20)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if pts is not None:
                frame.pts = pts[index]
            container.mux(stream.encode(frame))
        if audio is not None:
            noise = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            noise.sample_rate = 16000
            container.mux(audio.encode(noise))
            container.mux(audio.encode())
        container.mux(stream.encode())
    return path.read_bytes()


def demuxed(data):
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        return stream.time_base, [
            (packet.pts, bool(packet.is_keyframe), bytes(packet)) for packet in container.demux(stream) if packet.size
        ]


PLAIN = [
    {},
    {"movflags": ""},  # the table stands behind the pictures
    {"options": {"g": "1"}},
    {"options": {"g": "10", "bf": "0"}},
    {"options": {"x264-params": "keyint=9:open-gop=1:bframes=3:b-adapt=0"}},
    {"sound": True},
    {"num_frames": 1},
]


@pytest.mark.parametrize("variant", PLAIN, ids=str)
def test_agrees_with_the_demuxer(tmp_path, variant):
    data = encode(tmp_path, **variant)
    index = read_index(data)
    time_base, packets = demuxed(data)
    shift = min(index.pts) - min(pts for pts, _, _ in packets)
    keys = set(index.keys)
    pieces = enumerate(zip(index.pts, index.spans, strict=True))
    assert packets == [(pts - shift, place in keys, data[slice(*span)]) for place, (pts, span) in pieces]
    assert index.time_scale == 1 / time_base


UNUSUAL = [
    ({"movflags": "frag_keyframe+empty_moov"}, True),
    ({"codec": "mpeg4", "options": {}}, True),
    ({"options": {"g": "10", "colorspace": "bt709", "color_range": "pc"}}, False),  # the pictures say so themselves
]


@pytest.mark.parametrize(("variant", "is_left"), UNUSUAL, ids=str)
def test_unusual_files_decode_as_well(tmp_path, variant, is_left):
    data = encode(tmp_path, **variant)
    assert (read_index(data) is None) == is_left
    with av.open(io.BytesIO(data)) as container:
        expected = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    clip = decode.decode_video(data, lambda times_s: np.arange(len(times_s)))
    np.testing.assert_array_equal(clip.frames, expected)


def test_both_ways_of_decoding_agree(tmp_path, monkeypatch):
    for variant in PLAIN:
        data = encode(tmp_path, **variant)
        quick = decode.decode_video(data, FrameSampling(max_frames=7, frame_rate=4.0))
        with monkeypatch.context() as patch:
            patch.setattr(decode, "read_index", lambda data: None)
            slow = decode.decode_video(data, FrameSampling(max_frames=7, frame_rate=4.0))
        np.testing.assert_array_equal(quick.frames, slow.frames)
        np.testing.assert_allclose(quick.times_s, slow.times_s, rtol=0, atol=1e-9)
        np.testing.assert_array_equal(quick.indices, slow.indices)


def test_an_edit_that_cuts_is_left_to_the_demuxer(tmp_path):
    data = bytearray(encode(tmp_path))
    assert read_index(bytes(data)) is not None
    place = data.index(b"elst") + 4  # version and flags, count, duration, begin, rate
    begin = struct.unpack_from(">i", data, place + 12)[0]
    struct.pack_into(">i", data, place + 12, begin + 4096)
    assert read_index(bytes(data)) is None
    struct.pack_into(">i", data, place + 12, begin)
    struct.pack_into(">I", data, place + 8, 5)
    assert read_index(bytes(data)) is None


def test_a_decoder_is_used_again_and_forgotten_after_a_fault(tmp_path):
    data = encode(tmp_path)
    first = decode.decode_video(data, lambda times_s: np.array([0, 7, 24]))
    decode.decode_video(encode(tmp_path, num_frames=3), lambda times_s: np.array([2]))
    damaged = bytearray(data)
    start = data.index(b"mdat") + 900
    damaged[start : start + 2000] = np.random.default_rng(0).bytes(2000)
    with pytest.raises(decode.DataError):
        decode.decode_video(bytes(damaged[: len(data)]), lambda times_s: np.arange(25))
    again = decode.decode_video(data, lambda times_s: np.array([0, 7, 24]))
    np.testing.assert_array_equal(first.frames, again.frames)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_random_damage_never_raises(tmp_path_factory, data):
    content = bytearray(_whole(tmp_path_factory))
    table = content.index(b"moov")
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(table, table + 900))] = data.draw(st.integers(0, 255))
    index = read_index(
        bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    )
    if index is not None:
        assert len(index.pts) == len(index.spans)
        assert set(index.keys) <= set(range(len(index.pts)))
        assert all(0 <= start <= end <= len(content) for start, end in index.spans)


_cache = {}


def _whole(factory):
    if not _cache:
        _cache["data"] = encode(factory.mktemp("whole"))
    return _cache["data"]


@pytest.mark.parametrize("data", [b"", b"\0" * 64, b"moov", struct.pack(">I4s", 8, b"moov")])
def test_no_file_at_all(data):
    assert read_index(data) is None
