"""The cameras of a step and its goal, fused into one vector: SPOC's transformer and its convolutional rival.

Source: sheet spoc_ring_holodeck_graspmolmo 1.5 (transformer; compressor, adapters, camera vectors, fusion token), 1.16
    (convolutional fusion, there of the EmbSigLIP baseline). Differs: of "convolutional goal fusion" (nonTxEnc) the
    sheet gives the name only; here it is the baseline's, and an adapter to the trunk's width. RING puts text before
    the cameras, which no output can tell: tokens have no positions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.backbones.policy.box_tokens import BoxTokens
from zoo.backbones.policy.goal import Goal, adapter
from zoo.backbones.policy.post_norm import EncoderLayer

Grid = tuple[int, int]

POOLED_GRID: Grid = (7, 12)
"""Rows and columns that published trunks pool patches to."""


class Fusion(nn.Module, ABC):
    """One vector a step, of its own cameras and goal alone."""

    @abstractmethod
    def forward(self, patches: Tensor, goal: Goal, boxes: Tensor | None) -> Tensor:
        """Fuse.

        Args:
            patches: (batch, time, cameras, channels, rows, columns).
            goal: Of the rows.
            boxes: (batch, time, cameras, boxes, 5), where the fusion takes boxes.
        Returns:
            (batch, time, hidden_size).
        """


def compressor(*channels: int) -> nn.Sequential:
    """1 x 1 convolutions from each number of channels to the next, ReLU behind each."""
    layers: list[nn.Module] = []
    for come, go in pairwise(channels):
        layers += [nn.Conv2d(come, go, 1), nn.ReLU()]
    return nn.Sequential(*layers)


def pooled(patches: Tensor, grid: Grid, dtype: torch.dtype) -> Tensor:
    """(batch, time, cameras, channels, rows, columns) to (batch * time * cameras, channels, *grid)."""
    return F.adaptive_avg_pool2d(patches.flatten(0, 2).to(dtype), grid)


class TransformerFusion(Fusion):
    """A transformer over patches of all cameras, the goal and boxes; a learned token gathers the result.

    Args:
        patch_channels: Channels of the vision encoder.
        num_cameras: Cameras.
        hidden_size: Channels of the trunk.
        num_layers: Layers.
        num_heads: Attention heads.
        intermediate_size: Width of the feed-forward networks.
        grid: (rows, columns) that the patches of a camera are pooled to.
        num_boxes: Boxes of all cameras together.
        dropout: Share that is zeroed in training.
    """

    def __init__(
        self,
        *,
        patch_channels: int,
        num_cameras: int,
        hidden_size: int,
        num_layers: int,
        num_heads: int,
        intermediate_size: int = 2048,
        grid: Grid = POOLED_GRID,
        num_boxes: int = 0,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.compressor = compressor(patch_channels, hidden_size, hidden_size)
        self.adapter = adapter(hidden_size, hidden_size)
        self.cameras = nn.Parameter(0.1 * torch.rand(num_cameras, hidden_size))
        self.token = nn.Parameter(0.1 * torch.rand(hidden_size))
        self.boxes = BoxTokens(num_boxes=num_boxes, hidden_size=hidden_size) if num_boxes else None
        self.layers = nn.ModuleList(
            EncoderLayer(
                hidden_size=hidden_size, num_heads=num_heads, intermediate_size=intermediate_size, dropout=dropout
            )
            for _ in range(num_layers)
        )

    def forward(self, patches: Tensor, goal: Goal, boxes: Tensor | None) -> Tensor:
        tokens, mask = self.tokens(patches, goal, boxes)
        *layers, last = self.layers
        for layer in layers:
            tokens = layer(tokens, tokens, mask)
        # Nothing but the first token is read of the last layer: without the others three layers cost 28 % less.
        return last(tokens[:, :1], tokens, mask).squeeze(1).unflatten(0, patches.shape[:2])

    def tokens(self, patches: Tensor, goal: Goal, boxes: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """What the transformer reads.

        Returns:
            (batch * time, tokens, channels): the token that gathers, cameras, text, boxes; (batch * time, tokens) bool,
            False on padding of texts, or None without padding.
        """
        steps = patches.shape[:2]
        frames = self.compressor(pooled(patches, self.grid, self.token.dtype))
        frames = self.adapter(frames.flatten(2).transpose(1, 2))  # (B * T * cameras, patches, C)
        frames = frames.unflatten(0, patches.shape[:3]) + self.cameras.unsqueeze(1)
        parts = [
            self.token.expand(*steps, 1, -1),
            frames.flatten(2, 3),
            goal.tokens.unsqueeze(1).expand(-1, steps[1], -1, -1),
        ]
        if self.boxes is not None:
            parts.append(self.boxes(boxes))
        tokens = torch.cat(parts, dim=2)  # (B, T, tokens, C)
        return tokens.flatten(0, 1), self._mask(goal, tokens, 1 + frames.shape[2] * frames.shape[3])

    @staticmethod
    def _mask(goal: Goal, tokens: Tensor, before: int) -> Tensor | None:
        if goal.mask is None:
            return None
        behind = tokens.shape[2] - before - goal.mask.shape[1]
        return F.pad(goal.mask, (before, behind), value=True).repeat_interleave(tokens.shape[1], dim=0)


class GoalConvolution(nn.Module):
    """1 x 1 convolutions over patches beside which the goal's pooled vector is repeated.

    Args:
        patch_channels: Channels of the vision encoder.
        pooled_channels: Channels of the text encoder's pooled vector.
        grid: (rows, columns) that the patches of a camera are pooled to.
        middle_channels: Of the convolutions between.
        channels: Of patches and goal before they meet, and of the result.

    Attributes:
        out_channels: Numbers that a camera becomes.
    """

    def __init__(
        self,
        *,
        patch_channels: int,
        pooled_channels: int,
        grid: Grid = POOLED_GRID,
        middle_channels: int = 128,
        channels: int = 32,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.compressor = compressor(patch_channels, middle_channels, channels)
        self.goal = adapter(pooled_channels, channels)
        self.combiner = nn.Sequential(
            nn.Conv2d(2 * channels, middle_channels, 1), nn.ReLU(), nn.Conv2d(middle_channels, channels, 1)
        )
        self.out_channels = channels * grid[0] * grid[1]

    def forward(self, patches: Tensor, pooled_goal: Tensor) -> Tensor:
        """(batch, time, cameras, channels, rows, columns) and (batch, pooled) to (batch, time, cameras * numbers)."""
        goal = self.goal(pooled_goal.to(self.goal[0].weight.dtype))
        frames = self.compressor(pooled(patches, self.grid, goal.dtype))
        times = patches.shape[1] * patches.shape[2]
        beside = goal.repeat_interleave(times, dim=0)[..., None, None].expand(-1, -1, *self.grid)
        combined = self.combiner(torch.cat([frames, beside], dim=1))
        return combined.flatten(1).unflatten(0, patches.shape[:3]).flatten(2)


class ConvolutionalFusion(Fusion):
    """Patches and the pooled goal through convolutions, then one adapter over everything.

    Args:
        patch_channels: Channels of the vision encoder.
        pooled_channels: Channels of the text encoder's pooled vector.
        num_cameras: Cameras.
        hidden_size: Channels of the trunk.
        grid: (rows, columns) that the patches of a camera are pooled to.
    """

    def __init__(
        self,
        *,
        patch_channels: int,
        pooled_channels: int,
        num_cameras: int,
        hidden_size: int,
        grid: Grid = POOLED_GRID,
    ) -> None:
        super().__init__()
        self.convolution = GoalConvolution(patch_channels=patch_channels, pooled_channels=pooled_channels, grid=grid)
        self.adapter = adapter(num_cameras * self.convolution.out_channels, hidden_size)

    def forward(self, patches: Tensor, goal: Goal, boxes: Tensor | None) -> Tensor:
        return self.adapter(self.convolution(patches, goal.pooled))
