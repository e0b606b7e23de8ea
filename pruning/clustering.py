"""Clusters, budgets and merges of windows, shared by the methods that average windows over time and space.

Source: DPC-kNN as in molmo2_stts sheet part C (PruneVid, HoliTom, FlashVID), after the density peaks of Rodriguez and
    Laio, Science 2014, with the density of k nearest neighbours.
Differs: ties fall to the earlier window, where published code adds noise; scores are compared as logarithms, so that a
    large scale of the vectors cannot turn every density into 0; the number of clusters may differ from group to group.

Shapes: everything here lies on a `VideoGrid`: frames of all videos of a batch in a row, and places, the windows of a
frame. A slot is frame * places + place; a merge map gives the slot that each slot joins, -1 where it is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.errors import ConfigError
from zoo.host_facts import on_device
from zoo.layout import TokenLayout
from zoo.pruner import Selection, TokenBudget, clip_sizes
from zoo.pruning.merging import survives

NOISE = 1e-5
"""Squared distances below this share of the squared lengths are rounding of float32: the vectors are equal."""

ROWS_AT_ONCE = 128
"""Groups that are clustered in one call, so that copies of a long batch's windows stay small."""


def check_range(method: str, name: str, value: float, low: float, high: float, advice: str) -> None:
    """Refuse a number outside [low, high].

    Args:
        method: Registry name.
        name: Of the argument.
        value: Of the argument.
        low: Smallest value that is allowed.
        high: Largest.
        advice: What to type instead.

    Raises:
        ConfigError: it lies outside.
    """
    if not low <= value <= high:
        upper = "or more" if high == float("inf") else f"to {high:g}"
        raise ConfigError(f"{method}: {name} must be {low:g} {upper}, got {value}; {advice}")


def check_share(method: str, name: str, value: float, advice: str) -> None:
    """Refuse a share outside [0, 1).

    Raises:
        ConfigError: it lies outside.
    """
    if not 0 <= value < 1:
        raise ConfigError(f"{method}: {name} must be in [0, 1), got {value}; {advice}")


@contextmanager
def deciding(device: torch.device) -> Iterator[None]:
    """No gradient, and no bfloat16 products: those resolve cosines near 1 in steps of 0.004, which ties windows."""
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        yield


