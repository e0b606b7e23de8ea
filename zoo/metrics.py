"""Metrics that heads share: each is updated with lists of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.shards.schema import FAMILY_BYTES

if TYPE_CHECKING:
    from zoo.head import Prediction


class FamilyAccuracy(Metric):
    """Share of correct answers, overall and per question family.

    Family names travel as bytes, so that processes which met different families still agree after a gather.
    """

    full_state_update = False
    higher_is_better = True

    def __init__(self) -> None:
        super().__init__()
        self.add_state("families", default=[], dist_reduce_fx="cat")
        self.add_state("correct", default=[], dist_reduce_fx="cat")

    def update(self, predictions: Sequence[Prediction]) -> None:
        """Count answers that are right or wrong; names of families are cut at FAMILY_BYTES."""
        answers = [p for p in predictions if p.correct is not None]
        # Without answers too: a process that was asked nothing must hand in something when answers are gathered.
        rows = [list(p.family.encode()[:FAMILY_BYTES].ljust(FAMILY_BYTES, b"\0")) for p in answers]
        families = torch.tensor(rows, dtype=torch.uint8, device=self.device)
        self.families.append(families.view(len(rows), FAMILY_BYTES))
        self.correct.append(torch.tensor([p.correct for p in answers], dtype=torch.bool, device=self.device))

    def compute(self) -> dict[str, Tensor]:
        """Accuracy in [0, 1] under `accuracy`, and under `accuracy/<family>`; empty without an answer."""
        families = torch.cat(self.families) if isinstance(self.families, list) and self.families else self.families
        correct = torch.cat(self.correct) if isinstance(self.correct, list) and self.correct else self.correct
        if not len(families):
            return {}
        names, group = torch.unique(families, dim=0, return_inverse=True)
        scores = {"accuracy": correct.float().mean()}
        for number, name in enumerate(names.tolist()):
            scores[f"accuracy/{bytes(name).rstrip(bytes(1)).decode()}"] = correct[group == number].float().mean()
        return scores


class MeanScores(Metric):
    """Mean of the scores that predictions carry, each answer counting once.

    Args:
        names: Scores that every prediction has.
    """

    full_state_update = False
    higher_is_better = True

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.add_state("total", default=torch.zeros(len(self.names)), dist_reduce_fx="sum")
        self.add_state("count", default=torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predictions: Sequence[Prediction]) -> None:
        """Add answers."""
        rows = [[p.scores[name] for name in self.names] for p in predictions]
        self.total += torch.tensor(rows, dtype=self.total.dtype, device=self.device).view(-1, len(self.names)).sum(0)
        self.count += len(rows)

    def compute(self) -> dict[str, Tensor]:
        """Means in [0, 1] by name; empty without an answer."""
        return dict(zip(self.names, self.total / self.count, strict=True)) if self.count else {}
