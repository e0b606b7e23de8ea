"""The decoder of the released Molmo2 models: norms before or behind, queries and keys normed per head or as a whole.

Source: transformers' Molmo2TextModel (layers, rotary tables); Molmo2 sheet A1.3, A1.4. Differs: the rows of the extra
    tokens belong to the composed model, so the embedding ends with the vocabulary, as the output head does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn
from transformers.models.molmo2.configuration_molmo2 import Molmo2TextConfig
from transformers.models.molmo2.modeling_molmo2 import Molmo2PreTrainedModel, Molmo2TextModel

from zoo.backbones.decoder import TransformersLanguageModel
from zoo.backbones.olmo import YARN_7B
from zoo.preprocessing.vision_tokens import NUM_EXTRA_TOKENS

QK_NORM = {"head": "qwen3", "all_heads": "olmo"}
"""What a norm of queries and keys runs over, and transformers' word for it."""


class Molmo2Decoder(Molmo2PreTrainedModel):
    """Molmo2's text model and its output head, which transformers has with a vision tower only."""

    config: Molmo2TextConfig

    def __init__(self, config: Molmo2TextConfig) -> None:
        super().__init__(config)
        self.model = Molmo2TextModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.model.embed_tokens

    def get_output_embeddings(self) -> nn.Module:
        return self.lm_head


class Molmo2LanguageModel(TransformersLanguageModel):
    """Molmo2's decoder; some layers may turn their heads by scaled rotary frequencies and others by plain ones.

    Args:
        model: The network.
        num_extra_tokens: Ids behind the vocabulary.
        image_patch_id: Id of a patch token where it is another one than Molmo2's.
        activation_checkpointing: Recompute layers in the backward pass.
    """

    def __init__(
        self,
        *,
        model: Molmo2Decoder,
        num_extra_tokens: int = NUM_EXTRA_TOKENS,
        image_patch_id: int | None = None,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__(model=model, activation_checkpointing=activation_checkpointing)
        self.num_extra_tokens = num_extra_tokens
        self.image_patch_id = image_patch_id

    def rotary(self, states: Tensor, position_ids: Tensor) -> Sequence[tuple[Tensor, Tensor]]:
        text = self.model.model
        tables = {"scaled": text.rotary_emb, "unscaled": text.rotary_emb_unscaled}
        used = {name: tables[name](states, position_ids) for name in set(text.rope_types)}
        return [used[name] for name in text.rope_types]


def molmo2(
    *,
    hidden_size: int,
    intermediate_size: int,
    num_layers: int,
    num_heads: int,
    num_kv_heads: int,
    vocab_size: int,
    head_dim: int = 128,
    qk_norm: Literal["head", "all_heads"] = "head",
    norm_after: bool = False,
    rope_theta: float = 1e6,
    scaled_rope: dict[str, str | float] | None = None,
    scaled_layers: list[int] | None = None,
    norm_eps: float = 1e-6,
    max_positions: int = 36_864,
    num_extra_tokens: int = NUM_EXTRA_TOKENS,
    image_patch_id: int | None = None,
    activation_checkpointing: bool = False,
) -> Molmo2LanguageModel:
    """A decoder of the released Molmo2 layout, of any size, with random weights.

    Args:
        hidden_size: Channels.
        intermediate_size: MLP width.
        num_layers: Layers.
        num_heads: Query heads.
        num_kv_heads: Key/value heads; divides num_heads.
        vocab_size: Rows of the embedding and of the output head.
        head_dim: Channels of a head.
        qk_norm: Over what the norms of queries and keys run: each head (Qwen3) or all of them together (OLMo).
        norm_after: Norms stand behind attention and MLP (OLMo) and not before them (Qwen3).
        rope_theta: Base of the rotary frequencies.
        scaled_rope: Rotary parameters of the scaled layers in transformers' words; null: none are scaled.
        scaled_layers: Layers that scale their rotary frequencies; null: all, where `scaled_rope` is given.
        norm_eps: Added to the variance in every norm.
        max_positions: Longest sequence.
        num_extra_tokens: Ids behind the vocabulary, which only the input has.
        image_patch_id: Id of a patch token where a checkpoint has another one than the vocabulary's size and 2; such a
            model reads transformers' tensors only, the zoo's own processor writes Molmo2's.
        activation_checkpointing: Recompute layers in the backward pass.
    """
    plain = {"rope_type": "default", "rope_theta": rope_theta}
    config = Molmo2TextConfig(
        hidden_size=hidden_size,
        intermediate_size=intermediate_size,
        num_hidden_layers=num_layers,
        num_attention_heads=num_heads,
        num_key_value_heads=num_kv_heads,
        head_dim=head_dim,
        vocab_size=vocab_size,
        additional_vocab_size=0,
        qk_norm_type=QK_NORM[qk_norm],
        norm_after=norm_after,
        rope_parameters=plain if scaled_rope is None else {**scaled_rope, "rope_theta": rope_theta},
        rope_scaling_layers=scaled_layers,
        rms_norm_eps=norm_eps,
        max_position_embeddings=max_positions,
    )
    return Molmo2LanguageModel(
        model=Molmo2Decoder(config),
        num_extra_tokens=num_extra_tokens,
        image_patch_id=image_patch_id,
        activation_checkpointing=activation_checkpointing,
    )


def molmo2_4b(*, activation_checkpointing: bool = False) -> Molmo2LanguageModel:
    """The language model of Molmo2-4B, random weights (sheet A1.3).

    Args:
        activation_checkpointing: Recompute layers in the backward pass.
    """
    return molmo2(
        hidden_size=2560,
        intermediate_size=9728,
        num_layers=36,
        num_heads=32,
        num_kv_heads=8,
        vocab_size=151_936,
        rope_theta=5e6,
        activation_checkpointing=activation_checkpointing,
    )


def molmo2_8b(*, activation_checkpointing: bool = False) -> Molmo2LanguageModel:
    """The language model of Molmo2-8B, random weights (sheet A1.3).

    Args:
        activation_checkpointing: Recompute layers in the backward pass.
    """
    return molmo2(
        hidden_size=4096,
        intermediate_size=12_288,
        num_layers=36,
        num_heads=32,
        num_kv_heads=8,
        vocab_size=151_936,
        activation_checkpointing=activation_checkpointing,
    )


def molmo2_o_7b(*, activation_checkpointing: bool = False) -> Molmo2LanguageModel:
    """The language model of Molmo2-O-7B, random weights (sheet A1.3).

    Args:
        activation_checkpointing: Recompute layers in the backward pass.
    """
    return molmo2(
        hidden_size=4096,
        intermediate_size=11_008,
        num_layers=32,
        num_heads=32,
        num_kv_heads=32,
        vocab_size=100_278,
        qk_norm="all_heads",
        norm_after=True,
        rope_theta=YARN_7B["rope_theta"],
        scaled_rope=dict(YARN_7B),
        scaled_layers=list(range(3, 32, 4)),
        max_positions=65_536,
        activation_checkpointing=activation_checkpointing,
    )
