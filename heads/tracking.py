"""Tracking: where things are in every frame, in their first and last, or from a point on.

Source: Molmo2 sheet A8 (format, ground and single-point variants, frame rate in the prompt), A7.4 (4096 new tokens),
A9 (track F1, HOTA).
"""

from __future__ import annotations

from typing import ClassVar

from zoo.errors import ConfigError
from zoo.head import Renderer
from zoo.heads.place_head import PlaceHead
from zoo.heads.place_questions import RenderPlaces, Wording
from zoo.metrics import Scored, track_scores
from zoo.points import PointAnswer, PointQuestion

WORDINGS = (
    Wording("tracks", "point", ("Track the {label}", "Follow the {label}", "Give the path of the {label}")),
    Wording(
        "ground",
        "point",
        ("Show the first and last place of the {label}", "Find where the {label} can be seen first and last"),
    ),
    Wording("single_point", "point", ("Track on from {seed}", "Follow on from {seed}")),
)


class Tracking(PlaceHead):
    """Follows things through a clip.

    Args:
        weight: Loss weight of each token of an answer (sheet A7.1).
        max_questions: Tracks of a training sample that are asked for at once.
        fps: Frames a second that tracks cover, where a record does not say; only shown frames are named. null: all
            shown frames, and the prompt says nothing of it.
        score_fps: Frames a second at which tracks are scored; null: at all shown frames.
        max_new_tokens: Longest answer, tokens.
        constrained: Generate only what can be read as tracks through the shown frames.
        z_loss: Weight of the squared log normaliser of the logits.
    Raises:
        ConfigError: a rate that is not above 0.
    """

    name: ClassVar[str] = "tracking"
    example_args: ClassVar = {"max_new_tokens": 128, "constrained": True}
    asked_kind = "tracks"
    wordings = WORDINGS
    scores = ("precision", "recall", "f1", "hota", "det_a", "ass_a")

    def __init__(
        self,
        *,
        weight: float = 0.2,
        max_questions: int = 4,
        fps: float | None = 2.0,
        score_fps: float | None = 1.0,
        max_new_tokens: int = 4096,
        constrained: bool = False,
        z_loss: float = 1e-4,
    ) -> None:
        super().__init__(max_new_tokens=max_new_tokens, constrained=constrained, z_loss=z_loss)
        for name, rate in (("fps", fps), ("score_fps", score_fps)):
            if rate is not None and not rate > 0:
                raise ConfigError(f"tracking: {name} is {rate}, expected frames a second above 0, or null for all")
        self.weight = weight
        self.max_questions = max_questions
        self.fps = fps
        self.score_fps = score_fps

    def renderer(self) -> Renderer:
        return RenderPlaces(
            head=self.name,
            wordings=self.wordings,
            weight=self.weight,
            max_questions=self.max_questions,
            fps=self.fps,
        )

    def scored(self, said: PointAnswer, question: PointQuestion) -> Scored:
        # The first and last frame of an object need not lie on any grid.
        fps = None if question.kind == "ground" else self.score_fps
        return track_scores(said.points, question.points, question.masks, fps=fps)
