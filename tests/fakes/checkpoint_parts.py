"""The recipe of a small module, and the same with parts from folders in transformers' layout."""

from copy import deepcopy
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM, SiglipVisionConfig, SiglipVisionModel

from zoo.backbones.tokenizers import words
from zoo.module import ZooModule

RECIPE = {
    "class_path": "vlm",
    "init_args": {
        "vision": {
            "class_path": "vit-tiny",
            "init_args": {"image_size": 48, "hidden_size": 32, "num_blocks": 3, "num_heads": 2, "stem_channels": 16},
        },
        "connector": {"class_path": "attention_pool", "init_args": {"head_dim": 16}},
        "language": {"class_path": "qwen3-tiny", "init_args": {"hidden_size": 32, "num_layers": 3, "num_heads": 2}},
        "tokenizer": "words",
        "heads": [{"class_path": "qa", "init_args": {"max_new_tokens": 3}}],
        "max_frames": 4,
    },
}


def tiny_language_model(folder: Path) -> None:
    """A random Llama with a byte-level vocabulary and ChatML turns, as transformers saves them."""
    config = LlamaConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=520,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    words().save_files(folder)


def tiny_vision_tower(folder: Path) -> None:
    """A random SigLIP of 42 pixels in patches of 7, as transformers saves it, with statistics of its own."""
    config = SiglipVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=2, image_size=42, patch_size=7
    )
    SiglipVisionModel(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text('{"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4]}')


def recipe_of_folders(root: Path) -> dict:
    """The small recipe with parts from folders below `root`, which are made."""
    tiny_language_model(root / "lm")
    tiny_vision_tower(root / "tower")
    recipe = deepcopy(RECIPE)
    recipe["init_args"] |= {
        "vision": {"class_path": f"hf:{root / 'tower'}", "init_args": {"feature_blocks": [-1, 0]}},
        "language": f"hf:{root / 'lm'}",
        "tokenizer": f"hf:{root / 'lm'}",
    }
    return recipe


def logits_and_answers(module: ZooModule, batch) -> tuple[torch.Tensor, list[str]]:
    with torch.no_grad():
        return module(batch).logits, [p.answer for p in module.answer(batch)]
