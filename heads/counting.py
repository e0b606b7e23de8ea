"""Counting: how many things of a kind there are, by pointing to each, or straight away.

Source: Molmo2 sheet A8 (wrappers; point, then count is what its paper found best), A9 (count accuracy, close accuracy).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor

from zoo.head import Renderer
from zoo.heads.place_head import PlaceHead
from zoo.heads.place_questions import RenderPlaces, Wording
from zoo.metrics import Scored, count_scores
from zoo.points import STYLES, PointAnswer, PointQuestion, Style

WORDINGS = (
    Wording(
        "points", "point_count", ("Count the {label}", "Point to and count the {label}", "Count all of the {label}")
    ),
    Wording(
        "points",
        "count_point",
        ("Give the number of {label} and point to them", "Say how many {label} there are and point to them"),
    ),
    Wording("points", "count", ("Write the number of {label}", "State the number of {label}")),
)


class Counting(PlaceHead):
    """Counts things. Where a record does not say how, training counts in all three ways, evaluation in one.

    Args:
        weight: Loss weight of each token of an answer with points; a number alone weighs as any answer.
        max_questions: Things of a training sample that are counted at once.
        style: How evaluation counts where a record does not say: `point_count`, `count_point` or `count`.
        max_new_tokens: Longest answer, tokens.
        constrained: Generate only what can be read as a count, and points in the shown frames.
        z_loss: Weight of the squared log normaliser of the logits.
    Raises:
        ValueError: `style` counts nothing.
    """

    name: ClassVar[str] = "counting"
    example_args: ClassVar = {"max_new_tokens": 128, "constrained": True}
    wordings = WORDINGS
    scores = ("accuracy", "close")

    def __init__(
        self,
        *,
        weight: float = 0.2,
        max_questions: int = 8,
        style: Style = "point_count",
        max_new_tokens: int = 2048,
        constrained: bool = False,
        z_loss: float = 1e-4,
    ) -> None:
        super().__init__(max_new_tokens=max_new_tokens, constrained=constrained, z_loss=z_loss)
        if style not in STYLES or style == "point":
            raise ValueError(f"counting: style is {style!r}, expected point_count, count_point or count")
        self.weight = weight
        self.max_questions = max_questions
        self.style = style

    def renderer(self) -> Renderer:
        first = sorted(self.wordings, key=lambda wording: wording.style != self.style)
        return RenderPlaces(head=self.name, wordings=tuple(first), weight=self.weight, max_questions=self.max_questions)

    def scored(self, said: PointAnswer, question: PointQuestion, pixels: Callable[[], Tensor] | None = None) -> Scored:
        return count_scores(said.count, question.count, is_video=question.canvas.is_video)
