"""Low-rank adapters of any component, through peft: every target W x becomes W x + alpha / rank * B A x.

Source: LoRA (arXiv 2106.09685) as peft implements it; configuration and tensor names are peft's own, so that its tools
read what is written here. Differs: targets are found and checked component by component, before anything is changed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from operator import itemgetter
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from zoo.backbone import LanguageModel
from zoo.errors import ConfigError

if TYPE_CHECKING:
    from peft import LoraConfig
    from peft.tuners.lora import LoraLayer

ADAPTER_NAME = "default"
"""Under which peft keeps an adapter inside a model; left out of files."""

ADAPTABLE = ("vision", "connector", "language")

SAMPLES = 64
"""Values of each tensor that go into a digest: enough to tell two sets of weights apart, quick for billions."""


@dataclass(frozen=True, kw_only=True)
class LowRank:
    """Adapters of one component; its own weights are frozen.

    Args:
        rank: Inner channels of an adapter, 1 or more.
        alpha: Scale: what an adapter adds is multiplied by alpha / rank.
        targets: Linear layers that get one, by the ends of their names, such as q_proj or attn.qkv; `linear` takes
            every linear layer but the output head.
    """

    rank: int = 16
    alpha: int = 32
    targets: list[str] | Literal["linear"] = "linear"

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha < 1:
            raise ConfigError(f"lora: rank {self.rank} and alpha {self.alpha} must be 1 or more")
        if not self.targets:
            raise ConfigError("lora: targets is empty; name linear layers, such as [q_proj, v_proj], or say linear")


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """Which components are trained through adapters; the others are trained or frozen as their rates say.

    Args:
        vision: The vision encoder.
        connector: The connector.
        language: The language model.
        dropout: Share of an adapter's inputs that are zeroed in training.
        initial: Distribution of A; B starts at zero, so that a new adapter changes nothing.
    """

    vision: LowRank | None = None
    connector: LowRank | None = None
    language: LowRank | None = None
    dropout: float = 0.0
    initial: Literal["kaiming", "gaussian"] = "kaiming"

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"lora: dropout must be in [0, 1), got {self.dropout}")

    def components(self) -> dict[str, LowRank]:
        """The adapted components."""
        return {name: low_rank for name in ADAPTABLE if (low_rank := getattr(self, name)) is not None}


def is_adapter(name: str) -> bool:
    """Whether a parameter of this name belongs to an adapter."""
    return ".lora_" in name


def base_name(name: str) -> str:
    """The name that a parameter has without adapters around its layer."""
    return name.replace(".base_layer.", ".")


def find_targets(
    component: str,
    module: nn.Module,
    targets: Sequence[str] | Literal["linear"],
    *,
    idle: Iterable[nn.Module] = (),
) -> list[str]:
    """Names, inside a component, of the linear layers that get adapters.

    Args:
        component: Name of the component, for messages.
        module: The component.
        targets: See `LowRank`.
        idle: Modules that are never run; their layers get none.
    Raises:
        ConfigError: a target that no linear layer ends in, or one whose weights another layer shares.
    """
    never = {id(layer) for part in idle for layer in part.modules()}
    used = ((name, layer) for name, layer in module.named_modules() if id(layer) not in never)
    linears = {name: layer for name, layer in used if isinstance(layer, nn.Linear)}
    uses = Counter(id(parameter) for _, parameter in module.named_parameters(remove_duplicate=False))
    shared = {name for name, layer in linears.items() if uses[id(layer.weight)] > 1}
    if targets == "linear":
        vocab_size = module.vocab_size if isinstance(module, LanguageModel) else None
        return [name for name, layer in linears.items() if name not in shared and layer.out_features != vocab_size]
    found = {target: [n for n in linears if n == target or n.endswith(f".{target}")] for target in targets}
    missing = [target for target, names in found.items() if not names]
    if missing:
        offered = ", ".join(sorted({name.rpartition(".")[2] for name in linears}))
        raise ConfigError(f"model.lora.{component}.targets: no linear layer called {', '.join(missing)}; has {offered}")
    tied = sorted(shared.intersection(*[{name for names in found.values() for name in names}]))
    if tied:
        raise ConfigError(
            f"model.lora.{component}.targets: {tied[0]} shares its weights with another layer, which would change as "
            "well; leave it out"
        )
    return [name for name in linears if any(name in names for names in found.values())]


def _pattern(names: Iterable[str]) -> str:
    """A regular expression of names in which a layer's number stands for all of them."""
    forms = {r"\.".join(r"\d+" if part.isdigit() else re.escape(part) for part in name.split(".")) for name in names}
    return "|".join(sorted(forms))


