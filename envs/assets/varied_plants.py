"""Drawn house plants: one of six pots, in it one of six growths. Leaves are only seen, pots and stems are solid."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from zoo.envs.assets import decoration
from zoo.envs.assets.design import Design
from zoo.envs.assets.shapes import Shape, ball, cone, cylinder, ellipsoid, legs, loft, rectangle, rod
from zoo.envs.assets.variants import CERAMICS, FABRICS, WOODS, Variants, painted
from zoo.envs.draws import between, pick


def house_plant(rng: np.random.Generator) -> Design:
    """A plant in a pot, as high as a stool or as a person."""
    pot, rise = between(rng, 0.11, 0.19), between(rng, 0.16, 0.36)
    kind = pick(rng, ("cone", "cylinder", "square", "bowl", "stand", "vase"))
    at = between(rng, 0.1, 0.3) if kind == "stand" else 0.0
    shapes = [*_pot(kind, pot, rise, at)]
    soil = at + rise
    shapes.append(cylinder(0.8 * pot, 0.002, (0.0, 0.0, soil), "soil").visual())
    growth = pick(rng, ("bush", "tree", "palm", "swords", "cactus", "climber"))
    low, high = {"tree": (0.7, 1.2), "cactus": (0.25, 0.8), "bush": (0.22, 0.8)}.get(growth, (0.35, 0.9))
    crown = between(rng, low, high)
    shapes += _GROWTHS[growth](rng, soil, crown, pot)
    leaf = pick(rng, ("green", "green", "olive", "teal"))
    colours = painted(
        shapes,
        body=pick(rng, (*CERAMICS, *FABRICS, "terracotta", "terracotta")),
        legs=pick(rng, WOODS),
        soil="brown",
        stem=pick(rng, ("brown", "olive", "green")),
        leaves=leaf,
    )
    words = {"palm": "palm", "tree": "little tree", "swords": "plant with upright leaves", "cactus": "cactus"}
    where = {"square": "square pot", "bowl": "bowl", "stand": "pot on legs", "vase": "round pot"}.get(kind, "pot")
    return Design(f"{words.get(growth, f'{growth} plant')} in a {where}", 4 + 25 * pot, tuple(shapes), colours)


def _pot(kind: str, pot: float, rise: float, at: float) -> list[Shape]:
    if kind == "cylinder":
        return [cylinder(pot, rise).weighing(3.0)]
    if kind == "square":
        return [loft(rectangle((1.5 * pot, 1.5 * pot)), rectangle((1.9 * pot, 1.9 * pot)), rise).weighing(3.0)]
    if kind == "bowl":
        return [cone(0.55 * pot, 1.25 * pot, 0.6 * rise), cone(1.25 * pot, pot, 0.4 * rise, (0.0, 0.0, 0.6 * rise))]
    if kind == "vase":
        return [cone(0.6 * pot, pot, 0.5 * rise), cone(pot, 0.85 * pot, 0.5 * rise, (0.0, 0.0, 0.5 * rise))]
    body = cone(0.75 * pot, pot, rise, (0.0, 0.0, at)).weighing(2.0)
    return [body, *legs((0.025, 0.025, at + 0.3 * rise), (1.9 * pot, 1.9 * pot))] if kind == "stand" else [body]


def _bush(rng: np.random.Generator, soil: float, crown: float, pot: float) -> list[Shape]:
    count, wide = int(rng.integers(4, 9)), between(rng, 0.8, 1.3) * pot
    turns = [2 * math.pi * i / count for i in range(count)]
    leaves = [
        ellipsoid(
            (wide, wide, between(rng, 0.3, 0.5) * crown),
            (0.7 * pot * math.cos(t), 0.7 * pot * math.sin(t), soil + crown * between(rng, 0.05, 0.5)),
            "leaves",
        ).visual()
        for t in turns
    ]
    return [_stem(soil, 0.6 * crown), *leaves]


def _tree(rng: np.random.Generator, soil: float, crown: float, pot: float) -> list[Shape]:
    trunk, count = between(rng, 0.4, 0.65) * crown, int(rng.integers(1, 5))
    leaves = []
    for _ in range(count):
        r = between(rng, 0.8, 1.5) * pot if count > 1 else 1.6 * pot
        x, y = (rng.uniform(-0.6, 0.6, 2) * pot).round(3).tolist() if count > 1 else (0.0, 0.0)
        leaves.append(ball(r, (x, y, soil + trunk + between(rng, -0.05, 0.1)), "leaves").visual())
    return [_stem(soil, trunk + 0.1), *leaves]


def _palm(rng: np.random.Generator, soil: float, crown: float, pot: float) -> list[Shape]:
    trunk, count = pick(rng, (0.05, 0.35, 0.55)) * crown, int(rng.integers(6, 11))
    long, thick = between(rng, 0.5, 0.75) * crown, between(rng, 0.05, 0.11)
    leaves = []
    for i in range(count):
        turn, tilt = 2 * math.pi * i / count, between(rng, 0.35, 1.2)
        out, up = math.sin(tilt) * long / 2, math.cos(tilt) * long / 2
        blade = ellipsoid((0.02, thick, long), (0.0, 0.0, 0.0), "leaves").turned((0.0, 1.0, 0.0), tilt)
        blade = blade.turned((0.0, 0.0, 1.0), turn)
        centre = (out * math.cos(turn), out * math.sin(turn), soil + trunk + up)
        leaves.append(dataclasses.replace(blade, centre_m=centre).visual())
    return [_stem(soil, max(0.06, trunk)), *leaves]


def _swords(rng: np.random.Generator, soil: float, crown: float, pot: float) -> list[Shape]:
    leaves = []
    for _ in range(int(rng.integers(5, 11))):
        turn, lean, high = float(rng.uniform(0, 2 * math.pi)), between(rng, 0.0, 0.25), between(rng, 0.55, 1.0) * crown
        x, y = 0.5 * pot * math.cos(turn), 0.5 * pot * math.sin(turn)
        blade = ellipsoid((0.02, between(rng, 0.05, 0.08), high), (x, y, soil - 0.02), "leaves")
        leaves.append(blade.turned((-math.sin(turn), math.cos(turn), 0.0), lean).visual())
    return leaves


def _cactus(rng: np.random.Generator, soil: float, crown: float, pot: float) -> list[Shape]:
    r = between(rng, 0.25, 0.5) * pot
    found = [rod((0.0, 0.0, soil), (0.0, 0.0, soil + crown - r), r, "leaves").weighing(0.2)]
    for side in (-1, 1)[: int(rng.integers(0, 3))]:
        z, y = soil + between(rng, 0.3, 0.5) * crown, side * 2.2 * r
        found.append(rod((0.0, 0.0, z), (0.0, y, z), 0.6 * r, "leaves").visual())
        found.append(rod((0.0, y, z), (0.0, y, z + 0.3 * crown), 0.6 * r, "leaves").visual())
    return found


def _climber(rng: np.random.Generator, soil: float, crown: float, pot: float) -> list[Shape]:
    """Single leaves on short stalks, all the way up a stick."""
    count, wide = int(rng.integers(8, 15)), between(rng, 0.09, 0.16)
    leaves = []
    for i in range(count):
        turn, z = 2.4 * i, soil + crown * (i + 1) / count
        out = (0.5 + 0.4 * (1 - i / count)) * pot
        at = (out * math.cos(turn), out * math.sin(turn), z - 0.02)
        leaves.append(ellipsoid((1.3 * wide, wide, 0.03), at, "leaves").turned((0.0, 0.0, 1.0), turn).visual())
    return [_stem(soil, crown), *leaves]


def _stem(soil: float, high: float) -> Shape:
    return cylinder(0.012, high, (0.0, 0.0, soil), "stem").weighing(0.1)


_GROWTHS = {"bush": _bush, "tree": _tree, "palm": _palm, "swords": _swords, "cactus": _cactus, "climber": _climber}


VARIANTS = (Variants(decoration.house_plant, house_plant),)
