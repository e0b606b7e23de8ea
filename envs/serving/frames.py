"""Frames of vla-eval, version 1: a message is a msgpack map of type, payload, sequence number and time.

Source: sheet molmospaces section 23, "Wire protocol". Bytes agree with the package vla-eval 0.8.0.
Differs: a picture of one channel can be sent as PNG, and keeps its third axis; a picture whose header states another
size than the message is refused, as is a frame whose fields have other types than the protocol says.
"""

from __future__ import annotations

import enum
import io
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from typing import Any, Literal

import msgpack
import numpy as np
from PIL import Image

from zoo.errors import DataError

SPEAKER = f"molmo-zoo {metadata.version('molmo-zoo')}"
"""How we name ourselves in a hello."""
PROTOCOL_VERSION = 1
ARRAY_KINDS = "biuf"
"""Kinds of dtype that travel: bool, signed and unsigned integers, floats."""
JPEG_QUALITY = 95

ImageFormat = Literal["png", "jpeg", "raw"]

_ARRAY, _IMAGE = "__ndarray__", "__image__"
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_FIELDS = {"type": str, "payload": dict, "seq": int, "timestamp": (float, int)}


class MessageType(enum.StrEnum):
    """What a message is."""

    HELLO = "hello"
    OBSERVATION = "observation"
    ACTION = "action"
    EPISODE_START = "episode_start"
    EPISODE_END = "episode_end"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Message:
    """One frame.

    Args:
        type: What it is.
        payload: Plain values and arrays.
        seq: Counted by the client; an answer has the number of its question.
        timestamp: Unix seconds.
    """

    type: MessageType
    payload: Mapping[str, Any]
    seq: int = 0
    timestamp: float = field(default_factory=time.time)


def pack(message: Message, *, image_format: ImageFormat = "png", also: Mapping[str, Any] | None = None) -> bytes:
    """Bytes of a message.

    Args:
        message: What to send.
        image_format: How pictures travel: (height, width, 1, 3 or 4) uint8. JPEG loses a little, and takes 3 channels.
        also: Further fields beside the four, which readers of frames pass over.
    Raises:
        DataError: something in it cannot be sent.
    """
    content = {
        "type": message.type.value,
        "payload": dict(message.payload),
        "seq": message.seq,
        "timestamp": message.timestamp,
    }
    return packed(content | dict(also or {}), partial(_plain, image_format=image_format))


def unpack(data: bytes) -> Message:
    """A message out of bytes.

    Raises:
        DataError: these bytes are no frame.
    """
    content = unpacked(data, _restored)
    if not is_frame(content):
        wanted = ", ".join(_FIELDS)
        raise DataError(f"a frame holds {_shown(content)}, expected a map with {wanted} of vla-eval's protocol 1")
    for name, kind in _FIELDS.items():
        if not isinstance(content[name], kind) or isinstance(content[name], bool):
            raise DataError(f"field {name} of a frame is a {type(content[name]).__name__}")
    known = [one.value for one in MessageType]
    if content["type"] not in known:
        raise DataError(f"a frame has type {content['type']!r}, expected one of {', '.join(known)}")
    return Message(MessageType(content["type"]), content["payload"], content["seq"], float(content["timestamp"]))


def is_frame(content: Any) -> bool:
    """Whether unpacked bytes have the four fields of a frame."""
    return isinstance(content, dict) and all(name in content for name in _FIELDS)


def packed(content: Any, plain: Callable[[Any], Any]) -> bytes:
    """Msgpack with a function that turns what it does not know into what it knows.

    Raises:
        DataError: something in it cannot be sent.
    """
    try:
        return msgpack.packb(content, default=plain, use_bin_type=True)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"a message cannot be sent: {error}") from error


def unpacked(data: bytes, restored: Callable[[dict[Any, Any]], Any] | None = None) -> Any:
    """Content of msgpack bytes with a function that sees every map.

    Raises:
        DataError: these bytes are no msgpack.
    """
    if isinstance(data, str):
        raise DataError(f"a message is text ({data[:200]!r}), expected bytes")
    try:
        return msgpack.unpackb(data, object_hook=restored, raw=False)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise DataError(f"{len(data)} bytes are no msgpack message: {error}") from error


