"""The contract of token pruners: where they act, what they see, what they decide, and what that costs.

A pruner names *sites* of the trunk, sees there exactly what it asked for, and answers with a `Selection`. The trunk
executes selections; a pruner never touches its modules. Source: docs/architecture.md; molmo2_stts sheet parts B and
C.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from zoo.errors import ConfigError
from zoo.layout import TokenLayout, places

Stage = Literal[
    "pixels",
    "vit.stem",
    "vit.attention",
    "vit.block",
    "vit.output",
    "connector.output",
    "llm.layer",
    "decode.layer",
]
Need = Literal["pixels", "keys", "received_attention"]
Rows = Literal["last", "text", "all"]

INDEXED = ("vit.attention", "vit.block", "llm.layer", "decode.layer")
BEFORE_LANGUAGE = ("pixels", "vit.stem", "vit.attention", "vit.block", "vit.output", "connector.output")


@dataclass(frozen=True, slots=True, order=True)
class Site:
    """A place in the trunk.

    `pixels`: before anything is computed. `vit.stem`: patch embeddings with their positions. `vit.attention[l]`: within
    ViT block l, between its attention and its MLP. `vit.block[l]`: after block l. `vit.output`: after the last block.
    `connector.output`: one vector a window. `llm.layer[k]`: before layer k of the language model. `decode.layer[k]`: in
    layer k, while an answer is being generated. A negative index counts from the last block or layer that runs.

    Gradients reach the weights of pruners at all places but `vit.attention[l]`, whose block may be computed again.
    """

    stage: Stage
    index: int = 0

    @classmethod
    def parse(cls, text: str) -> Site:
        """Read `pixels`, `vit.block[3]`, `vit.attention[-2]`, `connector.output`, `llm.layer[2]` and the like.

        Raises:
            ConfigError: the text names no site.
        """
        match = re.fullmatch(r"([a-z.]+)(?:\[(-?\d+)\])?", text)
        stage, index = match.groups() if match else (None, None)
        if stage not in (*BEFORE_LANGUAGE, *INDEXED) or (stage in INDEXED) != (index is not None):
            raise ConfigError(
                f"no site {text!r}. Sites: pixels, vit.stem, vit.attention[l], vit.block[l], vit.output, "
                "connector.output, llm.layer[k], decode.layer[k], counted from 0, or with negative numbers from the end"
            )
        return cls(stage, int(index or 0))

    def __str__(self) -> str:
        return f"{self.stage}[{self.index}]" if self.stage in INDEXED else self.stage


@dataclass(frozen=True, kw_only=True)
class SiteView:
    """What a pruner sees at one site.

    Args:
        site: The place, its index counted from 0.
        tokens: (tokens, channels) states of the living vision tokens, in the layout's order: patches in the vision
            encoder, windows behind the connector. No channels at `pixels`, where nothing is computed yet.
        layout: Where they came from.
        clip_seeds: One integer a clip, derived from its sample key: the only source of randomness.
        training: The trunk is in training mode.
        pixels: (frames, 3, height, width) normalised, where asked for; in the vision encoder.
        keys: (tokens, heads, head_dim) of the attention that was just computed, where asked for: at `vit.attention[l]`
            of block l, at `llm.layer[k]` of layer k - 1, rotated.
        received_attention: (tokens,) float32, where asked for: attention that the tokens received there, a mean over
            heads. In the vision encoder over all queries of the frame; in the language model over the rows that
            `Pruner.attention_rows` names.
    """

    site: Site
    tokens: Tensor
    layout: TokenLayout
    clip_seeds: tuple[int, ...]
    training: bool
    pixels: Tensor | None = None
    keys: Tensor | None = None
    received_attention: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What a pruner decides about the tokens of a view.

    Args:
        keep: (tokens,) bool, survivors.
        merge_into: (tokens,) int64, the survivor that each token joins (survivors point at themselves; tokens that are
            dropped at -1), or None: the rest is dropped. Merged states are averages weighted by patches.
        embeddings: (survivors, channels), states that replace the survivors' own.
        key_bias: (tokens,) float, added to the logits of these keys in the next block; not in the language model.
        cut_after: ViT block after which the tokens leave; None: at once.
        context: (tokens,) bool, tokens that do not survive, but take part in the rest of the blocks as keys, queries
            and values, and give no feature; None: no such tokens.
        prune_cache: At `llm.layer[k]`: what is dropped also leaves the keys and values of the layers before k.
        auxiliary_loss: Scalar added to the training loss.
        scores: (tokens,) float, for pictures; higher is more important.
        windows: (original windows,) bool, where whole windows were chosen: tokens that were merged out of several lose
            the patches of the others.
        tokens_per_frame: Survivors of each frame, where the host knows and every other token is merged, or none is: the
            device then need not be asked. For pruners that act in every block.
    """

    keep: Tensor
    merge_into: Tensor | None = None
    embeddings: Tensor | None = None
    key_bias: Tensor | None = None
    cut_after: int | None = None
    context: Tensor | None = None
    prune_cache: bool = False
    auxiliary_loss: Tensor | None = None
    scores: Tensor | None = None
    windows: Tensor | None = None
    tokens_per_frame: tuple[int, ...] | None = None

    @cached_property
    def survivors(self) -> Tensor:
        """(survivors,) int64, tokens that are kept."""
        return places(self.keep, None if self.tokens_per_frame is None else sum(self.tokens_per_frame))

    def apply(self, tokens: Tensor, layout: TokenLayout) -> Tensor:
        """States of the survivors, (survivors, channels)."""
        if self.merge_into is None:
            return tokens.index_select(0, self.survivors)
        joins = self.merge_into >= 0
        into = self.merge_into.clamp(min=0)
        weight = (layout.patches_per_token * joins).float().unsqueeze(1)
        values = tokens.float()  # sums of many small parts; bfloat16 would lose them
        total = torch.zeros_like(values).index_add(0, into, values * weight)
        mass = torch.zeros_like(weight).index_add(0, into, weight)
        averages = (total / mass.clamp(min=1)).to(tokens.dtype)
        return torch.where(mass > weight, averages, tokens).index_select(
            0, self.survivors
        )  # alone: not a digit changes

    def layout_after(self, layout: TokenLayout) -> TokenLayout:
        if self.merge_into is None:
            return layout.keep(self.keep, self.tokens_per_frame, self.windows)
        return layout.merge(self.merge_into, self.tokens_per_frame)


