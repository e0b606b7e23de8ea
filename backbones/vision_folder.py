"""Vision towers from folders in transformers' layout, their weights in timm's blocks: SigLIP, SigLIP2, DINOv2.

Source: the published checkpoints' names and configurations as transformers writes them; Molmo2 sheet A1.1. A further
tower is one entry of `FAMILIES`. Differs: pooling heads, text towers and mask tokens are left behind.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, IMAGENET_INCEPTION_MEAN, IMAGENET_INCEPTION_STD
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor
from transformers import AutoConfig, PreTrainedConfig

from zoo.backbones.dinov2 import network_of_config, resampled_positions, timm_weights
from zoo.backbones.vit import TimmVisionEncoder, siglip_network
from zoo.errors import ConfigError
from zoo.hub import local_folder, reading
from zoo.weights import check_fit, read_weights

PREPROCESSOR = "preprocessor_config.json"
NAMES = (
    ("embeddings.patch_embedding.", "patch_embed.proj."),
    ("embeddings.position_embedding.weight", "pos_embed"),
    ("encoder.layers.", "blocks."),
    ("self_attn.out_proj.", "attn.proj."),
    ("layer_norm1.", "norm1."),
    ("layer_norm2.", "norm2."),
    ("post_layernorm.", "norm."),
)
"""Words of transformers' SigLIP, and timm's."""

LEFT_BEHIND = ("text_model.", "logit_", "head.")
"""Beginnings of what a SigLIP holds beside its vision tower."""


def siglip_of_config(config: PreTrainedConfig, image_size: tuple[int, int] | None = None) -> VisionTransformer:
    """Timm's network with random weights for the sizes of a SigLIP or SigLIP2 configuration.

    Args:
        config: Of a SiglipVisionModel or Siglip2VisionModel.
        image_size: (height, width) of the input, pixels; the configuration's where left out.
    Raises:
        ConfigError: MLPs with another activation than GELU's tanh approximation.
    """
    if config.hidden_act != "gelu_pytorch_tanh":
        raise ConfigError(f"SigLIP with activation {config.hidden_act!r}; its published MLPs have 'gelu_pytorch_tanh'")
    # SigLIP2 of variable resolution states a number of patches, the fixed sizes state pixels: 384 px in patches of 14
    # are 27 patches and a rest.
    side = config.image_size // config.patch_size if hasattr(config, "image_size") else round(config.num_patches**0.5)
    return siglip_network(
        image_size=image_size or (side * config.patch_size,) * 2,
        patch_size=config.patch_size,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_blocks=config.num_hidden_layers,
        num_heads=config.num_attention_heads,
        norm_eps=config.layer_norm_eps,
        final_norm=True,
    )


def siglip_weights(weights: Mapping[str, Tensor], *, grid: tuple[int, int]) -> dict[str, Tensor]:
    """Weights of a SigLIP or SigLIP2 under timm's names, the vision tower alone.

    Args:
        weights: By the names of transformers' files, with or without a text tower beside.
        grid: (rows, columns) of patches that the encoder will see; positions are resampled to it (sheet A1.1).
    """
    tower = {name.removeprefix("vision_model."): tensor for name, tensor in weights.items()}
    renamed: dict[str, Tensor] = {}
    for name, whole in tower.items():
        ours, tensor = name, whole
        if name.startswith(LEFT_BEHIND) or ".self_attn.k_proj" in name or ".self_attn.v_proj" in name:
            continue
        if ".self_attn.q_proj" in name:
            parts = [name.replace("q_proj", f"{part}_proj") for part in "qkv"]
            ours = name.replace("self_attn.q_proj", "attn.qkv")
            tensor = torch.cat([tower[part] for part in parts if part in tower])
        for theirs, timms in NAMES:
            ours = ours.replace(theirs, timms)
        renamed[ours] = tensor
    if (patches := renamed.get("patch_embed.proj.weight")) is not None and patches.ndim == 2:
        side = round((patches.shape[1] / 3) ** 0.5)  # SigLIP2 flattens a patch as (row, column, channel)
        renamed["patch_embed.proj.weight"] = patches.view(-1, side, side, 3).permute(0, 3, 1, 2)
    if (positions := renamed.get("pos_embed")) is not None:
        renamed["pos_embed"] = resampled_positions(positions.unsqueeze(0), grid, antialias=True)
    return renamed


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """How one of transformers' vision models becomes timm's VisionTransformer.

    Args:
        network: Configuration and (height, width) to a network with random weights.
        weights: Stored tensors and the grid of patches to tensors by timm's names.
        mean: RGB mean of its pixels where the folder does not say.
        std: RGB standard deviation.
    """

    network: Callable[[PreTrainedConfig, tuple[int, int] | None], VisionTransformer]
    weights: Callable[..., dict[str, Tensor]]
    mean: Sequence[float]
    std: Sequence[float]


_SIGLIP = Family(
    network=siglip_of_config, weights=siglip_weights, mean=IMAGENET_INCEPTION_MEAN, std=IMAGENET_INCEPTION_STD
)
_DINOV2 = Family(network=network_of_config, weights=timm_weights, mean=IMAGENET_DEFAULT_MEAN, std=IMAGENET_DEFAULT_STD)
FAMILIES: Mapping[str, Family] = {
    "siglip_vision_model": _SIGLIP,
    "siglip2_vision_model": _SIGLIP,
    "dinov2": _DINOV2,
    "dinov2_with_registers": _DINOV2,
}
"""By transformers' `model_type` of the vision part."""


