"""Contract of segmenters: points of a model's answer in, masks of what they mean out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from zoo.errors import DataError
from zoo.masks import KEY_TOLERANCE, Masks
from zoo.points import Point


class Segmenter(ABC):
    """Follows pointed-at objects through a clip. Its arguments are plain values, so it can be pickled and sent."""

    kind: ClassVar[str] = "segmenter"

    @abstractmethod
    def segment(
        self, frames: np.ndarray, prompts: Sequence[Point], times_s: Sequence[float], *, masks: Masks | None = None
    ) -> Mapping[int, np.ndarray]:
        """Masks of all frames.

        Args:
            frames: (frames, height, width, 3) uint8.
            prompts: Points on objects, seconds and pixels; one object may have points in several frames.
            times_s: Of the frames, growing.
            masks: Of a simulated clip's objects, for segmenters that choose among them.
        Returns:
            Of each object that has a point, (frames, height, width) bool.
        Raises:
            DataError: a point at another time than a frame's, or frames and times that do not belong together.
        """


def frames_of_prompts(frames: np.ndarray, prompts: Sequence[Point], times_s: Sequence[float]) -> np.ndarray:
    """The frame of each prompt, (prompts,) int64.

    Raises:
        DataError: see `Segmenter.segment`.
    """
    times = np.asarray(times_s, np.float64)
    if frames.ndim != 4 or not len(frames) or frames.shape[3] != 3 or len(frames) != len(times):
        raise DataError(
            f"segmenter: frames {frames.shape} with {len(times)} times, expected (frames, height, width, 3)"
        )
    keys = np.asarray([point.key for point in prompts], np.float64)
    distance = np.abs(keys[:, None] - times)
    far = distance.min(1, initial=np.inf) > KEY_TOLERANCE
    if far.any():
        raise DataError(f"segmenter: a point at {keys[far][0]:g} s; frames are at {times[0]:g} to {times[-1]:g} s")
    return distance.argmin(1)
