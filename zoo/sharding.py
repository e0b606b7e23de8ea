"""Fully sharded training: every process keeps a slice of each weight, its gradient and its optimiser state.

Source: torch's FSDP2 (`fully_shard`) and Lightning's ModelParallelStrategy. Differs: weights need to exist in the first
process only; the others build on the meta device and receive each unit just before it is cut into slices, so that
nobody but the first process ever holds more than one unit whole, and pretrained weights, initialisations and buffers
need no second description (no `reset_parameters`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from lightning.fabric.plugins.collectives.torch_collective import default_pg_timeout
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import ModelParallelStrategy, StrategyRegistry
from lightning.pytorch.utilities import rank_zero_only
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_optimizer_state_dict
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from zoo.errors import ConfigError

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

NAME = "fsdp2"
"""What `trainer.strategy` calls it."""

FIRST = 0
"""The process whose weights count."""


class FullySharded(ModelParallelStrategy):
    """Lightning's strategy for FSDP2 with every process in one data-parallel group.

    Args:
        save_distributed_checkpoint: Every process writes its slices into a folder; else the first one writes one file.
        timeout: How long a process waits for the others.
    """

    def __init__(
        self, *, save_distributed_checkpoint: bool = True, timeout: timedelta | None = default_pg_timeout
    ) -> None:
        super().__init__(
            tensor_parallel_size=1, save_distributed_checkpoint=save_distributed_checkpoint, timeout=timeout
        )

    def setup_environment(self) -> None:
        """Size the data-parallel group, which Lightning would take to be one process a machine."""
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """The optimiser's state for a checkpoint; in one plain file numbered as torch's optimisers number it.

        Lightning numbers by the order of the module's parameters. Optimisers count theirs group by group, and one with
        groups of another order would give every parameter the state of some other.
        """
        if self._save_distributed_checkpoint:
            return super().optimizer_state(optimizer)
        inner = optimizer.optimizer if isinstance(optimizer, LightningOptimizer) else optimizer
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        named = get_optimizer_state_dict(self.model, inner, options=options)
        if not self.is_global_zero:
            return named
        names = chain.from_iterable(group["params"] for group in named["param_groups"])
        numbers = {name: number for number, name in enumerate(names)}
        groups = [{**group, "params": [numbers[name] for name in group["params"]]} for group in named["param_groups"]]
        return {"state": {numbers[name]: state for name, state in named["state"].items()}, "param_groups": groups}


StrategyRegistry.register(NAME, FullySharded, description="Slices of weights in every process (torch's FSDP2)")


def receives_weights(strategy: object) -> bool:
    """Whether this process may build modules without weights, on the meta device, because `fsdp2` sends them.

    Args:
        strategy: The Trainer's argument, as a recipe has it.
    """
    is_sharded = strategy == NAME or f"{FullySharded.__module__}.{FullySharded.__name__}" in str(strategy)
    return is_sharded and rank_zero_only.rank != FIRST


def receive(module: nn.Module, device: torch.device) -> None:
    """Replace every tensor of a module that is not cut yet by the first process's, on a device; must run everywhere.

    Args:
        module: Has weights in the first process; elsewhere weights or, on the meta device, shapes.
        device: Where the tensors are to lie.
    """
    made: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}  # tied weights stay one; the old ones keep their ids
    for owner in module.modules():
        for name, old in [*owner.named_parameters(recurse=False), *owner.named_buffers(recurse=False)]:
            if isinstance(old, DTensor):
                continue
            if id(old) not in made:
                new = torch.empty_like(old, device=device) if old.is_meta else old.detach().to(device).contiguous()
                torch.distributed.broadcast(new, src=FIRST)
                is_parameter = isinstance(old, nn.Parameter)
                made[id(old)] = (old, nn.Parameter(new, old.requires_grad) if is_parameter else new)
            setattr(owner, name, made[id(old)][1])


def shard(
    module: nn.Module, mesh: DeviceMesh, *, units: Iterable[nn.Module] = (), methods: Iterable[str] = ("forward",)
) -> None:
    """Cut a module into slices, in place; further calls do nothing.

    Args:
        module: What is cut; on all processes but the first it may lie on the meta device.
        mesh: Lightning's, of (data, tensor) parallel processes.
        units: Modules inside that are gathered, run and dropped one at a time.
        methods: Which of the module's methods find its own weights whole.
    Raises:
        ConfigError: the mesh has tensor-parallel processes, or the first process has no weights.
    """
    if isinstance(module, FSDPModule):
        return
    if mesh["tensor_parallel"].size() != 1:
        raise ConfigError(
            f"trainer.strategy: {mesh['tensor_parallel'].size()} tensor-parallel processes, but models here are cut by "
            f"data only; say trainer.strategy: {NAME}"
        )
    device = torch.device(mesh.device_type, torch.cuda.current_device() if mesh.device_type == "cuda" else None)
    lacking = torch.tensor(any(parameter.is_meta for parameter in module.parameters()), device=device)
    torch.distributed.broadcast(lacking, src=FIRST)  # so that all processes end, and none waits for weights
    if lacking:
        raise ConfigError("the first process has no weights to hand out; build the module there without meta tensors")
    parts = [*units, module]
    for part in parts:
        receive(part, device)
        fully_shard(part, mesh=mesh["data_parallel"])
    # What is gathered ahead in the backward pass is torch's guess from all forward passes since the last, also those
    # of an evaluation, of which processes run different numbers: they would wait for one another's guesses for ever.
    for before, unit in zip([module, *parts], parts[:-1], strict=False):  # the module's own weights are whole by then
        unit.set_modules_to_backward_prefetch([before])
    module.set_modules_to_backward_prefetch(parts[-2:-1] or [module])
    for method in set(methods) - {"forward"}:
        register_fsdp_forward_method(module, method)


def gather(root: nn.Module) -> None:
    """Make every weight whole and keep it whole, until `scatter`; must run on all processes.

    Nothing waits for other processes afterwards, so they may run the module as often as they like, or not at all.
    """
    with torch.inference_mode(False):  # weights made in an evaluation are trained on later
        for module in root.modules():
            if isinstance(module, FSDPModule):
                if module is not root:
                    module.set_reshard_after_forward(False, recurse=False)
                module.unshard()


def scatter(root: nn.Module) -> None:
    """Undo `gather`."""
    for module in root.modules():
        if isinstance(module, FSDPModule):
            if module is not root:  # a root stays whole between its forward and its backward pass
                module.set_reshard_after_forward(True, recurse=False)
            module.reshard()
