"""Pointing: every thing of a kind once, in images and videos, as a tag of points.

Source: Molmo2 sheet A8 (format), A7.4 (192 new tokens for images, 2048 for videos), A9 (point F1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor

from zoo.head import Renderer
from zoo.heads.place_head import PlaceHead
from zoo.heads.place_questions import RenderPlaces, Wording
from zoo.metrics import Scored, image_point_scores, video_point_scores
from zoo.points import PointAnswer, PointQuestion

WORDINGS = (
    Wording(
        "points",
        "point",
        (
            "Point to the {label}",
            "Point out the {label}",
            "Mark the {label}",
            "Locate the {label}",
            "Put a point on the {label}",
        ),
    ),
)


class Pointing(PlaceHead):
    """Points to things.

    Args:
        weight: Loss weight of each token of an answer.
        max_questions: Things of a training sample that are asked for at once.
        max_new_tokens: Longest answer, tokens; published: 192 for images, 2048 for videos.
        constrained: Generate only what can be read as points in the shown frames.
        z_loss: Weight of the squared log normaliser of the logits.
    """

    name: ClassVar[str] = "pointing"
    example_args: ClassVar = {"max_new_tokens": 128, "constrained": True}
    wordings = WORDINGS
    scores = ("precision", "recall", "f1")

    def __init__(
        self,
        *,
        weight: float = 0.2,
        max_questions: int = 8,
        max_new_tokens: int = 2048,
        constrained: bool = False,
        z_loss: float = 1e-4,
    ) -> None:
        super().__init__(max_new_tokens=max_new_tokens, constrained=constrained, z_loss=z_loss)
        self.weight = weight
        self.max_questions = max_questions

    def renderer(self) -> Renderer:
        return RenderPlaces(
            head=self.name,
            wordings=self.wordings,
            weight=self.weight,
            max_questions=self.max_questions,
            also_scored=("point_count", "count_point"),
        )

    def scored(self, said: PointAnswer, question: PointQuestion, pixels: Callable[[], Tensor] | None = None) -> Scored:
        canvas, masks, true = question.canvas, question.masks, question.points
        if canvas.times_s is None:
            return image_point_scores(said.points, true, masks)
        return video_point_scores(said.points, true, masks, duration_s=canvas.times_s[-1] or 1.0)