@dataclass(frozen=True, kw_only=True)
class DecodeView:
    """What a pruner sees in one layer while one more token of every row is generated.

    Args:
        site: The place.
        attention: (rows, slots) float32, what the new token gives to each slot of its row, a mean over heads; computed
            over all filled slots, those that the pruner has hidden too.
        is_vision: (rows, slots) bool, slots that hold vision tokens of videos.
        step: Tokens that were generated before this one.
    """

    site: Site
    attention: Tensor
    is_vision: Tensor
    step: int


class ClipSize(NamedTuple):
    """A clip as a budget sees it, on the host.

    Args:
        windows: That reach the pruner.
        frames: Of the clip.
        is_video: False for images, which video methods leave alone.
        first_frame: Windows of the first frame before anything was cut; None: as many as any other of these windows'.
    """

    windows: int
    frames: int
    is_video: bool = True
    first_frame: int | None = None

    @property
    def protected(self) -> int:
        """Windows that a first frame can have among those that reach the pruner."""
        return min(self.windows, self.windows // max(self.frames, 1) if self.first_frame is None else self.first_frame)


def share_of(count: int, share: float) -> int:
    """Whole ones in a share, rounded down; 0.29 of 100 are 29, though 0.29 * 100 is a little less."""
    return int(count * share + 1e-9)


class TokenBudget(ABC):
    """How many windows a clip keeps: weightless and picklable, so that loader workers plan packing before any score
    exists.
    """

    is_exact: ClassVar[bool] = True
    """False: the numbers are upper bounds, and sequences are compacted after selection."""

    @abstractmethod
    def __call__(self, clips: Sequence[ClipSize]) -> tuple[int, ...]:
        """Windows that each clip keeps of the windows that reach this pruner."""


@dataclass(frozen=True)
class RemoveShare(TokenBudget):
    """Drop floor(share * windows) of every video, and nothing of images (molmo2_stts sheet B5).

    Args:
        remove: Share of a clip's windows to drop, in [0, 1).
        protect_first_frame: The first frame's windows cannot be dropped, so that a clip of one frame keeps all.
        images: Images are cut like videos.
    """

    remove: float
    protect_first_frame: bool = False
    images: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.remove < 1:
            raise ConfigError(f"remove must be in [0, 1), got {self.remove}; 0.5 drops half of a clip's windows")

    def __call__(self, clips: Sequence[ClipSize]) -> tuple[int, ...]:
        return tuple(clip.windows - self._dropped(clip) for clip in clips)

    def _dropped(self, clip: ClipSize) -> int:
        if not (clip.is_video or self.images):
            return 0
        dropped = share_of(clip.windows, self.remove)
        if not self.protect_first_frame:
            return dropped
        return min(dropped, clip.windows - clip.protected)


@dataclass(frozen=True)
class KeepAll(TokenBudget):
    """Every window enters the language model: a pruner that merges within the encoder only, or acts behind it."""

    def __call__(self, clips: Sequence[ClipSize]) -> tuple[int, ...]:
        return tuple(clip.windows for clip in clips)


@dataclass(frozen=True)
class AtMostAll(KeepAll):
    """How many windows are left depends on what a clip shows."""

    is_exact: ClassVar[bool] = False


@dataclass(frozen=True, kw_only=True)
class TrunkShape:
    """What a pruner with weights, or with a grid of its own, must know of the trunk before anything runs.

    Args:
        vision_size: Channels of the vision encoder.
        vision_heads: Its attention heads.
        num_blocks: Its blocks that run.
        grid: (rows, columns) of patches of a frame.
        video_window: (rows, columns) of patches of a video's window.
        hidden_size: Channels of the language model.
        num_layers: Its layers.
    """

    vision_size: int
    vision_heads: int
    num_blocks: int
    grid: tuple[int, int]
    video_window: tuple[int, int]
    hidden_size: int
    num_layers: int


class Pruner(nn.Module, ABC):
    """Decides which vision tokens leave the trunk.

    Class attributes:
        example_args: The smallest valid instance: tests, benchmarks and `zoo doctor` build it.
        neutral_args: Arguments under which every token stays as it is.
        needs: What beside states and layout its views must hold.
        attention_rows: Whose attention `received_attention` is in the language model: of the token before each answer,
            of all tokens of the questions, or of all tokens of the sequence.
        attention_reduction: Over those rows.
    """

    kind: ClassVar[str] = "pruner"
    example_args: ClassVar[dict[str, object]] = {}
    neutral_args: ClassVar[dict[str, object]] = {"remove": 0.0}
    needs: ClassVar[frozenset[Need]] = frozenset()
    attention_rows: ClassVar[Rows] = "last"
    attention_reduction: ClassVar[Literal["mean", "max"]] = "mean"

    def build(self, trunk: TrunkShape) -> None:
        """Make the weights, once, before the first forward pass; refuse a trunk that does not suit.

        Raises:
            ConfigError: the trunk's grid or depth does not suit.
        """

    @abstractmethod
    def sites(self) -> tuple[Site, ...]:
        """The places where `select` is to be called, in order."""

    def cuts(self) -> tuple[Site, ...]:
        """The places where tokens leave, where those are others than `sites`."""
        return ()

    def needs_at(self, site: Site) -> frozenset[Need]:
        """What the view of one of its sites must hold."""
        return self.needs

    @abstractmethod
    def select(self, view: SiteView, memory: dict[str, Tensor]) -> Selection | None:
        """Decide at one site.

        Args:
            view: What is seen there.
            memory: Carried between the sites of one forward pass, then gone.
        Returns:
            None where it only looked.
        """

    def hide(self, view: DecodeView, memory: dict[str, Tensor]) -> Tensor:
        """Which slots the later layers do not see while this token is generated; only called at `decode.layer[k]`.

        Args:
            view: What is seen there.
            memory: Tensors whose first axis is the rows; carried from token to token of one generation. Rows that were
                not seen before hold zeros; once long rows have ended, there may be fewer slots than before.
        Returns:
            (rows, slots) bool, True where hidden. Hidden slots are kept, and may be seen again at a later token; only
            slots of videos' vision tokens can be hidden.
        """
        raise AssertionError(f"{type(self).__name__} was asked to hide slots at {view.site}")

    @abstractmethod
    def budget(self) -> TokenBudget:
        """How many windows of a clip enter the language model."""


def keep_best(
    layout: TokenLayout, scores: Tensor, budget: TokenBudget, *, protect_first_frame: bool = False
) -> Selection:
    """Keep the highest-scoring windows of every clip.

    Args:
        layout: Of the view.
        scores: (original windows,) float, higher is more important; what is said of dead windows does not count.
        budget: How many.
        protect_first_frame: Windows of first frames come before all others.
    Returns:
        Whole windows, with `scores`.
    """
    shown = scores.detach().float()
    ranked = shown.masked_fill(layout.window_in_first_frame, torch.inf) if protect_first_frame else shown
    if not layout.is_whole:
        ranked = ranked.masked_fill(~layout.living_windows, -torch.inf)  # what is gone cannot be kept again
    windows = layout.top_windows(ranked, budget(clip_sizes(layout)))
    return Selection(keep=layout.keep_windows(windows), scores=layout.of_window(shown), windows=windows)


def clip_sizes(layout: TokenLayout) -> tuple[ClipSize, ...]:
    """The clips of a layout as budgets see them; reads the device where something has been cut before."""
    frames = layout.frames
    if layout.is_whole:
        windows = layout.windows_per_clip
    else:
        living = layout.clip_of_window[layout.living_windows]
        windows = tuple(torch.bincount(living, minlength=frames.num_clips).tolist())
    counts, is_video, first = [0] * frames.num_clips, [True] * frames.num_clips, [0] * frames.num_clips
    facts = zip(frames.clip, frames.is_video, frames.is_first, layout.windows_per_frame, strict=True)
    for clip, video, is_first, brought in facts:
        counts[clip] += 1
        is_video[clip] = video
        first[clip] += brought if is_first else 0
    return tuple(map(ClipSize, windows, counts, is_video, first))
