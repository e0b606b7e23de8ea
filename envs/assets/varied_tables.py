"""Drawn tables of all kinds, and shelves."""

from __future__ import annotations

import math

import numpy as np

from zoo.envs.assets import furniture
from zoo.envs.assets.design import Design, top
from zoo.envs.assets.library import Surface
from zoo.envs.assets.shapes import Shape, bar, box, cone, cylinder, legs, loft
from zoo.envs.assets.variants import METALS, WOODS, Variants, any_legs, ellipse, painted, row
from zoo.envs.draws import between, pick
from zoo.envs.scenes.specification import Point

TOPS = ("oak", "walnut", "birch", "brown", "white", "black", "grey", "glass", "glass", "cream")
BASES = {
    "legs": "on four legs",
    "column": "on a column",
    "cross": "on a column with a cross for a foot",
    "panels": "on panels",
    "trestles": "on trestles",
    "frames": "on two frames",
    "block": "on a block",
}


def dining_table(rng: np.random.Generator) -> Design:
    """For two to eight."""
    size = between(rng, 0.78, 1.0), between(rng, 0.85, 2.1), between(rng, 0.72, 0.77)
    return _table(rng, "dining table", size, ("legs", "legs", "column", "cross", "panels", "trestles", "frames"), 20.0)


def coffee_table(rng: np.random.Generator) -> Design:
    """About as high as a sofa's seat; some have a shelf below."""
    size = between(rng, 0.5, 0.75), between(rng, 0.6, 1.2), between(rng, 0.34, 0.48)
    return _table(rng, "coffee table", size, ("legs", "legs", "column", "panels", "frames", "block"), 16.0)


def desk(rng: np.random.Generator) -> Design:
    """Rectangular, with room for knees."""
    size = between(rng, 0.5, 0.72), between(rng, 0.9, 1.5), between(rng, 0.72, 0.77)
    return _table(rng, "desk", size, ("legs", "legs", "panels", "trestles", "frames"), 24.0, tops=("rectangular",))


def side_table(rng: np.random.Generator) -> Design:
    """Small; some have a shelf below."""
    size = between(rng, 0.32, 0.45), between(rng, 0.35, 0.6), between(rng, 0.45, 0.65)
    return _table(rng, "side table", size, ("legs", "legs", "column", "panels", "frames"), 26.0)


def _table(
    rng: np.random.Generator,
    words: str,
    size: tuple[float, float, float],
    bases: tuple[str, ...],
    kg_per_m2: float,
    tops: tuple[str, ...] = ("rectangular", "rectangular", "round", "oval", "eight-cornered"),
) -> Design:
    """A board of a drawn outline on a drawn base."""
    (lx, ly, lz), board = size, between(rng, 0.018, 0.05)
    outline, base = pick(rng, tops), pick(rng, bases)
    if outline == "round":
        ly = lx = min(1.15, (lx + ly) / 2)
    under = lz - board
    shape, free = _board(outline, (lx, ly), board, under)
    inset = 0.72 if outline in ("round", "oval") else 0.94
    spread = inset * lx, inset * ly
    shapes = [shape, *_base(rng, base, spread, under)]
    if base == "legs" and rng.random() < 0.4:
        apron = between(rng, 0.05, 0.1)
        shapes.append(box((spread[0] - 0.08, spread[1] - 0.08, apron), (0.0, 0.0, under - apron), "legs"))
    surfaces = [top("top", (0.0, 0.0, lz), free)]
    if base == "legs" and words in ("coffee table", "side table") and rng.random() < 0.5:
        low = between(rng, 0.08, 0.16)
        shapes.append(box((0.8 * spread[0], 0.8 * spread[1], 0.015), (0.0, 0.0, low), "shelf"))
    wood = pick(rng, WOODS)
    colours = painted(shapes, top=pick(rng, (wood, *TOPS)), legs=pick(rng, (wood, *METALS)), shelf=pick(rng, TOPS))
    return Design(f"{outline} {words} {BASES[base]}", 5 + kg_per_m2 * lx * ly, tuple(shapes), colours, tuple(surfaces))


