"""Metrics that heads share."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.shards.schema import FAMILY_BYTES


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

    def update(self, families: list[str], correct: list[bool]) -> None:
        """Count answers.

        Args:
            families: Family of each answer, at most FAMILY_BYTES long.
            correct: Whether each answer was right.
        """
        if not families:
            return
        rows = [name.encode()[:FAMILY_BYTES].ljust(FAMILY_BYTES, b"\0") for name in families]
        self.families.append(torch.tensor([list(row) for row in rows], dtype=torch.uint8, device=self.device))
        self.correct.append(torch.tensor(correct, dtype=torch.bool, device=self.device))

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
