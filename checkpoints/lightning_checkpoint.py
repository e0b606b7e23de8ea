"""Rebuild a module from one of Lightning's own `.ckpt` files: its recipe is in there, beside its weights.

The file is read with `weights_only=True`, and the recipe may name nothing but registered components, so that opening a
stranger's file runs no code of theirs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from zoo.adaptation import BASE_KEY
from zoo.checkpoints.recipe import RECIPE_KEY, build_module
from zoo.checkpoints.saved import whole_checkpoints
from zoo.checkpoints.sharded import UNREADABLE, is_sharded, read_sharded
from zoo.component_module import ComponentModule
from zoo.errors import ConfigError
from zoo.weights import check_fit

SUFFIX = ".ckpt"


def find_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint of a run folder, or of all runs below a folder; None where there is none.

    A folder of slices, which sharded runs write, is a checkpoint itself. Files that were not written to their end are
    passed over.
    """
    if is_sharded(folder):
        return folder
    found = [file for held in folder.rglob("checkpoints") for file in whole_checkpoints(held)]
    return max(found, key=lambda file: file.stat().st_mtime, default=None)


def read_checkpoint(file: Path) -> dict[str, Any]:
    """What a .ckpt file holds: tensors and plain values.

    Raises:
        ConfigError: it holds something else, or was not written by a training command.
    """
    if is_sharded(file):
        return with_recipe(read_sharded(file), file)
    try:
        saved = torch.load(file, map_location="cpu", weights_only=True)
    except (*UNREADABLE, RuntimeError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConfigError(f"{file} is not a checkpoint that can be read safely: {reason}") from error
    return with_recipe(saved, file)


def with_recipe(saved: object, file: Path) -> dict[str, Any]:
    """A checkpoint's content, if it says what it is of.

    Raises:
        ConfigError: it does not.
    """
    if not isinstance(saved, dict) or RECIPE_KEY not in saved.get("hyper_parameters", {}):
        raise ConfigError(f"{file} holds no recipe; checkpoints written by zoo fit do")
    return saved


def load_checkpoint(file: Path) -> ComponentModule:
    """A module as it was trained, in evaluation mode, on the CPU; with its adapters, where it was trained with such.

    Raises:
        ConfigError: not a checkpoint, a foreign class, weights that do not fit, or adapters for other frozen weights
            than the recipe starts from.
    """
    saved = read_checkpoint(file)
    are_here = not saved.get(BASE_KEY)  # else frozen ones come from where they came at first
    module = build_module(saved["hyper_parameters"][RECIPE_KEY], weights_follow=are_here)
    if not isinstance(module, ComponentModule):
        raise ConfigError(f"{file} holds a {type(module).__name__}, which is no module of molmo-zoo's")
    module.configure_model()
    module.on_load_checkpoint(saved)
    weights = saved["state_dict"]
    check_fit(module, {name: tuple(tensor.shape) for name, tensor in weights.items()}, str(file))
    module.load_state_dict(weights)
    return module.eval()
