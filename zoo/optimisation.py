"""Optimiser groups of a composed model: one a component, each with its own rate, warm-up and clipping.

Source: Molmo2 sheet A7.2: AdamW, linear warm-up, cosine to a tenth of the peak, gradient norm clipped separately in
    each group, the extra embedding in the connector's group. Beside it timm's Muon, for weights that start from
    nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import nn

from zoo.errors import ConfigError
from zoo.lora import is_adapter

Component = str
"""Name of a group: a field of the settings, such as `vision`."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """How one component is trained.

    Args:
        learning_rate: Peak rate; 0 freezes the component.
        warmup_steps: Steps of linear growth from 0 to the peak.
        weight_decay: Decoupled decay of matrices; norms, biases and embeddings are never decayed.
    """

    learning_rate: float = 1e-5
    warmup_steps: int = 200
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if self.learning_rate < 0 or self.warmup_steps < 0 or self.weight_decay < 0:
            raise ConfigError(f"optimiser group: nothing in {self} may be negative")


@dataclass(frozen=True, kw_only=True)
class SharedSettings:
    """What all groups of a module share; a subclass adds a `Group` for each component of its module.

    Args:
        method: `adamw`, or `muon`: orthogonalised momentum for hidden matrices and AdamW for everything else, low-rank
            adapters too.
        betas: Decay of AdamW's first and second moments.
        eps: Added to the root of AdamW's second moment.
        muon_scale: Under `muon`, rate of the hidden matrices over that of everything else.
        final_share: Share of the peak rate that the cosine ends at.
        decay_share: Share of the steps behind the warm-up over which the cosine falls; the rate is at its peak
            before. Below 1, a checkpoint of that time can be trained on with more `max_steps` as if they had been given
            from the start (warm-up, stable, decay: MiniCPM, arXiv 2404.06395, section 4).
        clip_norm: Largest gradient norm of each group; 0 clips nothing.
    """

    method: Literal["adamw", "muon"] = "adamw"
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-6
    muon_scale: float = 5.0
    final_share: float = 0.1
    decay_share: float = 1.0
    clip_norm: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.decay_share <= 1:
            raise ConfigError(
                f"optimiser: decay_share is {self.decay_share}, expected above 0 and at most 1; for a rate that never "
                "falls, set final_share to 1"
            )

    def of(self, component: Component) -> Group:
        return getattr(self, component)


@dataclass(frozen=True, kw_only=True)
class OptimiserSettings(SharedSettings):
    """Groups of a video-language model, and what they share.

    Args:
        vision: The vision encoder.
        connector: The connector and the embedding of vision tokens.
        language: The language model.
        pruner: Parameters of pruners.
        heads: Parameters of heads.
    """

    vision: Group = field(default_factory=lambda: Group(learning_rate=5e-6))
    connector: Group = field(default_factory=lambda: Group(learning_rate=5e-6))
    language: Group = field(default_factory=lambda: Group(learning_rate=1e-5))
    pruner: Group = field(default_factory=lambda: Group(learning_rate=1e-4))
    heads: Group = field(default_factory=lambda: Group(learning_rate=1e-4))


@dataclass(frozen=True, kw_only=True)
class PolicyOptimiserSettings(SharedSettings):
    """Groups of a policy, and what they share; the defaults are SPOC's (sheet spoc_ring_holodeck_graspmolmo 1.10).

    Published are torch's own AdamW, no warm-up and no schedule. Differs: norms, biases and tables are never decayed.

    Args:
        vision: The vision encoder.
        text: The text encoder.
        trunk: The policy trunk.
        head: The policy head, and what else reads states of the trunk or of the encoders to teach them.
    """

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    final_share: float = 1.0
    clip_norm: float = 0.0
    vision: Group = field(default_factory=lambda: Group(learning_rate=0.0))
    text: Group = field(default_factory=lambda: Group(learning_rate=0.0))
    trunk: Group = field(default_factory=lambda: Group(learning_rate=1e-4, warmup_steps=0, weight_decay=0.01))
    head: Group = field(default_factory=lambda: Group(learning_rate=1e-4, warmup_steps=0, weight_decay=0.01))


def learning_rate_share(
    step: int, *, warmup_steps: int, total_steps: int, final_share: float, decay_share: float = 1.0
) -> float:
    """Share of the peak rate at a step: linear from 0, then 1, then cosine to `final_share` at the last step."""
    if step < warmup_steps:
        return step / warmup_steps
    decay_steps = max(decay_share * (total_steps - warmup_steps), 1)
    progress = min(max(step - total_steps + decay_steps, 0) / decay_steps, 1.0)
    return final_share + (1 - final_share) * (1 + math.cos(math.pi * progress)) / 2


Role = Literal["hidden", "adapter", "other"]
"""What a parameter is: weights of a linear layer or convolution; a factor of a low-rank adapter; anything else, such as
a norm, a bias, an embedding of tokens or of positions."""


def _roles(module: nn.Module) -> Iterator[tuple[nn.Parameter, Role]]:
    """A module's trainable parameters and what they are."""
    layers = [m for m in module.modules() if isinstance(m, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)]
    tables = {id(m.weight) for m in module.modules() if isinstance(m, nn.Embedding)}  # an output head may be one, too
    matrices = {id(layer.weight) for layer in layers} - tables
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            is_matrix = id(parameter) in matrices
            yield parameter, "adapter" if is_adapter(name) else "hidden" if is_matrix else "other"


