"""Points in videos: VideoPoint to learn from; VideoPointEval and VideoCountEval, the public part of their benchmark.

Source: Molmo2 sheet A10 (row 5; evaluation sets), A7.3 (split by number of points), A8 (order and ids). Agrees with the
published loader in what is a clip: videos of up to 63 s are shown whole, of longer ones the row's clip; a longer one
without a clip is left out. Differs: rows whose count is not that of their points, and rows whose annotator was unsure,
are left out (`keep_unsure` keeps the latter, as the published training did).
"""

from typing import Any, ClassVar

from zoo.datamodules.readers.clips import SecondsPart
from zoo.datamodules.readers.files import Row
from zoo.datamodules.readers.molmo2.points import PERCENT, entry, run_lengths
from zoo.datamodules.readers.molmo2.reader import Found, Molmo2Reader
from zoo.datamodules.readers.molmo2.values import (
    fields,
    items,
    number,
    optional_number,
    optional_text,
    pair,
    text,
    whole,
)
from zoo.errors import ConfigError, DataError
from zoo.points import Point, ordered_points
from zoo.shards.faults import MAX_BAD_SHARE, OnBadSample

MAX_CLIP_S = 63.0
MAX_POINTS = 60
MASKS_PER_S = 2.0  # masks of VideoPointEval are numbered at this rate


