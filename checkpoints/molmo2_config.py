"""The config.json of a released Molmo2 as a recipe of ours, and a module of ours as such a config.json.

Source: Molmo2 sheet A2.1; transformers' Molmo2Config, which reads the released spelling and its own. Differs: sizes are
    taken from the tensors where they tell them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from zoo.backbones.tokenizers import PROMPT, text_ids
from zoo.checkpoints.molmo2_inputs import files_of, input_arguments
from zoo.checkpoints.molmo2_layout import (
    BLOCK,
    EMBEDDING,
    HEAD,
    PROJECTOR,
    TEXT,
    VISION,
    Shape,
    stored_block,
)
from zoo.checkpoints.recipe import Spec
from zoo.errors import ConfigError, DataError
from zoo.preprocessing.vision_tokens import VisionToken

logger = logging.getLogger(__name__)

CONFIG = "config.json"
MODEL_TYPE = "molmo2"
HEADS = (
    {"class_path": "qa", "init_args": {"lists_choices": True, "max_new_tokens": 256}},
    {"class_path": "caption", "init_args": {"token_weight": 0.1, "max_new_tokens": 2048}},
    {"class_path": "pointing", "init_args": {"max_new_tokens": 2048}},
    {"class_path": "counting", "init_args": {"max_new_tokens": 2048}},
    {"class_path": "tracking", "init_args": {"max_new_tokens": 4096}},
)
"""What is asked of an imported module: heads without weights, which write text of the lengths of sheet A7.4."""

TURN = "<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"
"""A user's turn (sheet A5), in vocabularies that have its tokens."""

TURN_TOKEN = "<|im_start|>"
NO_END = -1
"""End token of a model that names none: no id is this one."""

CODE = "allenai/Molmo2-8B--"
"""Where the authors' own code lies, for transformers that are asked to run it."""


def is_released(folder: Path) -> bool:
    """Whether a folder is a Molmo2 in transformers' layout."""
    file = folder / CONFIG
    if not file.is_file():
        return False
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:  # also of bytes that are no text; whoever reads it says so
        return False
    return isinstance(config, dict) and config.get("model_type") == MODEL_TYPE


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object, empty where there is no such file.

    Raises:
        DataError: it holds something else.
    """
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{file} is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{file} holds no JSON object")
    return content


def recipe_of_released(folder: Path, stored: Mapping[str, Shape]) -> Spec:
    """The recipe of a module that the weights of a released Molmo2 fit.

    Args:
        folder: In transformers' layout.
        stored: Names and shapes of its tensors.
    Raises:
        ConfigError: it asks for what the zoo's parts do not do, or lacks a tensor that tells a size.
        DataError: a JSON file does not parse.
    """
    from huggingface_hub.errors import StrictDataclassError
    from transformers import Molmo2Config

    told = read_json(folder / CONFIG)
    try:
        config = Molmo2Config.from_dict(told)
    except (StrictDataclassError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(f"{folder / CONFIG} is no Molmo2's: {str(error).splitlines()[0]}") from error
    _refuse_foreign(config, folder)
    sizes = _Sizes(stored, folder)
    arguments = {
        "vision": _vision(config, sizes),
        "connector": _connector(config, sizes, folder),
        "language": _language(config, sizes),
        "tokenizer": _tokenizer(config, folder),
        "heads": list(HEADS),
        **input_arguments(folder),
    }
    return {"class_path": "vlm", "init_args": arguments}


class _Sizes:
    """Sizes by tensors' names."""

    def __init__(self, stored: Mapping[str, Shape], folder: Path) -> None:
        self.stored, self.folder = stored, folder

    def of(self, name: str, axis: int = 0) -> int:
        if name not in self.stored:
            raise ConfigError(f"{self.folder} lacks {name}; a released Molmo2 has it")
        return self.stored[name][axis]

    @property
    def num_blocks(self) -> int:
        return 1 + max((block for name in self.stored if (block := stored_block(name)) is not None), default=-1)


