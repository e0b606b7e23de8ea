"""Objects followed through videos: VideoTrack to learn from, in both of its views, and VideoTrackEval with masks.

Source: Molmo2 sheet A10 (row 6; evaluation sets), A8 (kinds, ids), A7.3 (splits). Rows of the raw view have one list of
places an object, an item a frame (`points`); rows of the instruction view have frames with the objects that are seen
there (`frame_trajectories`), already thinned to `sampling_fps`. Agrees with the published loaders in taking every
fps / sampling_fps-th frame of the raw view. Differs: occluded points are left out, as the sheet has it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from zoo.datamodules.readers.clips import FramesPart
from zoo.datamodules.readers.files import Row
from zoo.datamodules.readers.molmo2.library import MediaLibrary
from zoo.datamodules.readers.molmo2.points import entry, run_lengths
from zoo.datamodules.readers.molmo2.reader import Found, Molmo2Reader
from zoo.datamodules.readers.molmo2.values import (
    Values,
    fields,
    items,
    number,
    optional_number,
    optional_text,
    pair,
    text,
    whole,
)
from zoo.datamodules.readers.turns import short
from zoo.errors import ConfigError, DataError
from zoo.points import Point, first_and_last, ordered_tracks
from zoo.shards.faults import MAX_BAD_SHARE, OnBadSample

Task = Literal["track", "ground", "single_point_track"]

NEW_NAMES = {"expression": "exp", "width": "w", "height": "h"}
"""Columns of the instruction view by those of the raw view."""


class VideoTrack(Molmo2Reader):
    """Objects that a sentence names, followed through videos: Molmo2-VideoTrack, or another set of its form.

    Videos are looked for by their clip's name, then by their own, of which the clip's frames are taken; a folder of
    frames is a video, too.

    Args:
        source: See `Molmo2Reader`.
        media_root: See there.
        task: `track` asks for every frame, `ground` for the first and last frame of each object, `single_point_track`
            for one object from a point on.
        datasets: Data sets whose videos are taken, as `video_dataset` names them; null takes all.
        sampling_fps: Frames per second of the truth, where rows do not say it; must divide the video's.
        val_share: See `Molmo2Reader`.
        samples_per_shard: See there.
        on_bad_sample: See there.
        max_bad_share: See there.
    """

    name: ClassVar[str] = "molmo2_video_track"
    columns: ClassVar[tuple[str, ...]] = ("video", "fps")

    def __init__(
        self,
        *,
        source: str,
        media_root: str | None = None,
        task: Task = "track",
        datasets: list[str] | None = None,
        sampling_fps: float = 2.0,
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
        if sampling_fps <= 0:
            raise ConfigError(f"{self.name}: sampling_fps is {sampling_fps}, expected frames per second above 0")
        self.task = task
        self.datasets = datasets
        self.sampling_fps = sampling_fps

    def library(self) -> MediaLibrary:
        return MediaLibrary(super().library().root, frames=True)

    def found(self, row: Row) -> Found | str:
        if self.datasets is not None and optional_text(row.values, "video_dataset") not in self.datasets:
            return f"video_dataset not among {', '.join(self.datasets)}"
        stated = row.values.get("task")
        if stated is not None and stated != self.task:
            return f"task is not {self.task}"
        points, sampling_fps = points_of(row.values, self.sampling_fps)
        if isinstance(points, str):
            return points
        if not points:
            return "no visible point"
        return _video(row, [self._entry_of(row, own, sampling_fps) for own in self._asked(points)])

    def _asked(self, points: Sequence[Point]) -> Iterator[list[Point]]:
        """The points of each question: of all objects, or of one after the other."""
        if self.task != "single_point_track":
            yield list(points)
            return
        for object_id in dict.fromkeys(point.object_id for point in points):
            own = [point for point in points if point.object_id == object_id]
            if len(own) > 1:  # else nothing is left to say behind the seed
                yield own

    def _entry_of(self, row: Row, points: list[Point], sampling_fps: float) -> dict[str, Any]:
        ordered = ordered_tracks(points)
        seed = None
        if self.task == "ground":
            ordered = ordered_tracks(first_and_last(points))
        elif self.task == "single_point_track":
            seed, *ordered = ordered
        return entry(
            label=text(row.values, _column(row.values, "expression")),
            kind=_KINDS[self.task],
            points=ordered,
            frame_size=_size(row.values),
            fps=sampling_fps,
            count=len({point.object_id for point in points}),
            seed=seed,
        )


_KINDS: Mapping[Task, Literal["tracks", "ground", "single_point"]] = {
    "track": "tracks",
    "ground": "ground",
    "single_point_track": "single_point",
}


class VideoTrackEvaluation(Molmo2Reader):
    """Objects that a sentence names, followed through videos and masked in every frame: Molmo2-VideoTrackEval.

    Args:
        source: See `Molmo2Reader`.
        media_root: See there.
        sampling_fps: Frames per second of the truth; must divide the video's. Masks are kept for every frame.
        samples_per_shard: See `Molmo2Reader`.
        on_bad_sample: See there.
        max_bad_share: See there.
    """

    name: ClassVar[str] = "molmo2_video_track_eval"
    columns: ClassVar[tuple[str, ...]] = ("video", "fps", "points", "masks", "mask_id", "exp", "w", "h")
    is_evaluation: ClassVar[bool] = True

    def __init__(
        self,
        *,
        source: str,
        media_root: str | None = None,
        sampling_fps: float = 1.0,
        samples_per_shard: int = 25,
        on_bad_sample: OnBadSample = "skip",
        max_bad_share: float = MAX_BAD_SHARE,
    ) -> None:
        super().__init__(
            source=source,
            media_root=media_root,
            samples_per_shard=samples_per_shard,
            on_bad_sample=on_bad_sample,
            max_bad_share=max_bad_share,
        )
        self.sampling_fps = sampling_fps

    def library(self) -> MediaLibrary:
        return MediaLibrary(super().library().root, frames=True)

    def found(self, row: Row) -> Found | str:
        points, sampling_fps = points_of(row.values, self.sampling_fps)
        if isinstance(points, str):
            return points
        names = [str(one) for one in items(row.values, "mask_id")]
        # As `ordered_tracks` numbers objects, so that masks and points of one have one id; then who is never seen.
        seen = [p.object_id for p in sorted(points, key=lambda point: (point.key, point.x_px, point.y_px))]
        places = dict.fromkeys((*seen, *range(1, len(names) + 1)))
        ids = {names[place - 1]: number for number, place in enumerate(places, 1)}
        one = entry(
            label=text(row.values, "exp"),
            kind="tracks",
            points=ordered_tracks(points),
            frame_size=_size(row.values),
            fps=sampling_fps,
            count=len(names),
            rle=list(_masks(row.values, ids)),
        )
        return _video(row, [one])


def points_of(values: Values, sampling_fps: float) -> tuple[list[Point] | str, float]:
    """The visible points of a row at the rate of its truth, in pixels of the annotated frames, and that rate.

    Args:
        values: The row, of either view.
        sampling_fps: Frames per second where the row does not say it.
    Returns:
        The points, or why there can be none; and frames per second.
    Raises:
        DataError: they cannot be understood.
    """
    fps = number(values, "fps")
    if fps <= 0:
        raise DataError(f"fps is {fps:g}, expected frames per second above 0")
    if "frame_trajectories" in values:
        stated = optional_number(values, "sampling_fps")
        return list(_of_frames(values)), sampling_fps if stated is None else stated
    if "points" not in values:
        raise DataError(f"neither frame_trajectories nor points; found {', '.join(map(str, values))}")
    step = fps / sampling_fps
    if step < 1 or step != int(step):
        return f"fps is no multiple of {sampling_fps:g}", sampling_fps
    return [point for point in _of_objects(values, fps) if round(point.key * fps) % int(step) == 0], sampling_fps


def _of_frames(values: Values) -> Iterator[Point]:
    """The instruction view."""
    for frame in items(values, "frame_trajectories"):
        shown = fields(frame, "frame_trajectories")
        time_s = number(shown, "time")
        if time_s < 0:
            raise DataError(f"time is {time_s:g} s in frame_trajectories")
        for point in items(shown, "points"):
            seen = fields(point, "frame_trajectories.points")
            if not seen.get("occluded"):
                yield Point(time_s, whole(seen, "id") + 1, *pair(seen.get("point"), "point"))


def _of_objects(values: Values, fps: float) -> Iterator[Point]:
    """The raw view; ids are places among `mask_id`, from 1 on."""
    known = {str(name): place for place, name in enumerate(items(values, "mask_id"), 1)}
    for track in items(values, "points"):
        own = fields(track, "points")
        name = str(own.get("object_id"))
        if name not in known:
            raise DataError(f"points of object {short(name)}, mask_id has {', '.join(known) or 'none'}")
        for frame, place in enumerate(items(own, "points")):
            if place:
                yield Point(frame / fps, known[name], *pair(place, "points"))


def _masks(values: Values, ids: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    """One mask a frame of each object, where it has one."""
    fps = number(values, "fps")
    for one in items(values, "masks"):
        own = fields(one, "masks")
        name = str(own.get("object_id"))
        if name not in ids:
            raise DataError(f"masks of object {short(name)}, mask_id has {', '.join(ids) or 'none'}")
        for frame, mask in enumerate(items(own, "masks")):
            if mask is not None:
                yield run_lengths(mask, "masks", key=frame / fps, object_id=ids[name])


def _video(row: Row, points: Iterable[Mapping[str, Any]]) -> Found:
    """What a row says, with the names of its video.

    Raises:
        DataError: the clip's ends are none.
    """
    values = row.values
    dataset, video = optional_text(values, "video_dataset"), text(values, "video")
    clip = optional_text(values, "clip")
    first, last = (optional_number(values, column) for column in ("start_frame", "end_frame"))
    part = None
    if first is not None and last is not None:
        part = FramesPart(whole(values, "start_frame"), whole(values, "end_frame"))
    return Found(
        names=(*([f"{dataset}/{video}"] if dataset else []), video),
        part=part,
        names_of_part=(*([f"{dataset}/{clip}"] if dataset else []), clip) if clip else (),
        points=list(points),
        fps=number(values, "fps"),
        meta={"video_dataset": dataset} if dataset else {},
    )


def _column(values: Values, name: str) -> str:
    return name if name in values else NEW_NAMES[name]


def _size(values: Values) -> tuple[int, int]:
    return (
        whole(values, _column(values, "width"), least=1),
        whole(values, _column(values, "height"), least=1),
    )
