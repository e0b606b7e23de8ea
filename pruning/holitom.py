"""Cut clips so that as many windows as possible stand still, average those over time, and thin out the rest.

Source: HoliTom (2025); molmo2_stts sheet part C.
Differs: the share of windows that leave is exact: it is met in space, after merging in time, by segments (averaged
    windows, clustered by DPC-kNN) and frames (the others, by attention or DPC-kNN) in proportion to their windows;
    where merging in time alone would leave fewer, the windows least similar to the one before them stay alone. Without
    a class token, attention is what a window's patches receive from all patches of the frame, a mean. Means are
    weighted by patches. Windows that an earlier pruner removed break a place's stillness. The stage in the language
    model is off unless `llm_layer` is given. Images pass whole.
"""

from typing import ClassVar, Literal

import torch
from torch import Tensor

from zoo.errors import ConfigError
from zoo.host_facts import on_device
from zoo.layout import TokenLayout
from zoo.pruner import Need, Pruner, RemoveShare, Selection, Site, SiteView, TokenBudget, keep_best
from zoo.pruning.clustering import (
    VideoGrid,
    check_range,
    check_share,
    cosine_to_previous,
    deciding,
    join_in_time,
    merge_in_space,
    unit_vectors,
    windows_left,
)


def merged_windows(still: Tensor, grid: VideoGrid) -> Tensor:
    """How many windows averaging would save in each possible segment.

    Args:
        still: (frames, places) bool, a window goes on from the frame before; never in first frames of videos.
        grid: Of the windows.
    Returns:
        (videos, most frames, most frames) int64, by last frame and by the number of frames before it in the segment:
        places that are still throughout, times those frames.
    """
    frames = torch.arange(len(still), device=still.device).unsqueeze(1)
    run = frames - frames.masked_fill(still, 0).cummax(0).values  # frames back to which a place has been still
    longest = max(grid.lengths)
    count = torch.zeros(len(still), longest, dtype=torch.int64, device=still.device)
    count = count.scatter_add(1, run, torch.ones_like(run)).flip(1).cumsum(1).flip(1)
    saved = count * torch.arange(longest, device=still.device)
    return saved[grid.frames_of_video.clamp(min=0)]


def best_segments(saved: Tensor, lengths: Tensor) -> Tensor:
    """Cut every video into the runs of frames that save most in sum, by dynamic programming.

    Args:
        saved: (videos, frames, frames) int64, by last frame of a segment and by the number of frames before it.
        lengths: (videos,) int64, frames of each video.
    Returns:
        (videos, frames) int64: first frame of each frame's segment; ties fall to the shorter last segment.
    """
    videos, frames, _ = saved.shape
    best = saved.new_zeros(videos, frames + 1)  # of the frames before this one
    before = saved.new_zeros(videos, frames)  # frames before it in the best segment that ends here
    for last in range(frames):
        total = best[:, : last + 1].flip(1) + saved[:, last, : last + 1]
        best[:, last + 1], before[:, last] = total.max(1)
    start, starts = lengths, []
    for frame in range(frames - 1, -1, -1):
        start = torch.where(start > frame, frame - before[:, frame], start)
        starts.append(start)
    return torch.stack(starts[::-1], dim=1)


def still_segments(still: Tensor, grid: VideoGrid) -> Tensor:
    """(frames,) int64: first frame of each frame's segment, of the segments that let most windows be averaged."""
    starts = best_segments(merged_windows(still, grid), on_device(grid.lengths, still.device))
    return grid.by_frame(grid.frames_of_video.gather(1, starts))


def still_throughout(still: Tensor, segment: Tensor, grid: VideoGrid) -> Tensor:
    """(frames, places) bool: the window's place is still in every frame of its segment."""
    inner = segment != torch.arange(len(segment), device=segment.device)
    moves = (~still & inner.unsqueeze(1)).long()
    moved = torch.zeros_like(moves).index_add_(0, segment, moves)[segment]
    return grid.alive & (moved == 0)


