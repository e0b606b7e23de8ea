"""The instruction of each row, at the width of a policy trunk.

Source: sheet spoc_ring_holodeck_graspmolmo 1.5 (text adapter; SigLIP's pooled vector as last token).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.errors import ConfigError
from zoo.text_encoder import TextFeatures


class Goal(NamedTuple):
    """What is to be done, one row an episode.

    Args:
        tokens: (batch, tokens, channels).
        mask: (batch, tokens) bool, True where tokens may be attended to; None where all may.
        pooled: (batch, pooled channels) of the text encoder.
    """

    tokens: Tensor
    mask: Tensor | None
    pooled: Tensor


def adapter(in_channels: int, out_channels: int) -> nn.Sequential:
    """Linear, layer norm, ReLU: how SPOC brings anything to its width."""
    return nn.Sequential(nn.Linear(in_channels, out_channels), nn.LayerNorm(out_channels), nn.ReLU())


class GoalAdapter(nn.Module):
    """States of a text encoder to tokens of a trunk.

    Args:
        text_channels: Channels of the text encoder's states.
        hidden_size: Channels of the trunk.
        has_pooled_token: The pooled vector is one more token, behind the others, as SPOC has it with SigLIP.
    """

    def __init__(self, *, text_channels: int, hidden_size: int, has_pooled_token: bool) -> None:
        super().__init__()
        self.has_pooled_token = has_pooled_token
        self.adapter = adapter(text_channels, hidden_size)

    def forward(self, text: TextFeatures) -> Goal:
        """Adapt.

        Raises:
            ConfigError: the pooled vector is to be a token and has another size than the states.
        """
        dtype = self.adapter[0].weight.dtype
        states, mask, pooled = text.states.to(dtype), text.attention_mask, text.pooled.to(dtype)
        if self.has_pooled_token:
            if pooled.shape[-1] != states.shape[-1]:
                raise ConfigError(
                    f"text encoder with states of {states.shape[-1]} channels and a pooled vector of "
                    f"{pooled.shape[-1]}; to be a token of its own, the pooled vector must have as many as the states"
                )
            states = torch.cat([states, pooled.unsqueeze(1)], dim=1)
            mask = F.pad(mask, (0, 1), value=True)
        if not mask.is_cuda and bool(mask.all()):  # attention is quicker without; a GPU would have to be waited for
            mask = None
        return Goal(tokens=self.adapter(states), mask=mask, pooled=pooled)
