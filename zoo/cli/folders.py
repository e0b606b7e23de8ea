"""What `--ckpt_path FOLDER` means in the training commands: weights, and the model unless something else says it."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from lightning.pytorch import LightningModule

from zoo import bundled
from zoo.cli import runs
from zoo.errors import ConfigError
from zoo.hub import is_hub_id, local_folder

OPTION = "--ckpt_path"
LIGHTNINGS_OWN = (*runs.NEWEST, "hpc")
CONFIG = "config.json"


def checkpoint_folder(path: str) -> Path | None:
    """The checkpoint folder that a path, bundled name or hub id means; None where it is Lightning's to read.

    Raises:
        ConfigError: a hub id that cannot be fetched.
    """
    if path in LIGHTNINGS_OWN:
        return None
    if Path(path).is_dir():
        return Path(path) if (Path(path) / CONFIG).is_file() else None
    if (ours := bundled.folder_of(path)) is not None:
        return ours
    return local_folder(path) if not Path(path).exists() and is_hub_id(path) else None


def model_arguments(arguments: Sequence[str]) -> list[str]:
    """The model of a checkpoint folder that was typed, as a configuration to begin with.

    Args:
        arguments: What was typed after a training command.
    Raises:
        ConfigError: the folder is no checkpoint, or names what is not registered here.
    """
    typed = _typed(arguments)
    folder = None if typed is None else checkpoint_folder(typed)
    if folder is None:
        return []
    from zoo.checkpoints.pretrained import stored_recipe
    from zoo.checkpoints.recipe import read_recipe

    spec = read_recipe(stored_recipe(folder), folder=folder, weights_follow=True)
    return ["--config", json.dumps({"model": spec})]


def _typed(arguments: Sequence[str]) -> str | None:
    """The last value of `--ckpt_path`, in either way of writing it."""
    values = [a.partition("=")[2] for a in arguments if a.startswith(f"{OPTION}=")]
    values += [b for a, b in pairwise(arguments) if a == OPTION]
    return values[-1] if values else None


def fill(module: LightningModule, folder: Path, *, may_start_anew: bool) -> None:
    """Give a module that was just built the weights of a checkpoint folder.

    Args:
        module: On the CPU.
        folder: Checkpoint folder.
        may_start_anew: Whether parts that a flag swapped in may start untrained.
    Raises:
        ConfigError: the weights are not exactly the module's.
    """
    from zoo.checkpoints.pretrained import has_adapters, load_weights
    from zoo.component_module import ComponentModule

    if not isinstance(module, ComponentModule):
        raise ConfigError(f"ckpt_path: {folder} is for a module of molmo-zoo's, this is a {type(module).__name__}")
    if has_adapters(folder):
        module.configure_model()
    load_weights(module, folder, may_start_anew=may_start_anew)
    module.configure_model()  # new adapters go over the folder's weights
