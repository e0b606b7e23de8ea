"""OLMo2 and OLMo3 decoders: norms behind attention and MLP, and over all channels of queries and keys.

Source: transformers' Olmo2 and Olmo3 layers and the published configurations; Molmo2 sheet A1.3 (O-7B). In OLMo3 three
    layers of four attend locally, and only the fourth scales its rotary frequencies (YaRN).
"""

from __future__ import annotations

from transformers import Olmo2Config, Olmo2ForCausalLM, Olmo3Config, Olmo3ForCausalLM

from zoo.backbones.decoder import TransformersLanguageModel

YARN_7B = {
    "rope_type": "yarn",
    "rope_theta": 5e5,
    "factor": 8.0,
    "attention_factor": 1.2079441541679836,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "original_max_position_embeddings": 8192,
}
"""Rotary parameters of OLMo3-7B's full-attention layers (sheet A1.3)."""


def olmo2(
    *,
    hidden_size: int,
    intermediate_size: int,
    num_layers: int,
    num_heads: int,
    num_kv_heads: int,
    vocab_size: int = 100_352,
    rope_theta: float = 5e5,
    tie_embeddings: bool = False,
    activation_checkpointing: bool = False,
) -> TransformersLanguageModel:
    """An OLMo2 decoder of any size with random weights.

    Args:
        hidden_size: Channels; num_heads divides them.
        intermediate_size: MLP width.
        num_layers: Layers.
        num_heads: Query heads.
        num_kv_heads: Key/value heads; divides num_heads.
        vocab_size: Rows of the embedding and of the output head.
        rope_theta: Base of the rotary frequencies.
        tie_embeddings: The output head is the embedding.
        activation_checkpointing: Recompute layers in the backward pass.
    """
    config = Olmo2Config(
        hidden_size=hidden_size,
        intermediate_size=intermediate_size,
        num_hidden_layers=num_layers,
        num_attention_heads=num_heads,
        num_key_value_heads=num_kv_heads,
        vocab_size=vocab_size,
        max_position_embeddings=4096,
        rope_parameters={"rope_type": "default", "rope_theta": rope_theta},
        rms_norm_eps=1e-6,
        tie_word_embeddings=tie_embeddings,
        pad_token_id=None,
        eos_token_id=None,
    )
    return TransformersLanguageModel(model=Olmo2ForCausalLM(config), activation_checkpointing=activation_checkpointing)


def olmo3(
    *,
    hidden_size: int,
    intermediate_size: int,
    num_layers: int,
    num_heads: int,
    num_kv_heads: int,
    vocab_size: int = 100_278,
    local_attention: int | None = 4096,
    max_positions: int = 8192,
    rope_theta: float = 5e5,
    full_rope: dict[str, str | float] | None = None,
    tie_embeddings: bool = False,
    activation_checkpointing: bool = False,
) -> TransformersLanguageModel:
    """An OLMo3 decoder of any size with random weights; every fourth layer attends to all tokens.

    Args:
        hidden_size: Channels; num_heads divides them.
        intermediate_size: MLP width.
        num_layers: Layers.
        num_heads: Query heads.
        num_kv_heads: Key/value heads; divides num_heads.
        vocab_size: Rows of the embedding and of the output head.
        local_attention: Tokens that the other layers look back at; null: all, as Molmo2 has it.
        max_positions: Longest sequence.
        rope_theta: Base of the rotary frequencies.
        full_rope: Rotary parameters of every fourth layer in transformers' words; null: those of the others.
        tie_embeddings: The output head is the embedding.
        activation_checkpointing: Recompute layers in the backward pass.
    """
    plain = {"rope_type": "default", "rope_theta": rope_theta}
    config = Olmo3Config(
        hidden_size=hidden_size,
        intermediate_size=intermediate_size,
        num_hidden_layers=num_layers,
        num_attention_heads=num_heads,
        num_key_value_heads=num_kv_heads,
        vocab_size=vocab_size,
        max_position_embeddings=max_positions,
        sliding_window=local_attention,
        rope_parameters={"sliding_attention": dict(plain), "full_attention": dict(full_rope or plain)},
        rms_norm_eps=1e-6,
        tie_word_embeddings=tie_embeddings,
        pad_token_id=None,
        eos_token_id=None,
    )
    return TransformersLanguageModel(model=Olmo3ForCausalLM(config), activation_checkpointing=activation_checkpointing)


