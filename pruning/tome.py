"""Merge similar patches of a frame in every block of the vision encoder, then similar windows of a clip.

Source: ToMe, token merging (ICLR 2023); molmo2_stts sheet part C and B11. Agrees with its published rule: A tokens are
    those at even places of a frame, at most half of a frame's tokens merge in one step.
Differs: how many merge in a block follows from `remove`. Merging patches leaves every window of the connector alive,
    since each is pooled from the merged patches that cover it; so the same matching runs once more over the window
    vectors of each frame, and takes the best links of the whole clip until its budget is met. A clip that may keep
    fewer windows than it has frames is first brought down to one window a frame, whose windows then match as those of
    one frame. Images merge nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from zoo.errors import ConfigError
from zoo.host_facts import on_device
from zoo.layout import TokenLayout
from zoo.pruner import (
    KeepAll,
    Need,
    Pruner,
    RemoveShare,
    Selection,
    Site,
    SiteView,
    TokenBudget,
    TrunkShape,
    clip_sizes,
    share_of,
)
from zoo.pruning.merging import point, survives

Schedule = Literal["constant", "decreasing"]


def tokens_after_blocks(tokens: int, remove: float, num_blocks: int, schedule: Schedule) -> tuple[int, ...]:
    """How many tokens a frame has after each block that merges.

    Args:
        tokens: Of the frame before the first.
        remove: Share of them that is merged away in the end.
        num_blocks: That merge.
        schedule: The same number in every block, give or take one, or one that falls in equal steps to 0 in the last.
    Returns:
        The last is tokens - floor(tokens * remove), where halving in every block gets that far. Blocks merge more than
        the schedule asks where the later ones could not make up for it.
    """
    merged = share_of(tokens, remove)
    weights = range(num_blocks - 1, -1, -1) if schedule == "decreasing" and num_blocks > 1 else (1,) * num_blocks
    counts, present = [], tokens
    for later, share in zip(range(num_blocks - 1, -1, -1), accumulate(weights), strict=True):
        planned = tokens - merged * share // sum(weights)
        can_still_shrink = (tokens - merged) << later
        present = max(present - present // 2, min(planned, can_still_shrink))
        counts.append(present)
    return tuple(counts)


class Links(NamedTuple):
    """The A tokens of every row, and the B token that each is most similar to.

    Args:
        source: (rows, A) int64, padded with -1.
        target: (rows, A) int64.
        similarity: (rows, A) float32 cosine; -inf where there is no link.
    """

    source: Tensor
    target: Tensor
    similarity: Tensor

    @property
    def rank(self) -> Tensor:
        """(rows, A) int64: 0 for the best link of a row; ties fall to the earlier token."""
        return self.similarity.argsort(dim=1, descending=True, stable=True).argsort(dim=1)


def best_links(metric: Tensor, table: Tensor) -> Links:
    """Split every row alternately into A and B, and find each A token's best B token.

    Args:
        metric: (tokens, channels).
        table: (rows, widest) int64, tokens of each row, padded with -1 at its end.
    """
    a, b = table[:, ::2], table[:, 1::2]
    if not b.shape[1]:
        return Links(a, a, torch.full(a.shape, -torch.inf, device=metric.device))
    unit = F.normalize(metric.float(), dim=-1)
    with torch.autocast(metric.device.type, enabled=False):  # bfloat16 resolves cosines near 1 in steps of 0.004: ties
        similarity = unit[a.clamp(min=0)] @ unit[b.clamp(min=0)].mT  # (rows, A, B)
    similarity = similarity.masked_fill((a < 0).unsqueeze(2) | (b < 0).unsqueeze(1), -torch.inf)
    best, partner = similarity.max(dim=2)
    return Links(a, b.gather(1, partner), best)


def merge_rows(metric: Tensor, table: Tensor, counts: Sequence[int]) -> Tensor:
    """Merge the `counts` best links of every row: (tokens,) int64 as in `Selection.merge_into`."""
    links = best_links(metric, table)
    chosen = links.rank < on_device(counts, table.device, torch.int64).unsqueeze(1)
    return point(len(metric), links.source, links.target, chosen)


class Step(NamedTuple):
    """One matching over window vectors, as the host plans it.

    Args:
        most: Links that each row may give.
        taken: Links that each clip gives over all of its rows.
    """

    most: tuple[int, ...]
    taken: tuple[int, ...]


def plan_steps(counts: Sequence[int], clip_of_row: Sequence[int], drop: Sequence[int]) -> tuple[list[Step], list[int]]:
    """Spread what each clip has to lose over matchings that take at most half of a row each.

    Every step but a clip's last takes all that its rows can give, so that the counts are known without the device.

    Args:
        counts: Tokens of each row.
        clip_of_row: Rows clip by clip.
        drop: Tokens that each clip loses.
    Returns:
        The steps, and what each clip still has to lose when its rows are down to one token.
    """
    counts, left, steps = list(counts), list(drop), []
    while True:
        most = tuple(count // 2 if left[clip] else 0 for count, clip in zip(counts, clip_of_row, strict=True))
        offered = [0] * len(left)
        for clip, links in zip(clip_of_row, most, strict=True):
            offered[clip] += links
        if not any(most):
            return steps, left
        taken = tuple(map(min, offered, left))
        steps.append(Step(most, taken))
        counts = [count - links for count, links in zip(counts, most, strict=True)]
        left = [lost - links for lost, links in zip(left, taken, strict=True)]


def run_step(metric: Tensor, table: Tensor, clip_of_row: Sequence[int], step: Step) -> Tensor:
    """Merge the best links of every clip: (tokens,) int64 as in `Selection.merge_into`."""
    device = table.device
    links = best_links(metric, table)
    excess = links.rank >= on_device(step.most, device).unsqueeze(1)
    offered = links.similarity.masked_fill(excess, -torch.inf).flatten()
    a_tokens = links.source.shape[1]
    clip = on_device(clip_of_row, device, torch.int64).repeat_interleave(a_tokens)
    rows_of_clip = [0] * len(step.taken)
    for number in clip_of_row:
        rows_of_clip[number] += a_tokens
    starts = on_device((0, *accumulate(rows_of_clip)), device)
    order = offered.argsort(descending=True, stable=True)
    order = order[clip[order].argsort(stable=True)]  # clip by clip, best first
    rank = torch.arange(len(order), device=device) - starts[clip[order]]
    chosen = torch.zeros_like(excess).flatten()
    chosen[order] = rank < on_device(step.taken, device)[clip[order]]
    return point(len(metric), links.source, links.target, chosen.view_as(excess))


def pack_rows(table: Tensor, into: Tensor) -> Tensor:
    """The table without tokens that have merged, each row's own in order and at its beginning."""
    end = len(into)
    stays = (table >= 0) & survives(into)[table.clamp(min=0)]
    packed = table.masked_fill(~stays, end).sort(dim=1).values
    return packed.masked_fill(packed == end, -1)


