"""The contract of heads: a data half that renders samples, and a model half that scores and predicts.

The data half (`renderer`) is pure and picklable and runs in loader workers. The model half sees hidden states through
`TrunkOutputs` and generation through a `Session`; it never reaches into a backbone. Source: docs/architecture.md.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection

if TYPE_CHECKING:
    from zoo.batch import Batch, Turn
    from zoo.layout import TokenLayout
    from zoo.shards.reader import Sample


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One question about a sample, and its answer.

    Args:
        head: Name of the head that rendered it.
        prompt: What a person says.
        answer: The target text; empty where it is unknown.
        family: Group that metrics report together.
        temporal: The answer depends on the order of frames.
        weight: Loss weight of the message, before the rule of the loss divides it over its tokens.
        is_scored: Counts in metrics; false for text that is only learnt from.
        history: Earlier turns of the same conversation, (prompt, answer), oldest first; context, never learnt from.
    """

    head: str
    prompt: str
    answer: str
    family: str
    temporal: bool = False
    weight: float = 1.0
    is_scored: bool = True
    history: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """What a head answered to one message."""

    key: str
    head: str
    family: str
    prompt: str
    truth: str
    answer: str
    correct: bool
    temporal: bool

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Prediction:
        """Stay as it is: Lightning moves whatever a step returns."""
        return self


class Renderer(Protocol):
    """Data half of a head: picklable, pure."""

    def __call__(self, sample: Sample, generator: np.random.Generator, *, training: bool) -> list[Message]:
        """Messages about a sample; text that is only learnt from is left out where `training` is false."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchText:
    """What some patches of a sample show, in words.

    Args:
        text: The words.
        patches: (frames, rows, columns) bool, of the shown frames.
    """

    text: str
    patches: np.ndarray


class Labeller(Protocol):
    """Data half of a head that labels patches: picklable, pure."""

    def __call__(self, sample: Sample, indices: np.ndarray, grid: tuple[int, int]) -> list[PatchText]:
        """Labels of the shown frames, which have these indices in the stored clip."""


@dataclass(frozen=True, kw_only=True)
class TrunkOutputs:
    """What the trunk computed for a batch.

    Args:
        hidden: (tokens, channels) last residual stream of the living tokens, before the final norm.
        index: (tokens,) int64, place of each living token in the batch's sequence.
        logits: (targets, vocabulary) float, at the positions of `targets` only.
        targets: (targets,) int64, next-token labels.
        weights: (targets,) float32, loss weights.
        total_weight: Scalar, mean over processes of the weights' sum: what losses are divided by.
        layout: Where the living vision tokens came from.
        window_logits: (windows, vocabulary), the output head read on the vectors that enter the language model; None
            unless a head needs them.
        window_layout: Where those windows came from.
        auxiliary_losses: Scalars of pruners.
        tokens_per_site: Living windows or patches of each clip after each cut.
    """

    hidden: Tensor
    index: Tensor
    logits: Tensor
    targets: Tensor
    weights: Tensor
    total_weight: Tensor
    layout: TokenLayout
    window_logits: Tensor | None = None
    window_layout: TokenLayout | None = None
    auxiliary_losses: Sequence[Tensor] = ()
    tokens_per_site: Mapping[str, tuple[int, ...]] | None = None


class Session(Protocol):
    """One generation over a batch: rows are turns that continue the trunk's cache."""

    turns: Sequence[Turn]
    logits: Tensor
    """(rows, vocabulary): of the next token."""

    def decode(self, ids: Sequence[int]) -> str:
        """Text of generated ids."""

    def append(self, input_ids: Tensor, counts: Tensor | None = None) -> Tensor:
        """Feed (rows, tokens) ids, of which `counts` (rows,) are real, and return the new `logits`."""

    def generate(
        self,
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        generator: torch.Generator | None = None,
        constraint: Constraint | None = None,
    ) -> list[list[int]]:
        """Ids of each row's answer, without the end token; greedy at temperature 0."""


class Constraint(Protocol):
    """Which tokens may come next."""

    def __call__(self, generated: Sequence[Sequence[int]]) -> Tensor:
        """(rows, vocabulary) bool for the ids generated so far."""


class Head(nn.Module, ABC):
    """A question that can be put to a trunk.

    Class attributes:
        name: Under which messages, losses and metrics of this head appear.
        needs: What of the trunk the model half reads: `logits` at target positions, `hidden` of all tokens,
            `window_logits`.
    """

    kind: ClassVar[str] = "head"
    example_args: ClassVar[dict[str, object]] = {}
    name: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset({"logits"})

    @abstractmethod
    def renderer(self) -> Renderer:
        """The data half."""

    def labeller(self) -> Labeller | None:
        """The data half that labels patches in training, where the head has one."""
        return None

    @abstractmethod
    def parse(self, text: str) -> str:
        """The structured answer in a generated text."""

    @abstractmethod
    def loss(self, outputs: TrunkOutputs, batch: Batch) -> dict[str, Tensor]:
        """Loss terms by name; `loss` is what is minimised, the others are logged."""

    @abstractmethod
    def predict(self, session: Session, batch: Batch) -> list[Prediction]:
        """Answer the batch's turns that belong to this head."""

    @abstractmethod
    def metrics(self) -> MetricCollection:
        """Fresh metrics, updated with (correct, family index) of predictions."""
