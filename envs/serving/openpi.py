"""The simple form of openpi: a map of names and arrays, msgpack with numpy arrays in it; a text answers for an error.

Source: sheet molmospaces section 5, "Built-in policy server". Bytes agree with the package openpi-client 0.1.2: the
keys of an array's map are bytes here, and text in vla-eval's frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.envs.serving.frames import ARRAY_KINDS, array_of, packed, unpacked
from zoo.errors import DataError

_ARRAY, _SCALAR = b"__ndarray__", b"__npgeneric__"


def pack(content: Mapping[str, Any]) -> bytes:
    """Bytes of a map.

    Raises:
        DataError: something in it cannot be sent.
    """
    return packed(dict(content), _plain)


def unpack(data: bytes) -> dict[str, Any]:
    """A map out of bytes.

    Raises:
        DataError: these bytes are no such map.
    """
    content = unpacked(data, _restored)
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise DataError(f"a message holds {repr(content)[:80]}, expected a map with names")
    return content


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind not in ARRAY_KINDS:
        raise TypeError(f"arrays of dtype {value.dtype} do not travel, only bool, integers and floats")
    if isinstance(value, np.ndarray):
        return {_ARRAY: True, b"data": value.tobytes(), b"dtype": value.dtype.str, b"shape": value.shape}
    if isinstance(value, np.generic):
        return {_SCALAR: True, b"data": value.item(), b"dtype": value.dtype.str}
    raise TypeError(f"values of type {type(value).__name__} do not travel")


def _restored(content: dict[Any, Any]) -> Any:
    data, dtype = content.get(b"data"), content.get(b"dtype")
    if _ARRAY in content:
        return array_of(data, dtype, content.get(b"shape"))
    if _SCALAR in content:
        if not isinstance(data, bool | int | float):
            raise DataError(f"a number of dtype {dtype!r} holds {type(data).__name__}")
        kind = array_of(b"", dtype, (0,)).dtype  # refuses kinds that do not travel
        try:
            return kind.type(data)
        except (OverflowError, ValueError) as error:
            raise DataError(f"a number of dtype {dtype!r} holds {data!r}: {error}") from error
    return content
