"""The frames of a batch as facts of the host, and the windows that each brings.

Source: window rule of the Molmo2 sheet A1.2 and A4.2. An image in crops is several frames: the whole first, then its
tiles, whose windows run over the stitched map of all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate, pairwise

import numpy as np
import torch
from torch import Tensor

from zoo.preprocessing.crops import Tile, Tiling, owners


@dataclass(frozen=True, kw_only=True)
class Frames:
    """The frames of a batch in order, as facts of the host: one entry a frame, clips in a row.

    Args:
        clip: Index of the clip that each frame belongs to; starts at 0, grows by at most 1 from frame to frame.
        time_s: Time of each frame in its clip, seconds.
        size_px: (width, height) of the picture, pixels of the source, not of the model's input.
        window: (rows, columns) of patches that one pooled window of the frame covers; 3 x 3 for video, 2 x 2 for images
            in Molmo2 (sheet A1.2).
        box_xyxy_px: Part of the picture that the frame shows; the whole picture where it is not a crop.
        tile: Place of a crop in the tiling of its image, None for a frame that stands alone; the tiles of an image
            follow its whole, in order.
        is_video: The frame belongs to a video, not to images; all do where it is left out.
    """

    clip: tuple[int, ...]
    time_s: tuple[float, ...]
    size_px: tuple[tuple[int, int], ...]
    window: tuple[tuple[int, int], ...]
    box_xyxy_px: tuple[tuple[float, float, float, float], ...] = ()
    tile: tuple[Tile | None, ...] = ()
    is_video: tuple[bool, ...] = ()

    def __post_init__(self) -> None:
        counts = {len(self.clip), len(self.time_s), len(self.size_px), len(self.window)}
        if len(counts) != 1:
            raise ValueError(f"frames disagree on their number: {sorted(counts)}")
        if self.clip and (self.clip[0] != 0 or any(b - a not in (0, 1) for a, b in pairwise(self.clip))):
            raise ValueError("frames must lie clip by clip, numbered from 0 without a gap")
        if not self.box_xyxy_px:
            object.__setattr__(self, "box_xyxy_px", tuple((0.0, 0.0, float(w), float(h)) for w, h in self.size_px))
        elif len(self.box_xyxy_px) != len(self.clip):
            raise ValueError(f"{len(self.box_xyxy_px)} boxes for {len(self.clip)} frames")
        if not self.is_video:
            object.__setattr__(self, "is_video", (True,) * len(self.clip))
        elif len(self.is_video) != len(self.clip):
            raise ValueError(f"{len(self.is_video)} flags for {len(self.clip)} frames")
        if self.tile:
            self._check_tiles()
        else:
            object.__setattr__(self, "tile", (None,) * len(self.clip))

    def _check_tiles(self) -> None:
        if len(self.tile) != len(self.clip):
            raise ValueError(f"{len(self.tile)} tiles for {len(self.clip)} frames")
        due: tuple[Tile, ...] = ()
        for number, tile in enumerate(self.tile):
            if tile is not None and not due and number and self.tile[number - 1] is None:
                due = tile.tiling.tiles()
            if (tile is not None or due) and (not due or tile != due[0] or self.clip[number] != self.clip[number - 1]):
                raise ValueError(f"frame {number}: tiles of an image must follow its whole, all of them and in order")
            due = due[1:]
        if due:
            raise ValueError(f"the last image lacks {len(due)} tiles")

    def __len__(self) -> int:
        return len(self.clip)

    @property
    def num_clips(self) -> int:
        return self.clip[-1] + 1 if self.clip else 0

    @cached_property
    def picture(self) -> tuple[int, ...]:
        """Number of the picture that each frame shows or is a crop of, counted through the batch."""
        return tuple(count - 1 for count in accumulate(int(tile is None) for tile in self.tile))

    @cached_property
    def is_first(self) -> tuple[bool, ...]:
        """Whether each frame is the first of its clip."""
        return tuple(number == 0 or self.clip[number - 1] != clip for number, clip in enumerate(self.clip))

    def windows_of(self, grid: tuple[int, int]) -> tuple[int, ...]:
        """Windows that each frame brings; those of a tiled image come with its first tile."""
        counts = []
        for window, tile in zip(self.window, self.tile, strict=True):
            if tile is None:
                counts.append(window_of_patch(grid, window)[1])
            else:
                is_first = (tile.row, tile.column) == (0, 0)
                counts.append(window_of_tiled_patch(tile.tiling, grid, window)[1] if is_first else 0)
        return tuple(counts)


@lru_cache(maxsize=64)
def window_of_patch(grid: tuple[int, int], window: tuple[int, int]) -> tuple[Tensor, int]:
    """Number of the window that each patch of one frame falls into, windows row by row.

    A grid that the window does not divide is padded, floor(pad / 2) on the left and top (sheet A4.2).

    Returns:
        (rows * columns,) int64, and the number of windows.
    """
    pads = [-size % side for size, side in zip(grid, window, strict=True)]
    rows, columns = (
        (torch.arange(size) + pad // 2) // side for size, side, pad in zip(grid, window, pads, strict=True)
    )
    across = (grid[1] + pads[1]) // window[1]
    return (rows[:, None] * across + columns).flatten(), (grid[0] + pads[0]) // window[0] * across


@lru_cache(maxsize=256)
def window_of_tiled_patch(tiling: Tiling, grid: tuple[int, int], window: tuple[int, int]) -> tuple[Tensor, int]:
    """The same for the patches of all tiles of an image: windows run over the stitched map.

    Returns:
        (crops * rows * columns,) int64, -1 for patches of a margin that another crop owns; and the number of windows.
    """
    stitched = tiling.stitched(grid)
    windows, count = window_of_patch(stitched, window)
    place = torch.from_numpy(np.ascontiguousarray(owners(tiling, grid))).flatten(0, 2)
    owned = windows[place[:, 0] * stitched[1] + place[:, 1]]
    return torch.where(place[:, 0] < 0, -1, owned), count
