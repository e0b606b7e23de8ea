"""Frames and crops of the size that a vision encoder takes, still uint8: the encoder normalises on its device.

Source: Molmo2 sheet A4.1. Bit for bit what transformers' Molmo2 processors make: bilinear in float32 without antialias,
rounded. torch's own uint8 resize is quicker and one grey level off in a fifth of the pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.errors import DataError
from zoo.preprocessing.crops import Tiling


def squash(frames: Sequence[np.ndarray], size: tuple[int, int]) -> Tensor:
    """Resize frames without keeping their aspect ratio.

    Args:
        frames: (height, width, 3) uint8 RGB each; frames of one size take less time than images of several.
        size: (height, width) of the result.
    Returns:
        (frames, 3, *size) uint8.
    Raises:
        DataError: a frame without pixels, or of another shape or type.
    """
    squashed = torch.empty(len(frames), 3, *size, dtype=torch.uint8)
    buffer: Tensor | None = None
    for number, frame in enumerate(frames):
        check_picture(frame, number)
        pixels = torch.from_numpy(frame).permute(2, 0, 1)
        if frame.shape[:2] == tuple(size):
            squashed[number] = pixels
            continue
        if buffer is None or buffer.shape[1:] != pixels.shape:
            # One frame at a time, in memory that stays in the cache: 64 frames at once take three times as long.
            buffer = torch.empty(1, *frame.shape, dtype=torch.float32).permute(0, 3, 1, 2)
        buffer[0] = pixels
        squashed[number] = F.interpolate(buffer, size=size, mode="bilinear", antialias=False)[0].round_()
    return squashed


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
