"""DeepSpeed's ZeRO, stages 1 and 2: whole weights in every process, slices of optimiser states and gradients.

Source: Lightning's DeepSpeedStrategy, under whose own names it is chosen. Differs: batches stay as they are, because
token weights are float32 and a `Batch` cannot be written to; `bf16-mixed` is autocast over float32 weights, as under
`ddp`, where DeepSpeed's own bf16 casts the model and leaves normalised pixels behind; stage 3 is left to `fsdp2`.
"""

from __future__ import annotations

from typing import Any, Literal

from lightning.pytorch.accelerators import CUDAAccelerator
from lightning.pytorch.plugins import DeepSpeedPrecision, Precision
from lightning.pytorch.strategies import DeepSpeedStrategy, Strategy, StrategyRegistry

from zoo.errors import ConfigError
from zoo.sharding import NAME as FULLY_SHARDED

STAGES = {
    "deepspeed": {},
    "deepspeed_stage_1": {"stage": 1},
    "deepspeed_stage_2": {"stage": 2},
    "deepspeed_stage_2_offload": {"stage": 2, "offload_optimizer": True},
    "deepspeed_stage_3": {"stage": 3},
    "deepspeed_stage_3_offload": {"stage": 3},
    "deepspeed_stage_3_offload_nvme": {"stage": 3},
}
"""What `trainer.strategy` calls it; Lightning's names, so that none of them means a strategy that would break here."""


AUTOCAST = {"enabled": True, "dtype": "bfloat16", "lower_precision_safe_modules": []}
"""DeepSpeed's setting for `bf16-mixed`; modules listed there would have their gradients summed in bfloat16."""


class WholeBatches(DeepSpeedPrecision):
    """Lightning's precision for DeepSpeed, without rounding what a batch holds."""

    def convert_input(self, data: Any) -> Any:
        """The batch as it is; pixels are bytes, and the model casts them when it normalises."""
        return data


class ZeroRedundancy(DeepSpeedStrategy):
    """Lightning's strategy for DeepSpeed, for batches that are no tensors.

    Args:
        stage: 1 slices optimiser states over the processes, 2 gradients as well.
        offload_optimizer: Keep optimiser states and their arithmetic on the CPU.
    Raises:
        ConfigError: stage 3.
    """

    def __init__(self, *, stage: Literal[1, 2, 3] = 2, offload_optimizer: bool = False) -> None:
        if stage == 3:
            raise ConfigError(
                "trainer.strategy: stage 3 of DeepSpeed gathers weights where a module is called, and the trunk reads "
                f"some elsewhere; say {FULLY_SHARDED}, which slices weights too, or deepspeed_stage_2"
            )
        # Only its speed report asks for a batch size, and Lightning looks for one where ours has none.
        super().__init__(stage=stage, offload_optimizer=offload_optimizer, logging_batch_size_per_gpu=1)

    @property
    def precision_plugin(self) -> Precision:
        """As Lightning chose it, but for what it does to batches."""
        return super().precision_plugin

    @precision_plugin.setter
    def precision_plugin(self, plugin: Precision | None) -> None:
        if isinstance(plugin, DeepSpeedPrecision):
            if plugin.precision not in ("32-true", "bf16-mixed"):
                raise ConfigError(
                    f"trainer.precision: {plugin.precision} would round the weights; under DeepSpeed say bf16-mixed or "
                    "32-true"
                )
            if plugin.precision == "bf16-mixed":
                self.config["torch_autocast"] = AUTOCAST
            plugin = WholeBatches("32-true")
        Strategy.precision_plugin.fset(self, plugin)

    def setup_environment(self) -> None:
        """Join the processes.

        Raises:
            ConfigError: they have no GPUs.
        """
        if not isinstance(self.accelerator, CUDAAccelerator):
            raise ConfigError(
                f"trainer.strategy: DeepSpeed runs on NVIDIA GPUs only; without one, say {FULLY_SHARDED} or ddp"
            )
        super().setup_environment()


for name, arguments in STAGES.items():
    StrategyRegistry.register(
        name, ZeroRedundancy, description="Slices of optimiser states (DeepSpeed's ZeRO)", override=True, **arguments
    )


def is_zero(strategy: Strategy) -> bool:
    """Whether parameters reach the optimiser as flat slices, their gradients clipped by DeepSpeed itself."""
    return isinstance(strategy, DeepSpeedStrategy)


def check_optimiser(strategy: Strategy, *, method: str, clips_components: bool) -> None:
    """Refuse what cannot be done to flat slices.

    Args:
        strategy: The Trainer's.
        method: Of the optimiser.
        clips_components: Each component's gradient is to be clipped by itself.
    Raises:
        ConfigError: names what to set instead.
    """
    if not is_zero(strategy):
        return
    if method == "muon":
        raise ConfigError("model.optimiser.method: muon turns whole matrices, DeepSpeed keeps slices; say adamw")
    if clips_components:
        raise ConfigError(
            "model.optimiser.clip_norm clips each component by itself, which DeepSpeed cannot; set "
            "trainer.gradient_clip_val, which clips all of them together, or model.optimiser.clip_norm to 0"
        )
