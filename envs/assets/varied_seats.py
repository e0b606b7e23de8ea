"""Drawn beds, sofas, armchairs and chairs."""

from __future__ import annotations

import itertools
import math

import numpy as np

from zoo.envs.assets import seats
from zoo.envs.assets.design import Design, top
from zoo.envs.assets.shapes import Shape, bar, box, cone, cylinder, ellipsoid
from zoo.envs.assets.variants import FABRICS, METALS, WOODS, Variants, any_legs, painted, row, star
from zoo.envs.draws import between, pick

PILLOW_M = (0.36, 0.10)  # depth and height


def bed(rng: np.random.Generator) -> Design:
    """On legs or a box, with one of four kinds of head, some with a foot, a folded blanket or none."""
    words, low, high = pick(rng, (("single bed", 0.85, 1.05), ("double bed", 1.25, 1.6), ("wide bed", 1.65, 1.9)))
    length, width = between(rng, 1.85, 2.12), between(rng, low, high)
    clear = pick(rng, (0.02, between(rng, 0.08, 0.22)))
    frame, mattress = between(rng, 0.08, 0.2), between(rng, 0.12, 0.26)
    lying = clear + frame + mattress
    board, foot = between(rng, 0.04, 0.14), pick(rng, (0.0, 0.0, 0.05))
    head = lying + between(rng, 0.2, 0.7)
    start, end = board - length / 2, length / 2 - foot
    long, middle = end - start, (start + end) / 2
    shapes = [
        *any_legs(rng, (0.05, 0.09), clear, (length, width), colour="body"),
        box((length, width, frame), (0.0, 0.0, clear)),
        box((long - 0.02, width - 0.04, mattress), (middle, 0.0, clear + frame), "cover"),
        *_bed_head(rng, (board - length) / 2, (board, width, head), clear + frame),
        *_pillows(rng, start, width, lying),
    ]
    if foot:
        rise = between(rng, lying - 0.05, lying + 0.25) - clear - frame
        shapes.append(box((foot, width, rise), ((length - foot) / 2, 0.0, clear + frame)))
    if rng.random() < 0.5:
        share = between(rng, 0.25, 0.6) * long
        size = (share, width - 0.02, 0.7 * mattress + 0.004)
        shapes.append(box(size, (end - 0.01 - share / 2, 0.0, lying - 0.7 * mattress), "blanket").visual())
    surface = top("mattress", ((start + 0.46 + end) / 2, 0.0, lying), (long - 0.5, width - 0.06))
    cover, pillow, blanket = (pick(rng, FABRICS) for _ in range(3))
    colours = painted(shapes, body=pick(rng, WOODS), cover=cover, pillow=pillow, blanket=blanket)
    return Design(words, 25 + 40 * width, tuple(shapes), colours, (surface,))


def _bed_head(rng: np.random.Generator, x: float, size: tuple[float, float, float], low: float) -> list[Shape]:
    board, width, high = size
    kind = pick(rng, ("panel", "slats", "padded", "rails"))
    if kind == "panel":
        return [box((board, width, high - low), (x, 0.0, low))]
    if kind == "padded":
        count = pick(rng, (1, 2, 3, 4))
        wide = width / count - 0.01
        return [box((board, wide, high - low), (x, y, low), "cover") for y in row(count, width)]
    posts = [box((0.05, 0.05, high - low), (x, s * (width / 2 - 0.025), low)) for s in (-1, 1)]
    rail = box((0.04, width - 0.1, 0.07), (x, 0.0, high - 0.07))
    if kind == "slats":
        slats = [box((0.02, 0.03, high - low), (x, y, low)) for y in row(pick(rng, (4, 6, 9)), width - 0.1)]
        return [*posts, rail, *slats]
    count = pick(rng, (2, 3))
    return [*posts, rail, *(box((0.03, width - 0.1, 0.08), (x, 0.0, low + 0.13 * (i + 1))) for i in range(count))]


def _pillows(rng: np.random.Generator, start: float, width: float, lying: float) -> list[Shape]:
    count = 1 if width < 1.2 else 2
    make = pick(rng, (box, ellipsoid))
    depth, high = PILLOW_M
    return [make((depth, 0.8 * width / count, high), (start + 0.22, y, lying), "pillow") for y in row(count, width)]


def sofa(rng: np.random.Generator) -> Design:
    """For two or more."""
    words, low, high = pick(
        rng, (("two-seater sofa", 1.35, 1.6), ("three-seater sofa", 1.7, 2.1), ("long sofa", 2.1, 2.4))
    )
    return _couch(rng, words, between(rng, low, high), 30.0)


