"""One pass of frames through a vision encoder: packed states that shrink where pruners say so.

Survivors of many frames run packed, each frame a segment of its own; nothing is computed for what has left. Source:
molmo2_stts sheet B2, B7; docs/architecture.md. Differs: no bins on a CPU, where segments of similar length
share a kernel call (`zoo.segments`).

Shapes: F frames, T packed tokens, H heads, D head_dim, C channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from zoo.attention import received_from_all
from zoo.layout import TokenLayout, places
from zoo.pruner import (
    Selection,
    Site,
)
from zoo.pruning_pass import PruningPass
from zoo.segments import Segments

if TYPE_CHECKING:
    from zoo.vision_encoder import VisionEncoder

Between = Callable[[Tensor, Tensor, Tensor, float], Tensor]
"""What happens in a block between attention and MLP: (T, C) states, (T, H, D) queries and keys of the attention and the
scale of their products, to the states of the tokens that go on."""


class FramePass:
    """The packed states of a batch's frames, and what pruners have ordered for later blocks.

    Class tokens, context and padding run along with `is_patch` false.

    Args:
        encoder: Whose blocks run.
        layout: One token a patch.
        pruning: What pruners decide, and did.
    """

    def __init__(self, encoder: VisionEncoder, layout: TokenLayout, pruning: PruningPass) -> None:
        self.encoder, self.layout, self.pruning = encoder, layout, pruning
        self.features: dict[int, Tensor] = {}
        self.key_bias: Tensor | None = None
        self.pending: dict[int, list[Selection]] = {}
        self.has_others = encoder.num_prefix_tokens > 0
        self.padding = 0

    def start(self, pixels: Tensor) -> None:
        self.pixels = pixels
        shown, keep = pixels, None
        if self.pruning.has(Site("pixels")):
            nothing = pixels.new_zeros(self.layout.num_tokens, 0)
            selection = self.pruning.select(Site("pixels"), nothing, self.layout, pixels=lambda: pixels)
            keep = None if selection is None else selection.keep
        if keep is not None:  # frames of which nothing is left are not embedded at all
            whole = keep.view(len(pixels), -1)
            is_seen = whole.any(1)
            shown = pixels[is_seen]
            self.layout = self.layout.keep(keep)
            self.pruning.record(Site("pixels"), self.layout)
        states = self.encoder.stem(shown)
        frames, tokens, channels = states.shape
        prefix = self.encoder.num_prefix_tokens
        self.is_patch = torch.ones(frames, tokens, dtype=torch.bool, device=states.device)
        self.is_patch[:, :prefix] = False
        self.is_patch = self.is_patch.flatten()
        self.states = states.reshape(frames * tokens, channels)
        if keep is None:
            self.segments = Segments.plain((tokens,) * frames, causal=False, device=states.device)
        else:
            going = torch.cat([keep.new_ones(frames, prefix), whole[is_seen]], dim=1).flatten()
            self.states, self.is_patch = self.states[going], self.is_patch[going]
            lengths = [count + prefix * bool(count) for count in self.layout.tokens_per_frame]
            self.segments = Segments.plain(lengths, causal=False, device=states.device)
            self._pad()
        self.cut(Site("vit.stem"), self.select(Site("vit.stem")))

    @property
    def patch_states(self) -> Tensor:
        """(tokens, C) states of the living patches."""
        return self.states[self.is_patch] if self.has_others else self.states

    def select(self, site: Site) -> Selection | None:
        if not self.pruning.has(site):
            return None
        return self.keep_or_order(
            site, self.pruning.select(site, self.patch_states, self.layout, pixels=lambda: self.pixels)
        )

    def keep_or_order(self, site: Site, selection: Selection | None) -> Selection | None:
        """What leaves at once; what leaves later is noted."""
        if selection is None:
            return None
        if selection.key_bias is not None:
            self.key_bias = selection.key_bias if self.key_bias is None else self.key_bias + selection.key_bias
        if selection.cut_after is not None and (site.stage != "vit.block" or selection.cut_after > site.index):
            self.pending.setdefault(selection.cut_after, []).append(selection)
            return None
        return selection

    def block(self, index: int) -> None:
        run: Callable[..., Tensor] = self.encoder.block
        site = Site("vit.attention", index)
        between = _BetweenAttentionAndMlp(self, site) if self.pruning.has(site) else None
        arguments = (index, self.states, self.segments, self._bias_of_all_tokens(), between)
        self.key_bias = None
        if self.encoder.activation_checkpointing and torch.is_grad_enabled():
            self.states = checkpoint(run, *arguments, use_reentrant=False)
        else:
            self.states = run(*arguments)
        if between is not None:
            between.settle()
            self._unpad()
            self._pad()
        for selection in self.pending.pop(index, []):
            self.cut(Site("vit.block", index), selection)
        site = Site("vit.block", index)
        if self.pruning.has(site):
            self.cut(site, self.select(site))

    def _bias_of_all_tokens(self) -> Tensor | None:
        if self.key_bias is None or not self.has_others:
            return self.key_bias
        return self.states.new_zeros(len(self.states)).masked_scatter(
            self.is_patch, self.key_bias.to(self.states.dtype)
        )

    def cut(self, site: Site, selection: Selection | None) -> None:
        if selection is None:
            return
        self._unpad()
        cut = _Cut(selection, self)
        self.states = cut(self.states)
        self.settle(site, cut)
        self._pad()

    def settle(self, site: Site, cut: _Cut) -> None:
        """Everything but the states as it is after a cut."""
        selection = cut.selection
        self.features = {i: selection.apply(f, self.layout) for i, f in self.features.items()}
        if self.key_bias is not None:
            self.key_bias = self.key_bias.index_select(0, selection.survivors)
        self.segments = self.segments.keep(cut.goes_on, cut.lengths)
        self.is_patch = cut.is_patch.index_select(0, cut.index)
        self.has_others = self.has_others or selection.context is not None
        self.layout = selection.layout_after(self.layout)
        self.pruning.record(site, self.layout)

    def _pad(self) -> None:
        """Fill up to a whole number of buckets, so that a compiler meets few sizes, with a segment of zeros."""
        bucket = self.encoder.token_bucket
        if bucket is None:
            bucket = self.layout.patches_per_frame if self.states.is_cuda else 1
        self.padding = -len(self.states) % bucket
        if self.padding:
            self.states = F.pad(self.states, (0, 0, 0, self.padding))
            self.is_patch = F.pad(self.is_patch, (0, self.padding))
            self.segments = replace(self.segments, runs=(*self.segments.runs, (self.padding,)))
            self.has_others = True

    def _unpad(self) -> None:
        if self.padding:
            self.states, self.is_patch = self.states[: -self.padding], self.is_patch[: -self.padding]
            self.segments = replace(self.segments, runs=self.segments.runs[:-1])
            self.padding = 0


class _Cut:
    """A selection as a function of packed states, which may be computed again.

    Args:
        selection: About the living patches.
        run: Whose patches they are, among other tokens perhaps.
    """

    def __init__(self, selection: Selection, run: FramePass) -> None:
        self.selection, self.layout = selection, run.layout
        self.before = run.is_patch if run.has_others else None
        keep, context = selection.keep, selection.context
        stays = keep if context is None else keep | context
        if self.before is None:
            self.goes_on, self.is_patch = stays, keep
        else:
            self.goes_on, self.is_patch = torch.ones_like(self.before), torch.zeros_like(self.before)
            self.goes_on[self.before] = stays
            self.is_patch[self.before] = keep
        self.lengths: tuple[int, ...] | None = None
        if selection.tokens_per_frame is not None and context is None:
            lengths = run.segments.lengths[: len(run.layout.frames)]
            counts = zip(lengths, run.layout.tokens_per_frame, selection.tokens_per_frame, strict=True)
            left = tuple(length - before + after for length, before, after in counts)
            self.lengths = left + run.segments.lengths[len(left) :]  # padding behind the frames goes on
        self.index = places(self.goes_on, None if self.lengths is None else sum(self.lengths))

    def __call__(self, states: Tensor) -> Tensor:
        """(T, C) to the tokens that go on."""
        selection = self.selection
        kept = states.index_select(0, self.index)
        if selection.merge_into is None and selection.embeddings is None:
            return kept
        survivors = selection.embeddings
        if survivors is None:
            survivors = selection.apply(states if self.before is None else states[self.before], self.layout)
        if self.before is None and selection.context is None:
            return survivors.to(kept.dtype)
        return kept.masked_scatter(self.is_patch[self.index].unsqueeze(1), survivors.to(kept.dtype))


class _BetweenAttentionAndMlp:
    """A pruner's turn within a block. The block may be computed again in the backward pass; the decision is not."""

    def __init__(self, run: FramePass, site: Site) -> None:
        self.run, self.site = run, site
        self.is_decided = False
        self.cut: _Cut | None = None

    def __call__(self, states: Tensor, query: Tensor, key: Tensor, scale: float) -> Tensor:
        if not self.is_decided:
            self.is_decided = True
            selection = self._select(states.detach(), query.detach(), key.detach(), scale)
            if selection is not None:
                self.cut = _Cut(selection, self.run)
        return states if self.cut is None else self.cut(states)

    @torch.no_grad()
    def _select(self, states: Tensor, query: Tensor, key: Tensor, scale: float) -> Selection | None:
        run = self.run

        def patches(values: Tensor) -> Tensor:
            return values[run.is_patch] if run.has_others else values

        selection = run.pruning.select(
            self.site,
            patches(states),
            run.layout,
            pixels=lambda: run.pixels,
            keys=lambda: patches(key),
            received_attention=lambda: patches(received_from_all(query, key, run.segments, scale)),
        )
        return run.keep_or_order(self.site, selection)

    def settle(self) -> None:
        if self.cut is not None:
            self.run.settle(self.site, self.cut)
