"""Merge maps: the token that each token joins, as in `Selection.merge_into`; for the methods that average tokens."""

import torch
from torch import Tensor


def point(num_tokens: int, source: Tensor, target: Tensor, chosen: Tensor) -> Tensor:
    """(tokens,) int64: `target` where `chosen` of the tokens in `source`, all others at themselves; arguments are of
    one shape.
    """
    # The last place takes what is not chosen: no mask, no sync.
    into = torch.arange(num_tokens + 1, device=source.device)
    into.scatter_(0, torch.where(chosen, source, num_tokens).flatten(), target.flatten())
    return into[:-1]


def survives(into: Tensor) -> Tensor:
    """(tokens,) bool: tokens that point at themselves."""
    return into == torch.arange(len(into), device=into.device)
