"""A head with weights of its own."""

from typing import ClassVar

from torch import Tensor, nn
from torchmetrics import MetricCollection

from zoo.batch import Batch
from zoo.head import Head, Prediction, Renderer, Session, TrunkOutputs
from zoo.heads.grounding import AskPlaces
from zoo.metrics import FamilyAccuracy


class WeightedHead(Head):
    """Pulls the logits' normaliser to where a linear layer wants it."""

    name: ClassVar[str] = "weighted"

    def __init__(self) -> None:
        super().__init__()
        self.wanted = nn.Linear(1, 1)

    def renderer(self) -> Renderer:
        return AskPlaces(weight=0.0)

    def parse(self, text: str) -> str:
        return text

    def loss(self, outputs: TrunkOutputs, batch: Batch) -> dict[str, Tensor]:
        wanted = self.wanted(outputs.weights.new_ones(1))
        off = (outputs.logits.float().logsumexp(-1) - wanted).square()
        return {"loss": (outputs.weights * off).sum() / outputs.total_weight}

    def predict(self, session: Session, batch: Batch) -> list[Prediction]:
        return []

    def metrics(self) -> MetricCollection:
        return MetricCollection({"by_family": FamilyAccuracy()})
