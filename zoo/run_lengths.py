"""COCO's run lengths of masks, read and written without pycocotools.

A mask is the lengths of its runs down the columns, from left to right, beginning with background. `counts` is that
list, or a string of it: from the fourth run on each is stored as its difference to the one two before, in groups of
five bits, lowest first, each group one character from "0" on, bit 32 saying that more groups follow.

Source: the format of COCO's annotations; checked against pycocotools 2.0.11 (tests/zoo/test_run_lengths.py).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo.errors import DataError

_FIRST, _BITS, _MORE, _SIGN = 48, 5, 32, 16
_PLAIN_RUNS = 3  # stored as they are
_MAX_GROUPS = 12  # 60 bits: more than any picture has pixels


def read_counts(rle: Mapping[str, Any]) -> np.ndarray:
    """Lengths of a mask's runs.

    Args:
        rle: `size` (height, width) and `counts`, a list of numbers, or their string as str or bytes.
    Returns:
        (runs,) int64, background first; they sum to height * width.
    Raises:
        DataError: a key is missing, the string is none of COCO's, or the runs do not fill the picture.
    """
    if not isinstance(rle, Mapping) or not {"size", "counts"} <= set(rle):
        raise DataError(f"run-length mask: expected an object with 'size' and 'counts', got {str(rle)[:60]}")
    counts, size = rle["counts"], rle["size"]
    if not (isinstance(size, Sequence | np.ndarray) and len(size) == 2 and min(size) >= 1):
        raise DataError(f"run-length mask: size {size!r}, expected (height, width) in pixels")
    runs = _parse(counts) if isinstance(counts, str | bytes) else np.asarray(counts, np.int64)
    height, width = int(size[0]), int(size[1])
    if runs.ndim != 1 or (runs < 0).any() or runs.sum() != height * width:
        raise DataError(
            f"run-length mask: runs of {runs.sum()} pixels for a picture of {height} x {width} (height x width)"
        )
    return runs


def decode(rle: Mapping[str, Any]) -> np.ndarray:
    """(height, width) bool mask of its run lengths.

    Raises:
        DataError: see `read_counts`.
    """
    runs = read_counts(rle)
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return flat.reshape(int(rle["size"][1]), int(rle["size"][0])).T


def encode(mask: np.ndarray) -> dict[str, Any]:
    """Run lengths of a mask with `counts` as a string, as COCO's files have them.

    Args:
        mask: (height, width) bool.
    """
    flat = np.asarray(mask, bool).T.reshape(-1)
    changes = np.flatnonzero(np.diff(flat, prepend=False))
    runs = np.diff(changes, prepend=0, append=flat.size)
    return {"size": [int(side) for side in mask.shape], "counts": _write(runs.tolist())}


def _parse(text: str | bytes) -> np.ndarray:
    runs: list[int] = []
    value = groups = 0
    for character in text.encode() if isinstance(text, str) else text:
        code = character - _FIRST
        if not 0 <= code < 2 * _MORE or groups == _MAX_GROUPS:
            raise DataError(f"run-length mask: byte {character} in 'counts' is none of COCO's")
        value |= (code & (_MORE - 1)) << (_BITS * groups)
        groups += 1
        if code & _MORE:
            continue
        if code & _SIGN:
            value -= 1 << (_BITS * groups)
        runs.append(value + (runs[-2] if len(runs) >= _PLAIN_RUNS else 0))
        value = groups = 0
    if groups:
        raise DataError("run-length mask: 'counts' ends inside a number")
    return np.asarray(runs, np.int64)


def _write(runs: Sequence[int]) -> str:
    codes: list[int] = []
    for place, run in enumerate(runs):
        value = run - runs[place - 2] if place >= _PLAIN_RUNS else run
        while True:
            code = value & (_MORE - 1)
            value >>= _BITS
            if value == (-1 if code & _SIGN else 0):
                codes.append(code)
                break
            codes.append(code | _MORE)
    return bytes(code + _FIRST for code in codes).decode()
