"""Sharded checkpoints: folders into which the processes of a run write their slices, read as whole weights.

Source: for `fsdp2`, torch.distributed.checkpoint's layout with Lightning's `meta.pt` beside it; for DeepSpeed its own,
in which weights are whole and only optimiser states are in slices. The index of the first is a pickle; what it would
import is looked through first, so that opening a stranger's folder runs no code of theirs.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from torch.distributed import checkpoint as slices
from torch.distributed.checkpoint import metadata

from zoo.errors import ConfigError

INDEX = ".metadata"

EXTRA = "meta.pt"
"""Lightning's file of everything but weights and optimiser states."""

ZERO = Path("checkpoint") / "mp_rank_00_model_states.pt"
"""DeepSpeed's file of weights and everything else but optimiser states."""

ZERO_WEIGHTS = "module"

WEIGHTS = "state_dict."
"""What the names of weights begin with."""

DESCRIPTIONS = "torch.distributed.checkpoint.metadata"

ALLOWED = {
    "torch": ("Size",),
    "torch.serialization": ("_get_layout",),
    "torch.distributed.checkpoint.filesystem": ("_StorageInfo",),
    "pathlib": ("PosixPath", "PurePosixPath"),
}
"""What an index may import, beside types of numbers and the classes that describe tensors."""


class _IndexReader(pickle.Unpickler):
    """Reads an index, and nothing that could run code."""

    def find_class(self, module: str, name: str) -> Any:
        describes = module == DESCRIPTIONS and getattr(vars(metadata).get(name), "__module__", None) == DESCRIPTIONS
        is_dtype = module == "torch" and isinstance(vars(torch).get(name), torch.dtype)
        if describes or is_dtype or name in ALLOWED.get(module, ()):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it would import {module}.{name}")


UNREADABLE = (
    *(pickle.UnpicklingError, EOFError, AttributeError, ValueError, IndexError, TypeError, KeyError),
    *(MemoryError, OverflowError, ImportError),
)
"""What pickle raises over bytes that are none."""


def is_sharded(path: Path) -> bool:
    """Whether a path is a folder of slices and no plain file."""
    return is_zero(path) or ((path / INDEX).is_file() and (path / EXTRA).is_file())


def is_zero(path: Path) -> bool:
    """Whether it is one of DeepSpeed's."""
    return (path / ZERO).is_file()


def check_index(folder: Path) -> None:
    """Refuse a folder whose index would run code; to be called before anything else reads it.

    Raises:
        ConfigError: the index is broken, or names what an index has no use for.
    """
    try:
        with (folder / INDEX).open("rb") as file:
            _IndexReader(file).load()
    except UNREADABLE as error:
        raise ConfigError(f"{folder / INDEX} is no index of slices that can be read safely: {error}") from error


def read_sharded(folder: Path) -> dict[str, Any]:
    """Whole weights and everything else but optimiser states, as a plain `.ckpt` holds them.

    Training that goes on from a folder reads optimiser states too, which are pickles: of one's own runs only.

    Args:
        folder: Written by a run of any number of processes; this one reads it alone, into memory.
    Raises:
        ConfigError: it cannot be read safely, or a slice is missing.
    """
    if is_zero(folder):
        saved = read_extra(folder)
        return {"state_dict": saved.pop(ZERO_WEIGHTS, {}), **saved}
    check_index(folder)
    reader = slices.FileSystemReader(folder)
    stored = reader.read_metadata().state_dict_metadata
    weights = {
        name.removeprefix(WEIGHTS): torch.empty(entry.size, dtype=entry.properties.dtype)
        for name, entry in stored.items()
        if name.startswith(WEIGHTS) and isinstance(entry, metadata.TensorStorageMetadata)
    }
    try:
        slices.load({WEIGHTS.rstrip("."): weights}, storage_reader=reader, no_dist=True)
    except (OSError, pickle.UnpicklingError, slices.CheckpointException) as error:
        raise ConfigError(f"{folder} is not a whole checkpoint: {str(error).splitlines()[0]}") from error
    return {"state_dict": weights, **read_extra(folder)}


def read_extra(folder: Path) -> dict[str, Any]:
    """What the first process saved by itself: the state of the run, and with DeepSpeed the weights.

    Raises:
        ConfigError: it cannot be read safely, or was not written to its end.
    """
    try:
        return torch.load(folder / (ZERO if is_zero(folder) else EXTRA), map_location="cpu", weights_only=True)
    except (OSError, *UNREADABLE, RuntimeError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConfigError(f"{folder} is not a whole checkpoint: {reason}") from error