def lora_config(
    root: nn.Module, parts: Mapping[str, str], settings: LoraSettings, *, idle: Sequence[nn.Module] = ()
) -> LoraConfig:
    """The settings as peft's configuration.

    Args:
        root: The module that adapters are injected into.
        parts: Name below the root of every adaptable component.
        settings: Which components, and how.
        idle: Modules that are never run.
    Raises:
        ConfigError: a target that does not exist, or cannot be adapted.
    """
    from peft import LoraConfig  # three seconds that runs without adapters do not pay

    chosen: dict[str, LowRank] = {}
    for component, low_rank in settings.components().items():
        module = root.get_submodule(parts[component])
        for name in find_targets(component, module, low_rank.targets, idle=idle):
            chosen[f"{parts[component]}.{name}"] = low_rank
    pattern = _pattern(chosen)
    matched = {name for name, _ in root.named_modules() if re.fullmatch(pattern, name)}
    first, *others = settings.components().items()
    return LoraConfig(
        r=first[1].rank,
        lora_alpha=first[1].alpha,
        rank_pattern={rf"{re.escape(parts[name])}\..+": low_rank.rank for name, low_rank in others},
        alpha_pattern={rf"{re.escape(parts[name])}\..+": low_rank.alpha for name, low_rank in others},
        target_modules=pattern if matched == set(chosen) else sorted(chosen),
        lora_dropout=settings.dropout,
        init_lora_weights="gaussian" if settings.initial == "gaussian" else True,
        bias="none",
    )


def inject(root: nn.Module, config: LoraConfig, adapted: Iterable[nn.Module]) -> None:
    """Put adapters into a module, in place.

    Args:
        root: Gets peft's layers and an attribute `peft_config`.
        config: Where and how.
        adapted: Components whose own weights are frozen; all others stay as trainable as they were.
    """
    from peft import inject_adapter_in_model

    trainable = [parameter for parameter in root.parameters() if parameter.requires_grad]
    # Not into the root itself: a LightningModule on a device mesh looks to peft like a model of transformers.
    holder = nn.ModuleDict(dict(root.named_children()))
    inject_adapter_in_model(config, holder, adapter_name=ADAPTER_NAME)  # freezes everything it did not make
    root.peft_config = holder.peft_config
    for _, layer in _adapted_layers(root):
        layer.train(layer.get_base_layer().training)  # new layers drop inputs, also inside a module in evaluation
    frozen = {id(parameter) for module in adapted for parameter in module.parameters()}
    for parameter in trainable:
        parameter.requires_grad_(id(parameter) not in frozen)


def _adapted_layers(root: nn.Module) -> list[tuple[str, LoraLayer]]:
    from peft.tuners.lora import LoraLayer

    return [(name, layer) for name, layer in root.named_modules() if isinstance(layer, LoraLayer)]


def merge(root: nn.Module) -> None:
    """Fold every adapter into the weights below it and take it out, in place.

    Raises:
        ConfigError: there is no adapter, or one holds values that are no finite numbers; nothing is taken out then.
    """
    layers = _adapted_layers(root)
    if not layers:
        raise ConfigError("there is no adapter to merge: the model was trained without model.lora")
    for name, layer in layers:
        try:
            layer.merge(safe_merge=True)
        except ValueError as error:
            for _, done in layers:
                if done.merged:
                    done.unmerge()
            raise ConfigError(f"the adapter of {name} cannot be merged: {error}") from error
    remove(root)


def merged_weight(root: nn.Module, name: str) -> Tensor:
    """A weight as it would be after `merge`; the module keeps its adapters.

    Args:
        root: With or without adapters.
        name: Of a parameter, as it is called without adapters.
    Raises:
        ConfigError: an adapter holds values that are no finite numbers.
    """
    path, _, leaf = name.rpartition(".")
    layer = root.get_submodule(path)
    if not hasattr(layer, "get_base_layer"):
        return layer.get_parameter(leaf)
    weight = layer.get_base_layer().get_parameter(leaf)
    if leaf == "weight" and not layer.merged:
        weight = weight + layer.get_delta_weight(ADAPTER_NAME).to(weight.dtype)
        if not bool(weight.isfinite().all()):
            raise ConfigError(f"the adapter of {path} cannot be merged: it holds values that are no finite numbers")
    return weight


def remove(root: nn.Module) -> None:
    """Take every adapter out, in place; weights stay as they are, frozen or not."""
    for name, layer in _adapted_layers(root):
        parent, _, leaf = name.rpartition(".")
        setattr(root.get_submodule(parent), leaf, layer.get_base_layer())
    vars(root).pop("peft_config", None)


def base_parameters(modules: Iterable[nn.Module]) -> Iterator[tuple[str, Tensor]]:
    """Parameters of a component without its adapters, by the names that they have without adapters."""
    for number, module in enumerate(modules):
        for name, parameter in module.named_parameters():
            if not is_adapter(name):
                yield f"{number}.{base_name(name)}", parameter


def digest(modules: Iterable[nn.Module]) -> str | None:
    """A fingerprint of a component's weights, adapters left out: names, shapes and a sample of the values.

    Values count as bfloat16 has them, so that the same weights in another precision give the same digest.

    Returns:
        Hexadecimal; None where the weights are on the meta device.
    """
    seen = sha256()
    for name, parameter in sorted(base_parameters(modules), key=itemgetter(0)):
        if parameter.is_meta:
            return None
        values = parameter.detach().flatten()
        sample = values[:: max(1, len(values) // SAMPLES)][:SAMPLES].to(torch.bfloat16).view(torch.int16)
        seen.update(f"{name} {tuple(parameter.shape)}".encode() + sample.cpu().numpy().tobytes())
    return seen.hexdigest()[:16]
