"""Convolutional networks of timm as vision encoders: their patches are the cells of one stage.

Source: timm's `features_only` networks (stages, weights, published sizes). A network sees a frame whole, so tokens may
leave before it, where nothing of a frame is wanted, or behind it.
"""

from __future__ import annotations

from collections.abc import Sequence

import timm
import torch
from timm.data import IMAGENET_INCEPTION_MEAN, IMAGENET_INCEPTION_STD, OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from timm.models import FeatureListNet
from timm.models.byobnet import ByoBlockCfg, ByobNet, ByoModelCfg
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from zoo.errors import ConfigError
from zoo.layout import TokenLayout
from zoo.pruner import Site
from zoo.pruning_pass import PruningPass
from zoo.vision_encoder import VisionEncoder, VisionFeatures

CHANNELS_DIVISOR = 8
"""To which timm's `ByobNet` rounds the channels of a stage. A stem of 4 channels kills the process: oneDNN's backward pass
of a strided 1x1 convolution, channels last, writes beyond its buffer on CPUs without AVX-512 (torch 2.14.1)."""


class ConvolutionalVisionEncoder(VisionEncoder):
    """One stage of a convolutional network.

    Frames do not see one another, but for batch norms, which in training take their means over all frames of a batch.

    Args:
        network: Gives that stage alone.
        image_size: (height, width) of the input, pixels; the stage's step divides both.
        mean: RGB mean of pixels in [0, 1] that the weights expect.
        std: RGB standard deviation.
    Raises:
        ConfigError: a network of several stages, or a size that the step does not divide.
    """

    def __init__(
        self, *, network: FeatureListNet, image_size: tuple[int, int], mean: Sequence[float], std: Sequence[float]
    ) -> None:
        stages, steps = network.feature_info.out_indices, network.feature_info.reduction()
        if len(stages) != 1:
            raise ConfigError(f"vision encoder of stages {list(stages)}; stages have grids of their own: give one")
        super().__init__(mean=mean, std=std, feature_blocks=stages, activation_checkpointing=False)
        height, width = image_size
        (step,) = steps
        if height % step or width % step:
            raise ConfigError(
                f"vision encoder: image_size {list(image_size)} (height, width), of which each cell of the stage takes "
                f"{step} pixels; give multiples of {step}"
            )
        self.network = network.to(memory_format=torch.channels_last)
        self.image_size = (height, width)
        self.grid = (height // step, width // step)
        self.hidden_size = network.feature_info.channels()[0]
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
        (states,) = self.network(pixels.contiguous(memory_format=torch.channels_last))
        return states.permute(0, 2, 3, 1).flatten(1, 2)

    def sites(self) -> tuple[Site, ...]:
        return (Site("pixels"), Site("vit.output"))

    def last_block(self) -> int:
        return -1

    def forward(self, pixels: Tensor, layout: TokenLayout, pruning: PruningPass | None = None) -> VisionFeatures:
        run = self._begun(pixels, layout, pruning)
        run.cut(Site("vit.output"), run.select(Site("vit.output")))
        return VisionFeatures(states=run.patch_states, layout=run.layout)

    def units(self) -> tuple[torch.nn.Module, ...]:
        return (self.network,)


def clip_resnet_50(*, pretrained: bool = False, image_size: tuple[int, int] = (224, 224)) -> ConvolutionalVisionEncoder:
    """CLIP's ResNet-50 without its attention pool, as in EmbodiedCLIP and SPOC's `spoc-clip-resnet-50-3`.

    Args:
        pretrained: Download the published weights; random otherwise.
        image_size: (height, width) of the input, pixels; multiples of 32, each cell's side.
    """
    network = timm.create_model("resnet50_clip.openai", pretrained=pretrained, features_only=True, out_indices=(4,))
    return ConvolutionalVisionEncoder(
        network=network, image_size=tuple(image_size), mean=OPENAI_CLIP_MEAN, std=OPENAI_CLIP_STD
    )


def resnet_tiny(
    *,
    image_size: int | tuple[int, int] = 72,
    stem_channels: int = 16,
    stage_channels: Sequence[int] = (32, 128),
    stage_blocks: Sequence[int] = (1, 2),
) -> ConvolutionalVisionEncoder:
    """A small ResNet for work on a CPU; with two stages its cells have 8 pixels, with three 16.

    From nothing it learns what patches show sooner than `vit-tiny` of the same cost.

    Args:
        image_size: Side of the square input, or its (height, width), pixels; multiples of a cell.
        stem_channels: Of the first convolution, which halves the resolution, in multiples of 8.
        stage_channels: Of each stage, which halves it again, in multiples of 8; the last one's are the patches'.
        stage_blocks: Residual blocks of each stage.
    Raises:
        ConfigError: stages that cannot be, or a size that cells do not divide.
    """
    stages = len(stage_channels)
    if (
        stages < 2  # timm's rule
        or len(stage_blocks) != stages
        or min(stem_channels, *stage_channels, *stage_blocks) < 1
        or any(channels % CHANNELS_DIVISOR for channels in (stem_channels, *stage_channels))
    ):
        raise ConfigError(
            f"resnet-tiny: stem_channels {stem_channels}, stage_channels {list(stage_channels)} and stage_blocks "
            f"{list(stage_blocks)}; expected numbers of two stages or more, each 1 or more, channels in "
            f"multiples of {CHANNELS_DIVISOR}"
        )
    blocks = tuple(
        ByoBlockCfg(type="basic", d=count, c=channels, s=2, gs=None, br=1.0)
        for channels, count in zip(stage_channels, stage_blocks, strict=True)
    )
    shape = ByoModelCfg(blocks=blocks, stem_chs=stem_channels, stem_type="3x3", stem_pool="")
    # Without this all residuals begin at zero, and a new network sees one pixel in 64: the path around them is strided.
    whole = ByobNet(shape, num_classes=0, global_pool="", zero_init_last=False)
    network = FeatureListNet(whole, out_indices=(stages,), flatten_sequential=True)
    size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    return ConvolutionalVisionEncoder(
        network=network, image_size=size, mean=IMAGENET_INCEPTION_MEAN, std=IMAGENET_INCEPTION_STD
    )
