"""Write samples into WebDataset tar shards so that a shard is either complete or absent.

Differs from `webdataset.ShardWriter`: importing that one imports torch, it gives a shard its final name at once (an
interrupted run leaves a cut tar behind) and stamps the time of day into every member. Plain `tarfile` writes the same
format without the three.
"""

import io
import json
import os
import tarfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

import numpy as np

from zoo.errors import DataError
from zoo.shards.blind import BlindAccuracy
from zoo.shards.journal import Journal, ShardProgress, read_progress
from zoo.shards.sample_schema import VIDEO_QA_SAMPLES, Media, SampleSchema

INDEX_NAME = "dataset.json"
UNFINISHED_SUFFIX = ".part"


def shard_name(index: int) -> str:
    """File name of a shard inside its split's folder, as `shard-000012.tar`."""
    return f"shard-{index:06d}.tar"


class ShardWriter:
    """Write one tar shard; a context manager that leaves the file only if its body ends without an exception.

    Args:
        path: Final path of the shard; its folder is made. Until the end the bytes lie beside it with suffix `.part`,
            and a journal with suffix `.journal` (`zoo.shards.journal`), which stays where something was counted.
        schema: What its samples are.
        keeps: Leave what is whole where it is at an exception or a kill, and go on from there: `progress.done` says how
            many samples need not be made again.
    Raises:
        DataError: another process writes this shard.
    """

    def __init__(self, path: Path, *, schema: SampleSchema = VIDEO_QA_SAMPLES, keeps: bool = False) -> None:
        self.path, self.schema, self.keeps = Path(path), schema, keeps
        self.progress = ShardProgress()
        self._keys: set[str] = set()
        self._unfinished = self.path.with_name(self.path.name + UNFINISHED_SUFFIX)
        self._open = ExitStack()

    def __enter__(self) -> "ShardWriter":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            self._journal = stack.enter_context(Journal(self.path))
            if self.keeps and self._unfinished.exists():
                self.progress = read_progress(self.path, size=self._unfinished.stat().st_size)
            self._journal.restart(self.progress)
            self._file = stack.enter_context(open(self._unfinished, "r+b" if self.progress.size else "wb"))
            self._continue()
            self._tar = stack.enter_context(tarfile.open(fileobj=self._file, mode="w", format=tarfile.USTAR_FORMAT))
            self._open = stack.pop_all()
        return self

    @property
    def num_samples(self) -> int:
        """That are in the shard."""
        return self.progress.done - len(self.progress.faults)

    def _continue(self) -> None:
        """Cut off what is not whole, and learn which keys are there."""
        self._file.truncate(self.progress.size)
        if self.progress.size:
            with tarfile.open(fileobj=self._file, mode="r:") as tar:
                names = tar.getnames()
            self._keys = {name.removesuffix(".json") for name in names if name.endswith(".json")}
        self._file.seek(self.progress.size)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._open:
            if kind is None:
                self._tar.close()
                self._file.close()
                os.replace(self._unfinished, self.path)
                if not self.progress.counts:
                    self._journal.remove()
            elif not self.keeps:
                self._unfinished.unlink()
                self._journal.remove()

    def write(
        self,
        record: Mapping[str, Any],
        media: Media,
        *,
        arrays: Mapping[str, np.ndarray] | None = None,
        counts: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """Validate and add one sample: `<key>.<media>`, `<key>.json` and, with arrays, `<key>.npz`.

        Args:
            record: The sample's JSON; its `key` names the files, and its schema their suffixes.
            media: Encoded video or image; several images, which become `<key>.0.jpg` and so on, or none for a sample of
                text alone; or files by name.
            arrays: Label arrays by name.
            counts: What making it took, by name.
        Raises:
            DataError: an invalid record, other files than it speaks of, or a key that this shard already has.
        """
        files = self.schema.media_files(record, media, arrays)
        key = record["key"]
        if key in self._keys:
            raise DataError(f"{self.path.name}: two samples with key {key!r}; a reader would merge them")
        try:
            text = json.dumps(record, separators=(",", ":"), allow_nan=False)
        except (TypeError, ValueError) as error:  # only what is free, as `meta`, can hold such a value
            raise DataError(f"sample {key!r}: meta holds what JSON cannot ({error})") from error
        self._keys.add(key)
        for suffix, file in files.items():
            self._add(f"{key}.{suffix}", file)
        self._add(f"{key}.json", text.encode())
        if arrays is not None:
            self._add(f"{key}.npz", npz_bytes(arrays))
        self._note(counts)

    def give_up(self, error: DataError, *, counts: Mapping[str, int] = MappingProxyType({})) -> None:
        """Note a sample that could not be made."""
        self.progress.faults.append(str(error))
        self._note(counts)

    def _note(self, counts: Mapping[str, int]) -> None:
        self._file.flush()
        self.progress.done += 1
        self.progress.size = self._tar.offset
        self.progress.counts.update(counts)
        self._journal.add(self.progress)

    def _add(self, name: str, payload: bytes) -> None:
        member = tarfile.TarInfo(name)  # time, owner and group stay 0: the same samples give the same bytes
        member.size = len(payload)
        self._tar.addfile(member, io.BytesIO(payload))


def npz_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Compress arrays into the bytes of an npz file; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def write_index(
    folder: Path,
    *,
    splits: Mapping[str, list[tuple[str, int]]],
    generator: Mapping[str, Any],
    blind: BlindAccuracy | None = None,
    schema: SampleSchema = VIDEO_QA_SAMPLES,
    counts: Mapping[str, int] = MappingProxyType({}),
) -> Path:
    """Write `dataset.json`, the last act of a finished data set.

    Args:
        folder: Root of the data set.
        splits: For each split its shards in order, as (file name inside the split's folder, samples).
        generator: Name and settings of what made the data.
        blind: Accuracy of guessing from the question alone; None where it cannot be measured.
        schema: What the samples are.
        counts: What making them took, by name; left out where nothing was counted.
    Returns:
        Path of the index.
    """
    index = {
        "schema": schema.name,
        "version": schema.version,
        "splits": {
            split: {
                "shards": [{"file": f"{split}/{name}", "samples": samples} for name, samples in shards],
                "samples": sum(samples for _, samples in shards),
            }
            for split, shards in splits.items()
        },
        "generator": dict(generator),
        "blind_accuracy": None if blind is None else asdict(blind),
    }
    if counts:
        index["counts"] = dict(sorted(counts.items()))
    return write_json(folder / INDEX_NAME, index)


def write_json(path: Path, value: Any) -> Path:
    """Write JSON through a temporary name, so that the file is never seen half written."""
    unfinished = path.with_name(path.name + UNFINISHED_SUFFIX)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    os.replace(unfinished, path)
    return path
