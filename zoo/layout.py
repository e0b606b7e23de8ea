"""Where every vision token came from: clip, frame, window, pixel box, and whether it is still alive.

A `TokenLayout` is made when pixels are cut into patches and survives pruning, merging, packing and splicing. It is the
only object that knows about grids: pruners, attention masks, connectors, overlays and point outputs ask it.

Source: contract of docs/architecture.md; window rule of the Molmo2 sheet A1.2 and A4.2. An image in crops is several
frames: the whole first, then its tiles, whose windows run over the stitched map of all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import torch
from torch import Tensor

from zoo.frames import Frames, window_of_patch, window_of_tiled_patch
from zoo.host_facts import on_device


def places(mask: Tensor, count: int | None = None) -> Tensor:
    """(count,) int64: where a (n,) bool mask is true; asks the device only where the host does not know the count."""
    if count is None:
        return mask.nonzero().squeeze(1)
    return torch.nonzero_static(mask, size=count).squeeze(1)


@dataclass(frozen=True, kw_only=True)
class TokenLayout:
    """Which original patches each living vision token stands for.

    A patch has the number `frame * rows * columns + row * columns + column`. Tokens and patches are related by pairs,
    so that a token may be one patch, a pooled window, or patches merged across frames.

    Args:
        frames: The frames that were cut.
        grid: (rows, columns) of patches of a frame.
        windows: (patches,) int64, window of each original patch; -1 where a patch belongs to none.
        patch: (pairs,) int64, original patches, grouped by token.
        token: (pairs,) int64, the token that each pair belongs to, non-decreasing, without a gap.
        num_tokens: Living tokens.
        is_whole: Nothing has been cut: every window is alive.
        is_pooled: Tokens are windows, or several that were merged and lie where the first of them did.
    """

    frames: Frames
    grid: tuple[int, int]
    windows: Tensor
    patch: Tensor
    token: Tensor
    num_tokens: int
    is_whole: bool = False
    is_pooled: bool = False

    @classmethod
    def of_frames(cls, frames: Frames, grid: tuple[int, int], device: torch.device | str = "cpu") -> TokenLayout:
        """One token a patch, every patch alive."""
        parts, before = [torch.zeros(0, dtype=torch.int64)], 0
        for window, tile in zip(frames.window, frames.tile, strict=True):
            if tile is not None and (tile.row, tile.column) != (0, 0):
                continue  # the first tile brought the windows of all
            if tile is None:
                own, count = window_of_patch(grid, window)
            else:
                own, count = window_of_tiled_patch(tile.tiling, grid, window)
            parts.append(torch.where(own < 0, -1, own + before) if tile is not None else own + before)
            before += count
        windows = torch.cat(parts).to(device)
        every = torch.arange(len(windows), device=device)
        return cls(
            frames=frames, grid=grid, windows=windows, patch=every, token=every, num_tokens=len(windows), is_whole=True
        )

    # -- where a token is ---------------------------------------------------------------------------------------------

    @property
    def device(self) -> torch.device:
        return self.patch.device

    @property
    def patches_per_frame(self) -> int:
        return self.grid[0] * self.grid[1]

    @cached_property
    def first_pair(self) -> Tensor:
        """(tokens,) index of each token's first pair."""
        if not self._is_merged:
            return torch.arange(self.num_tokens, device=self.device)
        starts = torch.ones_like(self.token, dtype=torch.bool)
        starts[1:] = self.token[1:] != self.token[:-1]
        return places(starts, self.num_tokens)

    @cached_property
    def frame_of_token(self) -> Tensor:
        """(tokens,) int64: frame of the token's first patch."""
        return self.patch[self.first_pair] // self.patches_per_frame

    @cached_property
    def clip_of_frame(self) -> Tensor:
        return on_device(self.frames.clip, self.device, torch.int64)

    @cached_property
    def clip_of_token(self) -> Tensor:
        return self.clip_of_frame[self.frame_of_token]

    @cached_property
    def window_of_token(self) -> Tensor:
        """(tokens,) int64: window of the token's first patch; -1 for a margin that another crop owns."""
        return self.windows[self.patch[self.first_pair]]

    @cached_property
    def has_margins(self) -> bool:
        """Some original patch belongs to no window."""
        return any(tile is not None and tile.tiling.num_crops > 1 for tile in self.frames.tile)

    @property
    def _is_mixed(self) -> bool:
        """Some token stands for patches of several windows, each of which lives as long as any of them does."""
        return self._is_merged and not self.is_pooled

    @cached_property
    def living_windows(self) -> Tensor:
        """(windows,) bool: original windows of which some token is alive."""
        alive = torch.zeros(self.num_windows, dtype=torch.bool, device=self.device)
        own = self.windows[self.patch] if self._is_mixed else self.window_of_token
        alive[own[own >= 0] if self.has_margins else own] = True
        return alive

    @cached_property
    def time_s(self) -> Tensor:
        """(tokens,) float32: time of the token's frame in its clip."""
        return on_device(self.frames.time_s, self.device, torch.float32)[self.frame_of_token]

    @cached_property
    def tokens_per_frame(self) -> tuple[int, ...]:
        """Living tokens of each frame, on the host; reads the device once, where it was not told."""
        if self.is_whole:
            return (self.patches_per_frame,) * len(self.frames)
        return tuple(torch.bincount(self.frame_of_token, minlength=len(self.frames)).tolist())

    @cached_property
    def tokens_per_clip(self) -> tuple[int, ...]:
        counts = [0] * self.frames.num_clips
        for clip, count in zip(self.frames.clip, self.tokens_per_frame, strict=True):
            counts[clip] += count
        return tuple(counts)

    @cached_property
    def windows_per_clip(self) -> tuple[int, ...]:
        """Windows of each clip before any pruning, known to the host."""
        counts = [0] * self.frames.num_clips
        for clip, windows in zip(self.frames.clip, self.windows_per_frame, strict=True):
            counts[clip] += windows
        return tuple(counts)

    @cached_property
    def windows_per_frame(self) -> tuple[int, ...]:
        """Windows that each frame brings before any pruning, known to the host."""
        return self.frames.windows_of(self.grid)

    @property
    def num_windows(self) -> int:
        """Windows before any pruning."""
        return sum(self.windows_per_frame)

    @cached_property
    def frame_of_window(self) -> Tensor:
        """(windows,) int64: frame of each original window; of a tiled image, its first tile."""
        counts = on_device(self.windows_per_frame, self.device)
        frames = torch.arange(len(self.frames), device=self.device)
        return frames.repeat_interleave(counts, output_size=self.num_windows)

    @cached_property
    def clip_of_window(self) -> Tensor:
        """(windows,) int64: clip of each original window."""
        return self.clip_of_frame[self.frame_of_window]

    @cached_property
    def previous_window(self) -> Tensor:
        """(windows,) int64: the window at the same place one frame before, -1 in first frames and in images."""
        previous = [-1] * len(self.frames)
        starts = [0, *accumulate(self.windows_per_frame)]
        for number, (is_first, is_video) in enumerate(zip(self.frames.is_first, self.frames.is_video, strict=True)):
            if is_video and not is_first:
                previous[number] = starts[number - 1]
        own = on_device(starts[:-1], self.device)[self.frame_of_window]
        place = torch.arange(self.num_windows, device=self.device) - own
        before = on_device(previous, self.device)[self.frame_of_window]
        return torch.where(before < 0, -1, before + place)

    @cached_property
    def window_in_first_frame(self) -> Tensor:
        """(windows,) bool: the window lies in the first frame of its clip."""
        return on_device(self.frames.is_first, self.device, torch.bool)[self.frame_of_window]

    @cached_property
    def window_in_video(self) -> Tensor:
        """(windows,) bool: the window belongs to a video."""
        return on_device(self.frames.is_video, self.device, torch.bool)[self.frame_of_window]

    @cached_property
    def patches_per_token(self) -> Tensor:
        """(tokens,) int64: original patches that each token stands for."""
        # Not bincount, which looks for the largest number on the device.
        return torch.zeros(self.num_tokens, dtype=torch.int64, device=self.device).index_add(
            0, self.token, torch.ones_like(self.token)
        )

    def per_window(self, values: Tensor) -> Tensor:
        """Mean over the living tokens of each original window, each with as many patches as it has there.

        Args:
            values: (tokens, channels) or (tokens,) float.
        Returns:
            (original windows, channels) or (original windows,); 0 where nothing lives.
        """
        own = self.windows[self.patch] if self._is_mixed else self.window_of_token
        values = values[self.token] if self._is_mixed else values
        if self.has_margins:
            values, own = values[own >= 0], own[own >= 0]
        total = values.new_zeros(self.num_windows, *values.shape[1:]).index_add(0, own, values)
        count = (
            values.new_zeros(self.num_windows).index_add(0, own, torch.ones_like(own, dtype=values.dtype)).clamp(min=1)
        )
        return total / (count if values.dim() == 1 else count.unsqueeze(1))

    @cached_property
    def token_table(self) -> Tensor:
        """(frames, most tokens of a frame) int64: tokens of each frame in order, padded with -1."""
        widest = max(self.tokens_per_frame, default=0)
        starts = on_device((0, *accumulate(self.tokens_per_frame)), self.device)[:-1]
        order = self.frame_of_token.argsort(stable=True)
        place = torch.arange(self.num_tokens, device=self.device) - starts[self.frame_of_token[order]]
        table = torch.full((len(self.frames), widest), -1, dtype=torch.int64, device=self.device)
        table[self.frame_of_token[order], place] = order
        return table

    def unmerge(self, values: Tensor) -> Tensor:
        """Give every original patch the values of the token that stands for it.

        Args:
            values: (tokens, channels).
        Returns:
            (frames, rows, columns, channels); 0 where nothing lives.
        """
        canvas = values.new_zeros(len(self.frames) * self.patches_per_frame, values.shape[1])
        return canvas.index_copy(0, self.patch, values[self.token]).view(len(self.frames), *self.grid, -1)

    @cached_property
    def alive(self) -> Tensor:
        """(frames, rows, columns) bool: original patches that some living token still stands for."""
        mask = torch.zeros(len(self.frames) * self.patches_per_frame, dtype=torch.bool, device=self.device)
        mask[self.patch] = True
        return mask.view(len(self.frames), *self.grid)

    def coordinates(self) -> Tensor:
        """(tokens, 3) float32: frame, row and column of each token, averaged over its patches."""
        rows, columns = self.grid
        place = torch.stack([self.patch // (rows * columns), self.patch // columns % rows, self.patch % columns], dim=1)
        return self.mean_per_token(place.float())

    def mean_per_token(self, values: Tensor) -> Tensor:
        """Average (pairs, channels) over the patches of each token: (tokens, channels)."""
        total = values.new_zeros(self.num_tokens, values.shape[1]).index_add_(0, self.token, values)
        return total / self.patches_per_token.unsqueeze(1)

    @cached_property
    def _cells(self) -> tuple[Tensor, Tensor]:
        """(pairs, 2) each: upper left corner and size of every patch, (x, y) in source pixels."""
        rows, columns = self.grid
        frame = self.patch // self.patches_per_frame
        shown = on_device(self.frames.box_xyxy_px, self.device, torch.float32)[frame]
        cell = (shown[:, 2:] - shown[:, :2]) / on_device([columns, rows], self.device)
        place = torch.stack([self.patch % columns, self.patch // columns % rows], dim=1)
        return shown[:, :2] + place * cell, cell

    def centres(self) -> Tensor:
        """(tokens, 2) float32: row and column in the picture, each in (0, 1), averaged over a token's patches."""
        corner, cell = self._cells
        frame = self.patch // self.patches_per_frame
        size = on_device(self.frames.size_px, self.device, torch.float32)[frame]
        return self.mean_per_token(((corner + cell / 2) / size).flip(1))

    @cached_property
    def box_xyxy_px(self) -> Tensor:
        """(tokens, 4) float32: smallest box round the token's patches of its first picture, source pixels."""
        corner, cell = self._cells
        low, high = corner, corner + cell
        picture = on_device(self.frames.picture, self.device)
        frame = self.patch // self.patches_per_frame
        same = (picture[frame] == picture[self.frame_of_token][self.token]).unsqueeze(1)
        index = self.token.unsqueeze(1).expand(-1, 2)
        empty = low.new_zeros(self.num_tokens, 2)
        low = empty.scatter_reduce(0, index, low.masked_fill(~same, torch.inf), "amin", include_self=False)
        high = empty.scatter_reduce(0, index, high.masked_fill(~same, -torch.inf), "amax", include_self=False)
        return torch.cat([low, high], dim=1)

    def token_at(self, frame: int, x_px: float, y_px: float) -> int | None:
        """The living token whose patches cover a point of a frame, or None where the patch is dead or outside."""
        x0, y0, x1, y1 = self.frames.box_xyxy_px[frame]
        if not (x0 <= x_px < x1 and y0 <= y_px < y1):
            return None
        rows, columns = self.grid
        row, column = int((y_px - y0) / (y1 - y0) * rows), int((x_px - x0) / (x1 - x0) * columns)
        pair = (self.patch == (frame * rows + row) * columns + column).nonzero()
        return int(self.token[pair[0, 0]]) if len(pair) else None

    def token_in_picture(self, picture: int, x_px: float, y_px: float) -> int | None:
        """The same by picture: of its tiles where they know the point, else of the whole."""
        frames = [number for number, shown in enumerate(self.frames.picture) if shown == picture]
        found = (self.token_at(frame, x_px, y_px) for frame in (*frames[1:], *frames[:1]))
        return next((token for token in found if token is not None), None)

    def paint(self, values: Tensor) -> Tensor:
        """Spread (tokens,) values over their patches: (frames, rows, columns) float32, NaN where nothing lives."""
        canvas = torch.full((len(self.frames) * self.patches_per_frame,), torch.nan, device=values.device)
        canvas[self.patch] = values.float()[self.token]
        return canvas.view(len(self.frames), *self.grid)

    # -- what is left after a selection -------------------------------------------------------------------------------

    def keep(
        self, keep: Tensor, tokens_per_frame: tuple[int, ...] | None = None, windows: Tensor | None = None
    ) -> TokenLayout:
        """The layout of some tokens, in the same order.

        Args:
            keep: (tokens,) bool.
            tokens_per_frame: What is left of each frame, where the host knows; else the device is read.
            windows: (original windows,) bool; patches that were merged into a kept token out of other windows leave it.
        """
        if keep.shape != (self.num_tokens,) or keep.dtype != torch.bool:
            raise ValueError(f"keep must be ({self.num_tokens},) bool, got {tuple(keep.shape)} {keep.dtype}")
        count = None if tokens_per_frame is None else sum(tokens_per_frame)
        chosen = keep[self.token]
        if windows is not None and self._is_mixed:
            chosen = chosen & self._pairs_in(windows)
        pairs = places(chosen, None if self._is_merged else count)
        token = (keep.cumsum(0) - 1)[self.token[pairs]]
        count = int(keep.sum()) if count is None else count
        return self._with(self.patch[pairs], token, count, tokens_per_frame, is_pooled=self.is_pooled)

    def merge(self, into: Tensor, tokens_per_frame: tuple[int, ...] | None = None) -> TokenLayout:
        """The layout after token i has joined token `into[i]`; a merged token lies where its survivor did.

        Args:
            into: (tokens,) int64; survivors point at themselves, tokens that are dropped at -1.
            tokens_per_frame: What is left of each frame, where the host knows and nothing is dropped; else the device
                is read.

        Raises:
            ValueError: a token joins one that does not survive.
        """
        survives = into == torch.arange(self.num_tokens, device=self.device)
        patch, token = self.patch, self.token
        if tokens_per_frame is None:
            if not bool((survives[into] | (into < 0)).all()):
                raise ValueError("merge: a token joins one that is itself merged away; point every token at a survivor")
            pairs = (into >= 0)[token]
            patch, token = patch[pairs], token[pairs]
        owner = (survives.cumsum(0) - 1)[into[token]]
        order = (owner * 2 + (~survives[token]).long()).argsort(stable=True)  # its survivor's patches come first
        count = int(survives.sum()) if tokens_per_frame is None else sum(tokens_per_frame)
        return self._with(patch[order], owner[order], count, tokens_per_frame, is_pooled=self.is_pooled)

    def _with(
        self,
        patch: Tensor,
        token: Tensor,
        num_tokens: int,
        tokens_per_frame: tuple[int, ...] | None = None,
        *,
        is_pooled: bool = False,
    ) -> TokenLayout:
        layout = TokenLayout(
            frames=self.frames,
            grid=self.grid,
            windows=self.windows,
            patch=patch,
            token=token,
            num_tokens=num_tokens,
            is_pooled=is_pooled,
        )
        if tokens_per_frame is not None:
            layout.__dict__["tokens_per_frame"] = tokens_per_frame  # before the cached property asks the device
        return layout

    def pool(self) -> tuple[TokenLayout, Tensor]:
        """One token a window that still has a living patch.

        Returns:
            The layout of the windows, in order; and (windows, widest) int64, the present tokens that each window pools,
            padded with -1.
        """
        inside = self.windows[self.patch] >= 0
        patch, token = self.patch[inside], self.token[inside]
        order = self.windows[patch].argsort(stable=True)
        patch, token = patch[order], token[order]
        number, pooled = torch.unique_consecutive(self.windows[patch], return_inverse=True)
        layout = self._with(patch, pooled, len(number), is_pooled=True)
        pairs = torch.unique(torch.stack([pooled, token]), dim=1) if self._is_merged else torch.stack([pooled, token])
        counts = torch.bincount(pairs[0], minlength=len(number))
        widest = int(counts.max()) if len(number) else 0
        if len(number) and bool((counts == widest).all()):
            return layout, pairs[1].view(len(number), widest)
        place = torch.arange(pairs.shape[1], device=self.device) - (counts.cumsum(0) - counts)[pairs[0]]
        table = torch.full((len(number), widest), -1, dtype=torch.int64, device=self.device)
        table[pairs[0], place] = pairs[1]
        return layout, table

    @property
    def _is_merged(self) -> bool:
        return len(self.patch) != self.num_tokens

    def keep_windows(self, keep: Tensor) -> Tensor:
        """(tokens,) bool of the tokens of which something lies in a kept window; `keep` is (original windows,) bool.

        Margins that another crop owns stay, as context, while any window of their crop does.
        """
        if not self._is_mixed:
            return self._pairs_in(keep) if self.has_margins and not self.is_pooled else keep[self.window_of_token]
        kept = torch.zeros(self.num_tokens, dtype=torch.int64, device=self.device)
        return kept.index_add(0, self.token, self._pairs_in(keep).long()) > 0

    def _pairs_in(self, keep: Tensor) -> Tensor:
        """(pairs,) bool of the patches that lie in a kept window, or in the margin of a crop that has one."""
        own = self.windows[self.patch]
        if not self.has_margins:
            return keep[own]
        kept = (own >= 0) & keep[own.clamp(min=0)]
        frame = self.patch // self.patches_per_frame
        crops = torch.zeros(len(self.frames), dtype=torch.bool, device=self.device)
        crops[frame[kept]] = True
        return torch.where(own >= 0, kept, crops[frame])

    def of_window(self, values: Tensor, *, missing: float = 0.0) -> Tensor:
        """(tokens,) value of each token's window out of (original windows,) values."""
        own = values[self.window_of_token.clamp(min=0)]
        return own.masked_fill(self.window_of_token < 0, missing) if self.has_margins else own

    def top_windows(self, scores: Tensor, budget: tuple[int, ...]) -> Tensor:
        """Keep the highest-scoring windows of each clip: (original windows,) bool.

        Args:
            scores: (original windows,) float; ties fall to the earlier window, so the count is exact.
            budget: Windows to keep in each clip.
        """
        keep = torch.zeros(self.num_windows, dtype=torch.bool, device=self.device)
        by_score = scores.argsort(descending=True, stable=True)
        order = by_score[self.clip_of_window[by_score].argsort(stable=True)]  # clip by clip, best first
        starts = on_device((0, *self.windows_per_clip[:-1]), self.device).cumsum(0)
        clips = self.clip_of_window[order]
        rank = torch.arange(len(order), device=self.device) - starts[clips]
        keep[order] = rank < on_device(budget, self.device)[clips]
        return keep

    def to(self, device: torch.device | str) -> TokenLayout:
        return TokenLayout(
            frames=self.frames,
            grid=self.grid,
            windows=self.windows.to(device),
            patch=self.patch.to(device),
            token=self.token.to(device),
            num_tokens=self.num_tokens,
            is_whole=self.is_whole,
            is_pooled=self.is_pooled,
        )
