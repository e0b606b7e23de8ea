"""Objects while a house is being made: what stands where, before names are given; and the assets to choose from."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from zoo.envs.assets.library import AssetFacts, AssetLibrary, Mounting, Split
from zoo.envs.draws import pick, shuffled
from zoo.envs.houses.footprints import Footprint
from zoo.envs.scenes.specification import FLOOR, Colour
from zoo.errors import ConfigError

REST_M = 0.001  # above the support, for what is free to move


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Placed:
    """One object in a room.

    Args:
        facts: Of its asset.
        x: Of its origin, like y and z.
        y: In the world.
        z: Of its bottom.
        yaw: Its front looks there.
        room: Index of its room.
        support: The object it rests on, the floor, or the index of the wall segment it hangs at.
        colours: RGBA by part.
    """

    facts: AssetFacts
    x: float
    y: float
    z: float
    yaw: float
    room: int
    support: Placed | int | str = FLOOR
    colours: Mapping[str, Colour] = field(default_factory=dict)

    @property
    def footprint(self) -> Footprint:
        return Footprint(self.x, self.y, self.facts.size_m[0], self.facts.size_m[1], self.yaw)


class Catalogue:
    """Assets of one split by category.

    Args:
        library: Of them.
        split: Which instances may be used.

    Raises:
        ConfigError: the library has nothing for this split.
    """

    def __init__(self, library: AssetLibrary, split: Split) -> None:
        found: dict[str, list[AssetFacts]] = {}
        for facts in library.of(split=split):
            found.setdefault(facts.category, []).append(facts)
        if not found:
            splits = sorted({facts.split for facts in library.facts().values()})
            raise ConfigError(
                f"the asset library has no asset of split {split!r} among its {len(library.facts())}, so a house would "
                f"be empty; it has splits: {', '.join(splits) or 'none'}. Give a library whose facts name this split"
            )
        self._by_category = {category: tuple(items) for category, items in found.items()}

    def of(self, category: str, mounting: Mounting | None = None) -> tuple[AssetFacts, ...]:
        """Assets of a category, perhaps only those that belong somewhere; empty where there is none."""
        return tuple(f for f in self._by_category.get(category, ()) if mounting in (None, f.mounting))

    def pickupable(self) -> tuple[str, ...]:
        """Categories of what one hand can lift off a surface."""
        return tuple(
            category
            for category, items in self._by_category.items()
            if any(facts.is_pickupable and facts.mounting == "surface" for facts in items)
        )

    def instances(self, rng: np.random.Generator, categories: Sequence[str], mounting: Mounting) -> list[AssetFacts]:
        """All assets of the categories, in random order but one of each category after the other's first."""
        offered = [shuffled(rng, items) for category in categories if (items := self.of(category, mounting))]
        rounds = itertools.zip_longest(*shuffled(rng, offered))
        return [facts for turn in rounds for facts in turn if facts is not None]

    def draw(
        self, rng: np.random.Generator, categories: Sequence[str], mounting: Mounting | None = None
    ) -> AssetFacts | None:
        """An asset of one of the categories that the library has, each category as likely; None where it has none."""
        offered = [items for category in categories if (items := self.of(category, mounting))]
        return pick(rng, pick(rng, offered)) if offered else None
