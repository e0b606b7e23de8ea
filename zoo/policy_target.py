"""Where the target is seen: what teaches encoders that begin from nothing to tell things apart.

An action says little about a picture: of a hundred steps of an episode most go ahead, whatever is in view. A recorder
knows what every picture shows, so every patch is asked whether it shows the target, and answers through the goal alone:
patch and goal meet in one product, so what is learnt lies in the encoders and not in this layer. Where episodes say
what their pictures show of several categories, every patch of a batch is asked by every goal of the batch that names
one; where they do not, by its own goal, and the answer is the recorded box. A trunk may read the answers; else acting
leaves them out. No published policy has this.
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

    def forward(self, patches: Tensor, pooled_goals: Tensor) -> Tensor:
        """Ask patches.

        Args:
            patches: (batch, time, cameras, channels, rows, columns).
            pooled_goals: (batch, goals, channels), what each row's patches are asked for.
        Returns:
            (batch, goals, time, cameras, rows, columns) float32 logits.
        """
        asked = self.patch(patches.movedim(3, -1))  # (batch, time, cameras, rows, columns, CHANNELS)
        goals = self.goal(pooled_goals) / math.sqrt(CHANNELS)
        met = torch.einsum("btcrwk,bgk->bgtcrw", asked, goals.to(asked.dtype))
        return met.float() + self.bias


def target_loss(
    logits: Tensor, shares: Tensor, valid_mask: Tensor, total_steps: Tensor, asked: Tensor | None = None
) -> Tensor:
    """Cross-entropy of a picture's patches, summed over its patches and averaged over goals and pictures.

    Args:
        logits: (batch, goals, time, cameras, rows, columns).
        shares: Of the same shape, in [0, 1]: how much of a patch shows what the goal names.
        valid_mask: (batch, time) bool, True on real steps.
        total_steps: Scalar, by which the sum over steps is divided.
        asked: (batch, goals) bool, of which goals the shares are known; None: of all.
    """
    each = F.binary_cross_entropy_with_logits(logits, shares, reduction="none").sum((-2, -1)).mean(-1)
    if asked is None:
        each = each.mean(1)
    else:
        each = (each * asked.unsqueeze(-1)).sum(1) / asked.sum(1).clamp(min=1).unsqueeze(-1)
    return each.masked_fill(~valid_mask, 0).sum() / total_steps.clamp(min=1)


def shown_shares(shows: Tensor, bits: Tensor, grid: tuple[int, int]) -> Tensor:
    """Which cells of a grid show what goals name.

    Args:
        shows: (batch, time, cameras, rows, columns) int64, bit k set where a recorded cell shows category k.
        bits: (batch, goals) int64, the category of each goal as this row counts them; negative where it has none.
        grid: (rows, columns) of the answer; a cell of it shows what any recorded cell in it shows.
    Returns:
        (batch, goals, time, cameras, *grid) float32, 0 or 1.
    """
    found = shows.unsqueeze(1) >> bits.clamp(min=0)[:, :, None, None, None, None] & 1
    pooled = F.adaptive_max_pool2d(found.float().flatten(0, 3), grid)
    return pooled.unflatten(0, found.shape[:4])


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
