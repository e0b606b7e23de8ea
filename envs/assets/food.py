"""Fruit, vegetables and packaged food."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from zoo.envs.assets.design import Category, Design, paint, small
from zoo.envs.assets.shapes import bar, box, cylinder, ellipsoid, loft, rectangle, rod


@small(synset="apple.n.01")
def apple() -> Iterator[Design]:
    """One ellipsoid; the stem is only seen."""
    for words, mass, size, colour in (
        ("round apple", 0.18, (0.070, 0.070, 0.068), "red"),
        ("flat apple", 0.17, (0.072, 0.072, 0.058), "green"),
        ("tall apple", 0.19, (0.066, 0.066, 0.074), "yellow"),
        ("small apple", 0.12, (0.056, 0.056, 0.054), "red"),
        ("large apple", 0.24, (0.078, 0.076, 0.069), "olive"),
    ):
        stem = cylinder(0.002, 0.010, (0.0, 0.0, size[2]), "stem").visual()
        yield Design(f"{colour} {words}", mass, (ellipsoid(size), stem), paint(body=colour, stem="brown"), rolls=True)


@small(synset="orange.n.01")
def orange() -> Iterator[Design]:
    """One ellipsoid, of oranges nearly a ball."""
    for words, mass, size in (
        ("orange", 0.19, (0.072, 0.072, 0.070)),
        ("small orange", 0.13, (0.060, 0.060, 0.058)),
        ("flat mandarin", 0.11, (0.062, 0.062, 0.048)),
        ("large orange", 0.26, (0.078, 0.078, 0.069)),
    ):
        yield Design(words, mass, (ellipsoid(size),), paint(body="orange"), rolls=True)


@small(synset="lemon.n.01")
def lemon() -> Iterator[Design]:
    """Lies on its side."""
    for words, mass, size, colour in (
        ("lemon", 0.12, (0.078, 0.056, 0.056), "yellow"),
        ("small lemon", 0.08, (0.064, 0.048, 0.048), "yellow"),
        ("round lime", 0.07, (0.054, 0.048, 0.048), "green"),
        ("long lemon", 0.13, (0.092, 0.054, 0.054), "gold"),
    ):
        tip = ellipsoid((0.018, 0.014, 0.014), (size[0] / 2, 0.0, size[2] / 2 - 0.007)).visual()
        yield Design(words, mass, (ellipsoid(size), tip), paint(body=colour), rolls=True)


@small(synset="tomato.n.01")
def tomato() -> Iterator[Design]:
    """One ellipsoid; the leaf is only seen."""
    for words, mass, size, colour in (
        ("round tomato", 0.13, (0.062, 0.062, 0.056), "red"),
        ("beef tomato", 0.24, (0.080, 0.078, 0.058), "red"),
        ("plum tomato", 0.09, (0.068, 0.046, 0.046), "red"),
        ("yellow tomato", 0.11, (0.058, 0.058, 0.054), "yellow"),
    ):
        leaf = cylinder(0.010, 0.003, (0.0, 0.0, size[2] - 0.002), "leaf").visual()
        yield Design(words, mass, (ellipsoid(size), leaf), paint(body=colour, leaf="green"), rolls=True)


@small(synset="potato.n.01")
def potato() -> Iterator[Design]:
    """Two ellipsoids, so that none is regular."""
    for words, mass, size, colour in (
        ("potato", 0.17, (0.086, 0.060, 0.052), "birch"),
        ("long potato", 0.22, (0.115, 0.058, 0.050), "oak"),
        ("round potato", 0.14, (0.064, 0.060, 0.054), "birch"),
        ("sweet potato", 0.24, (0.130, 0.060, 0.054), "terracotta"),
    ):
        bump = ellipsoid(
            (0.6 * size[0], 0.8 * size[1], 0.9 * size[2]), (0.15 * size[0], 0.10 * size[1], 0.05 * size[2])
        )
        yield Design(words, mass, (ellipsoid(size), bump), paint(body=colour), rolls=True)


@small(synset="egg.n.02")
def egg() -> Iterator[Design]:
    """Lies on its side."""
    for words, mass, length, width, colour in (
        ("brown egg", 0.060, 0.057, 0.044, "birch"),
        ("white egg", 0.063, 0.060, 0.045, "white"),
        ("small egg", 0.048, 0.051, 0.041, "cream"),
        ("long egg", 0.066, 0.064, 0.044, "white"),
    ):
        yield Design(words, mass, (ellipsoid((length, width, width)),), paint(body=colour), rolls=True)


@small(synset="banana.n.02")
def banana() -> Iterator[Design]:
    """Capsules along an arc that lies flat."""
    for words, mass, arc_radius, turn, radius, colour in (
        ("banana", 0.16, 0.120, 1.3, 0.017, "yellow"),
        ("straight banana", 0.15, 0.200, 0.8, 0.016, "yellow"),
        ("small banana", 0.10, 0.085, 1.3, 0.014, "gold"),
        ("green banana", 0.17, 0.130, 1.3, 0.018, "green"),
    ):
        turns = [turn * (i / 4 - 0.5) for i in range(5)]
        points = [(arc_radius * math.cos(t), arc_radius * math.sin(t), radius) for t in turns]
        flesh = tuple(rod(a, b, radius) for a, b in itertools.pairwise(points))
        (x, y, _), (bx, by, _) = points[-1], points[-2]
        end = (x + 0.5 * (x - bx), y + 0.5 * (y - by), radius)
        yield Design(
            words, mass, (*flesh, rod(points[-1], end, 0.006, "stem")), paint(body=colour, stem="brown"), rolls=True
        )


@small(synset="cucumber.n.02")
def cucumber() -> Iterator[Design]:
    """A capsule that lies on its side."""
    for words, mass, length, radius, colour in (
        ("cucumber", 0.35, 0.260, 0.022, "green"),
        ("short cucumber", 0.20, 0.150, 0.021, "green"),
        ("thick cucumber", 0.45, 0.230, 0.028, "olive"),
        ("courgette", 0.28, 0.190, 0.024, "olive"),
    ):
        half = length / 2 - radius
        body = rod((-half, 0.0, radius), (half, 0.0, radius), radius)
        stalk = bar((length / 2 - 0.002, 0.0, radius), (length / 2 + 0.010, 0.0, radius), 0.006).visual()
        yield Design(words, mass, (body, stalk), paint(body=colour), rolls=True)


@small(synset="loaf_of_bread.n.01")
def bread() -> Iterator[Design]:
    """A crust of its own mesh on what has risen."""
    for words, mass, (lx, ly, lz), domed, colour in (
        ("tin loaf", 0.60, (0.23, 0.069, 0.085), True, "oak"),
        ("flat loaf", 0.50, (0.22, 0.078, 0.060), True, "brown"),
        ("bread roll", 0.08, (0.10, 0.070, 0.050), True, "birch"),
        ("baguette", 0.28, (0.50, 0.062, 0.052), True, "oak"),
        ("sandwich loaf", 0.70, (0.26, 0.070, 0.080), False, "birch"),
    ):
        rise = 0.35 * lz if domed else 0.0
        shapes = [box((lx, ly, lz - rise))]
        if domed:
            crust = loft(rectangle((lx, ly)), rectangle((0.9 * lx, 0.6 * ly)), rise, (0.0, 0.0, lz - rise), "crust")
            shapes.append(crust)
        yield Design(words, mass, tuple(shapes), paint(body=colour, **({"crust": "brown"} if domed else {})))


@small(synset="cereal_box.n.01")
def cereal_box() -> Iterator[Design]:
    """Held across its thickness."""
    for words, mass, size, colour, label in (
        ("box of cereal", 0.45, (0.065, 0.19, 0.285), "yellow", "red"),
        ("tall box of cereal", 0.55, (0.068, 0.20, 0.32), "red", "white"),
        ("small box of cereal", 0.20, (0.045, 0.13, 0.19), "green", "cream"),
        ("wide box of cereal", 0.60, (0.070, 0.24, 0.28), "blue", "orange"),
        ("box of porridge", 0.50, (0.066, 0.14, 0.22), "cream", "brown"),
    ):
        lx, ly, lz = size
        label_shape = box((0.001, 0.7 * ly, 0.4 * lz), (lx / 2, 0.0, 0.35 * lz), "label").visual()
        yield Design(f"{colour} {words}", mass, (box(size), label_shape), paint(body=colour, label=label))


@small(synset="carton.n.02")
def milk_carton() -> Iterator[Design]:
    """A square carton with a gable of its own mesh."""
    for words, mass, side, height, colour in (
        ("milk carton", 1.03, 0.070, 0.235, "white"),
        ("small milk carton", 0.52, 0.058, 0.170, "blue"),
        ("juice carton", 1.05, 0.068, 0.240, "orange"),
        ("cream carton", 0.26, 0.052, 0.120, "red"),
    ):
        straight, gable = 0.80 * height, 0.14 * height
        yield Design(
            f"{colour} {words}",
            mass,
            (
                box((side, side, straight)),
                loft(rectangle((side, side)), rectangle((side, 0.006)), gable, (0.0, 0.0, straight), "gable"),
                box((side, 0.005, height - straight - gable), (0.0, 0.0, straight + gable), "gable"),
            ),
            paint(body=colour, gable="white"),
        )


@small(synset="can.n.01")
def can() -> Iterator[Design]:
    """Rims at both ends are a little narrower."""
    for words, mass, radius, height, colour in (
        ("soft-drink can", 0.36, 0.033, 0.122, "red"),
        ("slim can", 0.27, 0.0285, 0.135, "blue"),
        ("soup can", 0.45, 0.035, 0.105, "orange"),
        ("tuna can", 0.20, 0.041, 0.038, "teal"),
        ("tall can", 0.54, 0.033, 0.165, "green"),
        ("small tomato can", 0.22, 0.027, 0.085, "red"),
    ):
        yield Design(
            f"{colour} {words}",
            mass,
            (
                cylinder(0.92 * radius, 0.005, colour="metal"),
                cylinder(radius, height - 0.010, (0.0, 0.0, 0.005)),
                cylinder(0.92 * radius, 0.005, (0.0, 0.0, height - 0.005), "metal"),
            ),
            paint(body=colour, metal="steel"),
        )


CATEGORIES: tuple[Category, ...] = (
    apple,
    orange,
    lemon,
    tomato,
    potato,
    egg,
    banana,
    cucumber,
    bread,
    cereal_box,
    milk_carton,
    can,
)
