"""Many designs of one category, drawn from numbers: for training, where a few instances would be learnt by heart.

Every variant is of the train split and described without colours, so that it may be painted anew in every house.
Differs from `design`: a category there yields a short list of designs of which the last ones are for val and test;
these are drawn, and have identifiers of their own, as `sofa_v7`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from zoo.envs.assets.design import Category, Design, paint
from zoo.envs.assets.library import AssetFacts
from zoo.envs.assets.shapes import Shape, bar, cylinder, legs
from zoo.envs.draws import between, pick
from zoo.envs.scenes.specification import Colour, Point

WOODS = ("oak", "walnut", "birch", "brown", "white", "black", "grey", "cream")
METALS = ("steel", "brass", "black", "dark grey", "white")
CERAMICS = ("white", "white", "white", "cream", "grey", "pink", "olive", "teal", "black")
ENAMELS = ("white", "white", "steel", "dark grey", "black", "cream", "red", "green", "blue", "yellow")
FABRICS = ("grey", "dark grey", "cream", "white", "brown", "navy", "teal", "olive", "red", "pink", "yellow", "purple")
"""Names out of `design.COLOURS` that things of such a material have before a house paints them."""


@dataclass(frozen=True, slots=True)
class Variants:
    """The drawn designs of a category.

    Args:
        category: Whose name, synset and mounting they have.
        draw: Makes a design; the same draws, the same design.
    """

    category: Category
    draw: Callable[[np.random.Generator], Design]

    def assets(self, count: int) -> Iterator[tuple[AssetFacts, Design]]:
        """Facts and design of the first so many variants; more of them leave the first ones as they are."""
        name = self.category.name
        for index in range(count):
            design = self.draw(np.random.default_rng([*name.encode(), index]))
            yield self.category.facts_of(design, f"{name.replace(' ', '_')}_v{index}", "train"), design


def any_legs(
    rng: np.random.Generator, thick: tuple[float, float], height: float, spread: Point, *, colour: str = "legs"
) -> tuple[Shape, ...]:
    """Four legs of a drawn kind: square, round, or round and splayed.

    Args:
        rng: Source of all randomness.
        thick: Least and most of their thickness, metres.
        height: Of their upper ends.
        spread: Extents of what they carry.
        colour: Of all four.
    """
    kind, t = pick(rng, ("square", "round", "splayed")), between(rng, *thick, 0.005)
    if kind == "square":
        return legs((t, t, height), spread, colour=colour)
    dx, dy = spread[0] / 2 - t, spread[1] / 2 - t
    corners = [(sx * dx, sy * dy) for sx in (-1, 1) for sy in (-1, 1)]
    if kind == "round":
        return tuple(cylinder(t / 2, height, (x, y, 0.0), colour) for x, y in corners)
    inwards = between(rng, 0.7, 0.9)
    return tuple(bar((x, y, 0.0), (inwards * x, inwards * y, height), t / 2, colour) for x, y in corners)


def star(rng: np.random.Generator, radius: float, arms: int, *, colour: str = "legs") -> tuple[Shape, ...]:
    """A foot of arms on castors or pads, heavy enough for what stands on it; its middle is 0.06 m high."""
    pad = between(rng, 0.02, 0.03, 0.005)
    turns = [2 * math.pi * (i + 0.5) / arms for i in range(arms)]
    ends = [(radius * math.cos(t), radius * math.sin(t)) for t in turns]
    return (
        *(bar((0.0, 0.0, 0.05), (x, y, 0.04), 0.016, colour).weighing(3.0) for x, y in ends),
        *(cylinder(pad, 0.05, (x, y, 0.0), colour).weighing(2.0) for x, y in ends),
        cylinder(0.04, 0.06, colour=colour).weighing(2.0),
    )


def ellipse(size: Point, middle: Point = (0.0, 0.0), *, corners: int = 16) -> tuple[Point, ...]:
    """Corners for `loft`, on the ellipse of these extents."""
    turns = [2 * math.pi * i / corners for i in range(corners)]
    return tuple((middle[0] + size[0] / 2 * math.cos(t), middle[1] + size[1] / 2 * math.sin(t)) for t in turns)


def row(count: int, length: float) -> list[float]:
    """Middles of so many equal shares of a length around 0."""
    return [(i + 0.5) * length / count - length / 2 for i in range(count)]


def painted(shapes: Iterable[Shape], **names: str) -> dict[str, Colour]:
    """Paint for those parts that the shapes have; a drawn design may lack some."""
    used = {shape.colour for shape in shapes}
    return paint(**{part: name for part, name in names.items() if part in used})