def armchair(rng: np.random.Generator) -> Design:
    """For one."""
    return _couch(rng, "armchair", between(rng, 0.7, 1.0), 30.0)


def _couch(rng: np.random.Generator, words: str, ly: float, kg_per_m: float) -> Design:
    """A back, a seat of one cushion or several, arms of one of four kinds, on feet or on the floor."""
    lx, seat, back = between(rng, 0.76, 0.98), between(rng, 0.38, 0.47), between(rng, 0.14, 0.24)
    lz, feet = seat + between(rng, 0.28, 0.52), pick(rng, (0.0, between(rng, 0.04, 0.18)))
    kind = pick(rng, ("box", "round", "open", "none"))
    arm = {"open": 0.06, "none": 0.0}.get(kind, between(rng, 0.09, 0.24))
    within, deep, half = ly - 2 * arm, lx - back, 0.5 * seat
    across = max(1, round(within / pick(rng, (0.6, 0.75, 2.5))))
    shapes = [
        box((lx, ly, half - feet), (0.0, 0.0, feet)),
        box((back, ly, lz - half), ((back - lx) / 2, 0.0, half)),
        box((deep - 0.04, within, half - 0.01), (back / 2, 0.0, half)),  # or small things would fall between cushions
        *(box((deep, within / across - 0.008, half), (back / 2, y, half), "cushion") for y in row(across, within)),
        *_arms(kind, arm, (deep, ly), back / 2, half, seat + between(rng, 0.08, 0.26)),
    ]
    if feet:
        shapes += any_legs(rng, (0.03, 0.06), feet, (lx - 0.04, ly - 0.04))
    lean = between(rng, 0.1, 0.16) if rng.random() < 0.6 else 0.0
    if lean:
        make, tall = pick(rng, (box, ellipsoid)), lz - seat + between(rng, -0.06, 0.06)
        x, wide = back - lx / 2 + lean / 2, within / across - 0.02
        shapes += [make((lean, wide, tall), (x, y, seat), "cushion").visual() for y in row(across, within)]
    surface = top("seat", ((back + lean) / 2, 0.0, seat), (deep - lean, within))
    fabric = pick(rng, FABRICS)
    cushion = pick(rng, (fabric, fabric, pick(rng, FABRICS)))
    colours = painted(shapes, body=fabric, cushion=cushion, legs=pick(rng, WOODS))
    how = {"box": "with straight arms", "round": "with round arms", "open": "with open arms", "none": "without arms"}
    return Design(f"{words} {how[kind]}", 8 + kg_per_m * ly, tuple(shapes), colours, (surface,))


def _arms(kind: str, arm: float, size: tuple[float, float], x: float, low: float, high: float) -> list[Shape]:
    deep, ly = size
    found: list[Shape] = []
    for y in (arm / 2 - ly / 2, ly / 2 - arm / 2):
        if kind == "box":
            found.append(box((deep, arm, high - low), (x, y, low)))
        elif kind == "round":
            z = high - arm / 2
            found += [box((deep, 0.8 * arm, z - low), (x, y, low))]
            found += [bar((x - deep / 2, y, z), (x + deep / 2, y, z), arm / 2)]
        elif kind == "open":
            found.append(box((deep, arm, 0.03), (x, y, high - 0.03), "legs"))
            found.append(box((0.04, 0.04, high - low - 0.03), (x + deep / 2 - 0.02, y, low), "legs"))
    return found


