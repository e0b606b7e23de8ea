"""Keep whole frames of a clip, evenly spaced: the cheapest way to spend fewer tokens.

Source: molmo2_stts sheet part C, "temporal stride". Differs: the number of frames follows from `remove` instead of
    "every m-th"; the frames keep their own times, and the first and the last stay wherever two can.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zoo.errors import ConfigError
from zoo.host_facts import on_device
from zoo.pruner import ClipSize, Pruner, Selection, Site, SiteView, TokenBudget, clip_sizes, share_of


@dataclass(frozen=True)
class RemoveFrames(TokenBudget):
    """Drop floor(share * frames) frames of every video, never all of them, and nothing of images.

    Args:
        remove: Share of a clip's frames to drop, in [0, 1).
    """

    remove: float

    def __post_init__(self) -> None:
        if not 0 <= self.remove < 1:
            raise ConfigError(f"stride: remove must be in [0, 1), got {self.remove}; 0.5 drops every other frame")

    def __call__(self, clips: Sequence[ClipSize]) -> tuple[int, ...]:
        return tuple(
            self.frames_kept(clip.frames) * (clip.windows // clip.frames) if clip.is_video else clip.windows
            for clip in clips
        )

    def frames_kept(self, frames: int) -> int:
        return max(frames - share_of(frames, self.remove), 1)


def even_frames(frames: int, kept: int) -> Tensor:
    """(kept,) int64, which frames of a clip are evenly spaced.

    The first and the last are among them where `kept` is at least 2; halves round to the later frame.
    """
    if kept == 1:
        return torch.zeros(1, dtype=torch.int64)
    gaps = kept - 1
    return (2 * torch.arange(kept) * (frames - 1) + gaps) // (2 * gaps)  # in whole numbers: no rounding of floats


class TemporalStride(Pruner):
    """Keep evenly spaced frames of every clip, chosen before anything is computed.

    Args:
        remove: Share of a clip's frames to drop, in [0, 1); rounded so that at most this share leaves.
    """

    example_args: ClassVar = {"remove": 0.5}

    def __init__(self, *, remove: float = 0.5) -> None:
        super().__init__()
        self._budget = RemoveFrames(remove)

    def sites(self) -> tuple[Site, ...]:
        return (Site("pixels"),)

    def budget(self) -> TokenBudget:
        return self._budget

    def select(self, view: SiteView, memory: dict[str, Tensor]) -> Selection:
        layout = view.layout
        chosen, start = torch.ones(len(layout.frames), dtype=torch.bool), 0
        for clip in clip_sizes(layout):
            if clip.is_video:
                own = chosen[start : start + clip.frames]
                own.fill_(False)[even_frames(clip.frames, self._budget.frames_kept(clip.frames))] = True
            start += clip.frames
        return Selection(keep=on_device(chosen.tolist(), layout.device, torch.bool)[layout.frame_of_token])
