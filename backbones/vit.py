"""Vision transformers of timm, run block by block over packed patches.

Source: timm's VisionTransformer (weights, stems, published sizes); Molmo2 sheet A1.1. Differs: attention goes through
`zoo.attention`, so that survivors of many frames run packed, with a key bias where a pruner asks for one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

import timm
import torch
from timm.data import IMAGENET_INCEPTION_MEAN, IMAGENET_INCEPTION_STD
from timm.layers import Attention, GroupNorm1, HybridEmbed, LayerNorm
from timm.models.vision_transformer import Block, VisionTransformer
from timm.models.vision_transformer_hybrid import ConvStem
from torch import Tensor, nn

from zoo.attention import attend
from zoo.errors import ConfigError
from zoo.frame_pass import Between
from zoo.registry import near
from zoo.segments import Segments
from zoo.vision_encoder import TransformerVisionEncoder


class PackedBlock(nn.Module):
    """The parts of timm's pre-norm block, under timm's names, over packed states.

    A module of its own, because hooks that gather, count or time its weights act where a module is called.

    Args:
        block: Gives its parts.
    """

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.norm1, self.attn, self.ls1, self.drop_path1 = block.norm1, block.attn, block.ls1, block.drop_path1
        self.norm2, self.mlp, self.ls2, self.drop_path2 = block.norm2, block.mlp, block.ls2, block.drop_path2

    def forward(
        self, states: Tensor, segments: Segments, key_bias: Tensor | None, between: Between | None = None
    ) -> Tensor:
        """(T, C) to (T, C), or to fewer tokens where `between` says so."""
        attended, query, key = _packed_attention(self.attn, self.norm1(states), segments, key_bias)
        states = states + self.drop_path1(self.ls1(attended))
        if between is not None:
            states = between(states, query, key, self.attn.scale)
        return states + self.drop_path2(self.ls2(self.mlp(self.norm2(states))))


def _packed_attention(
    attn: Attention, states: Tensor, segments: Segments, key_bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """What attention adds to the states, and its queries and keys."""
    q, k, v = attn.qkv(states).view(len(states), 3, attn.num_heads, attn.head_dim).unbind(1)  # (T, H, D)
    q, k = attn.q_norm(q), attn.k_norm(k)
    out = attend(q, k, v, segments, key_bias=key_bias, scale=attn.scale)
    out = attn.norm(out.reshape(len(states), attn.attn_dim))
    if attn.gate is not None:
        out = out * attn.gate(states).sigmoid()
    return attn.proj_drop(attn.proj(out)), q, k


class TimmVisionEncoder(TransformerVisionEncoder):
    """A timm VisionTransformer as a vision encoder.

    Args:
        vit: The network, whose blocks are replaced by packed ones; its pooling and classifier are not used.
        mean: RGB mean of pixels in [0, 1] that the weights expect.
        std: RGB standard deviation.
        feature_blocks: Blocks whose outputs the connector reads, joined in this order.
        norm_features: Put features through the final norm.
        activation_checkpointing: Recompute blocks in the backward pass.
    Raises:
        ConfigError: the network is built of other blocks than timm's plain pre-norm ones.
    """

    def __init__(
        self,
        *,
        vit: VisionTransformer,
        mean: Sequence[float],
        std: Sequence[float],
        feature_blocks: Sequence[int],
        norm_features: bool = False,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__(
            mean=mean,
            std=std,
            feature_blocks=feature_blocks,
            norm_features=norm_features,
            activation_checkpointing=activation_checkpointing,
        )
        foreign = {type(b).__name__ for b in vit.blocks if type(b) is not Block or type(b.attn) is not Attention}
        if foreign:
            raise ConfigError(
                f"vision encoder built of {sorted(foreign)}; only timm's plain VisionTransformer blocks run here"
            )
        vit.blocks = nn.Sequential(*map(PackedBlock, vit.blocks))
        self.vit = vit
        self.image_size = tuple(vit.patch_embed.img_size)
        self.grid = tuple(vit.patch_embed.grid_size)
        self.hidden_size = vit.embed_dim
        self.num_blocks = len(vit.blocks)
        self.num_heads = vit.blocks[0].attn.num_heads
        self.num_prefix_tokens = vit.num_prefix_tokens
        self.last_block()  # refuses feature blocks that do not exist

    def stem(self, pixels: Tensor) -> Tensor:
        vit = self.vit
        if not pixels.is_cuda:
            pixels = pixels.contiguous(memory_format=torch.channels_last)  # 6x on a CPU for strided convolutions
        return vit.norm_pre(vit._pos_embed(vit.patch_embed(pixels)))  # noqa: SLF001 - guarded by a test on timm

    def block(
        self,
        index: int,
        states: Tensor,
        segments: Segments,
        key_bias: Tensor | None,
        between: Between | None = None,
    ) -> Tensor:
        return self.vit.blocks[index](states, segments, key_bias, between)

    def units(self) -> tuple[nn.Module, ...]:
        return tuple(self.vit.blocks)

    def idle(self) -> tuple[nn.Module, ...]:
        behind = tuple(self.vit.blocks[self.last_block() + 1 :])
        return behind if self.norm_features else (*behind, self.vit.norm)

    def final_norm(self, states: Tensor) -> Tensor:
        return self.vit.norm(states)


def _from_vit(vit: nn.Module, feature_blocks: Sequence[int], activation_checkpointing: bool) -> TimmVisionEncoder:
    config = vit.pretrained_cfg
    return TimmVisionEncoder(
        vit=vit,
        mean=config["mean"],
        std=config["std"],
        feature_blocks=feature_blocks,
        activation_checkpointing=activation_checkpointing,
    )


def from_timm(
    name: str,
    *,
    pretrained: bool = False,
    image_size: int | None = None,
    feature_blocks: Sequence[int] = (-1,),
    activation_checkpointing: bool = False,
) -> TimmVisionEncoder:
    """Any plain VisionTransformer that timm lists.

    Args:
        name: timm's model name, such as vit_base_patch16_siglip_224.
        pretrained: Download timm's weights; random otherwise.
        image_size: Side of the square input in pixels; the published size where left out.
        feature_blocks: Blocks whose outputs the connector reads, joined in this order; negative counts from the end.
        activation_checkpointing: Recompute blocks in the backward pass.
    Raises:
        ConfigError: timm has no such model, or it is not a plain VisionTransformer.
    """
    if not timm.is_model(name):
        close = near(name, tuple(timm.list_models()))
        raise ConfigError(f"timm has no model {name!r}. Near: {', '.join(close) or 'none'}. All: timm.list_models()")
    size = {} if image_size is None else {"img_size": image_size}
    # SigLIP's published activation is tanh-GELU; timm's so400m defaults to the exact one (7e-4 apart after 3 blocks).
    activation = {"act_layer": "gelu_tanh"} if "siglip" in name else {}
    vit = timm.create_model(name, pretrained=pretrained, num_classes=0, global_pool="", **size, **activation)
    if not isinstance(vit, VisionTransformer):
        raise ConfigError(f"timm:{name} is a {type(vit).__name__}; only plain VisionTransformers are built by name")
    return _from_vit(vit, feature_blocks, activation_checkpointing)


def siglip_network(
    *,
    image_size: tuple[int, int],
    patch_size: int,
    hidden_size: int,
    intermediate_size: int,
    num_blocks: int,
    num_heads: int,
    norm_eps: float,
    final_norm: bool,
) -> VisionTransformer:
    """Timm's network with random weights for a SigLIP of any size; arguments as in `siglip`."""
    return VisionTransformer(
        img_size=image_size,
        patch_size=patch_size,
        embed_dim=hidden_size,
        depth=num_blocks,
        num_heads=num_heads,
        mlp_ratio=(intermediate_size + 0.5) / hidden_size,  # timm rounds the product down
        act_layer="gelu_tanh",
        norm_layer=partial(LayerNorm, eps=norm_eps),
        class_token=False,
        num_classes=0,
        global_pool="",
        final_norm=final_norm,
    )


