"""Write samples into WebDataset tar shards so that a shard is either complete or absent.

Differs from `webdataset.ShardWriter`: importing that one imports torch, it gives a shard its final name at once (an
interrupted run leaves a cut tar behind) and stamps the time of day into every member. Plain `tarfile` writes the same
format without the three.
"""

import io
import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from zoo.errors import DataError
from zoo.shards.blind import BlindAccuracy
from zoo.shards.schema import SCHEMA_NAME, SCHEMA_VERSION, TEXT, validate_record

INDEX_NAME = "dataset.json"
UNFINISHED_SUFFIX = ".part"


def shard_name(index: int) -> str:
    """File name of a shard inside its split's folder, as `shard-000012.tar`."""
    return f"shard-{index:06d}.tar"


class ShardWriter:
    """Write one tar shard; a context manager that leaves the file only if its body ends without an exception.

    Args:
        path: Final path of the shard; its folder is made. Until the end the bytes lie beside it with suffix `.part`.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.num_samples = 0
        self._keys: set[str] = set()
        self._unfinished = self.path.with_name(self.path.name + UNFINISHED_SUFFIX)
        self._tar: tarfile.TarFile | None = None

    def __enter__(self) -> "ShardWriter":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._tar = tarfile.open(self._unfinished, "w", format=tarfile.USTAR_FORMAT)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._tar is not None
        self._tar.close()
        self._tar = None
        if kind is None:
            os.replace(self._unfinished, self.path)
        else:
            self._unfinished.unlink()

    def write(
        self,
        record: Mapping[str, Any],
        media: bytes | Sequence[bytes],
        *,
        arrays: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Validate and add one sample: `<key>.<media>`, `<key>.json` and, with arrays, `<key>.npz`.

        Args:
            record: The sample's JSON; its `key` and `media` name the files.
            media: Encoded video or image; several images, which become `<key>.0.jpg` and so on, or none for a sample of
                text alone.
            arrays: Label arrays by name.
        Raises:
            DataError: an invalid record, another number of files than it says, or a key that this shard already has.
        """
        assert self._tar is not None, "write outside the with block"
        validate_record(record)
        key = record["key"]
        files = (media,) if isinstance(media, bytes) else tuple(media)
        expected = len(record["images"]) if "images" in record else int(record["media"] != TEXT)
        if len(files) != expected:
            raise DataError(f"sample {key!r}: {len(files)} media files, its record speaks of {expected}")
        if key in self._keys:
            raise DataError(f"{self.path.name}: two samples with key {key!r}; a reader would merge them")
        try:
            text = json.dumps(record, separators=(",", ":"), allow_nan=False)
        except (TypeError, ValueError) as error:  # only `meta` is free enough to hold such a value
            raise DataError(f"sample {key!r}: meta holds what JSON cannot ({error})") from error
        self._keys.add(key)
        for number, file in enumerate(files):
            self._add(f"{key}.{number}.{record['media']}" if len(files) > 1 else f"{key}.{record['media']}", file)
        self._add(f"{key}.json", text.encode())
        if arrays is not None:
            self._add(f"{key}.npz", npz_bytes(arrays))
        self.num_samples += 1

    def _add(self, name: str, payload: bytes) -> None:
        assert self._tar is not None
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
) -> Path:
    """Write `dataset.json`, the last act of a finished data set.

    Args:
        folder: Root of the data set.
        splits: For each split its shards in order, as (file name inside the split's folder, samples).
        generator: Name and settings of what made the data.
        blind: Accuracy of guessing from the question alone; None where it cannot be measured.
    Returns:
        Path of the index.
    """
    index = {
        "schema": SCHEMA_NAME,
        "version": SCHEMA_VERSION,
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
    return write_json(folder / INDEX_NAME, index)


def write_json(path: Path, value: Any) -> Path:
    """Write JSON through a temporary name, so that the file is never seen half written."""
    unfinished = path.with_name(path.name + UNFINISHED_SUFFIX)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    os.replace(unfinished, path)
    return path
