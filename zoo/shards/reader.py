"""Read WebDataset tar shards: every sample of a shard, only its JSON, or the samples of given keys.

Plain `tarfile` instead of the webdataset package, whose import brings torch along (2.2 s) even for its tar iterators
alone, and which ends silently at a cut tar. Grouping agrees with webdataset: a key ends at the first dot of a file's
name, and the files of a sample lie next to each other. Local files only.
"""

import io
import json
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from zoo.errors import DataError
from zoo.shards.schema import check_record
from zoo.shards.writer import INDEX_NAME

MEDIA_AND_JSON = frozenset({"mp4", "jpg", "jpeg", "png", "json"})
"""What answering needs, by the last part of a file's name; leaving npz labels unread saves their bytes."""

_BLOCK = 512  # bytes; a whole tar ends with blocks of zeros


@dataclass(frozen=True, slots=True)
class Sample:
    """One record and its files, still encoded.

    Args:
        key: Stable id within the data set.
        shard: Path of the tar that it was read from.
        record: Parsed JSON of the sample.
        files: Bytes by suffix ("mp4", "jpg", "npz", or "0.jpg" of several images), the JSON left out.
        offset: Byte of the shard where its first file's header begins; with the shard enough to read it again.
    """

    key: str
    shard: str
    record: dict[str, Any]
    files: dict[str, bytes]
    offset: int = 0

    def arrays(self) -> Mapping[str, np.ndarray]:
        """The npz file's arrays, each read when it is asked for; pickled objects are refused.

        Raises:
            DataError: the file is missing or broken; the latter also when an array is asked for.
        """
        return LabelArrays(self)


class LabelArrays(Mapping[str, np.ndarray]):
    """Arrays of a sample's npz file; unpacking takes time, so only what is asked for is unpacked.

    Args:
        sample: Holds the file.
    Raises:
        DataError: the file is missing or broken.
    """

    def __init__(self, sample: Sample) -> None:
        self._where = f"{sample.shard}: sample {sample.key!r}"
        with self._named():
            self._stored = np.load(io.BytesIO(sample.files["npz"]), allow_pickle=False)

    def __getitem__(self, name: str) -> np.ndarray:
        with self._named():
            return self._stored[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored.files)

    def __len__(self) -> int:
        return len(self._stored.files)

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except (KeyError, OSError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"{self._where} has no readable npz: {error}") from error


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """A tar file of a split, and how many samples the index promises in it."""

    path: Path
    num_samples: int


ReportError = Callable[[DataError], None]
"""Called with each bad sample or shard; may raise, which ends the reading, or return, which skips."""


class CheckRecord(Protocol):
    """Refuses a parsed record that does not have the schema it should have."""

    def __call__(self, record: Any, *, where: str) -> None:
        """Raises DataError; `where` is shard and key, for the message."""


def raise_error(error: DataError) -> None:
    """The strict `ReportError`: the first fault ends the reading."""
    raise error


def ignore_error(error: DataError) -> None:
    """The `ReportError` of look-ups, which pass over faults that the stream has reported already."""


def read_index(folder: str | os.PathLike[str]) -> dict[str, list[Shard]]:
    """Shards of every split, as `dataset.json` lists them.

    Raises:
        DataError: no data set there, an index that does not parse, or a listed shard that is missing.
    """
    root = Path(folder)
    path = root / INDEX_NAME
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        splits = {
            split: [Shard(path=root / shard["file"], num_samples=int(shard["samples"])) for shard in content["shards"]]
            for split, content in index["splits"].items()
        }
    except FileNotFoundError:
        raise DataError(
            f"{root} holds no {INDEX_NAME}: no data set was finished there; make one with: zoo generate"
        ) from None
    except (json.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path} is no index of shards ({type(error).__name__}: {error}); generate the data again"
        ) from error
    missing = [shard.path.name for shards in splits.values() for shard in shards if not shard.path.is_file()]
    if missing:
        raise DataError(
            f"{root}: {len(missing)} shards of {INDEX_NAME} are missing, first {missing[0]}; generate the data again"
        )
    return splits


