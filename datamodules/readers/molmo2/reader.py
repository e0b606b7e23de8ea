"""What the readers of Molmo2's data sets share: rows of one video become one sample, and its file is looked for by id.

A data set's snapshot holds rows alone; the media come from wherever you have them. A video that is missing is counted
as a bad sample and named once, with how many of its rows are lost.

Source: Molmo2 sheet A10, and the data sets' public cards.
"""

import json
import logging
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, ClassVar

from tqdm import tqdm

from zoo.datamodules.readers.clips import FramesPart, SecondsPart
from zoo.datamodules.readers.files import FrameFolder, ImageSet, MediaFile, Row, read_rows
from zoo.datamodules.readers.molmo2.library import MediaLibrary
from zoo.datamodules.readers.molmo2.points import in_pixels
from zoo.datamodules.readers.molmo2.values import require_columns
from zoo.datamodules.readers.reader import Entry, MediaSource, Reader, key_of
from zoo.errors import DataError
from zoo.generator import GeneratedSample
from zoo.shards.faults import MAX_BAD_SHARE, FaultCounter, OnBadSample

logger = logging.getLogger(__name__)

ROWS_FORMATS = (".parquet", ".jsonl")  # a snapshot's .json files are tables of addresses
QUICK_S = 2.0  # reading that takes no longer shows no progress bar
REPEATED = "said before"

Part = SecondsPart | FramesPart | None

LISTS = ("annotations", "descriptions", "points")
"""Parts of a record to which several rows add."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What one row says.

    Args:
        names: Under which its video may lie, best first; of a set of images the names of each one.
        annotations: Questions, as the shards' schema has them.
        descriptions: Texts to learn from.
        points: As the shards' schema has them, with `frame_size` beside.
        shared: Further parts of the record, which are the same in every row about the video.
        part: What of the video the row is about; None: all of it.
        names_of_part: Under which a file may lie that holds nothing but that part.
        fps: Frames per second where the video may be a folder of frames.
        inside: The images, where the row itself holds them.
        meta: Free JSON.
    """

    names: tuple[Any, ...]
    annotations: Sequence[Mapping[str, Any]] = ()
    descriptions: Sequence[Mapping[str, Any]] = ()
    points: Sequence[Mapping[str, Any]] = ()
    shared: Mapping[str, Any] = field(default_factory=dict)
    part: Part = None
    names_of_part: tuple[str, ...] = ()
    fps: float | None = None
    inside: ImageSet | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Group:
    """All rows about one video, or about one part of it."""

    first: Found
    where: str
    split: str | None
    rows: int = 0
    lists: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in LISTS})
    seen: set[bytes] = field(default_factory=set)

    def add(self, found: Found) -> bool:
        """Whether the row said something new."""
        self.rows += 1
        is_new = False
        for name in LISTS:
            for one in getattr(found, name):
                digest = blake2b(json.dumps([name, one], sort_keys=True).encode(), digest_size=8).digest()
                if digest not in self.seen:
                    self.seen.add(digest)
                    self.lists[name].append(one)
                    is_new = True
        return is_new


