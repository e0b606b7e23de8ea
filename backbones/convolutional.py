"""Convolutional networks as vision encoders: their patches are the cells of the last stage.

Source: timm's networks and blocks (weights, published sizes). A network sees a frame whole, so tokens may
leave before it, where nothing of a frame is wanted, or behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import timm
import torch
from timm.data import IMAGENET_INCEPTION_MEAN, IMAGENET_INCEPTION_STD, OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from timm.layers import BatchNormAct2d, ConvNormAct, create_conv2d
from timm.models.resnetv2 import PreActBasic
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from zoo.errors import ConfigError
from zoo.layout import TokenLayout
from zoo.pruner import Site
from zoo.pruning_pass import PruningPass
from zoo.vision_encoder import VisionEncoder, VisionFeatures

CHANNELS_DIVISOR = 8
"""Of `resnet-tiny`: what vector kernels are made for. A strided 1x1 one of 4 channels crashed on a CPU with AVX2."""


class ConvolutionalVisionEncoder(VisionEncoder):
    """A network that gives the cells of one stage.

    Frames do not see one another, but for batch norms, which in training take their means over all frames of a batch.

    Args:
        network: (F, 3, height, width) pixels to (F, channels, rows, columns).
        channels: Of its cells.
        cell: Side of one, pixels.
        image_size: (height, width) of the input, pixels; a cell's side divides both.
        mean: RGB mean of pixels in [0, 1] that the weights expect.
        std: RGB standard deviation.
    Raises:
        ConfigError: a size that cells do not divide.
    """

    def __init__(
        self,
        *,
        network: nn.Module,
        channels: int,
        cell: int,
        image_size: tuple[int, int],
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        super().__init__(mean=mean, std=std, feature_blocks=(0,), activation_checkpointing=False)
        height, width = image_size
        if height % cell or width % cell:
            raise ConfigError(
                f"vision encoder: image_size {list(image_size)} (height, width), of which each cell takes {cell} "
                f"pixels; give multiples of {cell}"
            )
        self.network = network.to(memory_format=torch.channels_last)
        self.image_size = (height, width)
        self.grid = (height // cell, width // cell)
        self.hidden_size = channels
        self.num_heads = self.num_prefix_tokens = 0

    def train(self, mode: bool = True) -> ConvolutionalVisionEncoder:
        """A batch norm whose weights are frozen keeps its means too: they belong to these weights."""
        super().train(mode)
        for part in self.network.modules():
            if isinstance(part, _BatchNorm) and not any(weight.requires_grad for weight in part.parameters()):
                part.eval()
        return self

    def stem(self, pixels: Tensor) -> Tensor:
        """The whole network."""
        states = self.network(pixels.contiguous(memory_format=torch.channels_last))
        return states.permute(0, 2, 3, 1).flatten(1, 2)

    def sites(self) -> tuple[Site, ...]:
        return (Site("pixels"), Site("vit.output"))

    def last_block(self) -> int:
        return -1

    def forward(self, pixels: Tensor, layout: TokenLayout, pruning: PruningPass | None = None) -> VisionFeatures:
        run = self._begun(pixels, layout, pruning)
        run.cut(Site("vit.output"), run.select(Site("vit.output")))
        return VisionFeatures(states=run.patch_states, layout=run.layout)

    def units(self) -> tuple[nn.Module, ...]:
        return (self.network,)


def clip_resnet_50(*, pretrained: bool = False, image_size: tuple[int, int] = (224, 224)) -> ConvolutionalVisionEncoder:
    """CLIP's ResNet-50 without its attention pool, as in EmbodiedCLIP and SPOC's `spoc-clip-resnet-50-3`.

    Args:
        pretrained: Download the published weights; random otherwise.
        image_size: (height, width) of the input, pixels; multiples of 32, each cell's side.
    """
    network = timm.create_model("resnet50_clip.openai", pretrained=pretrained)
    network.head = nn.Identity()
    return ConvolutionalVisionEncoder(
        network=network,
        channels=network.num_features,
        cell=network.feature_info[-1]["reduction"],
        image_size=tuple(image_size),
        mean=OPENAI_CLIP_MEAN,
        std=OPENAI_CLIP_STD,
    )


def resnet_tiny(
    *,
    image_size: int | tuple[int, int] = 72,
    stem_channels: Sequence[int] = (16, 32),
    hidden_size: int = 64,
    num_blocks: int = 4,
) -> ConvolutionalVisionEncoder:
    """A small pre-activation ResNet for work on a CPU (He et al. 2016, arXiv 1603.05027), all blocks at one resolution.

    From nothing it learns what patches show sooner than `vit-tiny` of the same cost.

    Args:
        image_size: Side of the square input, or its (height, width), pixels; multiples of a cell.
        stem_channels: Of the convolutions before the last one of the stem; each halves the resolution, and so does that
            one: with two, cells have 8 pixels.
        hidden_size: Channels of the residual blocks and of patches.
        num_blocks: Residual blocks, each of two 3x3 convolutions.
    Raises:
        ConfigError: no block, channels in other than multiples of 8, or a size that cells do not divide.
    """
    widths = (*stem_channels, hidden_size)
    if num_blocks < 1 or any(width < 1 or width % CHANNELS_DIVISOR for width in widths):
        raise ConfigError(
            f"resnet-tiny: stem_channels {list(stem_channels)}, hidden_size {hidden_size}, num_blocks {num_blocks}; "
            f"expected one block or more, and channels in multiples of {CHANNELS_DIVISOR}"
        )
    *stem, (last, _) = pairwise((3, *widths))
    network = nn.Sequential(
        *(ConvNormAct(before, after, kernel_size=3, stride=2) for before, after in stem),
        create_conv2d(last, hidden_size, 3, stride=2),
        *(PreActBasic(hidden_size, conv_layer=create_conv2d, norm_layer=BatchNormAct2d) for _ in range(num_blocks)),
        BatchNormAct2d(hidden_size),
    )
    size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    return ConvolutionalVisionEncoder(
        network=network,
        channels=hidden_size,
        cell=2 ** len(widths),
        image_size=size,
        mean=IMAGENET_INCEPTION_MEAN,
        std=IMAGENET_INCEPTION_STD,
    )
