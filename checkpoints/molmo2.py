"""Released Molmo2 checkpoints in and out: a folder in their layout becomes a module, and a module such a folder.

Weights go one tensor at a time from the file into their place: nothing is held twice. Source: Molmo2 sheet A2.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import torch
from accelerate import init_empty_weights
from torch import Tensor, nn

from zoo.checkpoints.molmo2_config import CONFIG, read_json, recipe_of_released
from zoo.checkpoints.molmo2_layout import Group, NormNames, Shape, as_released, check_stored, groups
from zoo.checkpoints.recipe import Spec, build_module
from zoo.errors import ConfigError
from zoo.lora import base_name, is_adapter
from zoo.module import ZooModule
from zoo.tensor_files import StoredTensor, stored_tensors
from zoo.weights import weight_files


def load_released(folder: Path) -> ZooModule:
    """A released Molmo2 as a module of registry parts, in evaluation mode, on the CPU.

    Args:
        folder: In transformers' layout.
    Raises:
        ConfigError: it asks for what the zoo's parts do not do, or its weights are not what its configuration says.
        DataError: a file is missing or cut short.
    """
    with init_empty_weights():  # parameters alone have no memory yet; rotary tables and statistics are computed
        module = build_module(released_recipe(folder))
    fill_released(module, folder)
    return module.eval()


def released_recipe(folder: Path) -> Spec:
    """The recipe of a released Molmo2.

    Raises:
        ConfigError: see `load_released`.
        DataError: see `load_released`.
    """
    stored = stored_weights(folder)
    return recipe_of_released(folder, {name: tensor.shape for name, tensor in stored.items()})


def stored_weights(folder: Path) -> dict[str, StoredTensor]:
    """Every tensor of a released Molmo2, by the released names.

    Raises:
        ConfigError: a tensor is there under two names.
        DataError: a file is missing or cut short.
    """
    told = read_json(folder / CONFIG)
    text = told.get("text_config")
    is_tied = any(isinstance(part, dict) and part.get("tie_word_embeddings") is True for part in (told, text))
    return as_released(stored_tensors(weight_files(folder)), str(folder), is_tied=is_tied)


def fill_released(module: ZooModule, folder: Path, *, spare: Collection[str] = ()) -> None:
    """Give a module of a released Molmo2's recipe its weights; below adapters, where it has such.

    Args:
        module: On the CPU; without memory, or with weights that are thrown away.
        folder: In transformers' layout.
        spare: Beginnings of names of the module's own weights that the folder need not have.
    Raises:
        ConfigError: the weights are not exactly the module's.
        DataError: a file is missing or cut short.
    """
    stored = stored_weights(folder)
    names = {base_name(name): name for name, _ in module.named_parameters(remove_duplicate=False)}
    own = {plain: module.get_parameter(name) for plain, name in names.items() if not is_adapter(name)}
    wanted = {name: parameter for name, parameter in own.items() if not name.startswith(tuple(spare))}
    language, vision = module.model.language, module.model.vision
    found = groups(num_layers=language.num_layers, num_blocks=vision.num_blocks, norms=NormNames())
    placed = {name for group in found for name in group.own}
    if placed != wanted.keys():
        first = sorted(placed ^ wanted.keys())[0]
        raise ConfigError(f"{folder} holds a Molmo2, the model is another one: they differ in {first}")
    shapes = {name: tuple(parameter.shape) for name, parameter in own.items()}
    check_stored(found, {name: tensor.shape for name, tensor in stored.items()}, shapes, str(folder))
    for group in found:
        for name, tensor in zip(group.own, read_group(group, stored, shapes), strict=True):
            _place(module, names[name], tensor)


def read_group(group: Group, stored: Mapping[str, StoredTensor], shapes: Mapping[str, Shape]) -> Iterator[Tensor]:
    """The weights of a group, in the type in which they are stored.

    Args:
        group: Of weights.
        stored: Every tensor of the files.
        shapes: Of the module's weights.
    """
    sources = [stored[name] for name in group.stored]
    source, begin = 0, 0  # the next row to be read
    for name in group.own:
        out = torch.empty(group.own_rows(shapes[name]), dtype=sources[0].dtype)
        row = 0
        while row < len(out):
            count = min(len(out) - row, sources[source].shape[0] - begin)
            rows = out[row : row + count]
            if sources[source].dtype == out.dtype:
                sources[source].read_rows(begin, rows)
            else:
                other = torch.empty_like(rows, dtype=sources[source].dtype)
                sources[source].read_rows(begin, other)
                rows.copy_(other)
            row, begin = row + count, begin + count
            if begin == sources[source].shape[0]:
                source, begin = source + 1, 0
        yield as_own(group, out, shapes[name])


def as_own(group: Group, tensor: Tensor, shape: Shape) -> Tensor:
    """A tensor in its stored form in the form of our weight of a shape."""
    if group.is_patches:
        out, channels, height, width = shape
        return tensor.view(out, height, width, channels).permute(0, 3, 1, 2).contiguous()
    return tensor.unsqueeze(0) if group.is_batched else tensor


def as_stored(group: Group, tensor: Tensor) -> Tensor:
    """The way back of `as_own`."""
    if group.is_patches:
        return tensor.permute(0, 2, 3, 1).flatten(1)
    return tensor[0] if group.is_batched else tensor


def _place(module: nn.Module, name: str, tensor: Tensor) -> None:
    """Put a tensor where a parameter was, which may have had no memory."""
    path, _, leaf = name.rpartition(".")
    owner = module.get_submodule(path)
    setattr(owner, leaf, nn.Parameter(tensor, requires_grad=getattr(owner, leaf).requires_grad))
