"""A SAM 2 for video with random weights, small enough for a test, in transformers' layout."""

from pathlib import Path

import torch
from transformers import (
    Sam2HieraDetConfig,
    Sam2ImageProcessor,
    Sam2VideoConfig,
    Sam2VideoModel,
    Sam2VideoProcessor,
    Sam2VideoVideoProcessor,
    Sam2VisionConfig,
)

SIDE, CHANNELS = (
    128,
    128,
)  # transformers' memory has 64 channels whatever the config says, and wants more than that here


def write_tiny_sam2(folder: Path) -> Path:
    """Model and processor in `folder`; 1.1 million parameters."""
    backbone = Sam2HieraDetConfig(
        hidden_size=8,
        image_size=[SIDE, SIDE],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 2, 2],
        window_size_per_stage=[4, 4, 4, 4],
        window_positional_embedding_background_size=[4, 4],
        global_attention_blocks=[3],
    )
    vision = Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[SIDE // stride] * 2 for stride in (4, 8, 16)],
        fpn_hidden_size=CHANNELS,
    )
    config = Sam2VideoConfig(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": CHANNELS, "image_size": SIDE, "mask_input_channels": 4},
        mask_decoder_config={
            "hidden_size": CHANNELS,
            "mlp_dim": 32,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 16,
        },
        image_size=SIDE,
        num_maskmem=3,
        max_object_pointers_in_encoder=4,
        memory_attention_hidden_size=CHANNELS,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=32,
        memory_attention_rope_feat_sizes=[SIDE // 16] * 2,
        memory_encoder_hidden_size=CHANNELS,
        mask_downsampler_embed_dim=CHANNELS,
        memory_fuser_embed_dim=CHANNELS,
        memory_fuser_intermediate_dim=32,
        memory_fuser_num_layers=1,
    )
    torch.manual_seed(0)
    Sam2VideoModel(config).save_pretrained(folder)
    size = {"height": SIDE, "width": SIDE}
    images = Sam2ImageProcessor(size=size, mask_size={"height": SIDE // 4, "width": SIDE // 4})
    Sam2VideoProcessor(images, Sam2VideoVideoProcessor(size=size)).save_pretrained(folder)
    return folder
