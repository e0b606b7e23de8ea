"""Where the targets of a task are in the pictures: the boxes that box-conditioned policies get, and pixel counts.

Source: sheet spoc_ring_holodeck_graspmolmo sections 1.6 (the larger of two sensors, second slot empty) and 1.8 (of the
two, "accurate" is the segmentation's, "task relevant" is coarse, of 7 divisions, within 4 m).
Differs: the accurate sensor ends at 6 m. Most targets that are farther are behind walls, and to find that out costs a
picture each.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zoo.envs.data_engine.sight import RecordingEnv, Seen
from zoo.envs.navigation.success import box_distance_m
from zoo.shards.policy_episode import BOXES_PER_CAMERA, MISSING_BOX

DIVISIONS = 7  # of a picture's width and height, that the coarse sensor tells apart
COARSE_M = 4.0  # from the base to the box around an object, within which the coarse sensor works
ACCURATE_M = 6.0  # the same of the accurate one; targets beyond count as not visible

Box = tuple[float, float, float, float, float]


def coarse_box(box: tuple[int, int, int, int], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """First and last column and row of the divisions of a picture that an object's pixels touch.

    Args:
        box: First column, first row, last column, last row of the object.
        size: Width and height of the picture.
    """
    cells = np.array(size) / DIVISIONS
    first = np.floor(np.array(box[:2]) / cells) * cells
    last = (np.floor(np.array(box[2:]) / cells) + 1) * cells - 1
    return tuple(float(edge) for edge in (*first, *last))


def with_area(box: Sequence[float]) -> Box:
    """A box as recordings have it, with its area."""
    x1, y1, x2, y2 = map(float, box)
    return x1, y1, x2, y2, (x2 - x1) * (y2 - y1)


def best_box(seen: Seen, size: tuple[int, int], distance_m: float) -> Box:
    """The larger one of both sensors' boxes of an object; `MISSING_BOX` where the picture shows nothing of it."""
    if seen.box is None:
        return MISSING_BOX
    accurate = with_area(seen.box)
    if distance_m > COARSE_M:
        return accurate
    return max(with_area(coarse_box(seen.box, size)), accurate, key=lambda box: box[4])


def look(env: RecordingEnv, cameras: Sequence[str], targets: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """What pictures show of the targets now.

    Args:
        env: At the step.
        cameras: Of the episode.
        targets: Root bodies; of several that are seen, the largest has the box.
    Returns:
        (cameras, 2, 5) float32 boxes in pixels, and (cameras,) int32 pixels of all targets within 6 m together.
    """
    boxes = np.tile(np.array(MISSING_BOX, np.float32), (len(cameras), BOXES_PER_CAMERA, 1))
    pixels = np.zeros(len(cameras), np.int32)
    if not targets:
        return boxes, pixels
    world, size = env.simulation.world, env.simulation.episode.img_resolution
    here, near = world.base_pose()[:2], []
    for name in targets:
        centre, half = world.box(name)
        distance = box_distance_m(here, (centre - half)[:2], (centre + half)[:2])
        if distance <= ACCURATE_M:
            near.append((world.root(name), distance))
    for place, camera in enumerate(cameras):
        found = []
        for seen, (_, distance) in zip(env.seen_all(camera, [root for root, _ in near]), near, strict=True):
            if seen.pixels:
                found.append(best_box(seen, size, distance))
                pixels[place] += seen.pixels
        if found:
            boxes[place, 0] = max(found, key=lambda box: box[4])
    return boxes, pixels