class VideoPoint(Molmo2Reader):
    """Points to objects, animals and events in videos: Molmo2-VideoPoint, or one of its configurations.

    Args:
        source: See `Molmo2Reader`.
        media_root: See there.
        min_points: Least number of points of a row; the published mixture draws rows of 0 to 5, 6 to 25 and 26 to 60
            points at rates of their own.
        max_points: Most points of a row.
        keep_unsure: Also take rows whose annotator was unsure.
        val_share: See `Molmo2Reader`.
        samples_per_shard: See there.
        on_bad_sample: See there.
        max_bad_share: See there.
    """

    name: ClassVar[str] = "molmo2_video_point"
    columns: ClassVar[tuple[str, ...]] = ("video_id", "video_duration", "label", "points", "two_fps_timestamps")

    def __init__(
        self,
        *,
        source: str,
        media_root: str | None = None,
        min_points: int = 0,
        max_points: int = MAX_POINTS,
        keep_unsure: bool = False,
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
        if not 0 <= min_points <= max_points:
            raise ConfigError(
                f"{self.name}: min_points is {min_points}, max_points {max_points}; expected 0 or more, in this order"
            )
        self.min_points, self.max_points = min_points, max_points
        self.keep_unsure = keep_unsure

    def found(self, row: Row) -> Found | str:
        if row.values.get("annotator_unsure") and not self.keep_unsure:
            return "annotator_unsure"
        times, groups = items(row.values, "two_fps_timestamps"), items(row.values, "points")
        if len(times) != len(groups):
            raise DataError(f"{len(groups)} lists of points for {len(times)} times")
        pairs = [
            (_time(time), pair(point, "points"))
            for time, group in zip(times, groups, strict=True)
            for point in items({"points": group}, "points")
        ]
        count = optional_number(row.values, "count")
        if count is not None and count != len(pairs):
            return "count is not the number of points"
        if not self.min_points <= len(pairs) <= self.max_points:
            return f"fewer than {self.min_points} or more than {self.max_points} points"
        part = clip_of(row)
        if isinstance(part, str):
            return part
        one = entry(
            label=text(row.values, "label"),
            question=optional_text(row.values, "question") or None,
            kind="points",
            points=ordered_points(Point(_within(time, part), 0, *place) for time, place in pairs),
            frame_size=PERCENT,
            count=len(pairs),
        )
        return Found(names=_names(row), points=[one], part=part)


class VideoPointEvaluation(Molmo2Reader):
    """Points in videos with masks that they are to hit: Molmo2-VideoPointEval."""

    name: ClassVar[str] = "molmo2_video_point_eval"
    columns: ClassVar[tuple[str, ...]] = (
        "video_id",
        "label",
        "points",
        "masks",
        "two_fps_timestamps",
        "width",
        "height",
    )
    is_evaluation: ClassVar[bool] = True

    def found(self, row: Row) -> Found | str:
        size = whole(row.values, "width", least=1), whole(row.values, "height", least=1)
        times, masks = items(row.values, "two_fps_timestamps"), items(row.values, "masks")
        places = [_single(point) for point in items(row.values, "points")]
        if not len(times) == len(places) == len(masks):
            raise DataError(f"{len(places)} points, {len(masks)} lists of masks and {len(times)} times")
        told = [
            (Point(_time(time), 0, *place), _masks_of(own))
            for time, place, own in zip(times, places, masks, strict=True)
        ]
        told.sort(key=lambda pair: (pair[0].key, pair[0].x_px, pair[0].y_px))  # as `ordered_points` numbers them
        rle = [
            run_lengths(mask, "masks.rle", key=key, object_id=place)
            for place, (_, own) in enumerate(told, 1)
            for key, mask in own
        ]
        label = text(row.values, "label")
        one = entry(
            label=label,
            question=f'How many "{label}" are there in the video?',
            kind="points",
            style="point_count",
            points=ordered_points(point for point, _ in told),
            frame_size=size,
            count=len(told),
            rle=rle,
        )
        return Found(names=_names(row), points=[one])


class VideoCountEvaluation(Molmo2Reader):
    """Videos in which things are to be counted: Molmo2-VideoCountEval."""

    name: ClassVar[str] = "molmo2_video_count_eval"
    columns: ClassVar[tuple[str, ...]] = ("video_id", "label", "question", "count", "clip_start", "clip_end")
    is_evaluation: ClassVar[bool] = True

    def found(self, row: Row) -> Found | str:
        one = entry(
            label=text(row.values, "label"),
            question=text(row.values, "question"),
            kind="points",
            style="count",
            points=(),
            frame_size=PERCENT,
            count=whole(row.values, "count"),
        )
        start_s, end_s = (optional_number(row.values, column) for column in ("clip_start", "clip_end"))
        part = None if start_s is None or end_s is None else SecondsPart(start_s, end_s)
        return Found(names=_names(row), points=[one], part=part)


def clip_of(row: Row) -> SecondsPart | str | None:
    """What of its video a row is about, or why there is nothing to show.

    Raises:
        DataError: the clip's ends are none.
    """
    if number(row.values, "video_duration") <= MAX_CLIP_S:
        return None
    start_s, end_s = (optional_number(row.values, column) for column in ("clip_start", "clip_end"))
    if start_s is None or end_s is None:
        return f"a video above {MAX_CLIP_S:g} s without a clip"
    if not 0 <= start_s < end_s:
        raise DataError(f"clip_start is {start_s:g} and clip_end {end_s:g} s")
    if end_s - start_s > MAX_CLIP_S:
        return f"a clip above {MAX_CLIP_S:g} s"
    return SecondsPart(start_s, end_s)


def _time(value: Any) -> float:
    return number({"two_fps_timestamps": value}, "two_fps_timestamps")


def _within(time_s: float, part: SecondsPart | None) -> float:
    """Seconds after the clip's start."""
    if part is None:
        return time_s
    if not part.start_s <= time_s <= part.end_s:
        raise DataError(f"point at {time_s:g} s, outside of its clip from {part.start_s:g} to {part.end_s:g} s")
    return time_s - part.start_s


def _names(row: Row) -> tuple[str, ...]:
    """Of a row's video, which may have been reduced to two frames a second, as the published training had it."""
    video = text(row.values, "video_id")
    folder, slash, file = video.rpartition("/")
    return video, f"{video}_2fps", f"{folder}-2fps{slash}{file}_2fps" if slash else f"{file}_2fps"


def _single(point: Any) -> tuple[float, float]:
    """A point, which may stand in a list of its own."""
    return pair(point[0] if isinstance(point, list) and len(point) == 1 else point, "points")


def _masks_of(masks: Any) -> list[tuple[float, Any]]:
    """Times and masks of one object."""
    told = [fields(one, "masks") for one in items({"masks": masks}, "masks")]
    return [(whole(one, "frame_id") / MASKS_PER_S, one.get("rle")) for one in told]
