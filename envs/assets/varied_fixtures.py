"""Drawn toilets, sinks and waste bins."""

from __future__ import annotations

import dataclasses

import numpy as np

from zoo.envs.assets import bathroom, furniture
from zoo.envs.assets.design import Design, top
from zoo.envs.assets.joinery import lid
from zoo.envs.assets.shapes import (
    Shape,
    bar,
    box,
    cone,
    cylinder,
    floor_square,
    frame,
    legs,
    loft,
    rectangle,
    ring,
    vessel,
)
from zoo.envs.assets.variants import CERAMICS, ENAMELS, FABRICS, METALS, WOODS, Variants, ellipse, painted, row
from zoo.envs.draws import between, pick
from zoo.envs.scenes.specification import Point

LIP_M = 0.02  # thickness of a toilet's lid


def toilet(rng: np.random.Generator) -> Design:
    """An oval or angular bowl on a foot or down to the floor, before a cistern or a tall box."""
    width, deep, seat = between(rng, 0.34, 0.44), between(rng, 0.42, 0.56), between(rng, 0.38, 0.47)
    tank, tank_width = between(rng, 0.14, 0.22), between(rng, 0.34, 0.5)
    cistern, low = seat + between(rng, 0.28, 0.48), pick(rng, (0.0, 0.1, 0.3))
    middle, is_oval = -(deep + tank) / 2, rng.random() < 0.6
    make = ellipse if is_oval else rectangle
    skirt, narrow = pick(rng, (0.35, 0.8)), between(rng, 0.55, 0.9)
    shapes = [
        loft(make((narrow * deep, narrow * width)), make((deep, width)), (1 - skirt) * seat, (0.0, 0.0, skirt * seat)),
        loft(make((0.75 * deep, 0.7 * width)), make((narrow * deep, narrow * width)), skirt * seat),
        box((0.3 * deep, 0.6 * width, 0.5 * seat), (-0.35 * deep, 0.0, 0.4 * seat)),
        box((tank, tank_width, cistern - low), (middle, 0.0, low)),
    ]
    if rng.random() < 0.5:
        shapes.append(box((tank + 0.02, tank_width + 0.02, 0.03), (middle, 0.0, cistern - 0.02), "lid"))
        cistern += 0.01
    if rng.random() < 0.6:
        shapes.append(cylinder(0.02, 0.01, (middle, 0.0, cistern), "button"))
    else:
        shapes.append(box((0.02, 0.06, 0.02), (middle + tank / 2 + 0.01, 0.3 * tank_width, cistern - 0.1), "button"))
    back = LIP_M + 0.02
    part = lid("lid", (deep - back, width, LIP_M), (back / 2, 0.0, seat + 0.004), grip=0.1, reach=1.45)
    if is_oval:
        corners = ellipse((deep - back, width))
        plate = loft(corners, corners, LIP_M, (back / 2, 0.0, seat + 0.004), "lid")
        part = dataclasses.replace(part, shapes=(plate, *part.shapes[1:]))
    colour = pick(rng, CERAMICS)
    cover = pick(rng, (colour, colour, *CERAMICS, "oak", "walnut"))
    colours = painted([*shapes, *part.shapes], body=colour, lid=cover, handle=cover, button=pick(rng, METALS))
    surface = top("cistern", (middle - 0.03, 0.0, cistern), (tank - 0.1, tank_width), 0.5)
    words = f"{'oval' if is_oval else 'angular'} toilet" + (" with a high cistern" if cistern > 0.84 else "")
    return Design(words, between(rng, 26, 38, 1.0), tuple(shapes), colours, (surface,), (part,))


def sink(rng: np.random.Generator) -> Design:
    """A basin on a column, a cabinet, legs or an open frame; or a bowl that stands on a cabinet."""
    base = pick(rng, ("column", "column", "cabinet", "cabinet", "legs", "bowl"))
    lx = between(rng, 0.38, 0.62)
    ly = between(rng, 0.42, 0.62) if base == "column" else between(rng, 0.45, 1.1)
    height, basin = between(rng, 0.80, 0.92), between(rng, 0.11, 0.2)
    if base == "bowl":
        shapes, surfaces = _bowl_on_cabinet(rng, (lx, ly, height), basin)
        words, tap = "sink with a bowl on a cabinet", 0.05 - lx / 2
    else:
        shapes, surfaces, tap = _let_in_basin(rng, base, (lx, ly, height), basin)
        words = {"column": "sink on a column", "cabinet": "sink in a cabinet", "legs": "sink on legs"}[base]
        words += " with two basins" if len(surfaces) == 3 else ""
    shapes += _tap(rng, tap, height)
    body, wood = pick(rng, (*CERAMICS, "steel", "steel")), pick(rng, (*WOODS, *FABRICS))
    colours = painted(
        shapes,
        body=body,
        base=body if base == "column" else wood,
        front=pick(rng, (wood, *WOODS)),
        tap=pick(rng, METALS),
        handle=pick(rng, METALS),
        drain="dark grey",
    )
    return Design(words, 12 + 45 * lx * ly, tuple(shapes), colours, tuple(surfaces))


