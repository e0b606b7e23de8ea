"""Keep windows that are attended and unlike each other, and average the rest along trees through time.

Source: FlashVID (2026); molmo2_stts sheet part C.
Differs: the share of windows that leave is exact, and stage 1 gets no surplus for what the language model drops later:
    frames share a clip's budget in proportion to their windows. The first window of the max-min choice is the one of
    the largest weight. Without a class token, attention is what a window's patches receive from all patches of the
    frame, a mean; relevance to the event is (1 + cosine) / 2 to the mean of the segment's frame means, so that a
    negative cosine does not turn the weight over. Trees that are too many are clustered frame by frame of their roots;
    where too few would be left, the least similar links are not made. Means are weighted by patches. The stage in the
    language model is off unless `llm_layer` is given. Images pass whole.
"""

from typing import ClassVar

import torch
from torch import Tensor

from zoo.host_facts import on_device
from zoo.pruner import Need, Pruner, RemoveShare, Selection, Site, SiteView, TokenBudget, keep_best
from zoo.pruning.clustering import (
    NOISE,
    VideoGrid,
    apportion,
    best_of_group,
    check_range,
    check_share,
    cluster_rows,
    deciding,
    doublings,
    frame_means,
    mean_of_joined,
    sums,
    then,
    unit_vectors,
    windows_left,
)


def scene_starts(means: Tensor, grid: VideoGrid, cut_below: float, min_segments: int) -> Tensor:
    """Cut where a frame is unlike the one before.

    Args:
        means: (frames, channels) float32, frame means.
        grid: Of the windows.
        cut_below: Cosine below which a scene ends.
        min_segments: Least segments of a video with at least as many frames; the least similar neighbours are cut.
    Returns:
        (frames,) int64: first frame of each frame's segment.
    """
    unit = unit_vectors(means)
    cosine = torch.full((len(unit),), torch.inf, device=unit.device)
    cosine[1:] = (unit[1:] * unit[:-1]).sum(1)
    due = [min_segments - 1 if length >= min_segments else 0 for length in grid.lengths]
    cuts = best_of_group(-cosine, grid.video_of_frame, on_device(due, unit.device), ~grid.is_first)
    starts = grid.is_first | cuts | (cosine < cut_below)
    frame = torch.arange(len(unit), device=unit.device)
    return frame.masked_fill(~starts, 0).cummax(0).values


def relevance(unit: Tensor, means: Tensor, segment: Tensor) -> Tensor:
    """How much each window looks like the mean frame of its segment.

    Args:
        unit: (frames, places, channels) of length 1.
        means: (frames, channels), frame means.
        segment: (frames,) int64, first frame of each frame's segment.
    Returns:
        (frames, places): (1 + mean cosine to the segment's frame means) / 2.
    """
    direction = unit_vectors(means)
    total = torch.zeros_like(direction).index_add_(0, segment, direction)
    event = (total / sums(torch.ones_like(segment), segment, len(segment)).clamp(min=1).unsqueeze(1))[segment]
    return (1 + (unit @ event.unsqueeze(2)).squeeze(2)) / 2


def diverse_windows(distance: Tensor, weight: Tensor, alive: Tensor, counts: Tensor, steps: int) -> Tensor:
    """Choose windows of each frame one by one: the next has the largest weighted distance to the nearest chosen.

    Args:
        distance: (frames, places, places), in [0, 2].
        weight: (frames, places), not negative; the largest is chosen first.
        alive: (frames, places) bool, who may be chosen.
        counts: (frames,) int64, how many, at most the living.
        steps: The largest count, on the host.
    Returns:
        (frames, places) bool; ties fall to the earlier place.
    """
    chosen = torch.zeros_like(alive)
    nearest = torch.full_like(weight, 2.0)
    score = (weight * nearest).masked_fill(~alive, -1)
    for step in range(steps):
        best = score.argmax(1, keepdim=True)
        chosen.scatter_(1, best, chosen.gather(1, best) | (step < counts).unsqueeze(1))
        nearest = torch.minimum(nearest, distance.gather(1, best.unsqueeze(2).expand_as(distance[:, :1])).squeeze(1))
        score = (weight * nearest).masked_fill_(~alive | chosen, -1)
    return chosen


def link_back(unit: Tensor, rest: Tensor, segment: Tensor, grid: VideoGrid) -> tuple[Tensor, Tensor]:
    """The most similar window of the frame before.

    Args:
        unit: (frames, places, channels) of length 1.
        rest: (frames, places) bool, windows that take part.
        segment: (frames,) int64, first frame of each frame's segment; links stay within.
        grid: Of the windows.
    Returns:
        (slots,) each: its slot, and the cosine; the slot itself and -inf where no link is possible.
    """
    cosine = (unit[1:] @ unit[:-1].transpose(1, 2)).masked_fill(~rest[:-1].unsqueeze(1), -torch.inf)
    same = (segment[1:] == segment[:-1]).unsqueeze(1) & rest[1:]
    best, place = cosine.masked_fill(~same.unsqueeze(2), -torch.inf).max(2)
    similarity = torch.full(rest.shape, -torch.inf, device=unit.device)
    similarity[1:] = best
    parent = grid.slots.clone()
    parent[1:] = torch.where(best.isfinite(), place + grid.slots[:-1, :1], parent[1:])
    return parent.flatten(), similarity.flatten()


