"""Decoders of transformers with the zoo's layer loop.

Source: transformers' Qwen2, Qwen3, Llama, OLMo2 and OLMo3 layers (weights, norms, rotary tables, MLPs); Molmo2 sheet
    A1.3. Differs: attention is routed to `LayerContext` through transformers' public attention interface, so packing,
    caches, pruning and capture are ours for every architecture.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import (
    AttentionInterface,
    AutoConfig,
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from zoo.backbone import LanguageModel, LayerContext
from zoo.errors import ConfigError
from zoo.hub import local_folder, reading
from zoo.weights import weight_files

ATTENTION = "zoo_packed"
"""Name under which transformers finds the attention of `LayerContext`."""


def _packed_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float,
    context: LayerContext,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_: object,  # dropout, position ids and the like, which packed execution has no use for
) -> tuple[Tensor, None]:
    """Signature of transformers' attention functions: (batch, heads, tokens, D) in, (batch, tokens, heads, D) out."""
    if softcap is not None or s_aux is not None:
        raise ConfigError(
            f"{type(module).__name__} caps its attention logits or has attention sinks; packed execution does neither"
        )
    out = context.attend(module.layer_idx, query, key, value, scale=scaling, local_attention=sliding_window)
    return out.transpose(1, 2), None


AttentionInterface.register(ATTENTION, _packed_attention)

LAYER_TYPES = frozenset({"full_attention", "sliding_attention"})
"""transformers' words for the layers that run here."""


class ResidualDropout:
    """A forward hook that zeroes some of what a part of a layer adds to the states, while its module trains.

    Source: Molmo2 sheet A7.1 (0.1 in the language model). Differs: where a norm stands behind the part, as in OLMo, it
    sees what was zeroed.

    Args:
        share: That is zeroed; the rest grows so that the mean stays.
    """

    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(
        self, module: torch.nn.Module, _: object, output: Tensor | tuple[Tensor, ...]
    ) -> Tensor | tuple[Tensor, ...]:
        if isinstance(output, tuple):  # attention also gives its weights
            return (F.dropout(output[0], self.share, module.training), *output[1:])
        return F.dropout(output, self.share, module.training)


class TransformersLanguageModel(LanguageModel):
    """A causal language model of transformers.

    Args:
        model: The network, with embedding, layers, final norm and output head.
        activation_checkpointing: Recompute layers in the backward pass.
        residual_dropout: Share of what attention and MLPs add to the states that is zeroed in training, in [0, 1).
    Raises:
        ConfigError: the network has layers of other kinds than attention to all tokens or to the last so many.
    """

    def __init__(
        self, *, model: PreTrainedModel, activation_checkpointing: bool = False, residual_dropout: float = 0.0
    ) -> None:
        super().__init__(activation_checkpointing=activation_checkpointing)
        if not 0 <= residual_dropout < 1:
            raise ConfigError(f"residual_dropout is {residual_dropout}, expected a share in [0, 1)")
        config = model.config
        layer_types = tuple(getattr(config, "layer_types", None) or ())
        foreign = set(layer_types) - LAYER_TYPES
        if foreign:
            raise ConfigError(f"{type(model).__name__} has layers of {sorted(foreign)}; here run {sorted(LAYER_TYPES)}")
        model.set_attn_implementation(ATTENTION)
        self.model = model
        # Where layers of different types turn their heads differently, transformers keys the parameters by type.
        parameters = config.rope_parameters
        self._rotary_types = layer_types if layer_types and set(layer_types) <= parameters.keys() else None
        self.hidden_size = config.hidden_size
        self.intermediate_size = config.intermediate_size
        self.num_layers = config.num_hidden_layers
        self.num_heads = config.num_attention_heads
        self.vocab_size = config.vocab_size
        self.residual_dropout = residual_dropout
        for layer in model.model.layers if residual_dropout else ():
            for part in (layer.self_attn, layer.mlp):
                part.register_forward_hook(ResidualDropout(residual_dropout))

    def embed(self, input_ids: Tensor) -> Tensor:
        return self.model.get_input_embeddings()(input_ids)

    def rotary(self, states: Tensor, position_ids: Tensor) -> Sequence[tuple[Tensor, Tensor]]:
        rotary = self.model.model.rotary_emb
        if self._rotary_types is None:
            return [rotary(states, position_ids)] * self.num_layers
        by_type = {name: rotary(states, position_ids, name) for name in set(self._rotary_types)}
        return [by_type[name] for name in self._rotary_types]

    def layer(self, index: int, states: Tensor, rotary: tuple[Tensor, Tensor], context: LayerContext) -> Tensor:
        return self.model.model.layers[index](states, attention_mask=None, position_embeddings=rotary, context=context)

    def units(self) -> tuple[torch.nn.Module, ...]:
        return tuple(self.model.model.layers)

    def final_norm(self, states: Tensor) -> Tensor:
        return self.model.model.norm(states)

    def head(self, states: Tensor) -> Tensor:
        return self.model.get_output_embeddings()(states)


class FolderLanguageModel(TransformersLanguageModel):
    """A language model with the shape of a folder in transformers' layout, which checkpoints therefore carry."""

    def save_files(self, folder: Path) -> dict[str, Any]:
        folder.mkdir(parents=True)
        self.model.config.save_pretrained(folder)
        arguments = {
            "pretrained": False,
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "activation_checkpointing": self.activation_checkpointing,
            "residual_dropout": self.residual_dropout,
        }
        return {"class_path": f"hf:{folder}", "init_args": arguments}


