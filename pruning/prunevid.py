"""Average what stands still over time, cluster the rest in space, and let the question choose in the language model.

Source: PruneVid (ACL Findings 2025); molmo2_stts sheet part C.
Differs: a segment is a run of frames: between two neighbouring centres of DPC-kNN the cut lies where the frames are
    nearest to their own centre in sum, so there are exactly as many segments as clusters. The share of windows that
    leave is exact: clusters get what is left of the budget after merging in time, shared out in proportion to the
    windows of each segment (static) and frame (dynamic); where merging in time alone would leave fewer, the windows
    least similar to the mean of their place stay alone. A cluster's mean is weighted by patches, so that a window
    that stands for many frames counts as many. Clusters are those of windows behind the connector. The stage in the
    language model is off unless `llm_layer` is given. Images pass whole.
"""

from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor

from zoo.errors import ConfigError
from zoo.host_facts import on_device
from zoo.pruner import Need, Pruner, RemoveShare, Selection, Site, SiteView, TokenBudget, keep_best, share_of
from zoo.pruning.clustering import (
    VideoGrid,
    check_range,
    check_share,
    deciding,
    density_peaks,
    frame_means,
    join_in_time,
    merge_in_space,
    squared_distances,
    unit_vectors,
    windows_left,
)


def runs_around(distance: Tensor, centres: Tensor) -> Tensor:
    """Cut frames into runs, one round each centre, so that the distances to the own centre are least in sum.

    Args:
        distance: (videos, frames, frames).
        centres: (videos, frames) bool, at least one a video.
    Returns:
        (videos, frames) int64: first frame of the run that each frame belongs to; ties fall to the earlier cut.
    """
    frames = centres.shape[1]
    place = torch.arange(frames, device=centres.device).expand_as(centres)
    number = centres.long().cumsum(1) - 1  # of the last centre up to here
    nth_centre = (~centres).long().argsort(dim=1, stable=True)
    between = (number >= 0) & (number < centres.sum(1, keepdim=True) - 1)
    gap = number.clamp(min=0)
    before, after = nth_centre.gather(1, gap), nth_centre.gather(1, (gap + 1).clamp(max=frames - 1))
    to_before, to_after = (distance.gather(2, centre.unsqueeze(2)).squeeze(2) for centre in (before, after))

    # What it costs to end the earlier run at this frame, up to a constant of the gap.
    cost = (to_before - to_after).masked_fill(~between | centres, 0).double().cumsum(1).masked_fill(~between, torch.inf)
    least = torch.full_like(cost, torch.inf).scatter_reduce(1, gap, cost, "amin").gather(1, gap)
    last = place.masked_fill(~between | (cost > least), frames)
    last = torch.full_like(place, frames).scatter_reduce(1, gap, last, "amin")  # of the earlier run of each gap
    starts = torch.zeros(len(centres), frames + 2, dtype=torch.bool, device=centres.device).scatter(1, last + 1, True)
    return place.masked_fill(~starts[:, :frames], 0).cummax(1).values


def frame_segments(means: Tensor, grid: VideoGrid, share: float, neighbours: int) -> Tensor:
    """Segments of similar frames by DPC-kNN on frame means.

    Args:
        means: (frames, channels) float32.
        grid: Of the windows.
        share: Segments as a share of the frames of a video, rounded down, at least one.
        neighbours: k of the density.
    Returns:
        (frames,) int64: first frame of each frame's segment.
    """
    frames = grid.frames_of_video
    real = frames >= 0
    squared = squared_distances(means[frames.clamp(min=0)], real)
    wanted = [max(1, share_of(length, share)) for length in grid.lengths]
    centres = density_peaks(squared, real, on_device(wanted, means.device), neighbours)
    return grid.by_frame(frames.gather(1, runs_around(squared.sqrt(), centres)))