def merge_windows(vectors: Tensor, layout: TokenLayout, drop: Sequence[int]) -> Tensor:
    """Merge windows of every clip until it has lost enough.

    Args:
        vectors: (tokens, channels), one token a window.
        layout: Of the windows.
        drop: Windows that each clip loses; at least one stays.
    Returns:
        (tokens,) int64 as in `Selection.merge_into`.
    """
    clips = layout.frames.clip
    within, left = plan_steps(layout.tokens_per_frame, clips, drop)
    filled = [0] * len(drop)
    for clip, count in zip(clips, layout.tokens_per_frame, strict=True):
        filled[clip] += count > 0
    across, _ = plan_steps(filled, range(len(drop)), left)
    state, mass = vectors.float(), layout.patches_per_token.float().unsqueeze(1)
    into, table, rows = torch.arange(len(vectors), device=vectors.device), layout.token_table, clips
    for number, step in enumerate((*within, *across)):
        if number == len(within):  # one window a frame is left where a clip has still to lose some
            frames_per_clip = [clips.count(clip) for clip in range(len(drop))]
            table = pad_sequence(table[:, 0].split(frames_per_clip), batch_first=True, padding_value=-1)
            table, rows = pack_rows(table, into), range(len(drop))
        joined = run_step(state, table, rows, step)
        total = torch.zeros_like(state).index_add_(0, joined, state * mass)
        mass = torch.zeros_like(mass).index_add_(0, joined, mass)
        state = total / mass.clamp(min=1)
        into = joined[into]
        table = pack_rows(table, into)
    return into