def roots(parent: Tensor, times: int) -> Tensor:
    """Follow (slots,) parents to the end, in steps of doubling length."""
    for _ in range(times):
        parent = parent[parent]
    return parent


class FlashVid(Pruner):
    """Keep attended, diverse windows and the means of trees through time, behind the connector.

    Args:
        remove: Share of a clip's windows that do not enter the language model, in [0, 1).
        diverse: Share of a frame's budget that is chosen by diversity and attention; trees get the rest, in [0, 1].
        cut_below: Cosine of neighbouring frames' means below which a scene ends, in [-1, 1].
        min_segments: Least scenes of a clip that has at least as many frames.
        link_above: Cosine above which a window joins its most similar one a frame before, in [-1, 1].
        neighbours: Nearest windows that the density of DPC-kNN looks at.
        attention_block: ViT block whose attention weighs, negative numbers from the last that runs.
        llm_layer: Layer of the language model before which the windows that the answer attends least leave; none where
            it is left out, 20 is published.
        llm_remove: Share of the windows that enter the language model to drop there, in [0, 1).
    """

    example_args: ClassVar = {"remove": 0.4}

    def __init__(
        self,
        *,
        remove: float = 0.5,
        diverse: float = 0.7,
        cut_below: float = 0.9,
        min_segments: int = 8,
        link_above: float = 0.8,
        neighbours: int = 7,
        attention_block: int = -1,
        llm_layer: int | None = None,
        llm_remove: float = 0.7,
    ) -> None:
        super().__init__()
        self._budget = RemoveShare(remove)
        check_range("flashvid", "diverse", diverse, 0, 1, "0.7 is published")
        check_range("flashvid", "cut_below", cut_below, -1, 1, "0.9 is published")
        check_range("flashvid", "min_segments", min_segments, 1, float("inf"), "8 is published")
        check_range("flashvid", "link_above", link_above, -1, 1, "0.8 is published")
        check_range("flashvid", "neighbours", neighbours, 1, float("inf"), "7 is usual")
        check_share("flashvid", "llm_remove", llm_remove, "0.7 is published")
        self.diverse, self.cut_below, self.min_segments = diverse, cut_below, min_segments
        self.link_above, self.neighbours = link_above, neighbours
        self.attention_block, self.llm_layer = attention_block, llm_layer
        self._llm_budget = RemoveShare(llm_remove)

    def sites(self) -> tuple[Site, ...]:
        late = () if self.llm_layer is None else (Site("llm.layer", self.llm_layer),)
        return (Site("vit.attention", self.attention_block), Site("connector.output"), *late)

    def needs_at(self, site: Site) -> frozenset[Need]:
        return frozenset(() if site.stage == "connector.output" else {"received_attention"})

    def budget(self) -> TokenBudget:
        return self._budget

    def select(self, view: SiteView, memory: dict[str, Tensor]) -> Selection | None:
        layout = view.layout
        if view.site.stage == "vit.attention":
            memory["attention"] = layout.per_window(view.received_attention.detach())
            return None
        if view.site.stage == "llm.layer":
            return keep_best(layout, layout.per_window(view.received_attention), self._llm_budget)
        grid = VideoGrid.of(layout)
        if grid is None:
            return Selection(keep=torch.ones(layout.num_tokens, dtype=torch.bool, device=layout.device))
        scores = layout.of_window(memory["attention"])
        with deciding(layout.device):
            into = self._merge(grid.spread(view.tokens), grid.spread(scores), grid, *windows_left(layout, self._budget))
        return grid.selection(into, scores)

    def _merge(self, vectors: Tensor, attention: Tensor, grid: VideoGrid, kept: Tensor, lost: Tensor) -> Tensor:
        unit, means = unit_vectors(vectors), frame_means(vectors, grid.alive)
        segment = scene_starts(means, grid, self.cut_below, self.min_segments)
        per_frame = apportion(grid.alive.sum(1), grid.clip, kept)
        counts = (per_frame * self.diverse + 0.5).long()
        distance = 1 - unit @ unit.transpose(1, 2)
        distance = distance.masked_fill(distance < NOISE, 0)
        weight = attention.clamp(min=0) * relevance(unit, means, segment)
        steps = int(counts.max())  # one look at the device saves as many steps as places are not chosen
        diverse = diverse_windows(distance, weight, grid.alive, counts, steps)

        rest = grid.alive & ~diverse
        parent, similarity = link_back(unit, rest, segment, grid)
        linked = best_of_group(similarity, grid.clip_of_slot, lost, similarity > self.link_above)
        tree = roots(torch.where(linked, parent, grid.slots.flatten()), doublings(grid.lengths))
        members = grid.slots.masked_fill(~rest | (tree.view_as(rest) != grid.slots), -1)
        left = kept - sums(counts, grid.clip, len(kept))
        clusters = apportion((members >= 0).sum(1), grid.clip, left)
        return then(tree, cluster_rows(mean_of_joined(vectors, grid, tree), members, clusters, self.neighbours))