def _refuse_foreign(config: Any, folder: Path) -> None:
    """Say what a configuration asks for that no released model has."""
    vision, adapter, text = config.vision_config, config.adapter_config, config.text_config
    same_heads = (vision.num_attention_heads, vision.hidden_size // vision.num_attention_heads, vision.hidden_size)
    wanted = {
        "vit_config.hidden_act": (vision.hidden_act, "gelu_pytorch_tanh"),
        "vit_config.num_key_value_heads": (vision.num_key_value_heads, same_heads[0]),
        "vit_config.head_dim": (vision.head_dim, same_heads[1]),
        "vit_config.attention_bias": (vision.attention_bias, True),
        "adapter_config.hidden_size": (adapter.hidden_size, same_heads[2]),
        "adapter_config.num_key_value_heads": (adapter.num_key_value_heads, adapter.num_attention_heads),
        "adapter_config.head_dim": (adapter.head_dim * adapter.num_attention_heads, same_heads[2]),
        "adapter_config.hidden_act": (adapter.hidden_act, "silu"),
        "adapter_config.attention_bias": (adapter.attention_bias, True),
        "adapter_config.mlp_bias": (adapter.mlp_bias, False),
        "adapter_config.pooling_attention_mask": (getattr(adapter, "pooling_attention_mask", True), True),
        "text_config.hidden_act": (text.hidden_act, "silu"),
        "text_config.qkv_bias": (text.attention_bias, False),
        "text_config.use_qk_norm": (getattr(text, "use_qk_norm", True), True),
    }
    for field, (given, expected) in wanted.items():
        if given != expected:
            raise ConfigError(f"{folder / CONFIG}: {field} gives {given!r}; the zoo runs {expected!r} there")


def _vision(config: Any, sizes: _Sizes) -> Spec:
    vision = config.vision_config
    layers = config.adapter_config.vision_feature_layer
    features = [layer % vision.num_hidden_layers for layer in layers]  # before blocks are counted: -3 means 24 of 27
    arguments = {
        "image_size": list(vision.image_size),
        "patch_size": vision.patch_size,
        "hidden_size": sizes.of(f"{VISION}patch_embedding.weight"),
        "intermediate_size": sizes.of(f"{BLOCK}0.feed_forward.w1.weight"),
        "num_blocks": sizes.num_blocks,
        "num_heads": vision.num_attention_heads,
        "norm_eps": vision.layer_norm_eps,
        "final_norm": False,
        "feature_blocks": features,
    }
    return {"class_path": "siglip", "init_args": arguments}


def _connector(config: Any, sizes: _Sizes, folder: Path) -> Spec:
    _, image, video = files_of(folder)
    arguments = {
        "image_window": list(image.get("pooling_size", (2, 2))),
        "video_window": list(video.get("pooling_size", (3, 3))),
        "head_dim": config.adapter_config.head_dim,
        "intermediate_size": sizes.of(f"{PROJECTOR}w1.weight"),
    }
    return {"class_path": "attention_pool", "init_args": arguments}


def _language(config: Any, sizes: _Sizes) -> Spec:
    text = config.text_config
    vocab_size = sizes.of(HEAD)
    rows = sizes.of(EMBEDDING) + sizes.of(f"{TEXT}wte.new_embedding")
    rope = dict(text.rope_parameters)
    theta = rope.pop("rope_theta")
    patch_id = config.image_patch_id
    arguments = {
        "hidden_size": sizes.of(HEAD, 1),
        "intermediate_size": sizes.of(f"{TEXT}blocks.0.mlp.ff_out.weight", 1),
        "num_layers": text.num_hidden_layers,
        "num_heads": text.num_attention_heads,
        "num_kv_heads": text.num_key_value_heads,
        "head_dim": text.head_dim,
        "vocab_size": vocab_size,
        "qk_norm": {"qwen3": "head", "olmo": "all_heads"}[text.qk_norm_type],
        "norm_after": text.norm_after,
        "rope_theta": theta,
        "scaled_rope": None if rope["rope_type"] == "default" else rope,
        "scaled_layers": None if rope["rope_type"] == "default" else list(text.rope_scaling_layers),
        "norm_eps": text.rms_norm_eps,
        "max_positions": text.max_position_embeddings,
        "num_extra_tokens": rows - vocab_size,
        "image_patch_id": None if patch_id == vocab_size + VisionToken.IM_PATCH else patch_id,
    }
    return {"class_path": "molmo2", "init_args": arguments}


def _tokenizer(config: Any, folder: Path) -> Spec:
    told = [
        read_json(folder / "generation_config.json").get("eos_token_id"),
        getattr(config.text_config, "eos_token_id", None),
    ]
    ends = next((end for end in told if end is not None), NO_END)
    ids_only = {"class_path": "ids", "init_args": {"eos_id": ends if isinstance(ends, int) else ends[0]}}
    words, settings = folder / "tokenizer.json", read_json(folder / "tokenizer_config.json")
    if not words.is_file():
        return {"class_path": f"hf:{folder.resolve()}", "init_args": {}} if settings else ids_only
    vocabulary = Tokenizer.from_file(str(words))
    try:
        text_ids(vocabulary)
    except ConfigError as error:
        logger.warning("%s: the model takes ids only, because %s", folder, error)
        return ids_only
    has_template = "chat_template" in settings or (folder / "chat_template.jinja").is_file()
    template = TURN if vocabulary.token_to_id(TURN_TOKEN) is not None else None if has_template else PROMPT
    arguments = {} if template is None else {"prompt_template": template}
    return {"class_path": f"hf:{folder.resolve()}", "init_args": arguments}
