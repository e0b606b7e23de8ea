"""From the `points` of a record to questions for places: what is true at the shown frames, asked in words.

The data half of the heads pointing, counting and tracking. Source: Molmo2 sheet A8 (order, ids, wrappers), A7.1 (each
token of points and tracks weighs 0.2). Differs: an answer names shown frames only. True points of `points` that lie
up to a quarter of a second beside a shown frame are taken to be in it, and a question of which one lies further off is
left out; of tracks those at shown frames are asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from zoo.errors import DataError
from zoo.head import Message
from zoo.masks import InstanceMasks, Masks, RunLengthMasks
from zoo.points import (
    TAGS,
    TIME_TOLERANCE_S,
    Canvas,
    Kind,
    Point,
    PointQuestion,
    Style,
    answer_points,
    answer_text,
    asked_points,
    count_of,
    on_grid,
    tag,
)
from zoo.shards.decode import ShownFrames
from zoo.shards.reader import Sample

MAX_SHIFT_S = 0.25
"""Half the step of the 2 frames a second on which published points of videos lie."""

STYLE_NAMES: Mapping[tuple[str, Kind, Style], str] = {
    ("image", "points", "point"): "pointing",
    ("image", "points", "point_count"): "point_count",
    ("image", "points", "count_point"): "point_count",
    ("image", "points", "count"): "point_count",
    ("images", "points", "point"): "multi_image_pointing",
    ("images", "points", "point_count"): "multi_image_point_then_count",
    ("images", "points", "count_point"): "multi_image_count_then_point",
    ("images", "points", "count"): "multi_image_counting",
    ("video", "points", "point"): "video_point",
    ("video", "points", "point_count"): "video_point_count",
    ("video", "points", "count_point"): "video_count_point",
    ("video", "points", "count"): "video_count",
    ("video", "tracks", "point"): "video_point_track_per_frame",
    ("video", "ground", "point"): "video_point_ground_start_end",
    ("video", "single_point", "point"): "video_single_point_track_per_frame",
}
"""Published names of the kinds of questions (sheet A5), by media, kind and style."""

Entry = Mapping[str, Any]
"""One of a record's `points` (`zoo.shards.point_entries`)."""


@dataclass(frozen=True, slots=True)
class Wording:
    """How one kind of answer is asked for.

    Args:
        kind: Of the question.
        style: Of the answer.
        texts: With `{label}` for what is asked for, or `{seed}` for a tag of the point to follow on from; without a
            full stop. The first is asked in evaluation, all in training.
    """

    kind: Kind
    style: Style
    texts: tuple[str, ...]

    @property
    def openings(self) -> tuple[str, ...]:
        """What prompts of this wording begin with."""
        return tuple(text.partition("{")[0] for text in self.texts)


