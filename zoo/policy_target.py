"""Where the target is seen: what teaches encoders that begin from nothing to tell things apart.

An action says little about a picture: of a hundred steps of an episode most go ahead, whatever is in view. A box says
in which patches of which camera the thing is that the instruction names. A recorder knows it, so every patch is asked
whether it shows the target, and answers through the goal alone: patch and goal meet in one product, so what is learnt
lies in the encoders, which the trunk reads, and not in this layer. Acting leaves it out. No published policy has it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.policy_processor import PolicyProcessor
from zoo.shards.policy_episode import MISSING_BOX

CHANNELS = 64
"""In which patch and goal meet."""

PRIOR = 0.03
"""About the share of patches that show a target; a layer that began at one half would first teach everybody this."""


class TargetHead(nn.Module):
    """Does this patch show what the instruction names?

    Args:
        patch_channels: Channels of the vision encoder.
        goal_channels: Channels of the text encoder's pooled vector.
    """

    def __init__(self, *, patch_channels: int, goal_channels: int) -> None:
        super().__init__()
        self.patch = nn.Linear(patch_channels, CHANNELS)
        self.goal = nn.Sequential(nn.LayerNorm(goal_channels), nn.Linear(goal_channels, CHANNELS))
        self.bias = nn.Parameter(torch.tensor([math.log(PRIOR / (1 - PRIOR))]))

    def forward(self, patches: Tensor, pooled_goal: Tensor) -> Tensor:
        """(batch, time, cameras, channels, rows, columns) and (batch, channels) to logits without the channels."""
        asked = self.patch(patches.movedim(3, -1))  # (batch, time, cameras, rows, columns, CHANNELS)
        goal = self.goal(pooled_goal) / math.sqrt(CHANNELS)
        return torch.einsum("btcrwk,bk->btcrw", asked, goal.to(asked.dtype)).float() + self.bias


def target_loss(logits: Tensor, shares: Tensor, valid_mask: Tensor, total_steps: Tensor) -> Tensor:
    """Cross-entropy of a picture's patches, summed over the patches of a picture and averaged over pictures.

    Args:
        logits: (batch, time, cameras, rows, columns).
        shares: Of the same shape, of `cell_shares`.
        valid_mask: (batch, time) bool, True on real steps.
        total_steps: Scalar, by which the sum over steps is divided.
    """
    each = F.binary_cross_entropy_with_logits(logits, shares, reduction="none").sum((-2, -1)).mean(-1)
    return each.masked_fill(~valid_mask, 0).sum() / total_steps.clamp(min=1)


def in_view(boxes: Tensor, picture_size: tuple[int, int], processor: PolicyProcessor) -> Tensor:
    """Boxes of recorded pictures as shares of what the vision encoder is shown.

    Args:
        boxes: (..., 5): x1, y1, x2, y2 in pixels of the recorded picture, and area.
        picture_size: (width, height) of recorded pictures, pixels.
        processor: Cut, padded and resized them.
    Returns:
        (..., 4) in [0, 1] where all of a box is shown.
    """
    width, height = picture_size[0] - 2 * processor.crop_columns, picture_size[1]
    left, top = -processor.crop_columns, 0
    if processor.resize == "pad":
        side = max(width, height)
        left, top = left + (side - width) // 2, (side - height) // 2
        width = height = side
    corners = boxes[..., :4]
    moved = corners + corners.new_tensor([left, top, left, top])
    return moved / corners.new_tensor([width, height, width, height])


def cell_shares(boxes: Tensor, missing: Tensor, grid: tuple[int, int]) -> Tensor:
    """How much of each cell of a grid a box fills; along an axis where it is smaller than a cell, as if it filled one.

    Args:
        boxes: (..., 4) x1, y1, x2, y2 as shares of the picture.
        missing: (...) bool, no box.
        grid: (rows, columns).
    Returns:
        (..., rows, columns) in [0, 1]: along both axes, the length that box and cell have in common over that of the
        smaller of them.
    """
    rows, columns = grid

    def along(low: Tensor, high: Tensor, count: int) -> Tensor:
        """(..., count) of one axis."""
        begins = torch.arange(count, device=low.device, dtype=low.dtype)
        low, high = low.unsqueeze(-1) * count, high.unsqueeze(-1) * count
        common = (torch.minimum(high, begins + 1) - torch.maximum(low, begins)).clamp(min=0)
        return (common / (high - low).clamp(min=1e-6, max=1.0)).clamp(max=1.0)

    x1, y1, x2, y2 = boxes.unbind(-1)
    shares = along(y1, y2, rows).unsqueeze(-1) * along(x1, x2, columns).unsqueeze(-2)
    return shares.masked_fill(missing[..., None, None], 0)


def is_missing(boxes: Tensor) -> Tensor:
    """(...) bool of (..., 5) boxes: nothing in view."""
    return boxes[..., 4] <= MISSING_BOX[4]
