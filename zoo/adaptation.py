"""What of a module's weights is trained, frozen, adapted or cut, and what of them a run's checkpoint holds.

Source: adapters are peft's (`zoo.lora`), slices torch's FSDP2 (`zoo.sharding`); what is saved: docs/lora.md.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from typing import Any

from torch import nn

from zoo import lora as low_rank
from zoo import sharding
from zoo.component_module import ComponentModule
from zoo.errors import ConfigError
from zoo.lora import LoraSettings
from zoo.model import VideoLanguageModel
from zoo.optimisation import OptimiserSettings

NO_ADAPTERS = LoraSettings()

BASE_KEY = "base_weights"
"""What a `.ckpt` without some of its frozen weights says about them."""


class AdaptableModule(ComponentModule, ABC):
    """A module of components, each trained whole, through adapters or not at all.

    While parts of the model that were fetched are frozen, the checkpoints of a run with adapters leave them out;
    whoever goes on fetches them again.

    Args:
        model: The trunk; its parts are called as in `zoo.lora.ADAPTABLE`.
        heads: By name.
        optimiser: Rate 0 freezes a component.
        lora: Components that are trained through low-rank adapters, their own weights frozen.
    """

    def __init__(
        self, *, model: VideoLanguageModel, heads: nn.ModuleDict, optimiser: OptimiserSettings, lora: LoraSettings
    ) -> None:
        super().__init__(model=model, optimiser=optimiser)
        self.heads = heads
        self.lora = lora
        self._base_weights: dict[str, str | None] = {}

    @property
    def is_adapted(self) -> bool:
        """Whether there are adapters in the model now."""
        return "peft_config" in vars(self)

    def idle(self) -> tuple[nn.Module, ...]:
        return self.model.vision.idle()

    def _prepare(self) -> None:
        """Put adapters in, freeze what is not trained.

        Raises:
            ConfigError: an adapter's target does not exist.
        """
        adapted = self.lora.components()
        modules = self.components()
        if adapted and not self.is_adapted:
            parts = {name: f"model.{name}" for name in low_rank.ADAPTABLE}
            config = low_rank.lora_config(self, parts, self.lora, idle=self.idle())
            low_rank.inject(self, config, [module for name in adapted for module in modules[name]])
        super()._prepare()
        self._base_weights = {
            name: low_rank.digest(parts)
            for name, parts in modules.items()
            if adapted and (name in adapted or self.optimiser.of(name).learning_rate == 0)
        }

    def merge_adapters(self) -> None:
        """Fold adapters into the weights, in place: what is left is a module without adapters.

        Raises:
            ConfigError: there is none.
        """
        low_rank.merge(self)
        self.requires_grad_(True)
        self.lora = NO_ADAPTERS
        self._is_configured = False  # what is frozen is decided anew when it is trained again

    def sharded_parts(self) -> tuple[nn.Module, ...]:
        return (self.model, *self.heads.values())

    def shard(self) -> None:
        sharding.shard(self.model, self.device_mesh, units=self.model.units(), methods=("forward", "prefill"))
        for head in self.heads.values():
            if any(True for _ in head.parameters()):
                sharding.shard(head, self.device_mesh, methods=("loss",))

    def state_dict(
        self, *, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """All weights, but those of a run with adapters that are frozen and can be fetched again; see `whole`."""
        state = super().state_dict(destination=destination, prefix=prefix, keep_vars=keep_vars)
        for name in self._left_out():
            state.pop(prefix + name, None)
        return state

    def _left_out(self) -> list[str]:
        """Names of weights that a run's checkpoint does not hold."""
        if self._is_whole or not self.is_adapted:
            return []
        return [name for name in self.frozen if name.startswith(tuple(f"model.{part}." for part in self.fetched))]

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load what `state_dict` gave: exactly its names and shapes.

        Raises:
            ConfigError: a name too many or too few, or another size.
        """
        if not self.is_adapted:
            return super().load_state_dict(state_dict, strict=strict, assign=assign)
        expected, given = set(self.state_dict()), set(state_dict)
        if strict and expected != given:
            raise ConfigError(
                f"weights of a run with adapters do not fit: missing {sorted(expected - given)[:3]}, unexpected "
                f"{sorted(given - expected)[:3]}; model.lora and model.optimiser must be those of the run"
            )
        return super().load_state_dict(state_dict, strict=False, assign=assign)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self.is_adapted:
            checkpoint[BASE_KEY] = {n: digest for n, digest in self._base_weights.items() if n in self.fetched}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to put trained adapters over other frozen weights than they were trained with.

        Raises:
            ConfigError: names the components.
        """
        saved = checkpoint.get(BASE_KEY, {}) if self.is_adapted else {}
        known = {name: own for name, own in self._base_weights.items() if own is not None}
        other = [name for name, own in known.items() if saved.get(name, own) not in (own, None)]
        if other:
            raise ConfigError(
                f"the checkpoint holds adapters for other frozen weights of {', '.join(other)}; start from the weights "
                "(pretrained, or seed_everything) that its run started from"
            )
