"""How much the pixels of a patch or a window changed since the frame before: what `rlt` and `evs` score.

Source: molmo2_stts sheet part C (RLT, EVS): mean absolute difference of normalised pixels at the same place. Differs:
    where a pruner before has dropped whole frames, "the frame before" is the last one that is still there.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.host_facts import on_device
from zoo.layout import TokenLayout
from zoo.pruner import Selection, TokenBudget, keep_best


def frame_before(layout: TokenLayout) -> Tensor:
    """(frames,) int64: last frame of the same video before each one of which anything is alive; -1 where none is."""
    number = torch.arange(len(layout.frames), device=layout.device)
    newest = torch.where(layout.alive.flatten(1).any(dim=1), number, -1).cummax(dim=0).values
    before = newest.roll(1)
    clip = layout.clip_of_frame
    is_video = on_device(layout.frames.is_video, layout.device, torch.bool)
    has_past = (number > 0) & is_video & (before >= 0) & (clip[before.clamp(min=0)] == clip)
    return torch.where(has_past, before, -1)


def patch_change(pixels: Tensor, before: Tensor, grid: tuple[int, int]) -> Tensor:
    """Mean absolute difference of each patch to the same patch of the frame before.

    Args:
        pixels: (frames, 3, height, width) normalised; any float dtype.
        before: (frames,) int64, the frame that each is compared with, -1: none.
        grid: (rows, columns) of patches of a frame; pixels beyond the last whole patch belong to none.
    Returns:
        (frames, rows, columns) float32; inf where there is nothing to compare with.
    """
    rows, columns = grid
    patch = pixels.shape[-2] // rows, pixels.shape[-1] // columns
    earlier = pixels[before.clamp(min=0)].float()  # a copy, so that the next line may write into it
    difference = earlier.sub_(pixels).abs_().mean(dim=1, keepdim=True)
    change = F.avg_pool2d(difference, patch)[:, 0, :rows, :columns]
    return change.masked_fill((before < 0)[:, None, None], torch.inf)


def window_change(change: Tensor, layout: TokenLayout) -> Tensor:
    """Mean over all original patches of each window, dead ones too: their pixels are known.

    Args:
        change: (frames, rows, columns) float32 of `patch_change`.
        layout: Says which window a patch lies in.
    Returns:
        (original windows,) float32; inf where there is nothing to compare with.
    """
    flat = change.flatten()
    own = layout.windows + 1  # margins of tiles, which belong to no window, gather in front
    total = flat.new_zeros(layout.num_windows + 1).index_add_(0, own, flat)
    count = torch.zeros_like(total).index_add_(0, own, torch.ones_like(flat))
    return (total / count.clamp(min=1))[1:]


def keep_most_changed(layout: TokenLayout, change: Tensor, budget: TokenBudget) -> Selection:
    """Keep first frames and the windows that changed most, as many as the budget says.

    Args:
        layout: Of the view.
        change: (original windows,) float32 of `window_change`.
        budget: How many.
    """
    highest = change.masked_fill(change.isinf(), 0).amax()  # pictures of scores cannot show infinity
    return keep_best(layout, change.clamp(max=highest), budget, protect_first_frame=True)
