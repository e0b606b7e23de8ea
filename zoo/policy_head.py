"""The contract of policy heads: states of a policy trunk to discrete actions.

Beside `zoo.head`, whose heads render questions and answer in text: a policy head has nothing to render, reads one state
a step, and is scored on actions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn
from torchmetrics import MetricCollection

IGNORED = -1
"""Stands in for the action where there is none to learn: on padding (sheet spoc_ring_holodeck_graspmolmo 1.9)."""


class PolicyHead(nn.Module, ABC):
    """States to the actions that a policy takes.

    Attributes:
        num_actions: Discrete actions, numbered from 0.
        choosable: Those of them that it may choose, where not all; episodes in which an expert takes another one are
            not learnt from.
    """

    kind: ClassVar[str] = "policy_head"
    num_actions: int
    choosable: tuple[int, ...] | None = None

    @abstractmethod
    def build(self, *, hidden_size: int) -> None:
        """Make the layers, for a trunk of so many channels; whoever joins the two calls it once."""

    @abstractmethod
    def forward(self, hidden: Tensor) -> Tensor:
        """(..., channels) states to (..., num_actions) float32 logits."""

    @abstractmethod
    def values(self, hidden: Tensor) -> Tensor:
        """(..., channels) states to (...) float32 expected returns, for reinforcement learning.

        The states may be those of another trunk than the logits', where actor and critic are two networks.

        Raises:
            ConfigError: the head has no critic.
        """

    @abstractmethod
    def loss(self, logits: Tensor, actions: Tensor, total_steps: Tensor) -> dict[str, Tensor]:
        """Imitation loss; `loss` is what is minimised, other terms are logged.

        Args:
            logits: (batch, time, num_actions).
            actions: (batch, time) int64 of the expert, `IGNORED` where there is nothing to learn.
            total_steps: Scalar that the sum is divided by: the mean over processes of the number of steps that are not
                ignored, so that gradients are those of one process on all batches.
        """

    @abstractmethod
    def choose(self, logits: Tensor, draws: Tensor) -> Tensor:
        """Pick an action in each row.

        Args:
            logits: (rows, num_actions).
            draws: (rows,) uniform in [0, 1), each of its own episode's generator: what an episode does then does not
                depend on which others run beside it.
        Returns:
            (rows,) int64.
        """

    @abstractmethod
    def metrics(self) -> MetricCollection:
        """Fresh metrics, each updated with (batch, time) chosen and (batch, time) expert's actions, some `IGNORED`."""
