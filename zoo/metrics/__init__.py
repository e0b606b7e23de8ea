"""How good answers are: pure functions that score one answer, and torchmetrics that sum scores over a data set.

A head calls the function of its task, puts what it returns into a `Prediction`, and names `MeanScores` and `Tallies` as
its metrics. Definitions and what they are checked against: docs/metrics.md.
"""

from zoo.metrics.aggregates import FamilyAccuracy, FamilyScores, MeanScores, Tallies
from zoo.metrics.blind_pointers import every_object_points, nearest_object_points
from zoo.metrics.counting import count_scores
from zoo.metrics.pointing import image_point_scores, pointbench_scores, video_point_scores
from zoo.metrics.scored import Scored
from zoo.metrics.segmentation import mask_scores
from zoo.metrics.short_answers import SHORT_SCORES, anls, choice_index, relaxed_accuracy, vqa_score
from zoo.metrics.tracking import track_scores

__all__ = [
    "SHORT_SCORES",
    "FamilyAccuracy",
    "FamilyScores",
    "MeanScores",
    "Scored",
    "Tallies",
    "anls",
    "choice_index",
    "count_scores",
    "every_object_points",
    "image_point_scores",
    "mask_scores",
    "nearest_object_points",
    "pointbench_scores",
    "relaxed_accuracy",
    "track_scores",
    "video_point_scores",
    "vqa_score",
]
