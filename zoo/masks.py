"""Where objects are: masks of known frames of a clip or of the images of a set, asked point by point.

Nothing is decoded to answer whether points lie in masks, so that hundreds of clips are scored in a second.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo import run_lengths
from zoo.errors import DataError

KEY_TOLERANCE = 0.05 + 1e-6
"""Times are written with one decimal (Molmo2 sheet A8), so a written time is a frame's if it is that near, seconds."""


class Masks(ABC):
    """Masks of objects.

    Args:
        keys: (frames,) growing: seconds of a clip's frames, or numbers of images counted from 1.
        sizes_px: (frames, 2) width and height, pixels.
        object_ids: Ids of the objects that have masks.
    Raises:
        DataError: keys that do not grow, no frame, or an object twice.
    """

    def __init__(self, keys: Sequence[float] | np.ndarray, sizes_px: np.ndarray, object_ids: Sequence[int]) -> None:
        self.keys = np.asarray(keys, np.float64)
        self.sizes_px = np.asarray(sizes_px, np.int64).reshape(-1, 2)
        self.object_ids = np.asarray(object_ids, np.int64)
        if not len(self.keys) or not (np.diff(self.keys) > 0).all():
            raise DataError(f"masks: keys of frames must grow, got {self.keys.tolist()[:8]}")
        if len(self.sizes_px) != len(self.keys):
            raise DataError(f"masks: {len(self.sizes_px)} frames of masks for {len(self.keys)} keys")
        self._pixels = self.sizes_px.prod(1)
        self._index = {int(object_id): index for index, object_id in enumerate(self.object_ids)}
        if len(self._index) != len(self.object_ids):
            raise DataError(f"masks: an object stands twice among {self.object_ids.tolist()}")

    def frames_of(self, keys: Sequence[float] | np.ndarray) -> np.ndarray:
        """The frames of keys.

        Args:
            keys: (n,) seconds or image numbers.
        Returns:
            (n,) int64: the nearest frame, or -1 where none is within 0.05.
        """
        asked = np.asarray(keys, np.float64)
        right = np.searchsorted(self.keys, asked).clip(1, max(len(self.keys) - 1, 1))
        left = right - 1
        right = right.clip(max=len(self.keys) - 1)
        nearest = np.where(np.abs(self.keys[left] - asked) <= np.abs(self.keys[right] - asked), left, right)
        return np.where(np.abs(self.keys[nearest] - asked) <= KEY_TOLERANCE, nearest, -1)

    def inside(self, frames: np.ndarray, object_ids: np.ndarray, xy_px: np.ndarray) -> np.ndarray:
        """Whether points lie in objects' masks, by the pixel to which their coordinates round (Molmo2 sheet A9).

        Rounding takes a coordinate for a pixel's number, as published scores do; a point in the last half pixel before
        an object's left or upper edge counts, one in the last half pixel of the object does not.

        Args:
            frames: (n,) int; -1 is no frame.
            object_ids: (n,) int; an object without masks holds nothing.
            xy_px: (n, 2) float; may lie outside of the picture.
        Returns:
            (n,) bool.
        """
        frames, objects = np.asarray(frames, np.int64), self._objects(object_ids)
        xy = np.rint(np.asarray(xy_px, np.float64).reshape(-1, 2))
        sizes = self.sizes_px[frames]
        known = (frames >= 0) & (objects >= 0) & (xy >= 0).all(1) & (xy < sizes).all(1)
        found = np.zeros(len(frames), bool)
        found[known] = self._inside(frames[known], objects[known], xy[known].astype(np.int64))
        return found

    def areas_px(self, frames: np.ndarray, object_ids: np.ndarray) -> np.ndarray:
        """Pixels of masks.

        Args:
            frames: (n,) int; -1 is no frame.
            object_ids: (n,) int.
        Returns:
            (n,) int64; 0 where there is no mask.
        """
        frames, objects = np.asarray(frames, np.int64), self._objects(object_ids)
        known = (frames >= 0) & (objects >= 0)
        areas = np.zeros(len(frames), np.int64)
        areas[known] = self._areas(frames[known], objects[known])
        return areas

    @abstractmethod
    def mask(self, frame: int, object_id: int) -> np.ndarray:
        """(height, width) bool of a known object in one frame."""

    @abstractmethod
    def _inside(self, frames: np.ndarray, objects: np.ndarray, xy: np.ndarray) -> np.ndarray:
        """The same as `inside` for pixels that exist; objects by index."""

    @abstractmethod
    def _areas(self, frames: np.ndarray, objects: np.ndarray) -> np.ndarray:
        """The same as `areas_px` for frames that exist; objects by index."""

    def _objects(self, object_ids: np.ndarray) -> np.ndarray:
        return np.asarray([self._index.get(int(object_id), -1) for object_id in object_ids], np.int64)


