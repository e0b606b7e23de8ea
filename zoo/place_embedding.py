"""Where in its picture a window lies, as a vector that is added to what it shows.

Not in Molmo2: its vision encoder is pretrained and its language model counts tokens well enough to know. Trained from
nothing, neither carried places: the place of a window among nine was readable from the language states in 30 %.
Source: sines and cosines of Transformer positions (arXiv 1706.03762, section 3.5), of two coordinates, mapped linearly.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo.layout import TokenLayout

OCTAVES = 3
"""Waves of each coordinate: a half, one and two periods over the picture."""


class PlaceEmbedding(nn.Module):
    """Centres of tokens in their pictures, of any grid, to vectors.

    Args:
        hidden_size: Channels of a vector.
    """

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.projection = nn.Linear(4 * OCTAVES, hidden_size)
        nn.init.normal_(self.projection.weight, std=0.5 * (2 * OCTAVES) ** -0.5)  # vectors of 0.5 a channel
        nn.init.zeros_(self.projection.bias)

    def forward(self, layout: TokenLayout) -> Tensor:
        """Vectors of the tokens of a layout: (tokens, hidden_size)."""
        centres = layout.centres()  # (tokens, 2) in (0, 1): row, column
        octaves = math.pi * 2 ** torch.arange(OCTAVES, device=layout.device)
        angles = (centres.unsqueeze(-1) * octaves).flatten(1)
        return self.projection(torch.cat([angles.sin(), angles.cos()], dim=1))
