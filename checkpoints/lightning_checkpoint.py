"""Rebuild a module from one of Lightning's own `.ckpt` files: its recipe is in there, beside its weights.

The file is read with `weights_only=True`, and the recipe may name nothing but registered components, so that opening a
stranger's file runs no code of theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from jsonargparse import ArgumentParser
from lightning.pytorch import LightningModule

from zoo import registry
from zoo.checkpoints.sharded import is_sharded, read_sharded
from zoo.errors import ConfigError

RECIPE_KEY = "recipe"
"""Hyper-parameter under which the command line stores a module's class_path and init_args."""


def find_checkpoint(path: Path) -> Path:
    """The checkpoint that a path means: itself, or the newest one in a run folder.

    Raises:
        ConfigError: there is none.
    """
    if path.is_file() or is_sharded(path):
        return path
    found = sorted(path.rglob("checkpoints/*.ckpt"), key=lambda file: file.stat().st_mtime)
    if not found:
        raise ConfigError(
            f"no checkpoint at {path}; give a .ckpt file or a run folder such as runs/molmo2/tiny/version_0"
        )
    return found[-1]


def class_paths(spec: object) -> Iterator[str]:
    """Every class_path in a nested specification."""
    if isinstance(spec, Mapping):
        if "class_path" in spec:
            yield str(spec["class_path"])
        for value in spec.values():
            yield from class_paths(value)
    elif isinstance(spec, (list, tuple)):
        for value in spec:
            yield from class_paths(value)


def check_allowed(spec: object) -> None:
    """Refuse a specification that names anything but registered components.

    Raises:
        ConfigError: a class_path outside the registry.
    """
    known = {c.target.replace(":", ".") for kind in registry.kinds() for c in registry.components(kind)}
    foreign = sorted({path for path in class_paths(spec) if path not in known})
    if foreign:
        raise ConfigError(
            f"the checkpoint's recipe names {', '.join(foreign)}, which no registered component is; install "
            "the plug-in that offers it (zoo list), or rebuild the module in Python and load the weights yourself"
        )


def read_checkpoint(file: Path) -> dict[str, Any]:
    """What one of Lightning's own checkpoints holds: a file, or a folder of slices.

    Raises:
        ConfigError: it cannot be read safely.
    """
    if is_sharded(file):
        return read_sharded(file)
    try:
        saved = torch.load(file, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError) as error:
        raise ConfigError(
            f"{file} is not a checkpoint that can be read safely: {str(error).splitlines()[0]}"
        ) from error
    return saved if isinstance(saved, dict) else {}


def load_module(path: Path) -> LightningModule:
    """A module as it was trained, in evaluation mode, on the CPU; with its adapters, where it was trained with such.

    Args:
        path: A .ckpt file, a folder of slices or a run folder.
    Raises:
        ConfigError: no checkpoint, not a checkpoint, a foreign class, weights that do not fit, or adapters for other
            frozen weights than the recipe starts from.
    """
    file = find_checkpoint(path)
    saved = read_checkpoint(file)
    spec = saved.get("hyper_parameters", {}).get(RECIPE_KEY)
    if spec is None:
        raise ConfigError(f"{file} holds no recipe; checkpoints written by zoo fit do")
    check_allowed(spec)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(LightningModule, "model")
    module = parser.instantiate(parser.parse_object({"model": spec})).model
    module.configure_model()
    module.on_load_checkpoint(saved)
    own, given = module.state_dict().keys(), saved["state_dict"].keys()
    if own != given:
        missing, unexpected = sorted(own - given), sorted(given - own)
        raise ConfigError(f"{file} does not fit its own recipe: missing {missing[:3]}, unexpected {unexpected[:3]}")
    module.load_state_dict(saved["state_dict"])
    return module.eval()
