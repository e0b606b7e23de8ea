"""What every registered trunk part promises; published sizes are built without memory."""

import pickle

import pytest
import torch

from zoo import registry
from zoo.backbone import Connector, LanguageModel, VisionEncoder
from zoo.processor import TextTokenizer

CONTRACTS = {
    "vision_encoder": VisionEncoder,
    "connector": Connector,
    "language_model": LanguageModel,
    "tokenizer": TextTokenizer,
}
NAMED = [
    (kind, name) for kind in CONTRACTS for name in registry.names(kind) if (kind, name) != ("language_model", "qwen3")
]
PARAMETERS = {  # millions, sheet molmo2_stts A1.1 and A1.3 and the published model cards
    "siglip-base": 86,
    "siglip2-base": 86,
    "siglip2-so400m": 413,
    "qwen3-4b": 4411,
    "qwen3-8b": 8191,
    "smollm2-135m": 135,
}


@pytest.mark.parametrize(("kind", "name"), NAMED)
def test_it_is_what_its_kind_says(kind, name):
    with torch.device("meta"):
        part = registry.build(kind, name)
    assert isinstance(part, CONTRACTS[kind])


@pytest.mark.parametrize("name", PARAMETERS)
def test_published_sizes_have_the_published_number_of_parameters(name):
    kind = next(k for k in CONTRACTS if name in registry.names(k))
    with torch.device("meta"):
        part = registry.build(kind, name)
    assert sum(p.numel() for p in part.parameters()) / 1e6 == pytest.approx(PARAMETERS[name], rel=0.01)


@pytest.mark.parametrize("name", registry.names("tokenizer"))
def test_a_tokenizer_says_back_what_it_was_told(name):
    tokenizer = registry.build("tokenizer", name)
    for text in ("What colour is the small cube?", "12.5 ünïcode\n日本", ""):
        assert tokenizer.decode(tokenizer.encode(text)) == text
        assert max(tokenizer.prompt(text)) < tokenizer.vocab_size
    assert pickle.loads(pickle.dumps(tokenizer)).encode("red") == tokenizer.encode("red")