# -- windows of videos as a grid --------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class VideoGrid:
    """Where the living windows of a batch's videos lie; frames of images are left out.

    Args:
        token: (frames, places) int64, token of each window, -1 where none lives.
        clip: (frames,) int64, clip of each frame.
        lengths: Frames of each video, on the host.
        num_tokens: Of the layout, images included.
    """

    token: Tensor
    clip: Tensor
    lengths: tuple[int, ...]
    num_tokens: int

    @classmethod
    def of(cls, layout: TokenLayout) -> VideoGrid | None:
        """The grid of a layout with one token a window, or None where no video is."""
        frames, counts = layout.frames, layout.windows_per_frame
        shown = [number for number, is_video in enumerate(frames.is_video) if is_video]
        places = max((counts[number] for number in shown), default=0)
        if not places:
            return None
        row_of_frame = [-1] * len(frames)
        for row, number in enumerate(shown):
            row_of_frame[number] = row
        facts = on_device([row_of_frame, list(accumulate(counts, initial=0))[:-1]], layout.device)
        row, start = facts[:, layout.frame_of_token]
        slot = torch.where(row < 0, len(shown) * places, row * places + layout.window_of_token - start)
        token = torch.full((len(shown) * places + 1,), -1, dtype=torch.int64, device=layout.device)
        token[slot] = torch.arange(layout.num_tokens, device=layout.device)
        clips = [frames.clip[number] for number in shown]
        return cls(
            token=token[:-1].view(len(shown), places),
            clip=on_device(clips, layout.device),
            lengths=tuple(clips.count(clip) for clip in dict.fromkeys(clips)),
            num_tokens=layout.num_tokens,
        )

    @cached_property
    def alive(self) -> Tensor:
        """(frames, places) bool."""
        return self.token >= 0

    @cached_property
    def slots(self) -> Tensor:
        """(frames, places) int64: the number of each slot."""
        return torch.arange(self.token.numel(), device=self.token.device).view(self.token.shape)

    @cached_property
    def clip_of_slot(self) -> Tensor:
        return self.clip[self.frame_of_slot]

    @cached_property
    def frame_of_slot(self) -> Tensor:
        return self.slots.flatten() // self.token.shape[1]

    @cached_property
    def video_of_frame(self) -> Tensor:
        """(frames,) int64: number of the video that each frame belongs to."""
        videos = [video for video, length in enumerate(self.lengths) for _ in range(length)]
        return on_device(videos, self.token.device)

    @cached_property
    def is_first(self) -> Tensor:
        """(frames,) bool: first frame of its video."""
        return on_device([place == 0 for length in self.lengths for place in range(length)], self.token.device)

    @cached_property
    def frames_of_video(self) -> Tensor:
        """(videos, most frames) int64: frames of each video, padded with -1."""
        starts = accumulate(self.lengths, initial=0)
        longest = max(self.lengths)
        rows = [
            list(range(start, start + length)) + [-1] * (longest - length)
            for start, length in zip(starts, self.lengths, strict=False)
        ]
        return on_device(rows, self.token.device)

    def by_frame(self, values: Tensor) -> Tensor:
        """(frames,) values out of (videos, most frames), padding left out."""
        longest = max(self.lengths)
        places = [video * longest + place for video, length in enumerate(self.lengths) for place in range(length)]
        return values.flatten()[on_device(places, values.device)]

    def spread(self, values: Tensor) -> Tensor:
        """(frames, places, ...) float32 values of (tokens, ...), 0 where nothing lives."""
        placed = values.detach()[self.token.clamp(min=0)].float()
        return placed * self.alive.view(*self.token.shape, *[1] * (values.dim() - 1))

    def selection(self, into: Tensor, scores: Tensor | None = None) -> Selection:
        """What a merge map of slots, (slots,) int64, does to the layout's tokens; images pass."""
        target = self.token.flatten()[into.clamp(min=0)].masked_fill(into < 0, -1)
        nowhere = self.token.masked_fill(~self.alive, self.num_tokens).flatten()
        every = torch.arange(self.num_tokens + 1, device=into.device)
        merged = every.scatter(0, nowhere, target)[:-1]
        return Selection(keep=survives(merged), merge_into=merged, scores=scores)


def windows_left(layout: TokenLayout, budget: TokenBudget) -> tuple[Tensor, Tensor]:
    """(clips,) int64 each: windows that a clip keeps, and that it loses."""
    sizes = clip_sizes(layout)
    kept = budget(sizes)
    lost = [size.windows - count for size, count in zip(sizes, kept, strict=True)]
    both = on_device([kept, lost], layout.device, torch.int64)
    return both[0], both[1]


def frame_means(vectors: Tensor, alive: Tensor) -> Tensor:
    """(frames, channels): mean of each frame's living windows; 0 where none lives."""
    return vectors.sum(1) / alive.sum(1, keepdim=True).clamp(min=1)


# -- shares and ranks within groups -----------------------------------------------------------------------------------


def sums(values: Tensor, group: Tensor, num_groups: int) -> Tensor:
    """(groups,) sums of (n,) integers by group."""
    return torch.zeros(num_groups, dtype=torch.int64, device=values.device).index_add_(0, group, values.long())


