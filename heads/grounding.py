"""Grounding: every patch and window predicts the words of what it shows, and places of objects are learnt as text.

Not in Molmo2, whose vision encoder comes pretrained on captioned images. With questions alone an untrained encoder
stayed at the blind score for hundreds of steps; with labels of every window it left it within two hundred. Through the
connector alone shapes stay at chance (33 % of four after 300 steps); with labels of every patch as well windows know
57 %. Places are to questions about sides and directions what these words are to questions about looks. Never scored.
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
from zoo.head import Head, Labeller, Message, PatchText, Prediction, Renderer, Session, TrunkOutputs, text_loss
from zoo.layout import TokenLayout
from zoo.metrics import FamilyAccuracy
from zoo.shards.decode import ShownFrames
from zoo.shards.reader import Sample

LATTICE = 4
"""Points a side at which a patch is compared with the instance masks."""

EMPTY_WEIGHT = 0.25
"""Weight of a patch or window that shows no object over one that does: most are empty, and soon known to be."""

OUT_OF_VIEW = "out"


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
        shown = list(zip(instances, covered, strict=True))
        looks = [PatchText(text=entry["text"], patches=patches) for entry, patches in shown]
        return looks + [
            PatchText(text=entry["deeds"], patches=patches, takes_time=True)
            for entry, patches in shown
            if "deeds" in entry
        ]


@dataclass(frozen=True, slots=True)
class AskPlaces:
    """Data half: where each object is in the first, the middle and the last stored frame.

    A place is two digits, tenths of the picture's width from the left and of its height from the top: "25 25 70".

    Args:
        weight: Of a place's text over that of an answer; 0 asks nothing.
    """

    weight: float

    def __call__(
        self, sample: Sample, shown: ShownFrames, generator: np.random.Generator, *, training: bool
    ) -> list[Message]:
        if not training or not self.weight or "npz" not in sample.files:
            return []
        instances = sample.record.get("instances", [])
        if not instances:
            return []
        arrays = sample.arrays()
        points, visible = arrays["points_px"], arrays["visible"]
        expected = (max(len(points), 1), len(instances))
        if points.shape != (*expected, 2) or visible.shape != expected:
            raise DataError(
                f"{sample.shard}: sample {sample.key!r} has points {points.shape} and visible {visible.shape}; "
                f"expected {(*expected, 2)} and {expected}"
            )
        asked = [0, len(points) // 2, len(points) - 1]
        tenths = (points[asked] / (sample.record["width"], sample.record["height"]) * 10).clip(0, 9)
        return [
            Message(
                head=WordGrounding.name,
                prompt=f"Where is the {entry['text']}?",
                answer=" ".join(
                    "".join(str(int(digit)) for digit in place) if seen else OUT_OF_VIEW
                    for place, seen in zip(tenths[:, number], visible[asked, number], strict=True)
                ),
                family="place",
                weight=self.weight,
                is_scored=False,
            )
            for number, entry in enumerate(instances)
        ]


class WordGrounding(Head):
    """Patches and windows say, through the language model's own output head, what they show; empty ones the end token.

    How a thing looks is read from a patch, and from a window before the language model; what it does from the states
    that the language model leaves at the windows, which have seen all frames. Clips in which nothing is named teach
    nothing.

    Args:
        weight: Of the loss, beside those of the other heads.
        coverage: Least share of a patch that an object covers to count, in (0, 1].
        place_weight: Of the text of a place over that of an answer; 0 leaves places out.
        deed_weight: Of the loss of what things do, beside that of how they look.
        patch_weight: Of the loss of patches, beside that of windows; 0 where the vision encoder stays as it is, which
            alone learns from them.
    """

    name: ClassVar[str] = "grounding"
    example_args: ClassVar = {"weight": 0.5, "place_weight": 1.0}
    answers: ClassVar[bool] = False

    def __init__(
        self,
        *,
        weight: float = 1.0,
        coverage: float = 0.2,
        place_weight: float = 0.0,
        deed_weight: float = 1.0,
        patch_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.coverage = coverage
        self.place_weight = place_weight
        self.deed_weight = deed_weight
        self.patch_weight = patch_weight

    @property
    def needs(self) -> frozenset[str]:
        """Logits over the whole vocabulary are dear: none are made for a loss that does not count."""
        asked = {"window_logits": 1.0, "patch_logits": self.patch_weight, "state_logits": self.deed_weight}
        return frozenset({"logits", *(name for name, weight in asked.items() if weight)})

    def renderer(self) -> Renderer:
        return AskPlaces(self.place_weight)

    def labeller(self) -> Labeller:
        return LabelPatches(self.coverage)

    def parse(self, text: str) -> str:
        return text

    def loss(self, outputs: TrunkOutputs, batch: Batch) -> dict[str, Tensor]:
        windows = self._words(outputs.window_logits, outputs.window_layout, outputs, batch)
        patches = self._words(outputs.patch_logits, outputs.patch_layout, outputs, batch)
        deeds = self._words(outputs.state_logits, outputs.layout, outputs, batch, take_time=True)
        places = text_loss(outputs, batch, head=self.name, z_loss=0.0)["loss"]
        return {
            "loss": self.weight * (windows + self.patch_weight * patches + self.deed_weight * deeds) + places,
            "windows": windows.detach(),
            "patches": patches.detach(),
            "deeds": deeds.detach(),
            "places": places.detach(),
        }

    def _words(
        self,
        logits: Tensor | None,
        layout: TokenLayout | None,
        outputs: TrunkOutputs,
        batch: Batch,
        *,
        take_time: bool = False,
    ) -> Tensor:
        """Mean over the tokens of all processes."""
        nothing = outputs.total_weight.new_zeros(2)
        loss, weight = nothing if logits is None else word_loss(logits, layout, batch, take_time=take_time)
        total = outputs.mean_over_processes(weight)
        return loss / total.clamp(min=torch.finfo(total.dtype).tiny)

    def predict(self, session: Session, batch: Batch) -> list[Prediction]:
        return []

    def metrics(self) -> MetricCollection:
        return MetricCollection({"by_family": FamilyAccuracy()})


def word_loss(logits: Tensor, layout: TokenLayout, batch: Batch, *, take_time: bool = False) -> tuple[Tensor, Tensor]:
    """Cross-entropy of vision tokens with the words of what their patches show.

    Args:
        logits: (tokens, vocabulary).
        layout: Where the tokens came from; words of patches that were dropped are left out.
        batch: Has `patch_words` and `empty_word`.
        take_time: Which words: those that one frame tells, or those that it does not.
    Returns:
        Sum over tokens, those without words weighted by `EMPTY_WEIGHT`, and the sum of weights. Tokens of clips in
        which nothing is named have none.
    """
    patch, word = batch.patch_words[batch.patch_words[:, 2] == int(take_time), :2].unbind(1)
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
