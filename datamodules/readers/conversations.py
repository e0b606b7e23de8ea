"""Reader of conversations about images and videos: a folder, a JSONL, JSON or Parquet file.

Rows about the same file become one sample, because a shard stores, decodes and encodes it once for all its questions
(sheet molmo2_stts A6.3: one visual input with many annotations is one tree).
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from tqdm import tqdm

from zoo.datamodules.readers.files import MediaFile, ParquetCell, Row, read_rows
from zoo.datamodules.readers.reader import Entry, MediaSource, Reader, key_of
from zoo.datamodules.readers.turns import COLUMNS, Columns, parse_row
from zoo.errors import ConfigError, DataError
from zoo.shards.faults import MAX_BAD_SHARE, FaultCounter, OnBadSample
from zoo.shards.schema import SHORT_SCORES

QUICK_S = 2.0  # a plan that takes no longer shows no progress bar


@dataclass(slots=True)
class _Found:
    """What the rows read so far say about one file."""

    media: MediaSource
    where: str
    split: str | None
    annotations: list[dict[str, Any]] = field(default_factory=list)


class Conversations(Reader):
    """Images or videos with conversations or questions: a folder, a JSONL, JSON or Parquet file.

    Args:
        source: The file or folder.
        media_root: Folder that paths in rows start from; null takes the folder of the file that they stand in.
        turns: A later turn of a conversation may refer to the earlier ones (`dialogue`), or each pair of turns is a
            question of its own (`separate`).
        family: Group of questions whose row names none; metrics are reported by group.
        score: How answers without choices are scored, `vqa_score`, `relaxed_accuracy` or `anls` (docs/metrics.md);
            null: right or wrong.
        columns: What the source calls its media, conversation, question, answer, choices, references (all answers that
            will do), family, temporal or split, where it is not one of the usual names.
        val_share: Share of the samples that becomes the split val where the source has none, in [0, 1).
        test_share: The same for test.
        samples_per_shard: Samples in one tar.
        on_bad_sample: Skip what cannot be read, each with a warning, or end at the first.
        max_bad_share: Share of bad samples at which the source counts as broken, in [0, 1].
    """

    name: ClassVar[str] = "conversations"
    version: ClassVar[int] = 1

    def __init__(
        self,
        *,
        source: str,
        media_root: str | None = None,
        turns: Literal["dialogue", "separate"] = "dialogue",
        family: str = "question",
        score: Literal["vqa_score", "relaxed_accuracy", "anls"] | None = None,
        columns: Mapping[str, str] | None = None,
        val_share: float = 0.05,
        test_share: float = 0.0,
        samples_per_shard: int = 250,
        on_bad_sample: OnBadSample = "skip",
        max_bad_share: float = MAX_BAD_SHARE,
    ) -> None:
        super().__init__(
            val_share=val_share,
            test_share=test_share,
            samples_per_shard=samples_per_shard,
            on_bad_sample=on_bad_sample,
            max_bad_share=max_bad_share,
        )
        unknown = sorted(set(columns or {}) - set(COLUMNS))
        if unknown:
            raise ConfigError(f"conversations: columns has {', '.join(unknown)}; it takes {', '.join(COLUMNS)}")
        if score is not None and score not in SHORT_SCORES:
            raise ConfigError(f"conversations: score is {score!r}, expected one of {', '.join(SHORT_SCORES)}")
        self.source = source
        self.score = score
        self.media_root = media_root
        self.turns = turns
        self.family = family
        self.columns = None if columns is None else dict(columns)

    def entries(self, faults: FaultCounter) -> Iterator[Entry]:
        columns = Columns(self.columns)
        found: dict[str, _Found] = {}
        rows = read_rows(Path(self.source), faults.report)
        for row in tqdm(rows, desc=f"{self.name}: rows", unit="row", delay=QUICK_S):
            try:
                self._take(row, columns, found)
            except DataError as error:
                faults.report(DataError(f"{row.where}: {error}"))
            else:
                faults.num_good += 1
        # Row groups of a Parquet file are read whole, so its images are best read in their order.
        self.keeps_order = any(isinstance(one.media, ParquetCell) for one in found.values())
        for identity, one in found.items():
            yield Entry(
                key=key_of(identity),
                where=one.where,
                media=one.media,
                annotations=one.annotations,
                split=one.split,
                meta={"media": identity},
            )

    def _take(self, row: Row, columns: Columns, found: dict[str, _Found]) -> None:
        """Add what a row says to what is known of its file.

        Raises:
            DataError: the row cannot be understood, or puts its file into a second split.
        """
        parsed = parse_row(row.values, columns=columns, family=self.family, dialogue=self.turns == "dialogue")
        split = parsed.split or row.split
        folder = row.folder if self.media_root is None else Path(self.media_root)
        if isinstance(parsed.media, ParquetCell):
            media: MediaSource = parsed.media
            identity = f"{self._inside(Path(parsed.media.file))}#{parsed.media.row}"
        else:
            path = os.path.join(folder, parsed.media)
            media = MediaFile(path)
            identity = self._inside(Path(path))
        one = found.setdefault(identity, _Found(media, row.where, split))
        if one.split != split:
            raise DataError(
                f"{identity} is in split {split or 'train'} here and in {one.split or 'train'} in {one.where}"
            )
        one.annotations += [self._scored(annotation) for annotation in parsed.annotations]

    def _scored(self, annotation: dict[str, Any]) -> dict[str, Any]:
        return annotation if self.score is None or "choices" in annotation else annotation | {"score": self.score}

    def _inside(self, path: Path) -> str:
        """A name of a file that is the same on another machine: its path from where all media are."""
        source = Path(self.source)
        root = Path(self.media_root) if self.media_root is not None else source if source.is_dir() else source.parent
        return Path(os.path.relpath(path, root)).as_posix()
