"""Walk a clip with a reference picture in mind, and drop the windows that still look like it.

Every place of the picture has a reference window. A frame whose windows are on average less similar to theirs than the
threshold becomes the reference as a whole, and is protected; in other frames only the places that fall below the
threshold renew their reference. The most similar windows leave, up to the budget; where that would take protected ones,
the walk is repeated with a lower threshold.

Source: molmo2_stts sheet B11 (heuristics of the STTS study; the published code cannot run) and part C.
Differs, where the sheet leaves the choice: similarity is the cosine of a window's patch embeddings put end to end, with
    their positions, as `vit.stem` has them. Protected windows are ranked behind all others, and a walk is repeated
    where the others are too few for the budget. After the last retry the most similar of the protected windows leave
    as well, until the budget is met; those of a clip's first frame never do. Ties fall to the later window, which
    leaves first. Windows that lack any reference, because earlier ones are gone already, count as new. Images are left
    alone.

Shapes: A thresholds, B clips, F frames of the longest clip, W windows of a frame, D channels of a window.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.errors import ConfigError
from zoo.host_facts import on_device
from zoo.layout import TokenLayout
from zoo.pruner import (
    ClipSize,
    Pruner,
    RemoveShare,
    Selection,
    Site,
    SiteView,
    TokenBudget,
    clip_sizes,
    keep_best,
)

Form = Literal["reference", "previous"]

PROTECTION = 3.0
"""Added to the rank of protected windows; cosines span 2."""


def frame_mean(similarity: Tensor, compared: Tensor) -> Tensor:
    """Mean over the last axis of what was compared; -inf where nothing was, which no threshold lets pass."""
    count = compared.sum(dim=-1)
    mean = (similarity * compared).sum(dim=-1) / count.clamp(min=1)
    return mean.masked_fill(count == 0, -torch.inf)


def walk_references(unit: Tensor, living: Tensor, thresholds: Tensor) -> tuple[Tensor, Tensor]:
    """Compare every window with its reference, which moves with the clip; once for each threshold.

    Args:
        unit: (B, F, W, D) float32 windows of length 1.
        living: (B, F, W) bool; False where a clip is shorter, or where the window is gone already.
        thresholds: (A,) float32.
    Returns:
        (A, B, F, W) cosines, -1 where there was no reference; and (A, B, F) bool, frames that became the reference.
    """
    gram_BWFF = torch.einsum("bfwd,bgwd->bwfg", unit, unit)
    clips, frames, windows = living.shape
    reference = torch.full((len(thresholds), clips, windows), -1, device=unit.device)
    similarities, protected = [], []
    for now in range(frames):  # each frame's references depend on the frame before; all clips and thresholds go along
        present = living[:, now]
        compared = present & (reference >= 0)
        row = gram_BWFF[:, :, now].expand(len(thresholds), -1, -1, -1)
        cosine_ABW = row.gather(3, reference.clamp(min=0).unsqueeze(3)).squeeze(3)
        is_new_AB = (frame_mean(cosine_ABW, compared) < thresholds[:, None]) & present.any(dim=-1)
        renewed = is_new_AB[..., None] | ~compared | (cosine_ABW < thresholds[:, None, None])
        reference = torch.where(present & renewed, now, reference)
        similarities.append(cosine_ABW.masked_fill(~compared, -1))
        protected.append(is_new_AB)
    return torch.stack(similarities, dim=2), torch.stack(protected, dim=2)


def compare_previous(unit: Tensor, living: Tensor, thresholds: Tensor) -> tuple[Tensor, Tensor]:
    """Compare every window with the last living one at its place; arguments and results of `walk_references`."""
    time = torch.arange(living.shape[1], device=unit.device)[:, None]
    newest = torch.where(living, time, -1).cummax(dim=1).values
    before = F.pad(newest[:, :-1], (0, 0, 1, 0), value=-1)
    compared = living & (before >= 0)
    earlier = unit.gather(1, before.clamp(min=0).unsqueeze(3).expand_as(unit))
    cosine_BFW = (unit * earlier).sum(dim=-1)
    protected = (frame_mean(cosine_BFW, compared) < thresholds[:, None, None]) & living.any(dim=-1)
    return cosine_BFW.masked_fill(~compared, -1).expand(len(thresholds), -1, -1, -1), protected


def first_sufficient(protected: Tensor, living: Tensor, dropped: Tensor) -> Tensor:
    """(B,) int64, the first threshold under which enough windows are free to leave; the last where none is enough.

    Args:
        protected: (A, B, F) bool.
        living: (B, F, W) bool.
        dropped: (B,) int64, windows that have to leave.
    """
    free_AB = (living & ~protected[..., None]).sum(dim=(2, 3))
    enough = (free_AB >= dropped).int()
    enough[-1] = 1
    return enough.argmax(dim=0)


def clip_windows(sizes: Sequence[ClipSize], layout: TokenLayout) -> Tensor:
    """(B, F, W) int64, original windows of every video by frame and place, padded with -1.

    Args:
        sizes: Clips of the batch.
        layout: Of the same batch.
    """
    counts = layout.windows_per_clip
    videos = [
        torch.arange(end - windows, end, device=layout.device).view(size.frames, -1)
        for size, end, windows in zip(sizes, accumulate(counts), counts, strict=True)
        if size.is_video
    ]
    frames, places = (max((video.shape[axis] for video in videos), default=0) for axis in (0, 1))
    padded = [F.pad(v, (0, places - v.shape[1], 0, frames - v.shape[0]), value=-1) for v in videos]
    return torch.stack(padded) if padded else torch.zeros(0, 0, 0, dtype=torch.int64, device=layout.device)


def patches_of_windows(layout: TokenLayout) -> Tensor:
    """(original windows, most patches of one) int64, original patches row by row, padded with -1."""
    widest = max(rows * columns for rows, columns in layout.frames.window)
    own, order = (layout.windows + 1).sort(stable=True)  # margins of tiles, which belong to no window, are row 0
    count = own.new_zeros(layout.num_windows + 1).index_add_(0, own, torch.ones_like(own))
    place = torch.arange(len(own), device=own.device) - (count.cumsum(dim=0) - count)[own]
    table = own.new_full((layout.num_windows + 1, widest), -1)
    table[own, place.clamp(max=widest - 1)] = order
    return table[1:]


def unit_windows(tokens: Tensor, layout: TokenLayout, table: Tensor) -> Tensor:
    """Patch states of each window end to end, scaled to length 1: (B, F, W, D) float32; 0 where nothing lives.

    Args:
        tokens: (tokens, channels).
        layout: Of the tokens.
        table: (B, F, W) int64 of `clip_windows`.
    """
    patch = patches_of_windows(layout)[table.clamp(min=0)]
    states = layout.unmerge(tokens).flatten(0, 2)[patch.clamp(min=0)].float()
    states = states.masked_fill(((patch < 0) | (table < 0)[..., None])[..., None], 0)
    return F.normalize(states.flatten(3), dim=-1)


class ReferenceFrame(Pruner):
    """Drop the windows that are most similar to a reference frame, decided on patch embeddings.

    Args:
        remove: Share of a clip's windows to drop, in [0, 1); the first frame stays.
        form: What a window is compared with: a reference that is renewed when the picture changes, or always the
            previous frame.
        block: ViT block after which the windows leave, counted from 0.
        threshold: Cosine below which the picture has changed, in [-1, 1].
        step: By how much the threshold is lowered where protected frames leave too few windows to drop, above 0.
        retries: How often it is lowered at most, at least 0.
    """

    example_args: ClassVar = {"remove": 0.4, "block": 1}

    def __init__(
        self,
        *,
        remove: float = 0.5,
        form: Form = "reference",
        block: int = 3,
        threshold: float = 0.85,
        step: float = 0.05,
        retries: int = 5,
    ) -> None:
        super().__init__()
        if form not in ("reference", "previous"):
            raise ConfigError(f"reference-frame: form is {form!r}; use reference or previous")
        if block < 0:
            raise ConfigError(f"reference-frame: block is {block}; use 0 or more, 3 is the fourth block that runs")
        if not -1 <= threshold <= 1:
            raise ConfigError(f"reference-frame: threshold is {threshold}; use a cosine in [-1, 1], 0.85 is published")
        if not step > 0:
            raise ConfigError(f"reference-frame: step is {step}; use one above 0, 0.05 lowers 0.85 to 0.8")
        if retries < 0:
            raise ConfigError(f"reference-frame: retries is {retries}; use 0 or more, 5 is published")
        self._budget = RemoveShare(remove, protect_first_frame=True)
        self.form = form
        self.block = block
        self.thresholds = tuple(threshold - step * retry for retry in range(retries + 1))

    def sites(self) -> tuple[Site, ...]:
        return (Site("vit.stem"),)

    def cuts(self) -> tuple[Site, ...]:
        return (Site("vit.block", self.block),)

    def budget(self) -> TokenBudget:
        return self._budget

    @torch.no_grad()
    def select(self, view: SiteView, memory: dict[str, Tensor]) -> Selection:
        layout, sizes = view.layout, clip_sizes(view.layout)
        table = clip_windows(sizes, layout)
        change = torch.zeros(layout.num_windows + 1, device=layout.device)  # the last takes what pads the table
        rank = change.clone()
        if len(table):
            unit = unit_windows(view.tokens, layout, table)
            living = F.pad(layout.living_windows, (0, 1))[table]
            thresholds = on_device(self.thresholds, layout.device, torch.float32)
            compare = walk_references if self.form == "reference" else compare_previous
            similarity, protected = compare(unit, living, thresholds)
            kept = self._budget(sizes)
            dropped = [s.windows - k for s, k in zip(sizes, kept, strict=True) if s.is_video]
            chosen = first_sufficient(protected, living, on_device(dropped, layout.device))
            clip = torch.arange(len(table), device=layout.device)
            cosine = similarity[chosen, clip]
            change[table] = 1 - cosine
            rank[table] = PROTECTION * protected[chosen, clip][..., None] - cosine
        best = keep_best(layout, rank[:-1], self._budget, protect_first_frame=True)
        return replace(best, cut_after=self.block, scores=layout.of_window(change[:-1]))
