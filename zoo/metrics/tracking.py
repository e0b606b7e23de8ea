"""Tracks of points, against masks: per-frame precision, recall and F1, and HOTA.

Source: Molmo2 sheet A9; HOTA after Luiten et al. 2021 (equal to TrackEval 1.3.0 on binary similarities, see
tests/zoo/metrics/test_tracking.py). Differs: frames at the asked rate are found by their times; without a true or
predicted point all scores are 1, where TrackEval says 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from zoo.masks import KEY_TOLERANCE, Masks
from zoo.metrics.pointing import PointArrays
from zoo.metrics.scored import Scored, by_resolution, count_bin, precision_recall_f1, recall_by_mask_size
from zoo.points import Point

OFF = np.iinfo(np.int64).min
"""Step of a time that is no step."""


def evaluation_frames(masks: Masks, fps: float | None) -> dict[int, int]:
    """The frames at which tracks are compared.

    Args:
        masks: Whose keys are seconds.
        fps: Frames a second; None: all frames.
    Returns:
        Frame by step; step n is the frame nearest to n / fps seconds, if it is within 0.05 s.
    """
    if fps is None:
        return {frame: frame for frame in range(len(masks.keys))}
    frames: dict[int, int] = {}
    steps = _steps(masks.keys, fps)
    distance = np.abs(masks.keys - steps / fps)
    for frame in np.argsort(-distance, kind="stable"):  # the nearest is written last
        if steps[frame] != OFF:
            frames[int(steps[frame])] = int(frame)
    return dict(sorted(frames.items()))


def track_scores(predicted: Sequence[Point], true: Sequence[Point], masks: Masks, *, fps: float | None = 1.0) -> Scored:
    """Per-frame precision, recall and F1 of tracks, and HOTA.

    Args:
        predicted: Pixels of the source, seconds; ids tell tracks apart, of two points with one id in a frame the first
            counts.
        true: Every point of every object, at least at the frames that are compared; ids are those in `masks`.
        masks: With seconds as keys.
        fps: Rate at which both are compared: points at other times are left out, and a prediction at a step without
            masks is wrong. None: at all frames of the masks; a prediction at another time is wrong.
    Returns:
        `precision`, `recall`, `f1`: means over the frames in which anything is true or predicted, in each of them
        points are assigned by their distance in pixels; `hota`, `det_a`, `ass_a`. All are 1 if there is nothing in any
        frame. Tallies: recall by mask size, HOTA and F1 by number of true objects, F1 by resolution.
    Raises:
        ValueError: fps is not above 0.
    """
    if fps is not None and not fps > 0:
        raise ValueError(f"track_scores: fps must be above 0, got {fps}")
    frames = evaluation_frames(masks, fps)
    said, meant = _Stepped(predicted, masks), _Stepped(true, masks)
    steps = _steps(meant.keys, fps) if fps is not None else meant.frames
    # Of the truth between two compared frames nothing is asked.
    is_compared = (meant.frames >= 0) & (meant.frames == _lookup(frames, steps))
    meant.keep(_first_of_each(np.where(is_compared, steps, OFF), meant.object_ids), steps)
    steps = _steps(said.keys, fps) if fps is not None else _steps_of_frames(said)
    said.keep(_first_of_each(steps, said.object_ids), steps)
    said.frames = _lookup(frames, said.steps)
    return _track_scored(_Frames(said, meant, masks), masks)


class _Stepped(PointArrays):
    """Points that are sorted by the step of their frame."""

    steps: np.ndarray

    def keep(self, order: np.ndarray, steps: np.ndarray) -> None:
        """Take these points in this order, and note their steps."""
        self.keys, self.object_ids, self.xy_px = self.keys[order], self.object_ids[order], self.xy_px[order]
        self.frames, self.steps = self.frames[order], steps[order]


class _Frames:
    """The compared frames, each with its points and which prediction lies in which object.

    Args:
        said: Predictions, sorted by step.
        meant: Points of objects, sorted by step.
        masks: Of the objects.
    """

    def __init__(self, said: _Stepped, meant: _Stepped, masks: Masks) -> None:
        self.said, self.meant = said, meant
        steps = np.union1d(said.steps, meant.steps)
        self.of_said, self.of_meant = _slices(said.steps, steps), _slices(meant.steps, steps)
        # All pairs of a prediction and an object in one frame, frame by frame, and prediction by prediction in each.
        place = np.searchsorted(steps, said.steps)
        counts = (self.of_meant[:, 1] - self.of_meant[:, 0])[place]
        rows = np.repeat(np.arange(len(said)), counts)
        first_pair = np.cumsum(counts) - counts
        columns = np.arange(len(rows)) - np.repeat(first_pair - self.of_meant[place, 0], counts)
        self.inside = masks.inside(said.frames[rows], meant.object_ids[columns], said.xy_px[rows])
        self.distance = np.hypot(*(said.xy_px[rows] - meant.xy_px[columns]).T)
        self.pairs = np.r_[first_pair, len(rows)]

    def __len__(self) -> int:
        return len(self.of_said)

    def matrix(self, values: np.ndarray, place: int) -> np.ndarray:
        """(predictions, objects) of one frame."""
        first, last = self.of_said[place]
        shape = (last - first, self.of_meant[place, 1] - self.of_meant[place, 0])
        return values[self.pairs[first] : self.pairs[last]].reshape(shape)


def _track_scored(frames: _Frames, masks: Masks) -> Scored:
    found = np.zeros(len(frames.meant), bool)
    per_frame, similarity = [], []
    for place in range(len(frames)):
        inside, (first, last) = frames.matrix(frames.inside, place), frames.of_meant[place]
        rows, columns = _assign(frames.matrix(frames.distance, place))
        found[first + columns] = inside[rows, columns]
        scores = precision_recall_f1(float(found[first:last].sum()), *inside.shape)
        per_frame.append(list(scores.values()))
        similarity.append(inside.T)
    means = np.mean(per_frame, 0).tolist() if per_frame else [1.0] * 3
    scores = dict(zip(("precision", "recall", "f1"), means, strict=True))
    scores |= hota(
        [frames.meant.object_ids[first:last] for first, last in frames.of_meant],
        [frames.said.object_ids[first:last] for first, last in frames.of_said],
        similarity,
    )
    tallies = recall_by_mask_size(found, masks.areas_px(frames.meant.frames, frames.meant.object_ids))
    count = count_bin(len(np.unique(frames.meant.object_ids)))
    tallies |= {f"{name}/count/{count}": (scores[name], 1.0) for name in ("f1", "hota")}
    return Scored(scores, tallies | by_resolution(scores, "f1", masks.sizes_px[0]))


def hota(
    true_ids: Sequence[np.ndarray], predicted_ids: Sequence[np.ndarray], similarity: Sequence[np.ndarray]
) -> dict[str, float]:
    """Higher order tracking accuracy at one threshold.

    Args:
        true_ids: Of each frame (objects,) int, no id twice.
        predicted_ids: Of each frame (predictions,) int, no id twice.
        similarity: Of each frame (objects, predictions) bool: the prediction is good enough for the object.
    Returns:
        `hota` = sqrt(`det_a` * `ass_a`). Without any object and prediction all are 1, without one of the two 0.
    """
    num_true, num_predicted = sum(map(len, true_ids)), sum(map(len, predicted_ids))
    if not num_true or not num_predicted:
        return dict.fromkeys(("hota", "det_a", "ass_a"), float(num_true == num_predicted))
    rows, true_lengths = _numbered(true_ids)
    columns, predicted_lengths = _numbered(predicted_ids)
    # How often an object and a prediction could be one, shared among all that could.
    potential = np.zeros((len(true_lengths), len(predicted_lengths)))
    for here, there, similar in zip(rows, columns, similarity, strict=True):
        either = similar.sum(0)[None, :] + similar.sum(1)[:, None] - similar
        potential[here[:, None], there] += similar / np.maximum(either, 1)
    alignment = potential / (true_lengths[:, None] + predicted_lengths - potential)
    matches = np.zeros_like(potential)
    for here, there, similar in zip(rows, columns, similarity, strict=True):
        chosen = _assign(-(alignment[here[:, None], there] * similar), is_clear=similar)
        good = similar[chosen]
        matches[here[chosen[0][good]], there[chosen[1][good]]] += 1
    hits = matches.sum()
    det_a = hits / (num_true + num_predicted - hits)
    ass_a = (matches * matches / (true_lengths[:, None] + predicted_lengths - matches)).sum() / max(hits, 1)
    return {"hota": float(np.sqrt(det_a * ass_a)), "det_a": float(det_a), "ass_a": float(ass_a)}


def _numbered(ids: Sequence[np.ndarray]) -> tuple[list[np.ndarray], np.ndarray]:
    """Ids of frames as numbers from 0, and how many frames each has."""
    _, numbers, lengths = np.unique(np.concatenate(ids), return_inverse=True, return_counts=True)
    return np.split(numbers, np.cumsum([len(of_frame) for of_frame in ids])[:-1]), lengths


def _assign(cost: np.ndarray, is_clear: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The cheapest assignment; where `is_clear` gives no row and no column a choice, its pairs, which are that."""
    if is_clear is not None and (is_clear.sum(0) <= 1).all() and (is_clear.sum(1) <= 1).all():
        return np.nonzero(is_clear)
    return linear_sum_assignment(cost)


