"""Tokens of object boxes, a number each, for trunks that are told where the goal is in the picture.

Source: sheet spoc_ring_holodeck_graspmolmo 1.6 ("double_det").
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.backbones.policy.goal import adapter
from zoo.backbones.policy.sinusoid import sinusoid

NUMBERS_PER_BOX = 5
"""x1, y1, x2, y2 and area."""

NUMBER_CHANNELS = 32
"""Of the sinusoid that each number becomes."""


class BoxTokens(nn.Module):
    """Every number of every box becomes a token.

    Args:
        num_boxes: Of all cameras together.
        hidden_size: Channels of the trunk.
    """

    def __init__(self, *, num_boxes: int, hidden_size: int) -> None:
        super().__init__()
        self.adapter = adapter(NUMBER_CHANNELS, hidden_size)
        self.slots = nn.Parameter(0.1 * torch.rand(num_boxes * NUMBERS_PER_BOX, hidden_size))

    def forward(self, boxes: Tensor) -> Tensor:
        """(batch, time, cameras, boxes, 5) to (batch, time, cameras * boxes * 5, channels)."""
        numbers = sinusoid(boxes.flatten(2), NUMBER_CHANNELS)
        return self.adapter(numbers.to(self.slots.dtype)) + self.slots