def read_split(folder: str | os.PathLike[str], split: str) -> list[Shard]:
    """Shards of one split.

    Raises:
        DataError: see `read_index`; or the split is unknown or empty.
    """
    splits = read_index(folder)
    if split not in splits:
        raise DataError(f"{folder}: no split {split!r}; it has {', '.join(sorted(splits)) or 'none'}")
    if not sum(shard.num_samples for shard in splits[split]):
        raise DataError(f"{folder}: split {split!r} holds no samples; generate the data again")
    return splits[split]


def read_shard(
    path: str | os.PathLike[str],
    *,
    suffixes: Collection[str] | None = None,
    wanted: Callable[[int, str], bool] | None = None,
    start: int = 0,
    report: ReportError = raise_error,
    check: CheckRecord = check_record,
) -> Iterator[Sample]:
    """Samples of one tar in their stored order.

    Args:
        path: The tar file.
        suffixes: Files to read; None reads all. The JSON is always read.
        wanted: Tells from (place behind the start, key) whether to read a sample at all; None reads all.
        start: `offset` of the sample to begin with.
        report: Is told of every sample without a valid record, and of a truncated or corrupt tar.
        check: Of the schema that records have; video questions where nothing is said.
    """
    shard = str(path)
    for key, offset, files in _groups(shard, suffixes, wanted, start, report):
        try:
            record = _parse(files.pop("json", None), f"{shard}: sample {key!r}", check)
        except DataError as error:
            report(error)
            continue
        yield Sample(key, shard, record, files, offset)


def read_again(
    path: str | os.PathLike[str],
    offsets: Collection[int],
    *,
    suffixes: Collection[str] | None = None,
    check: CheckRecord = check_record,
) -> dict[int, Sample]:
    """Samples of one tar by the offsets that they were read from before.

    Args:
        path: The tar file.
        offsets: `Sample.offset` of each.
        suffixes: Files to read; None reads all. The JSON is always read.
        check: See `read_shard`.
    Raises:
        DataError: there is no sample at an offset, because the shard is another one by now.
    """
    found = {}
    for offset in sorted(offsets):
        try:
            sample = next(read_shard(path, suffixes=suffixes, start=offset, check=check), None)
        except DataError as error:
            raise DataError(f"{path} is not the shard that it was: {error}") from error
        if sample is None or sample.offset != offset:
            raise DataError(f"{path} is not the shard that it was: no sample at byte {offset}; restore the data")
        found[offset] = sample
    return found


def read_records(
    folder: str | os.PathLike[str], split: str, *, report: ReportError = raise_error
) -> Iterator[dict[str, Any]]:
    """Only the JSON records of a split, without touching the media: for baselines and statistics."""
    for shard in read_split(folder, split):
        for sample in read_shard(shard.path, suffixes=("json",), report=report):
            yield sample.record


def read_samples(folder: str | os.PathLike[str], split: str, keys: Collection[str]) -> dict[str, Sample]:
    """Samples of given keys, whole; keys that the split lacks are absent from the answer."""
    found: dict[str, Sample] = {}
    for shard in read_split(folder, split):
        for sample in read_shard(shard.path, wanted=lambda _, key: key in keys, report=ignore_error):
            found[sample.key] = sample
        if len(found) == len(set(keys)):
            break
    return found


def _parse(data: bytes | None, where: str, check: CheckRecord) -> dict[str, Any]:
    if data is None:
        raise DataError(f"{where}: no json beside the media")
    try:
        record = json.loads(data)
    except ValueError as error:  # bad JSON and bad UTF-8 alike
        raise DataError(f"{where}: the json does not parse: {error}") from error
    check(record, where=where)
    return record


