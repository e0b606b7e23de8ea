"""How an image is cut into overlapping crops: candidates, choice, canvas, and which crop owns which patch.

Source: Molmo2 sheet A4.2. Agrees with transformers' Molmo2 image processor, sides below the margins included. Pure
arithmetic on sizes; free of torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from zoo.errors import ConfigError

UNREACHED = np.float32(1e10)
"""Stands for the scale of a candidate that is too small, once another one is large enough."""


class Tiling(NamedTuple):
    """A grid of crops over one image.

    Args:
        rows: Crops from top to bottom.
        columns: Crops from left to right.
        margins: Patches that a crop leaves to its neighbours, at its (left and top, right and bottom).
    """

    rows: int
    columns: int
    margins: tuple[int, int]

    @property
    def num_crops(self) -> int:
        return self.rows * self.columns

    def tiles(self) -> tuple[Tile, ...]:
        """Every crop's place, in order."""
        return tuple(Tile(row, column, self) for row in range(self.rows) for column in range(self.columns))

    def fresh(self, grid: tuple[int, int]) -> tuple[int, int]:
        """(rows, columns) of patches from one crop to the next, for crops of `grid` patches."""
        return grid[0] - sum(self.margins), grid[1] - sum(self.margins)

    def stitched(self, grid: tuple[int, int]) -> tuple[int, int]:
        """(rows, columns) of patches of the map that all crops together are."""
        fresh = self.fresh(grid)
        return self.rows * fresh[0] + sum(self.margins), self.columns * fresh[1] + sum(self.margins)

    def canvas_px(self, grid: tuple[int, int], crop_px: tuple[int, int]) -> tuple[int, int]:
        """(height, width) that an image is resized to before crops of that grid and size are cut out of it."""
        return _in_pixels(self.stitched(grid), grid, crop_px)

    def stride_px(self, grid: tuple[int, int], crop_px: tuple[int, int]) -> tuple[int, int]:
        """(down, right) from one crop to the next, pixels of the canvas."""
        return _in_pixels(self.fresh(grid), grid, crop_px)


def _in_pixels(patches: tuple[int, int], grid: tuple[int, int], crop_px: tuple[int, int]) -> tuple[int, int]:
    return patches[0] * crop_px[0] // grid[0], patches[1] * crop_px[1] // grid[1]


class Tile(NamedTuple):
    """A crop's place in its tiling; tiles of an image follow one another, row by row.

    Args:
        row: From the top, counted from 0.
        column: From the left, counted from 0.
        tiling: The whole.
    """

    row: int
    column: int
    tiling: Tiling

    def box(self, grid: tuple[int, int], size_px: tuple[int, int]) -> tuple[float, float, float, float]:
        """The part of an image of (width, height) pixels that the crop shows, margins included: x0, y0, x1, y1."""
        fresh, stitched = self.tiling.fresh(grid), self.tiling.stitched(grid)
        x, y = size_px[0] / stitched[1], size_px[1] / stitched[0]
        left, top = self.column * fresh[1], self.row * fresh[0]
        return left * x, top * y, (left + grid[1]) * x, (top + grid[0]) * y


@dataclass(frozen=True, kw_only=True, slots=True)
class CropRule:
    """What crops an image may have.

    Args:
        max_crops: Most crops of an image beside the whole, at least 1.
        margins: Patches that neighbouring crops share, at their (left and top, right and bottom).
        grid: (rows, columns) of patches of a crop.
        crop_px: (height, width) of a crop.
    Raises:
        ConfigError: crops that are all margin, or no crop.
    """

    max_crops: int
    margins: tuple[int, int]
    grid: tuple[int, int]
    crop_px: tuple[int, int]

    def __post_init__(self) -> None:
        if self.max_crops < 1:
            raise ConfigError(f"max_crops is {self.max_crops}, expected 1 or more crops beside the whole image")
        if min(self.margins) < 0 or sum(self.margins) >= min(self.grid):
            raise ConfigError(
                f"overlap margins of {self.margins[0]} and {self.margins[1]} patches leave nothing of a crop of "
                f"{self.grid[0]} x {self.grid[1]} patches"
            )

    def tiling(self, size_px: tuple[int, int]) -> Tiling:
        """The tiling of an image of (width, height) pixels."""
        return _tiling(self, size_px)


@lru_cache(maxsize=4096)
def _tiling(rule: CropRule, size_px: tuple[int, int]) -> Tiling:
    """Compared as the published code does, in float32: which of two near scales wins depends on it."""
    candidates = _candidates(rule.max_crops)
    patch = rule.crop_px[0] // rule.grid[0], rule.crop_px[1] // rule.grid[1]
    margin = sum(rule.margins)
    fresh = np.array([(side - margin) * px for side, px in zip(rule.grid, patch, strict=True)], np.float32)
    # Sides below the margins turn negative here, and zero at 112 pixels; the rule still orders the candidates.
    sides = np.array([size_px[1] - margin * patch[0], size_px[0] - margin * patch[1]], np.float32)
    with np.errstate(divide="ignore"):
        scales = (candidates.astype(np.float32) * fresh / sides).min(axis=1)
    # The least enlargement, or where all of them shrink the image the least shrinking.
    merit = scales if (scales < 1).all() else -np.where(scales < 1, UNREACHED, scales)
    rows, columns = candidates[merit.argmax()].tolist()
    return Tiling(rows, columns, rule.margins)


@lru_cache(maxsize=16)
def _candidates(max_crops: int) -> np.ndarray:
    """(candidates, 2) rows and columns, ordered by area, then rows."""
    pairs = [(rows, columns) for rows in range(1, max_crops + 1) for columns in range(1, max_crops // rows + 1)]
    return np.array(sorted(pairs, key=lambda pair: (pair[0] * pair[1], pair[0])))


def owners(tiling: Tiling, grid: tuple[int, int]) -> np.ndarray:
    """Places of a tiling's patches in the stitched map.

    A crop owns its patches but for the margins towards its neighbours.

    Args:
        tiling: Of the image.
        grid: (rows, columns) of patches of a crop.
    Returns:
        (crops, rows, columns, 2) int64, row and column in the stitched map; -1 for patches that another crop owns.
    """
    axes = []
    for crops, side, fresh in zip(tiling[:2], grid, tiling.fresh(grid), strict=True):
        place = np.arange(crops)[:, None] * fresh + np.arange(side)
        place[1:, : tiling.margins[0]] = -1
        if tiling.margins[1]:
            place[:-1, -tiling.margins[1] :] = -1
        axes.append(place)
    rows, columns = axes
    shape = (tiling.rows, tiling.columns, *grid)
    both = np.stack(
        [np.broadcast_to(rows[:, None, :, None], shape), np.broadcast_to(columns[None, :, None, :], shape)], axis=-1
    )
    return np.where((both < 0).any(axis=-1, keepdims=True), -1, both).reshape(tiling.num_crops, *grid, 2)
