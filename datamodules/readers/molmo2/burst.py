"""BURST-VideoCount: how many things of a kind a video shows, from BURST's annotations of every object.

Source: Molmo2 sheet A9 and A10: some 2,200 questions derived from the ground-truth tracks of BURST's test set. Which
ones is not published; these are all kinds whose objects BURST annotates in full, each as often as it has tracks.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from zoo.datamodules.readers.files import Row, parse_json
from zoo.datamodules.readers.molmo2.library import MediaLibrary
from zoo.datamodules.readers.molmo2.points import PERCENT, entry
from zoo.datamodules.readers.molmo2.reader import Found, Molmo2Reader
from zoo.datamodules.readers.molmo2.values import fields, items, optional_number, require_columns, text
from zoo.errors import ConfigError, DataError
from zoo.shards.faults import MAX_BAD_SHARE, FaultCounter, OnBadSample

CATEGORIES = "categories"  # names by id, put beside every sequence


class BurstVideoCount(Molmo2Reader):
    """How many things of a kind a video shows, from BURST's annotations (`all_classes.json` and frames or videos).

    Args:
        source: BURST's file of annotations of one split.
        media_root: Folder below which the sequences lie, as folders of frames or as videos.
        fps: Frames per second of folders of frames, where the annotations do not say it.
        samples_per_shard: See `Molmo2Reader`.
        on_bad_sample: See there.
        max_bad_share: See there.
    """

    name: ClassVar[str] = "burst_video_count"
    columns: ClassVar[tuple[str, ...]] = ("dataset", "seq_name", "track_category_ids")
    is_evaluation: ClassVar[bool] = True

    def __init__(
        self,
        *,
        source: str,
        media_root: str | None = None,
        fps: float = 30.0,
        samples_per_shard: int = 100,
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
        if fps <= 0:
            raise ConfigError(f"{self.name}: fps is {fps}, expected frames per second above 0")
        self.fps = fps

    def library(self) -> MediaLibrary:
        return MediaLibrary(super().library().root, frames=True)

    def rows(self, faults: FaultCounter) -> Iterator[Row]:
        path = Path(self.source)
        try:
            whole = parse_json(path.read_bytes())
        except OSError as error:
            raise DataError(f"{self.name}: cannot read {path}: {error.strerror}") from error
        if not isinstance(whole, dict) or not {"sequences", CATEGORIES} <= whole.keys():
            found = ", ".join(whole) if isinstance(whole, dict) else type(whole).__name__
            raise DataError(f"{self.name}: {path.name} holds {found}; expected BURST's sequences and categories")
        names = {str(one["id"]): one["name"] for one in items(whole, CATEGORIES)}
        for number, sequence in enumerate(items(whole, "sequences")):
            row = Row(f"{path.name}, sequence {number}", fields(sequence, "sequences"), path.parent, None)
            require_columns(row, self.columns, self.name)
            yield row._replace(values={**row.values, CATEGORIES: names})

    def found(self, row: Row) -> Found | str:
        names: dict[str, Any] = row.values[CATEGORIES]
        in_part = {str(one) for one in items(row.values, "not_exhaustive_category_ids")}
        tracks = Counter(str(one) for one in fields(row.values["track_category_ids"], "track_category_ids").values())
        unknown = sorted(set(tracks) - set(names))
        if unknown:
            raise DataError(f"tracks of category {unknown[0]}, which has no name")
        counted = [(names[category], count) for category, count in sorted(tracks.items()) if category not in in_part]
        if not counted:
            return "no kind whose objects are all annotated"
        dataset, name = text(row.values, "dataset"), text(row.values, "seq_name")
        return Found(
            names=(f"{dataset}/{name}", name),
            points=[self._count(readable(label), count) for label, count in counted],
            fps=optional_number(row.values, "fps") or self.fps,
            meta={"dataset": dataset},
        )

    def _count(self, label: str, count: int) -> dict[str, Any]:
        question = f'How many "{label}" are there in the video?'
        return entry(
            label=label, question=question, kind="points", style="count", points=(), frame_size=PERCENT, count=count
        )


def readable(label: str) -> str:
    """A category's name in words: `sport_utility_vehicle` has underscores, `bat_(animal)` a remark."""
    return " ".join(label.replace("_", " ").partition("(")[0].split()) or label