def olmo2_tiny(
    *,
    hidden_size: int = 192,
    num_layers: int = 4,
    num_heads: int = 6,
    vocab_size: int = 512,
    activation_checkpointing: bool = False,
) -> TransformersLanguageModel:
    """An OLMo2 decoder for work on a CPU, trained from nothing.

    Args:
        hidden_size: Channels; heads of 32 where num_heads is hidden_size / 32.
        num_layers: Layers.
        num_heads: Query and key/value heads.
        vocab_size: Rows of the embedding; the `words` tokenizer fits in the default.
        activation_checkpointing: Recompute layers in the backward pass.
    """
    return olmo2(
        hidden_size=hidden_size,
        intermediate_size=hidden_size * 8 // 3 // 32 * 32,
        num_layers=num_layers,
        num_heads=num_heads,
        num_kv_heads=num_heads,
        vocab_size=vocab_size,
        rope_theta=1e4,
        tie_embeddings=True,
        activation_checkpointing=activation_checkpointing,
    )


def olmo3_tiny(
    *,
    hidden_size: int = 192,
    num_layers: int = 4,
    num_heads: int = 6,
    vocab_size: int = 512,
    local_attention: int | None = 256,
    activation_checkpointing: bool = False,
) -> TransformersLanguageModel:
    """An OLMo3 decoder for work on a CPU, trained from nothing.

    Args:
        hidden_size: Channels; heads of 32 where num_heads is hidden_size / 32.
        num_layers: Layers; every fourth attends to all tokens.
        num_heads: Query and key/value heads.
        vocab_size: Rows of the embedding; the `words` tokenizer fits in the default.
        local_attention: Tokens that the other layers look back at; null: all.
        activation_checkpointing: Recompute layers in the backward pass.
    """
    return olmo3(
        hidden_size=hidden_size,
        intermediate_size=hidden_size * 8 // 3 // 32 * 32,
        num_layers=num_layers,
        num_heads=num_heads,
        num_kv_heads=num_heads,
        vocab_size=vocab_size,
        local_attention=local_attention,
        rope_theta=1e4,
        tie_embeddings=True,
        activation_checkpointing=activation_checkpointing,
    )


def olmo2_1b(*, activation_checkpointing: bool = False) -> TransformersLanguageModel:
    """The shape of OLMo-2-0425-1B, random weights.

    Args:
        activation_checkpointing: Recompute layers in the backward pass.
    """
    return olmo2(
        hidden_size=2048,
        intermediate_size=8192,
        num_layers=16,
        num_heads=16,
        num_kv_heads=16,
        activation_checkpointing=activation_checkpointing,
    )


def olmo2_7b(*, activation_checkpointing: bool = False) -> TransformersLanguageModel:
    """The shape of OLMo-2-1124-7B, random weights.

    Args:
        activation_checkpointing: Recompute layers in the backward pass.
    """
    return olmo2(
        hidden_size=4096,
        intermediate_size=11_008,
        num_layers=32,
        num_heads=32,
        num_kv_heads=32,
        activation_checkpointing=activation_checkpointing,
    )


def olmo3_7b(
    *, local_attention: int | None = 4096, activation_checkpointing: bool = False
) -> TransformersLanguageModel:
    """The shape of Olmo-3-7B-Instruct, random weights (sheet A1.3).

    Args:
        local_attention: Tokens that three layers of four look back at; Molmo2-O-7B has null there: all.
        activation_checkpointing: Recompute layers in the backward pass.
    """
    return olmo3(
        hidden_size=4096,
        intermediate_size=11_008,
        num_layers=32,
        num_heads=32,
        num_kv_heads=32,
        local_attention=local_attention,
        max_positions=65_536,
        full_rope=YARN_7B,
        activation_checkpointing=activation_checkpointing,
    )
