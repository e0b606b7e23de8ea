"""Furniture in any colours: for training, where what a thing is must not be told from its paint.

Differs from `appearance`: what a description says of colour is not kept, so a library whose descriptions name none of
things that are painted here is needed where tasks speak of them.
"""

from __future__ import annotations

import numpy as np

from zoo.envs.assets.design import COLOURS
from zoo.envs.assets.library import AssetFacts
from zoo.envs.draws import pick
from zoo.envs.houses.appearance import (
    ART,
    ART_PARTS,
    FABRICS,
    MAIN_PARTS,
    METALS,
    PAINTS,
    SHADES,
    STONES,
    TILES,
    WOODS,
    Rgb,
    Style,
    opaque,
    varied,
)
from zoo.envs.scenes.specification import Colour

PALETTES: tuple[tuple[Rgb, ...], ...] = (
    WOODS,
    FABRICS,
    (*PAINTS, *TILES),
    (*METALS, *STONES, *SHADES),
    ART,
    tuple(COLOURS.values()),
)
"""Each as likely as the others; every colour of a house and of a design is in one of them."""

LEAVES: tuple[Rgb, ...] = (
    (0.25, 0.58, 0.25),
    (0.16, 0.40, 0.18),
    (0.45, 0.62, 0.22),
    (0.35, 0.50, 0.32),
    (0.55, 0.66, 0.40),
    (0.50, 0.22, 0.26),
)
OWN_PALETTES: dict[str, tuple[Rgb, ...]] = {"leaves": LEAVES}
"""Of parts that are nothing in other colours."""

KEPT_PARTS = (*ART_PARTS, "screen", "glass", "face", "hands", "soil")
"""Parts that are painted as in any house."""

ONE_COLOUR_CHANCE = 0.6
"""That the main parts of a thing share a colour, as the body and the doors of a fridge mostly do."""


class RepaintedStyle(Style):
    """A style that paints a share of what no hand lifts in any colours; the rest looks as in any house.

    Args:
        rng: Source of all randomness.
        share: From 0 to 1, drawn for each thing.
    """

    def __init__(self, rng: np.random.Generator, *, share: float) -> None:
        super().__init__(rng)
        self.share = share

    def colours(self, rng: np.random.Generator, facts: AssetFacts) -> dict[str, Colour]:
        found = super().colours(rng, facts)
        if facts.is_pickupable or rng.random() >= self.share:
            return found
        shared = self._any(rng) if rng.random() < ONE_COLOUR_CHANCE else None
        for part in facts.colours:
            if part in OWN_PALETTES:
                found[part] = opaque(varied(rng, pick(rng, OWN_PALETTES[part])))
            elif part not in KEPT_PARTS:
                found[part] = shared if shared and part in MAIN_PARTS else self._any(rng)
        return found

    @staticmethod
    def _any(rng: np.random.Generator) -> Colour:
        return opaque(varied(rng, pick(rng, pick(rng, PALETTES))))