class Molmo2Reader(Reader):
    """Rows of one of Molmo2's data sets, and media by their ids.

    Args:
        source: The data set's snapshot, or a file of its rows (.parquet, .jsonl, .json).
        media_root: Folder below which the media lie; null takes the source's.
        val_share: Share of the videos whose samples become the split val where the source has none, in [0, 1).
        samples_per_shard: Samples in one tar.
        on_bad_sample: Skip what cannot be read or is not there, each with a warning, or end at the first.
        max_bad_share: Share of bad samples at which the source counts as broken, in [0, 1]; raise it where many videos
            are missing.
    """

    version: ClassVar[int] = 1
    columns: ClassVar[tuple[str, ...]]  # that every row has
    is_evaluation: ClassVar[bool] = False  # all samples are of the split test
    unit: ClassVar[str] = "sample"

    def __init__(
        self,
        *,
        source: str,
        media_root: str | None = None,
        val_share: float = 0.01,
        samples_per_shard: int = 250,
        on_bad_sample: OnBadSample = "skip",
        max_bad_share: float = MAX_BAD_SHARE,
    ) -> None:
        super().__init__(
            val_share=val_share,
            samples_per_shard=samples_per_shard,
            on_bad_sample=on_bad_sample,
            max_bad_share=max_bad_share,
        )
        self.source = source
        self.media_root = media_root

    @abstractmethod
    def found(self, row: Row) -> Found | str:
        """What a row says, or why it is whole and still not wanted.

        Raises:
            DataError: it cannot be understood.
        """

    @property
    def root(self) -> Path:
        """Folder below which the media lie."""
        source = Path(self.source)
        return Path(self.media_root) if self.media_root is not None else source if source.is_dir() else source.parent

    def library(self) -> MediaLibrary:
        """The media."""
        if not self.root.is_dir():
            raise DataError(f"{self.name}: media_root is {self.root}, expected a folder with videos or images")
        return MediaLibrary(self.root)

    def rows(self, faults: FaultCounter) -> Iterator[Row]:
        """All rows of the source.

        Raises:
            DataError: nothing there, or rows of other columns.
        """
        for row in read_rows(Path(self.source), faults.report, formats=ROWS_FORMATS):
            require_columns(row, self.columns, self.name)
            yield row

    def entries(self, faults: FaultCounter) -> Iterator[Entry]:
        groups: dict[Any, _Group] = {}
        left_out: Counter[str] = Counter()
        for row in tqdm(self.rows(faults), desc=f"{self.name}: rows", unit="row", delay=QUICK_S):
            try:
                found = self.found(row)
            except DataError as error:
                faults.report(DataError(f"{row.where}: {error}"))
                continue
            if isinstance(found, str):
                left_out[found] += 1
                continue
            faults.num_good += 1
            split = "test" if self.is_evaluation else row.split
            group = groups.setdefault((found.names, found.part), _Group(found, row.where, split))
            left_out[REPEATED] += not group.add(found)
        for reason, count in sorted((+left_out).items()):
            logger.warning("%s: %d rows were left out: %s", self.name, count, reason)
        if not groups and left_out:
            raise DataError(f"{self.name}: all rows were left out ({', '.join(sorted(+left_out))})")
        library = self.library()
        for group in groups.values():
            try:
                media, part = self.media(group.first, library)
            except DataError as error:
                faults.report(DataError(f"{group.where}: {error}; rows about it: {group.rows}"))
            else:
                yield self._entry(group, media, part)

    def media(self, found: Found, library: MediaLibrary) -> tuple[MediaSource | ImageSet, Part]:
        """The file that a row is about, and what of it.

        Raises:
            DataError: it is not there.
        """
        whole = library.find(*found.names_of_part) if found.names_of_part else None
        path = whole or library.find(*found.names)
        if path is None:
            names = " or ".join(map(repr, (*found.names_of_part[:1], found.names[0])))
            raise DataError(f"no video {names} among the {library.num_files} below {library.root}")
        part = None if whole else found.part
        if not path.is_dir():
            return MediaFile(str(path)), part
        assert found.fps is not None, "folders of frames are looked for where their rate is known"
        return FrameFolder(str(path), found.fps), part

    def _entry(self, group: _Group, media: MediaSource | ImageSet, part: Part) -> Entry:
        identity = json.dumps([self.name, group.first.names])
        # The name is for people, so it stands where `key_of` looks for one: at the end of a path.
        key = key_of(f"{identity}{group.first.part}/{_name(group.first.names)}")
        lists = {name: values for name, values in group.lists.items() if values and name != "annotations"}
        return Entry(
            key=key,
            where=group.where,
            media=media,
            annotations=group.lists["annotations"],
            split=group.split,
            origin=identity,
            part=part,
            more=lists | dict(group.first.shared),
            meta={"id": _name(group.first.names), **group.first.meta},
        )

    def read(self, entry: Entry) -> GeneratedSample:
        made = super().read(entry)
        if "points" not in entry.more:
            return made
        return made._replace(record={**made.record, "points": in_pixels(entry.more["points"], made.record)})


def _name(names: Sequence[Any]) -> str:
    """One name of what a row is about."""
    return names[0] if isinstance(names[0], str) else _name(names[0])
