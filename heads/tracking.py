"""Tracking: where things are in every frame, in their first and last, or from a point on.

Source: Molmo2 sheet A8 (format, ground and single-point variants, frame rate in the prompt), A7.4 (4096 new tokens),
A9 (track F1, HOTA, J&F).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from PIL import Image
from torch import Tensor

from zoo.errors import ConfigError
from zoo.head import Renderer
from zoo.heads.place_head import PlaceHead
from zoo.heads.place_questions import RenderPlaces, Wording
from zoo.metrics import Scored, mask_scores, track_scores
from zoo.points import PointAnswer, PointQuestion
from zoo.segmenter import Clip, Segmenter

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
        weight: Loss weight of each token of an answer.
        max_questions: Tracks of a training sample that are asked for at once.
        fps: Frames a second that tracks cover, where a record does not say; only shown frames are named. null: all
            shown frames, and the prompt says nothing of it.
        score_fps: Frames a second at which tracks are scored; null: at all shown frames.
        segmenter: Makes masks of the points of an answer, which are scored too, by J&F. None: points alone are scored.
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
        segmenter: Segmenter | None = None,
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
        self.segmenter = segmenter
        if segmenter is not None:
            self.scores = (*self.scores, "j", "f", "j_and_f")

    def renderer(self) -> Renderer:
        return RenderPlaces(
            head=self.name,
            wordings=self.wordings,
            weight=self.weight,
            max_questions=self.max_questions,
            fps=self.fps,
        )

    def scored(self, said: PointAnswer, question: PointQuestion, pixels: Callable[[], Tensor] | None = None) -> Scored:
        # The first and last frame of an object need not lie on any grid.
        fps = None if question.kind == "ground" else self.score_fps
        tracks = track_scores(said.points, question.points, question.masks, fps=fps)
        if self.segmenter is None or pixels is None:
            return tracks
        masks = self._mask_scores(said, question, pixels())
        return Scored(tracks.scores | masks.scores, tracks.tallies | masks.tallies)

    def _mask_scores(self, said: PointAnswer, question: PointQuestion, pixels: Tensor) -> Scored:
        """J&F of all that an answer follows against all that was to be followed, over the whole clip."""
        keys, masks = question.canvas.keys, question.masks
        shape = question.canvas.sizes_px[0]
        pictures = (Image.fromarray(frame) for frame in pixels.permute(0, 2, 3, 1).cpu().numpy())
        frames = np.stack([np.asarray(picture.resize(shape, Image.Resampling.BILINEAR)) for picture in pictures])
        is_all = len(masks.keys) == len(keys) and np.allclose(masks.keys, keys)
        clip = Clip(frames=frames, times_s=keys, masks=masks if is_all else None)
        segmented = self.segmenter.segment(clip, [point for point in said.points if point.key in keys])
        known = masks.frames_of(keys)
        true = {
            object_id: np.stack([masks.mask(int(frame), object_id) for frame in known[known >= 0]])
            for object_id in sorted({point.object_id for point in question.points})
        }
        return mask_scores({object_id: found[known >= 0] for object_id, found in segmented.items()}, true)