def best_of_group(scores: Tensor, group: Tensor, counts: Tensor, eligible: Tensor | None = None) -> Tensor:
    """The highest-scoring members of each group.

    Args:
        scores: (n,); ties fall to the earlier member.
        group: (n,) int64.
        counts: (groups,) int64, how many; all where a group has no more.
        eligible: (n,) bool, who may be chosen; None: everyone.
    Returns:
        (n,) bool.
    """
    order = scores.argsort(descending=True, stable=True)
    key = group if eligible is None else group * 2 + (~eligible).long()
    order = order[key[order].argsort(stable=True)]
    sizes = sums(torch.ones_like(group), group, len(counts))
    rank = torch.arange(len(group), device=group.device) - (sizes.cumsum(0) - sizes)[group[order]]
    chosen = torch.zeros_like(group, dtype=torch.bool).scatter(0, order, rank < counts[group[order]])
    return chosen if eligible is None else chosen & eligible


def apportion(sizes: Tensor, owner: Tensor, totals: Tensor) -> Tensor:
    """Divide each owner's total among its groups: one each while that is possible, the rest in proportion to size.

    What does not divide goes to the largest remainders, ties to earlier groups; integers throughout, so that totals
    are exact.

    Args:
        sizes: (groups,) int64, the most that a group can take.
        owner: (groups,) int64.
        totals: (owners,) int64, at most the sum of an owner's sizes.
    Returns:
        (groups,) int64.
    """
    filled = (sizes > 0).long()
    groups = sums(filled, owner, len(totals))
    one = (totals >= groups).long()
    room = sizes - filled * one[owner]
    spare = totals - groups * one
    share = room * spare[owner]
    whole_room = sums(room, owner, len(totals)).clamp(min=1)[owner]
    whole = share // whole_room
    left = spare - sums(whole, owner, len(totals))
    return filled * one[owner] + whole + best_of_group(share % whole_room, owner, left).long()


# -- density peaks ----------------------------------------------------------------------------------------------------


def squared_distances(vectors: Tensor, alive: Tensor) -> Tensor:
    """(groups, n, n): squared Euclidean distances within each group, a mean over channels.

    Args:
        vectors: (groups, n, channels) float32.
        alive: (groups, n) bool; what is said of the others is meaningless.
    """
    # Vectors of a network share a large mean, which would cancel to noise in |a|^2 + |b|^2 - 2ab.
    mask = alive.unsqueeze(2)
    mean = (vectors * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)
    centred = (vectors - mean) * mask
    products = centred @ centred.transpose(1, 2)
    lengths = products.diagonal(dim1=1, dim2=2)
    both = lengths.unsqueeze(2) + lengths.unsqueeze(1)
    squared = both - 2 * products
    return squared.masked_fill(squared <= NOISE * both, 0) / vectors.shape[2]


def density_peaks(squared: Tensor, alive: Tensor, clusters: Tensor, neighbours: int) -> Tensor:
    """Centres of clusters: members that lie densely and far from anything denser.

    The density of a member is exp(-mean squared distance to its `neighbours` nearest, itself among them); its distance
    is that to the nearest denser member, for the densest the widest of the group; centres have the largest products.

    Args:
        squared: (groups, n, n) squared distances.
        alive: (groups, n) bool.
        clusters: (groups,) int64; all living members where a group has no more.
        neighbours: k of the density.
    Returns:
        (groups, n) bool.
    """
    others = alive.unsqueeze(1)
    nearest = squared.masked_fill(~others, torch.inf).topk(min(neighbours, squared.shape[2]), largest=False).values
    real = nearest.isfinite()
    log_density = -nearest.masked_fill(~real, 0).sum(2) / real.sum(2).clamp(min=1)

    index = torch.arange(squared.shape[2], device=squared.device)
    mine, theirs = log_density.unsqueeze(2), log_density.unsqueeze(1)
    denser = others & ((theirs > mine) | ((theirs == mine) & (index < index.unsqueeze(1))))
    closest = squared.masked_fill(~denser, torch.inf).amin(2)
    widest = squared.masked_fill(~(others & alive.unsqueeze(2)), 0).amax((1, 2)).unsqueeze(1)
    gap = torch.where(closest.isfinite(), closest, widest)

    # Copies of a denser member have log 0 = -inf, and still come before what is dead.
    score = (log_density + gap.log() / 2).clamp(min=torch.finfo(squared.dtype).min).masked_fill(~alive, -torch.inf)
    order = score.argsort(dim=1, descending=True, stable=True)
    rank = torch.empty_like(order).scatter_(1, order, index.expand_as(order))
    return alive & (rank < clusters.unsqueeze(1))


