"""Say the first thing that is true of a clip: a head from outside, with both of its halves."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import MetricCollection

from zoo.batch import Batch
from zoo.head import Head, Message, Prediction, Renderer, Session, TrunkOutputs
from zoo.metrics import FamilyAccuracy
from zoo.shards.decode import ShownFrames
from zoo.shards.reader import Sample


@dataclass(frozen=True, slots=True)
class RenderStatement:
    """Data half: one message a sample that has statements."""

    prompt: str

    def __call__(
        self, sample: Sample, shown: ShownFrames, generator: np.random.Generator, *, training: bool
    ) -> list[Message]:
        statements = sample.record.get("statements", [])
        if not statements:
            return []
        return [Message(head=StatementHead.name, prompt=self.prompt, answer=min(statements), family="statement")]


class StatementHead(Head):
    """The alphabetically first true statement about a clip.

    Args:
        prompt: How the statement is asked for.
        max_new_tokens: Longest statement, tokens.
    """

    name: ClassVar[str] = "statement"

    def __init__(self, *, prompt: str = "What is true?", max_new_tokens: int = 16) -> None:
        super().__init__()
        self.prompt = prompt
        self.max_new_tokens = max_new_tokens

    def renderer(self) -> Renderer:
        return RenderStatement(self.prompt)

    def parse(self, text: str) -> str:
        return text.strip()

    def loss(self, outputs: TrunkOutputs, batch: Batch) -> dict[str, Tensor]:
        own = batch.targets_of(self.name, outputs.targets.device)
        losses = F.cross_entropy(outputs.logits[own].float(), outputs.targets[own], reduction="none")
        total = outputs.total_weight.clamp(min=torch.finfo(torch.float32).tiny)
        return {"loss": (outputs.weights[own] * losses).sum() / total}

    def predict(self, session: Session, batch: Batch) -> list[Prediction]:
        answers = [self.parse(session.decode(ids)) for ids in session.generate(max_new_tokens=self.max_new_tokens)]
        return [
            Prediction(
                key=batch.keys[turn.example],
                head=self.name,
                family=turn.message.family,
                prompt=turn.message.prompt,
                truth=turn.message.answer,
                answer=answer,
                correct=answer == turn.message.answer,
                temporal=turn.message.temporal,
            )
            for turn, answer in zip(session.turns, answers, strict=True)
        ]

    def metrics(self) -> MetricCollection:
        return MetricCollection({"by_family": FamilyAccuracy()})
