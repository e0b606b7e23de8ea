"""Random queries, keys and values over packed trees."""

import torch

from zoo.segments import Segments

TREES = ((7, 3, 4, 0, 5), (10, 2), (0, 3), (5,), (9, 4, 4, 4, 8), (11, 2, 6, 3))


def packed(runs, *, heads=4, kv_heads=2, causal=True, vision=True, local_attention=None):
    size = sum(map(sum, runs))
    query = torch.randn(size, heads, 8)
    key, value = torch.randn(2, size, kv_heads, 8)
    is_vision = None
    if vision:
        in_prefix = torch.tensor(
            [run == 0 for lengths in runs for run, n in enumerate(lengths) for _ in range(n)], dtype=torch.bool
        )
        is_vision = (torch.rand(size) < 0.6) & in_prefix
    return query, key, value, Segments(runs=runs, causal=causal, is_vision=is_vision).within(local_attention)
