"""Frames and crops of the size that a vision encoder takes, still uint8: the encoder normalises on its device.

Source: Molmo2 sheet A4.1. Bit for bit what transformers' Molmo2 processors make: bilinear in float32 without antialias,
rounded. torch's own uint8 resize is quicker and one grey level off in a fifth of the pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.errors import DataError
from zoo.preprocessing.crops import Tiling

CHUNK_PX = 300_000
"""Pixels that are resized at once: more leave the cache, and 64 large frames at once took three times as long."""


def squash(frames: Sequence[np.ndarray], size: tuple[int, int]) -> Tensor:
    """Resize frames without keeping their aspect ratio.

    Args:
        frames: (height, width, 3) uint8 RGB each, or all in one array, which takes less time.
        size: (height, width) of the result.
    Returns:
        (frames, 3, *size) uint8; channels lie last in memory, as convolutions on a CPU want them.
    Raises:
        DataError: a frame without pixels, or of another shape or type.
    """
    squashed = np.empty((len(frames), *size, 3), np.uint8)
    done = 0
    for chunk in _chunks(frames):
        for number, frame in enumerate(chunk):
            check_picture(frame, done + number)
        _resize(chunk, squashed[done : done + len(chunk)])
        done += len(chunk)
    return torch.from_numpy(squashed).permute(0, 3, 1, 2)


def _chunks(frames: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """The frames in order, as arrays of one or more."""
    if not isinstance(frames, np.ndarray):
        yield from (frame[None] for frame in frames)
    elif frames.size:
        step = max(1, CHUNK_PX // (frames.shape[1] * frames.shape[2]))
        yield from (frames[start : start + step] for start in range(0, len(frames), step))
    elif len(frames):
        yield frames  # without pixels, which is refused


def _resize(frames: np.ndarray, out: np.ndarray) -> None:
    if frames.shape == out.shape:
        out[:] = frames
        return
    if frames.shape[1:3] == (2 * out.shape[1], 2 * out.shape[2]):
        _halve(frames, out)
        return
    pixels = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
    resized = F.interpolate(pixels, size=out.shape[1:3], mode="bilinear", antialias=False)
    # numpy turns float32 into uint8 in a fifth of torch's time; between black and white there is nothing to clip.
    np.copyto(out, resized.round_().permute(0, 2, 3, 1).numpy(), casting="unsafe")


def _halve(frames: np.ndarray, out: np.ndarray) -> None:
    """The same at half the size, where every pixel is the mean of four: in whole numbers, in two thirds of the time."""
    lines = np.ascontiguousarray(frames).reshape(out.shape[0] * out.shape[1], 2, -1)
    pairs = torch.from_numpy(np.add(lines[:, 0], lines[:, 1], dtype=np.int16)).view(-1, 2, 3)
    sums = pairs[:, 0] + pairs[:, 1]
    is_odd = (sums >> 2).bitwise_and_(1)  # a half is rounded to the even neighbour, as `round` does
    means = sums.add_(is_odd).add_(1).bitwise_right_shift_(2)
    np.copyto(out, means.view(out.shape).numpy(), casting="unsafe")


def check_picture(frame: np.ndarray, number: int = 0) -> None:
    """Refuse what is no picture.

    Raises:
        DataError: says which one it is, counted from 1.
    """
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        raise DataError(f"picture {number + 1} is {frame.shape} {frame.dtype}, expected (height, width, 3) uint8 RGB")
    if not frame.size:
        raise DataError(f"picture {number + 1} is {frame.shape[1]} x {frame.shape[0]} pixels and shows nothing")


def cut(image: np.ndarray, tiling: Tiling, grid: tuple[int, int], crop_px: tuple[int, int]) -> Tensor:
    """The whole of an image, then its overlapping crops, row by row.

    Args:
        image: (height, width, 3) uint8 RGB.
        tiling: Of an image of that size.
        grid: (rows, columns) of patches of a crop.
        crop_px: (height, width) of a crop.
    Returns:
        (1 + crops, 3, *crop_px) uint8.
    Raises:
        DataError: an image without pixels, or of another shape or type.
    """
    canvas = squash([image], tiling.canvas_px(grid, crop_px))[0]
    down, right = tiling.stride_px(grid, crop_px)
    crops = canvas.unfold(1, crop_px[0], down).unfold(2, crop_px[1], right)  # (3, rows, columns, height, width)
    return torch.cat([squash([image], crop_px), crops.permute(1, 2, 0, 3, 4).flatten(0, 1)])
