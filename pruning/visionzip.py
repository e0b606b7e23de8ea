"""Keep the windows that a late ViT block looks at most, and average the others into a few evenly spread ones.

Source: VisionZip (CVPR 2025); molmo2_stts sheet part C.
Differs: acts on pooled windows behind the connector, not on patches before it. Without a class token, a window's score
    is the attention that its patches receive from all patches of the frame, a mean over those that are alive; its key
    is the mean over the same patches and all heads. What joins a contextual window is averaged with it, each weighted
    by patches; published code adds the mean of what joins to it. The paper gives every image the same number of tokens;
    here every frame of a clip has the same, and the first frames one more, so that the clip's budget is met. Images
    pass whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.errors import ConfigError
from zoo.host_facts import on_device
from zoo.layout import TokenLayout
from zoo.pruner import Need, Pruner, RemoveShare, Selection, Site, SiteView, TokenBudget, clip_sizes, share_of
from zoo.pruning.merging import point, survives


def equal_shares(total: int, sizes: Sequence[int]) -> list[int]:
    """Split a total over rows as equally as their sizes allow; what is left over goes to the first rows.

    Args:
        total: At most the sum of the sizes.
        sizes: Most that each row can take.
    """
    shares, left = [0] * len(sizes), total
    while left:
        with_room = [row for row, size in enumerate(sizes) if shares[row] < size]
        if left < len(with_room):
            with_room = with_room[:left]
        more = left // len(with_room)
        for row in with_room:
            share = min(more, sizes[row] - shares[row])
            shares[row] += share
            left -= share
    return shares


def dominant_and_contextual(
    scores: Tensor, keys: Tensor, table: Tensor, dominant: Sequence[int], contextual: Sequence[int]
) -> Tensor:
    """Decide for every window whether it stays, which window it joins, or that it goes.

    Args:
        scores: (windows,) float; the highest of a row are its dominant windows.
        keys: (windows, channels), by whose cosine a window finds what it joins.
        table: (rows, widest) int64, windows of each row, padded with -1.
        dominant: Windows that stay as they are, for each row.
        contextual: Windows that gather the rest of the row, uniformly strided among it.
    Returns:
        (windows,) int64 as in `Selection.merge_into`; -1 where a row has no contextual window to join.
    """
    present, at = table >= 0, table.clamp(min=0)
    dominant, contextual = on_device([dominant, contextual], table.device, torch.int64).unsqueeze(2)
    ranked = scores[at].masked_fill(~present, -torch.inf)
    rank = ranked.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    rest = present & (rank >= dominant)
    place = rest.cumsum(dim=1) - 1
    stride = (rest.sum(dim=1, keepdim=True) // contextual.clamp(min=1)).clamp(min=1)
    gathers = rest & (place % stride == 0) & (place // stride < contextual)
    unit = F.normalize(keys.float(), dim=-1)[at]
    with torch.autocast(table.device.type, enabled=False):  # bfloat16 resolves cosines near 1 in steps of 0.004: ties
        similarity = unit @ unit.mT  # (rows, windows, windows)
    similarity = similarity.masked_fill(~gathers.unsqueeze(1), -torch.inf)
    nearest = table.gather(1, similarity.argmax(dim=2)).masked_fill(contextual == 0, -1)
    return point(len(scores), table, nearest, rest & ~gathers)


class VisionZip(Pruner):
    """Keep the most attended windows of each frame and average the rest into evenly spread ones.

    Args:
        remove: Share of a clip's windows that are left out or averaged into others, in [0, 1).
        contextual: Share of the kept windows of a frame that gather those left out, in [0, 1], rounded down.
        block: ViT block whose attention and keys decide; negative counts from the last block that runs.
    """

    example_args: ClassVar = {"remove": 0.4, "contextual": 0.5}
    needs: ClassVar[frozenset[Need]] = frozenset({"keys", "received_attention"})

    def __init__(self, *, remove: float = 0.5, contextual: float = 0.16, block: int = -2) -> None:
        super().__init__()
        self._budget = RemoveShare(remove)
        if not 0 <= contextual <= 1:
            raise ConfigError(
                f"visionzip: contextual must be in [0, 1], got {contextual}; 0.16 is 10 of 64 kept windows"
            )
        self.contextual = contextual
        self.block = block

    def sites(self) -> tuple[Site, ...]:
        return (Site("vit.attention", self.block), Site("connector.output"))

    def needs_at(self, site: Site) -> frozenset[Need]:
        return self.needs if site.stage == "vit.attention" else frozenset()

    def budget(self) -> TokenBudget:
        return self._budget

    @torch.no_grad()
    def select(self, view: SiteView, memory: dict[str, Tensor]) -> Selection | None:
        layout = view.layout
        if view.site.stage == "vit.attention":
            memory["scores"] = layout.per_window(view.received_attention)
            memory["keys"] = layout.per_window(view.keys.float().mean(dim=1))
            return None
        kept = self._kept_of_frames(layout)
        contextual = [share_of(count, self.contextual) for count in kept]
        dominant = [count - gathers for count, gathers in zip(kept, contextual, strict=True)]
        own = layout.window_of_token
        scores = memory["scores"][own]
        into = dominant_and_contextual(scores, memory["keys"][own], layout.token_table, dominant, contextual)
        # x * 9 / 9 is not always x: a clip that loses nothing must come out as it went in.
        return Selection(keep=survives(into), merge_into=into if sum(kept) < layout.num_tokens else None, scores=scores)

    def _kept_of_frames(self, layout: TokenLayout) -> list[int]:
        """Windows that each frame keeps."""
        kept: list[int] = []
        for total, frames in zip(self._budget(clip_sizes(layout)), _frames_of_clips(layout), strict=True):
            kept += equal_shares(total, frames)
        return kept


def _frames_of_clips(layout: TokenLayout) -> list[list[int]]:
    """Living tokens of the frames of each clip."""
    clips: list[list[int]] = [[] for _ in range(layout.frames.num_clips)]
    for clip, count in zip(layout.frames.clip, layout.tokens_per_frame, strict=True):
        clips[clip].append(count)
    return clips
