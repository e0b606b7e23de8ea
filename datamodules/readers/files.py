"""Rows of JSONL, JSON and Parquet files, one by one or a folder of them, each with the place that messages name."""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.datamodules.readers.media import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from zoo.errors import DataError
from zoo.libraries import optional
from zoo.shards.decode import decode_image
from zoo.shards.encode import encode_frames
from zoo.shards.reader import ReportError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

SPLIT_OF_WORD = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
}
_LEADING_WORD = re.compile(r"[a-z]+(?=[-_.]|$)")

ROWS_AT_ONCE = 1024  # of a Parquet file; captions and masks make rows of some 100 KB

MEDIA_COLUMN = "media"  # where a sidecar's row, which need not say what it is about, gets its image or video


class Row(NamedTuple):
    """One row of a source.

    Args:
        where: File and row, for messages.
        values: Columns by name.
        folder: What relative paths in it start from.
        split: What the place of the file says; None where it says nothing.
    """

    where: str
    values: Mapping[str, Any]
    folder: Path
    split: str | None


@dataclass(frozen=True, slots=True)
class MediaFile:
    """An image or a video in a file of its own."""

    name: str

    def read(self) -> bytes:
        try:
            return Path(self.name).read_bytes()
        except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
            raise DataError(f"cannot read {self.name}: {getattr(error, 'strerror', None) or error}") from error


@dataclass(frozen=True, slots=True)
class ParquetCell:
    """An image or a video inside a Parquet file: bytes, or Hugging Face's pair of bytes and path, or a list of one.

    Args:
        file: The Parquet file.
        row: Counted from 0.
        column: Name of the column.
        folder: What a path in the cell starts from.
    """

    file: str
    row: int
    column: str
    folder: str

    @property
    def name(self) -> str:
        """Without the ending that tells a video; columns of bytes hold images."""
        return ""

    def read(self) -> bytes:
        images = self.read_all()
        if len(images) != 1:
            raise DataError(f"column {self.column!r} holds {len(images)} images, expected one")
        return images[0]

    def read_all(self) -> list[bytes]:
        """Every image of a list.

        Raises:
            DataError: something in it is none.
        """
        value = _cell(self.file, self.column, self.row)
        return [self._bytes(item) for item in (value if isinstance(value, list) else [value])]

    def _bytes(self, value: Any) -> bytes:
        if isinstance(value, dict):
            value, path = value.get("bytes"), value.get("path")
            if value is None and isinstance(path, str):
                return MediaFile(str(Path(self.folder, path))).read()
        if not isinstance(value, bytes):
            raise DataError(f"column {self.column!r} holds no bytes")
        return value


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Several images that are looked at together.

    Args:
        images: One file each, or one cell that holds a list.
    """

    images: tuple[MediaFile, ...] | ParquetCell

    @property
    def name(self) -> str:
        return ""

    def read_all(self) -> list[bytes]:
        """The bytes of every image, in order.

        Raises:
            DataError: one is not there.
        """
        if isinstance(self.images, ParquetCell):
            return self.images.read_all()
        return [image.read() for image in self.images]


@dataclass(frozen=True, slots=True)
class FrameFolder:
    """A video as a folder of its frames, whose names grow; encoded when it is read.

    Args:
        folder: Holds nothing but them.
        fps: Frames per second.
    """

    folder: str
    fps: float

    @property
    def name(self) -> str:
        return f"{self.folder}.mp4"

    def read(self) -> bytes:
        """An mp4; an odd width or height gets one more row or column, a copy of the last, which H.264 needs.

        Raises:
            DataError: a frame is no image, or they differ in size.
        """
        paths = sorted(path for path in Path(self.folder).iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
        return encode_frames(map(_even_frame, paths), fps=self.fps)


def _even_frame(path: Path) -> "np.ndarray":
    import numpy as np

    (pixels,) = decode_image(MediaFile(str(path)).read()).frames
    height, width = pixels.shape[:2]
    return np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def read_rows(source: Path, report: ReportError, *, formats: Collection[str] | None = None) -> Iterator[Row]:
    """Every row of a file, or of the files in a folder.

    A folder is searched for .jsonl, .json and .parquet files; a .json beside an image or a video of the same name is
    that one's row. Sub-folders and files called train, val, validation or test say which split their rows belong to.

    Args:
        source: A file or a folder.
        report: Is told of every line that holds no row.
        formats: Endings of the files in a folder that are read; None: all that can be.
    Raises:
        DataError: nothing there, or a file that cannot be read as what its ending says.
        MissingLibraryError: a Parquet file without pyarrow.
    """
    if not source.exists():
        raise DataError(f"no file or folder {source}")
    if source.is_file():
        yield from _rows_of(source, None, report)
        return
    found = False
    formats = tuple(FORMATS) if formats is None else formats
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        if path.suffix.lower() not in formats or not path.is_file() or any(p.startswith(".") for p in inside.parts):
            continue
        found = True
        yield from _rows_of(path, _split_of(inside), report)
    if not found:
        raise DataError(
            f"{source} holds no {', '.join(formats)}: questions stand in one of these, or in a .json beside each file"
        )


def _split_of(inside: Path) -> str | None:
    for part in inside.parts:
        word = _LEADING_WORD.match(part.lower())
        if word and word[0] in SPLIT_OF_WORD:
            return SPLIT_OF_WORD[word[0]]
    return None


def _rows_of(path: Path, split: str | None, report: ReportError) -> Iterator[Row]:
    read = FORMATS.get(path.suffix.lower())
    if read is None:
        raise DataError(f"{path}: expected a folder or a file that ends in {', '.join(FORMATS)}")
    for where, values in read(path, report):
        if isinstance(values, dict):
            yield Row(f"{path.name}, {where}" if where else path.name, values, path.parent, split)
        else:
            report(DataError(f"{path.name}, {where}: {type(values).__name__}, expected an object with named values"))


def _json_lines(path: Path, report: ReportError) -> Iterator[tuple[str, Any]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    yield f"line {number}", parse_json(line)
                except DataError as error:
                    report(DataError(f"{path.name}, line {number}: {error}"))


def _json(path: Path, report: ReportError) -> Iterator[tuple[str, Any]]:
    try:
        value = parse_json(path.read_bytes())
    except DataError as error:
        report(DataError(f"{path}: {error}"))
        return
    if isinstance(value, list):
        yield from ((f"row {number}", row) for number, row in enumerate(value))
        return
    beside = next(
        (p for suffix in (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES) if (p := path.with_suffix(suffix)).exists()), None
    )
    if beside is not None and isinstance(value, dict):
        value.setdefault(MEDIA_COLUMN, beside.name)
    yield "", value


def parse_json(data: bytes | str) -> Any:
    """A JSON value.

    Raises:
        DataError: bad JSON or UTF-8, or nested too deeply to be read.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:  # ValueError: JSONDecodeError, UnicodeDecodeError, giant numbers
        raise DataError(f"no JSON ({str(error).partition(chr(10))[0]})") from error