def _let_in_basin(
    rng: np.random.Generator, base: str, size: tuple[float, float, float], basin: float
) -> tuple[list[Shape], list, float]:
    (lx, ly, height), wall, floor, back = size, 0.035, 0.03, 0.10
    low = height - basin
    under = low - floor
    tap = back / 2 - lx / 2
    count = 2 if ly > 0.85 and base != "column" and rng.random() < 0.5 else 1
    shapes = [
        *_below(rng, base, (lx, ly), under),
        box((lx, ly, floor), (0.0, 0.0, under)),
        *frame((lx - back, ly, basin), wall, (back / 2, 0.0, low), "body"),
        box((back, ly, basin), (tap, 0.0, low)),
        *(cylinder(0.025, 0.002, (back / 2, y, low), "drain").visual() for y in row(count, ly)),
    ]
    if count == 2:
        shapes.append(box((lx - back - 2 * wall, wall, basin), (back / 2, 0.0, low)))
    wide = ly / count - 2 * wall - 0.02
    surfaces = [
        top(f"basin{i}", (back / 2, y, low), (lx - back - 2 * wall - 0.02, wide), basin)
        for i, y in enumerate(row(count, ly - wall))
    ]
    surfaces.append(top("ledge", (tap, ly / 4 + 0.04, height), (back - 0.01, ly / 2 - 0.1), 0.5))
    return shapes, surfaces, tap


def _below(rng: np.random.Generator, base: str, size: Point, under: float) -> list[Shape]:
    lx, ly = size
    if base == "column":
        r = between(rng, 0.08, 0.13)
        column = pick(rng, ("round", "square", "trumpet"))
        if column == "round":
            return [cylinder(r, under, (-0.04, 0.0, 0.0), "base")]
        if column == "trumpet":
            return [cone(1.3 * r, 0.7 * r, under, (-0.04, 0.0, 0.0), "base")]
        return [box((2 * r, 1.8 * r, under), (-0.04, 0.0, 0.0), "base")]
    if base == "legs":
        rail = box((lx - 0.06, ly - 0.06, 0.02), (0.0, 0.0, between(rng, 0.1, 0.3)), "base")
        pipe = cylinder(0.025, 0.25, (-0.05, 0.0, under - 0.25), "tap")
        return [*legs((0.035, 0.035, under), (lx, ly), colour="base"), rail, pipe]
    return _cabinet(rng, (lx, ly, under))


def _cabinet(rng: np.random.Generator, size: tuple[float, float, float]) -> list[Shape]:
    """Closed for good: its doors are painted on, with handles."""
    (lx, ly, high), plinth = size, pick(rng, (0.02, 0.1))
    count = 1 if ly < 0.55 else pick(rng, (2, 3)) if ly > 0.9 else 2
    shapes = [box((lx, ly, high - plinth), (0.0, 0.0, plinth), "base")]
    shapes.append(box((lx - 0.08, ly - 0.04, plinth), (-0.03, 0.0, 0.0), "base"))
    z, tall, x = plinth + 0.02, high - plinth - 0.04, lx / 2
    shapes += [box((0.012, ly / count - 0.02, tall), (x, y, z), "front") for y in row(count, ly)]
    grip = pick(rng, ((0.02, 0.02, 0.14), (0.02, 0.1, 0.015), (0.025, 0.025, 0.025)))
    return shapes + [box(grip, (x + 0.012, y, z + 0.7 * tall), "handle") for y in row(count, ly)]


def _bowl_on_cabinet(
    rng: np.random.Generator, size: tuple[float, float, float], basin: float
) -> tuple[list[Shape], list]:
    lx, ly, height = size
    under, radius = height - basin, min(lx - 0.14, ly) / 2 - 0.02
    bowl = vessel(0.75 * radius, basin, wall=0.015, floor=0.02, top_radius=radius)
    moved = [
        dataclasses.replace(s, centre_m=(s.centre_m[0] + 0.05, s.centre_m[1], s.centre_m[2] + under)) for s in bowl
    ]
    shapes = [*_cabinet(rng, (lx, ly, under - 0.03)), box((lx, ly, 0.03), (0.0, 0.0, under - 0.03), "front"), *moved]
    side = floor_square(0.75 * radius, 0.015)
    return shapes, [top("basin", (0.05, 0.0, under + 0.02), side, basin)]