def from_hf(
    name: str,
    *,
    pretrained: bool = True,
    dtype: Literal["float32", "bfloat16", "float16"] = "float32",
    activation_checkpointing: bool = False,
    residual_dropout: float = 0.0,
) -> FolderLanguageModel:
    """A causal language model from a folder or hub id in transformers' layout: Qwen, Llama, OLMo and their like.

    Args:
        name: Hub id such as Qwen/Qwen3-0.6B, or a local folder.
        pretrained: Load the weights, from safetensors only; false takes only the shape, with random weights.
        dtype: Type of the weights, whatever they are stored in; a trained model wants float32 and a precision flag.
        activation_checkpointing: Recompute layers in the backward pass.
        residual_dropout: Share of what attention and MLPs add to the states that is zeroed in training; Molmo2: 0.1.
    Raises:
        ConfigError: there is no such folder or reachable hub entry.
    """
    folder = local_folder(name, weights=pretrained)
    numbers = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[dtype]
    with reading(name, "a causal language model"):
        # Else transformers may ask, at a terminal, to run a repository's code.
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        if not pretrained:
            model = AutoModelForCausalLM.from_config(config, dtype=numbers)
        else:
            weight_files(folder)  # refuses pickles
            model, told = AutoModelForCausalLM.from_pretrained(
                folder, config=config, dtype=numbers, use_safetensors=True, output_loading_info=True
            )
    if pretrained and told["missing_keys"]:  # transformers would leave them random
        raise ConfigError(f"hf:{name}: the weights lack {sorted(told['missing_keys'])[:3]}")
    return FolderLanguageModel(
        model=model, activation_checkpointing=activation_checkpointing, residual_dropout=residual_dropout
    )


def qwen3(
    *,
    hidden_size: int,
    intermediate_size: int,
    num_layers: int,
    num_heads: int,
    num_kv_heads: int,
    head_dim: int = 128,
    vocab_size: int = 151_936,
    rope_theta: float = 1e6,
    tie_embeddings: bool = False,
    activation_checkpointing: bool = False,
    residual_dropout: float = 0.0,
) -> TransformersLanguageModel:
    """A Qwen3 decoder of any size with random weights.

    Args:
        hidden_size: Channels.
        intermediate_size: MLP width.
        num_layers: Layers.
        num_heads: Query heads.
        num_kv_heads: Key/value heads; divides num_heads.
        head_dim: Channels of a head.
        vocab_size: Rows of the embedding and of the output head.
        rope_theta: Base of the rotary frequencies.
        tie_embeddings: The output head is the embedding.
        activation_checkpointing: Recompute layers in the backward pass.
        residual_dropout: Share of what attention and MLPs add to the states that is zeroed in training.
    """
    config = Qwen3Config(
        hidden_size=hidden_size,
        intermediate_size=intermediate_size,
        num_hidden_layers=num_layers,
        num_attention_heads=num_heads,
        num_key_value_heads=num_kv_heads,
        head_dim=head_dim,
        vocab_size=vocab_size,
        rope_parameters={"rope_type": "default", "rope_theta": rope_theta},
        tie_word_embeddings=tie_embeddings,
    )
    return TransformersLanguageModel(
        model=Qwen3ForCausalLM(config),
        activation_checkpointing=activation_checkpointing,
        residual_dropout=residual_dropout,
    )


def qwen3_tiny(
    *,
    hidden_size: int = 192,
    num_layers: int = 4,
    num_heads: int = 6,
    vocab_size: int = 512,
    activation_checkpointing: bool = False,
) -> TransformersLanguageModel:
    """A Qwen3 decoder for work on a CPU, trained from nothing.

    Args:
        hidden_size: Channels; heads of 32 where num_heads is hidden_size / 32.
        num_layers: Layers.
        num_heads: Query and key/value heads.
        vocab_size: Rows of the embedding; the `words` tokenizer fits in the default.
        activation_checkpointing: Recompute layers in the backward pass.
    """
    return qwen3(
        hidden_size=hidden_size,
        intermediate_size=hidden_size * 8 // 3 // 32 * 32,
        num_layers=num_layers,
        num_heads=num_heads,
        num_kv_heads=num_heads,
        head_dim=hidden_size // num_heads,
        vocab_size=vocab_size,
        rope_theta=1e4,
        tie_embeddings=True,
        activation_checkpointing=activation_checkpointing,
    )


def qwen3_4b(*, activation_checkpointing: bool = False) -> TransformersLanguageModel:
    """The shape of Qwen3-4B-Instruct-2507, random weights (sheet A1.3).

    Args:
        activation_checkpointing: Recompute layers in the backward pass.
    """
    return qwen3(
        hidden_size=2560,
        intermediate_size=9728,
        num_layers=36,
        num_heads=32,
        num_kv_heads=8,
        rope_theta=5e6,
        activation_checkpointing=activation_checkpointing,
    )


def qwen3_8b(*, activation_checkpointing: bool = False) -> TransformersLanguageModel:
    """The shape of Qwen3-8B, random weights (sheet A1.3).

    Args:
        activation_checkpointing: Recompute layers in the backward pass.
    """
    return qwen3(
        hidden_size=4096,
        intermediate_size=12_288,
        num_layers=36,
        num_heads=32,
        num_kv_heads=8,
        activation_checkpointing=activation_checkpointing,
    )


def smollm2_135m(*, activation_checkpointing: bool = False) -> TransformersLanguageModel:
    """The shape of SmolLM2-135M, a Llama decoder, random weights.

    Args:
        activation_checkpointing: Recompute layers in the backward pass.
    """
    config = LlamaConfig(
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        vocab_size=49_152,
        rope_parameters={"rope_type": "default", "rope_theta": 1e5},
        tie_word_embeddings=True,
    )
    return TransformersLanguageModel(model=LlamaForCausalLM(config), activation_checkpointing=activation_checkpointing)
