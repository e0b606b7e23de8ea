"""DINOv2 vision transformers, with and without register tokens.

Source: timm's networks of the published sizes; weights also from transformers' layout (Dinov2Model and
    Dinov2WithRegistersModel). Differs: a weights file of another image size has its positions resampled as transformers
    does, once when it is read, without the published code's offset of 0.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal

import timm
import torch
from timm.data.constants import (
    IMAGENET_DEFAULT_MEAN,
    IMAGENET_DEFAULT_STD,
    OPENAI_CLIP_MEAN,
    OPENAI_CLIP_STD,
)
from timm.layers import LayerNorm, Mlp, SwiGLUPacked
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import Dinov2Config, Dinov2WithRegistersConfig

from zoo.backbones.vit import TimmVisionEncoder
from zoo.errors import ConfigError

Normalisation = Literal["imagenet", "clip"]

STATISTICS: dict[Normalisation, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "imagenet": (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD),
    "clip": (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD),
}
"""RGB mean and standard deviation: DINOv2's own, and those under which SPOC runs it (sheet, SPOC 1.5)."""

NAMES = (
    ("embeddings.patch_embeddings.projection", "patch_embed.proj"),
    ("embeddings.cls_token", "cls_token"),
    ("embeddings.register_tokens", "reg_token"),
    ("embeddings.position_embeddings", "pos_embed"),
    ("encoder.layer.", "blocks."),
    ("layer_scale1.lambda1", "ls1.gamma"),
    ("layer_scale2.lambda1", "ls2.gamma"),
    ("attention.output.dense", "attn.proj"),
    ("attention.o_proj", "attn.proj"),
    ("mlp.weights_in", "mlp.fc1"),
    ("mlp.weights_out", "mlp.fc2"),
    ("mlp.down_proj", "mlp.fc2"),
    ("layernorm.", "norm."),
)
"""transformers' words and timm's. Files hold the first spelling of a part, newer classes in memory the second."""

JOINED = (
    (("attention.attention.query", "attention.attention.key", "attention.attention.value"), "attn.qkv"),
    (("attention.q_proj", "attention.k_proj", "attention.v_proj"), "attn.qkv"),
    (("mlp.gate_proj", "mlp.up_proj"), "mlp.fc1"),
)
"""Linear layers of transformers that are one in timm, in the order of its rows."""


def timm_weights(weights: Mapping[str, Tensor], *, grid: tuple[int, int]) -> dict[str, Tensor]:
    """Weights of transformers' DINOv2 under timm's names.

    Args:
        weights: State of a Dinov2Model or Dinov2WithRegistersModel, from a file or from memory.
        grid: (rows, columns) of patches that the encoder will see; positions are resampled to it.
    Returns:
        What timm's VisionTransformer of the same sizes loads strictly.
    """
    renamed: dict[str, Tensor] = {}
    for whole in weights:
        name = whole.removeprefix("dinov2.").removeprefix("dinov2_with_registers.")
        parts, ours = next(((parts, ours) for parts, ours in JOINED if any(p in name for p in parts)), ((name,), name))
        if name == "embeddings.mask_token" or parts[0] not in name:  # for pre-training; or joined under the first part
            continue
        tensors = [weights[whole.replace(parts[0], part)] for part in parts]
        name = name.replace(parts[0], ours)
        for theirs, timms in NAMES:
            name = name.replace(theirs, timms)
        renamed[name] = torch.cat(tensors) if len(tensors) > 1 else tensors[0]
    positions, has_registers = renamed["pos_embed"], "reg_token" in renamed
    # Published with registers, positions shrink with antialiasing, without them they do not.
    patches = resampled_positions(positions[:, 1:], grid, antialias=has_registers)
    if has_registers:  # timm has no position for the class token there: it is part of the token
        renamed["cls_token"] = renamed["cls_token"] + positions[:, :1]
        renamed["pos_embed"] = patches
    else:
        renamed["pos_embed"] = torch.cat([positions[:, :1], patches], dim=1)
    return renamed


def resampled_positions(positions: Tensor, grid: tuple[int, int], *, antialias: bool) -> Tensor:
    """Position embeddings of a square grid at another one, bicubic in float32.

    Args:
        positions: (1, side * side, C).
        grid: (rows, columns).
        antialias: Widen the filter where the grid shrinks.
    Returns:
        (1, rows * columns, C); the same tensor where the grid is the same.
    Raises:
        ConfigError: the embeddings are of no square grid.
    """
    side = round(positions.shape[1] ** 0.5)
    if side * side != positions.shape[1]:
        raise ConfigError(f"{positions.shape[1]} position embeddings are no square grid of patches")
    if grid == (side, side):
        return positions
    square = positions.float().unflatten(1, (side, side)).permute(0, 3, 1, 2)
    sized = F.interpolate(square, size=grid, mode="bicubic", align_corners=False, antialias=antialias)
    return sized.flatten(2).transpose(1, 2).to(positions.dtype)


