"""Text encoders of transformers: SigLIP's text tower, T5's encoder, and MiniLM (BERT with mean pooling).

Source: transformers' SiglipTextModel, Siglip2TextModel, T5EncoderModel and BertModel; sheets SPOC 1.5 and MolmoBot
    (which tower reads instructions there), all-MiniLM-L6-v2's published pooling. Differs: T5 publishes no pooled
    vector, ours is the mean over real tokens.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from textwrap import shorten
from typing import Any, TypeVar

import torch
from tokenizers.processors import TemplateProcessing
from torch import Tensor
from torch.nn import functional as F
from transformers import (
    AutoConfig,
    AutoTokenizer,
    BertConfig,
    BertModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Siglip2TextConfig,
    Siglip2TextModel,
    SiglipTextConfig,
    SiglipTextModel,
    T5Config,
    T5EncoderModel,
)

from zoo.backbones.tokenizers import IM_END, IM_START, words
from zoo.errors import ConfigError, MissingLibraryError
from zoo.hub import local_folder, reading
from zoo.text_encoder import TextEncoder, TextFeatures, TextIds, TextProcessor, masked_mean
from zoo.weights import weight_files

MAX_TOKENS = 512
"""Where neither folder nor network names a limit."""

UNUSED = "pooler."
"""Of BERT's pre-training; takes no part in a mean, so a folder need not have it."""

Loaded = TypeVar("Loaded")


class TransformersTextProcessor(TextProcessor):
    """A tokenizer of transformers as data half.

    Args:
        tokenizer: With a padding token; it adds its own special tokens.
        max_tokens: Longer texts are cut.
        pad_to_max: Every text gets `max_tokens` ids.
    Raises:
        ConfigError: the tokenizer has no padding token.
    """

    def __init__(self, *, tokenizer: PreTrainedTokenizerBase, max_tokens: int, pad_to_max: bool = False) -> None:
        if tokenizer.pad_token_id is None:
            raise ConfigError("a text encoder's tokenizer needs a padding token; set pad_token in its configuration")
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.pad_id = tokenizer.pad_token_id
        self.pad_to_max = pad_to_max

    def __call__(self, texts: Sequence[str]) -> TextIds:
        made = self.tokenizer(
            list(texts),
            padding="max_length" if self.pad_to_max else "longest",
            padding_side="right",
            truncation=True,
            max_length=self.max_tokens,
            return_attention_mask=True,
            return_tensors="pt",
        )
        return TextIds(input_ids=made["input_ids"], attention_mask=made["attention_mask"].bool())