def array_of(data: Any, dtype: Any, shape: Any) -> np.ndarray:
    """An array of one's own out of the parts in which it travels.

    Raises:
        DataError: they do not fit together, or the kind of array may not travel.
    """
    try:
        kind = np.dtype(dtype) if isinstance(dtype, str) else None
        size = tuple(int(side) for side in shape)
    except (TypeError, ValueError, SyntaxError) as error:
        raise DataError(f"an array has dtype {dtype!r} and shape {shape!r}: {error}") from error
    if kind is None or kind.kind not in ARRAY_KINDS:
        raise DataError(f"an array has dtype {dtype!r}; only bool, integers and floats may travel")
    if not isinstance(data, bytes) or min(size, default=0) < 0 or len(data) != _num_bytes(size, kind):
        held = f"{len(data)} bytes" if isinstance(data, bytes) else type(data).__name__
        raise DataError(f"an array of shape {size} and dtype {dtype} holds {held}")
    return np.frombuffer(data, kind).reshape(size).copy()


def is_image(array: np.ndarray) -> bool:
    """Whether an array is taken for a picture: (height, width, 1, 3 or 4) uint8."""
    return array.ndim == 3 and array.dtype == np.uint8 and array.shape[2] in _MODES


def encode_image(picture: np.ndarray, image_format: ImageFormat) -> dict[str, Any]:
    """The map in which a picture travels.

    Raises:
        DataError: JPEG and not three channels.
    """
    if image_format == "raw":
        parts = {"data": picture.tobytes(), "dtype": picture.dtype.str, "shape": list(picture.shape)}
        return {_IMAGE: True, "format": "raw"} | parts
    if image_format == "jpeg" and picture.shape[2] != 3:
        raise DataError(f"a picture of {picture.shape[2]} channels cannot travel as jpeg; use png or raw")
    stream = io.BytesIO()
    flat = picture[:, :, 0] if picture.shape[2] == 1 else picture
    options = {"quality": JPEG_QUALITY} if image_format == "jpeg" else {}
    Image.fromarray(flat).save(stream, format=image_format.upper(), **options)
    return {_IMAGE: True, "format": image_format, "data": stream.getvalue(), "shape": list(picture.shape)}


def decode_image(content: Mapping[str, Any]) -> np.ndarray:
    """(height, width, channels) uint8 out of the map in which it travels.

    Raises:
        DataError: it holds something else.
    """
    form, data, shape = (content.get(name) for name in ("format", "data", "shape"))
    if form == "raw":
        return array_of(data, content.get("dtype"), shape)
    is_sized = isinstance(shape, list) and len(shape) == 3 and shape[2] in _MODES
    if form not in ("png", "jpeg") or not isinstance(data, bytes) or not is_sized:
        raise DataError(f"a picture has format {form!r} and shape {shape!r}, expected png, jpeg or raw and 3 sides")
    try:
        with Image.open(io.BytesIO(data), formats=(form,)) as picture:
            if [picture.height, picture.width] != shape[:2]:
                raise DataError(f"a picture of {picture.height} x {picture.width} comes with shape {shape}")
            pixels = np.asarray(picture.convert(_MODES[shape[2]]))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"a picture cannot be read as {form}: {error}") from error
    return pixels.reshape(shape).copy()


def _plain(value: Any, image_format: ImageFormat) -> Any:
    """What msgpack does not know by itself."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in ARRAY_KINDS:
            raise TypeError(f"arrays of dtype {value.dtype} do not travel, only bool, integers and floats")
        if image_format != "raw" and is_image(value) and value.size:
            return encode_image(value, image_format)
        return {_ARRAY: True, "data": value.tobytes(), "dtype": value.dtype.str, "shape": list(value.shape)}
    if isinstance(value, np.bool_ | np.integer | np.floating):
        return value.item()
    raise TypeError(f"values of type {type(value).__name__} do not travel")


def _restored(content: dict[Any, Any]) -> Any:
    if _IMAGE in content:
        return decode_image(content)
    if _ARRAY in content:
        return array_of(content.get("data"), content.get("dtype"), content.get("shape"))
    return content


def _num_bytes(shape: tuple[int, ...], dtype: np.dtype) -> int:
    """Exact, where numpy's product would wrap around."""
    count = dtype.itemsize
    for side in shape:
        count *= side
    return count


def _shown(content: Any) -> str:
    return (
        f"a map with {', '.join(map(str, content)) or 'nothing'}" if isinstance(content, dict) else repr(content)[:80]
    )