class KnownPlaces:
    """What a sample knows of places in its shown frames; label arrays are read where an entry names columns.

    Args:
        sample: Record and files.
        shown: Its frames that are shown, at least one.
    """

    def __init__(self, sample: Sample, shown: ShownFrames) -> None:
        self.sample, self.shown = sample, shown
        record = sample.record
        sizes = [(image["width"], image["height"]) for image in record.get("images", (record,))]
        times = tuple(map(float, shown.times_s)) if shown.is_video else None
        self.canvas = Canvas(sizes_px=tuple(sizes), times_s=times)

    @cached_property
    def _columns(self) -> tuple[np.ndarray, np.ndarray]:
        """(shown frames, objects, 2) points and (shown frames, objects) whether they are visible."""
        arrays, indices = self.sample.arrays(), self.shown.indices
        points, visible = arrays["points_px"], arrays["visible"]
        if points.shape != (*visible.shape, 2) or visible.ndim != 2 or len(visible) <= int(indices.max()):
            raise DataError(
                f"{self._where} has points_px {points.shape} and visible {visible.shape}; expected (frames, objects, "
                f"2) and (frames, objects) with more than {int(indices.max())} frames"
            )
        return points[indices], visible[indices]

    @property
    def _where(self) -> str:
        return f"{self.sample.shard}: sample {self.sample.key!r}"

    def points(self, entry: Entry) -> list[Point] | None:
        """All that an entry knows at the shown frames; None where the frames lack one of the places to point to."""
        if entry.get("objects") is not None:
            points = self._from_columns(entry["objects"])
            return points if entry["kind"] != "points" else _first_of_each(points)
        stored = [Point(key, int(object_id), x, y) for key, object_id, x, y in entry.get("points") or ()]
        if not self.canvas.is_video:
            return stored
        is_whole = entry["kind"] == "points"
        placed = [self.at_shown_frame(point, MAX_SHIFT_S if is_whole else TIME_TOLERANCE_S) for point in stored]
        found = [point for point in placed if point is not None]
        return None if is_whole and len(found) < len(placed) else found

    def at_shown_frame(self, point: Point, tolerance_s: float) -> Point | None:
        """The point with the time of the nearest shown frame, of two the earlier; None where none is near."""
        key = min(self.canvas.keys, key=lambda time: abs(time - point.key))
        return point._replace(key=key) if abs(key - point.key) <= tolerance_s else None

    def _from_columns(self, objects: Sequence[int]) -> list[Point]:
        if not objects:
            return []
        points, visible = self._columns
        if max(objects) >= visible.shape[1]:
            raise DataError(f"{self._where} speaks of object {max(objects)}, its labels have {visible.shape[1]}")
        return [
            Point(key, column + 1, *map(float, points[frame, column]))  # the id that the object has in `masks`
            for frame, key in enumerate(self.canvas.keys)
            for column in objects
            if visible[frame, column]
        ]

    def masks(self, entry: Entry) -> Masks | None:
        """Masks of an entry's objects, where it has any."""
        if entry.get("rle"):
            return self._run_lengths(entry["rle"])
        if entry.get("masks") is None:
            return None
        ids = self.sample.arrays()["masks"]
        if ids.ndim != 3 or len(ids) <= int(self.shown.indices.max()):
            raise DataError(f"{self._where} has masks {ids.shape}, frame {int(self.shown.indices.max())} is shown")
        ids = ids[self.shown.indices]
        return InstanceMasks(ids, self.canvas.keys, {int(value): int(value) for value in np.unique(ids) if value})

    def _run_lengths(self, rle: Sequence[Mapping[str, Any]]) -> Masks:
        keys = sorted({float(mask["key"]) for mask in rle})
        objects: dict[int, list[Mapping[str, Any] | None]] = {int(mask["id"]): [None] * len(keys) for mask in rle}
        for mask in rle:
            objects[int(mask["id"])][keys.index(float(mask["key"]))] = mask
        try:
            return RunLengthMasks(objects, keys, [self.canvas.size_px(key) for key in keys])
        except DataError as error:
            raise DataError(f"{self._where}: {error}") from error


