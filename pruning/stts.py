"""Score every window of a video inside the vision encoder; the lowest leave it, and never reach the language model.

A scorer reads the states after block l: it pools each window, compares it with the same window one frame before, and
gives a score in (0, 1). Block l + 1 hears the scores as a bias on its keys, which is how the task's gradient reaches
the scorer; behind it the lowest windows of the whole clip leave. A second loss asks that a window that changed since
the frame before scores high.

Source: STTS (arXiv 2603.18004); molmo2_stts sheet B2-B9. Agrees with the published code in scorer, bias, selection and
    loss; `auxiliary_weight=0` is the paper's ablation without the second loss (B11).
Differs: a clip's first frame has zeros before it, where the published code looks into the clip before in the batch; the
    second loss compares neighbours only, never all windows with all, and never across clips (B6); first frames cannot
    be removed, so a clip of one frame keeps all (B5); survivors run as sequences of their own length, unless `packing`
    asks for the published refill, which bins only decide about here: they are never laid out (B7). Behind a pruner that
    took patches, a window is what is left of it, and has changed as far as the patches have that both frames still
    show. A norm before the scorer and scores that begin low are options for small encoders that were trained from
    nothing: states of size 12 and windows that mostly stay as they are drove every score to 0 within 20 steps, where
    the loss of such scores has no slope.

Shapes: F frames of videos, W windows of a frame, P patches of a window, C channels, H heads, D head_dim.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from zoo.errors import ConfigError
from zoo.host_facts import on_device
from zoo.layout import TokenLayout
from zoo.packing import first_fit_decreasing
from zoo.pruner import Pruner, RemoveShare, Selection, Site, SiteView, TokenBudget, TrunkShape, keep_best

Rescale = Literal["row", "frame"]

SIGLIP_MLP_SHARE = 4304 / 1152
"""Width of the scorer's MLP over the vision encoder's channels, as published; the encoder's own MLPs have it too."""


