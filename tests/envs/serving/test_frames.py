"""Frames: whatever travels comes back, bytes are those of the package vla-eval, and nonsense is told as such."""

from contextlib import suppress

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from zoo.envs.serving import frames
from zoo.envs.serving.frames import Message, MessageType
from zoo.errors import DataError

DTYPES = ["?", "|u1", "<i2", "<i8", ">u4", "<f2", "<f4", ">f8"]
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
)
PICTURES = st.sampled_from([1, 3, 4]).flatmap(
    lambda channels: hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(channels)))
)
PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text()
NAMES = st.text(min_size=1).filter(lambda name: name not in ("__ndarray__", "__image__"))
VALUES = st.recursive(
    PLAIN | ARRAYS | PICTURES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
MESSAGES = st.builds(
    Message,
    st.sampled_from(MessageType),
    st.dictionaries(NAMES, VALUES, max_size=4),
    st.integers(0, 2**63),
    st.floats(0, 1e12),
)


def assert_same(got, sent):
    if isinstance(sent, np.ndarray):
        assert isinstance(got, np.ndarray)
        assert got.dtype == sent.dtype
        assert got.flags.writeable
        np.testing.assert_array_equal(got, sent)
    elif isinstance(sent, dict):
        assert list(got) == list(sent)
        for name, value in sent.items():
            assert_same(got[name], value)
    elif isinstance(sent, list):
        assert len(got) == len(sent)
        for one, other in zip(got, sent, strict=True):
            assert_same(one, other)
    else:
        assert got == sent


@given(MESSAGES, st.sampled_from(["png", "raw"]))
def test_what_is_sent_arrives(message, image_format):
    got = frames.unpack(frames.pack(message, image_format=image_format))
    assert (got.type, got.seq, got.timestamp) == (message.type, message.seq, message.timestamp)
    assert_same(got.payload, message.payload)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_do_anything_else(data):
    with pytest.raises(DataError):
        frames.unpack(data)


@given(MESSAGES, st.data())
def test_a_broken_frame_is_refused_or_read(message, data):
    """One byte changed: another message may come out, but nothing that is not caught."""
    broken = bytearray(frames.pack(message))
    broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    with suppress(DataError):
        frames.unpack(bytes(broken))


def test_jpeg_is_close():
    ramp = np.linspace(0, 255, 64 * 64).reshape(64, 64, 1).repeat(3, 2).astype(np.uint8)
    data = frames.pack(Message(MessageType.OBSERVATION, {"picture": ramp}), image_format="jpeg")
    assert len(data) < ramp.nbytes / 3
    got = frames.unpack(data).payload["picture"]
    assert np.abs(got.astype(int) - ramp).max() <= 4  # quality 95
    with pytest.raises(DataError, match="1 channels cannot travel as jpeg"):
        frames.pack(Message(MessageType.OBSERVATION, {"picture": ramp[..., :1]}), image_format="jpeg")


def test_numbers_of_numpy_become_pythons():
    sent = {"a": np.int32(3), "b": np.float32(0.5), "c": np.bool_(True)}
    assert frames.unpack(frames.pack(Message(MessageType.ACTION, sent))).payload == {"a": 3, "b": 0.5, "c": True}


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (np.array(["a"]), "dtype <U1 do not travel"),
        (np.array([None]), "dtype object do not travel"),
        (np.zeros(2, complex), "dtype complex128 do not travel"),
        ({1, 2}, "type set do not travel"),
        (2**70, "cannot be sent"),
    ],
)
def test_what_cannot_travel(value, match):
    with pytest.raises(DataError, match=match):
        frames.pack(Message(MessageType.ACTION, {"x": value}))


def array(**changes):
    return {"__ndarray__": True, "data": bytes(8), "dtype": "<f4", "shape": [2]} | changes


def picture(**changes):
    sent = frames.encode_image(np.zeros((4, 6, 3), np.uint8), "png")
    return sent | changes


@pytest.mark.parametrize(
    ("payload", "match"),
    [
        (array(dtype="O"), "dtype 'O'; only bool, integers and floats"),
        (array(dtype="<U2"), "only bool, integers and floats"),
        (array(dtype="nonsense"), "dtype 'nonsense'"),
        (array(dtype=None), "dtype None"),
        (array(shape=[3]), r"shape \(3,\) and dtype <f4 holds 8 bytes"),
        (array(shape=[-1, -2]), "holds 8 bytes"),
        (array(shape=[2**40, 2**40, 0, 1]), "holds 8 bytes"),
        (array(shape="ab"), "shape 'ab'"),
        (array(data="text"), "holds str"),
        (picture(format="gif"), "format 'gif'"),
        (picture(shape=[4, 6]), r"shape \[4, 6\]"),
        (picture(shape=[6, 4, 3]), "4 x 6 comes with shape"),
        (picture(shape=[4, 6, 2]), "expected png, jpeg or raw"),
        (picture(format="jpeg"), "cannot be read as jpeg"),
        (picture(data=picture()["data"][:30]), "cannot be read as png"),
        (picture(data=3), "format 'png'"),
    ],
)
def test_broken_arrays_and_pictures(payload, match):
    content = {"type": "observation", "payload": {"x": payload}, "seq": 1, "timestamp": 0.0}
    with pytest.raises(DataError, match=match):
        frames.unpack(msgpack.packb(content))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"type": "greeting"}, "type 'greeting', expected one of hello, observation"),
        ({"payload": [1]}, "field payload of a frame is a list"),
        ({"seq": "1"}, "field seq of a frame is a str"),
        ({"seq": True}, "field seq of a frame is a bool"),
        ({"timestamp": None}, "field timestamp of a frame is a NoneType"),
    ],
)
def test_fields_of_other_types(changes, match):
    content = {"type": "hello", "payload": {}, "seq": 1, "timestamp": 0.0} | changes
    with pytest.raises(DataError, match=match):
        frames.unpack(msgpack.packb(content))


def test_what_is_no_frame():
    with pytest.raises(DataError, match="a map with a, expected a map with type, payload, seq, timestamp"):
        frames.unpack(msgpack.packb({"a": 1}))
    with pytest.raises(DataError, match="is text"):
        frames.unpack("hello")
    with pytest.raises(DataError, match="no msgpack message"):
        frames.unpack(frames.pack(Message(MessageType.HELLO, {}))[:-3])


@pytest.fixture(scope="module")
def theirs():
    reason = "needs the package vla-eval: pip install 'molmo-zoo[vla-eval]'"
    return pytest.importorskip("vla_eval.protocol.messages", reason=reason)


@given(
    st.sampled_from(MessageType),
    st.dictionaries(NAMES, PLAIN | ARRAYS.filter(lambda array: array.ndim != 3) | PICTURES, max_size=4),
    st.integers(0, 2**31),
)
def test_bytes_of_the_package(theirs, kind, payload, seq):
    payload = {name: value for name, value in payload.items() if np.shape(value)[2:] != (1,)}  # theirs cannot send it
    data = frames.pack(Message(kind, payload, seq, 12.5))
    assert data == theirs.pack_message(theirs.Message(theirs.MessageType(kind.value), payload, seq, 12.5))
    assert_same(theirs.unpack_message(data).payload, payload)


@pytest.mark.parametrize("image_format", ["png", "jpeg", "raw"])
def test_pictures_of_the_package(theirs, image_format):
    from vla_eval.protocol import image_codec

    sent = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    encoded = image_codec.encode_image(sent, image_format)
    assert frames.encode_image(sent, image_format) == encoded
    np.testing.assert_array_equal(frames.decode_image(encoded), image_codec.decode_image(encoded))
