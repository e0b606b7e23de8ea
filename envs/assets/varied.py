"""The asset library for training: our primitives with many drawn variants of what stands about a home.

It has the training instances of `primitives` under their own names, and no instance for val and test. Descriptions of
what no hand can lift name no colours, because `zoo.envs.houses.repainting` paints such things as it likes.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from zoo.envs.assets import varied_appliances, varied_fixtures, varied_plants, varied_seats, varied_tables
from zoo.envs.assets.design import COLOURS, Design
from zoo.envs.assets.library import AssetFacts
from zoo.envs.assets.primitives import PrimitiveLibrary
from zoo.envs.assets.variants import Variants

VARIANTS: tuple[Variants, ...] = (
    *varied_seats.VARIANTS,
    *varied_tables.VARIANTS,
    *varied_appliances.VARIANTS,
    *varied_fixtures.VARIANTS,
    *varied_plants.VARIANTS,
)
NUM_VARIANTS = 40
"""Of each of these categories; an asset's name stays its own when there are more."""

_NAMES = "|".join(sorted(COLOURS, key=len, reverse=True))  # "dark grey" before "grey"
_COLOUR_WORDS = re.compile(rf" of (?:{_NAMES})\b|\b(?:a )?(?:{_NAMES}) ")


class VariedLibrary(PrimitiveLibrary):
    """Training instances only: those of `primitives`, and the drawn ones."""

    def _drawn_up(self) -> Iterator[tuple[AssetFacts, Design]]:
        yield from (_without_colours(*entry) for entry in super()._drawn_up() if entry[0].split == "train")
        for variants in VARIANTS:
            yield from variants.assets(NUM_VARIANTS)


def _without_colours(facts: AssetFacts, design: Design) -> tuple[AssetFacts, Design]:
    if facts.is_pickupable:
        return facts, design
    words = _COLOUR_WORDS.sub(lambda found: "a " if found[0].startswith("a ") else "", facts.description)
    return dataclasses.replace(facts, description=words), dataclasses.replace(design, description=words)