def _first_of_each(points: Sequence[Point]) -> list[Point]:
    first: dict[int, Point] = {}
    for point in points:
        first.setdefault(point.object_id, point)
    return list(first.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderPlaces:
    """Data half: asks for the places of a record that its wordings fit.

    Args:
        head: Name of the head.
        wordings: Of each kind and style that the head asks for; the first style of a kind is that of entries without
            one in evaluation.
        weight: Loss weight of each token of an answer with a tag.
        max_questions: Entries of a training sample that are asked at once.
        fps: Frames a second that tracks cover where their entry does not say; None: all shown frames.
        also_scored: Styles of entries that another head learns, and whose points evaluation asks of this one too.
    """

    head: str
    wordings: tuple[Wording, ...]
    weight: float
    max_questions: int
    fps: float | None = None
    also_scored: tuple[Style, ...] = ()

    def __call__(
        self, sample: Sample, shown: ShownFrames, generator: np.random.Generator, *, training: bool
    ) -> list[Message]:
        entries = [entry for entry in sample.record.get("points", ()) if self._fitting(entry, training=training)]
        if training and len(entries) > self.max_questions:
            chosen = np.sort(generator.choice(len(entries), self.max_questions, replace=False))
            entries = [entries[i] for i in chosen]
        if not entries:
            return []
        known = KnownPlaces(sample, shown)
        messages = (self._message(entry, known, generator, training=training) for entry in entries)
        return [message for message in messages if message is not None]

    @property
    def needs_masks(self) -> bool:
        """Whether answers are scored by masks rather than by their number."""
        return all(wording.style == "point" for wording in self.wordings)

    def _fitting(self, entry: Entry, *, training: bool) -> list[Wording]:
        """The wordings that can ask about an entry."""
        style, has_count = entry.get("style"), entry.get("count") is not None
        has_points = entry.get("points") is not None or entry.get("objects") is not None
        is_borrowed = not training and style in self.also_scored
        return [
            wording
            for wording in self.wordings
            if wording.kind == entry["kind"]
            and (wording.style == style or is_borrowed or (style is None and (has_count or wording.style == "point")))
            and (has_points or wording.style == "count")
        ]

    def _message(
        self, entry: Entry, known: KnownPlaces, generator: np.random.Generator, *, training: bool
    ) -> Message | None:
        """A question for an entry; None where the shown frames do not show what it is about."""
        wordings = self._fitting(entry, training=training)
        wording = wordings[int(generator.integers(len(wordings)))] if training else wordings[0]
        kind, style = wording.kind, entry.get("style") or wording.style
        places = known.points(entry)
        if places is None:
            return None
        fps, keys, seed = None, known.canvas.keys, None
        if TAGS[kind] == "tracks":
            fps = entry.get("fps") or self.fps
            keys = on_grid(keys, fps)
            places = [point for point in places if point.key in keys]
        if kind == "single_point":
            seed = _seed(entry, places, known, generator if training else None)
            if seed is None:
                return None
            keys = tuple(key for key in keys if key > seed.key)
            places = [point for point in places if point.object_id == seed.object_id]
        points = asked_points(places, kind, seed=seed)
        question = PointQuestion(
            canvas=known.canvas,
            kind=kind,
            style=style,
            keys=keys,
            points=tuple(points),
            count=count_of(points) if entry.get("count") is None else entry["count"],
            masks=known.masks(entry) if self.needs_masks and not training else None,
            fps=fps,
        )
        # A question that belongs to a number is the counting head's; another asks in its own words.
        is_count = wording.style == "point" and entry.get("style") is None and entry.get("count") is not None
        prompt = None if is_count and kind == "points" else entry.get("question")
        if prompt is None:
            prompt = _prompt(wording, entry["label"], question, seed, generator if training else None)
        return self._asked(question, prompt, entry["label"], training=training)

    def _asked(self, question: PointQuestion, prompt: str, label: str, *, training: bool) -> Message:
        is_tag = question.style != "count"
        ordered = answer_points(question.points, "points" if question.kind == "points" else "tracks")
        return Message(
            head=self.head,
            prompt=prompt,
            answer=answer_text(
                ordered, label, question.canvas, kind=question.kind, style=question.style, count=question.count
            ),
            family=self.head if question.kind in ("points", "tracks") else question.kind,
            temporal=question.kind != "points",
            weight=self.weight if is_tag else 1.0,
            style=STYLE_NAMES.get((_media(question), question.kind, question.style)),
            is_flat=is_tag,
            is_scored=not self.needs_masks or question.masks is not None,
            places=None if training else question,
        )


def _media(question: PointQuestion) -> str:
    if question.canvas.is_video:
        return "video"
    return "image" if len(question.canvas.sizes_px) == 1 else "images"


def _prompt(
    wording: Wording,
    label: str,
    question: PointQuestion,
    seed: Point | None,
    generator: np.random.Generator | None,
) -> str:
    """A wording of the head's own: the first, or with a generator any."""
    text = wording.texts[0 if generator is None else int(generator.integers(len(wording.texts)))]
    pointed = "" if seed is None else tag([seed._replace(object_id=1)], label, question.canvas, name="points")
    rate = "" if question.fps is None else f" at {question.fps:g} FPS"
    return f"{text.replace('{label}', label).replace('{seed}', pointed)}{rate}."


def _seed(
    entry: Entry, points: Sequence[Point], known: KnownPlaces, generator: np.random.Generator | None
) -> Point | None:
    """The point to follow on from: the stored one, or one of the track's but its last; None where there is none."""
    if entry.get("seed") is not None:
        key, object_id, x, y = entry["seed"]
        return known.at_shown_frame(Point(key, int(object_id), x, y), MAX_SHIFT_S)
    if len(points) < 2:
        return None
    return points[0 if generator is None else int(generator.integers(len(points) - 1))]