def most_similar_kept(tokens: Tensor, keep: Tensor, layout: TokenLayout) -> Tensor:
    """Point every token at itself where it is kept, else at the kept token of its clip with the largest cosine.

    Args:
        tokens: (tokens, channels).
        keep: (tokens,) bool.
        layout: Of the tokens.
    Returns:
        (tokens,) int64 merge map; -1 in a clip that keeps none.
    """
    unit = unit_vectors(tokens.float())
    into = torch.arange(len(keep), device=keep.device)
    order = layout.clip_of_token.argsort(stable=True)
    # Clip by clip: the cosines of all clips at once would take more memory than the model.
    for clip in order.split(layout.tokens_per_clip):
        kept, leaving = clip[keep[clip]], clip[~keep[clip]]
        if len(kept) and len(leaving):
            into[leaving] = kept[(unit[leaving] @ unit[kept].T).argmax(1)]
        else:
            into[leaving] = -1
    return into


class HoliTom(Pruner):
    """Average still windows over the segments that have most of them, then thin out in space, behind the connector.

    Args:
        remove: Share of a clip's windows that do not enter the language model, in [0, 1).
        static_above: Cosine to the frame before above which a window is still, in [-1, 1]; 0.8 is published, 0.65 where
            a tenth is kept.
        dynamic: How windows that were not averaged are thinned out: the most attended are kept, or clusters averaged.
        neighbours: Nearest windows that the density of DPC-kNN looks at.
        attention_block: ViT block whose attention chooses, negative numbers from the last that runs.
        llm_layer: Layer of the language model before which windows that the answer attends least join their most
            similar kept ones; none where it is left out, 18 is published.
        llm_remove: Share of the windows that enter the language model to merge away there, in [0, 1).
    """

    example_args: ClassVar = {"remove": 0.4}

    def __init__(
        self,
        *,
        remove: float = 0.5,
        static_above: float = 0.8,
        dynamic: Literal["attention", "clusters"] = "attention",
        neighbours: int = 7,
        attention_block: int = -1,
        llm_layer: int | None = None,
        llm_remove: float = 0.5,
    ) -> None:
        super().__init__()
        if dynamic not in ("attention", "clusters"):
            raise ConfigError(f"holitom: no way {dynamic!r} to thin out moving windows; type attention or clusters")
        self._budget = RemoveShare(remove)
        check_range("holitom", "static_above", static_above, -1, 1, "0.8 is published")
        check_range("holitom", "neighbours", neighbours, 1, float("inf"), "7 is published")
        check_share("holitom", "llm_remove", llm_remove, "0.5 is published")
        self.static_above, self.dynamic, self.neighbours = static_above, dynamic, neighbours
        self.attention_block, self.llm_layer = attention_block, llm_layer
        self._llm_budget = RemoveShare(llm_remove)

    def sites(self) -> tuple[Site, ...]:
        looks = (Site("vit.attention", self.attention_block),) if self.dynamic == "attention" else ()
        late = () if self.llm_layer is None else (Site("llm.layer", self.llm_layer),)
        return (*looks, Site("connector.output"), *late)

    def needs_at(self, site: Site) -> frozenset[Need]:
        return frozenset(() if site.stage == "connector.output" else {"received_attention"})

    def budget(self) -> TokenBudget:
        return self._budget

    def select(self, view: SiteView, memory: dict[str, Tensor]) -> Selection | None:
        layout = view.layout
        if view.site.stage == "vit.attention":
            memory["attention"] = layout.per_window(view.received_attention.detach())
            return None
        with deciding(layout.device):
            if view.site.stage == "llm.layer":
                chosen = keep_best(layout, layout.per_window(view.received_attention), self._llm_budget)
                into = most_similar_kept(view.tokens, chosen.keep, layout)
                return Selection(keep=chosen.keep, merge_into=into, scores=chosen.scores)
            grid = VideoGrid.of(layout)
            if grid is None:
                return Selection(keep=torch.ones(layout.num_tokens, dtype=torch.bool, device=layout.device))
            scores = layout.of_window(memory["attention"]) if self.dynamic == "attention" else None
            into = self._merge(grid.spread(view.tokens), scores, grid, *windows_left(layout, self._budget))
            return grid.selection(into, scores)

    def _merge(self, vectors: Tensor, scores: Tensor | None, grid: VideoGrid, kept: Tensor, lost: Tensor) -> Tensor:
        cosine = cosine_to_previous(unit_vectors(vectors), grid)
        still = cosine > self.static_above
        segment = still_segments(still, grid)
        in_time = join_in_time(still_throughout(still, segment, grid), cosine, segment, grid, lost)
        placed = None if scores is None else grid.spread(scores)
        return merge_in_space(vectors, in_time, segment, grid, kept, neighbours=self.neighbours, scores=placed)