def _slices(of_points: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """(steps, 2): where the points of each step begin and end."""
    return np.c_[np.searchsorted(of_points, steps), np.searchsorted(of_points, steps, side="right")]


def _lookup(frames: dict[int, int], steps: np.ndarray) -> np.ndarray:
    return np.asarray([frames.get(int(step), -1) for step in steps], np.int64)


def _steps(keys: np.ndarray, fps: float) -> np.ndarray:
    steps = np.rint(keys * fps)
    return np.where(np.abs(keys - steps / fps) <= KEY_TOLERANCE, steps, OFF).astype(np.int64)


def _steps_of_frames(points: PointArrays) -> np.ndarray:
    """Frames as steps; every other time is a step of its own, below zero, in which nothing can be right."""
    _, numbers = np.unique(points.keys, return_inverse=True)
    return np.where(points.frames >= 0, points.frames, -1 - numbers)


def _first_of_each(steps: np.ndarray, object_ids: np.ndarray) -> np.ndarray:
    """Indices of the first point of each (step, id), in that order; points that are off steps are left out."""
    order = np.lexsort((object_ids, steps))  # stable: of equal ones the first comes first
    order = order[steps[order] != OFF]
    is_new = np.ones(len(order), bool)
    is_new[1:] = (np.diff(steps[order]) != 0) | (np.diff(object_ids[order]) != 0)
    return order[is_new]
