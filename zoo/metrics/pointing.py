"""Points in pictures and videos, against masks of what they should hit.

Source: Molmo2 sheet A9. Each prediction is assigned to at most one true point, nearest first over all (the Hungarian
method); it is right if the pixel that it rounds to lies in that object's mask.
Differs: the images of a set are assigned each for itself, and counted together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from zoo.masks import Masks
from zoo.metrics.scored import Scored, by_resolution, count_bin, precision_recall_f1, recall_by_mask_size
from zoo.points import Point

NORMALISED = 100.0
"""Extent of a video in time and in both directions, where points are compared across all three."""


class PointArrays:
    """Points as columns.

    Args:
        points: Any number.
        masks: Tells frames from keys.
    """

    def __init__(self, points: Sequence[Point], masks: Masks) -> None:
        table = np.asarray([tuple(point) for point in points], np.float64).reshape(-1, 4)
        self.keys = table[:, 0]
        self.object_ids = table[:, 1].astype(np.int64)
        self.xy_px = table[:, 2:]
        self.frames = masks.frames_of(self.keys)

    def __len__(self) -> int:
        return len(self.keys)


def image_point_scores(predicted: Sequence[Point], true: Sequence[Point], masks: Masks) -> Scored:
    """Precision, recall and F1 of points in an image or a set of images.

    Args:
        predicted: Pixels of the source; ids do not matter.
        true: One point for each thing to be found; its object's id is that in `masks`.
        masks: Of the images, keys 1, 2, ...
    Returns:
        `precision`, `recall`, `f1`; without anything to be found 1 if nothing was predicted, else 0. Tallies: recall by
        mask size, F1 by number of true points and by resolution.
    """
    said, meant = PointArrays(predicted, masks), PointArrays(true, masks)
    found = np.zeros(len(meant), bool)
    for frame in np.intersect1d(said.frames, meant.frames[meant.frames >= 0]):
        here, there = np.flatnonzero(said.frames == frame), np.flatnonzero(meant.frames == frame)
        rows, columns = linear_sum_assignment(cdist(said.xy_px[here], meant.xy_px[there]))
        rows, columns = here[rows], there[columns]
        found[columns] = masks.inside(said.frames[rows], meant.object_ids[columns], said.xy_px[rows])
    return _point_scored(found, len(said), meant, masks)


def video_point_scores(predicted: Sequence[Point], true: Sequence[Point], masks: Masks, *, duration_s: float) -> Scored:
    """Precision, recall and F1 of points in a video.

    Args:
        predicted: Pixels of the source, seconds; ids do not matter.
        true: One point for each thing to be found; its object's id is that in `masks`.
        masks: At all times at which a prediction may be right; published ones cover 3 s around each true point.
        duration_s: Of the video; time, x and y are compared on a scale of 100 each.
    Returns:
        As `image_point_scores`; a prediction is right only if it lies in the mask at its own time.
    Raises:
        ValueError: no duration.
    """
    if not duration_s > 0:
        raise ValueError(f"video_point_scores: duration_s must be above 0, got {duration_s}")
    said, meant = PointArrays(predicted, masks), PointArrays(true, masks)
    extent = np.asarray([duration_s, *masks.sizes_px[0]]) / NORMALISED
    rows, columns = linear_sum_assignment(
        cdist(np.c_[said.keys, said.xy_px] / extent, np.c_[meant.keys, meant.xy_px] / extent)
    )
    found = np.zeros(len(meant), bool)
    found[columns] = masks.inside(said.frames[rows], meant.object_ids[columns], said.xy_px[rows])
    return _point_scored(found, len(said), meant, masks)


def pointbench_scores(predicted: Sequence[Point], true: Sequence[Point], masks: Masks) -> Scored:
    """PointBench's accuracy: something was predicted, and every point of it lies in the target.

    Args:
        predicted: Pixels of the source.
        true: Points of the target's objects; where there are several, their masks together are the target.
        masks: Of the images.
    Returns:
        `accuracy`; without a target 1 if nothing was predicted, which PointBench never asks.
    """
    said, targets = PointArrays(predicted, masks), np.unique(PointArrays(true, masks).object_ids)
    if not len(targets) or not len(said):
        accuracy = float(not len(targets) and not len(said))
    else:
        objects, points = (grid.reshape(-1) for grid in np.meshgrid(targets, np.arange(len(said)), indexing="ij"))
        inside = masks.inside(said.frames[points], objects, said.xy_px[points]).reshape(len(targets), -1)
        accuracy = float(inside.any(0).all())
    scores = {"accuracy": accuracy}
    return Scored(scores, by_resolution(scores, "accuracy", masks.sizes_px[0]))


def _point_scored(found: np.ndarray, num_predicted: int, meant: PointArrays, masks: Masks) -> Scored:
    scores = precision_recall_f1(float(found.sum()), num_predicted, len(meant))
    tallies = recall_by_mask_size(found, masks.areas_px(meant.frames, meant.object_ids))
    tallies[f"f1/count/{count_bin(len(meant))}"] = (scores["f1"], 1.0)
    return Scored(scores, tallies | by_resolution(scores, "f1", masks.sizes_px[0]))
