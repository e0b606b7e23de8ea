"""The contract of heads: a data half that renders samples, and a model half that scores and predicts.

The data half (`renderer`) is pure and picklable and runs in loader workers. The model half sees hidden states through
`TrunkOutputs` and generation through a `Session`; it never reaches into a backbone. Source: docs/architecture.md.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MetricCollection

from zoo.decoding import GREEDY, Decoding
from zoo.errors import ConfigError
from zoo.points import Kind

if TYPE_CHECKING:
    from zoo.batch import Batch, Turn
    from zoo.layout import TokenLayout
    from zoo.points import PointQuestion
    from zoo.processor import TextTokenizer
    from zoo.shards.decode import ShownFrames
    from zoo.shards.reader import Sample


class Message(NamedTuple):
    """One question about a sample, and its answer.

    A tuple, because loaders make dozens a clip and a frozen dataclass takes three times as long to fill.

    Args:
        head: Name of the head that rendered it.
        prompt: What a person says.
        answer: The target text; empty where it is unknown.
        family: Group that metrics report together.
        temporal: The answer depends on the order of frames.
        weight: Loss weight of the message, before the rule of the loss divides it over its tokens.
        is_scored: Counts in metrics; false for text that is only learnt from.
        history: Earlier turns of the same conversation, (prompt, answer), oldest first; context, never learnt from.
        style: Kind of the question, whose name the prompt may begin with (Molmo2 sheet A5); None: never.
        is_flat: `weight` is that of every token, however many the answer has: Molmo2's long captions (0.1), points and
            tracks (0.2; sheet A7.1).
        places: What a question for places is about, where it is to be answered; None for other questions.
        choices: Listed below the question, where it is to be answered, so that the answer may be a letter.
        references: All answers that will do, where `score` compares with more than one.
        score: Name of the score of a short answer (`zoo.metrics.SHORT_SCORES`); None: right or wrong.
    """

    head: str
    prompt: str
    answer: str
    family: str
    temporal: bool = False
    weight: float = 1.0
    is_scored: bool = True
    history: tuple[tuple[str, str], ...] = ()
    style: str | None = None
    is_flat: bool = False
    places: PointQuestion | None = None
    choices: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    score: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """What a head answered to one message.

    Args:
        key: Sample key.
        head: Name of the head.
        family: Of the message.
        prompt: Of the message.
        truth: The message's answer.
        answer: What was generated.
        correct: Right or wrong as a whole; None where it is neither, and `scores` says how good it is.
        temporal: Of the message.
        scores: Shares in [0, 1] by name, the higher the better.
        parts: Pieces of the answer and whether each is right, where they are judged one by one.
        tallies: (hits, cases) by name, of shares that are formed over the whole data set, such as the recall of objects
            of one size.
    """

    key: str
    head: str
    family: str
    prompt: str
    truth: str
    answer: str
    correct: bool | None
    temporal: bool
    scores: Mapping[str, float] = field(default_factory=dict)
    parts: tuple[tuple[str, bool], ...] = ()
    tallies: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Prediction:
        """Stay as it is: Lightning moves whatever a step returns."""
        return self


class Renderer(Protocol):
    """Data half of a head: picklable, pure."""

    def __call__(
        self, sample: Sample, shown: ShownFrames, generator: np.random.Generator, *, training: bool
    ) -> list[Message]:
        """Messages about a sample; text that is only learnt from is left out where `training` is false.

        Args:
            sample: Record and files, media still encoded.
            shown: The frames that the trunk will see.
            generator: Of everything that is drawn.
            training: Learnt from rather than measured.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchText:
    """What some patches of a sample show, in words.

    Args:
        text: The words.
        patches: (frames, rows, columns) bool, of the shown frames.
        takes_time: One frame alone does not tell, so that only the language model can know.
    """

    text: str
    patches: np.ndarray
    takes_time: bool = False


class Labeller(Protocol):
    """Data half of a head that labels patches: picklable, pure."""

    def __call__(self, sample: Sample, indices: np.ndarray, grid: tuple[int, int]) -> list[PatchText]:
        """Labels of the shown frames, which have these indices in the stored clip."""


def own_value(scalar: Tensor) -> Tensor:
    """The mean over a single process."""
    return scalar


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
        mean_over_processes: Of a scalar, for heads that divide by another count. In training every process must call it
            equally often; in an evaluation it gives back what it got.
        layout: Where the living vision tokens came from.
        window_logits: (windows, vocabulary), the output head read on the vectors that enter the language model; None
            unless a head needs them.
        window_layout: Where those windows came from.
        state_logits: (windows, vocabulary), the output head read on the last states of the living windows, placed by
            `layout`; None unless a head needs them.
        patch_logits: (patches, vocabulary), the output head read on a linear map of the patch features that the
            connector pools; None unless a head needs them.
        patch_layout: Where those patches came from.
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
    state_logits: Tensor | None = None
    patch_logits: Tensor | None = None
    patch_layout: TokenLayout | None = None
    mean_over_processes: Callable[[Tensor], Tensor] = own_value
    auxiliary_losses: Sequence[Tensor] = ()
    tokens_per_site: Mapping[str, tuple[int, ...]] | None = None


