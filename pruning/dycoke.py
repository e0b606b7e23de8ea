"""DyCoke: drop what a clip shows twice before the language model, and hide what an answer does not look at.

Source: CVPR 2025 (arXiv 2411.15024); molmo2_stts sheet part C. Stage 1, in groups of four frames: frame 1 is compared
    with frame 0, 3 with 2, and 2 with 0, window by window at the same place; the most similar windows of the later
    frame are dropped. Stage 2, at every generated token: of the vision tokens that are left, those that the token
    attends to least are hidden from one layer on, until attention has moved.
Differs: the paper drops the share k = 0.7 of each compared frame. Here `remove` is the share of the whole clip, so that
    methods can be compared: each compared frame drops the same whole number of windows, and what is then missing to
    floor(remove * windows) are the most similar windows of the clip that are left. k = 0.7 is `remove: 0.525` in a clip
    of whole groups. Groups begin anew in every clip, and the last may be shorter. Where another pruner has cut before,
    a window whose counterpart is gone counts as unlike it, and frames without a counterpart are cut last.
    What is hidden is decided by all attention in layer `decode_layer`, and hidden from this layer on, itself included.
    Each answer of a batch has its own hidden tokens; attention is compared with that of the token at which they were
    chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.errors import ConfigError
from zoo.frames import Frames
from zoo.host_facts import on_device
from zoo.layout import TokenLayout
from zoo.pruner import (
    ClipSize,
    DecodeView,
    Pruner,
    RemoveShare,
    Selection,
    Site,
    SiteView,
    TokenBudget,
    clip_sizes,
    keep_best,
)

GROUP = 4
"""Frames that are compared with one another."""
BACK = (0, 1, 2, 1)
"""Frames between each frame of a group and the one that it is compared with; 0: with none."""


def compared_frames(frames: int) -> int:
    """Frames of a clip that are compared with another: all but the first of each group."""
    return frames - -(-frames // GROUP)


@dataclass(frozen=True)
class RemoveRepeated(TokenBudget):
    """Drop floor(remove * windows) of every video, or as many as its compared frames hold.

    Args:
        remove: Share of a clip's windows to drop, in [0, 0.75].
    """

    remove: float

    def __post_init__(self) -> None:
        RemoveShare(self.remove)  # its range
        if self.remove > 1 - 1 / GROUP:
            raise ConfigError(
                f"dycoke: remove is {self.remove}, but the first of every {GROUP} frames stays whole; "
                "0.75 drops all others, 0.525 is the paper's share"
            )

    def __call__(self, clips: Sequence[ClipSize]) -> tuple[int, ...]:
        wanted = RemoveShare(self.remove)(clips)
        return tuple(
            max(kept, clip.windows - clip.windows * compared_frames(clip.frames) // max(clip.frames, 1))
            for kept, clip in zip(wanted, clips, strict=True)
        )


def counterparts(layout: TokenLayout) -> Tensor:
    """(windows,) int64: the window that each original window is compared with, -1 for none."""
    frames = layout.frames
    place = places_in_clips(frames)
    back = on_device(
        [BACK[number % GROUP] if video else 0 for number, video in zip(place, frames.is_video, strict=True)],
        layout.device,
        torch.int64,
    )[layout.frame_of_window]
    # Frames of a clip have the same number of windows.
    windows = on_device(layout.windows_per_frame, layout.device, torch.int64)[layout.frame_of_window]
    return torch.where(back > 0, torch.arange(layout.num_windows, device=layout.device) - back * windows, -1)


def places_in_clips(frames: Frames) -> list[int]:
    """Number of each frame within its clip."""
    places: list[int] = []
    for is_first in frames.is_first:
        places.append(0 if is_first else places[-1] + 1)
    return places


def similarity(windows: Tensor, other: Tensor, is_alive: Tensor) -> Tensor:
    """Cosine of each window with its counterpart.

    Args:
        windows: (windows, channels).
        other: (windows,) int64, its counterpart, or -1.
        is_alive: (windows,) bool.
    Returns:
        (windows,) float32; below every cosine -2 where the counterpart is dead, and -3 where there is none.
    """
    unit = F.normalize(windows.float(), dim=1)
    counterpart = other.clamp(min=0)
    cosine = (unit * unit[counterpart]).sum(1).masked_fill(~is_alive[counterpart], -2.0)
    return cosine.masked_fill(other < 0, -3.0)


def rank_in_frame(values: Tensor, layout: TokenLayout) -> Tensor:
    """(windows,) int64: how many windows of the same frame have a larger value; ties to the later window."""
    order = values.flip(0).argsort(descending=True, stable=True)  # the later of two equal ones is dropped first
    order = len(values) - 1 - order
    order = order[layout.frame_of_window[order].argsort(stable=True)]
    starts = on_device((0, *accumulate(layout.windows_per_frame)), layout.device)[layout.frame_of_window]
    return torch.empty_like(order).index_copy(0, order, torch.arange(len(order), device=order.device) - starts)


def shares_of_frames(layout: TokenLayout, dropped: Sequence[int]) -> Tensor:
    """(windows,) int64: how many windows the frame of each window drops in any case: as many in each compared frame.

    Args:
        layout: Of the view.
        dropped: Windows that each clip drops.
    """
    frames = layout.frames
    places = places_in_clips(frames)
    compared = [0] * frames.num_clips
    for clip, place in zip(frames.clip, places, strict=True):
        compared[clip] += place % GROUP > 0
    shares = [
        dropped[clip] // compared[clip] if place % GROUP else 0 for clip, place in zip(frames.clip, places, strict=True)
    ]
    return on_device(shares, layout.device, torch.int64)[layout.frame_of_window]


def importance(windows: Tensor, layout: TokenLayout, dropped: Sequence[int]) -> Tensor:
    """Order in which windows are kept.

    Args:
        windows: (windows, channels), zeros where nothing lives.
        layout: Of the view.
        dropped: Windows that each clip drops.
    Returns:
        (windows,) float32: below 0 where a frame's equal share drops a window; else 1 - cosine with its counterpart.
    """
    alive = layout.living_windows
    similar = similarity(windows, counterparts(layout), alive)
    certain = rank_in_frame(similar.masked_fill(~alive, -4.0), layout) < shares_of_frames(layout, dropped)
    return 1 - similar - 5 * certain  # no two similarities are further apart


def least_attended(attention: Tensor, is_vision: Tensor, remove: float) -> Tensor:
    """The vision slots of each row that receive the least attention; ties fall to the later slot.

    Args:
        attention: (rows, slots).
        is_vision: (rows, slots) bool.
        remove: Share of a row's vision slots.
    Returns:
        (rows, slots) bool, floor(remove * vision slots) of each row.
    """
    order = attention.masked_fill(~is_vision, -torch.inf).argsort(dim=1, descending=True, stable=True)
    rank = torch.empty_like(order).scatter_(
        1, order, torch.arange(order.shape[1], device=order.device).expand_as(order)
    )
    count = is_vision.sum(1, keepdim=True)
    hidden = (count.double() * remove + 1e-9).long()  # as `share_of` counts
    return is_vision & (rank >= count - hidden)


class DyCoke(Pruner):
    """Drop what frames repeat within groups of four, and hide from each answer the vision tokens it looks at least.

    Args:
        remove: Share of a clip's windows to drop before the language model, in [0, 0.75]; 0.525 is the paper's.
        decode_layer: Language layer from which tokens are hidden while answers are generated; null hides none.
        decode_remove: Share of the vision tokens that are left to hide, in [0, 1).
        refresh_below: Choose anew when the cosine of the attention over vision tokens with that of the last choice
            falls below this, in [0, 1].
    """

    example_args: ClassVar = {"remove": 0.4, "decode_layer": 1}
    neutral_args: ClassVar = {"remove": 0.0, "decode_remove": 0.0}

    def __init__(
        self,
        *,
        remove: float = 0.5,
        decode_layer: int | None = 3,
        decode_remove: float = 0.7,
        refresh_below: float = 0.9,
    ) -> None:
        super().__init__()
        if not (0 <= decode_remove < 1 and 0 <= refresh_below <= 1):
            raise ConfigError(
                f"dycoke: decode_remove {decode_remove} must be in [0, 1), refresh_below {refresh_below} in [0, 1]; "
                "the paper has 0.7 and 0.9"
            )
        self._budget = RemoveRepeated(remove)
        self.decode_layer = decode_layer
        self.decode_remove = decode_remove
        self.refresh_below = refresh_below

    def sites(self) -> tuple[Site, ...]:
        stage1 = Site("connector.output")
        return (stage1,) if self.decode_layer is None else (stage1, Site("decode.layer", self.decode_layer))

    def budget(self) -> TokenBudget:
        return self._budget

    def select(self, view: SiteView, memory: dict[str, Tensor]) -> Selection:
        layout = view.layout
        sizes = clip_sizes(layout)
        dropped = [clip.windows - kept for clip, kept in zip(sizes, self._budget(sizes), strict=True)]
        windows = layout.per_window(view.tokens.detach().float())
        return keep_best(layout, importance(windows, layout, dropped), self._budget)

    def hide(self, view: DecodeView, memory: dict[str, Tensor]) -> Tensor:
        pattern = view.attention.masked_fill(~view.is_vision, 0)
        chosen = least_attended(pattern, view.is_vision, self.decode_remove)
        if "pattern" in memory:
            # Slots are added as rows grow, and taken away when the longest rows have ended: text, in either case.
            stored, hidden = (
                F.pad(memory[name], (0, pattern.shape[1] - memory[name].shape[1])) for name in ("pattern", "hidden")
            )
            is_new = ~stored.any(1)
            moved = is_new | (F.cosine_similarity(pattern, stored, dim=1) < self.refresh_below)
            pattern = torch.where(moved[:, None], pattern, stored)
            chosen = torch.where(moved[:, None], chosen, hidden)
        memory["pattern"], memory["hidden"] = pattern, chosen
        return chosen
