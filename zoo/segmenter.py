"""Contract of segmenters: points of a model's answer in, masks of what they mean out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from zoo.errors import DataError
from zoo.masks import KEY_TOLERANCE, Masks
from zoo.points import Point


@dataclass(frozen=True, kw_only=True)
class Clip:
    """What is segmented.

    Args:
        frames: (frames, height, width, 3) uint8.
        times_s: (frames,) seconds, growing.
        masks: Of a simulated clip's objects, at the same frames; for segmenters that choose among them.
    Raises:
        DataError: frames, times and masks do not belong together.
    """

    frames: np.ndarray
    times_s: Sequence[float]
    masks: Masks | None = None

    def __post_init__(self) -> None:
        shape, times = self.frames.shape, self.times_s
        if len(shape) != 4 or shape[0] < 1 or shape[3] != 3 or shape[0] != len(times):
            raise DataError(f"clip: frames {shape} with {len(times)} times, expected (frames, height, width, 3)")
        if self.masks is not None and (
            len(self.masks.keys) != len(times) or (self.masks.sizes_px != (shape[2], shape[1])).any()
        ):
            raise DataError(
                f"clip: masks of {len(self.masks.keys)} frames of {self.masks.sizes_px[0].tolist()} pixels for "
                f"{len(times)} frames of {[shape[2], shape[1]]}"
            )

    def frame_of(self, point: Point) -> int:
        """The frame in which a point lies.

        Raises:
            DataError: none is within 0.05 s of it.
        """
        times = np.asarray(self.times_s, np.float64)
        nearest = int(np.abs(times - point.key).argmin())
        if abs(times[nearest] - point.key) > KEY_TOLERANCE:
            raise DataError(f"clip: a point at {point.key:g} s; its frames lie at {times[0]:g} to {times[-1]:g} s")
        return nearest


class Segmenter(ABC):
    """Follows objects that are pointed at through a clip. Its arguments are plain, and it can be pickled."""

    kind: ClassVar[str] = "segmenter"

    @abstractmethod
    def segment(self, clip: Clip, prompts: Sequence[Point]) -> dict[int, np.ndarray]:
        """Masks of all frames, before a prompt as behind it.

        Args:
            clip: What the points lie on.
            prompts: Points on objects, seconds and pixels; one object may have points in several frames.
        Returns:
            Of each object that has a point, (frames, height, width) bool.
        Raises:
            DataError: a point at another time than a frame's, or the clip lacks what the segmenter needs.
        """


def prompts_by_object(clip: Clip, prompts: Sequence[Point]) -> dict[int, dict[int, list[Point]]]:
    """Points of each object by frame, frames in order.

    Raises:
        DataError: see `Segmenter.segment`.
    """
    grouped: dict[int, dict[int, list[Point]]] = {}
    for point in sorted(prompts, key=lambda point: (point.object_id, point.key)):
        grouped.setdefault(point.object_id, {}).setdefault(clip.frame_of(point), []).append(point)
    return grouped