def split_windows(values: Tensor, window: tuple[int, int]) -> Tensor:
    """(frames, rows, columns, ...) of a grid that windows divide to (frames, windows, patches, ...), row by row."""
    (height, width), (frames, rows, columns) = window, values.shape[:3]
    split = values.reshape(frames, rows // height, height, columns // width, width, *values.shape[3:])
    return split.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def spread_windows(values: Tensor, window: tuple[int, int]) -> Tensor:
    """(frames, window rows, window columns) to (frames, rows, columns): every patch has the value of its window."""
    (height, width), (frames, rows, columns) = window, values.shape
    spread = values[:, :, None, :, None].expand(-1, -1, height, -1, width)
    return spread.reshape(frames, rows * height, columns * width)


def widened(values: Tensor) -> Tensor:
    """The same in float32; in float64 where they are that."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


@dataclass(frozen=True, kw_only=True)
class VideoWindows:
    """The frames of videos that a view shows, window by window.

    Args:
        frames: Their numbers in the layout, on the host.
        patches: (F, W, P, C), 0 where nothing lives.
        alive: (F, W, P) bool, or None where every patch is alive.
        has_previous: (F,) bool, a frame of the same clip comes before.
    """

    frames: tuple[int, ...]
    patches: Tensor
    alive: Tensor | None
    has_previous: Tensor

    @classmethod
    def of_view(cls, tokens: Tensor, layout: TokenLayout, window: tuple[int, int]) -> VideoWindows:
        """Cut (tokens, C) states into windows; copies them once, and gathers only where something has been cut."""
        own = layout.frames
        frames = tuple(number for number, is_video in enumerate(own.is_video) if is_video)
        if {own.window[number] for number in frames} - {window}:
            raise ValueError(f"a video comes in windows other than {window}, for which the trunk was built")
        canvas = tokens.reshape(len(own), *layout.grid, -1) if layout.is_whole else layout.unmerge(tokens)
        alive = None if layout.is_whole else layout.alive
        if len(frames) < len(own):
            index = on_device(frames, tokens.device, torch.int64)
            canvas = canvas.index_select(0, index)
            alive = None if alive is None else alive.index_select(0, index)
        return cls(
            frames=frames,
            patches=split_windows(canvas, window),
            alive=None if alive is None else split_windows(alive, window),
            has_previous=on_device([not own.is_first[n] for n in frames], tokens.device, torch.bool),
        )

    @property
    def living(self) -> Tensor | None:
        """(F, W) bool, windows of which anything is left; None where nothing has been cut."""
        return None if self.alive is None else self.alive.any(-1)

    def of_layout(self, scores: Tensor, layout: TokenLayout) -> Tensor:
        """(F, W) scores among all original windows of the layout, where those of images have 1: (windows,)."""
        if len(self.frames) == len(layout.frames):
            return scores.flatten()
        starts = tuple(accumulate(layout.windows_per_frame, initial=0))
        first = on_device([starts[number] for number in self.frames], scores.device)
        place = first[:, None] + torch.arange(scores.shape[1], device=scores.device)
        return scores.new_ones(layout.num_windows).index_copy(0, place.flatten(), scores.flatten())

    def of_tokens(self, values: Tensor, layout: TokenLayout) -> Tensor:
        """(F, rows, columns) values of patches for the tokens that lie there, images have 0: (tokens,)."""
        canvas = values.flatten(1)
        if len(self.frames) < len(layout.frames):
            index = on_device(self.frames, values.device, torch.int64)
            canvas = canvas.new_zeros(len(layout.frames), canvas.shape[1]).index_copy(0, index, canvas)
        return (
            canvas.flatten() if layout.is_whole else canvas.flatten().index_select(0, layout.patch[layout.first_pair])
        )


def rescaled(scores: Tensor, *, floor: float, across: Rescale, living: Tensor | None = None) -> Tensor:
    """Stretch the scores of each row of windows, or of each frame, to [floor, 1].

    Args:
        scores: (frames, window rows, window columns), in [0, 1].
        floor: What the lowest becomes.
        across: What is stretched as one.
        living: (frames, window rows, window columns) bool, the windows that count; all where left out. Others get 1.
    Returns:
        The same shape. Scores that are all equal become `floor`.
    """
    axes = (2,) if across == "row" else (1, 2)
    low = scores if living is None else scores.masked_fill(~living, 1.0)  # no score is above 1, none below 0
    high = scores if living is None else scores.masked_fill(~living, 0.0)
    low, high = low.amin(axes, keepdim=True), high.amax(axes, keepdim=True)
    stretched = floor + (scores - low) * (1 - floor) / (high - low + 1e-6)
    return stretched if living is None else stretched.masked_fill(~living, 1.0)


def temporal_loss(scores: Tensor, seen: VideoWindows) -> Tensor:
    """Mean squared distance of the scores from how much each window changed, over windows with a frame before.

    Args:
        scores: (F, W).
        seen: What was scored; the change is 1 - cosine of a window's patches side by side, now and one frame before.
    Returns:
        Scalar; 0 where no frame has one before.
    """
    patches = widened(seen.patches)  # bfloat16 resolves cosines near 1 in steps of 0.004
    now, before = patches[1:], patches[:-1]
    product = (now * before).sum((-1, -2))
    counted = seen.has_previous[1:, None].expand_as(product)
    square = patches.square().sum(-1)  # (F, W, P)
    if seen.alive is None:
        now_square, before_square = square.sum(-1)[1:], square.sum(-1)[:-1]
    else:
        common = seen.alive[1:] & seen.alive[:-1]  # dead patches are 0, so the product knows only these already
        now_square, before_square = (square[1:] * common).sum(-1), (square[:-1] * common).sum(-1)
        counted = counted & common.any(-1)
    # Lengths are bounded before the root, whose slope at 0 is infinite.
    lengths = now_square.clamp(min=1e-24).sqrt() * before_square.clamp(min=1e-24).sqrt()
    error = (scores[1:] - (1 - product / lengths)).square()
    return error.masked_fill(~counted, 0.0).sum() / counted.sum().clamp(min=1)


def refilled(layout: TokenLayout, keep: Tensor) -> Tensor | None:
    """The dropped tokens of frames that would lie alone in a bin, whose room is theirs (sheet B7).

    Args:
        layout: Before the cut.
        keep: (tokens,) bool.
    Returns:
        (tokens,) bool, or None where no token is meant. Reads the device once.
    """
    frames = len(layout.frames)
    counts = torch.bincount(layout.frame_of_token[keep], minlength=frames).tolist()
    bins = first_fit_decreasing(counts, max(layout.patches_per_frame, *counts))
    alone = {members[0] for members in bins if len(members) == 1}
    if not any(counts[number] < layout.tokens_per_frame[number] for number in alone):
        return None
    is_alone = on_device([number in alone for number in range(frames)], layout.device)
    return ~keep & is_alone[layout.frame_of_token]


class WindowPool(nn.Module):
    """One vector a window: the mean of its patches asks them, with the attention of the vision encoder's blocks.

    Args:
        hidden_size: Channels.
        num_heads: Attention heads.
    """

    def __init__(self, hidden_size: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(hidden_size, hidden_size)
        self.key = nn.Linear(hidden_size, hidden_size)
        self.value = nn.Linear(hidden_size, hidden_size)
        self.output = nn.Linear(hidden_size, hidden_size)

    def forward(self, patches: Tensor, alive: Tensor | None) -> Tensor:
        """(F, W, P, C), 0 where dead, and (F, W, P) bool to (F, W, C)."""
        count = patches.shape[2] if alive is None else alive.sum(-1, keepdim=True).clamp(min=1)
        query = self.query(patches.sum(2) / count)
        q, k, v = (x.unflatten(-1, (self.num_heads, -1)) for x in (query, self.key(patches), self.value(patches)))
        # One query a window: a fused kernel would fill a tile of 64 with it, so products and sums it is.
        logits = (widened(q).unsqueeze(2) * k).sum(-1) * k.shape[-1] ** -0.5  # (F, W, P, H)
        if alive is not None:
            logits = logits.masked_fill(~alive.unsqueeze(-1), torch.finfo(logits.dtype).min)
        weights = logits.softmax(2).to(v.dtype)
        return self.output((weights.unsqueeze(-1) * v).sum(2).flatten(-2))


class FullPrecisionLinear(nn.Linear):
    """A layer in float32 under autocast too: bfloat16 has some hundred scores for thousands of windows."""

    def forward(self, states: Tensor) -> Tensor:
        with torch.autocast(states.device.type, enabled=False):
            return F.linear(widened(states), widened(self.weight), widened(self.bias))


class WindowScorer(nn.Module):
    """How much each window of a video matters, from the window and the same one a frame before (sheet B3).

    Args:
        hidden_size: Channels of the vision encoder.
        num_heads: Attention heads of the pooling.
        intermediate_size: Width of the MLP.
        norm_input: Put a layer norm before everything.
        initial_score: What scores begin around, in (0, 1).
    """

    def __init__(
        self,
        *,
        hidden_size: int,
        num_heads: int,
        intermediate_size: int,
        norm_input: bool = False,
        initial_score: float = 0.5,
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden_size) if norm_input else None
        self.pool = WindowPool(hidden_size, num_heads)
        self.mlp_in = nn.Linear(2 * hidden_size, intermediate_size)
        self.mlp_hidden = nn.Linear(intermediate_size, intermediate_size)
        self.mlp_out = FullPrecisionLinear(intermediate_size, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                std = layer.in_features**-0.5
                nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)
                nn.init.zeros_(layer.bias)
        nn.init.constant_(self.mlp_out.bias, math.log(initial_score / (1 - initial_score)))

    def forward(self, seen: VideoWindows) -> Tensor:
        """(F, W) float32 in (0, 1); higher is to be kept."""
        patches = seen.patches if self.norm is None else self.norm(seen.patches)
        if self.norm is not None and seen.alive is not None:
            patches = patches.masked_fill(~seen.alive.unsqueeze(-1), 0.0)  # a norm has a bias
        pooled = self.pool(patches, seen.alive)  # (F, W, C)
        if seen.living is not None:
            pooled = pooled.masked_fill(~seen.living.unsqueeze(-1), 0.0)
        before = torch.cat([torch.zeros_like(pooled[:1]), pooled[:-1]])
        before = before.masked_fill(~seen.has_previous[:, None, None], 0.0)
        hidden = F.silu(self.mlp_in(torch.cat([before, pooled], dim=-1)))  # (F, W, I)
        return self.mlp_out(F.silu(self.mlp_hidden(hidden))).squeeze(-1).sigmoid()


class STTS(Pruner):
    """Remove the windows of a video that a learnt scorer inside the vision encoder rates lowest.

    Args:
        remove: Share of a clip's windows to drop, in [0, 1); its first frame is never touched, the others pay for it.
        block: ViT block after which windows are scored, counted from 0; the next one is biased, and they leave after
            that.
        rescale: What is stretched as one before scores become a bias, a row of windows as published or a whole frame.
        bias: Let the scores weigh the keys of the next block; without it the task's gradient does not reach the scorer.
        bias_floor: Factor, in (0, 1], by which the lowest-scoring keys are weighed down.
        auxiliary_weight: Weight, 0 or more, of the loss that scores changed windows high; with 0 there is none.
        packing: How survivors run on; `bins` gives a frame that would be alone in a bin of whole frames its dropped
            patches back as context, as published, and makes what a clip becomes depend on the rest of the batch.
        intermediate_size: Width of the scorer's MLP; `auto` takes the published share of the vision encoder's channels.
        norm_input: Put a layer norm before the scorer, for encoders whose states are large: scores saturate otherwise.
        initial_score: What scores begin around, in (0, 1); lower where most windows hardly change from frame to frame.
    Raises:
        ConfigError: a number outside its range.
    """

    example_args: ClassVar = {"remove": 0.4, "block": 0}
    neutral_args: ClassVar = {"remove": 0.0, "bias": False}

    def __init__(
        self,
        *,
        remove: float = 0.5,
        block: int = 3,
        rescale: Rescale = "row",
        bias: bool = True,
        bias_floor: float = math.exp(-2),
        auxiliary_weight: float = 0.5,
        packing: Literal["varlen", "bins"] = "varlen",
        intermediate_size: int | Literal["auto"] = "auto",
        norm_input: bool = False,
        initial_score: float = 0.5,
    ) -> None:
        super().__init__()
        self._budget = RemoveShare(remove, protect_first_frame=True)
        rules = {
            f"block is {block}, expected 0 or more": block >= 0,
            f"bias_floor is {bias_floor}, expected above 0 and up to 1": 0 < bias_floor <= 1,
            f"auxiliary_weight is {auxiliary_weight}, expected 0 or more": auxiliary_weight >= 0,
            f"intermediate_size is {intermediate_size}, expected 1 or more, or auto": (
                intermediate_size == "auto" or intermediate_size >= 1
            ),
            f"initial_score is {initial_score}, expected above 0 and below 1": 0 < initial_score < 1,
        }
        faults = [fault for fault, holds in rules.items() if not holds]
        if faults:
            raise ConfigError(f"stts: {'; '.join(faults)}")
        self.block = block
        self.rescale: Rescale = rescale
        self.bias = bias
        self.bias_floor = bias_floor
        self.auxiliary_weight = auxiliary_weight
        self.packing = packing
        self.intermediate_size = intermediate_size
        self.norm_input = norm_input
        self.initial_score = initial_score

    def build(self, trunk: TrunkShape) -> None:
        if self.block + 1 >= trunk.num_blocks:
            fix = f"set block to at most {trunk.num_blocks - 2}" if trunk.num_blocks > 1 else "it needs two"
            raise ConfigError(
                f"stts: scores after block {self.block} weigh the keys of block {self.block + 1}, but the "
                f"{trunk.num_blocks} blocks that run end with {trunk.num_blocks - 1}; {fix}"
            )
        if any(size % side for size, side in zip(trunk.grid, trunk.video_window, strict=True)):
            (rows, columns), (height, width) = trunk.grid, trunk.video_window
            fitting = " x ".join(_divisors(size) for size in trunk.grid)
            raise ConfigError(
                f"stts: windows of {height} x {width} patches do not divide a grid of {rows} x {columns}; set the "
                f"connector's video_window to sides of {fitting}"
            )
        self._window = tuple(trunk.video_window)
        width = self.intermediate_size
        self.scorer = WindowScorer(
            hidden_size=trunk.vision_size,
            num_heads=trunk.vision_heads,
            intermediate_size=round(trunk.vision_size * SIGLIP_MLP_SHARE) if width == "auto" else width,
            norm_input=self.norm_input,
            initial_score=self.initial_score,
        )

    def sites(self) -> tuple[Site, ...]:
        return (Site("vit.block", self.block),)

    def cuts(self) -> tuple[Site, ...]:
        return (Site("vit.block", self.block + 1),)

    def budget(self) -> TokenBudget:
        return self._budget

    def select(self, view: SiteView, memory: dict[str, Tensor]) -> Selection:
        layout = view.layout
        if not any(layout.frames.is_video):
            keep = torch.ones(layout.num_tokens, dtype=torch.bool, device=layout.device)
            return Selection(keep=keep, auxiliary_loss=self._nothing_seen(view.tokens) if view.training else None)
        if view.training and torch.is_grad_enabled():
            # Its copies of all patches would wait for the backward pass, as many bytes as pruning saves elsewhere.
            scores, loss = checkpoint(self._scored, view.tokens, layout, with_loss=True, use_reentrant=False)
        else:
            scores, loss = self._scored(view.tokens, layout, with_loss=view.training)
        seen = VideoWindows.of_view(view.tokens[:, :1].detach(), layout, self._window)  # where they are is enough here
        selection = keep_best(layout, seen.of_layout(scores, layout), self._budget, protect_first_frame=True)
        return replace(
            selection,
            key_bias=self._key_bias(scores, seen, layout) if self.bias else None,
            cut_after=self.block + 1,
            context=refilled(layout, selection.keep) if self.packing == "bins" else None,
            auxiliary_loss=loss,
        )

    def _scored(self, tokens: Tensor, layout: TokenLayout, *, with_loss: bool) -> tuple[Tensor, Tensor | None]:
        """(F, W) scores of (tokens, C) states, and what they cost in training."""
        seen = VideoWindows.of_view(tokens, layout, self._window)
        scores = self.scorer(seen)
        return scores, self._auxiliary_loss(scores, seen) if with_loss else None

    def _key_bias(self, scores: Tensor, seen: VideoWindows, layout: TokenLayout) -> Tensor:
        """(tokens,) logarithm of the rescaled scores; 0 in first frames and images."""
        shape = (-1, *(size // side for size, side in zip(layout.grid, self._window, strict=True)))
        living = None if seen.living is None else seen.living.view(shape)
        weights = rescaled(scores.view(shape), floor=self.bias_floor, across=self.rescale, living=living)
        bias = weights.log().masked_fill(~seen.has_previous[:, None, None], 0.0)
        return seen.of_tokens(spread_windows(bias, self._window), layout)

    def _auxiliary_loss(self, scores: Tensor, seen: VideoWindows) -> Tensor:
        # Without weight it is still a function of the scores: a process of several waits for every weight's gradient.
        return self.auxiliary_weight * temporal_loss(scores, seen) if self.auxiliary_weight else 0 * scores.sum()

    def _nothing_seen(self, tokens: Tensor) -> Tensor:
        """Zero, out of one black window: other processes of the training wait for a gradient of the scorer."""
        patches = tokens.new_zeros(1, 1, 1, tokens.shape[1])
        no_previous = torch.zeros(1, dtype=torch.bool, device=tokens.device)
        seen = VideoWindows(frames=(0,), patches=patches, alive=None, has_previous=no_previous)
        return 0 * self.scorer(seen).sum()


def _divisors(size: int) -> str:
    return "|".join(str(side) for side in range(1, size + 1) if size % side == 0)