def encoder_of_config(
    config: Dinov2Config | Dinov2WithRegistersConfig,
    *,
    image_size: tuple[int, int] | None = None,
    normalisation: Normalisation = "imagenet",
    feature_blocks: Sequence[int] = (-1,),
    norm_features: bool = True,
    activation_checkpointing: bool = False,
) -> TimmVisionEncoder:
    """An encoder with random weights for the sizes of a transformers configuration; `timm_weights` fills it.

    Args:
        config: Of a Dinov2Model or Dinov2WithRegistersModel.
        image_size: (height, width) of the input, pixels; the configuration's where left out.
        normalisation: Statistics of pixels.
        feature_blocks: Blocks whose outputs the connector reads, joined in this order; negative counts from the end.
        norm_features: Put features through the final norm.
        activation_checkpointing: Recompute blocks in the backward pass.
    Raises:
        ConfigError: MLPs with another activation than GELU.
    """
    vit = network_of_config(config, image_size)
    return _encoder(vit, normalisation, feature_blocks, norm_features, activation_checkpointing)


def network_of_config(
    config: Dinov2Config | Dinov2WithRegistersConfig, image_size: tuple[int, int] | None = None
) -> VisionTransformer:
    """Timm's network with random weights for the sizes of a transformers configuration; see `encoder_of_config`."""
    if config.hidden_act != "gelu":
        raise ConfigError(f"DINOv2 with activation {config.hidden_act!r}; its published MLPs have 'gelu'")
    side = config.image_size
    published = (side, side) if isinstance(side, int) else tuple(side)
    registers = config.num_register_tokens if isinstance(config, Dinov2WithRegistersConfig) else 0
    return VisionTransformer(
        img_size=image_size or published,
        patch_size=config.patch_size,
        embed_dim=config.hidden_size,
        depth=config.num_hidden_layers,
        num_heads=config.num_attention_heads,
        mlp_ratio=_gated_ratio(config.hidden_size, config.mlp_ratio) if config.use_swiglu_ffn else config.mlp_ratio,
        mlp_layer=SwiGLUPacked if config.use_swiglu_ffn else Mlp,
        act_layer=nn.SiLU if config.use_swiglu_ffn else nn.GELU,
        norm_layer=partial(LayerNorm, eps=config.layer_norm_eps),
        qkv_bias=config.qkv_bias,
        init_values=config.layerscale_value,
        reg_tokens=registers,
        no_embed_class=bool(registers),
        num_classes=0,
        global_pool="",
    )


def _gated_ratio(hidden_size: int, mlp_ratio: float) -> float:
    """Ratio that gives timm's packed gate and value the width of transformers: two thirds, rounded up to eights."""
    half = (int(int(hidden_size * mlp_ratio) * 2 / 3) + 7) // 8 * 8
    return (2 * half + 0.5) / hidden_size  # timm rounds the product down


def _encoder(
    vit: VisionTransformer,
    normalisation: Normalisation,
    feature_blocks: Sequence[int],
    norm_features: bool,
    activation_checkpointing: bool,
) -> TimmVisionEncoder:
    mean, std = STATISTICS[normalisation]
    return TimmVisionEncoder(
        vit=vit,
        mean=mean,
        std=std,
        feature_blocks=feature_blocks,
        norm_features=norm_features,
        activation_checkpointing=activation_checkpointing,
    )


def _published(
    size: str,
    *,
    num_registers: Literal[0, 4],
    image_size: tuple[int, int],
    pretrained: bool,
    normalisation: Normalisation,
    feature_blocks: Sequence[int],
    activation_checkpointing: bool,
) -> TimmVisionEncoder:
    registers = "_reg4" if num_registers else ""
    vit = timm.create_model(
        f"vit_{size}_patch14{registers}_dinov2",
        pretrained=pretrained,
        img_size=tuple(image_size),
        num_classes=0,
        global_pool="",
    )
    # Its authors read features behind the final norm.
    return _encoder(vit, normalisation, feature_blocks, True, activation_checkpointing)


def dinov2_small(
    *,
    num_registers: Literal[0, 4] = 0,
    image_size: tuple[int, int] = (518, 518),
    pretrained: bool = False,
    normalisation: Normalisation = "imagenet",
    feature_blocks: Sequence[int] = (-1,),
    activation_checkpointing: bool = False,
) -> TimmVisionEncoder:
    """DINOv2 small, patches of 14: 22 M parameters, 384 channels.

    Args:
        num_registers: Register tokens beside the class token; published with none and with four.
        image_size: (height, width) of the input, pixels, multiples of 14.
        pretrained: Download the published weights; random otherwise.
        normalisation: Statistics of pixels: DINOv2's own, or CLIP's as in SPOC.
        feature_blocks: Blocks whose outputs the connector reads, joined in this order; negative counts from the end.
        activation_checkpointing: Recompute blocks in the backward pass.
    """
    return _published(
        "small",
        num_registers=num_registers,
        image_size=image_size,
        pretrained=pretrained,
        normalisation=normalisation,
        feature_blocks=feature_blocks,
        activation_checkpointing=activation_checkpointing,
    )


