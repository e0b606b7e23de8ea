"""Captions: say in sentences what is true of a clip, and be judged sentence by sentence.

Source: Molmo2 sheet A9 (caption F1: precision is the share of statements that are supported, recall the share of the
    true ones that are there). Differs: where a record lists the true statements of its scene, no judge is needed; a
    sentence is right if it is one of them, so each clip has its own precision, recall and F1, and their means are
    reported.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor
from torchmetrics import MetricCollection

from zoo.batch import Batch
from zoo.decoding import GREEDY, Decoding
from zoo.head import Head, Message, Prediction, Renderer, Session, TrunkOutputs, text_loss
from zoo.heads.qa import normalised
from zoo.metrics import MeanScores
from zoo.shards.decode import ShownFrames
from zoo.shards.reader import Sample

SENTENCE_END = re.compile(r"[.!?;]+(?=\s|$)|\n")
"""A point inside a number ends no sentence."""

SCORES = ("precision", "recall", "f1")


def statements_of(text: str) -> tuple[str, ...]:
    """The distinct sentences of a text in order: lower case, single spaces, without their ends.

    What is said twice counts once, so that repeating a true sentence cannot raise precision.
    """
    sentences = (normalised(sentence) for sentence in SENTENCE_END.split(text))
    return tuple(dict.fromkeys(sentence for sentence in sentences if sentence))


def statement_scores(said: Collection[str], true: Collection[str]) -> dict[str, float]:
    """Precision, recall and F1 of distinct statements.

    Args:
        said: Statements of a caption; none scores 0.
        true: Statements that hold.
    """
    hits = len(set(said) & set(true))
    return {
        "precision": hits / len(said) if said else 0.0,
        "recall": hits / len(true) if true else 0.0,
        "f1": 2 * hits / (len(said) + len(true)) if said or true else 0.0,
    }


@dataclass(frozen=True, slots=True)
class RenderCaption:
    """Data half: the sample's true statements as one text; of a sample without any, its descriptions to learn from.

    Args:
        prompt: What asks for a caption.
        weight: Loss weight over that of an answer.
        style: Name that the prompt may begin with, where a description has none of its own; None: never.
        token_weight: Loss weight of each token instead; None: the rule of the module divides `weight` over them.
    """

    prompt: str
    weight: float
    style: str | None
    token_weight: float | None = None

    def __call__(
        self, sample: Sample, shown: ShownFrames, generator: np.random.Generator, *, training: bool
    ) -> list[Message]:
        statements: Sequence[str] = sample.record.get("statements", [])
        if statements:
            text = " ".join(f"{statement.rstrip('.')}." for statement in statements)
            return [self._message(self.prompt, text, is_scored=True)]
        if not training:
            return []
        return [
            self._message(d["request"], d["text"], is_scored=False, style=d.get("style"))
            for d in sample.record.get("descriptions", [])
        ]

    def _message(self, prompt: str, answer: str, *, is_scored: bool, style: str | None = None) -> Message:
        return Message(
            head=Caption.name,
            prompt=prompt,
            answer=answer,
            family="caption",
            weight=self.weight if self.token_weight is None else self.token_weight,
            is_scored=is_scored,
            style=style or self.style,
            is_flat=self.token_weight is not None,
        )


class Caption(Head):
    """What is true of a clip, in sentences.

    Args:
        prompt: What asks for a caption.
        weight: Loss weight of a caption over that of an answer.
        style: Kind of caption, such as long_caption, whose name and length may stand before the prompt
            (`model.inputs.prompts`); null: never.
        token_weight: Loss weight of each token of a caption instead, whatever its length: 0.1 in Molmo2's training;
            null: the module's `answer_weight` divides `weight` over them.
        max_new_tokens: Longest caption, tokens.
        z_loss: Weight of the squared log normaliser of the logits.
        decoding: How the tokens of an answer are chosen: greedily, or drawn.
    """

    name: ClassVar[str] = "caption"
    example_args: ClassVar = {"max_new_tokens": 16}

    def __init__(
        self,
        *,
        prompt: str = "Describe the clip in sentences.",
        weight: float = 1.0,
        style: str | None = None,
        token_weight: float | None = None,
        max_new_tokens: int = 384,
        z_loss: float = 1e-4,
        decoding: Decoding = GREEDY,
    ) -> None:
        super().__init__()
        self.prompt = prompt
        self.weight = weight
        self.style = style
        self.token_weight = token_weight
        self.max_new_tokens = max_new_tokens
        self.z_loss = z_loss
        self.decoding = decoding

    def renderer(self) -> Renderer:
        return RenderCaption(self.prompt, self.weight, self.style, self.token_weight)

    def parse(self, text: str) -> str:
        return text.strip()

    def loss(self, outputs: TrunkOutputs, batch: Batch) -> dict[str, Tensor]:
        return text_loss(outputs, batch, head=self.name, z_loss=self.z_loss)

    def predict(self, session: Session, batch: Batch) -> list[Prediction]:
        captions = session.generate(
            max_new_tokens=self.max_new_tokens,
            decoding=self.decoding,
            generator=self.decoding.generator(batch.keys, session.logits.device),
        )
        predictions = []
        for turn, ids in zip(session.turns, captions, strict=True):
            text = self.parse(session.decode(ids))
            said, true = statements_of(text), frozenset(statements_of(turn.message.answer))
            predictions.append(
                Prediction(
                    key=batch.keys[turn.example],
                    head=self.name,
                    family=turn.message.family,
                    prompt=turn.message.prompt,
                    truth=turn.message.answer,
                    answer=text,
                    correct=None,
                    temporal=turn.message.temporal,
                    scores=statement_scores(said, true),
                    parts=tuple((statement, statement in true) for statement in said),
                )
            )
        return predictions

    def metrics(self) -> MetricCollection:
        return MetricCollection({"statements": MeanScores(SCORES)})