def _board(outline: str, size: Point, board: float, at_m: float) -> tuple[Shape, Point]:
    """The board, and the rectangle on it that is surely free."""
    (lx, ly), at = size, (0.0, 0.0, at_m)
    if outline == "round":
        return cylinder(lx / 2, board, at, "top"), (lx / math.sqrt(2), lx / math.sqrt(2))
    if outline == "oval":
        corners = ellipse(size)
        return loft(corners, corners, board, at, "top"), (0.68 * lx, 0.68 * ly)
    if outline == "eight-cornered":
        cut, x, y = 0.14 * lx, lx / 2, ly / 2
        half = ((x, cut - y), (x, y - cut), (x - cut, y), (cut - x, y))
        corners = (*half, *((-a, -b) for a, b in half))
        return loft(corners, corners, board, at, "top"), (lx - 2 * cut, ly - 2 * cut)
    return box((lx, ly, board), at, "top"), (lx, ly)


def _base(rng: np.random.Generator, kind: str, spread: Point, under: float) -> list[Shape]:
    lx, ly = spread
    if kind == "legs":
        return list(any_legs(rng, (0.03, 0.08), under, spread))
    if kind == "block":
        return [box((0.7 * lx, 0.7 * ly, under), colour="legs")]
    if kind == "panels":
        deep, inset = between(rng, 0.6, 0.95) * lx, between(rng, 0.05, 0.2) * ly
        tie = box((0.03, ly - 2 * inset, 0.08), (0.0, 0.0, under - 0.1), "legs")
        return [tie, *(box((deep, 0.035, under), (0.0, s * (ly / 2 - inset), 0.0), "legs") for s in (-1, 1))]
    if kind in ("column", "cross"):
        return _pedestal(rng, kind, spread, under)
    r, found = between(rng, 0.014, 0.024, 0.002), []
    for y in (-0.42 * ly, 0.42 * ly):
        if kind == "trestles":  # an A seen from the side, with a rung
            ends = [(s * 0.45 * lx, s * 0.08 * lx) for s in (-1, 1)]
            found += [bar((low, y, 0.0), (high, y, under), r, "legs") for low, high in ends]
            found.append(bar((-0.3 * lx, y, 0.35 * under), (0.3 * lx, y, 0.35 * under), r, "legs"))
        else:
            corners = ((-0.45 * lx, y, r), (0.45 * lx, y, r), (0.45 * lx, y, under), (-0.45 * lx, y, under))
            found += [bar(a, b, r, "legs") for a, b in zip(corners, (*corners[1:], corners[0]), strict=True)]
    return [*found, bar((0.0, -0.42 * ly, under - r), (0.0, 0.42 * ly, under - r), r, "legs")]


def _pedestal(rng: np.random.Generator, kind: str, spread: Point, under: float) -> list[Shape]:
    """One column, or two below a long board."""
    lx, ly = spread
    places = (0.0,) if ly < 1.6 * lx else (-0.27 * ly, 0.27 * ly)
    reach, thick = 0.42 * min(lx, ly), between(rng, 0.025, 0.07)
    found: list[Shape] = []
    for y in places:
        found.append(cylinder(thick, under - 0.03, (0.0, y, 0.03), "legs"))
        if kind == "column":
            foot = pick(rng, (0.03, 0.08))
            found.append(cone(reach, reach if foot < 0.05 else 0.7 * reach, foot, (0.0, y, 0.0), "legs").weighing(3.0))
        else:
            found += [
                box((2 * reach, 0.07, 0.04), (0.0, y, 0.0), "legs").weighing(3.0),
                box((0.07, 2 * reach, 0.04), (0.0, y, 0.0), "legs").weighing(3.0),
            ]
    return found


def shelf(rng: np.random.Generator) -> Design:
    """A bookcase, a rack on posts, a grid of cubes, or a ladder that tapers upwards."""
    kind = pick(rng, ("bookcase", "bookcase", "rack", "grid", "ladder shelf"))
    if kind == "grid":
        return _grid(rng)
    lx, ly, lz = between(rng, 0.24, 0.44), between(rng, 0.4, 1.3), between(rng, 0.7, 2.0)
    count = max(1, round((lz - 0.06) / between(rng, 0.26, 0.45)))
    board, foot = between(rng, 0.015, 0.035, 0.005), between(rng, 0.03, 0.16)
    pitch = (lz - board - foot) / count
    levels = [foot + i * pitch for i in range(count + 1)]
    deep = [lx * (1 - 0.45 * i / count) if kind == "ladder shelf" else lx for i in range(count + 1)]
    boards = [box((d, ly - 0.04, board), ((d - lx) / 2, 0.0, z), "shelf") for d, z in zip(deep, levels, strict=True)]
    shapes = [*boards, *_sides(rng, kind, (lx, ly, lz), deep[-1])]
    if kind == "bookcase" and rng.random() < 0.6:
        shapes.append(box((0.006, ly - 0.04, lz - foot), (0.003 - lx / 2, 0.0, foot), "back"))
    surfaces = [
        _level(i, ((d - lx) / 2, 0.0, z + board), (d - 0.02, ly - 0.1), pitch - board if i < count else 1.0)
        for i, (d, z) in enumerate(zip(deep, levels, strict=True))
    ]
    size = "tall" if lz > 1.5 else "low" if lz < 1.0 else "middling"
    return Design(f"{size} {kind}", 6 + 22 * ly * lz, tuple(shapes), _paints(rng, shapes), tuple(surfaces))


