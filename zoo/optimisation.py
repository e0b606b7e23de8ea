"""Optimiser groups of a composed model: one a component, each with its own rate, warm-up and clipping.

Source: Molmo2 sheet A7.2: AdamW, linear warm-up, cosine to a tenth of the peak, gradient norm clipped separately in each group,
the extra embedding in the connector's group.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import nn

from zoo.errors import ConfigError

Component = Literal["vision", "connector", "language", "pruner", "heads"]


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
class OptimiserSettings:
    """AdamW with a group a component.

    Args:
        vision: The vision encoder.
        connector: The connector and the embedding of vision tokens.
        language: The language model.
        pruner: Parameters of pruners.
        heads: Parameters of heads.
        betas: Decay of the first and second moments.
        eps: Added to the root of the second moment.
        final_share: Share of the peak rate that the cosine ends at.
        clip_norm: Largest gradient norm of each group; 0 clips nothing.
    """

    vision: Group = field(default_factory=lambda: Group(learning_rate=5e-6))
    connector: Group = field(default_factory=lambda: Group(learning_rate=5e-6))
    language: Group = field(default_factory=lambda: Group(learning_rate=1e-5))
    pruner: Group = field(default_factory=lambda: Group(learning_rate=1e-4))
    heads: Group = field(default_factory=lambda: Group(learning_rate=1e-4))
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-6
    final_share: float = 0.1
    clip_norm: float = 1.0

    def of(self, component: Component) -> Group:
        return getattr(self, component)


def learning_rate_share(step: int, *, warmup_steps: int, total_steps: int, final_share: float) -> float:
    """Share of the peak rate at a step: linear from 0, then cosine to `final_share` at the last step."""
    if step < warmup_steps:
        return step / warmup_steps
    progress = min((step - warmup_steps) / max(total_steps - warmup_steps, 1), 1.0)
    return final_share + (1 - final_share) * (1 + math.cos(math.pi * progress)) / 2


def _decayed(module: nn.Module) -> Iterator[tuple[nn.Parameter, bool]]:
    """A module's parameters, and whether weight decay applies to each."""
    embeddings = {id(m.weight) for m in module.modules() if isinstance(m, nn.Embedding)}
    for parameter in module.parameters():
        yield parameter, parameter.ndim > 1 and id(parameter) not in embeddings


def parameter_groups(
    components: dict[Component, list[nn.Module]], settings: OptimiserSettings
) -> list[dict[str, object]]:
    """AdamW groups of all trainable parameters, each named after its component.

    A component with rate 0 is frozen here: its parameters stop requiring gradients.

    Raises:
        ConfigError: nothing is left to train.
    """
    groups: list[dict[str, object]] = []
    for component, modules in components.items():
        group = settings.of(component)
        if group.learning_rate == 0:
            for module in modules:
                module.requires_grad_(False)
            continue
        decays = [(p, decay) for module in modules for p, decay in _decayed(module) if p.requires_grad]
        for wanted in (True, False):
            chosen = [p for p, decay in decays if decay == wanted]
            if chosen:
                groups.append({
                    "name": component,
                    "params": chosen,
                    "lr": group.learning_rate,
                    "weight_decay": group.weight_decay if wanted else 0.0,
                    "warmup_steps": group.warmup_steps,
                })
    if not groups:
        raise ConfigError("every component has learning_rate 0: nothing is left to train; raise one under model.optimiser")
    return groups


def clip_by_component(optimizer: torch.optim.Optimizer, clip_norm: float) -> dict[str, torch.Tensor]:
    """Clip the gradient norm of each component separately; returns the norms before."""
    members: dict[str, list[nn.Parameter]] = {}
    for group in optimizer.param_groups:
        members.setdefault(group["name"], []).extend(group["params"])
    return {name: nn.utils.clip_grad_norm_(parameters, clip_norm) for name, parameters in members.items()}