class TransformersTextEncoder(TextEncoder):
    """A text encoder of transformers, which a checkpoint takes along.

    Attributes:
        is_from_folder: Its sizes and vocabulary are those of a folder, not of a builder's arguments.
    """

    model: PreTrainedModel
    processor: TransformersTextProcessor
    is_from_folder: bool = False

    def save_files(self, folder: Path) -> dict[str, Any] | None:
        if not self.is_from_folder:
            return super().save_files(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.model.config.save_pretrained(folder)
        self.processor.tokenizer.save_pretrained(folder)
        arguments = {"pretrained": False, "frozen": self.frozen, "max_tokens": self.processor.max_tokens}
        return {"class_path": f"hf:{folder}", "init_args": arguments}


class SiglipTextEncoder(TransformersTextEncoder):
    """SigLIP's text tower: always all of its places, padding included, of which the last one is pooled.

    The tower was trained on padded texts without a mask, so padding belongs to its input: ids are padded here to the
    full length, whatever they came with, and all states may be attended to.

    Args:
        model: The tower with its projection.
        processor: Data half.
        frozen: Weights take no gradient and the network stays in evaluation mode.
    """

    def __init__(
        self, *, model: SiglipTextModel | Siglip2TextModel, processor: TextProcessor, frozen: bool = True
    ) -> None:
        super().__init__(processor=processor, frozen=frozen)
        self.model = model.requires_grad_(not frozen)
        self.train()  # or evaluation, where frozen: whatever mode the network came in
        self.hidden_size = model.config.hidden_size
        self.pooled_size = model.config.projection_size
        self.num_places = model.config.max_position_embeddings

    def encode(self, ids: TextIds) -> TextFeatures:
        input_ids = ids.input_ids.masked_fill(~ids.attention_mask, self.processor.pad_id)
        input_ids = F.pad(input_ids, (0, self.num_places - input_ids.shape[1]), value=self.processor.pad_id)
        out = self.model(input_ids=input_ids)
        return TextFeatures(
            states=out.last_hidden_state,
            attention_mask=torch.ones_like(input_ids, dtype=torch.bool),
            pooled=out.pooler_output,
        )


class MeanPooledTextEncoder(TransformersTextEncoder):
    """An encoder whose pooled vector is the mean of its real tokens.

    Args:
        model: T5's encoder, or BERT without its pooler.
        processor: Data half.
        frozen: Weights take no gradient and the network stays in evaluation mode.
        normalise: Give the pooled vector length 1, as sentence encoders have it.
    """

    def __init__(
        self, *, model: PreTrainedModel, processor: TextProcessor, frozen: bool = True, normalise: bool = False
    ) -> None:
        super().__init__(processor=processor, frozen=frozen)
        self.model = model.requires_grad_(not frozen)
        self.train()  # or evaluation, where frozen: whatever mode the network came in
        self.hidden_size = self.pooled_size = model.config.hidden_size
        self.normalise = normalise

    def encode(self, ids: TextIds) -> TextFeatures:
        mask = ids.attention_mask
        out: Tensor = self.model(input_ids=ids.input_ids, attention_mask=mask.long()).last_hidden_state
        pooled = masked_mean(out, mask)
        return TextFeatures(
            states=out * mask.unsqueeze(-1),
            attention_mask=mask,
            pooled=F.normalize(pooled, dim=-1) if self.normalise else pooled,
        )


def _siglip(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, frozen: bool, _limit: int) -> TextEncoder:
    places = model.config.max_position_embeddings
    processor = TransformersTextProcessor(tokenizer=tokenizer, max_tokens=places, pad_to_max=True)
    return SiglipTextEncoder(model=model, processor=processor, frozen=frozen)


def _t5(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, frozen: bool, limit: int) -> TextEncoder:
    processor = TransformersTextProcessor(tokenizer=tokenizer, max_tokens=limit)
    return MeanPooledTextEncoder(model=model, processor=processor, frozen=frozen)


def _minilm(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, frozen: bool, limit: int) -> TextEncoder:
    model.pooler = None
    limit = min(limit, model.config.max_position_embeddings)
    processor = TransformersTextProcessor(tokenizer=tokenizer, max_tokens=limit)
    return MeanPooledTextEncoder(model=model, processor=processor, frozen=frozen, normalise=True)


FAMILIES = {
    "siglip": (SiglipTextModel, _siglip),
    "siglip_text_model": (SiglipTextModel, _siglip),
    "siglip2": (Siglip2TextModel, _siglip),
    "siglip2_text_model": (Siglip2TextModel, _siglip),
    "t5": (T5EncoderModel, _t5),
    "bert": (BertModel, _minilm),
}
"""transformers' model types: its class, our builder."""


def from_hf(name: str, *, pretrained: bool = True, frozen: bool = True, max_tokens: int | None = None) -> TextEncoder:
    """The text encoder and tokenizer of a folder or hub id in transformers' layout.

    Args:
        name: Hub id such as google/siglip-base-patch16-256, or a local folder; a whole SigLIP or T5 will do.
        pretrained: Load the weights; false takes only the shape, with random weights.
        frozen: Weights take no gradient and the network stays in evaluation mode.
        max_tokens: Longer texts are cut; null takes what the folder's sentence_bert_config.json or tokenizer says.
    Raises:
        ConfigError: there is no such folder or reachable hub entry, or it holds another kind of model, or pickles.
        MissingLibraryError: its tokenizer needs a package that is not installed.
    """
    folder = local_folder(name, weights=pretrained)
    config = _read(name, folder, partial(AutoConfig.from_pretrained, trust_remote_code=False))
    if config.model_type not in FAMILIES:
        raise ConfigError(
            f"hf:{name} is a {config.model_type!r} model; text encoders here are of {', '.join(FAMILIES)}"
        )
    build, wrap = FAMILIES[config.model_type]
    tokenizer = _read(name, folder, partial(AutoTokenizer.from_pretrained, trust_remote_code=False))
    load = partial(_load, build) if pretrained else lambda _: build(getattr(config, "text_config", config))
    model = _read(name, folder, load)
    limit = max_tokens or _read(name, folder, partial(_limit, tokenizer=tokenizer))
    encoder = wrap(model, tokenizer, frozen, limit)
    encoder.is_from_folder = True
    return encoder


def _load(build: type[PreTrainedModel], folder: Path) -> PreTrainedModel:
    weight_files(folder)  # refuses pickles
    model, told = build.from_pretrained(folder, use_safetensors=True, output_loading_info=True)
    missing = sorted(name for name in told["missing_keys"] if not name.startswith(UNUSED))
    if missing:  # transformers would leave them random
        raise ValueError(f"the weights lack {missing[:3]}")
    return model


def _read(name: str, folder: Path, load: Callable[[Path], Loaded]) -> Loaded:
    try:
        with reading(name, "a text encoder"):
            return load(folder)
    except ImportError as error:  # SigLIP's first tokenizer wants sentencepiece
        raise MissingLibraryError(f"hf:{name}: {shorten(str(error), width=200, placeholder=' ...')}") from error


def _limit(folder: Path, tokenizer: PreTrainedTokenizerBase) -> int:
    """Longest text: what sentence-transformers writes into a folder, else the tokenizer's own, at most `MAX_TOKENS`."""
    file = folder / "sentence_bert_config.json"
    if file.is_file():
        longest = json.loads(file.read_text(encoding="utf-8"))["max_seq_length"]
        if type(longest) is not int or longest < 1:
            raise ConfigError(f"{file}: max_seq_length is {longest!r}, expected a number of tokens")
        return longest
    return min(tokenizer.model_max_length, MAX_TOKENS)


def words_tokenizer() -> PreTrainedTokenizerFast:
    """The shipped vocabulary with an end token, for encoders that start from nothing."""
    backend = words().tokenizer
    end = backend.token_to_id(IM_END)
    backend.post_processor = TemplateProcessing(single=f"$A {IM_END}", special_tokens=[(IM_END, end)])
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=IM_END, pad_token=IM_START)