class FolderVisionEncoder(TimmVisionEncoder):
    """A vision tower with the shape and statistics of a folder in transformers' layout.

    Args:
        config: Of the vision part, as transformers reads it.
        mean: RGB mean of pixels in [0, 1] that the weights expect.
        std: RGB standard deviation.
        image_size: (height, width) of the input, pixels; the configuration's where left out.
        feature_blocks: Blocks whose outputs the connector reads, joined in this order.
        norm_features: Put features through the final norm.
        activation_checkpointing: Recompute blocks in the backward pass.
    Raises:
        ConfigError: no such family, or a size or activation that it does not run with.
    """

    def __init__(
        self,
        *,
        config: PreTrainedConfig,
        mean: Sequence[float],
        std: Sequence[float],
        image_size: tuple[int, int] | None = None,
        feature_blocks: Sequence[int],
        norm_features: bool = False,
        activation_checkpointing: bool = False,
    ) -> None:
        if config.model_type not in FAMILIES:
            raise ConfigError(f"no vision tower can be taken from a {config.model_type}; only of {sorted(FAMILIES)}")
        if image_size is not None and any(side % config.patch_size for side in image_size):
            raise ConfigError(f"image_size {image_size} is no multiple of the {config.patch_size} pixels of a patch")
        vit = FAMILIES[config.model_type].network(config, image_size)
        super().__init__(
            vit=vit,
            mean=mean,
            std=std,
            feature_blocks=feature_blocks,
            norm_features=norm_features,
            activation_checkpointing=activation_checkpointing,
        )
        self.config = config

    def load(self, weights: Mapping[str, Tensor], source: str) -> None:
        """Take the tower out of a checkpoint's tensors.

        Args:
            weights: Tensors by their stored names.
            source: What an error calls the place that they come from.
        Raises:
            ConfigError: they are not exactly the tower's.
        """
        try:
            renamed = FAMILIES[self.config.model_type].weights(weights, grid=self.grid)
        except KeyError as error:  # a name that another one promises
            raise ConfigError(f"{source} does not fit the model: missing {error.args[0]}") from error
        check_fit(self.vit, {name: tuple(tensor.shape) for name, tensor in renamed.items()}, source)
        self.vit.load_state_dict(renamed)

    def save_files(self, folder: Path) -> dict[str, Any]:
        folder.mkdir(parents=True)
        self.config.save_pretrained(folder)
        statistics = {"image_mean": self.mean.flatten().tolist(), "image_std": self.std.flatten().tolist()}
        (folder / PREPROCESSOR).write_text(json.dumps(statistics, indent=2) + "\n", encoding="utf-8")
        arguments = {
            "pretrained": False,
            "image_size": list(self.image_size),
            "feature_blocks": list(self.feature_blocks),
            "norm_features": self.norm_features,
            "activation_checkpointing": self.activation_checkpointing,
        }
        return {"class_path": f"hf:{folder}", "init_args": arguments}


def _read_statistics(folder: Path, config: PreTrainedConfig) -> dict[str, tuple[float, ...]]:
    """Mean and standard deviation of pixels: the folder's own, else those the family was published with."""
    family = FAMILIES.get(config.model_type, _SIGLIP)
    file = folder / PREPROCESSOR
    told = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    found = {
        "mean": tuple(map(float, told.get("image_mean", family.mean))),
        "std": tuple(map(float, told.get("image_std", family.std))),
    }
    if any(len(values) != 3 for values in found.values()) or not all(0 < value < math.inf for value in found["std"]):
        raise ConfigError(f"{file}: {found}; expected a mean and a positive standard deviation of three colours")
    return found


def from_hf(
    name: str,
    *,
    pretrained: bool = True,
    image_size: tuple[int, int] | None = None,
    feature_blocks: Sequence[int] = (-2,),
    norm_features: bool = False,
    activation_checkpointing: bool = False,
) -> FolderVisionEncoder:
    """The vision tower of a folder or hub id in transformers' layout: SigLIP, SigLIP2, DINOv2.

    Args:
        name: A local folder, or a hub id such as google/siglip2-so400m-patch14-384; a model with a text tower too.
        pretrained: Load the weights; false takes only the shape, with random weights.
        image_size: (height, width) of the input, pixels; positions are resampled where it is not the published one.
        feature_blocks: Blocks whose outputs the connector reads, joined in this order; negative counts from the end.
        norm_features: Put features through the final norm.
        activation_checkpointing: Recompute blocks in the backward pass.
    Raises:
        ConfigError: no such folder, no tower of these families, or weights that are not exactly its own.
    """
    folder = local_folder(name, weights=pretrained)
    with reading(name, "a vision model of transformers"):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        config = getattr(config, "vision_config", config)
        encoder = FolderVisionEncoder(
            config=config,
            **_read_statistics(folder, config),
            image_size=image_size,
            feature_blocks=feature_blocks,
            norm_features=norm_features,
            activation_checkpointing=activation_checkpointing,
        )
    if pretrained:
        encoder.load(read_weights(folder), str(folder))
    return encoder