def _tap(rng: np.random.Generator, x: float, height: float) -> list[Shape]:
    rise, out, r = between(rng, 0.1, 0.28), between(rng, 0.1, 0.17), between(rng, 0.01, 0.016, 0.002)
    shapes = [
        cylinder(r, rise, (x, 0.0, height), "tap"),
        bar((x, 0.0, height + rise - r), (x + out, 0.0, height + rise - r), r, "tap"),
    ]
    kind = pick(rng, ("lever", "two handles", "spout"))
    if kind == "lever":
        shapes.append(box((0.06, 0.015, 0.012), (x - 0.01, 0.0, height + rise), "tap"))
    elif kind == "two handles":
        shapes += [cylinder(0.02, 0.05, (x, s * 0.08, height), "tap") for s in (-1, 1)]
    else:
        shapes.append(cylinder(r, 0.06, (x + out, 0.0, height + rise - 0.06), "tap"))
    return shapes


def garbage_can(rng: np.random.Generator) -> Design:
    """Open and round or angular, with a bag, with a flat or sloping lid, with a pedal, or on wheels."""
    kind = pick(rng, ("open", "open", "angular", "bag", "pedal", "roof", "wheels"))
    radius, height = between(rng, 0.09, 0.18), between(rng, 0.22, 0.66)
    flare, wall, floor = between(rng, 0.0, 0.04), 0.008, 0.012
    colour = pick(rng, (*ENAMELS, "grey", "oak", "brown"))
    other = pick(rng, ("black", "white", "grey", "steel", colour))
    inner = top("inside", (0.0, 0.0, floor), floor_square(radius, wall))
    if kind in ("open", "bag"):
        shapes = [*vessel(radius, height, wall=wall, floor=floor, top_radius=radius + flare)]
        edge = radius + flare
        if kind == "bag":
            shapes += [s.visual() for s in ring(edge + 0.008, 0.08, 0.006, (0.0, 0.0, height - 0.076), "trim")]
        elif rng.random() < 0.5:
            shapes += [s.visual() for s in ring(edge + 0.008, 0.025, 0.012, (0.0, 0.0, height - 0.023), "trim")]
        words, surfaces = ("bin with a bag" if kind == "bag" else "round bin"), (inner,)
    elif kind == "angular":
        lx, ly = 1.6 * radius, between(rng, 1.6, 2.6) * radius
        shapes = [box((lx, ly, floor)), *frame((lx, ly, height - floor), wall, (0.0, 0.0, floor))]
        words, surfaces = "angular bin", (top("inside", (0.0, 0.0, floor), (lx - 0.03, ly - 0.03)),)
    else:
        shapes, words = _closed_bin(rng, kind, radius, height)
        surfaces = ()
    size = "tall " if height > 0.55 else "small " if height < 0.36 else ""
    return Design(size + words, 1 + 5 * height, tuple(shapes), painted(shapes, body=colour, trim=other), surfaces)


def _closed_bin(rng: np.random.Generator, kind: str, radius: float, height: float) -> tuple[list[Shape], str]:
    if kind == "pedal":
        body = [cylinder(radius, height, colour="body"), box((0.08, 0.06, 0.02), (radius + 0.01, 0.0, 0.01), "trim")]
        cap = pick(
            rng,
            (
                cylinder(radius + 0.004, 0.03, (0.0, 0.0, height), "trim"),
                cone(radius + 0.004, 0.5 * radius, 0.07, (0.0, 0.0, height), "trim"),
            ),
        )
        return [*body, cap], "pedal bin"
    lx, ly, high = 2 * radius, between(rng, 1.6, 2.4) * radius, height + 0.1
    lower, upper = rectangle((0.8 * lx, 0.8 * ly)), rectangle((lx, ly))
    body = [loft(lower, upper, high)]
    if kind == "roof":
        return [
            *body,
            loft(upper, rectangle((0.35 * lx, 0.9 * ly)), 0.14, (0.0, 0.0, high), "trim"),
        ], "bin with a swing lid"
    axle, wheel = 0.4 * lx, 0.06
    body.append(box((lx + 0.03, ly + 0.02, 0.03), (0.01, 0.0, high), "trim"))
    body.append(bar((-lx / 2 - 0.03, -0.4 * ly, high), (-lx / 2 - 0.03, 0.4 * ly, high), 0.014, "trim"))
    body += [bar((-axle, s * 0.4 * ly, wheel), (-axle, s * (0.4 * ly + 0.04), wheel), wheel, "trim") for s in (-1, 1)]
    return body, "bin on wheels"


VARIANTS = (
    Variants(bathroom.toilet, toilet),
    Variants(bathroom.sink, sink),
    Variants(furniture.garbage_can, garbage_can),
)