def static_windows(unit: Tensor, segment: Tensor, grid: VideoGrid, above: float) -> tuple[Tensor, Tensor]:
    """Places that look alike in all frames of a segment.

    Args:
        unit: (frames, places, channels) of length 1.
        segment: (frames,) int64, first frame of each frame's segment.
        grid: Of the windows.
        above: A place is static when the mean cosine of its pairs of windows is larger.
    Returns:
        (frames, places) bool, the living windows of static places; and (frames, places), the cosine of each window to
        the mean direction of its place in the segment.
    """
    alive, length = grid.alive.float(), (unit * unit).sum(2)
    total = torch.zeros_like(unit).index_add_(0, segment, unit)
    of_place = torch.stack([alive, length])
    count, lengths = torch.zeros_like(of_place).index_add_(1, segment, of_place)
    pairwise = ((total * total).sum(2) - lengths) / (count * (count - 1)).clamp(min=1)
    static = grid.alive & ((count > 1) & (pairwise > above))[segment]
    return static, (unit * unit_vectors(total)[segment]).sum(2)


class PruneVid(Pruner):
    """Average still places over time, then cluster in space, behind the connector; optionally let the question choose.

    Args:
        remove: Share of a clip's windows that do not enter the language model, in [0, 1).
        segment_share: Segments of a clip as a share of its frames, in (0, 1].
        static_above: Mean cosine of a place's windows above which they are averaged over a segment, in [-1, 1].
        neighbours: Nearest windows that the density of DPC-kNN looks at.
        llm_layer: Layer of the language model before which windows leave once more, by their largest attention from
            the question, also from the keys and values of earlier layers; none where it is left out, 10 is published.
        llm_remove: Share of the windows that enter the language model to drop there, in [0, 1).
    """

    example_args: ClassVar = {"remove": 0.4}
    attention_rows: ClassVar = "text"
    attention_reduction: ClassVar = "max"

    def __init__(
        self,
        *,
        remove: float = 0.5,
        segment_share: float = 0.25,
        static_above: float = 0.8,
        neighbours: int = 7,
        llm_layer: int | None = None,
        llm_remove: float = 0.6,
    ) -> None:
        super().__init__()
        self._budget = RemoveShare(remove)
        if not 0 < segment_share <= 1:
            raise ConfigError(
                f"prunevid: segment_share must be in (0, 1], got {segment_share}; 0.25 makes one segment of four frames"
            )
        check_range("prunevid", "static_above", static_above, -1, 1, "0.8 is published")
        check_range("prunevid", "neighbours", neighbours, 1, float("inf"), "7 is usual")
        check_share("prunevid", "llm_remove", llm_remove, "0.6 is published")
        self.segment_share, self.static_above, self.neighbours = segment_share, static_above, neighbours
        self.llm_layer = llm_layer
        self._llm_budget = RemoveShare(llm_remove)

    def sites(self) -> tuple[Site, ...]:
        first = Site("connector.output")
        return (first,) if self.llm_layer is None else (first, Site("llm.layer", self.llm_layer))

    def needs_at(self, site: Site) -> frozenset[Need]:
        return frozenset({"received_attention"} if site.stage == "llm.layer" else ())

    def budget(self) -> TokenBudget:
        return self._budget

    def select(self, view: SiteView, memory: dict[str, Tensor]) -> Selection:
        layout = view.layout
        if view.site.stage == "llm.layer":
            chosen = keep_best(layout, layout.per_window(view.received_attention), self._llm_budget)
            return replace(chosen, prune_cache=True)
        grid = VideoGrid.of(layout)
        if grid is None:
            return Selection(keep=torch.ones(layout.num_tokens, dtype=torch.bool, device=layout.device))
        with deciding(layout.device):
            return grid.selection(self._merge(grid.spread(view.tokens), grid, *windows_left(layout, self._budget)))

    def _merge(self, vectors: Tensor, grid: VideoGrid, kept: Tensor, lost: Tensor) -> Tensor:
        segment = frame_segments(frame_means(vectors, grid.alive), grid, self.segment_share, self.neighbours)
        static, similarity = static_windows(unit_vectors(vectors), segment, grid, self.static_above)
        in_time = join_in_time(static, similarity, segment, grid, lost)
        return merge_in_space(vectors, in_time, segment, grid, kept, neighbours=self.neighbours)
