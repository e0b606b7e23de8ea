"""Vision encoders, connectors, language models, text encoders and tokenizers: pixels and text to
hidden states. Beside them segmenters: points to masks.
"""

COMPONENTS = {
    "vision_encoder": {
        "siglip-base": "zoo.backbones.vit:siglip_base",
        "siglip2-base": "zoo.backbones.vit:siglip2_base",
        "siglip2-so400m": "zoo.backbones.vit:siglip2_so400m",
        "dinov2-small": "zoo.backbones.dinov2:dinov2_small",
        "dinov2-base": "zoo.backbones.dinov2:dinov2_base",
        "dinov2-large": "zoo.backbones.dinov2:dinov2_large",
        "dinov2-giant": "zoo.backbones.dinov2:dinov2_giant",
        "dinov2-tiny": "zoo.backbones.dinov2:dinov2_tiny",
        "vit-tiny": "zoo.backbones.vit:vit_tiny",
        "timm:*": "zoo.backbones.vit:from_timm",
        "hf:*": "zoo.backbones.vision_folder:from_hf",
    },
    "connector": {
        "attention_pool": "zoo.backbones.attention_pool:AttentionPool",
        "mlp": "zoo.backbones.mlp_connector:MlpConnector",
    },
    "language_model": {
        "qwen3": "zoo.backbones.decoder:qwen3",
        "qwen3-tiny": "zoo.backbones.decoder:qwen3_tiny",
        "qwen3-4b": "zoo.backbones.decoder:qwen3_4b",
        "qwen3-8b": "zoo.backbones.decoder:qwen3_8b",
        "smollm2-135m": "zoo.backbones.decoder:smollm2_135m",
        "qwen2": "zoo.backbones.qwen2:qwen2",
        "qwen2-tiny": "zoo.backbones.qwen2:qwen2_tiny",
        "qwen2-0.5b": "zoo.backbones.qwen2:qwen2_0_5b",
        "qwen2-7b": "zoo.backbones.qwen2:qwen2_7b",
        "olmo2": "zoo.backbones.olmo:olmo2",
        "olmo2-tiny": "zoo.backbones.olmo:olmo2_tiny",
        "olmo2-1b": "zoo.backbones.olmo:olmo2_1b",
        "olmo2-7b": "zoo.backbones.olmo:olmo2_7b",
        "olmo3": "zoo.backbones.olmo:olmo3",
        "olmo3-tiny": "zoo.backbones.olmo:olmo3_tiny",
        "olmo3-7b": "zoo.backbones.olmo:olmo3_7b",
        "hf:*": "zoo.backbones.decoder:from_hf",
    },
    "text_encoder": {
        "siglip-text-base": "zoo.backbones.text_encoders:siglip_text_base",
        "siglip2-text-base": "zoo.backbones.text_encoders:siglip2_text_base",
        "siglip-text-tiny": "zoo.backbones.text_encoders:siglip_text_tiny",
        "t5-small": "zoo.backbones.text_encoders:t5_small",
        "t5-base": "zoo.backbones.text_encoders:t5_base",
        "t5-tiny": "zoo.backbones.text_encoders:t5_tiny",
        "minilm-l6": "zoo.backbones.text_encoders:minilm_l6",
        "minilm-tiny": "zoo.backbones.text_encoders:minilm_tiny",
        "hf:*": "zoo.backbones.text_encoders:from_hf",
    },
    "segmenter": {
        "nearest-instance": "zoo.backbones.nearest_instance:NearestInstance",
        "sam2-video": "zoo.backbones.sam2_video:Sam2VideoSegmenter",
        "hf:*": "zoo.backbones.sam2_video:from_hf",
    },
    "tokenizer": {
        "words": "zoo.backbones.tokenizers:words",
        "hf:*": "zoo.backbones.tokenizers:from_hf",
    },
}
