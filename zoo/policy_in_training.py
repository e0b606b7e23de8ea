"""A module's policy, as it acts in the middle of its training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy

from zoo.errors import ConfigError
from zoo.policy import ActingModule, Observation, Policy


class PolicyInTraining(Policy):
    """A policy without gradients and in the run's precision, which torch knows by thread.

    Args:
        policy: Over the module's weights.
        trainer: Of the run.
    """

    def __init__(self, policy: Policy, trainer: Trainer) -> None:
        self._policy, self._precision = policy, trainer.precision_plugin
        self.cameras, self.image_size, self.takes_boxes = policy.cameras, policy.image_size, policy.takes_boxes

    def reset(self, tasks: Mapping[int, Mapping[str, Any]]) -> None:
        self._policy.reset(tasks)

    def act(self, observation: Observation, slots: Sequence[int]) -> np.ndarray:
        with torch.no_grad(), self._precision.forward_context():
            return self._policy.act(observation, slots)


def check_can_act(trainer: Trainer, module: LightningModule, *, who: str, instead: str) -> None:
    """Refuse a module that cannot act while it trains.

    Args:
        trainer: Of the run.
        module: In training.
        who: Wants it to act, for messages.
        instead: What else can be done where no process holds all weights.
    Raises:
        ConfigError: it offers no `policy()`, or one process does not hold all weights under the strategy.
    """
    if not isinstance(module, ActingModule):
        raise ConfigError(f"{who}: {type(module).__name__} has no policy(), so it cannot act")
    if not isinstance(trainer.strategy, (SingleDeviceStrategy, DDPStrategy)):
        raise ConfigError(
            f"{who}: under {type(trainer.strategy).__name__} no process holds all weights; train with "
            f"--trainer.strategy=ddp, or {instead}"
        )


@contextmanager
def acting(trainer: Trainer, module: LightningModule) -> Iterator[Policy]:
    """The module's policy, over the weights as they are; meanwhile the module is in evaluation mode."""
    was_training = module.training
    module.eval()
    try:
        yield PolicyInTraining(module.policy(), trainer)
    finally:
        module.train(was_training)
