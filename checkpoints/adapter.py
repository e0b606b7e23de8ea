"""Adapters in peft's own layout, which `PeftModel.from_pretrained` reads over the same module without adapters.

`adapter_config.json` says where adapters go; its `modules_to_save` names the parts that were trained whole beside them
(connector, heads, ...). `adapter_model.safetensors` holds both, under the module's own names. Source: peft's
configuration and tensor names. Differs: its header also says what base the adapter was trained over, and reading
demands exactly the expected names and shapes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from zoo import lora
from zoo.errors import ConfigError, DataError
from zoo.module import ZooModule

if TYPE_CHECKING:
    from peft import LoraConfig

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PICKLE = "adapter_model.bin"

PREFIX = "base_model.model."
"""What peft puts before every name."""

BASE_KEY = "zoo_base"
"""Entry of the weights' header that describes the base."""

SHOWN = 3
"""Names of each kind that an error lists."""

SHAPING = ("r", "lora_alpha", "rank_pattern", "alpha_pattern", "target_modules", "modules_to_save")
"""Entries of a configuration that decide what an adapter computes."""

HARMLESS = frozenset(
    {
        *("auto_mapping", "base_model_name_or_path", "inference_mode", "init_lora_weights", "lora_dropout"),
        *("peft_type", "peft_version", "revision", "task_type", "runtime_config"),
    }
)
"""Entries that may have any value; every other one must say what plain LoRA says."""


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """An adapter's folder, read but for its tensors' values.

    Args:
        folder: Where it lies.
        config: Where adapters go, and which parts were trained whole.
        shapes: Of every tensor, by its name in the file.
        base: Parameters of each component of the base, and digests of those that were frozen; empty where the file
            does not say, because peft wrote it.
    """

    folder: Path
    config: LoraConfig
    shapes: Mapping[str, tuple[int, ...]]
    base: Mapping[str, Mapping[str, Any]]