def siglip_text_base(*, pretrained: bool = False, frozen: bool = True) -> TextEncoder:
    """Text tower of SigLIP base at 256 pixels: 12 layers of 768, 64 tokens, as SPOC and MolmoBot-SPOC read with.

    Args:
        pretrained: Download the published weights and vocabulary; else random weights and the shipped `words`.
        frozen: Weights take no gradient and the network stays in evaluation mode.
    """
    if pretrained:
        return from_hf("google/siglip-base-patch16-256", frozen=frozen)
    config = SiglipTextConfig(bos_token_id=None, eos_token_id=1)  # the class's own defaults are no ids of this size
    return _siglip(SiglipTextModel(config), words_tokenizer(), frozen, MAX_TOKENS)


def siglip2_text_base(*, pretrained: bool = False, frozen: bool = True) -> TextEncoder:
    """Text tower of SigLIP2 base: 12 layers of 768, 64 tokens, Gemma's vocabulary.

    Args:
        pretrained: Download the published weights and vocabulary; else random weights and the shipped `words`.
        frozen: Weights take no gradient and the network stays in evaluation mode.
    """
    if pretrained:
        return from_hf("google/siglip2-base-patch16-256", frozen=frozen)
    return _siglip(Siglip2TextModel(Siglip2TextConfig(vocab_size=256_000)), words_tokenizer(), frozen, MAX_TOKENS)


