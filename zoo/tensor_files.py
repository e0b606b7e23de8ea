"""Tensors of safetensors files read and written piece by piece, for weights that fit into memory only once.

Source: the safetensors format: 8 bytes with the length of a JSON header, the header with every tensor's type, shape and
    place, the numbers. Differs from the library: it maps files into memory, and pages that were looked at count beside
    the copy that is kept; here nothing but the asked rows is read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from zoo.errors import ConfigError, DataError
from zoo.weights import INDEX, SINGLE, size_in_bytes

DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
"""Types of weights by the format's words."""

WORDS = {dtype: word for word, dtype in DTYPES.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredTensor:
    """Where a tensor lies.

    Args:
        file: In which file.
        begin: Byte of its first number.
        dtype: Of its numbers.
        shape: With at least one dimension.
    """

    file: Path
    begin: int
    dtype: torch.dtype
    shape: tuple[int, ...]

    def read_rows(self, start: int, out: Tensor) -> None:
        """Fill a contiguous CPU tensor (rows, ...) of the stored type with the rows from `start` on."""
        begin = self.begin + start * math.prod(self.shape[1:]) * self.dtype.itemsize
        with self.file.open("rb", buffering=0) as file:
            file.seek(begin)
            _fill(file, _bytes_of(out))


def _bytes_of(tensor: Tensor) -> memoryview:
    return memoryview(tensor.detach().flatten().view(torch.uint8).numpy())


def _fill(file: BinaryIO, target: memoryview) -> None:
    done = 0
    while done < len(target):  # one call reads two gigabytes at most
        count = file.readinto(target[done:])
        if not count:
            raise DataError(f"{file.name} ends before its last tensor; fetch it again")
        done += count


def stored_tensors(files: Iterable[Path]) -> dict[str, StoredTensor]:
    """Every tensor of some files, by name; reads their headers only.

    Raises:
        DataError: a file is cut short or something else, or a tensor has a type that weights do not have.
    """
    found: dict[str, StoredTensor] = {}
    for file in files:
        try:
            with safe_open(file, framework="pt"):  # the library checks that header and length agree
                pass
        except SafetensorError as error:
            raise DataError(f"{file} is cut short, or no safetensors file: {error}") from error
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            header = json.loads(opened.read(length))
        header.pop("__metadata__", None)
        for name, entry in header.items():
            if entry["dtype"] not in DTYPES:
                raise DataError(f"{file}: {name} is {entry['dtype']}; weights are one of {', '.join(DTYPES)}")
            found[name] = StoredTensor(
                file=file,
                begin=8 + length + entry["data_offsets"][0],
                dtype=DTYPES[entry["dtype"]],
                shape=tuple(entry["shape"]),
            )
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorToWrite:
    """A tensor that is made when its turn comes.

    Args:
        name: In the file.
        dtype: Of its numbers.
        shape: Whole.
        parts: Makes the tensors whose rows, one below the other, are the whole.
    """

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    parts: Callable[[], Iterable[Tensor]]

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def write_tensors(tensors: Sequence[TensorToWrite], folder: Path, *, max_shard_size: str) -> None:
    """Write weights in the hub's layout, one part in memory at a time.

    Args:
        tensors: In the order of the files.
        folder: Gets `model.safetensors`, or numbered shards and their index.
        max_shard_size: Largest file, such as `5GB`; a tensor that is larger has one of its own.
    Raises:
        ConfigError: `max_shard_size` is no size, or a tensor has a type that weights do not have.
    """
    if foreign := [tensor for tensor in tensors if tensor.dtype not in WORDS]:
        raise ConfigError(
            f"{foreign[0].name} is {foreign[0].dtype}; weights are written as {', '.join(WORDS.values())}"
        )
    limit = size_in_bytes(max_shard_size)
    shards: list[list[TensorToWrite]] = [[]]
    for tensor in tensors:
        if shards[-1] and sum(held.num_bytes for held in shards[-1]) + tensor.num_bytes > limit:
            shards.append([])
        shards[-1].append(tensor)
    count = len(shards)
    names = [SINGLE] if count == 1 else [f"model-{i + 1:05}-of-{count:05}.safetensors" for i in range(count)]
    for name, shard in zip(names, shards, strict=True):
        _write_shard(shard, folder / name)
    if count > 1:
        places = {tensor.name: name for name, shard in zip(names, shards, strict=True) for tensor in shard}
        index = {"metadata": {"total_size": sum(tensor.num_bytes for tensor in tensors)}, "weight_map": places}
        (folder / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _write_shard(tensors: Sequence[TensorToWrite], file: Path) -> None:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for tensor in tensors:
        begin, end = end, end + tensor.num_bytes
        header[tensor.name] = {
            "dtype": WORDS[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # numbers begin at a multiple of 8
    with file.open("wb") as opened:
        opened.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors:
            written = 0
            for part in tensor.parts():
                content = _bytes_of(part.detach().to("cpu", tensor.dtype).contiguous())
                opened.write(content)
                written += len(content)
            if written != tensor.num_bytes:
                raise ValueError(f"{tensor.name}: parts of {written} bytes for a tensor of {tensor.num_bytes}")
