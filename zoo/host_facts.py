"""Numbers that the host knows, brought to a device without making it wait.

`torch.tensor(values, device="cuda")` copies out of pageable memory, and the host waits for the stream; masks and tables
of every block would do so.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def on_device(values: Sequence, device: torch.device | str, dtype: torch.dtype | None = None) -> Tensor:
    """The values as a tensor on a device."""
    tensor = torch.tensor(values, dtype=dtype)
    if torch.device(device).type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
