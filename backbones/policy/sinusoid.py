"""Sinusoidal encodings of numbers.

Source: sheet spoc_ring_holodeck_graspmolmo 1.5 (time) and 1.6 (coordinates).
"""

from __future__ import annotations

import torch
from torch import Tensor

LONGEST = 10_000.0
"""Slowest wavelength, in units of 2 pi."""


def sinusoid(numbers: Tensor, channels: int) -> Tensor:
    """Encode numbers of any kind, without a table and so without a largest one.

    Args:
        numbers: (...) of any dtype.
        channels: Even.
    Returns:
        (..., channels) float32: sin(n / 10000^(2i / channels)) at 2i, its cosine at 2i + 1.
    """
    exponents = torch.arange(0, channels, 2, device=numbers.device, dtype=torch.float32) / channels
    angles = numbers.float().unsqueeze(-1) * LONGEST**-exponents
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)