class InstanceMasks(Masks):
    """Masks that do not overlap, as pictures of ids.

    Args:
        ids: (frames, height, width) integers, or one such picture an image; what no object has is background.
        keys: See `Masks`.
        objects: Each object's id in the pictures.
    Raises:
        DataError: see `Masks`.
    """

    def __init__(
        self, ids: np.ndarray | Sequence[np.ndarray], keys: Sequence[float] | np.ndarray, objects: Mapping[int, int]
    ) -> None:
        super().__init__(keys, np.asarray([picture.shape[::-1] for picture in ids]), list(objects))
        self._ids = ids
        self._values = np.asarray(list(objects.values()), np.int64)
        flat = ids.reshape(-1) if isinstance(ids, np.ndarray) else [picture.reshape(-1) for picture in ids]
        self._flat = np.concatenate(flat) if isinstance(flat, list) else flat
        self._starts = np.cumsum(self._pixels) - self._pixels

    def mask(self, frame: int, object_id: int) -> np.ndarray:
        return self._ids[frame] == self._values[self._index[object_id]]

    def _inside(self, frames: np.ndarray, objects: np.ndarray, xy: np.ndarray) -> np.ndarray:
        place = self._starts[frames] + xy[:, 1] * self.sizes_px[frames, 0] + xy[:, 0]
        return self._flat[place] == self._values[objects]

    def _areas(self, frames: np.ndarray, objects: np.ndarray) -> np.ndarray:
        values = self._values[objects]
        areas = (np.count_nonzero(self._ids[frame] == value) for frame, value in zip(frames, values, strict=True))
        return np.fromiter(areas, np.int64, len(frames))


class RunLengthMasks(Masks):
    """Masks in COCO's run lengths; they may overlap.

    Args:
        rles: Of each object one mask a frame, None where it is not there.
        keys: See `Masks`.
        sizes_px: (frames, 2) width and height, or one pair for all frames.
    Raises:
        DataError: see `Masks` and `read_counts`; another number of masks than of frames, or masks of another size.
    """

    def __init__(
        self,
        rles: Mapping[int, Sequence[Mapping[str, Any] | None]],
        keys: Sequence[float] | np.ndarray,
        sizes_px: Sequence[tuple[int, int]] | tuple[int, int],
    ) -> None:
        super().__init__(keys, np.broadcast_to(np.asarray(sizes_px, np.int64), (len(keys), 2)), list(rles))
        counts = [self._counts(object_id, rles[object_id]) for object_id in rles]
        runs = [run for of_object in counts for run in of_object]
        self._runs = np.concatenate(runs) if runs else np.zeros(0, np.int64)
        # All masks lie behind one another in one line of pixels, object by object, so that one search finds all runs.
        self._ends = np.cumsum(self._runs)
        lengths = np.asarray([len(run) for run in runs], np.int64)
        shape = (len(rles), len(self.keys))
        self._first_run = (np.cumsum(lengths) - lengths).reshape(shape)
        self._num_runs = lengths.reshape(shape)
        pixels = np.tile(self._pixels, len(rles))
        self._first_pixel = (np.cumsum(pixels) - pixels).reshape(shape)

    def _counts(self, object_id: int, rles: Sequence[Mapping[str, Any] | None]) -> list[np.ndarray]:
        if len(rles) != len(self.keys):
            raise DataError(f"masks: object {object_id} has {len(rles)} masks for {len(self.keys)} frames")
        counts = []
        for rle, (width, height) in zip(rles, self.sizes_px.tolist(), strict=True):
            if rle is not None and tuple(map(int, rle.get("size", ()))) != (height, width):
                raise DataError(
                    f"masks: object {object_id} has a mask of {rle.get('size')} (height, width) in a picture of "
                    f"{[height, width]}"
                )
            counts.append(np.asarray([height * width]) if rle is None else run_lengths.read_counts(rle))
        return counts

    def mask(self, frame: int, object_id: int) -> np.ndarray:
        place = self._index[object_id], frame
        first = self._first_run[place]
        runs = self._runs[first : first + self._num_runs[place]]
        width, height = self.sizes_px[frame].tolist()
        return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T

    def _inside(self, frames: np.ndarray, objects: np.ndarray, xy: np.ndarray) -> np.ndarray:
        pixel = self._first_pixel[objects, frames] + xy[:, 0] * self.sizes_px[frames, 1] + xy[:, 1]
        run = np.searchsorted(self._ends, pixel, side="right") - self._first_run[objects, frames]
        return run % 2 == 1

    def _areas(self, frames: np.ndarray, objects: np.ndarray) -> np.ndarray:
        areas = np.zeros(len(frames), np.int64)
        for place, (first, count) in enumerate(
            zip(self._first_run[objects, frames], self._num_runs[objects, frames], strict=True)
        ):
            areas[place] = self._runs[first + 1 : first + count : 2].sum()
        return areas