def siglip_text_tiny(
    *, hidden_size: int = 64, num_layers: int = 2, num_heads: int = 4, max_tokens: int = 64, frozen: bool = False
) -> TextEncoder:
    """SigLIP's text tower for work on a CPU, trained from nothing on the shipped vocabulary.

    Args:
        hidden_size: Channels.
        num_layers: Layers.
        num_heads: Attention heads.
        max_tokens: Places; every text takes all of them.
        frozen: Weights take no gradient and the network stays in evaluation mode.
    """
    tokenizer = words_tokenizer()
    config = SiglipTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        intermediate_size=4 * hidden_size,
        num_hidden_layers=num_layers,
        num_attention_heads=num_heads,
        max_position_embeddings=max_tokens,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    return _siglip(SiglipTextModel(config), tokenizer, frozen, max_tokens)


def t5_small(*, pretrained: bool = False, frozen: bool = True) -> TextEncoder:
    """T5-small's encoder: 6 layers of 512, as SPOC's DINOv2 variants read with.

    Args:
        pretrained: Download the published weights and vocabulary; else random weights and the shipped `words`.
        frozen: Weights take no gradient and the network stays in evaluation mode.
    """
    if pretrained:
        return from_hf("google-t5/t5-small", frozen=frozen)
    config = T5Config(d_model=512, d_kv=64, d_ff=2048, num_layers=6, num_heads=8)
    return _t5(T5EncoderModel(config), words_tokenizer(), frozen, MAX_TOKENS)


def t5_base(*, pretrained: bool = False, frozen: bool = True) -> TextEncoder:
    """T5-base's encoder: 12 layers of 768.

    Args:
        pretrained: Download the published weights and vocabulary; else random weights and the shipped `words`.
        frozen: Weights take no gradient and the network stays in evaluation mode.
    """
    if pretrained:
        return from_hf("google-t5/t5-base", frozen=frozen)
    config = T5Config(d_model=768, d_kv=64, d_ff=3072, num_layers=12, num_heads=12)
    return _t5(T5EncoderModel(config), words_tokenizer(), frozen, MAX_TOKENS)


def t5_tiny(
    *, hidden_size: int = 64, num_layers: int = 2, num_heads: int = 4, max_tokens: int = 64, frozen: bool = False
) -> TextEncoder:
    """T5's encoder for work on a CPU, trained from nothing on the shipped vocabulary.

    Args:
        hidden_size: Channels.
        num_layers: Layers.
        num_heads: Attention heads.
        max_tokens: Longer texts are cut.
        frozen: Weights take no gradient and the network stays in evaluation mode.
    """
    tokenizer = words_tokenizer()
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=hidden_size,
        d_kv=hidden_size // num_heads,
        d_ff=4 * hidden_size,
        num_layers=num_layers,
        num_heads=num_heads,
        dropout_rate=0.0,
    )
    return _t5(T5EncoderModel(config), tokenizer, frozen, max_tokens)


def minilm_l6(*, pretrained: bool = False, frozen: bool = True) -> TextEncoder:
    """all-MiniLM-L6-v2, a sentence encoder: 6 layers of 384, 256 tokens.

    Args:
        pretrained: Download the published weights and vocabulary; else random weights and the shipped `words`.
        frozen: Weights take no gradient and the network stays in evaluation mode.
    """
    if pretrained:
        return from_hf("sentence-transformers/all-MiniLM-L6-v2", frozen=frozen, max_tokens=256)
    config = BertConfig(hidden_size=384, intermediate_size=1536, num_hidden_layers=6, num_attention_heads=12)
    return _minilm(BertModel(config), words_tokenizer(), frozen, 256)


def minilm_tiny(
    *, hidden_size: int = 64, num_layers: int = 2, num_heads: int = 4, max_tokens: int = 64, frozen: bool = False
) -> TextEncoder:
    """MiniLM's parts for work on a CPU, trained from nothing on the shipped vocabulary.

    Args:
        hidden_size: Channels.
        num_layers: Layers.
        num_heads: Attention heads.
        max_tokens: Longer texts are cut.
        frozen: Weights take no gradient and the network stays in evaluation mode.
    """
    tokenizer = words_tokenizer()
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        intermediate_size=4 * hidden_size,
        num_hidden_layers=num_layers,
        num_attention_heads=num_heads,
        max_position_embeddings=max_tokens,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return _minilm(BertModel(config), tokenizer, frozen, max_tokens)
