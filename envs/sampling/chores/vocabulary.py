"""What there is to look for: synsets and their hyponyms, things that serve a purpose, the twelve of the tiny recipes.

Source: sheet spoc_ring_holodeck_graspmolmo section 1.12 (an instance of a hyponym counts: broad sets). The relations
are those of WordNet 3.0 between synsets of our assets; purposes and the twelve are ours.
"""

from __future__ import annotations

from collections.abc import Mapping

from zoo.errors import UnknownNameError
from zoo.registry import near

NOT_SOUGHT = ("ceiling lamp", "curtain")
"""Categories that nobody is sent to."""

BROADER: Mapping[str, str] = {
    "armchair.n.01": "chair.n.01",
    "carton.n.02": "box.n.01",
    "cereal_box.n.01": "box.n.01",
    "chest.n.02": "box.n.01",
    "coffee_table.n.01": "table.n.02",
    "counter.n.01": "table.n.02",
    "desk.n.01": "table.n.02",
    "footstool.n.01": "stool.n.01",
    "hamper.n.02": "basket.n.01",
    "kettle.n.01": "pot.n.01",
    "safe.n.01": "box.n.01",
    "stand.n.04": "table.n.02",
    "teapot.n.01": "pot.n.01",
    "vase.n.01": "jar.n.01",
    "wine_bottle.n.01": "bottle.n.01",
}
"""Nearest hypernym of a synset among those of our assets."""

AFFORDANCES: Mapping[str, tuple[str, ...]] = {
    "sitting on": ("chair", "armchair", "sofa", "stool", "bench"),
    "sleeping in": ("bed",),
    "keeping food cold": ("fridge",),
    "baking": ("oven",),
    "heating up leftovers": ("microwave",),
    "washing clothes": ("washing machine",),
    "washing dishes": ("dishwasher", "sink"),
    "taking a bath": ("bath tub",),
    "throwing things away": ("garbage can",),
    "hanging up clothes": ("wardrobe",),
    "keeping books": ("shelf",),
    "having dinner at": ("dining table",),
    "reading": ("book", "newspaper"),
    "drinking from": ("mug", "cup"),
    "making coffee": ("coffee maker",),
    "boiling water": ("kettle", "pot"),
    "writing": ("pen", "pencil"),
    "cutting food": ("knife",),
    "making a phone call": ("phone",),
    "watching the news": ("television",),
    "lighting up a room": ("floor lamp", "desk lamp"),
    "seeing yourself": ("mirror",),
    "telling the time": ("wall clock", "alarm clock", "watch"),
    "cleaning hands": ("soap bar", "sink"),
}
"""Categories by purpose."""

TINY_CATEGORIES = (
    "bed",
    "chair",
    "coffee table",
    "dining table",
    "fridge",
    "garbage can",
    "house plant",
    "oven",
    "shelf",
    "sink",
    "sofa",
    "toilet",
)
"""Large things of distinct shapes, each in at least 11 of 20 houses of 3 to 6 rooms of every split, with instances for
training, validation and tests."""


def counts_as(synset: str, wanted: str) -> bool:
    """Whether a thing of a synset is one of the wanted synset: the same, or a hyponym."""
    return wanted in with_broader(synset)


def with_broader(synset: str) -> tuple[str, ...]:
    """A synset and its hypernyms among those of our assets, the nearest first."""
    chain = [synset]
    while (above := BROADER.get(chain[-1])) is not None:
        chain.append(above)
    return tuple(chain)


def check_categories(categories: tuple[str, ...], known: frozenset[str]) -> None:
    """Refuse what no asset is called.

    Args:
        categories: Asked for.
        known: Of the asset library.
    Raises:
        UnknownNameError: names near each.
    """
    unknown = [name for name in categories if name not in known]
    if unknown:
        close = near(unknown[0], tuple(sorted(known)))
        hint = f"; near: {', '.join(close)}" if close else ""
        raise UnknownNameError(f"no asset category {', '.join(map(repr, unknown))}{hint}. List: zoo list asset_library")
