"""A part of a camera's picture that something in front of the lens covers: an episode field of ours.

Source: sheet molmospaces section 18, "Camera occlusion". Public readers keep the field as one that they do not know.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from zoo.envs.episodes.schema import Camera
from zoo.errors import DataError

FIELD = "zoo_occlusion"
"""Of a camera in an episode: left, top, right, bottom of the covered box, shares of the picture's width and height."""

Box = tuple[float, float, float, float]


def with_occlusion(camera: Camera, box: Sequence[float]) -> Camera:
    """A camera whose picture is covered within a box."""
    return replace(camera, extra={**camera.extra, FIELD: [float(edge) for edge in box]})


def occlusion_of(camera: Camera) -> Box | None:
    """The covered box; None where nothing is covered.

    Raises:
        DataError: the episode states something else than a box within the picture.
    """
    stated = camera.extra.get(FIELD)
    if stated is None:
        return None
    is_list = isinstance(stated, (list, tuple)) and len(stated) == 4
    if not is_list or not all(isinstance(edge, (int, float)) and math.isfinite(edge) for edge in stated):
        raise DataError(f"camera {camera.name!r}: {FIELD} is {stated!r}, expected left, top, right and bottom, 0 to 1")
    left, top, right, bottom = map(float, stated)
    if not (0 <= left <= right <= 1 and 0 <= top <= bottom <= 1):
        raise DataError(
            f"camera {camera.name!r}: {FIELD} is {stated!r}, expected 0 <= left <= right <= 1 and 0 <= top <= bottom "
            "<= 1, shares of the picture"
        )
    return left, top, right, bottom


def cover(picture: np.ndarray, box: Box) -> None:
    """Make a box of a picture black, in place.

    Args:
        picture: (height, width, 3) uint8.
        box: Shares; edges go to the nearest pixel.
    """
    height, width = picture.shape[:2]
    left, top, right, bottom = box
    picture[round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = 0
