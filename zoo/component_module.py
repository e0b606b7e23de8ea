"""A LightningModule of components, each with a rate of its own: frozen, optimised, clipped, cut into slices, stored.

How it runs in several processes: docs/parallel.md.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule
from torch import Tensor, nn

from zoo import sharding, zero
from zoo.callbacks.last_step import LastStepCheckpoint
from zoo.callbacks.random_states import RandomStates
from zoo.errors import ConfigError
from zoo.optimisation import (
    Component,
    SharedSettings,
    build_optimizer,
    clip_by_component,
    freeze,
    learning_rate_share,
    parameter_groups,
)
from zoo.portable import Portable
from zoo.weights import check_fit

if TYPE_CHECKING:
    from zoo.checkpoints.card import Training


class ComponentModule(LightningModule, ABC):
    """What modules share, whatever they learn.

    Args:
        model: What is trained.
        optimiser: Rate 0 freezes a component.

    Attributes:
        frozen: Names of the parameters that are not trained.
        fetched: Parts of the model whose weights come from files that the recipe names.
    """

    def __init__(self, *, model: nn.Module, optimiser: SharedSettings) -> None:
        super().__init__()
        self.model = model
        self.optimiser = optimiser
        self.frozen: frozenset[str] = frozenset()
        self.fetched: frozenset[str] = frozenset()
        self._is_configured = False
        self._is_whole = False

    @abstractmethod
    def components(self) -> dict[Component, list[nn.Module]]:
        """The modules of each optimiser group."""

    @abstractmethod
    def idle(self) -> tuple[nn.Module, ...]:
        """Modules that are never run, and so never trained."""

    @abstractmethod
    def shard(self) -> None:
        """Cut the weights into slices of the strategy's mesh; further calls do nothing."""

    @abstractmethod
    def sharded_parts(self) -> tuple[nn.Module, ...]:
        """The roots of what `shard` cuts."""

    @abstractmethod
    def portable_parts(self) -> dict[str, Portable]:
        """The parts that may stand on files, by the module's argument."""

    # -- what is trained ----------------------------------------------------------------------------------------------

    def configure_model(self) -> None:
        """Freeze what is not trained, and cut the weights where the strategy is `fsdp2`.

        Called by Lightning in every process, before it looks at the parameters; further calls do nothing.
        """
        if not self._is_configured:
            self._prepare()
            self._is_configured = True
        if self.device_mesh is not None:
            self.shard()

    def _prepare(self) -> None:
        freeze(self.components(), self.optimiser)
        for module in self.idle():
            module.requires_grad_(False)
        self.remember_frozen()
        # DistributedDataParallel sends buffers in every pass, also of an evaluation, where processes differ in their
        # number of batches and would wait for ever. Ours are constants.
        self._ddp_params_and_buffers_to_ignore = [name for name, _ in self.named_buffers()]

    def remember_frozen(self) -> None:
        """Take down which parameters are frozen now."""
        self.frozen = frozenset(n for n, p in self.named_parameters(remove_duplicate=False) if not p.requires_grad)

    def configure_callbacks(self) -> list[Callback]:
        """What every run needs; one that a recipe lists itself stays as it is."""
        listed = {type(callback) for callback in self.trainer.callbacks}
        return [kind() for kind in (RandomStates, LastStepCheckpoint) if kind not in listed]

    def on_fit_start(self) -> None:
        self.train()  # a module that was loaded comes in evaluation mode, and Lightning leaves it there

    # -- optimisation -------------------------------------------------------------------------------------------------

    def configure_optimizers(self) -> dict[str, object]:
        settings = self.optimiser
        if settings.method == "muon" and self.device_mesh is not None:
            raise ConfigError(
                f"model.optimiser.method: muon turns whole matrices, {sharding.NAME} keeps slices; say adamw, or "
                "trainer.strategy: ddp"
            )
        own_clipping = bool(settings.clip_norm) and self.trainer.gradient_clip_val is None
        zero.check_optimiser(self.trainer.strategy, method=settings.method, clips_components=own_clipping)
        groups = parameter_groups(self.components(), settings)
        optimizer = build_optimizer(groups, settings)
        total = int(min(self.trainer.estimated_stepping_batches, 2**31))

        def share(warmup_steps: int):
            return lambda step: learning_rate_share(
                step,
                warmup_steps=warmup_steps,
                total_steps=total,
                final_share=settings.final_share,
                decay_share=settings.decay_share,
            )

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, [share(g["warmup_steps"]) for g in groups])
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        if gradient_clip_val is not None:  # the user's own Trainer flag replaces ours
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
        elif self.optimiser.clip_norm:
            norms = clip_by_component(optimizer, self.optimiser.clip_norm)
            self.log_dict({f"gradient_norm/{name}": norm for name, norm in norms.items()})

    @property
    def has_global_batch(self) -> bool:
        """Whether losses are means over the batches of several processes.

        In training only: an evaluation may have another number of batches in every process.
        """
        return self._trainer is not None and self.trainer.world_size > 1 and self.trainer.training

    def mean_over_processes(self, value: Tensor) -> Tensor:
        """Mean of a value that every process has, in training; elsewhere the value."""
        return self.trainer.strategy.reduce(value, reduce_op="mean") if self.has_global_batch else value

    # -- evaluation under slices --------------------------------------------------------------------------------------

    def on_validation_start(self) -> None:
        self._gather()

    def on_validation_end(self) -> None:
        self._scatter()

    on_test_start = on_predict_start = on_validation_start
    on_test_end = on_predict_end = on_validation_end

    def _gather(self) -> None:
        """Hold all weights in every process: batches differ in number, so nobody could wait for anybody's layers."""
        for part in self.sharded_parts():
            sharding.gather(part)

    def _scatter(self) -> None:
        for part in self.sharded_parts():
            sharding.scatter(part)

    # -- weights ------------------------------------------------------------------------------------------------------

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Inside, the module's state holds every weight, also those that a run's checkpoint leaves out."""
        before, self._is_whole = self._is_whole, True
        try:
            yield
        finally:
            self._is_whole = before

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load what `state_dict` gave: exactly its names and shapes.

        Raises:
            ConfigError: a name too many or too few, or another size.
        """
        if strict and self.device_mesh is None:
            shapes = {name: tuple(tensor.shape) for name, tensor in state_dict.items()}
            check_fit(self, shapes, "the checkpoint", hint="give the flags and the recipe of its run")
        return super().load_state_dict(state_dict, strict=strict, assign=assign)

    def save_pretrained(
        self,
        folder: str | Path,
        *,
        training: Training | None = None,
        max_shard_size: str = "5GB",
        stored_dtype: Literal["float16", "bfloat16"] | None = None,
    ) -> Path:
        """Write a checkpoint folder, which `zoo.from_pretrained` reads; see `zoo.checkpoints.pretrained`."""
        from zoo.checkpoints.pretrained import save_pretrained

        return save_pretrained(
            self, folder, training=training, max_shard_size=max_shard_size, stored_dtype=stored_dtype
        )

    def push_to_hub(
        self,
        repository: str,
        *,
        revision: str | None = None,
        private: bool | None = None,
        training: Training | None = None,
    ) -> str:
        """Put a checkpoint folder on the hub and return the commit's address; see `zoo.checkpoints.pretrained`."""
        from zoo.checkpoints.pretrained import push_to_hub

        return push_to_hub(self, repository, revision=revision, private=private, training=training)
