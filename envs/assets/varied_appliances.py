"""Drawn fridges and ranges."""

from __future__ import annotations

import dataclasses

import numpy as np

from zoo.envs.assets import appliances
from zoo.envs.assets.appliances import shelved_carcass
from zoo.envs.assets.design import Design, MovingPart, inside, top
from zoo.envs.assets.joinery import GAP_M, carcass, door, drawer, flap
from zoo.envs.assets.library import Surface
from zoo.envs.assets.shapes import Shape, bar, box, cylinder
from zoo.envs.assets.variants import ENAMELS, METALS, Variants, painted, row
from zoo.envs.draws import between, pick

LEAF_M = 0.04  # thickness of a fridge's door


def fridge(rng: np.random.Generator) -> Design:
    """One door, a freezer above or below, or two doors side by side."""
    kind = pick(rng, ("one", "one", "above", "below", "pair"))
    depth = between(rng, 0.54, 0.70)
    width = between(rng, 0.78, 0.92) if kind == "pair" else between(rng, 0.48, 0.72)
    height = between(rng, 0.85, 1.85) if kind == "one" else between(rng, 1.55, 1.9)
    words = {
        "one": "fridge" if height > 1.2 else "small fridge",
        "above": "fridge with a freezer on top",
        "below": "fridge with a freezer below",
        "pair": "fridge with two doors side by side",
    }[kind]
    foot, size = pick(rng, (0.0, 0.03, 0.06)), (depth, width)
    cut = {"above": between(rng, 0.62, 0.76), "below": between(rng, 0.3, 0.42)}.get(kind, 1.0) * (height - foot)
    hinge, style = pick(rng, ("left", "right")), pick(rng, ("bar", "bar", "knob"))
    long = pick(rng, (0.15, 0.3, 0.45))
    lower, surfaces = shelved_carcass((*size, cut), (0.0, 0.0, foot), 0.04, max(0, round(cut / 0.45) - 1))
    shapes = [*lower]
    leaves = [(foot, cut)]
    rest = height - foot - cut
    if rest > 0:
        more, above = shelved_carcass(
            (*size, rest), (0.0, 0.0, foot + cut), 0.04, max(0, round(rest / 0.45) - 1), first=len(surfaces)
        )
        shapes, surfaces = [*shapes, *more], (*surfaces, *above)
        leaves.append((foot + cut, rest))
    if foot:
        shapes.append(box((depth - 0.08, width - 0.04, foot), (-0.02, 0.0, 0.0), "plinth"))
    doors: list[MovingPart] = []
    for low, tall in leaves:
        count = 2 if kind == "pair" else 1
        for y in row(count, width):
            side = hinge if count == 1 else ("right" if y > 0 else "left")
            leaf = door(
                f"door{len(doors)}",
                width / count - 0.008,
                tall - 2 * GAP_M,
                (depth / 2, y, low + GAP_M),
                hinge=side,
                style=style,
                thickness=LEAF_M,
                handle_length=min(long, 0.6 * tall),
            )
            doors.append(leaf)
    if rng.random() < 0.3:
        doors[-1] = _with_panel(doors[-1], (0.006, 0.1, 0.16), between(rng, 0.55, 0.75))
    colour = pick(rng, ENAMELS)
    shapes_of_all = [*shapes, *(shape for part in doors for shape in part.shapes)]
    body = pick(rng, (colour, colour, "grey", "black"))
    colours = painted(
        shapes_of_all,
        body=body,
        front=colour,
        inside="white",
        handle=pick(rng, (*METALS, colour)),
        plinth="black",
        panel=pick(rng, ("black", "grey")),
    )
    surfaces = (top("top", (0.0, 0.0, height), size), *surfaces)
    return Design(words, 40 * width * height + 20, tuple(shapes), colours, surfaces, tuple(doors))


def _with_panel(leaf: MovingPart, size: tuple[float, float, float], share: float) -> MovingPart:
    """A display or window on a leaf: seen only, at a share of its height, in its middle."""
    (_, low_y, low), (x, high_y, high) = leaf.shapes[0].bounds()
    at = (x + size[0] / 2, (low_y + high_y) / 2, low + share * (high - low) - size[2] / 2)
    return dataclasses.replace(leaf, shapes=(*leaf.shapes, box(size, at, "panel").visual()))


