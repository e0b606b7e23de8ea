"""Question answering: questions of a sample as branches of one tree, answers generated and compared as text.

Source: Molmo2 sheet A5 (layout), A7.1 (token-weighted loss with z-loss), A7.4 (greedy decoding), A9 (VQA score, relaxed
    accuracy, ANLS, choices). Without a score of its own an answer is right if it is the true one after case and spaces
    are normalised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from torch import Tensor
from torchmetrics import MetricCollection

from zoo.batch import Batch
from zoo.decoding import GREEDY, Decoding
from zoo.head import Head, Message, Prediction, Renderer, Session, TrunkOutputs, text_loss
from zoo.metrics import SHORT_SCORES, FamilyAccuracy, FamilyScores, choice_index
from zoo.metrics.short_answers import MAX_CHOICES
from zoo.preprocessing.prompts import choice_question, drawn_choice_question
from zoo.shards.decode import ShownFrames
from zoo.shards.reader import Sample


@dataclass(frozen=True, slots=True)
class RenderQuestions:
    """Data half: the annotations of a sample, and its descriptions to learn from.

    Args:
        max_questions: Questions of a sample that are drawn; all where it has fewer.
        description_weight: Loss weight of a description over that of an answer; 0 leaves descriptions out.
        lists_choices: Write a question's choices below it, and answer with one of them as it is written there.
    """

    max_questions: int
    description_weight: float
    lists_choices: bool = False

    def __call__(
        self, sample: Sample, shown: ShownFrames, generator: np.random.Generator, *, training: bool
    ) -> list[Message]:
        annotations = sample.record["annotations"]
        if training and len(annotations) > self.max_questions:
            chosen = np.sort(generator.choice(len(annotations), self.max_questions, replace=False))
            annotations = [annotations[i] for i in chosen]
        messages = [self._message(a, generator, training=training) for a in annotations]
        if not training or not self.description_weight:
            return messages
        return messages + [
            Message(
                head=QuestionAnswering.name,
                prompt=d["request"],
                answer=d["text"],
                family="description",
                is_scored=False,
                weight=self.description_weight,
            )
            for d in sample.record.get("descriptions", [])
        ]

    def _message(self, annotation: dict[str, Any], generator: np.random.Generator, *, training: bool) -> Message:
        prompt, answer = annotation["question"], annotation["answer"]
        choices = annotation.get("choices")
        if self.lists_choices and choices:
            if training:
                prompt, answers = drawn_choice_question(prompt, choices, generator)
            else:
                prompt, answers = choice_question(prompt, choices)
            answer = answers[choices.index(answer)]
        asked = {} if training else _scoring(annotation, is_listed=self.lists_choices)
        return Message(
            head=QuestionAnswering.name,
            prompt=prompt,
            answer=answer,
            family=annotation["family"],
            temporal=annotation.get("temporal", False),
            history=tuple((turn["question"], turn["answer"]) for turn in annotation.get("history", ())),
            style=annotation.get("style"),
            **asked,
        )


def _scoring(annotation: dict[str, Any], *, is_listed: bool) -> dict[str, Any]:
    """What of a message says how its answer is judged."""
    choices = annotation.get("choices") if is_listed else None
    return {
        "choices": tuple(choices) if choices and len(choices) <= MAX_CHOICES else (),
        "references": tuple(annotation.get("references", ())),
        "score": annotation.get("score"),
    }


def judged(text: str, message: Message) -> tuple[bool | None, dict[str, float]]:
    """Whether an answer is right, or by how much it is.

    Args:
        text: What was written.
        message: With the truth.
    Returns:
        Right or wrong and no scores; of a message with a `score` None, and that score. Of listed choices the one that
        is meant counts, whether by its letter or by its text.
    """
    truth = message.answer
    if message.score is not None:
        return None, {message.score: SHORT_SCORES[message.score](text, message.references or (truth,))}
    if normalised(text) == normalised(truth):
        return True, {}
    meant = choice_index(text, message.choices)
    return meant is not None and meant == choice_index(truth, message.choices), {}


def normalised(text: str) -> str:
    """Lower case, single spaces, no full stop at the end."""
    return " ".join(text.lower().split()).rstrip(".")


class QuestionAnswering(Head):
    """Questions in words, answers in words.

    Args:
        max_questions: Questions of a training sample that are asked at once, as branches of one tree; tests ask all.
        description_weight: Loss weight of a sample's descriptions in training, over that of an answer; 0: questions
            only.
        lists_choices: Write a question's choices below it, as Molmo2 does: at evaluation, and in a tenth of
            the training, as named lines of which one is the answer, "B. blue"; else in a drawn form. An answer may then
            be a letter, with or without its text.
        max_new_tokens: Longest answer, tokens.
        z_loss: Weight of the squared log normaliser of the logits.
        decoding: How the tokens of an answer are chosen: greedily, or drawn.
    """

    name: ClassVar[str] = "qa"
    example_args: ClassVar = {"max_questions": 4}

    def __init__(
        self,
        *,
        max_questions: int = 32,
        description_weight: float = 0.0,
        lists_choices: bool = False,
        max_new_tokens: int = 12,
        z_loss: float = 1e-4,
        decoding: Decoding = GREEDY,
    ) -> None:
        super().__init__()
        self.max_questions = max_questions
        self.description_weight = description_weight
        self.lists_choices = lists_choices
        self.max_new_tokens = max_new_tokens
        self.z_loss = z_loss
        self.decoding = decoding

    def renderer(self) -> Renderer:
        return RenderQuestions(self.max_questions, self.description_weight, self.lists_choices)

    def parse(self, text: str) -> str:
        return text.strip()

    def loss(self, outputs: TrunkOutputs, batch: Batch) -> dict[str, Tensor]:
        return text_loss(outputs, batch, head=self.name, z_loss=self.z_loss)

    def predict(self, session: Session, batch: Batch) -> list[Prediction]:
        answers = session.generate(
            max_new_tokens=self.max_new_tokens,
            decoding=self.decoding,
            generator=self.decoding.generator(batch.keys, session.logits.device),
        )
        return [
            self._prediction(batch.keys[turn.example], turn.message, self.parse(session.decode(ids)))
            for turn, ids in zip(session.turns, answers, strict=True)
        ]

    def _prediction(self, key: str, message: Message, text: str) -> Prediction:
        correct, scores = judged(text, message)
        return Prediction(
            key=key,
            head=self.name,
            family=message.family,
            prompt=message.prompt,
            truth=message.answer,
            answer=text,
            correct=correct,
            temporal=message.temporal,
            scores=scores,
        )

    def metrics(self) -> MetricCollection:
        return MetricCollection({"by_family": FamilyAccuracy(), "scores": FamilyScores()})
