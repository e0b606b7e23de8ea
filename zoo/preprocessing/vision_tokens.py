"""The extra tokens that stand for pictures, and the ids of a clip or of images as the language model reads them.

Source: Molmo2 sheet A1.4 (tokens), A5 (layout), A6.1 (vision tokens).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from zoo.preprocessing.crops import Tiling

if TYPE_CHECKING:
    from zoo.preprocessing.settings import InputSettings
    from zoo.processor import TextTokenizer


class VisionToken(IntEnum):
    """Offsets of the extra tokens behind the vocabulary (sheet A1.4)."""

    IM_START = 0
    IM_END = 1
    IM_PATCH = 2
    IM_COL = 3
    LOW_RES_IM_START = 4
    IMAGE = 5
    IM_LOW = 6
    FRAME_START = 7
    FRAME_END = 8
    VIDEO = 9


NUM_EXTRA_TOKENS = 128
"""Rows of the second embedding (sheet A1.4); most are reserved."""

NOT_VISION = (VisionToken.IMAGE, VisionToken.VIDEO)
"""Extra tokens outside the set whose members see each other both ways (sheet A6.1)."""

TOKEN_TEXTS = {
    VisionToken.IM_START: "<im_start>",
    VisionToken.IM_END: "<im_end>",
    VisionToken.IM_PATCH: "<im_patch>",
    VisionToken.IM_COL: "<im_col>",
    VisionToken.LOW_RES_IM_START: "<low_res_im_start>",
    VisionToken.IMAGE: "<|image|>",
    VisionToken.IM_LOW: "<im_low>",
    VisionToken.FRAME_START: "<frame_start>",
    VisionToken.FRAME_END: "<frame_end>",
    VisionToken.VIDEO: "<|video|>",
}
"""How released vocabularies write them."""


@dataclass(frozen=True, kw_only=True)
class VisionText:
    """Writes pictures as ids.

    Args:
        tokenizer: Of the text between them.
        vocab_size: Id of the first extra token.
        grid: (rows, columns) of patches of a frame or crop.
        image_window: Patches pooled into one token of an image, (rows, columns).
        video_window: The same for a video frame.
        timestamps: Write each frame's time before it.
        settings: Which marks stand round them.
    """

    tokenizer: TextTokenizer
    vocab_size: int
    grid: tuple[int, int]
    image_window: tuple[int, int]
    video_window: tuple[int, int]
    timestamps: bool
    settings: InputSettings

    def clip(self, times_s: tuple[float, ...]) -> tuple[int, ...]:
        """Ids of frames at these seconds, begun as every sequence begins."""
        return _clip(self, times_s)

    def images(self, tilings: tuple[Tiling | None, ...]) -> tuple[int, ...]:
        """Ids of images; of those with a tiling the crops follow the whole. Several are numbered. None at all: text."""
        return _images(self, tilings)

    def begin(self) -> list[int]:
        """Ids that every sequence begins with."""
        return [] if self.tokenizer.bos_id is None else [self.tokenizer.bos_id]

    def token(self, token: VisionToken) -> int:
        """Id of an extra token."""
        return self.vocab_size + token

    def block(self, patches: tuple[int, int], window: tuple[int, int], *, columns: bool) -> list[int]:
        """Rows of patch tokens, each with a token behind it where `columns` says so."""
        rows, across = (-(-side // size) for side, size in zip(patches, window, strict=True))
        row = [self.token(VisionToken.IM_PATCH)] * across
        return (row + [self.token(VisionToken.IM_COL)] * columns) * rows

    def image(self, tiling: Tiling | None) -> list[int]:
        """Ids of one image."""
        settings = self.settings
        has_own_start = settings.low_res_start or tiling is None
        ids = [self.token(VisionToken.LOW_RES_IM_START if has_own_start else VisionToken.IM_START)]
        ids += self.block(self.grid, self.image_window, columns=settings.low_res_columns)
        ids.append(self.token(VisionToken.IM_END))
        if tiling is not None:
            ids.append(self.token(VisionToken.IM_START))
            ids += self.block(tiling.stitched(self.grid), self.image_window, columns=settings.image_columns)
            ids.append(self.token(VisionToken.IM_END))
        return ids


@lru_cache(maxsize=4096)  # clips of a data set are sampled at the same few sets of times
def _clip(text: VisionText, times_s: tuple[float, ...]) -> tuple[int, ...]:
    marks = text.settings.frame_marks
    if marks == "image":
        start, end = text.token(VisionToken.IM_START), text.token(VisionToken.IM_END)
    else:
        start, end = text.token(VisionToken.FRAME_START), text.token(VisionToken.FRAME_END)
    frame = text.block(text.grid, text.video_window, columns=text.settings.video_columns)
    if marks != "clip":
        frame = [start, *frame, end]
    ids = [start] if marks == "clip" else []
    for number, time in enumerate(times_s):
        if text.timestamps:
            ids += text.tokenizer.encode(f"{' ' if number else ''}{time:.1f} ")
        ids += frame
    return (*text.begin(), *ids, *([end] if marks == "clip" else []))


@lru_cache(maxsize=4096)
def _images(text: VisionText, tilings: tuple[Tiling | None, ...]) -> tuple[int, ...]:
    ids = text.begin()
    for number, tiling in enumerate(tilings):
        if len(tilings) > 1:
            ids += text.tokenizer.encode(f"Image {number + 1}")
        ids += text.image(tiling)
    return tuple(ids)
