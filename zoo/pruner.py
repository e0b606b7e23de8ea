"""The contract of token pruners: where they act, what they see, what they decide, and what that costs.

A pruner names *sites* of the trunk, sees there exactly what it asked for, and answers with a `Selection`. The trunk
executes selections; a pruner never touches its modules. Source: docs/architecture.md; molmo2_stts sheet parts B and
C.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from zoo.errors import ConfigError
from zoo.layout import TokenLayout

Stage = Literal["pixels", "vit.block", "vit.output", "llm.layer"]
Need = Literal["pixels", "keys", "received_attention"]


@dataclass(frozen=True, slots=True, order=True)
class Site:
    """A place in the trunk: after the stem (`pixels`), after ViT block l, after the ViT, before LLM layer k."""

    stage: Stage
    index: int = 0

    @classmethod
    def parse(cls, text: str) -> Site:
        """Read `pixels`, `vit.block[3]`, `vit.output` or `llm.layer[2]`.

        Raises:
            ConfigError: the text names no site.
        """
        match = re.fullmatch(r"(pixels|vit\.output)|(vit\.block|llm\.layer)\[(\d+)\]", text)
        if match is None:
            raise ConfigError(
                f"no site {text!r}. Sites: pixels, vit.block[l], vit.output, llm.layer[k], counted from 0"
            )
        return cls(match[1]) if match[1] else cls(match[2], int(match[3]))

    def __str__(self) -> str:
        return self.stage if self.stage in ("pixels", "vit.output") else f"{self.stage}[{self.index}]"


@dataclass(frozen=True, kw_only=True)
class SiteView:
    """What a pruner sees at one site.

    Args:
        site: The place.
        tokens: (tokens, channels) states of the living vision tokens, in the layout's order.
        layout: Where they came from.
        clip_seeds: One integer a clip, derived from its sample key: the only source of randomness.
        training: The trunk is in training mode.
        pixels: (frames, 3, height, width) normalised, where asked for.
    """

    site: Site
    tokens: Tensor
    layout: TokenLayout
    clip_seeds: tuple[int, ...]
    training: bool
    pixels: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What a pruner decides about the tokens of a view.

    Args:
        keep: (tokens,) bool, survivors.
        merge_into: (tokens,) int64, the survivor that each token joins (survivors point at themselves), or None: the
            rest is dropped. Merged states are averages weighted by patches.
        embeddings: (survivors, channels), states that replace the survivors' own.
        key_bias: (tokens,) float, added to the logits of these keys in the next block.
        cut_after: ViT block after which the tokens leave; None: at once.
        auxiliary_loss: Scalar added to the training loss.
        scores: (tokens,) float, for pictures; higher is more important.
    """

    keep: Tensor
    merge_into: Tensor | None = None
    embeddings: Tensor | None = None
    key_bias: Tensor | None = None
    cut_after: int | None = None
    auxiliary_loss: Tensor | None = None
    scores: Tensor | None = None

    def apply(self, tokens: Tensor, layout: TokenLayout) -> Tensor:
        """States of the survivors, (survivors, channels)."""
        if self.merge_into is None:
            return tokens[self.keep]
        weight = torch.bincount(layout.token, minlength=layout.num_tokens).to(tokens.dtype).unsqueeze(1)
        total = torch.zeros_like(tokens).index_add_(0, self.merge_into, tokens * weight)
        mass = torch.zeros_like(weight).index_add_(0, self.merge_into, weight)
        return (total / mass.clamp(min=1))[self.keep]

    def layout_after(self, layout: TokenLayout) -> TokenLayout:
        return layout.keep(self.keep) if self.merge_into is None else layout.merge(self.merge_into)


class TokenBudget(ABC):
    """How many windows a clip keeps: weightless and picklable, so that loader workers plan packing before any score
    exists.
    """

    is_exact: ClassVar[bool] = True
    """False: the numbers are upper bounds, and sequences are compacted after selection."""

    @abstractmethod
    def __call__(self, windows_per_clip: Sequence[int]) -> tuple[int, ...]:
        """Windows that each clip keeps of the windows that reach this pruner."""


