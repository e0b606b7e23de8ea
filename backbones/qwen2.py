"""Qwen2 decoders: attention with biased queries, keys and values, no norms on them.

Source: transformers' Qwen2 layers and the published configurations. GraspMolmo's base (sheet, section on its model) and
    LLaVA-OneVision stand on the 7B.
"""

from __future__ import annotations

from transformers import Qwen2Config, Qwen2ForCausalLM

from zoo.backbones.decoder import TransformersLanguageModel


def qwen2(
    *,
    hidden_size: int,
    intermediate_size: int,
    num_layers: int,
    num_heads: int,
    num_kv_heads: int,
    vocab_size: int = 151_936,
    rope_theta: float = 1e6,
    tie_embeddings: bool = False,
    activation_checkpointing: bool = False,
) -> TransformersLanguageModel:
    """A Qwen2 decoder of any size with random weights.

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
    config = Qwen2Config(
        hidden_size=hidden_size,
        intermediate_size=intermediate_size,
        num_hidden_layers=num_layers,
        num_attention_heads=num_heads,
        num_key_value_heads=num_kv_heads,
        vocab_size=vocab_size,
        rope_parameters={"rope_type": "default", "rope_theta": rope_theta},
        tie_word_embeddings=tie_embeddings,
    )
    return TransformersLanguageModel(model=Qwen2ForCausalLM(config), activation_checkpointing=activation_checkpointing)


def qwen2_tiny(
    *,
    hidden_size: int = 192,
    num_layers: int = 4,
    num_heads: int = 6,
    vocab_size: int = 512,
    activation_checkpointing: bool = False,
) -> TransformersLanguageModel:
    """A Qwen2 decoder for work on a CPU, trained from nothing.

    Args:
        hidden_size: Channels; heads of 32 where num_heads is hidden_size / 32.
        num_layers: Layers.
        num_heads: Query and key/value heads.
        vocab_size: Rows of the embedding; the `words` tokenizer fits in the default.
        activation_checkpointing: Recompute layers in the backward pass.
    """
    return qwen2(
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


def qwen2_0_5b(*, activation_checkpointing: bool = False) -> TransformersLanguageModel:
    """The shape of Qwen2-0.5B, random weights.

    Args:
        activation_checkpointing: Recompute layers in the backward pass.
    """
    return qwen2(
        hidden_size=896,
        intermediate_size=4864,
        num_layers=24,
        num_heads=14,
        num_kv_heads=2,
        tie_embeddings=True,
        activation_checkpointing=activation_checkpointing,
    )


def qwen2_7b(*, activation_checkpointing: bool = False) -> TransformersLanguageModel:
    """The shape of Qwen2-7B, random weights.

    Args:
        activation_checkpointing: Recompute layers in the backward pass.
    """
    return qwen2(
        hidden_size=3584,
        intermediate_size=18_944,
        num_layers=28,
        num_heads=28,
        num_kv_heads=4,
        vocab_size=152_064,
        activation_checkpointing=activation_checkpointing,
    )
