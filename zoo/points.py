"""Points of clips and images: the one structure that questions, answers, metrics and segmenters share."""

from typing import NamedTuple


class Point(NamedTuple):
    """A place in a frame or image.

    Args:
        key: Seconds for a clip, the image's number counted from 1 otherwise.
        object_id: Which object; the same in all frames of a track.
        x_px: Pixels of the source from the left; 0 at the outer edge of the first pixel.
        y_px: The same from the top.
    """

    key: float
    object_id: int
    x_px: float
    y_px: float