class ToMe(Pruner):
    """Merge the most similar patches of each frame in every ViT block, then the most similar windows.

    Until `build` has told how many blocks run, it acts as though `first_block` were the last.

    Args:
        remove: Share of a frame's patches, and of a clip's windows, that are merged into others in the end, in [0, 1).
        schedule: Merge the same number of patches in every block, or a number that falls to 0 in the last block.
        first_block: ViT block, counted from 0, from which on every block merges.
        proportional: Add the logarithm of a merged token's patches to its attention logits in the next block.
        windows: Merge windows before the language model as well; without it every window enters.
    """

    example_args: ClassVar = {"remove": 0.4}
    needs: ClassVar[frozenset[Need]] = frozenset({"keys"})

    def __init__(
        self,
        *,
        remove: float = 0.5,
        schedule: Schedule = "constant",
        first_block: int = 0,
        proportional: bool = True,
        windows: bool = True,
    ) -> None:
        super().__init__()
        self._share = RemoveShare(remove)
        if schedule not in ("constant", "decreasing"):
            raise ConfigError(f"tome: schedule {schedule!r}; use constant or decreasing")
        if first_block < 0:
            raise ConfigError(f"tome: first_block is counted from 0, got {first_block}; 0 merges in every block")
        self.schedule = schedule
        self.first_block = first_block
        self.proportional = proportional
        self.windows = windows
        self._end_block = first_block + 1

    def build(self, trunk: TrunkShape) -> None:
        if self.first_block >= trunk.num_blocks:
            raise ConfigError(
                f"tome: first_block {self.first_block}, but {trunk.num_blocks} blocks run; "
                f"use 0 to {trunk.num_blocks - 1}"
            )
        self._end_block = trunk.num_blocks
        patches = trunk.grid[0] * trunk.grid[1]
        remove, num_blocks = self._share.remove, trunk.num_blocks - self.first_block
        reached = tokens_after_blocks(patches, remove, num_blocks, self.schedule)[-1]
        target = patches - share_of(patches, remove)
        if reached > target:
            highest = int((1 - reached / patches) * 100) / 100
            raise ConfigError(
                f"tome: remove {remove} leaves {target} of a frame's {patches} patches, but {num_blocks} blocks that "
                f"halve them at most leave {reached}; use remove of at most {highest:g}, or a smaller first_block"
            )

    def sites(self) -> tuple[Site, ...]:
        blocks = tuple(Site("vit.attention", block) for block in range(self.first_block, self._end_block))
        return (*blocks, Site("connector.output")) if self.windows else blocks

    def needs_at(self, site: Site) -> frozenset[Need]:
        return self.needs if site.stage == "vit.attention" else frozenset()

    def budget(self) -> TokenBudget:
        return self._share if self.windows else KeepAll()

    @torch.no_grad()
    def select(self, view: SiteView, memory: dict[str, Tensor]) -> Selection:
        layout = view.layout
        if view.site.stage == "connector.output":
            kept = self._share(clip_sizes(layout))
            drop = [count - stay for count, stay in zip(layout.tokens_per_clip, kept, strict=True)]
            into = merge_windows(view.tokens, layout, drop)
            return Selection(keep=survives(into), merge_into=into if any(drop) else None)
        counts = self._links_of_frames(layout, view.site.index)
        frames = [frame for frame, count in enumerate(counts) if count]
        table = layout.token_table[on_device(frames, layout.device, torch.int64)]
        into = merge_rows(view.keys.float().mean(dim=1), table, [counts[frame] for frame in frames])
        keep = survives(into)
        is_plain = not frames and len(layout.patch) == layout.num_tokens  # ln 1 = 0: nothing to add
        bias = log_size(layout.patches_per_token, into) if self.proportional and not is_plain else None
        left = tuple(before - count for before, count in zip(layout.tokens_per_frame, counts, strict=True))
        return Selection(
            keep=keep, merge_into=into if frames else None, key_bias=bias, tokens_per_frame=left if frames else None
        )

    def _links_of_frames(self, layout: TokenLayout, block: int) -> list[int]:
        """How many tokens each frame merges in a block: as planned, or that share where something was cut before."""
        patches = layout.patches_per_frame
        num_blocks = self._end_block - self.first_block
        counts = (patches, *tokens_after_blocks(patches, self._share.remove, num_blocks, self.schedule))
        before, after = counts[block - self.first_block], counts[block - self.first_block + 1]
        return [
            count * (before - after) // before if is_video else 0
            for count, is_video in zip(layout.tokens_per_frame, layout.frames.is_video, strict=True)
        ]


def log_size(sizes: Tensor, into: Tensor) -> Tensor:
    """(tokens,) float32: logarithm of the patches that each survivor stands for after a merge, 0 elsewhere."""
    return torch.zeros_like(sizes).index_add_(0, into, sizes).clamp(min=1).float().log()
