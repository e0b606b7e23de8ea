"""What pointing without reading the question scores: points on objects that are there, whichever were asked for.

`nearest_object_points` names one object, the one nearest to the picture's centre, and follows it: photographers and
generators tend to put what they ask about there. `every_object_points` names all. Of n objects of which k are asked
for, m named at random have an expected F1 of 2km / (n(k + m)), which grows with m up to 2k / (n + k) where all are
named; so no number of objects chosen without a reason beats all. A text-blind pointer is worth the better of the two,
each as its mean over a data set.

Both see the masks, so they know where objects are better than any model. They need masks of all objects of a scene:
where only the asked ones have masks, they are not blind.

Source: controls of ours.
"""

from __future__ import annotations

import numpy as np

from zoo.masks import Masks
from zoo.metrics.tracking import evaluation_frames
from zoo.points import Point


def nearest_object_points(masks: Masks, *, each_frame: bool, fps: float | None = None) -> list[Point]:
    """Points on the object nearest to the picture's centre in the first frame that shows any.

    Args:
        masks: Of all objects.
        each_frame: Follow it through all frames, as an answer with tracks; else point to it once.
        fps: Frames a second at which it looks; None: at all frames of the masks.
    Returns:
        In the order of frames; none if nothing is visible.
    """
    points = _object_points(masks, fps)
    if not points:
        return []
    first = [point for point in points if point.key == points[0].key]
    width, height = masks.sizes_px[masks.frames_of([first[0].key])[0]]
    nearest = min(first, key=lambda point: np.hypot(point.x_px - width / 2, point.y_px - height / 2))
    track = [point for point in points if point.object_id == nearest.object_id]
    return track if each_frame else track[:1]


def every_object_points(masks: Masks, *, each_frame: bool, fps: float | None = None) -> list[Point]:
    """Points on all objects.

    Args:
        masks: Of all objects.
        each_frame: Follow them through all frames, as an answer with tracks; else point to each where it first appears.
        fps: Frames a second at which it looks; None: at all frames of the masks.
    Returns:
        In the order of frames.
    """
    points = _object_points(masks, fps)
    if each_frame:
        return points
    first: dict[int, Point] = {}
    for point in points:
        first.setdefault(point.object_id, point)
    return list(first.values())


def _object_points(masks: Masks, fps: float | None) -> list[Point]:
    """One point on each visible object at each frame, on the pixel of its mask that is nearest to their mean."""
    points = []
    for frame in evaluation_frames(masks, fps).values():
        for object_id in masks.object_ids.tolist():
            rows, columns = np.nonzero(masks.mask(frame, object_id))
            if len(rows):
                # Whole numbers name the pixel by rounding as by the edge that it begins at.
                nearest = np.hypot(columns - columns.mean(), rows - rows.mean()).argmin()
                points.append(Point(float(masks.keys[frame]), object_id, float(columns[nearest]), float(rows[nearest])))
    return points
