"""Masks against masks: region similarity J, contour accuracy F, and their mean.

Source: Perazzi et al. 2016 (DAVIS), as its 2017 evaluation computes it; Molmo2 sheet A9. `matched` equals TrackEval 1.3
(tests/zoo/metrics/golden.json). Differs: all frames count, because nobody shows the first one's mask to a model that is
asked in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.optimize import linear_sum_assignment

from zoo.metrics.scored import Scored, by_resolution

CONTOUR_TOLERANCE = 0.008
"""How far contours may lie apart, as a share of the picture's diagonal; rounded up to whole pixels."""

ObjectMasks = Mapping[int, np.ndarray]


def mask_scores(
    predicted: ObjectMasks, true: ObjectMasks, *, objects: Literal["together", "matched"] = "together"
) -> Scored:
    """J, F and J&F of masks through a clip.

    Args:
        predicted: Of each predicted object (frames, height, width) bool.
        true: The same of each true one.
        objects: `together`: all that an answer names is one region, as in referring video segmentation. `matched`: each
            true object has a predicted one of its own, assigned by the best mean J; what is left over scores 0 if it is
            true, and nothing if it is predicted (DAVIS 2017, unsupervised).
    Returns:
        `j`, `f`, `j_and_f`, means over frames and objects. An empty mask where the truth is empty is right.
    Raises:
        ValueError: masks of different shapes.
    """
    shapes = {mask.shape for mask in (*predicted.values(), *true.values())}
    if len(shapes) > 1:
        raise ValueError(f"mask_scores: masks have different shapes {sorted(shapes)}, expected one")
    if not shapes or not (true or objects == "together"):
        return _mask_scored(1.0, 1.0, next(iter(shapes), None))
    shape = shapes.pop()
    none = np.zeros(shape, bool)
    if objects == "together":
        pairs = [(np.any(list(said.values()), 0) if said else none) for said in (predicted, true)]
        return _mask_scored(float(region_similarity(*pairs).mean()), float(contour_accuracy(*pairs).mean()), shape)
    said, meant = list(predicted.values()), list(true.values())
    said += [none] * (len(meant) - len(said))
    j = np.asarray([[region_similarity(one, other).mean() for other in meant] for one in said])
    rows, columns = linear_sum_assignment(-j)
    f = [contour_accuracy(said[row], meant[column]).mean() for row, column in zip(rows, columns, strict=True)]
    return _mask_scored(float(j[rows, columns].mean()), float(np.mean(f)), shape)


def region_similarity(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Intersection over union of masks.

    Args:
        predicted: (frames, height, width) bool.
        true: The same.
    Returns:
        (frames,) float64; 1 where both are empty.
    """
    both = (predicted & true).sum((1, 2))
    either = (predicted | true).sum((1, 2))
    return np.where(either, both / np.maximum(either, 1), 1.0)


def contour_accuracy(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """F1 of the pixels of contours that lie near the other's.

    Args:
        predicted: (frames, height, width) bool.
        true: The same.
    Returns:
        (frames,) float64; 1 where neither has a contour.
    """
    reach = np.ceil(CONTOUR_TOLERANCE * np.linalg.norm(true.shape[1:]))
    return np.asarray(
        [_contour_f(one, other, reach) for one, other in zip(_contours(predicted), _contours(true), strict=True)]
    )


def _contours(masks: np.ndarray) -> np.ndarray:
    """Pixels that differ from the one to the right, below, or both; beyond the picture it goes on as at its edge."""
    padded = np.pad(masks, ((0, 0), (0, 1), (0, 1)), mode="edge")
    return (masks ^ padded[:, :-1, 1:]) | (masks ^ padded[:, 1:, :-1]) | (masks ^ padded[:, 1:, 1:])


def _contour_f(predicted: np.ndarray, true: np.ndarray, reach: float) -> float:
    num_predicted, num_true = int(predicted.sum()), int(true.sum())
    if not num_predicted or not num_true:
        return float(num_predicted == num_true)
    rows, columns = np.nonzero(predicted | true)  # distances are asked on contours only, so nothing beyond them matters
    window = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    predicted, true = predicted[window], true[window]
    precision = (distance_transform_edt(~true)[predicted] <= reach).sum() / num_predicted
    recall = (distance_transform_edt(~predicted)[true] <= reach).sum() / num_true
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _mask_scored(j: float, f: float, shape: tuple[int, ...] | None) -> Scored:
    scores = {"j": j, "f": f, "j_and_f": (j + f) / 2}
    return Scored(scores, by_resolution(scores, "j_and_f", np.asarray(shape[:0:-1])) if shape else {})
