"""Small scenes of discs with masks, for metrics of points and segmenters."""

import numpy as np

from zoo.masks import InstanceMasks
from zoo.points import Point

SIZE = (64, 48)  # width, height


def disc_scene(centres, radius=4, keys=(0.0,), size=SIZE):
    """Masks of discs.

    Args:
        centres: (frames, objects, 2) x, y in whole pixels, NaN where an object is not there.
    Returns:
        Masks with ids 0, 1, ..., and the points on all centres.
    """
    centres = np.asarray(centres, float)
    rows, columns = np.mgrid[: size[1], : size[0]]
    ids = np.zeros((len(centres), size[1], size[0]), np.uint8)
    points = []
    for frame, key in enumerate(keys):
        for object_id, (x, y) in enumerate(centres[frame]):
            if np.isfinite(x):
                ids[frame][(columns - x) ** 2 + (rows - y) ** 2 <= radius**2] = object_id + 1
                points.append(Point(key, object_id, x, y))
    return InstanceMasks(ids, keys, {object_id: object_id + 1 for object_id in range(centres.shape[1])}), points