def siglip(
    *,
    image_size: tuple[int, int],
    patch_size: int,
    hidden_size: int,
    intermediate_size: int,
    num_blocks: int,
    num_heads: int,
    norm_eps: float = 1e-6,
    final_norm: bool = True,
    feature_blocks: Sequence[int] = (-2,),
    activation_checkpointing: bool = False,
) -> TimmVisionEncoder:
    """A SigLIP vision tower of any size with random weights.

    Args:
        image_size: (height, width) of the input, pixels; multiples of patch_size.
        patch_size: Side of a patch, pixels.
        hidden_size: Channels.
        intermediate_size: MLP width.
        num_blocks: Blocks.
        num_heads: Attention heads.
        norm_eps: Added to the variance in every norm.
        final_norm: Whether a norm follows the last block; Molmo2's released weights have none (sheet A1.1).
        feature_blocks: Blocks whose outputs the connector reads, joined in this order; negative counts from the end.
        activation_checkpointing: Recompute blocks in the backward pass.
    """
    vit = siglip_network(
        image_size=tuple(image_size),
        patch_size=patch_size,
        hidden_size=hidden_size,
        intermediate_size=intermediate_size,
        num_blocks=num_blocks,
        num_heads=num_heads,
        norm_eps=norm_eps,
        final_norm=final_norm,
    )
    return TimmVisionEncoder(
        vit=vit,
        mean=IMAGENET_INCEPTION_MEAN,
        std=IMAGENET_INCEPTION_STD,
        feature_blocks=feature_blocks,
        activation_checkpointing=activation_checkpointing,
    )


def siglip_base(
    *, pretrained: bool = False, feature_blocks: Sequence[int] = (-2,), activation_checkpointing: bool = False
) -> TimmVisionEncoder:
    """SigLIP base, patches of 16 in 224 pixels: 14 x 14.

    Args:
        pretrained: Download the published weights; random otherwise.
        feature_blocks: Blocks whose outputs the connector reads, joined in this order; negative counts from the end.
        activation_checkpointing: Recompute blocks in the backward pass.
    """
    return from_timm(
        "vit_base_patch16_siglip_224",
        pretrained=pretrained,
        feature_blocks=feature_blocks,
        activation_checkpointing=activation_checkpointing,
    )


