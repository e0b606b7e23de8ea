"""What a step adds to its fused observation: the previous action, what the hand holds, and the time.

Source: sheet spoc_ring_holodeck_graspmolmo 1.5 (embedding details) and 2.4 (RING has no in-hand term).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from zoo.backbones.policy.sinusoid import sinusoid
from zoo.errors import ConfigError
from zoo.policy_trunk import IN_HAND_PADDING, PolicySteps, TrunkInputs

TABLE_BOUND = 0.01
"""Tables begin uniform within this, as released."""


def table(num_rows: int, channels: int, bound: float = TABLE_BOUND) -> nn.Embedding:
    """A learned table; with the bound of the release it is nearly silent at the beginning."""
    made = nn.Embedding(num_rows, channels)
    nn.init.uniform_(made.weight, -bound, bound)
    return made


def action_table(inputs: TrunkInputs, channels: int, bound: float = TABLE_BOUND) -> nn.Embedding:
    """A row for each number that a previous action can have."""
    return table(inputs.actions.count, channels, bound)


def in_hand_table(channels: int, bound: float = TABLE_BOUND) -> nn.Embedding:
    """A row for an empty hand, a full one and padding."""
    return table(IN_HAND_PADDING + 1, channels, bound)


@dataclass(frozen=True, kw_only=True)  # without slots, which jsonargparse cannot read from a function's default
class StepScales:
    """How loud a step's own facts begin beside what it sees, whose channels have a mean square of about 1.

    Args:
        table: Tables of actions and of the hand begin uniform within this.
        time: Factor of the time's sinusoids.
    Raises:
        ConfigError: a table without numbers, or a negative factor.
    """

    table: float = TABLE_BOUND
    time: float = 1.0

    def __post_init__(self) -> None:
        if self.table <= 0 or self.time < 0:
            raise ConfigError(
                f"policy trunk: scales.table is {self.table} and scales.time {self.time}; expected above 0, and 0 or "
                "more"
            )


AS_RELEASED = StepScales()


class StepEmbedding(nn.Module):
    """Sum of learned and fixed vectors of a step.

    Args:
        inputs: Of the trunk.
        hidden_size: Channels of the trunk.
        scales: Of its parts.
    """

    def __init__(self, *, inputs: TrunkInputs, hidden_size: int, scales: StepScales = AS_RELEASED) -> None:
        super().__init__()
        self.previous_action = action_table(inputs, hidden_size, scales.table)
        self.in_hand = in_hand_table(hidden_size, scales.table) if inputs.has_in_hand else None
        self.time_scale = scales.time

    def forward(self, steps: PolicySteps) -> Tensor:
        """(batch, time, channels)."""
        embedded = self.previous_action(steps.previous_actions)
        if self.in_hand is not None:
            embedded = embedded + self.in_hand(steps.in_hand)
        return embedded + self.time_scale * sinusoid(steps.time_ids, embedded.shape[-1]).to(embedded.dtype)
