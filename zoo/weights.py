"""Weights in safetensors files, read with every name and shape accounted for.

The layout is the hub's: `model.safetensors`, or numbered shards beside `model.safetensors.index.json`. Nothing here
reads a pickle, which could run code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from huggingface_hub import save_torch_state_dict
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from zoo.errors import ConfigError, DataError

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
"""Endings of files that hold Python objects."""

HALVES = {"float16": torch.float16, "bfloat16": torch.bfloat16}
"""Types that may stand for float32 in files of weights."""

SHOWN = 3
"""Names of each difference that an error lists."""


def refuse_pickle(file: Path) -> None:
    """Refuse a file whose ending says that it is a pickle.

    Raises:
        ConfigError: it is one.
    """
    if file.suffix in PICKLES:
        raise ConfigError(
            f"{file} is a pickle, which can run code when it is read; ask its author for safetensors, or convert it "
            "where you trust it"
        )


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a folder.

    Raises:
        ConfigError: it holds none, or only pickles.
        DataError: the index does not parse, or a shard is missing.
    """
    index = folder / INDEX
    if index.is_file():
        return _shards(index)
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        refuse_pickle(file)
    raise ConfigError(f"{folder} holds no weights: expected {SINGLE}, or {INDEX} with its shards")


def _shards(index: Path) -> list[Path]:
    try:
        places = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        names = sorted(set(places))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{index} is no index of shards: expected a JSON object with weight_map") from error
    for name in names:
        # A name with a folder in it could point anywhere on this machine.
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
            raise DataError(f"{index} lists {name!r}; shards are *.safetensors files beside it")
        if not (index.parent / name).is_file():
            raise DataError(f"{index} lists {name}, which is missing; fetch the folder again")
    return [index.parent / name for name in names]