def _parquet(path: Path, report: ReportError) -> Iterator[tuple[str, Any]]:
    """Rows without their media: a column that holds bytes is answered with the place of its cell."""
    with _readable(path), _open_parquet(path) as file:
        schema = file.schema_arrow
        media = [field.name for field in schema if _holds_bytes(field.type)]
        names = [field.name for field in schema if field.name not in media]
        row = 0
        for batch in file.iter_batches(columns=names, batch_size=ROWS_AT_ONCE):
            for values in batch.to_pylist():
                cells = {name: ParquetCell(str(path), row, name, str(path.parent)) for name in media}
                yield f"row {row}", values | cells
                row += 1


def _open_parquet(path: Path) -> "pa.parquet.ParquetFile":
    return optional("pyarrow.parquet", extra="parquet", purpose="read Parquet files").ParquetFile(path)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    pa = optional("pyarrow", extra="parquet", purpose="read Parquet files")
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is no Parquet file that can be read: {error}") from error


def _holds_bytes(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return True
    return any(_holds_bytes(kind.field(place).type) for place in range(kind.num_fields))


def _cell(path: str, column: str, row: int) -> Any:
    first = 0
    with _readable(Path(path)):
        metadata = _parquet_file(path).metadata
        for group in range(metadata.num_row_groups):
            size = metadata.row_group(group).num_rows
            if row < first + size:
                return _row_group(path, column, group)[row - first].as_py()
            first += size
    raise DataError(f"{path} has {first} rows, row {row} was planned; it has changed")


@lru_cache(maxsize=1)
def _parquet_file(path: str) -> "pa.parquet.ParquetFile":
    return _open_parquet(Path(path))


@lru_cache(maxsize=1)  # neighbours are asked for one after the other
def _row_group(path: str, column: str, group: int) -> "pa.ChunkedArray":
    return _parquet_file(path).read_row_group(group, columns=[column]).column(column)


FORMATS: dict[str, Callable[[Path, ReportError], Iterator[tuple[str, Any]]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".parquet": _parquet,
}