def chair(rng: np.random.Generator) -> Design:
    """On four legs, on runners, on a star with a column, or on a trumpet; with one of six backs."""
    lx, ly = between(rng, 0.40, 0.50), between(rng, 0.40, 0.50)
    seat, board = between(rng, 0.42, 0.50), pick(rng, (0.025, 0.04, 0.07))
    rise, base = between(rng, 0.28, 0.60), pick(rng, ("legs", "legs", "runners", "star", "trumpet"))
    under = seat - board
    is_round = base != "runners" and rng.random() < 0.25
    plate = cylinder(min(lx, ly) / 2, board, (0.0, 0.0, under), "seat") if is_round else None
    words, foot = {
        "legs": lambda: ("chair", any_legs(rng, (0.025, 0.045), under, (lx, ly))),
        "runners": lambda: ("chair on runners", _runners(lx, ly, under)),
        "star": lambda: ("swivel chair", (*star(rng, 0.27, pick(rng, (4, 5))), _column(under))),
        "trumpet": lambda: ("chair on one foot", (cone(0.22, 0.04, 0.1, colour="legs").weighing(4.0), _column(under))),
    }[base]()
    kind = pick(rng, ("panel", "pad", "rungs", "spindles", "rail", "shell"))
    shapes = [plate or box((lx, ly, board), (0.0, 0.0, under), "seat"), *foot]
    shapes += _chair_back(rng, kind, (lx, ly), seat, rise)
    if rng.random() < 0.35:
        words += " with arms"
        shapes += _chair_arms(between(rng, 0.17, 0.24), (lx, ly), seat)
    side = 0.6 * min(lx, ly)  # of a square on a round seat, before a bent back
    free, x = ((side, side), 0.02) if is_round else ((lx - 0.12, ly - 0.10), 0.05)
    surface = top("seat", (x, 0.0, seat), free)
    wood = pick(rng, (*WOODS, *FABRICS))
    colours = painted(shapes, seat=wood, legs=pick(rng, (wood, *METALS)))
    mass = between(rng, 4.0, 8.0) + (5.0 if base in ("star", "trumpet") else 0.0)
    return Design(words, mass, tuple(shapes), colours, (surface,))


def _column(high: float) -> Shape:
    return cylinder(0.028, high - 0.05, (0.0, 0.0, 0.05), "legs")


def _runners(lx: float, ly: float, under: float) -> tuple[Shape, ...]:
    """Two bent tubes: along the floor, up at the front, back under the seat."""
    r, x, found = 0.014, lx / 2 - 0.02, []
    for y in (0.02 - ly / 2, ly / 2 - 0.02):
        corners = ((-x, y, r), (x, y, r), (x, y, under - r), (-x, y, under - r))
        found += [bar(a, b, r, "legs").weighing(3.0) for a, b in itertools.pairwise(corners)]
        found.append(bar((-x, y, under - r), (-x, y, r), r, "legs"))
    return tuple(found)


def _chair_back(
    rng: np.random.Generator, kind: str, size: tuple[float, float], seat: float, rise: float
) -> list[Shape]:
    lx, ly = size
    x = 0.02 - lx / 2
    if kind == "panel":
        return [box((0.025, ly, rise), (x, 0.0, seat), "seat")]
    if kind == "pad":
        gap = between(rng, 0.08, 0.16)
        stem = box((0.025, 0.07, gap + 0.04), (x, 0.0, seat - 0.02), "legs")
        return [stem, box((between(rng, 0.03, 0.07), 0.9 * ly, rise - gap), (x, 0.0, seat + gap), "seat")]
    if kind == "shell":
        bend, wide = 0.45, 0.3 * ly
        x1, y1 = x + wide / 2 * math.sin(bend), 0.25 * ly + wide / 2 * math.cos(bend)
        sides = [
            box((0.02, wide, rise), (x1, s * y1, seat), "seat").turned((0.0, 0.0, 1.0), -s * bend) for s in (-1, 1)
        ]
        return [box((0.02, 0.5 * ly, rise), (x, 0.0, seat), "seat"), *sides]
    posts = [box((0.03, 0.03, rise), (x, s * (ly - 0.03) / 2, seat), "legs") for s in (-1, 1)]
    if kind == "rungs":
        count = pick(rng, (2, 3, 5))
        high = 0.5 * rise / count
        return [
            *posts,
            *(
                box((0.015, ly - 0.06, high), (x, 0.0, seat + (i + 1) * rise / count - high), "seat")
                for i in range(count)
            ),
        ]
    rail = box((0.025, ly - 0.06, between(rng, 0.05, 0.14)), (x, 0.0, seat + rise - 0.15), "seat")
    if kind == "rail":
        return [*posts, rail]
    return [*posts, rail, *(cylinder(0.009, rise - 0.05, (x, y, seat), "legs") for y in row(5, ly - 0.08))]


def _chair_arms(high: float, size: tuple[float, float], seat: float) -> list[Shape]:
    lx, ly = size
    found = []
    for y in (0.02 - ly / 2, ly / 2 - 0.02):
        found.append(box((0.8 * lx, 0.04, 0.025), (-0.08 * lx, y, seat + high - 0.025), "legs"))
        found.append(box((0.03, 0.03, high), (0.2 * lx, y, seat - 0.02), "legs"))
    return found


VARIANTS = (
    Variants(seats.bed, bed),
    Variants(seats.sofa, sofa),
    Variants(seats.armchair, armchair),
    Variants(seats.chair, chair),
)
