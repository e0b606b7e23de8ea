"""A module of ours as a released Molmo2, which transformers' own class opens.

Source: Molmo2 sheet A2. What fits is judged by the names of a module's weights: whatever has a weight without a place
    in that layout, or lacks one, is refused by its name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.checkpoints.molmo2 import as_stored
from zoo.checkpoints.molmo2_config import CODE, CONFIG, MODEL_TYPE, is_released
from zoo.checkpoints.molmo2_inputs import released_settings
from zoo.checkpoints.molmo2_layout import Group, NormNames, groups
from zoo.errors import ConfigError
from zoo.lora import base_name, is_adapter, merged_weight
from zoo.module import ZooModule
from zoo.preprocessing.vision_tokens import TOKEN_TEXTS, VisionToken
from zoo.tensor_files import TensorToWrite, write_tensors
from zoo.weights import HALVES

OLMO_NORMS = NormNames(attention="post_attention_layernorm", mlp="post_feedforward_layernorm")
PARTS = {
    "model.vision.": "the vision encoder",
    "model.connector.": "the connector",
    "model.language.": "the language model",
    "model.pruners.": "the pruner",
    "model.place_embedding.": "window_places",
    "model.patch_projection.": "a head that names patches",
    "heads.": "a head",
}
"""What a weight belongs to, by the beginning of its name."""

FILLER = "|<EXTRA_TOKENS_{}>|"
"""Stands in a vocabulary that is shorter than the embedding (sheet A1.4)."""


def save_released(
    module: ZooModule,
    folder: str | Path,
    *,
    max_shard_size: str = "5GB",
    stored_dtype: Literal["float16", "bfloat16"] | None = None,
) -> Path:
    """Write a module in the layout of a released Molmo2; adapters are merged into what is written, not in the module.

    Args:
        module: Of Molmo2's shape, such as one that was loaded from a released folder and trained on.
        folder: New, empty, or such a folder to be replaced.
        max_shard_size: Largest file of weights.
        stored_dtype: Type of all weights in the files; their own where left out.
    Returns:
        The folder.
    Raises:
        ConfigError: a part has no place in that layout, or the folder holds something else.
    """
    found = check_shape(module)
    root = Path(folder)
    if root.is_file() or (root.is_dir() and any(root.iterdir()) and not is_released(root)):
        raise ConfigError(f"{folder} holds something else than a Molmo2; name a new folder")
    dtype = module.model.extra_embedding.weight.dtype if stored_dtype is None else HALVES[stored_dtype]
    config = {**config_of(module), "dtype": str(dtype).removeprefix("torch.")}
    root.mkdir(parents=True, exist_ok=True)
    for old in (root / CONFIG, *root.glob("model*.safetensors*")):
        old.unlink(missing_ok=True)
    write_tensors(
        [tensor for g in found for tensor in _to_write(module, g, dtype)], root, max_shard_size=max_shard_size
    )
    _write_processor(module, root)
    _write_json(root / "generation_config.json", {"eos_token_id": module.processor.tokenizer.eos_id})
    _write_json(root / CONFIG, config)  # last, so that what is cut short is no checkpoint
    return root


def check_shape(module: ZooModule) -> tuple[Group, ...]:
    """Where each weight of a module goes.

    Raises:
        ConfigError: the first part that has no place in Molmo2's layout, or does not compute what Molmo2 does.
    """
    own = _weights(module)
    norms = OLMO_NORMS if any(OLMO_NORMS.mlp in name for name in own) else NormNames()
    found = groups(
        num_layers=module.model.language.num_layers, num_blocks=module.model.vision.last_block() + 1, norms=norms
    )
    wanted = {name for group in found for name in group.own}
    never_run = {id(p) for part in module.model.vision.idle() for p in part.parameters()}
    for name, parameter in own.items():
        if name not in wanted and id(parameter) not in never_run:
            part, rest = _part_of(name)
            raise ConfigError(f"{part} has no place in Molmo2's layout: nothing there corresponds to its {rest}")
    for name in sorted(wanted - own.keys()):
        part, rest = _part_of(name)
        raise ConfigError(f"{part} has no place in Molmo2's layout: it lacks {rest}, which Molmo2 has")
    for fault in _faults(module, found):
        raise ConfigError(fault)
    released_settings(module.processor)
    return found


def _weights(module: ZooModule) -> dict[str, Tensor]:
    """Parameters by the names that they have without adapters."""
    named = module.named_parameters(remove_duplicate=False)
    return {base_name(name): parameter for name, parameter in named if not is_adapter(name)}


def _part_of(name: str) -> tuple[str, str]:
    for prefix, part in PARTS.items():
        if name.startswith(prefix):
            return part, name.removeprefix(prefix)
    return "the module", name


def _faults(module: ZooModule, found: tuple[Group, ...]) -> Iterator[str]:
    """What names of weights do not tell."""
    vision = module.model.vision
    end = "; Molmo2's layout has no place for it"
    probe = torch.linspace(-3, 3, 13)
    act = module.get_submodule("model.vision.vit.blocks.0.mlp.act")
    if not torch.allclose(act(probe), F.gelu(probe, approximate="tanh"), atol=1e-6):
        yield f"the vision encoder's MLPs have another activation than tanh GELU{end}"
    if vision.norm_features:
        yield f"the vision encoder norms its features{end}"
    ends = torch.tensor([0, 255], dtype=torch.uint8, device=module.device).view(2, 1, 1, 1).expand(2, 3, 1, 1)
    if not torch.allclose(
        vision.normalise(ends).float().flatten(1), torch.tensor([[-1.0], [1.0]], device=module.device)
    ):
        yield f"the vision encoder takes black and white to other numbers than -1 and 1{end}"
    if len({p.dtype for p in module.model.parameters()}) > 1:
        yield "the weights have several types; say module.float() first"
    if getattr(_language_config(module), "hidden_act", None) != "silu":
        yield f"the language model's MLPs have another activation than SiLU{end}"
    layer_types = getattr(_language_config(module), "layer_types", None) or ()
    if "sliding_attention" in layer_types and _language_config(module).sliding_window is not None:
        yield f"the language model has local attention{end}; build it with local_attention: null"


def _language_config(module: ZooModule) -> Any:
    return module.get_submodule("model.language.model").config


def config_of(module: ZooModule) -> dict[str, Any]:
    """The config.json of a module that `check_shape` passed, in the released spelling (sheet A2.1), without a type."""
    model = module.model
    first = model.language.vocab_size
    ids = {
        "image_start_token_id": VisionToken.IM_START,
        "image_end_token_id": VisionToken.IM_END,
        "image_col_id": VisionToken.IM_COL,
        "low_res_image_start_token_id": VisionToken.LOW_RES_IM_START,
        "image_low_res_id": VisionToken.IM_LOW,
        "frame_start_token_id": VisionToken.FRAME_START,
        "frame_end_token_id": VisionToken.FRAME_END,
    }
    return {
        "architectures": ["Molmo2ForConditionalGeneration"],
        "auto_map": {
            "AutoConfig": f"{CODE}configuration_molmo2.Molmo2Config",
            "AutoModelForImageTextToText": f"{CODE}modeling_molmo2.Molmo2ForConditionalGeneration",
        },
        "model_type": MODEL_TYPE,
        "tie_word_embeddings": False,
        "use_frame_special_tokens": True,
        **{name: first + offset for name, offset in ids.items()},
        "image_patch_id": model.image_patch_id,
        "vit_config": _vision_config(module),
        "adapter_config": _adapter_config(module),
        "text_config": _text_config(module),
    }


def _vision_config(module: ZooModule) -> dict[str, Any]:
    vision = module.model.vision
    block = module.get_submodule("model.vision.vit.blocks.0")
    heads, rows_columns = block.attn.num_heads, vision.grid
    return {
        "model_type": "molmo2",
        "hidden_size": vision.hidden_size,
        "intermediate_size": block.mlp.fc1.out_features,
        "num_hidden_layers": vision.last_block() + 1,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "head_dim": vision.hidden_size // heads,
        "hidden_act": "gelu_pytorch_tanh",
        "layer_norm_eps": block.norm1.eps,
        "image_default_input_size": list(vision.image_size),
        "image_patch_size": vision.image_size[0] // rows_columns[0],
        "image_num_pos": rows_columns[0] * rows_columns[1],
        "attention_dropout": 0.0,
        "residual_dropout": 0.0,
        "initializer_range": 0.02,
        "float32_attention": True,
    }


def _adapter_config(module: ZooModule) -> dict[str, Any]:
    model = module.model
    last = model.vision.num_blocks
    return {
        "model_type": "molmo2",
        "vit_layers": [block % last for block in model.vision.feature_blocks],
        "pooling_attention_mask": True,
        "hidden_size": model.vision.hidden_size,
        "num_attention_heads": model.connector.num_heads,
        "num_key_value_heads": model.connector.num_heads,
        "head_dim": model.connector.head_dim,
        "float32_attention": True,
        "attention_dropout": 0.0,
        "residual_dropout": 0.0,
        "hidden_act": "silu",
        "intermediate_size": len(_weights(module)["model.connector.gate.weight"]),
        "text_hidden_size": model.language.hidden_size,
        "image_feature_dropout": 0.0,
        "initializer_range": 0.02,
    }


def _text_config(module: ZooModule) -> dict[str, Any]:
    language, config = module.model.language, _language_config(module)
    own = _weights(module)
    head_dim = getattr(config, "head_dim", None) or language.hidden_size // language.num_heads
    is_joint = len(own["model.language.model.model.layers.0.self_attn.q_norm.weight"]) != head_dim
    is_behind = config.norm_after if hasattr(config, "norm_after") else any(OLMO_NORMS.mlp in name for name in own)
    rope, scaled = _rope(config)
    theta = rope.pop("rope_theta")
    return {
        "model_type": "molmo2_text",
        "hidden_size": language.hidden_size,
        "num_attention_heads": language.num_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "head_dim": head_dim,
        "vocab_size": language.vocab_size,
        "additional_vocab_size": language.num_extra_tokens,
        "qkv_bias": False,
        "num_hidden_layers": language.num_layers,
        "intermediate_size": language.intermediate_size,
        "hidden_act": "silu",
        "embedding_dropout": 0.0,
        "attention_dropout": 0.0,
        "residual_dropout": 0.0,
        "max_position_embeddings": config.max_position_embeddings,
        "rope_theta": theta,
        "rope_scaling": None if rope["rope_type"] == "default" else rope,
        "rope_scaling_layers": scaled,
        "use_qk_norm": True,
        "qk_norm_type": "olmo" if is_joint else "qwen3",
        "layer_norm_eps": config.rms_norm_eps,
        "norm_after": is_behind,
        "initializer_range": 0.02,
        "use_cache": True,
    }


def _rope(config: Any) -> tuple[dict[str, Any], list[int] | None]:
    """Rotary parameters of the scaled layers, and which these are; None: all."""
    rope = config.rope_parameters
    if "rope_theta" in rope:
        return dict(rope), getattr(config, "rope_scaling_layers", None)
    # OLMo3 keys them by the type of a layer; where the types differ, only full attention is scaled.
    full = [layer for layer, kind in enumerate(config.layer_types) if kind == "full_attention"]
    return dict(rope["full_attention"]), full


def _to_write(module: ZooModule, group: Group, dtype: torch.dtype) -> Iterator[TensorToWrite]:
    """The stored tensors of a group, whose numbers are fetched when they are written."""
    own = _weights(module)
    shapes = {name: tuple(own[name].shape) for name in group.own}
    stored = group.stored_shapes(shapes)
    for number, (name, shape) in enumerate(stored.items()):
        if len(group.stored) == 1:
            parts = partial(_parts, module, group, group.own)
        elif len(group.own) == len(group.stored):
            parts = partial(_parts, module, group, (group.own[number],))
        else:
            parts = partial(_share, module, group, number * shape[0], shape[0])
        yield TensorToWrite(name=name, dtype=dtype, shape=shape, parts=parts)


def _parts(module: ZooModule, group: Group, names: tuple[str, ...]) -> Iterator[Tensor]:
    return (as_stored(group, merged_weight(module, name)) for name in names)


def _share(module: ZooModule, group: Group, start: int, count: int) -> list[Tensor]:
    """Some rows of a weight of ours that is stored in several tensors."""
    return [merged_weight(module, group.own[0])[start : start + count]]


def _write_processor(module: ZooModule, folder: Path) -> None:
    """Vocabulary with Molmo2's extra tokens and the settings of its processors, where the module has a vocabulary."""
    from transformers import Molmo2ImageProcessor, Molmo2Processor, Molmo2VideoProcessor, PreTrainedTokenizerFast

    processor, model = module.processor, module.model
    if processor.tokenizer.save_files(folder) is None:
        return
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    known = tokenizer.get_vocab()
    missing = model.language.vocab_size - processor.tokenizer.vocab_size
    fillers = [FILLER.format(number) for number in range(missing)]
    tokenizer.add_special_tokens(
        {"additional_special_tokens": [t for t in (*fillers, *TOKEN_TEXTS.values()) if t not in known]}
    )
    settings = released_settings(processor)
    Molmo2Processor(
        image_processor=Molmo2ImageProcessor(**settings["image"]),
        video_processor=Molmo2VideoProcessor(**settings["video"]),
        tokenizer=tokenizer,
        chat_template=tokenizer.chat_template,
        **settings["joint"],
    ).save_pretrained(folder)


def _write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
