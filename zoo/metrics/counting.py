"""Counts, exact and close.

Source: Molmo2 sheet A9.
"""

from __future__ import annotations

from zoo.metrics.scored import Scored, count_bin

IMAGE_TOLERANCE = 1
VIDEO_TOLERANCE_DIVISOR = 20
"""Of videos one more is allowed for each twenty things: 1 + floor(0.05 * count)."""


def count_scores(predicted: int | None, true: int, *, is_video: bool) -> Scored:
    """Accuracy and close accuracy of a count.

    Args:
        predicted: None: the answer holds no count, which is wrong.
        true: The count.
        is_video: Whose tolerance holds: 1 for images, 1 + floor(0.05 * true) for videos.
    Returns:
        `accuracy`, `close`, and both as tallies by the bin of the true count.
    Raises:
        ValueError: a negative true count.
    """
    if true < 0:
        raise ValueError(f"count_scores: a true count of {true}")
    tolerance = IMAGE_TOLERANCE + (true // VIDEO_TOLERANCE_DIVISOR if is_video else 0)
    scores = {
        "accuracy": float(predicted == true),
        "close": float(predicted is not None and abs(predicted - true) <= tolerance),
    }
    return Scored(scores, {f"{name}/count/{count_bin(true)}": (score, 1.0) for name, score in scores.items()})
