"""What the question texts alone give away, measured on exactly the questions that a model was just asked."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from zoo.callbacks.evaluation import SampleSource, gather
from zoo.head import Prediction
from zoo.shards.blind import BlindAccuracy, blind_accuracy

logger = logging.getLogger(__name__)


class BlindBaseline(Callback):
    """Answers every question with the most frequent answer to its text, or of its family, in the training split.

    Fitted on training records only, measured on the questions of `test`; logs `test/blind` and `test/blind/<family>`.
    `RunReport` puts it beside the model's accuracy.
    """

    def __init__(self) -> None:
        self.result: BlindAccuracy | None = None
        self._predictions: list[Prediction] = []

    def measure(self, datamodule: Any, predictions: Sequence[Prediction]) -> BlindAccuracy | None:
        """Score the baseline on the questions of some predictions.

        Args:
            datamodule: Offers the training records; otherwise there is no baseline.
            predictions: Only their questions and truths are used.
        """
        predictions = [p for p in predictions if p.correct is not None]  # a caption has no most frequent answer
        if not predictions or not isinstance(datamodule, SampleSource):
            logger.warning("no blind baseline: %s", "no question was asked" if not predictions else
                           f"{type(datamodule).__name__} offers no training records")  # fmt: skip
            return None
        asked = ({"family": p.family, "question": p.prompt, "answer": p.truth} for p in predictions)
        return blind_accuracy(_annotations(datamodule), asked)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.result, self._predictions = None, []

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if isinstance(outputs, dict):
            self._predictions += outputs.get("predictions", [])

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.result = self.measure(trainer.datamodule, gather(trainer, self._predictions))
        self._predictions = []
        if self.result is not None:
            scores = {"test/blind": self.result.overall}
            scores |= {f"test/blind/{family}": accuracy for family, accuracy in self.result.families.items()}
            pl_module.log_dict(scores, rank_zero_only=True)


def _annotations(datamodule: SampleSource) -> Iterator[dict[str, Any]]:
    for record in datamodule.records("train"):
        yield from record["annotations"]
