"""Memory that a worker has freed goes back to the system."""

from __future__ import annotations

import ctypes

M_MMAP_THRESHOLD = -3  # of malloc.h of the GNU C library
LARGE_BYTES = 128 * 1024


def give_freed_memory_back() -> None:
    """Let large blocks of this process be mapped one by one, where the C library can.

    By default the GNU allocator takes blocks as large as any that was freed before, up to 32 MB, from its heap, where
    the models and states of one house after the other leave gaps: 1,000 episodes then hold a third more than they need,
    and go up and down by some 10 %.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
