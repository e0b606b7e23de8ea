"""Captions of videos: Molmo2-Cap to learn from, Molmo2-CapEval to be judged by.

Source: Molmo2 sheet A10 (row 1; CapEval), A5 (styles), A9 (caption F1). CapEval's statements go into the record's
`meta`, not into its `statements`: whether a caption says what people wrote is for a judge to say, not for a comparison
of sentences.
"""

from dataclasses import replace
from typing import Any, ClassVar

from zoo.datamodules.readers.clips import SecondsPart
from zoo.datamodules.readers.files import Row
from zoo.datamodules.readers.molmo2.reader import Found, Molmo2Reader
from zoo.datamodules.readers.molmo2.values import items, optional_number, optional_text, text
from zoo.datamodules.readers.turns import plain_text
from zoo.errors import ConfigError
from zoo.shards.faults import MAX_BAD_SHARE, OnBadSample

STYLES = {
    "video_caption": "video_short_caption",
    "merged_caption": "video_merged_caption",
    "video_frame_merged_caption": "video_long_caption",
}
"""Style of the caption in each column."""

REQUESTS = {
    "video_short_caption": "Describe this video.",
    "video_merged_caption": "Describe this video in detail.",
    "video_long_caption": "Describe this video in as much detail as you can.",
}


class VideoCaptions(Molmo2Reader):
    """Long descriptions of videos: Molmo2-Cap.

    Args:
        source: See `Molmo2Reader`.
        media_root: See there.
        captions: Columns of captions to learn from.
        min_score: Least score of an annotation; the published training takes 3 and more.
        val_share: See `Molmo2Reader`.
        samples_per_shard: See there.
        on_bad_sample: See there.
        max_bad_share: See there.
    """

    name: ClassVar[str] = "molmo2_cap"
    columns: ClassVar[tuple[str, ...]] = ("video_id", "annotation_score")

    def __init__(
        self,
        *,
        source: str,
        media_root: str | None = None,
        captions: list[str] = ["video_caption", "merged_caption", "video_frame_merged_caption"],  # noqa: B006 - never written to
        min_score: float = 3.0,
        val_share: float = 0.01,
        samples_per_shard: int = 250,
        on_bad_sample: OnBadSample = "skip",
        max_bad_share: float = MAX_BAD_SHARE,
    ) -> None:
        super().__init__(
            source=source,
            media_root=media_root,
            val_share=val_share,
            samples_per_shard=samples_per_shard,
            on_bad_sample=on_bad_sample,
            max_bad_share=max_bad_share,
        )
        unknown = sorted(set(captions) - set(STYLES))
        if unknown or not captions:
            raise ConfigError(f"{self.name}: captions is {captions}, expected some of {', '.join(STYLES)}")
        self.captions = list(captions)
        self.min_score = min_score

    def found(self, row: Row) -> Found | str:
        score = optional_number(row.values, "annotation_score")
        if score is None or score < self.min_score:
            return "annotation_score below min_score"
        written = {STYLES[column]: optional_text(row.values, column) for column in self.captions}
        texts = [{"request": REQUESTS[style], "text": said, "style": style} for style, said in written.items() if said]
        if not texts:
            return f"none of {', '.join(self.captions)}"
        return replace(video_of(row), descriptions=texts)


class CaptionEvaluation(Molmo2Reader):
    """Videos with people's statements about them, by which a judge measures captions: Molmo2-CapEval."""

    name: ClassVar[str] = "molmo2_cap_eval"
    columns: ClassVar[tuple[str, ...]] = ("video_id", "atomic_statements", "statement_categories", "aggregated_caption")
    is_evaluation: ClassVar[bool] = True

    def found(self, row: Row) -> Found | str:
        statements = [plain_text(one, "atomic_statements") for one in items(row.values, "atomic_statements")]
        style = "video_long_caption"
        meta: dict[str, Any] = {
            "statements": statements,
            "statement_categories": items(row.values, "statement_categories"),
            "source_of_video": optional_text(row.values, "source"),
        }
        caption = text(row.values, "aggregated_caption")
        description = {"request": REQUESTS[style], "text": caption, "style": style}
        return replace(video_of(row), descriptions=[description], meta=meta)


def video_of(row: Row) -> Found:
    """A row's video and what of it is meant.

    Sources put their name before the id; a file that was cut bears its ends in its name, as
    `ID_bounded_decimal_2_0.17_141.74`, or is no longer than the part.
    """
    video = text(row.values, "video_id")
    names = (video, f"v_{video}", f"ytb_{video}", f"vimeo_{video}")
    start_s, end_s = (optional_number(row.values, column) for column in ("video_start", "video_end"))
    if start_s is None or end_s is None:
        return Found(names=names)
    cut = f"{video}_bounded_decimal_2_{round(float(start_s), 2)}_{round(float(end_s), 2)}"
    return Found(names=names, part=SecondsPart(start_s, end_s, may_be_cut=True), names_of_part=(cut,))