def dpc_knn(vectors: Tensor, alive: Tensor, clusters: Tensor, neighbours: int) -> Tensor:
    """Cluster each group by density peaks; a member joins the nearest centre.

    Args:
        vectors: (groups, n, channels) float32.
        alive: (groups, n) bool, real members.
        clusters: (groups,) int64; exactly as many, or all living members where a group has no more.
        neighbours: k of the density.
    Returns:
        (groups, n) int64: the member that is its centre; -1 for the dead, and for a group of no clusters.
    """
    squared = squared_distances(vectors, alive)
    centres = density_peaks(squared, alive, clusters, neighbours)
    nearest = squared.masked_fill(~centres.unsqueeze(1), torch.inf).argmin(2)
    joined = torch.where(centres, torch.arange(centres.shape[1], device=centres.device), nearest)
    return joined.masked_fill(~alive | ~centres.any(1, keepdim=True), -1)


# -- merges on a grid -------------------------------------------------------------------------------------------------


def cosine_to_previous(unit: Tensor, grid: VideoGrid) -> Tensor:
    """Cosine of each window to the one at its place a frame earlier.

    Args:
        unit: (frames, places, channels) of length 1.
        grid: Of the windows.
    Returns:
        (frames, places); -inf where either is dead, and in first frames.
    """
    cosine = torch.full(grid.token.shape, -torch.inf, device=unit.device)
    cosine[1:] = (unit[1:] * unit[:-1]).sum(2)
    both = grid.alive.clone()
    both[1:] &= grid.alive[:-1]
    return cosine.masked_fill(~both | grid.is_first.unsqueeze(1), -torch.inf)


def join_in_time(static: Tensor, similarity: Tensor, segment: Tensor, grid: VideoGrid, most: Tensor) -> Tensor:
    """Let static windows join the first static window at their place in their segment.

    Args:
        static: (frames, places) bool, living windows only.
        similarity: (frames, places) of each to those that it joins; where `most` does not allow all merges, the least
            similar stay alone.
        segment: (frames,) int64, first frame of the segment of each frame.
        grid: Of the windows.
        most: (clips,) int64, windows of a clip that may join another.
    Returns:
        (slots,) int64 merge map.
    """
    slots = grid.slots
    nowhere = slots.numel()
    heads = torch.full_like(slots, nowhere)
    rows = segment.unsqueeze(1).expand_as(slots)
    heads = heads.scatter_reduce(0, rows, slots.masked_fill(~static, nowhere), "amin")[segment]
    joins = (static & (heads != slots)).flatten()
    joins = best_of_group(similarity.flatten(), grid.clip_of_slot, most, joins)
    return torch.where(joins, heads.flatten(), slots.flatten())


def mean_of_joined(vectors: Tensor, grid: VideoGrid, into: Tensor) -> Tensor:
    """Mean of the living windows that joined each slot, (frames, places, channels); 0 where none did."""
    total = torch.zeros_like(vectors).flatten(0, 1).index_add_(0, into.clamp(min=0), vectors.flatten(0, 1))
    return total.view_as(vectors) / count_joined(grid, into).clamp(min=1).view(*vectors.shape[:2], 1)


def count_joined(grid: VideoGrid, into: Tensor) -> Tensor:
    """(slots,) int64: living windows that joined each slot, itself included."""
    return sums(grid.alive.flatten() & (into >= 0), into.clamp(min=0), len(into))