@dataclass(frozen=True)
class RemoveShare(TokenBudget):
    """Drop floor(share * windows) of every clip.

    Args:
        remove: Share of a clip's windows to drop, in [0, 1).
    """

    remove: float

    def __post_init__(self) -> None:
        if not 0 <= self.remove < 1:
            raise ConfigError(f"remove must be in [0, 1), got {self.remove}; 0.5 drops half of a clip's windows")

    def __call__(self, windows_per_clip: Sequence[int]) -> tuple[int, ...]:
        return tuple(n - int(n * self.remove) for n in windows_per_clip)


class Pruner(nn.Module, ABC):
    """Decides which vision tokens leave the trunk.

    Class attributes:
        example_args: The smallest valid instance: tests, benchmarks and `zoo doctor` build it.
        needs: What beside states and layout its views must hold.
    """

    kind: ClassVar[str] = "pruner"
    example_args: ClassVar[dict[str, object]] = {}
    needs: ClassVar[frozenset[Need]] = frozenset()

    @abstractmethod
    def sites(self) -> tuple[Site, ...]:
        """The places where `select` is to be called, in order."""

    @abstractmethod
    def select(self, view: SiteView, memory: dict[str, Tensor]) -> Selection:
        """Decide at one site.

        Args:
            view: What is seen there.
            memory: Carried between the sites of one forward pass, then gone.
        """

    @abstractmethod
    def budget(self) -> TokenBudget:
        """How many windows a clip keeps after all sites."""


@dataclass(kw_only=True)
class PruningPass:
    """The pruners of one forward pass, their memory, and what they did.

    Args:
        pruners: In the order in which they act.
        clip_seeds: One integer a clip.
        training: The trunk is in training mode.
    """

    pruners: Sequence[Pruner]
    clip_seeds: tuple[int, ...] = ()
    training: bool = False
    losses: list[Tensor] = field(default_factory=list)
    tokens_per_clip: dict[Site, tuple[int, ...]] = field(default_factory=dict)
    layouts: dict[Site, TokenLayout] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._by_site = {site: pruner for pruner in self.pruners for site in pruner.sites()}
        self._memory: dict[int, dict[str, Tensor]] = {}

    def has(self, site: Site) -> bool:
        return site in self._by_site

    def select(self, site: Site, tokens: Tensor, layout: TokenLayout, pixels: Tensor | None = None) -> Selection | None:
        """The decision of the pruner that acts at a site, or None where none does."""
        pruner = self._by_site.get(site)
        if pruner is None:
            return None
        view = SiteView(
            site=site,
            tokens=tokens,
            layout=layout,
            clip_seeds=self.clip_seeds,
            training=self.training,
            pixels=pixels if "pixels" in pruner.needs else None,
        )
        selection = pruner.select(view, self._memory.setdefault(id(pruner), {}))
        if selection.auxiliary_loss is not None:
            self.losses.append(selection.auxiliary_loss)
        return selection

    def record(self, site: Site, layout: TokenLayout) -> None:
        """Remember what lives after a cut, for logs and overlays."""
        self.tokens_per_clip[site] = layout.tokens_per_clip
        self.layouts[site] = layout


def check_pruners(pruners: Sequence[Pruner], available: Sequence[Site], provides: frozenset[Need]) -> None:
    """Refuse, before anything runs, pruners that the trunk cannot serve.

    Raises:
        ConfigError: a site that the trunk lacks, an input that it cannot provide, or two pruners at one place.
    """
    taken: dict[Site, Pruner] = {}
    for pruner in pruners:
        name = type(pruner).__name__
        missing = pruner.needs - provides
        if missing:
            raise ConfigError(f"{name} needs {sorted(missing)}, this trunk provides {sorted(provides)}")
        for site in pruner.sites():
            if site not in available:
                same = [s for s in available if s.stage == site.stage]
                places = f"{same[0]} to {same[-1]}" if same else ", ".join(sorted({s.stage for s in available}))
                raise ConfigError(f"{name} acts at {site}, which this trunk lacks; it offers {places}")
            if site in taken:
                raise ConfigError(f"{type(taken[site]).__name__} and {name} both act at {site}; move one of them")
            taken[site] = pruner
