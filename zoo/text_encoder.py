"""The contract of text encoders: instructions to token states and one pooled vector.

Policies that are no language models read their instruction with one (SPOC, RING, MolmoBot-SPOC: SigLIP's text tower
or T5-small, sheets); scene planners compare texts by it. Two halves: a processor, pure and picklable, that makes ids,
and the network.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from zoo.errors import DataError
from zoo.portable import Portable


@dataclass(frozen=True, kw_only=True, slots=True)
class TextIds:
    """Texts as ids, padded on the right to one length.

    Args:
        input_ids: (texts, tokens) int64.
        attention_mask: (texts, tokens) bool, True on real tokens.
    """

    input_ids: Tensor
    attention_mask: Tensor

    def __post_init__(self) -> None:
        if self.input_ids.ndim != 2 or self.input_ids.shape != self.attention_mask.shape:
            raise ValueError(
                f"input_ids {tuple(self.input_ids.shape)} and attention_mask {tuple(self.attention_mask.shape)} "
                "must both be (texts, tokens)"
            )

    def to(self, device: torch.device | str, non_blocking: bool = False) -> TextIds:
        return TextIds(
            input_ids=self.input_ids.to(device, non_blocking=non_blocking),
            attention_mask=self.attention_mask.to(device, non_blocking=non_blocking),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TextFeatures:
    """What a text encoder gives.

    Args:
        states: (texts, tokens, channels); 0 where nothing may attend.
        attention_mask: (texts, tokens) bool, states that later parts may attend to.
        pooled: (texts, pooled channels), one vector a text.
    """

    states: Tensor
    attention_mask: Tensor
    pooled: Tensor


class TextProcessor(ABC):
    """Data half: texts to ids; picklable, for loader workers.

    Attributes:
        max_tokens: Longer texts are cut.
        pad_id: Id on padding.
    """

    max_tokens: int
    pad_id: int

    @abstractmethod
    def __call__(self, texts: Sequence[str]) -> TextIds:
        """Ids of one or more texts, special tokens included."""


class TextEncoder(Portable, nn.Module, ABC):
    """Texts to states. A text means the same alone and in a padded batch.

    Args:
        processor: Data half that belongs to the weights.
        frozen: Weights take no gradient and the network stays in evaluation mode.

    Attributes:
        hidden_size: Channels of the states.
        pooled_size: Channels of the pooled vector.
    """

    kind: ClassVar[str] = "text_encoder"
    hidden_size: int
    pooled_size: int

    def __init__(self, *, processor: TextProcessor, frozen: bool) -> None:
        super().__init__()
        self.processor = processor
        self.frozen = frozen

    @abstractmethod
    def encode(self, ids: TextIds) -> TextFeatures:
        """Run the network."""

    def forward(self, ids: TextIds) -> TextFeatures:
        """Encode ids; without a graph where the encoder is frozen.

        Raises:
            DataError: no text, a text without a token, or more tokens than the network has places for.
        """
        if not ids.input_ids.numel() or ids.input_ids.shape[1] > self.processor.max_tokens:
            raise DataError(
                f"{ids.input_ids.shape[0]} texts of {ids.input_ids.shape[1]} tokens; this text encoder takes one text "
                f"or more, of 1 to {self.processor.max_tokens} tokens"
            )
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return self.encode(ids)

    def read(self, texts: Sequence[str]) -> TextFeatures:
        """Encode texts as they are."""
        return self(self.processor(texts).to(next(self.parameters()).device))

    def train(self, mode: bool = True) -> TextEncoder:
        return super().train(mode and not self.frozen)


def masked_mean(states: Tensor, attention_mask: Tensor) -> Tensor:
    """(texts, channels): mean of (texts, tokens, channels) over the tokens where the mask (texts, tokens) is true."""
    weights = attention_mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1)