def _sides(rng: np.random.Generator, kind: str, size: tuple[float, float, float], upper: float) -> list[Shape]:
    lx, ly, lz = size
    if kind == "bookcase":
        return [box((lx, 0.02, lz), (0.0, s * (ly - 0.02) / 2, 0.0)) for s in (-1, 1)]
    if kind == "rack":
        t = between(rng, 0.02, 0.04, 0.005)
        rungs = [
            box((lx, 0.01, 0.02), (0.0, s * (ly - 0.02) / 2, z), "body") for s in (-1, 1) for z in (0.02, lz - 0.02)
        ]
        return [*legs((t, t, lz), (lx, ly), colour="body"), *rungs]
    back, low, high = -lx / 2, lx / 2, upper - lx / 2
    return [
        shape
        for y in (0.02 - ly / 2, ly / 2 - 0.02)
        for shape in (
            bar((low - 0.015, y, 0.0), (high - 0.015, y, lz), 0.015),
            box((0.03, 0.03, lz), (back + 0.015, y, 0.0)),
        )
    ]


def _grid(rng: np.random.Generator) -> Design:
    """Cubes side by side and one above the other, open to the front, some closed by a face."""
    across, up, cube, deep, b = pick(rng, (1, 2, 3, 4)), pick(rng, (2, 3, 4, 5)), between(rng, 0.3, 0.4), 0.38, 0.02
    ly, lz = across * cube + b, up * cube + b
    shapes = [box((deep, ly, b), (0.0, 0.0, i * cube), "shelf") for i in range(up + 1)]
    ys = [y - cube / 2 for y in row(across, across * cube)] + [across * cube / 2]
    shapes += [box((deep, b, lz), (0.0, y, 0.0)) for y in ys]
    if rng.random() < 0.5:
        shapes.append(box((0.006, ly, lz), (0.003 - deep / 2, 0.0, 0.0), "back"))
    size = (deep - 0.03, cube - b - 0.03)
    cells = [(y, i) for i in range(up) for y in row(across, across * cube)]
    closed = rng.random(len(cells)) < pick(rng, (0.0, 0.0, 0.25))
    shapes += [
        box((0.016, cube - b - 0.01, cube - b - 0.01), (deep / 2 - 0.012, y, i * cube + b + 0.005), "front")
        for (y, i), shut in zip(cells, closed, strict=True)
        if shut
    ]
    surfaces = [
        _level(number, (0.0, y, i * cube + b), size, cube - b)
        for number, ((y, i), shut) in enumerate(zip(cells, closed, strict=True))
        if not shut
    ]
    surfaces.append(top("top", (0.0, 0.0, lz), (deep - 0.02, ly - 0.02)))
    return Design(
        f"shelf of {across} by {up} cubes", 8 + 20 * ly * lz, tuple(shapes), _paints(rng, shapes), tuple(surfaces)
    )


def _level(index: int, at: tuple[float, float, float], size: Point, clear: float) -> Surface:
    return top(f"board{index}", at, size, clear)


def _paints(rng: np.random.Generator, shapes: list[Shape]) -> dict:
    wood = pick(rng, (*WOODS, *METALS))
    others = {part: pick(rng, (wood, wood, pick(rng, WOODS))) for part in ("shelf", "back", "front")}
    return painted(shapes, body=wood, **others)


VARIANTS = (
    Variants(furniture.dining_table, dining_table),
    Variants(furniture.coffee_table, coffee_table),
    Variants(furniture.desk, desk),
    Variants(furniture.side_table, side_table),
    Variants(furniture.shelf, shelf),
)