def _groups(
    shard: str,
    suffixes: Collection[str] | None,
    wanted: Callable[[int, str], bool] | None,
    begin: int,
    report: ReportError,
) -> Iterator[tuple[str, int, dict[str, bytes]]]:
    """(key, offset, files by suffix) of neighbouring members with one key, unwanted samples left out."""
    key, offset, files, count = None, 0, None, 0  # files is None while the members of an unwanted sample pass
    try:
        with open(shard, "rb") as stream:
            end = os.fstat(stream.fileno()).st_size
            for member_key, suffix, header, start, size in _members(stream, begin):
                if member_key != key:
                    if files is not None:
                        yield key, offset, files
                    count += key is not None
                    key, offset = member_key, header
                    files = {} if wanted is None or wanted(count, key) else None
                if start + size > end:
                    raise tarfile.ReadError(
                        f"truncated tar: its {suffix} ends {start + size - end} bytes behind the file"
                    )
                kind = suffix.rpartition(".")[2]  # "jpg" of "0.jpg"
                if files is not None and (suffixes is None or kind in suffixes or kind == "json"):
                    stream.seek(start)
                    files[suffix] = stream.read(size)
    except (OSError, tarfile.TarError) as error:
        report(DataError(f"{shard}: in or behind sample {key!r}: {error}; generate or copy the shard again"))
        return  # the sample that was being read is not whole
    if files is not None:
        yield key, offset, files


def _members(stream: io.BufferedReader, begin: int) -> Iterator[tuple[str, str, int, int, int]]:
    """(key, suffix, header, start, size) of each regular file; raises TarError where the tar is cut or corrupt."""
    for name, header, start, size in _plain_members(stream, begin):
        folder, slash, file = name.rpartition("/")
        stem, _, suffix = file.partition(".")
        if stem and suffix:  # as webdataset: hidden files and files without a suffix belong to no sample
            yield folder + slash + stem, suffix.lower(), header, start, size


def _plain_members(stream: io.BufferedReader, offset: int) -> Iterator[tuple[str, int, int, int]]:
    """(name, header, start, size) of each regular file, from plain ustar headers; ten times as fast as tarfile."""
    while True:
        stream.seek(offset)
        header = stream.read(_BLOCK)
        if header == bytes(_BLOCK) and offset:
            return
        size, checksum = _octal(header[124:136]), _octal(header[148:156])
        is_plain = len(header) == _BLOCK and header[156:157] in b"0\0" and header[257:262] == b"ustar"
        if not is_plain or size is None or checksum != sum(header) - sum(header[148:156]) + 8 * ord(" "):
            yield from _all_members(stream, offset)  # long names, other dialects, damage: tarfile's business
            return
        name, prefix = header[:100].rstrip(b"\0"), header[345:500].rstrip(b"\0")
        full = name if not prefix or header[263:265] != b"00" else prefix + b"/" + name
        yield full.decode("utf-8", "surrogateescape"), offset, offset + _BLOCK, size
        offset += _BLOCK + -(-size // _BLOCK) * _BLOCK


def _octal(field: bytes) -> int | None:
    try:
        return int(field.strip(b" \0"), 8)
    except ValueError:
        return None


def _all_members(stream: io.BufferedReader, offset: int) -> Iterator[tuple[str, int, int, int]]:
    """The same from tarfile, for the rest of an archive."""
    stream.seek(offset)
    with tarfile.open(fileobj=stream, mode="r:") as tar:
        while (member := tar.next()) is not None:
            tar.members = []  # tarfile would keep every header of the shard
            if member.isreg():
                yield member.name, member.offset, member.offset_data, member.size
        stream.seek(tar.offset)
        # tarfile takes a cut or garbled header for the end of the archive; only zeros are one.
        if stream.read(_BLOCK) != bytes(_BLOCK):
            raise tarfile.ReadError(f"truncated or corrupt tar at byte {tar.offset}")
