"""Metrics that heads share: each is updated with lists of predictions, and sums over processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.metrics.scored import add_tally
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
        self.families.append(_as_bytes([p.family for p in answers], self.device))
        self.correct.append(torch.tensor([p.correct for p in answers], dtype=torch.bool, device=self.device))

    def compute(self) -> dict[str, Tensor]:
        """Accuracy in [0, 1] under `accuracy`, and under `accuracy/<family>`; empty without an answer."""
        families, correct = _joined(self.families), _joined(self.correct)
        if not len(families):
            return {}
        scores = {"accuracy": correct.float().mean()}
        for name, own in _groups(families):
            scores[f"accuracy/{name}"] = correct[own].float().mean()
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


class Tallies(Metric):
    """Shares that are formed over a whole data set: hits of all answers over cases of all, by name.

    Names travel as bytes, as those of families do.
    """

    full_state_update = False
    higher_is_better = True

    def __init__(self) -> None:
        super().__init__()
        self.add_state("tally_names", default=[], dist_reduce_fx="cat")
        self.add_state("counts", default=[], dist_reduce_fx="cat")

    def update(self, predictions: Sequence[Prediction]) -> None:
        """Add the answers' tallies; names are cut at FAMILY_BYTES."""
        sums: dict[str, tuple[float, float]] = {}
        for prediction in predictions:
            for name, (hits, cases) in prediction.tallies.items():
                add_tally(sums, name, hits, cases)
        self._add(sums)

    def _add(self, sums: Mapping[str, tuple[float, float]]) -> None:
        self.tally_names.append(_as_bytes(list(sums), self.device))
        counts = torch.tensor(list(sums.values()), dtype=torch.float32, device=self.device)
        self.counts.append(counts.view(len(sums), 2))

    def compute(self) -> dict[str, Tensor]:
        """Shares in [0, 1] by name; empty without a tally."""
        names, counts = _joined(self.tally_names), _joined(self.counts)
        if not len(names):
            return {}
        sums = {name: counts[own].sum(0) for name, own in _groups(names)}
        return {name: hits / cases for name, (hits, cases) in sums.items()}


class FamilyScores(Tallies):
    """Means of the scores that some predictions carry, under `<score>/<family>`; empty without a scored answer."""

    def update(self, predictions: Sequence[Prediction]) -> None:
        """Add the answers' scores; names are cut at FAMILY_BYTES."""
        sums: dict[str, tuple[float, float]] = {}
        for prediction in predictions:
            for name, score in prediction.scores.items():
                add_tally(sums, f"{name}/{prediction.family}", score, 1.0)
        self._add(sums)


def _as_bytes(names: Sequence[str], device: torch.device) -> Tensor:
    """(names, FAMILY_BYTES) uint8, padded with zeros; a name that is cut loses whole letters."""
    cut = [name.encode()[:FAMILY_BYTES].decode(errors="ignore").encode() for name in names]
    rows = [list(name.ljust(FAMILY_BYTES, b"\0")) for name in cut]
    return torch.tensor(rows, dtype=torch.uint8, device=device).view(len(rows), FAMILY_BYTES)


def _groups(names: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Each name that occurs, and which rows have it."""
    unique, group = torch.unique(names, dim=0, return_inverse=True)
    for number, name in enumerate(unique.tolist()):
        yield bytes(name).rstrip(bytes(1)).decode(), group == number


def _joined(state: list[Tensor] | Tensor) -> Tensor:
    """A state of rows, which is a list until processes have gathered it."""
    return torch.cat(state) if isinstance(state, list) and state else state
