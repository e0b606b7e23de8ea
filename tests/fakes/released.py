"""Random Molmo2 checkpoints as transformers writes them, small, with a vocabulary and processors of their own."""

import json
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import (
    Molmo2Config,
    Molmo2ForConditionalGeneration,
    Molmo2ImageProcessor,
    Molmo2Processor,
    Molmo2VideoProcessor,
    PreTrainedTokenizerFast,
)

from zoo.backbones.tokenizers import words

VOCAB = words().vocab_size
YARN = {
    "rope_type": "yarn",
    "rope_theta": 5e5,
    "factor": 8.0,
    "attention_factor": 1.2,
    "beta_fast": 32,
    "beta_slow": 1,
    "original_max_position_embeddings": 64,
}
TEXT = {
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": VOCAB,
    "additional_vocab_size": 128,
    "num_hidden_layers": 3,
    "intermediate_size": 96,
    "max_position_embeddings": 2048,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e4},
}
OLMO = {**TEXT, "num_key_value_heads": 4, "qk_norm_type": "olmo", "norm_after": True}
TEXTS = {
    "qwen, grouped queries": TEXT,
    "olmo, norms behind": OLMO,
    "olmo, some layers scaled": {**OLMO, "rope_parameters": YARN, "rope_scaling_layers": [1]},
    "olmo, all layers scaled, grouped queries": {**OLMO, "num_key_value_heads": 2, "rope_parameters": YARN},
    "qwen, norms behind": {**TEXT, "norm_after": True},
    "olmo's joint norms, norms before": {**TEXT, "qk_norm_type": "olmo"},
}
LEGACY = "legacy names, 27 blocks of which 25 exist"
NAMES = (*TEXTS, LEGACY)

EXTRA = (
    *("<im_start>", "<im_end>", "<im_patch>", "<im_col>", "<low_res_im_start>", "<|image|>", "<im_low>"),
    *("<frame_start>", "<frame_end>", "<|video|>"),
)


def vision_config(num_blocks: int = 5) -> dict:
    return {
        "hidden_size": 32,
        "intermediate_size": 52,
        "num_hidden_layers": num_blocks,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "image_size": [54, 54],
        "patch_size": 6,
    }


def model_of(text: dict, *, num_blocks: int = 5, features: tuple[int, ...] = (-1, 2), **ids: int):
    """A random network whose every parameter matters: transformers starts norms at one and biases at zero."""
    adapter = {
        "hidden_size": 32,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "intermediate_size": 80,
        "text_hidden_size": text["hidden_size"],
        "vision_feature_layer": list(features),
    }
    offsets = {
        "image_start_token_id": 0,
        "image_end_token_id": 1,
        "image_patch_id": 2,
        "low_res_image_start_token_id": 4,
        "frame_start_token_id": 7,
        "frame_end_token_id": 8,
    }
    config = Molmo2Config(
        text_config=text,
        vision_config=vision_config(num_blocks),
        adapter_config=adapter,
        **({name: text["vocab_size"] + offset for name, offset in offsets.items()} | ids),
    )
    model = Molmo2ForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)  # more, and rounding alone is above 1e-4
    return model


def processor() -> Molmo2Processor:
    """54 pixels in patches of 6, so 9 x 9; the extra tokens lie right behind the text."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(words().tokenizer.to_str()), eos_token="<|im_end|>", pad_token="<|im_end|>"
    )
    tokenizer.add_special_tokens({"additional_special_tokens": list(EXTRA)})
    tokenizer.padding_side = "left"
    size = {"height": 54, "width": 54}
    return Molmo2Processor(
        image_processor=Molmo2ImageProcessor(size=size, patch_size=6, max_crops=4, overlap_margins=[1, 1]),
        video_processor=Molmo2VideoProcessor(size=size, patch_size=6, num_frames=4, max_fps=2),
        tokenizer=tokenizer,
        use_single_crop_col_tokens=False,
    )


def save(model: Molmo2ForConditionalGeneration, folder: Path, *, max_shard_size: str = "5GB") -> Path:
    model.save_pretrained(folder, max_shard_size=max_shard_size)
    processor().save_pretrained(folder)
    return folder


def released(name: str, folder: Path) -> Path:
    """A checkpoint folder of one of `NAMES`."""
    if name != LEGACY:
        return save(model_of(TEXTS[name]), folder)
    save(model_of(TEXT, num_blocks=25, features=(24, 18)), folder)
    config = json.loads((folder / "config.json").read_text())
    vision, adapter, text = config.pop("vision_config"), config["adapter_config"], config["text_config"]
    vision |= {
        "num_hidden_layers": 27,
        "image_default_input_size": vision.pop("image_size"),
        "image_patch_size": vision.pop("patch_size"),
        "image_num_pos": vision.pop("num_position_embeddings"),
        "float32_attention": True,
    }
    adapter["vit_layers"] = [-3, -9]
    adapter |= {"pooling_attention_mask": True, "image_feature_dropout": 0.0}
    del adapter["vision_feature_layer"], text["attention_bias"]
    rope = text.pop("rope_parameters")
    text |= {"rope_theta": rope["rope_theta"], "rope_scaling": None, "qkv_bias": False, "use_qk_norm": True}
    text["layer_norm_eps"] = text.pop("rms_norm_eps")
    config["vit_config"] = vision
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def clip(frames: int) -> np.ndarray:
    return np.random.default_rng(frames).integers(0, 256, (frames, 40, 50, 3), dtype=np.uint8)


def inputs(kind: str) -> dict[str, torch.Tensor]:
    """What transformers' processor makes of prompts of a kind."""
    asked = processor()
    images = {
        "image": [picture(50, 70)],
        "several images": [picture(50, 70), picture(120, 80), picture(20, 200)],
        "images in some rows": [picture(50, 70), picture(150, 60), picture(64, 64)],
    }
    texts = {
        "text": ["What colour is the cube?"],
        "texts of unequal length": [
            "What colour is the cube?",
            "Which?",
            "How many red objects are there on the table?",
        ],
        "image": ["<|image|>What colour is the cube?"],
        "several images": ["Image 1<|image|>Image 2<|image|>Image 3<|image|>Which is red?"],
        "images in some rows": [
            "<|image|>Which?",
            "How many objects?",
            "Image 1<|image|>Image 2<|image|>Which is red?",
        ],
        "video": ["<|video|>Did the cube move?"],
        "videos of unequal length": ["<|video|>Did the cube move?", "<|video|>Which?"],
    }
    videos = {"video": [clip(8)], "videos of unequal length": [clip(8), clip(3)]}
    arguments = {}
    if kind in images:
        arguments["images"] = images[kind]
    if kind in videos:
        arguments |= {
            "videos": [torch.from_numpy(video).permute(0, 3, 1, 2) for video in videos[kind]],
            "video_metadata": [{"fps": 4, "total_num_frames": len(v), "duration": len(v) / 4} for v in videos[kind]],
        }
    return dict(asked(text=texts[kind], padding=True, return_tensors="pt", **arguments))


KINDS = (
    *("text", "texts of unequal length", "image", "several images", "images in some rows"),
    *("video", "videos of unequal length"),
)
