"""Grounding in words: the vector of every window predicts the words of the objects that its pixels show.

Not in Molmo2, whose vision encoder comes pretrained on captioned images. With questions alone an untrained encoder
stayed at the blind score for hundreds of steps; with labels of every patch it left it within two hundred. It asks
nothing and is never scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torchmetrics import MetricCollection

from zoo.batch import Batch
from zoo.errors import DataError
from zoo.head import Head, Labeller, Message, PatchText, Prediction, Renderer, Session, TrunkOutputs
from zoo.metrics import FamilyAccuracy
from zoo.shards.reader import Sample

LATTICE = 4
"""Points a side at which a patch is compared with the instance masks."""


def covered_patches(
    masks: np.ndarray, instances: Sequence[int], grid: tuple[int, int], coverage: float
) -> list[np.ndarray]:
    """Which patches each instance covers enough of.

    Args:
        masks: (frames, height, width) uint8 instance ids.
        instances: The ids.
        grid: (rows, columns) of patches.
        coverage: Least share of a patch, in (0, 1].
    Returns:
        (frames, rows, columns) bool for each instance.
    """
    rows, columns = (
        ((np.arange(cells * LATTICE) + 0.5) * size / (cells * LATTICE)).astype(np.int64)
        for size, cells in zip(masks.shape[1:], grid, strict=True)
    )
    seen = masks[:, rows[:, None], columns].reshape(len(masks), grid[0], LATTICE, grid[1], LATTICE)
    points = np.ascontiguousarray(seen.transpose(2, 4, 0, 1, 3)).reshape(LATTICE**2, -1)
    needed = coverage * LATTICE**2
    return [
        ((points == instance).sum(0, dtype=np.uint8) >= needed).reshape(len(masks), *grid) for instance in instances
    ]


@dataclass(frozen=True, slots=True)
class LabelPatches:
    """Data half: instance masks of the shown frames as text of patches.

    Args:
        coverage: Least share of a patch that an instance covers.
    """

    coverage: float

    def __call__(self, sample: Sample, indices: np.ndarray, grid: tuple[int, int]) -> list[PatchText]:
        instances = sample.record.get("instances", [])
        if not instances or "npz" not in sample.files:
            return []
        masks = sample.arrays()["masks"]
        if len(masks) <= int(indices.max()):
            raise DataError(
                f"{sample.shard}: sample {sample.key!r} has {len(masks)} masks, frame {indices.max()} is shown"
            )
        covered = covered_patches(masks[indices], [entry["id"] for entry in instances], grid, self.coverage)
        return [
            PatchText(text=entry["text"], patches=patches) for entry, patches in zip(instances, covered, strict=True)
        ]


class WordGrounding(Head):
    """Windows say, through the language model's own output head, what they show; empty ones predict the end token.

    Args:
        weight: Of the loss, beside those of the other heads.
        coverage: Least share of a patch that an object covers to count, in (0, 1].
    """

    name: ClassVar[str] = "grounding"
    example_args: ClassVar = {"weight": 0.5}
    needs: ClassVar[frozenset[str]] = frozenset({"window_logits"})

    def __init__(self, *, weight: float = 1.0, coverage: float = 0.2) -> None:
        super().__init__()
        self.weight = weight
        self.coverage = coverage

    def renderer(self) -> Renderer:
        return ask_nothing

    def labeller(self) -> Labeller:
        return LabelPatches(self.coverage)

    def parse(self, text: str) -> str:
        return text

    def loss(self, outputs: TrunkOutputs, batch: Batch) -> dict[str, Tensor]:
        if outputs.window_logits is None or not len(batch.patch_words):
            return {"loss": outputs.logits.new_zeros((), dtype=torch.float32)}
        layout = outputs.window_layout
        patch, word = batch.patch_words.unbind(1)
        token_of_window = torch.full((layout.num_windows,), -1, dtype=torch.int64, device=patch.device)
        token_of_window[layout.window_of_token] = torch.arange(layout.num_tokens, device=patch.device)
        token = token_of_window[layout.windows[patch]]
        pairs = torch.unique(torch.stack([token, word])[:, token >= 0], dim=1)  # a word once a window
        log_probabilities = outputs.window_logits.float().log_softmax(-1)
        count = torch.bincount(pairs[0], minlength=layout.num_tokens)
        said = torch.zeros_like(log_probabilities[:, 0]).index_add(0, pairs[0], log_probabilities[pairs[0], pairs[1]])
        per_window = torch.where(count > 0, said / count.clamp(min=1), log_probabilities[:, batch.empty_word])
        return {"loss": -self.weight * per_window.mean()}

    def predict(self, session: Session, batch: Batch) -> list[Prediction]:
        return []

    def metrics(self) -> MetricCollection:
        return MetricCollection({"by_family": FamilyAccuracy()})


def ask_nothing(sample: Sample, generator: np.random.Generator, *, training: bool) -> list[Message]:
    """Data half of a head that only learns from labels."""
    return []