def dinov2_base(
    *,
    num_registers: Literal[0, 4] = 0,
    image_size: tuple[int, int] = (518, 518),
    pretrained: bool = False,
    normalisation: Normalisation = "imagenet",
    feature_blocks: Sequence[int] = (-1,),
    activation_checkpointing: bool = False,
) -> TimmVisionEncoder:
    """DINOv2 base, patches of 14: 86 M parameters, 768 channels.

    Args:
        num_registers: Register tokens beside the class token; published with none and with four.
        image_size: (height, width) of the input, pixels, multiples of 14.
        pretrained: Download the published weights; random otherwise.
        normalisation: Statistics of pixels: DINOv2's own, or CLIP's as in SPOC.
        feature_blocks: Blocks whose outputs the connector reads, joined in this order; negative counts from the end.
        activation_checkpointing: Recompute blocks in the backward pass.
    """
    return _published(
        "base",
        num_registers=num_registers,
        image_size=image_size,
        pretrained=pretrained,
        normalisation=normalisation,
        feature_blocks=feature_blocks,
        activation_checkpointing=activation_checkpointing,
    )


def dinov2_large(
    *,
    num_registers: Literal[0, 4] = 0,
    image_size: tuple[int, int] = (518, 518),
    pretrained: bool = False,
    normalisation: Normalisation = "imagenet",
    feature_blocks: Sequence[int] = (-1,),
    activation_checkpointing: bool = False,
) -> TimmVisionEncoder:
    """DINOv2 large, patches of 14: 300 M parameters, 1024 channels.

    Args:
        num_registers: Register tokens beside the class token; published with none and with four.
        image_size: (height, width) of the input, pixels, multiples of 14.
        pretrained: Download the published weights; random otherwise.
        normalisation: Statistics of pixels: DINOv2's own, or CLIP's as in SPOC.
        feature_blocks: Blocks whose outputs the connector reads, joined in this order; negative counts from the end.
        activation_checkpointing: Recompute blocks in the backward pass.
    """
    return _published(
        "large",
        num_registers=num_registers,
        image_size=image_size,
        pretrained=pretrained,
        normalisation=normalisation,
        feature_blocks=feature_blocks,
        activation_checkpointing=activation_checkpointing,
    )


def dinov2_giant(
    *,
    num_registers: Literal[0, 4] = 0,
    image_size: tuple[int, int] = (518, 518),
    pretrained: bool = False,
    normalisation: Normalisation = "imagenet",
    feature_blocks: Sequence[int] = (-1,),
    activation_checkpointing: bool = False,
) -> TimmVisionEncoder:
    """DINOv2 giant, patches of 14: 1.1 G parameters, 1536 channels and gated MLPs.

    Args:
        num_registers: Register tokens beside the class token; published with none and with four.
        image_size: (height, width) of the input, pixels, multiples of 14.
        pretrained: Download the published weights; random otherwise.
        normalisation: Statistics of pixels: DINOv2's own, or CLIP's as in SPOC.
        feature_blocks: Blocks whose outputs the connector reads, joined in this order; negative counts from the end.
        activation_checkpointing: Recompute blocks in the backward pass.
    """
    return _published(
        "giant",
        num_registers=num_registers,
        image_size=image_size,
        pretrained=pretrained,
        normalisation=normalisation,
        feature_blocks=feature_blocks,
        activation_checkpointing=activation_checkpointing,
    )


def dinov2_tiny(
    *,
    image_size: tuple[int, int] = (126, 126),
    hidden_size: int = 128,
    num_blocks: int = 4,
    num_heads: int = 4,
    num_registers: int = 4,
    gated: bool = False,
    layer_scale: float = 1.0,
    normalisation: Normalisation = "imagenet",
    feature_blocks: Sequence[int] = (-1,),
    activation_checkpointing: bool = False,
) -> TimmVisionEncoder:
    """DINOv2's parts at a size for work on a CPU: patches of 14, registers, layer scale.

    Args:
        image_size: (height, width) of the input, pixels, multiples of 14.
        hidden_size: Channels.
        num_blocks: Blocks.
        num_heads: Attention heads.
        num_registers: Register tokens beside the class token.
        gated: MLPs of the giant size (SwiGLU) instead of the others' (GELU).
        layer_scale: Start of the factors on each block's outputs; published 1e-5 is for far longer training.
        normalisation: Statistics of pixels.
        feature_blocks: Blocks whose outputs the connector reads, joined in this order; negative counts from the end.
        activation_checkpointing: Recompute blocks in the backward pass.
    """
    config = Dinov2WithRegistersConfig(
        image_size=tuple(image_size),
        patch_size=14,
        hidden_size=hidden_size,
        num_hidden_layers=num_blocks,
        num_attention_heads=num_heads,
        num_register_tokens=num_registers,
        use_swiglu_ffn=gated,
        layerscale_value=layer_scale,
    )
    return encoder_of_config(
        config,
        normalisation=normalisation,
        feature_blocks=feature_blocks,
        activation_checkpointing=activation_checkpointing,
    )