def oven(rng: np.random.Generator) -> Design:
    """A range: a hob of one of three kinds, one oven or two, perhaps a drawer, a window, knobs and a board behind."""
    depth, width, height = between(rng, 0.56, 0.66), between(rng, 0.5, 0.9), between(rng, 0.86, 0.93)
    wall, panel, storage = 0.035, between(rng, 0.08, 0.15), pick(rng, (0.0, 0.0, between(rng, 0.14, 0.2)))
    foot = 0.02 if storage else between(rng, 0.03, 0.1)
    low = foot + storage
    tall = height - low - panel
    shapes: list[Shape] = [
        box((depth, width, panel), (0.0, 0.0, height - panel)),
        box((depth, width, 0.02 if storage else foot)),
        *_hob(rng, depth, width, height),
    ]
    moving: list[MovingPart] = []
    surfaces: list[Surface] = [top("hob", (0.02, 0.0, height), (depth - 0.1, width - 0.04))]
    count = 2 if width > 0.75 and rng.random() < 0.4 else 1
    share, bar_share = width / count, between(rng, 0.4, 0.85)
    has_window = rng.random() < 0.5
    for y in row(count, width):
        shapes += carcass((depth, share, tall), (0.0, y, low), board=wall)
        leaf = flap(
            f"door{len(moving)}", share - 0.01, tall - GAP_M, (depth / 2, y, low + GAP_M / 2), handle_share=bar_share
        )
        if has_window:
            leaf = _with_panel(leaf, (0.004, between(rng, 0.55, 0.8) * share, between(rng, 0.35, 0.6) * tall), 0.45)
        moving.append(leaf)
        rack = 0.5 * (tall - 2 * wall)
        size = (depth - 0.12, share - 2 * wall - 0.02)
        shapes.append(box((depth - 0.1, share - 2 * wall, 0.008), (0.0, y, low + wall + rack - 0.008), "rack"))
        surfaces.append(inside(f"floor{len(moving)}", (0.0, y, low + wall), size, rack - 0.01))
        surfaces.append(inside(f"rack{len(moving)}", (0.0, y, low + wall + rack), size, rack))
    if storage:
        shapes += [box((depth, wall, storage), (0.0, s * (width - wall) / 2, foot)) for s in (-1, 1)]
        moving.append(drawer("drawer0", (depth - 0.01, width - 2 * wall, storage), (depth / 2, 0.0, foot), rim=0.03))
    if rng.random() < 0.5:
        z, knob = height - panel / 2, between(rng, 0.015, 0.024, 0.003)
        ends = [(y, (depth / 2, y, z), (depth / 2 + 0.025, y, z)) for y in row(pick(rng, (4, 5, 6)), 0.85 * width)]
        shapes += [bar(start, end, knob, "knob").visual() for _, start, end in ends]
    if rng.random() < 0.3:
        rise = between(rng, 0.08, 0.2)
        shapes.append(box((0.05, width, rise), (0.025 - depth / 2, 0.0, height)))
        shapes.append(
            box((0.004, 0.3 * width, 0.6 * rise), (0.052 - depth / 2, 0.0, height + 0.2 * rise), "panel").visual()
        )
    words = ("wide range" if width > 0.7 else "range") + (" with a drawer" if storage else "")
    words += " with two ovens" if count == 2 else ""
    colour = pick(rng, ENAMELS)
    colours = painted(
        [*shapes, *(shape for part in moving for shape in part.shapes)],
        body=colour,
        front=pick(rng, (colour, colour, "black", "steel")),
        hob=pick(rng, ("black", "dark grey", "steel")),
        ring=pick(rng, ("black", "grey", "dark grey")),
        rack="steel",
        inside="grey",
        handle=pick(rng, METALS),
        knob=pick(rng, METALS),
        panel="black",
    )
    return Design(words, 75 * width, tuple(shapes), colours, tuple(surfaces), tuple(moving))


def _hob(rng: np.random.Generator, depth: float, width: float, height: float) -> list[Shape]:
    """Plates, a pane of glass with rings on it, or burners under grates; all only seen, so that pans stand level."""
    kind = pick(rng, ("plates", "pane", "grates"))
    columns = 3 if width > 0.72 else 2
    places = [(x, y) for x in (-0.1, 0.14) for y in row(columns, 0.9 * width)]
    radii = [between(rng, 0.06, 0.1) for _ in places]
    sheet = box((depth - 0.08, width - 0.03, 0.003), (0.02, 0.0, height), "hob").visual()
    rings = [
        cylinder(r, 0.005, (x, y, height), "ring" if kind == "pane" else "hob").visual()
        for (x, y), r in zip(places, radii, strict=True)
    ]
    if kind == "plates":
        return rings
    if kind == "pane":
        return [sheet, *rings]
    grates = [
        box(size, (x, y, height + 0.004), "ring").visual()
        for x, y in places
        for size in ((0.2, 0.012, 0.008), (0.012, 0.2, 0.008))
    ]
    return [*rings, *grates]


VARIANTS = (Variants(appliances.fridge, fridge), Variants(appliances.oven, oven))