def save_adapter(module: ZooModule, folder: Path, *, base: str | None = None) -> None:
    """Write what a module's training with adapters has changed.

    Args:
        module: Trained with `model.lora`.
        folder: Made where it is missing.
        base: Hub id or path of the weights that the adapter belongs to, for the reader.
    Raises:
        ConfigError: the module has no adapters.
    """
    if not module.is_adapted:
        raise ConfigError("this model was trained without model.lora, so there is no adapter to save")
    config = copy(module.peft_config[lora.ADAPTER_NAME])
    config.modules_to_save = _trained_parts(module) or None
    config.base_model_name_or_path = base
    config.inference_mode = True
    if not isinstance(config.target_modules, str):
        config.target_modules = sorted(config.target_modules)
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(str(folder))
    tensors = {name: tensor.detach().cpu().clone() for name, tensor in _tensors(module, config).items()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt", BASE_KEY: json.dumps(_describe_base(module))})


def load_adapter(module: ZooModule, folder: Path, *, same_weights: bool = True) -> None:
    """Put an adapter over a module, in place.

    Args:
        module: The base; or one that was built with the adapter's own `model.lora`, to be trained further.
        folder: In peft's layout, written by `save_adapter` or by peft.
        same_weights: Refuse an adapter that was trained over other weights of the same shapes.
    Raises:
        ConfigError: there is no adapter, it is another kind than plain LoRA, or it is for another base.
        DataError: its files do not parse.
    """
    adapter = read_adapter(folder)
    _check_base(module, adapter, same_weights=same_weights)
    if module.is_adapted:
        _check_same_settings(module, adapter)
        _check_exact(module, adapter)
    else:
        trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
        try:
            _inject(module, adapter)
            _check_exact(module, adapter)
        except ConfigError:
            lora.remove(module)
            for parameter in trainable:
                parameter.requires_grad_(True)
            raise
        module.remember_frozen()
    own = _tensors(module, adapter.config)
    for name, tensor in load_file(folder / WEIGHTS).items():
        own[name].data.copy_(tensor)


def read_adapter(folder: Path) -> Adapter:
    """An adapter's configuration and the names and shapes of its tensors.

    Raises:
        ConfigError: there is none, it is a pickle, or another kind than plain LoRA.
        DataError: a file does not parse.
    """
    if not (folder / CONFIG).is_file() or not (folder / WEIGHTS).is_file():
        if (folder / PICKLE).is_file():
            raise ConfigError(f"{folder / PICKLE} is a pickle, which can run code when it is read; ask for {WEIGHTS}")
        raise ConfigError(f"no adapter in {folder}: expected {CONFIG} and {WEIGHTS}")
    config = _read_config(folder / CONFIG)
    try:
        with safe_open(folder / WEIGHTS, framework="pt") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            header = file.metadata() or {}
        base = json.loads(header.get(BASE_KEY, "{}"))
    except (SafetensorError, ValueError) as error:
        raise DataError(f"{folder / WEIGHTS} is cut short, or no safetensors file: {error}") from error
    if not isinstance(base, dict) or not all(isinstance(entry, dict) for entry in base.values()):
        raise DataError(f"{folder / WEIGHTS}: its header's {BASE_KEY} describes no base")
    return Adapter(folder=folder, config=config, shapes=shapes, base=base)


def _read_config(file: Path) -> LoraConfig:
    from peft import LoraConfig

    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{file} does not parse: {error}") from error
    if not isinstance(stored, dict) or stored.get("peft_type") != "LORA":
        kind = stored.get("peft_type") if isinstance(stored, dict) else None
        raise ConfigError(f"{file} describes an adapter of type {kind!r}; LORA is what runs here")
    shaping = {name: stored[name] for name in SHAPING if stored.get(name) is not None}
    wrong = [name for name, value in shaping.items() if not _is_shaping(name, value)]
    if wrong or "target_modules" not in shaping:
        raise DataError(f"{file}: {(wrong or ['target_modules'])[0]} has no value that peft writes there")
    plain = LoraConfig().to_dict()
    other = [
        name
        for name, value in stored.items()
        if name not in SHAPING and name not in HARMLESS and value not in (plain.get(name), None, False, [], {})
    ]
    if other or stored.get("init_lora_weights") not in (True, False, None, "gaussian"):
        raise ConfigError(f"{file} sets {', '.join(other or ['init_lora_weights'])}; plain LoRA is what runs here")
    parts = sorted(shaping.pop("modules_to_save", []))
    return LoraConfig(**shaping, lora_dropout=0.0, modules_to_save=parts or None)


def _is_shaping(name: str, value: Any) -> bool:
    """Whether an entry has the type and range that peft writes, so that it can be used without a further look."""
    if name in ("r", "lora_alpha"):
        return type(value) in (int, float) and value > 0 and (name == "lora_alpha" or type(value) is int)
    if name.endswith("_pattern"):
        which = "r" if name == "rank_pattern" else "lora_alpha"
        return isinstance(value, dict) and all(_is_regex(k) and _is_shaping(which, v) for k, v in value.items())
    if isinstance(value, str):
        return name == "target_modules" and _is_regex(value)
    return isinstance(value, list) and all(isinstance(entry, str) and entry for entry in value)


def _is_regex(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True


def _part_names(module: ZooModule) -> dict[str, str]:
    """Name of every part of every component, and the component."""
    names = {id(part): name for name, part in module.named_modules()}
    return {names[id(part)]: component for component, parts in module.components().items() for part in parts}


def _trained_parts(module: ZooModule) -> list[str]:
    """Parts that are trained whole, beside the adapters."""
    own = {
        part: [f"{part}.{n}" for n, _ in module.get_submodule(part).named_parameters()] for part in _part_names(module)
    }
    return [
        part
        for part, names in own.items()
        if not any(map(lora.is_adapter, names)) and not module.frozen.issuperset(names)
    ]


def _tensors(module: ZooModule, config: LoraConfig) -> dict[str, Tensor]:
    """Everything that belongs into an adapter's file, by its name there; the module's own memory."""
    from peft import get_peft_model_state_dict

    found = get_peft_model_state_dict(module, save_embedding_layers=False)
    for part in config.modules_to_save or ():
        found |= {f"{part}.{name}": tensor for name, tensor in module.get_submodule(part).state_dict().items()}
    return {PREFIX + name: tensor for name, tensor in found.items()}


def _describe_base(module: ZooModule) -> dict[str, dict[str, Any]]:
    trained = {component for name, component in _part_names(module).items() if name in _trained_parts(module)}
    components = module.components()
    return {
        "parameters": {
            component: sum(parameter.numel() for _, parameter in lora.base_parameters(parts))
            for component, parts in components.items()
        },
        "weights": {
            component: lora.digest(parts) for component, parts in components.items() if component not in trained
        },
    }


def _check_base(module: ZooModule, adapter: Adapter, *, same_weights: bool) -> None:
    components = module.components()
    for component, count in adapter.base.get("parameters", {}).items():
        own = sum(parameter.numel() for _, parameter in lora.base_parameters(components.get(component, ())))
        if own != count:
            raise ConfigError(
                f"{adapter.folder} is an adapter for another base: its {component} has {count:,} parameters, this one "
                f"{own:,}"
            )
    other = [
        component
        for component, digest in adapter.base.get("weights", {}).items()
        if digest is not None and lora.digest(components.get(component, ())) != digest
    ]
    if other and same_weights:
        raise ConfigError(
            f"{adapter.folder} was trained over other weights of {', '.join(other)} than these; load the weights that "
            "it belongs to, or say same_weights=False"
        )


def _check_same_settings(module: ZooModule, adapter: Adapter) -> None:
    own = module.peft_config[lora.ADAPTER_NAME]
    for name in ("r", "lora_alpha", "rank_pattern", "alpha_pattern"):
        if getattr(own, name) != getattr(adapter.config, name):
            raise ConfigError(
                f"{adapter.folder} has {name} {getattr(adapter.config, name)}, model.lora {getattr(own, name)}; make "
                "model.lora the adapter's own"
            )


def _inject(module: ZooModule, adapter: Adapter) -> None:
    """Adapters where the file says, and nothing but them and its whole parts trainable."""
    absent = [part for part in adapter.config.modules_to_save or () if part not in _part_names(module)]
    if absent:
        raise ConfigError(f"{adapter.folder} is an adapter for another base: this one has no {', '.join(absent)}")
    config = copy(adapter.config)
    config.modules_to_save = None  # peft would wrap the parts; here they are trained where they are
    try:
        lora.inject(module, config, [module])
    except (ValueError, TypeError) as error:  # peft's words for targets that are missing or no linear layers
        raise ConfigError(
            f"{adapter.folder} is an adapter for another base: {' '.join(str(error).split())[:200]}"
        ) from error
    for part in adapter.config.modules_to_save or ():
        module.get_submodule(part).requires_grad_(True)


def _check_exact(module: ZooModule, adapter: Adapter) -> None:
    """Refuse names too many or too few, and other shapes."""
    own = {name: tuple(tensor.shape) for name, tensor in _tensors(module, adapter.config).items()}
    faults = {
        "missing": sorted(own.keys() - adapter.shapes.keys()),
        "unexpected": sorted(adapter.shapes.keys() - own.keys()),
        "of other sizes": sorted(n for n in own.keys() & adapter.shapes.keys() if own[n] != adapter.shapes[n]),
    }
    told = [f"{fault}: {', '.join(names[:SHOWN])}" for fault, names in faults.items() if names]
    if told:
        raise ConfigError(f"{adapter.folder / WEIGHTS} does not fit this model; {'; '.join(told)}")
