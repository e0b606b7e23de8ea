"""How an asset of our own is described: shapes, surfaces and moving parts of each variant, by category.

A category is a generator function that yields one design a variant:

    @category(synset="mug.n.04", mounting="surface", is_pickupable=True)
    def mug() -> Iterator[Design]:
        for words, radius, height in (("low", 0.045, 0.08), ("tall", 0.038, 0.11)):
            base = cylinder(radius, 0.006)
            yield Design(f"{words} mug", 0.35, (base, *ring(radius, height, 0.005)), paint(body="white"))

A design may use any origin; `Design.origin_m` says which of its points becomes the asset's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from zoo.envs.assets.library import Articulation, AssetFacts, Mounting, Split, Surface
from zoo.envs.assets.shapes import Bounds, Shape, union
from zoo.envs.scenes.specification import Colour, Vector

COLOURS: dict[str, tuple[float, float, float]] = {
    "white": (0.93, 0.93, 0.91),
    "cream": (0.92, 0.86, 0.72),
    "grey": (0.55, 0.56, 0.58),
    "dark grey": (0.25, 0.26, 0.28),
    "black": (0.07, 0.07, 0.08),
    "steel": (0.72, 0.74, 0.76),
    "brass": (0.78, 0.62, 0.30),
    "oak": (0.72, 0.54, 0.34),
    "walnut": (0.38, 0.25, 0.16),
    "birch": (0.85, 0.74, 0.56),
    "brown": (0.45, 0.30, 0.18),
    "terracotta": (0.75, 0.40, 0.27),
    "red": (0.80, 0.13, 0.12),
    "orange": (0.95, 0.52, 0.10),
    "yellow": (0.95, 0.82, 0.20),
    "green": (0.25, 0.58, 0.25),
    "olive": (0.45, 0.47, 0.25),
    "teal": (0.12, 0.50, 0.52),
    "blue": (0.16, 0.33, 0.70),
    "navy": (0.12, 0.17, 0.35),
    "purple": (0.45, 0.25, 0.58),
    "pink": (0.90, 0.60, 0.68),
    "glass": (0.75, 0.86, 0.90),
    "gold": (0.85, 0.67, 0.20),
}
"""Paints by name, RGB from 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MovingPart:
    """What turns or slides on the rest of an asset. Shapes and surfaces are described closed, in the asset's frame.

    Args:
        name: Of its body; its joint is called `<name>_joint`.
        kind: Hinge or slide.
        axis: Unit vector; positive positions open.
        anchor_m: A point on the hinge's axis; of a slide any point of the part. The origin of the part's frame.
        reach: Position when it is open all the way, radians or metres.
        shapes: One of them is named `<name>_handle`.
        part: What people call it.
        surfaces: That move with it.
        damping: N s / m or N m s / rad.
        friction_loss: N or N m; what holds it where it is left.
        is_counterbalanced: Springs carry its weight, as in oven doors.
    """

    name: str
    kind: Literal["hinge", "slide"]
    axis: Vector
    anchor_m: Vector
    reach: float
    shapes: tuple[Shape, ...]
    part: str
    surfaces: tuple[Surface, ...] = ()
    damping: float = 1.0
    friction_loss: float = 0.5
    is_counterbalanced: bool = False

    @property
    def joint(self) -> str:
        return f"{self.name}_joint"

    @property
    def handle(self) -> str:
        return f"{self.name}_handle"


@dataclass(frozen=True, slots=True)
class Design:
    """One variant of a category.

    Args:
        description: A few words that tell it from the other variants.
        mass_kg: Of the whole; shapes share it by volume and density.
        shapes: Of the body that does not move.
        colours: Paint by colour name of the shapes.
        surfaces: Of the body that does not move.
        moving: What can be opened.
        rolls: Round enough that rolling friction has to stop it.
    """

    description: str
    mass_kg: float
    shapes: tuple[Shape, ...]
    colours: dict[str, Colour]
    surfaces: tuple[Surface, ...] = ()
    moving: tuple[MovingPart, ...] = ()
    rolls: bool = False

    def bounds(self) -> Bounds:
        shapes = (*self.shapes, *(shape for part in self.moving for shape in part.shapes))
        return union([shape.bounds() for shape in shapes])

    def origin_m(self) -> Vector:
        """The middle of the footprint at the bottom, in the design's own frame."""
        return _bottom_middle(self.bounds())


