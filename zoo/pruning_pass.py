"""What pruners do to one forward pass, and whether a trunk can serve them at all.

Source: docs/architecture.md. The contract itself is `zoo.pruner`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from zoo.errors import ConfigError
from zoo.layout import TokenLayout
from zoo.pruner import (
    BEFORE_LANGUAGE,
    Need,
    Pruner,
    Rows,
    Selection,
    Site,
    SiteView,
    Stage,
    TokenBudget,
)


@dataclass(kw_only=True)
class PruningPass:
    """The pruners of one forward pass, their memory, and what they did.

    Args:
        pruners: In the order in which they act.
        by_site: The pruner of each site, indices counted from 0; worked out from `pruners` where it is left out.
        clip_seeds: One integer a clip.
        training: The trunk is in training mode.
        attention_rows: (rows,) int64 by kind of rows, places in the batch's sequence; see `Pruner.attention_rows`.
    """

    pruners: Sequence[Pruner]
    by_site: dict[Site, Pruner] | None = None
    clip_seeds: tuple[int, ...] = ()
    training: bool = False
    attention_rows: dict[Rows, Tensor] = field(default_factory=dict)
    losses: list[Tensor] = field(default_factory=list)
    tokens_per_clip: dict[Site, tuple[int, ...]] = field(default_factory=dict)
    layouts: dict[Site, TokenLayout] = field(default_factory=dict)
    scores: dict[Site, tuple[TokenLayout, Tensor]] = field(default_factory=dict)
    """What was scored at a site, and how (tokens,)."""

    def __post_init__(self) -> None:
        if self.by_site is None:
            self.by_site = {site: pruner for pruner in self.pruners for site in pruner.sites()}
        self._memory: dict[int, dict[str, Tensor]] = {}

    def has(self, site: Site) -> bool:
        return site in self.by_site

    def at(self, site: Site) -> Pruner:
        return self.by_site[site]

    def needs(self, site: Site) -> frozenset[Need]:
        """What the pruner of a site wants to see there."""
        return self.by_site[site].needs_at(site) if site in self.by_site else frozenset()

    def select(self, site: Site, tokens: Tensor, layout: TokenLayout, **seen: Callable[[], Tensor]) -> Selection | None:
        """The decision of the pruner that acts at a site, or None where none does, or where it only looks.

        Args:
            site: The place.
            tokens: (tokens, channels).
            layout: Of the tokens.
            seen: How to get each `Need` that this site can serve; called only where it is asked for.
        """
        pruner = self.by_site.get(site)
        if pruner is None:
            return None
        view = SiteView(
            site=site,
            tokens=tokens,
            layout=layout,
            clip_seeds=self.clip_seeds,
            training=self.training,
            **{need: seen[need]() for need in pruner.needs_at(site)},
        )
        # Autocast would turn the products of float32 similarities into bfloat16 ones; a scorer may want just that.
        is_learnt = next(pruner.parameters(), None) is not None
        with nullcontext() if is_learnt else torch.autocast(tokens.device.type, enabled=False):
            selection = pruner.select(view, self._memory.setdefault(id(pruner), {}))
        if selection is None:
            return None
        _check_fields(selection, site)
        if selection.auxiliary_loss is not None:
            self.losses.append(selection.auxiliary_loss)
        if selection.scores is not None:
            self.scores[site] = layout, selection.scores.detach()
        return selection

    def record(self, site: Site, layout: TokenLayout) -> None:
        """Remember what lives after a cut, for logs and overlays."""
        self.tokens_per_clip[site] = layout.tokens_per_clip
        self.layouts[site] = layout


FIELDS_AT: dict[str, tuple[str, ...]] = {
    "merge_into": ("vit.stem", "vit.attention", "vit.block", "vit.output", "connector.output", "llm.layer"),
    "embeddings": ("vit.stem", "vit.attention", "vit.block", "vit.output", "connector.output", "llm.layer"),
    "key_bias": ("vit.stem", "vit.attention", "vit.block"),
    "cut_after": ("vit.stem", "vit.block"),
    "context": ("vit.stem", "vit.attention", "vit.block"),
}
"""Where fields of a selection that are not everywhere can be carried out."""


def _check_fields(selection: Selection, site: Site) -> None:
    """Refuse what would be passed over in silence: a pruner's mistake, not its user's."""
    given = [
        name for name, stages in FIELDS_AT.items() if site.stage not in stages and getattr(selection, name) is not None
    ]
    if selection.prune_cache and site.stage != "llm.layer":
        given.append("prune_cache")
    if given:
        raise ValueError(f"a selection at {site} has {', '.join(given)}, which nothing can carry out there")


PROVIDED: dict[Stage, frozenset[Need]] = {
    "pixels": frozenset({"pixels"}),
    "vit.stem": frozenset({"pixels"}),
    "vit.attention": frozenset({"pixels", "keys", "received_attention"}),
    "vit.block": frozenset({"pixels"}),
    "vit.output": frozenset({"pixels"}),
    "connector.output": frozenset(),
    "llm.layer": frozenset({"keys", "received_attention"}),
    "decode.layer": frozenset(),
}
"""What each kind of site can show beside states and layout."""


def resolve_pruners(pruners: Sequence[Pruner], available: Sequence[Site]) -> dict[Site, Pruner]:
    """Find every pruner's sites in a trunk, and refuse, before anything runs, what it cannot serve.

    Args:
        pruners: In the order in which they were given.
        available: The trunk's sites, in the order in which they are reached.
    Returns:
        The pruner of each site, indices counted from 0.
    Raises:
        ConfigError: a site that the trunk lacks, an input that it cannot provide there, or two pruners at one place.
    """
    found: dict[Site, Pruner] = {}
    taken: dict[Site, Pruner] = {}
    for pruner in pruners:
        name = type(pruner).__name__
        for site in pruner.sites():
            place = _in_trunk(site, available, name)
            nothing_ran = place == Site("llm.layer", 0)
            missing = pruner.needs_at(site) - (frozenset() if nothing_ran else PROVIDED[site.stage])
            if missing:
                raise ConfigError(
                    f"{name} needs {', '.join(sorted(missing))} at {place}, where there is no such thing; move it"
                )
            if site.stage == "decode.layer" and type(pruner).hide is Pruner.hide:
                raise ConfigError(
                    f"{name} acts at {place}, but hides nothing while answers are generated; choose a place before the "
                    "language model, llm.layer[k], or a pruner that does, such as dycoke"
                )
            _claim(taken, place, pruner)
            found[place] = pruner
        for site in pruner.cuts():
            _claim(taken, _in_trunk(site, available, name), pruner)
    for pruner in pruners:
        _check_nothing_between(pruner, found, available)
    return found


def budgets_in_order(pruners: Sequence[Pruner], available: Sequence[Site]) -> tuple[TokenBudget, ...]:
    """Budgets in the order in which windows leave, which need not be that of the list.

    Args:
        pruners: Whose sites are all there.
        available: The trunk's sites, in the order in which they are reached.
    """

    def last_place(pruner: Pruner) -> int:
        sites = [site for site in (*pruner.sites(), *pruner.cuts()) if site.stage in BEFORE_LANGUAGE]
        return max((available.index(_in_trunk(site, available, type(pruner).__name__)) for site in sites), default=0)

    return tuple(pruner.budget() for pruner in sorted(pruners, key=last_place))


def _check_nothing_between(pruner: Pruner, found: Mapping[Site, Pruner], available: Sequence[Site]) -> None:
    """What was decided at one place and leaves at another must be there still."""
    name = type(pruner).__name__
    cuts = [available.index(_in_trunk(site, available, name)) for site in pruner.cuts()]
    sites = [available.index(site) for site, owner in found.items() if owner is pruner]
    for site, other in found.items():
        if cuts and other is not pruner and min(sites) < available.index(site) < max(cuts):
            raise ConfigError(
                f"{type(other).__name__} acts at {site}, between {available[min(sites)]}, where {name} decides, and "
                f"{available[max(cuts)]}, where its tokens leave; move one of them"
            )


def _claim(taken: dict[Site, Pruner], place: Site, pruner: Pruner) -> None:
    if taken.get(place, pruner) is not pruner:
        raise ConfigError(
            f"{type(taken[place]).__name__} and {type(pruner).__name__} both act at {place}; move one of them"
        )
    taken[place] = pruner


def _in_trunk(site: Site, available: Sequence[Site], name: str) -> Site:
    same = [place for place in available if place.stage == site.stage]
    place = replace(site, index=site.index + len(same)) if site.index < 0 else site
    if place not in same:
        stages = ", ".join(dict.fromkeys(s.stage for s in available))
        places = f"{same[0]} to {same[-1]}" if len(same) > 1 else stages
        raise ConfigError(f"{name} acts at {site}, which this trunk lacks; it offers {places}")
    return place