def shapes_of(files: Iterable[Path]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors, from the files' headers alone.

    Raises:
        DataError: a file is cut short or something else.
    """
    shapes = {}
    for file in files:
        try:
            with safe_open(file, framework="pt") as opened:
                shapes |= {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise DataError(f"{file} is cut short, or no safetensors file: {error}") from error
    return shapes


def read_weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of a folder at once, on the CPU, for those who rename them.

    Raises:
        ConfigError: it holds no weights, or only pickles.
        DataError: a file cannot be read.
    """
    files = weight_files(folder)
    shapes_of(files)  # refuses what is no safetensors file
    return {name: tensor for file in files for name, tensor in load_file(file).items()}


def check_fit(
    module: nn.Module,
    shapes: Mapping[str, tuple[int, ...]],
    source: str,
    *,
    spare: Collection[str] = (),
    growing: Collection[str] = (),
    hint: str = "",
) -> None:
    """Refuse weights that are not exactly a module's: each name, each shape.

    A tensor that a module holds under two names (an output head that is the embedding) may be stored under one.

    Args:
        module: What they are for.
        shapes: Stored names and shapes.
        source: What the error calls the place where they come from.
        spare: Beginnings of names that may be stored and not wanted, or wanted and not stored.
        growing: Names of tensors that may have more rows here than are stored.
        hint: What the error tells the user to do.
    Raises:
        ConfigError: names are missing or unexpected, or shapes differ.
    """
    own = module.state_dict(keep_vars=True)
    stored = {id(own[name]) for name in shapes if name in own}
    missing = [n for n, tensor in own.items() if n not in shapes and id(tensor) not in stored]
    faults = {
        "missing": _listed(n for n in missing if not n.startswith(tuple(spare))),
        "unexpected": _listed(n for n in shapes if n not in own and not n.startswith(tuple(spare))),
        "other sizes": _listed(
            f"{n} {tuple(shape)}, expected {tuple(own[n].shape)}"
            for n, shape in shapes.items()
            if n in own and tuple(own[n].shape) != tuple(shape) and not (n in growing and _has_more_rows(own[n], shape))
        ),
    }
    told = [f"{fault} {names}" for fault, names in faults.items() if names]
    if told:
        raise ConfigError(
            "; ".join([f"{source} does not fit the model: {told[0]}", *told[1:], *([hint] if hint else [])])
        )


def _has_more_rows(tensor: Tensor, shape: Sequence[int]) -> bool:
    return len(shape) == tensor.dim() and tuple(shape[1:]) == tuple(tensor.shape[1:]) and shape[0] < len(tensor)


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    rest = len(found) - SHOWN
    return ", ".join(found[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def load_exactly(
    module: nn.Module,
    folder: Path,
    *,
    spare: Collection[str] = (),
    growing: Collection[str] = (),
    halved: torch.dtype | None = None,
) -> None:
    """Fill a module with a folder's weights, in the types in which they are stored.

    Args:
        module: On the CPU; gets each tensor's stored dtype.
        folder: Weights in the hub's layout.
        spare: See `check_fit`.
        growing: See `check_fit`; rows behind the stored ones stay as they are.
        halved: Type that stands for float32 in the files; None where every tensor has its own.
    Raises:
        ConfigError: there are no weights, only pickles, or not exactly the module's.
        DataError: a file cannot be read.
    """
    files = weight_files(folder)
    check_fit(module, shapes_of(files), str(folder), spare=spare, growing=growing)
    own = dict(_tensors(module))
    for file in files:
        tensors = {name: tensor for name, tensor in load_file(file).items() if name in own}
        for name, tensor in tensors.items():
            own[name].data = own[name].data.to(torch.float32 if tensor.dtype == halved else tensor.dtype)
            if len(tensor.shape) and len(tensor) < len(own[name]):
                tensors[name] = torch.cat([tensor.to(own[name].dtype), own[name].data[len(tensor) :]])
        module.load_state_dict(tensors, strict=False)  # one shard never holds all; `check_fit` was strict


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters(remove_duplicate=False)
    yield from module.named_buffers(remove_duplicate=False)


def size_in_bytes(size: str) -> int:
    """A file size in words, such as `5GB`, in bytes.

    Raises:
        ConfigError: it is none.
    """
    found = re.fullmatch(r"(\d+) ?([KMGT])B", size)
    if found is None:
        raise ConfigError(f"max_shard_size {size!r}: expected a number of KB, MB, GB or TB, such as 5GB")
    return int(found[1]) * 1000 ** ("KMGT".index(found[2]) + 1)


def save_weights(module: nn.Module, folder: Path, *, max_shard_size: str, halved: torch.dtype | None = None) -> None:
    """Write a module's state as safetensors, in shards where it is larger than `max_shard_size`, such as `5GB`.

    What is wrong with the arguments, `check_storable` tells before anything is written.

    Args:
        module: Whose state is written.
        folder: Where to.
        max_shard_size: Largest file.
        halved: Type in which float32 tensors are stored, for half the size; None stores them as they are.
    """
    state = module.state_dict()
    if halved is not None:
        state = {name: tensor.to(halved) if tensor.dtype == torch.float32 else tensor for name, tensor in state.items()}
    save_torch_state_dict(state, folder, max_shard_size=max_shard_size)


def check_storable(module: nn.Module, *, max_shard_size: str, halved: torch.dtype | None) -> None:
    """Refuse what `save_weights` could not do.

    Raises:
        ConfigError: `max_shard_size` is no size, or the module has tensors of the type `halved` already.
    """
    size_in_bytes(max_shard_size)
    own = [name for name, tensor in module.state_dict().items() if halved is not None and tensor.dtype == halved]
    if own:
        raise ConfigError(f"{own[0]} is {halved} already, so that this type cannot stand for float32; leave it out")


def unsaved_dtypes(module: nn.Module) -> dict[str, str]:
    """Types of the floating buffers that no state holds, where they are not float32.

    `module.to(dtype)` changed them, and with them what the module computes.
    """
    kept = set(module.state_dict())
    return {
        name: str(buffer.dtype).removeprefix("torch.")
        for name, buffer in module.named_buffers(remove_duplicate=False)
        if name not in kept and buffer.is_floating_point() and buffer.dtype != torch.float32
    }


def set_unsaved_dtypes(module: nn.Module, dtypes: Mapping[str, str]) -> None:
    """Give buffers the types that `unsaved_dtypes` told.

    Raises:
        ConfigError: a buffer or a type that does not exist.
    """
    buffers = dict(module.named_buffers(remove_duplicate=False))
    for name, told in dtypes.items():
        dtype = getattr(torch, told, None) if isinstance(told, str) else None
        if name not in buffers or not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
            raise ConfigError(f"the checkpoint gives {name} the type {told!r}; the model has no such buffer or type")
        buffers[name].data = buffers[name].data.to(dtype)