class Session(Protocol):
    """One generation over a batch: rows are turns that continue the trunk's cache."""

    turns: Sequence[Turn]
    tokenizer: TextTokenizer
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
        decoding: Decoding = GREEDY,
        generator: torch.Generator | None = None,
        constraint: Constraint | None = None,
    ) -> list[list[int]]:
        """Ids of each row's answer, without the end token."""


class Constraint(Protocol):
    """Which tokens may come next."""

    def __call__(self, generated: Sequence[Sequence[int]], rows: Sequence[int]) -> Tensor:
        """(rows, vocabulary) bool for the ids that rows have generated so far; finished rows are not asked for."""


class Head(nn.Module, ABC):
    """A question that can be put to a trunk.

    Class attributes:
        name: Under which messages, losses and metrics of this head appear.
        needs: What of the trunk the model half reads: `logits` at target positions, `hidden` of all tokens,
            `window_logits`, `patch_logits`, `state_logits`; the last three are there in training only. A property where
            it depends on the head's arguments.
        asked_kind: What a typed question wants, if the answer points to anything.
        answers: Questions can be put to it; false for a head that only teaches the trunk.
    """

    kind: ClassVar[str] = "head"
    example_args: ClassVar[dict[str, object]] = {}
    name: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset({"logits"})
    asked_kind: ClassVar[Kind] = "points"
    answers: ClassVar[bool] = True

    @abstractmethod
    def renderer(self) -> Renderer:
        """The data half."""

    def reads(self) -> frozenset[str]:
        """Files of a sample that the data half reads beside media and JSON, by suffix."""
        return frozenset()

    def claims(self, prompt: str) -> bool:
        """Whether a person who types this means this head: it begins as the head's own prompts do."""
        return False

    def constrain(self) -> AbstractContextManager[None]:
        """Inside of it, nothing is generated but what can be read as points.

        Raises:
            ConfigError: the head writes free text.
        """
        raise ConfigError(
            f"constrained: the head {self.name} writes free text; leave it out, or ask a head that points, counts or "
            "tracks"
        )

    def labeller(self) -> Labeller | None:
        """The data half that labels patches in training, where the head has one."""
        return None

    @abstractmethod
    def parse(self, text: str) -> str:
        """The structured answer in a generated text."""

    @abstractmethod
    def loss(self, outputs: TrunkOutputs, batch: Batch) -> dict[str, Tensor]:
        """Loss terms by name; `loss` is what is minimised, the others are logged.

        Always the same names, and parameters take part in every call, with zero where a batch holds nothing for them:
        processes wait for one another's gradients and terms. Sums are divided by `total_weight`, or by a count of the
        head's own that went through `mean_over_processes`; so the gradient is that of one process on all batches.
        """

    @abstractmethod
    def predict(self, session: Session, batch: Batch) -> list[Prediction]:
        """Answer the batch's turns that belong to this head."""

    def blind_answers(self, batch: Batch) -> Mapping[str, list[Prediction]]:
        """Answers of rules that need no model, by the rule's name: tests report them beside the head's own."""
        return {}

    @abstractmethod
    def metrics(self) -> MetricCollection:
        """Fresh metrics, each updated with lists of this head's predictions."""


def text_loss(outputs: TrunkOutputs, batch: Batch, *, head: str, z_loss: float) -> dict[str, Tensor]:
    """Weighted cross entropy of a head's answer tokens, with z-loss (Molmo2 sheet A7.1).

    Args:
        outputs: Of the trunk.
        batch: Says which targets are the head's.
        head: Name of the head.
        z_loss: Weight of the squared log normaliser of the logits.
    Returns:
        `loss`, and `cross_entropy` for the log.
    """
    own = batch.targets_of(head, outputs.targets.device)
    logits, targets, weights = outputs.logits[own].float(), outputs.targets[own], outputs.weights[own]
    total = outputs.total_weight.clamp(min=torch.finfo(weights.dtype).tiny)
    cross_entropy = (weights * F.cross_entropy(logits, targets, reduction="none")).sum() / total
    normaliser = (weights * logits.logsumexp(-1).square()).sum() / total
    return {"loss": cross_entropy + z_loss * normaliser, "cross_entropy": cross_entropy.detach()}
