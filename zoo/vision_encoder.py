"""The contract of vision encoders: frames to patch features, with pruners between what runs.

The loop over blocks lives here, because pruning and packing must mean the same for every encoder; an encoder says only
what its stem and one block do. Source: docs/architecture.md.

Shapes: F frames, P patches of a frame, C channels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from zoo.errors import ConfigError
from zoo.frame_pass import Between, FramePass
from zoo.layout import TokenLayout
from zoo.portable import Portable
from zoo.pruner import (
    Site,
)
from zoo.pruning_pass import PruningPass
from zoo.segments import Segments


@dataclass(frozen=True, kw_only=True)
class VisionFeatures:
    """What a vision encoder gives.

    Args:
        states: (tokens, features * channels), the asked blocks' outputs of the survivors, side by side in the asked
            order.
        layout: Where the survivors came from.
    """

    states: Tensor
    layout: TokenLayout


class VisionEncoder(Portable, nn.Module, ABC):
    """Frames to patch states.

    Args:
        mean: RGB mean of pixels in [0, 1] that the weights expect.
        std: RGB standard deviation.
        feature_blocks: Blocks or stages whose outputs are features, in the order in which they are joined; negative
            counts from the end.
        activation_checkpointing: Recompute blocks in the backward pass.
    """

    kind: ClassVar[str] = "vision_encoder"
    image_size: tuple[int, int]
    grid: tuple[int, int]
    hidden_size: int
    num_heads: int
    num_prefix_tokens: int
    token_bucket: int | None = None
    """Survivors are filled up to a multiple of this; None: the patches of a frame on a GPU, nothing on a CPU."""

    def __init__(
        self,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        feature_blocks: Sequence[int],
        activation_checkpointing: bool,
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)
        self.feature_blocks = tuple(feature_blocks)
        self.activation_checkpointing = activation_checkpointing

    def normalise(self, pixels: Tensor) -> Tensor:
        """(F, 3, H, W) uint8 to float as the weights expect it."""
        return (pixels.to(self.mean.dtype) / 255 - self.mean) / self.std

    @abstractmethod
    def stem(self, pixels: Tensor) -> Tensor:
        """(F, 3, H, W) normalised to (F, prefix + P, C), positions included."""

    @abstractmethod
    def sites(self) -> tuple[Site, ...]:
        """Where pruners may act, in the order in which they are reached."""

    @abstractmethod
    def last_block(self) -> int:
        """Index of the last block over tokens that any feature needs; -1 where there is none."""

    @abstractmethod
    def forward(self, pixels: Tensor, layout: TokenLayout, pruning: PruningPass | None = None) -> VisionFeatures:
        """Encode frames, cutting tokens where pruners say so.

        Args:
            pixels: (F, 3, H, W) uint8, or float as `normalise` gives it.
            layout: One token a patch.
            pruning: Pruners of this forward pass.
        """

    def _begun(self, pixels: Tensor, layout: TokenLayout, pruning: PruningPass | None) -> FramePass:
        """Their pass behind the stem."""
        run = FramePass(self, layout, pruning or PruningPass(pruners=()))
        run.start(self.normalise(pixels) if pixels.dtype == torch.uint8 else pixels)
        return run

    def units(self) -> tuple[nn.Module, ...]:
        """Modules that run one after the other through their own `forward`; sharded training gathers one at a time."""
        return ()

    def idle(self) -> tuple[nn.Module, ...]:
        """Modules that no feature needs; they are never run, and so never trained."""
        return ()


class TransformerVisionEncoder(VisionEncoder):
    """Frames to patch states, block by block over packed tokens.

    Args:
        mean: RGB mean of pixels in [0, 1] that the weights expect.
        std: RGB standard deviation.
        feature_blocks: Blocks whose outputs are features, in the order in which they are joined; negative counts from
            the end.
        norm_features: Put features through the final norm, for weights trained from nothing, whose outputs start small.
            Molmo2 takes them raw (sheet A1.1).
        activation_checkpointing: Recompute blocks in the backward pass.
    """

    num_blocks: int

    def __init__(
        self,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        feature_blocks: Sequence[int],
        norm_features: bool,
        activation_checkpointing: bool,
    ) -> None:
        super().__init__(
            mean=mean, std=std, feature_blocks=feature_blocks, activation_checkpointing=activation_checkpointing
        )
        self.norm_features = norm_features

    @abstractmethod
    def block(
        self,
        index: int,
        states: Tensor,
        segments: Segments,
        key_bias: Tensor | None,
        between: Between | None = None,
    ) -> Tensor:
        """One block over (T, C) packed states.

        Args:
            index: Of the block.
            states: (T, C).
            segments: One a frame.
            key_bias: (T,) float, added to the logits of each key.
            between: Called between attention and MLP, where given.
        """

    @abstractmethod
    def final_norm(self, states: Tensor) -> Tensor:
        """The norm that follows the last block in the published model."""

    def sites(self) -> tuple[Site, ...]:
        """Blocks that no feature needs do not run."""
        blocks = range(self.last_block() + 1)
        within = [Site(place, block) for block in blocks for place in ("vit.attention", "vit.block")]
        return (Site("pixels"), Site("vit.stem"), *within, Site("vit.output"))

    def last_block(self) -> int:
        return max(self._feature_index(b) for b in self.feature_blocks)

    def _feature_index(self, block: int) -> int:
        index = block if block >= 0 else self.num_blocks + block
        if not 0 <= index < self.num_blocks:
            raise ConfigError(
                f"feature block {block} of {self.num_blocks} blocks; use 0 to {self.num_blocks - 1} or negatives"
            )
        return index

    def forward(self, pixels: Tensor, layout: TokenLayout, pruning: PruningPass | None = None) -> VisionFeatures:
        run = self._begun(pixels, layout, pruning)
        wanted = [self._feature_index(b) for b in self.feature_blocks]
        for index in range(self.last_block() + 1):
            run.block(index)
            if index in wanted:
                run.features[index] = run.patch_states
        if run.pending:
            raise ValueError(f"tokens are to leave after blocks {sorted(run.pending)}, which do not run")
        run.cut(Site("vit.output"), run.select(Site("vit.output")))
        features = [self.final_norm(run.features[i]) if self.norm_features else run.features[i] for i in wanted]
        return VisionFeatures(states=torch.cat(features, dim=1), layout=run.layout)