def static_rows(averaged: Tensor, segment: Tensor, grid: VideoGrid) -> Tensor:
    """Windows that were averaged over time, gathered by segment.

    Args:
        averaged: (frames, places) bool, at most one of a place in a segment.
        segment: (frames,) int64, first frame of the segment of each frame.
        grid: Of the windows.
    Returns:
        (frames, places) int64: slots of each segment in the row of its first frame, -1 elsewhere.
    """
    rows = segment.unsqueeze(1).expand_as(averaged)
    return torch.full_like(grid.slots, -1).scatter_reduce(0, rows, grid.slots.masked_fill(~averaged, -1), "amax")


def cluster_rows(vectors: Tensor, members: Tensor, counts: Tensor, neighbours: int) -> Tensor:
    """Merge the members of each row to its count with DPC-kNN.

    Args:
        vectors: (frames, places, channels) float32.
        members: (rows, places) int64 slots, -1 where none.
        counts: (rows,) int64 clusters; members of a row of none are dropped.
        neighbours: k of the density.
    Returns:
        (slots,) int64 merge map; slots that are no members keep to themselves.
    """
    flat = vectors.flatten(0, 1)
    into = torch.arange(len(flat) + 1, device=members.device)  # the last takes what is said of empty places
    for row, count in zip(members.split(ROWS_AT_ONCE), counts.split(ROWS_AT_ONCE), strict=True):
        alive = row >= 0
        centre = dpc_knn(flat[row.clamp(min=0)], alive, count, neighbours)
        target = row.gather(1, centre.clamp(min=0)).masked_fill(centre < 0, -1)
        into[row.masked_fill(~alive, len(flat))] = target
    return into[:-1]


def then(first: Tensor, second: Tensor) -> Tensor:
    """One merge map after another: where each slot is after both."""
    return second[first.clamp(min=0)].masked_fill(first < 0, -1)


def merge_in_space(
    vectors: Tensor,
    in_time: Tensor,
    segment: Tensor,
    grid: VideoGrid,
    kept: Tensor,
    *,
    neighbours: int,
    scores: Tensor | None = None,
) -> Tensor:
    """Bring every clip to its budget after merges in time.

    Windows that were averaged over time are clustered segment by segment, the others frame by frame; what a clip keeps
    is shared out among these rows by `apportion`; where there are more rows than windows to keep, the windows of rows
    that get none are dropped.

    Args:
        vectors: (frames, places, channels) float32.
        in_time: (slots,) int64 merge map that `join_in_time` made.
        segment: (frames,) int64, first frame of the segment of each frame.
        grid: Of the windows.
        kept: (clips,) int64, windows that each clip keeps, of at least as many that `in_time` has left.
        neighbours: k of the density.
        scores: (frames, places): of windows that were not averaged the highest are kept and the rest is dropped; None:
            they are clustered too.
    Returns:
        (slots,) int64 merge map from the first windows to the last.
    """
    merged = mean_of_joined(vectors, grid, in_time)
    left = grid.alive & survives(in_time).view_as(grid.slots)
    averaged = left & (count_joined(grid, in_time) > 1).view_as(grid.slots)
    static, dynamic = static_rows(averaged, segment, grid), grid.slots.masked_fill(~left | averaged, -1)
    rows = torch.cat([static, dynamic])
    counts = apportion((rows >= 0).sum(1), torch.cat([grid.clip, grid.clip]), kept)
    if scores is None:
        return then(in_time, cluster_rows(merged, rows, counts, neighbours))
    for_static, for_dynamic = counts.split(len(static))
    into = cluster_rows(merged, static, for_static, neighbours)
    best = best_of_group(scores.flatten(), grid.frame_of_slot, for_dynamic, (dynamic >= 0).flatten())
    return then(in_time, into.masked_fill((dynamic >= 0).flatten() & ~best, -1))


def unit_vectors(vectors: Tensor) -> Tensor:
    """Vectors of length 1; zeros stay zeros."""
    return F.normalize(vectors, dim=-1)


def doublings(lengths: Sequence[int]) -> int:
    """Times a pointer must be doubled to reach the far end of the longest chain."""
    return max(max(lengths, default=1) - 1, 1).bit_length()
