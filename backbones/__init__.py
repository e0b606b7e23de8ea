"""Vision encoders, connectors, language models and tokenizers: what turns pixels and text into hidden states."""

COMPONENTS = {
    "vision_encoder": {
        "siglip-base": "zoo.backbones.vit:siglip_base",
        "siglip2-base": "zoo.backbones.vit:siglip2_base",
        "siglip2-so400m": "zoo.backbones.vit:siglip2_so400m",
        "vit-tiny": "zoo.backbones.vit:vit_tiny",
        "timm:*": "zoo.backbones.vit:from_timm",
    },
    "connector": {
        "attention_pool": "zoo.backbones.attention_pool:AttentionPool",
    },
    "language_model": {
        "qwen3": "zoo.backbones.decoder:qwen3",
        "qwen3-tiny": "zoo.backbones.decoder:qwen3_tiny",
        "qwen3-4b": "zoo.backbones.decoder:qwen3_4b",
        "qwen3-8b": "zoo.backbones.decoder:qwen3_8b",
        "smollm2-135m": "zoo.backbones.decoder:smollm2_135m",
        "hf:*": "zoo.backbones.decoder:from_hf",
    },
    "tokenizer": {
        "words": "zoo.backbones.tokenizers:words",
        "hf:*": "zoo.backbones.tokenizers:from_hf",
    },
}
