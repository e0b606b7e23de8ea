"""The segmenter of simulated clips: the object that a point lies on or near, in the masks that the simulator drew.

Source: ours. It answers as a faultless segmenter would that knows what an object is, so J&F measures the points alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from scipy.ndimage import distance_transform_edt

from zoo.errors import DataError
from zoo.masks import Masks
from zoo.points import Point
from zoo.segmenter import Clip, Segmenter, prompts_by_object


class NearestInstance(Segmenter):
    """Gives each frame the object that the nearest prompt in time means; an object that is hidden has no pixels.

    Args:
        reach: How far from an object a point may lie and still mean it, as a share of the picture's diagonal; 0: points
            have to lie in it. A point that means nothing has an empty mask until the next one.
    Raises:
        ValueError: a negative reach.
    """

    example_args: ClassVar = {"reach": 0.05}

    def __init__(self, *, reach: float = 0.02) -> None:
        if reach < 0:
            raise ValueError(f"nearest-instance: reach must be 0 or more, got {reach}")
        self.reach = reach

    def segment(self, clip: Clip, prompts: Sequence[Point]) -> dict[int, np.ndarray]:
        if clip.masks is None:
            raise DataError("nearest-instance: the clip has no masks; it is for simulated clips, sam2-video for others")
        segmented = {}
        for object_id, by_frame in prompts_by_object(clip, prompts).items():
            meant = [self._instance(clip.masks, frame, points[0]) for frame, points in by_frame.items()]
            starts = np.asarray([clip.times_s[frame] for frame in by_frame])
            masks = np.zeros(clip.frames.shape[:3], bool)
            for frame, time in enumerate(clip.times_s):
                instance = meant[int(np.abs(starts - time).argmin())]
                if instance is not None:
                    masks[frame] = clip.masks.mask(frame, instance)
            segmented[object_id] = masks
        return segmented

    def _instance(self, masks: Masks, frame: int, point: Point) -> int | None:
        """The object nearest to the middle of the pixel that a point lies in, by its nearest pixel."""
        width, height = masks.sizes_px[frame].tolist()
        column = min(max(int(point.x_px), 0), width - 1)
        row = min(max(int(point.y_px), 0), height - 1)
        elsewhere = np.ones((height, width), bool)
        elsewhere[row, column] = False
        distance = distance_transform_edt(elsewhere)
        nearest, best = None, self.reach * float(np.hypot(width, height))
        for object_id in masks.object_ids.tolist():
            mask = masks.mask(frame, object_id)
            away = distance[mask].min(initial=np.inf)
            if away < best or (nearest is None and away <= best):
                nearest, best = object_id, away
        return nearest