def siglip2_base(
    *, pretrained: bool = False, feature_blocks: Sequence[int] = (-2,), activation_checkpointing: bool = False
) -> TimmVisionEncoder:
    """SigLIP2 base, patches of 16 in 224 pixels: 14 x 14.

    Args:
        pretrained: Download the published weights; random otherwise.
        feature_blocks: Blocks whose outputs the connector reads, joined in this order; negative counts from the end.
        activation_checkpointing: Recompute blocks in the backward pass.
    """
    return from_timm(
        "vit_base_patch16_siglip_224.v2_webli",
        pretrained=pretrained,
        feature_blocks=feature_blocks,
        activation_checkpointing=activation_checkpointing,
    )


def siglip2_so400m(
    *, pretrained: bool = False, feature_blocks: Sequence[int] = (24, 18), activation_checkpointing: bool = False
) -> TimmVisionEncoder:
    """SigLIP2 so400m, patches of 14 in 378 pixels: 27 x 27, as in Molmo2 (sheet A1.1).

    Args:
        pretrained: Download the published weights; random otherwise.
        feature_blocks: Blocks whose outputs the connector reads, joined in this order; negative counts from the end.
        activation_checkpointing: Recompute blocks in the backward pass.
    """
    return from_timm(
        "vit_so400m_patch14_siglip_378.v2_webli",
        pretrained=pretrained,
        feature_blocks=feature_blocks,
        activation_checkpointing=activation_checkpointing,
    )


class NormedHybridEmbed(HybridEmbed):
    """Timm's patch embedding behind a network of convolutions, each patch normalised.

    Without the norm the convolutions grow in training and drown the positions that are added to their outputs: after
    1000 steps those were one part in a hundred, and no window knew where in the picture it lies.

    Args:
        backbone: The convolutions.
        embed_dim: Channels of a patch.
        arguments: Of `HybridEmbed`.
    """

    def __init__(self, backbone: nn.Module, *, embed_dim: int, **arguments: object) -> None:
        super().__init__(backbone, embed_dim=embed_dim, **arguments)
        self.norm = nn.LayerNorm(embed_dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(super().forward(x))


FIRST_CONVOLUTION = {8: (3, 2), 16: (6, 4)}
"""Side and step of the first convolution of `vit-tiny`'s stem, by side of its patches, pixels."""


def _conv_stem_embed(stem_channels: int, **arguments: object) -> NormedHybridEmbed:
    """Three strided convolutions: 8 pixels a patch, or 16, where the first one is wider and steps 4 pixels."""
    arguments.pop("dynamic_img_pad")
    kernel, step = FIRST_CONVOLUTION[arguments.pop("patch_size")]
    # One group over channels and places: a norm of each place for itself takes away the contrast that shapes are seen
    # by (65 % of shapes against 49 % after 160 steps on single frames). Not batch norm: frames of a clip are no
    # independent samples.
    norm = GroupNorm1
    stem = ConvStem(
        depth=3,
        channels=stem_channels,
        kernel_size=(kernel, 3, 3),
        stride=(step, 2, 2),
        padding=(1, 1, 1),
        norm_layer=norm,
        act_layer=nn.GELU,
    )
    return NormedHybridEmbed(stem, patch_size=1, **arguments)


def vit_tiny(
    *,
    image_size: int | tuple[int, int] = 72,
    patch_size: Literal[8, 16] = 8,
    hidden_size: int = 128,
    num_blocks: int = 4,
    num_heads: int = 4,
    stem_channels: int = 64,
    feature_blocks: Sequence[int] = (-1,),
    activation_checkpointing: bool = False,
) -> TimmVisionEncoder:
    """A small ViT with a convolutional stem, for work on a CPU.

    Args:
        image_size: Side of the square input, or its (height, width), pixels; multiples of patch_size.
        patch_size: Side of a patch, pixels; at 16 a picture costs a quarter.
        hidden_size: Channels.
        num_blocks: Blocks.
        num_heads: Attention heads.
        stem_channels: Channels of the last stem convolution; the two before have a quarter and a half.
        feature_blocks: Blocks whose outputs the connector reads, joined in this order; negative counts from the end.
        activation_checkpointing: Recompute blocks in the backward pass.
    """
    vit = VisionTransformer(
        img_size=image_size,
        patch_size=patch_size,
        num_classes=0,
        global_pool="",
        embed_dim=hidden_size,
        depth=num_blocks,
        num_heads=num_heads,
        class_token=False,
        act_layer="gelu_tanh",
        embed_layer=partial(_conv_stem_embed, stem_channels),
        weight_init="jax",  # scaled by width; the default of 0.02 leaves blocks this narrow nearly silent
    )
    nn.init.trunc_normal_(vit.pos_embed, std=0.5)  # timm's 0.02 suits embeddings of that size; the stem gives out 1
    half = (0.5, 0.5, 0.5)
    return TimmVisionEncoder(
        vit=vit,
        mean=half,
        std=half,
        feature_blocks=feature_blocks,
        norm_features=True,
        activation_checkpointing=activation_checkpointing,
    )
