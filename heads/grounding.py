"""Grounding in words: every patch, and the vector of every window, predicts the words of the objects that it shows.

Not in Molmo2, whose vision encoder comes pretrained on captioned images. With questions alone an untrained encoder
stayed at the blind score for hundreds of steps; with labels of every window it left it within two hundred. Through the
connector alone shapes stay at chance (33 % of four after 300 steps); with labels of every patch as well windows know
57 %. It asks nothing and is never scored.
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
from zoo.layout import TokenLayout
from zoo.metrics import FamilyAccuracy
from zoo.shards.reader import Sample

LATTICE = 4
"""Points a side at which a patch is compared with the instance masks."""

EMPTY_WEIGHT = 0.25
"""Weight of a patch or window that shows no object over one that does: most are empty, and soon known to be."""


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
    """Patches and windows say, through the language model's own output head, what they show; empty ones the end token.

    Clips in which nothing is named teach nothing.

    Args:
        weight: Of the loss, beside those of the other heads.
        coverage: Least share of a patch that an object covers to count, in (0, 1].
    """

    name: ClassVar[str] = "grounding"
    example_args: ClassVar = {"weight": 0.5}
    needs: ClassVar[frozenset[str]] = frozenset({"window_logits", "patch_logits"})

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
        windows = self._words(outputs.window_logits, outputs.window_layout, outputs, batch)
        patches = self._words(outputs.patch_logits, outputs.patch_layout, outputs, batch)
        return {"loss": self.weight * (windows + patches), "windows": windows.detach(), "patches": patches.detach()}

    def _words(self, logits: Tensor | None, layout: TokenLayout | None, outputs: TrunkOutputs, batch: Batch) -> Tensor:
        """Mean over the tokens of all processes."""
        loss, weight = outputs.total_weight.new_zeros(2) if logits is None else word_loss(logits, layout, batch)
        total = outputs.mean_over_processes(weight)
        return loss / total.clamp(min=torch.finfo(total.dtype).tiny)

    def predict(self, session: Session, batch: Batch) -> list[Prediction]:
        return []

    def metrics(self) -> MetricCollection:
        return MetricCollection({"by_family": FamilyAccuracy()})


def word_loss(logits: Tensor, layout: TokenLayout, batch: Batch) -> tuple[Tensor, Tensor]:
    """Cross-entropy of vision tokens with the words of what their patches show.

    Args:
        logits: (tokens, vocabulary).
        layout: Where the tokens came from; words of patches that were dropped are left out.
        batch: Has `patch_words` and `empty_word`.
    Returns:
        Sum over tokens, those without words weighted by `EMPTY_WEIGHT`, and the sum of weights. Tokens of clips in
        which nothing is named have none.
    """
    patch, word = batch.patch_words.unbind(1)
    token_of_patch = torch.full_like(layout.windows, -1)
    token_of_patch[layout.patch] = layout.token
    token = token_of_patch[patch]
    pairs = torch.unique(torch.stack([token, word])[:, token >= 0], dim=1)  # a word once a token
    log_probabilities = logits.float().log_softmax(-1)
    count = torch.bincount(pairs[0], minlength=len(logits))
    said = torch.zeros_like(log_probabilities[:, 0]).index_add(0, pairs[0], log_probabilities[pairs[0], pairs[1]])
    per_token = torch.where(count > 0, said / count.clamp(min=1), log_probabilities[:, batch.empty_word])
    is_named = torch.zeros(layout.frames.num_clips, dtype=torch.bool, device=patch.device)
    is_named[layout.clip_of_frame[patch // layout.patches_per_frame]] = True
    weights = torch.where(count > 0, 1.0, EMPTY_WEIGHT) * is_named[layout.clip_of_token]
    return -(per_token * weights).sum(), weights.sum()


def ask_nothing(sample: Sample, generator: np.random.Generator, *, training: bool) -> list[Message]:
    """Data half of a head that only learns from labels."""
    return []