@dataclass(frozen=True, slots=True)
class Category:
    """All variants of one kind of thing.

    Args:
        name: What people call it.
        synset: WordNet's.
        mounting: Where it belongs.
        is_static: Too heavy or fixed.
        is_pickupable: One hand can lift it.
        designs: Yields the variants, always the same.
    """

    name: str
    synset: str
    mounting: Mounting
    is_static: bool
    is_pickupable: bool
    designs: Callable[[], Iterator[Design]]

    def assets(self) -> Iterator[tuple[AssetFacts, Design]]:
        """Facts and design of each variant; the last is for tests, the one before for validation (8/1/1 of ten)."""
        designs, stem = tuple(self.designs()), self.name.replace(" ", "_")
        for index, design in enumerate(designs):
            yield self.facts_of(design, f"{stem}_{index}", split_of(index, len(designs))), design

    def facts_of(self, design: Design, uid: str, split: Split) -> AssetFacts:
        """What is known of a design of this category under an identifier."""
        low, high = design.bounds()
        origin = _bottom_middle((low, high))
        surfaces = [_moved(surface, "", origin) for surface in design.surfaces]
        for part in design.moving:
            surfaces += [_moved(surface, part.name, part.anchor_m) for surface in part.surfaces]
        return AssetFacts(
            uid=uid,
            category=self.name,
            synset=self.synset,
            description=design.description,
            size_m=(high[0] - low[0], high[1] - low[1], high[2] - low[2]),
            mass_kg=design.mass_kg,
            mounting=self.mounting,
            is_static=self.is_static,
            is_pickupable=self.is_pickupable,
            surfaces=tuple(surfaces),
            articulations=tuple(
                Articulation(joint=p.joint, kind=p.kind, range=(0.0, p.reach), part=p.part, handle=p.handle)
                for p in design.moving
            ),
            colours=tuple(design.colours),
            split=split,
        )


def category(
    *, synset: str, mounting: Mounting = "floor", is_static: bool = False, is_pickupable: bool = False
) -> Callable[[Callable[[], Iterator[Design]]], Category]:
    """Make a category of a generator of designs; it is called like the function, with spaces."""

    def make(designs: Callable[[], Iterator[Design]]) -> Category:
        name = designs.__name__.replace("_", " ")
        return Category(name, synset, mounting, is_static, is_pickupable, designs)

    return make


small = functools.partial(category, mounting="surface", is_pickupable=True)
"""A category of things that stand on furniture and that one hand can lift."""


def split_of(index: int, count: int) -> Split:
    """Every tenth instance, and at least one, is for tests, as many for validation, from the end of the list."""
    share = max(1, count // 10)
    if index >= count - share:
        return "test"
    return "val" if index >= count - 2 * share else "train"


def paint(**names: str) -> dict[str, Colour]:
    """RGBA by colour name of shapes, out of the names in `COLOURS`."""
    return {part: (*COLOURS[name], 1.0) for part, name in names.items()}


def top(name: str, centre_m: Vector, size_m: tuple[float, float], clearance_m: float = 1.0) -> Surface:
    """A surface under the open sky."""
    return Surface(name=name, body="", centre_m=centre_m, size_m=size_m, clearance_m=clearance_m)


def inside(name: str, centre_m: Vector, size_m: tuple[float, float], clearance_m: float) -> Surface:
    """A surface within a drawer or cabinet."""
    return Surface(name=name, body="", centre_m=centre_m, size_m=size_m, clearance_m=clearance_m, is_inside=True)


def _bottom_middle(bounds: Bounds) -> Vector:
    (x0, y0, z0), (x1, y1, _) = bounds
    return (x0 + x1) / 2, (y0 + y1) / 2, z0


def _moved(surface: Surface, body: str, origin: Vector) -> Surface:
    x, y, z = surface.centre_m
    return Surface(
        name=surface.name,
        body=body,
        centre_m=(x - origin[0], y - origin[1], z - origin[2]),
        size_m=surface.size_m,
        clearance_m=surface.clearance_m,
        is_inside=surface.is_inside,
    )