def freeze(components: dict[Component, list[nn.Module]], settings: SharedSettings) -> None:
    """Freeze the components whose rate is 0; before a strategy looks at what there is to train."""
    for component, modules in components.items():
        if settings.of(component).learning_rate == 0:
            for module in modules:
                module.requires_grad_(False)


def parameter_groups(components: dict[Component, list[nn.Module]], settings: SharedSettings) -> list[dict[str, object]]:
    """Optimiser groups of all trainable parameters, each named after its component.

    Raises:
        ConfigError: nothing is left to train.
    """
    groups: list[dict[str, object]] = []
    for component, modules in components.items():
        group = settings.of(component)
        found = [pair for module in modules for pair in _roles(module)]
        for role in get_args(Role):
            chosen = [parameter for parameter, its_role in found if its_role == role]
            if chosen and group.learning_rate:
                by_muon = role == "hidden" and settings.method == "muon"
                groups.append(
                    {
                        "name": component,
                        "params": chosen,
                        "lr": group.learning_rate * (settings.muon_scale if by_muon else 1.0),
                        "weight_decay": 0.0 if role == "other" else group.weight_decay,
                        "use_fallback": not by_muon,  # timm's word for AdamW inside Muon
                        "warmup_steps": group.warmup_steps,
                    }
                )
    if not groups:
        raise ConfigError(
            "every component has learning_rate 0: nothing is left to train; raise one under model.optimiser"
        )
    return groups


def build_optimizer(groups: list[dict[str, object]], settings: SharedSettings) -> torch.optim.Optimizer:
    """The optimiser of the settings over groups made by `parameter_groups`."""
    if settings.method == "adamw":
        return torch.optim.AdamW(groups, betas=settings.betas, eps=settings.eps)
    from zoo.muon import Muon  # timm takes half a second that `zoo fit --help` can do without

    return Muon(groups, betas=settings.betas, nesterov=True)


def clip_by_component(optimizer: torch.optim.Optimizer, clip_norm: float) -> dict[str, torch.Tensor]:
    """Clip the gradient norm of each component separately; returns the norms before, over all processes' slices."""
    from torch.distributed.tensor import DTensor  # half a second that `zoo fit --help` can do without

    members: dict[str, list[nn.Parameter]] = {}
    for group in optimizer.param_groups:
        members.setdefault(group["name"], []).extend(group["params"])
    norms = {name: nn.utils.clip_grad_norm_(parameters, clip_norm) for name, parameters in members.items()}
    return {name: norm.full_tensor() if isinstance(norm, DTensor) else norm for name, norm in norms.items()}
