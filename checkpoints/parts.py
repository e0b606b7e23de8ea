"""Trained parts of other checkpoints: `zoo:<checkpoint>` names a vision encoder, language model or tokenizer.

A checkpoint that is written of a module with such a part stands alone: it names what the part was first built from.
"""

from __future__ import annotations

from typing import TypeVar

from zoo.adaptation import AdaptableModule
from zoo.backbone import LanguageModel
from zoo.checkpoints.pretrained import from_pretrained
from zoo.checkpoints.recipe import recipe_of, with_names
from zoo.errors import ConfigError
from zoo.portable import Portable
from zoo.processor import TextTokenizer
from zoo.vision_encoder import VisionEncoder

Part = TypeVar("Part", bound=Portable)


def vision_encoder(name: str) -> VisionEncoder:
    """The vision encoder of a trained model, with its weights.

    Args:
        name: A checkpoint folder, a bundled one's name, a hub id, a run folder or a .ckpt file.
    Raises:
        ConfigError: there is no such checkpoint.
    """
    return _part(name, "vision", VisionEncoder)


def language_model(name: str) -> LanguageModel:
    """The language model of a trained model, with its weights; the extra tokens' embeddings stay behind.

    Args:
        name: A checkpoint folder, a bundled one's name, a hub id, a run folder or a .ckpt file.
    Raises:
        ConfigError: there is no such checkpoint.
    """
    return _part(name, "language", LanguageModel)


def tokenizer(name: str) -> TextTokenizer:
    """The tokenizer of a trained model.

    Args:
        name: A checkpoint folder, a bundled one's name, a hub id, a run folder or a .ckpt file.
    Raises:
        ConfigError: there is no such checkpoint.
    """
    return _part(name, "tokenizer", TextTokenizer)


def _part(checkpoint: str, argument: str, contract: type[Part]) -> Part:
    module = from_pretrained(checkpoint)
    if isinstance(module, AdaptableModule) and module.lora.components():
        module.merge_adapters()
    parts = module.portable_parts()
    if argument not in parts:
        raise ConfigError(f"{checkpoint} is a {type(module).__name__} and has no {argument}; it has {', '.join(parts)}")
    part = parts[argument]
    if not isinstance(part, contract):
        raise TypeError(f"{checkpoint}: its {argument} is a {type(part).__name__}")
    part.origin = with_names(recipe_of(module))["init_args"][argument]
    return part
