"""Lamps, plants, pictures and what else is looked at rather than used."""

from __future__ import annotations

import math
from collections.abc import Iterator

from zoo.envs.assets.design import Category, Design, category, paint, small
from zoo.envs.assets.shapes import ball, bar, box, cone, cylinder, ellipsoid, rod


@small(synset="vase.n.01")
def vase() -> Iterator[Design]:
    """Held by the neck."""
    for words, mass, radius, belly, neck, height, colour in (
        ("slender vase", 0.55, 0.030, 0.038, 0.020, 0.24, "blue"),
        ("round vase", 0.70, 0.035, 0.070, 0.030, 0.17, "white"),
        ("straight vase", 0.65, 0.036, 0.036, 0.036, 0.20, "green"),
        ("bottle vase", 0.50, 0.040, 0.048, 0.014, 0.20, "terracotta"),
        ("small vase", 0.30, 0.025, 0.038, 0.022, 0.12, "purple"),
    ):
        low, mid = 0.45 * height, 0.35 * height
        yield Design(
            f"{colour} {words}",
            mass,
            (
                cone(radius, belly, low).weighing(1.5),
                cone(belly, neck, mid, (0.0, 0.0, low)),
                cylinder(neck, height - low - mid, (0.0, 0.0, low + mid)),
                cylinder(0.8 * neck, 0.0005, (0.0, 0.0, height), "opening").visual(),
            ),
            paint(body=colour, opening="black"),
        )


@category(synset="floor_lamp.n.01")
def floor_lamp() -> Iterator[Design]:
    """A heavy foot, a pole and a shade."""
    for words, mass, base, height, shade, shade_top, shade_height, colour in (
        ("floor lamp", 6.0, 0.15, 1.60, 0.19, 0.13, 0.26, "black"),
        ("tall floor lamp", 7.5, 0.17, 1.80, 0.16, 0.16, 0.30, "brass"),
        ("low floor lamp", 5.0, 0.14, 1.25, 0.22, 0.10, 0.24, "white"),
        ("floor lamp with an uplight", 6.5, 0.16, 1.70, 0.06, 0.18, 0.15, "steel"),
    ):
        yield Design(
            f"{colour} {words}",
            mass,
            (
                cylinder(base, 0.025, colour="body").weighing(4.0),
                cylinder(0.015, height - shade_height - 0.02, (0.0, 0.0, 0.025)),
                cone(shade, shade_top, shade_height, (0.0, 0.0, height - shade_height), "shade").weighing(0.05),
            ),
            paint(body=colour, shade="cream"),
        )


@category(synset="table_lamp.n.01", mounting="surface", is_pickupable=True)
def desk_lamp() -> Iterator[Design]:
    """Lamps with a shade, and lamps with a bent arm."""
    for words, mass, base, height, shade, colour in (
        ("table lamp", 1.4, 0.075, 0.42, 0.13, "teal"),
        ("small table lamp", 0.9, 0.060, 0.30, 0.10, "white"),
        ("tall table lamp", 1.8, 0.085, 0.55, 0.15, "brass"),
    ):
        tall = 0.42 * height
        yield Design(
            f"{colour} {words}",
            mass,
            (
                cylinder(base, 0.02).weighing(3.0),
                cylinder(0.018, height - tall - 0.02, (0.0, 0.0, 0.02)).named("stem"),
                cone(shade, 0.65 * shade, tall, (0.0, 0.0, height - tall), "shade").weighing(0.05),
            ),
            paint(body=colour, shade="cream"),
        )
    for words, mass, reach, height, colour in (
        ("desk lamp with an arm", 1.5, 0.20, 0.40, "black"),
        ("reading lamp with an arm", 1.2, 0.16, 0.34, "red"),
    ):
        elbow, head = (-0.08, 0.0, 0.6 * height), (reach - 0.06, 0.0, height - 0.02)
        yield Design(
            f"{colour} {words}",
            mass,
            (
                cylinder(0.09, 0.022).weighing(4.0),
                rod((0.0, 0.0, 0.02), elbow, 0.009, "arm"),
                rod(elbow, head, 0.009, "arm"),
                cone(0.055, 0.025, 0.09, (reach - 0.05, 0.0, height - 0.11), "shade").weighing(0.2),
            ),
            paint(body=colour, arm="steel", shade=colour),
        )


@category(synset="houseplant.n.01")
def house_plant() -> Iterator[Design]:
    """Leaves are only seen; pot and stem are solid."""
    for words, mass, pot, pot_height, height, leaves, colour in (
        ("bushy plant", 5.0, 0.13, 0.24, 0.75, 5, "terracotta"),
        ("tall plant", 8.0, 0.16, 0.30, 1.30, 7, "white"),
        ("small tree", 9.0, 0.17, 0.32, 1.55, 5, "dark grey"),
        ("low plant", 4.0, 0.14, 0.22, 0.50, 6, "blue"),
    ):
        crown = height - pot_height
        stem = rod((0.0, 0.0, pot_height), (0.0, 0.0, pot_height + 0.6 * crown), 0.012, "stem").weighing(0.1)
        turns = [2 * math.pi * i / leaves for i in range(leaves)]
        foliage = [
            ellipsoid(
                (0.9 * pot, 0.9 * pot, 0.35 * crown),
                (0.75 * pot * math.cos(t), 0.75 * pot * math.sin(t), pot_height + crown * (0.25 + 0.4 * (i % 3) / 2)),
                "leaves",
            ).visual()
            for i, t in enumerate(turns)
        ]
        yield Design(
            f"{words} in a {colour} pot",
            mass,
            (
                cone(0.75 * pot, pot, pot_height, colour="body"),
                cylinder(0.85 * pot, 0.001, (0.0, 0.0, pot_height), "soil").visual(),
                stem,
                *foliage,
            ),
            paint(body=colour, soil="brown", stem="brown", leaves="green"),
        )


@small(synset="pot_plant.n.01")
def potted_plant() -> Iterator[Design]:
    """Small enough for a window sill."""
    for words, mass, pot, height, colour in (
        ("potted herb", 0.50, 0.042, 0.19, "terracotta"),
        ("cactus", 0.45, 0.038, 0.16, "white"),
        ("potted fern", 0.80, 0.055, 0.24, "teal"),
        ("succulent", 0.35, 0.040, 0.11, "grey"),
    ):
        pot_height = 1.8 * pot
        crown = height - pot_height
        if words == "cactus":
            green = [rod((0.0, 0.0, pot_height), (0.0, 0.0, height - 0.018), 0.018, "leaves").weighing(0.4)]
        else:
            offsets = [(0.5 * pot * math.cos(t), 0.5 * pot * math.sin(t)) for t in (0.0, 2.1, 4.2)]
            size, low = (1.3 * pot, 1.3 * pot, 0.75 * crown), pot_height + 0.25 * crown
            green = [ellipsoid(size, (x, y, low), "leaves").visual() for x, y in offsets]
            green.append(cylinder(0.008, 0.6 * crown, (0.0, 0.0, pot_height), "leaves").named("stem").weighing(0.1))
        yield Design(
            f"{words} in a {colour} pot",
            mass,
            (cone(0.75 * pot, pot, pot_height), *green),
            paint(body=colour, leaves="green"),
        )


@category(synset="painting.n.01", mounting="wall", is_static=True)
def painting() -> Iterator[Design]:
    """A frame, a canvas and one patch of colour for a motif."""
    for words, mass, (width, height), border, frame, canvas, motif in (
        ("wide painting", 2.5, (0.90, 0.60), 0.04, "walnut", "cream", "teal"),
        ("tall painting", 2.0, (0.50, 0.75), 0.03, "black", "white", "red"),
        ("small painting", 0.9, (0.30, 0.40), 0.02, "gold", "navy", "yellow"),
        ("square painting", 1.8, (0.60, 0.60), 0.05, "white", "terracotta", "olive"),
        ("panorama", 3.2, (1.30, 0.50), 0.03, "oak", "blue", "cream"),
    ):
        inner, high = width - 2 * border, height - 2 * border
        yield Design(
            f"{words} in a {frame} frame",
            mass,
            (
                box((0.025, width, height), colour="body"),
                box((0.002, inner, high), (0.0135, 0.0, border), "canvas").visual(),
                box((0.001, 0.45 * inner, 0.55 * high), (0.0150, 0.1 * inner, border + 0.15 * high), "motif").visual(),
            ),
            paint(body=frame, canvas=canvas, motif=motif),
        )


@category(synset="mirror.n.01", mounting="wall", is_static=True)
def mirror() -> Iterator[Design]:
    """Glass by colour; it reflects nothing."""
    for words, mass, (width, height), is_round, frame in (
        ("bathroom mirror", 5.0, (0.60, 0.80), False, "steel"),
        ("round mirror", 4.0, (0.60, 0.60), True, "brass"),
        ("tall mirror", 9.0, (0.45, 1.40), False, "oak"),
        ("wide mirror", 8.0, (1.10, 0.70), False, "black"),
    ):
        if is_round:
            r = width / 2
            shapes = (
                bar((0.0, 0.0, r), (0.025, 0.0, r), r),
                bar((0.025, 0.0, r), (0.027, 0.0, r), 0.93 * r, "glass").visual(),
            )
        else:
            pane = box((0.002, width - 0.04, height - 0.04), (0.0135, 0.0, 0.02), "glass").visual()
            shapes = (box((0.025, width, height)), pane)
        yield Design(f"{words} in a {frame} frame", mass, shapes, paint(body=frame, glass="glass"))


@category(synset="wall_clock.n.01", mounting="wall", is_static=True)
def wall_clock() -> Iterator[Design]:
    """It always shows three o'clock."""
    for words, mass, radius, colour in (
        ("wall clock", 0.8, 0.15, "black"),
        ("large wall clock", 1.6, 0.25, "walnut"),
        ("small wall clock", 0.5, 0.11, "red"),
        ("square wall clock", 0.9, 0.14, "white"),
    ):
        case = (
            box((0.035, 2 * radius, 2 * radius))
            if "square" in words
            else bar((-0.0175, 0.0, radius), (0.0175, 0.0, radius), radius)
        )
        x = 0.0175
        yield Design(
            f"{colour} {words}",
            mass,
            (
                case,
                bar((x, 0.0, radius), (x + 0.002, 0.0, radius), 0.9 * radius, "face").visual(),
                box((0.002, 0.010, 0.7 * radius), (x + 0.003, 0.0, radius), "hands").visual(),
                box((0.002, 0.5 * radius, 0.012), (x + 0.003, 0.25 * radius, radius), "hands").visual(),
            ),
            paint(body=colour, face="cream", hands="black"),
        )


@category(synset="chandelier.n.01", mounting="ceiling", is_static=True)
def ceiling_lamp() -> Iterator[Design]:
    """Out of reach: seen, but not touched, except for the rose at the ceiling."""
    for words, mass, drop, radius, top_radius, colour in (
        ("pendant lamp", 1.5, 0.55, 0.20, 0.08, "white"),
        ("flat ceiling lamp", 2.0, 0.12, 0.22, 0.18, "cream"),
        ("globe lamp", 1.8, 0.60, 0.14, 0.14, "glass"),
        ("long pendant lamp", 1.6, 0.80, 0.16, 0.05, "black"),
    ):
        tall = 0.09 if drop < 0.2 else 0.20
        shade = ball(radius, colour="shade") if "globe" in words else cone(radius, top_radius, tall, colour="shade")
        high = 2 * radius if "globe" in words else tall
        shapes = (shade.visual(), cylinder(0.05, 0.025, (0.0, 0.0, drop - 0.025)))
        if drop > high + 0.025:
            shapes = (*shapes, cylinder(0.005, drop - high - 0.025, (0.0, 0.0, high)).visual())
        yield Design(f"{colour} {words}", mass, shapes, paint(body="steel", shade=colour))


@category(synset="rug.n.01", is_static=True)
def rug() -> Iterator[Design]:
    """So thin that one walks over it: only seen."""
    for words, mass, (lx, ly), is_round, colour, border in (
        ("rug", 5.0, (1.20, 1.80), False, "red", "cream"),
        ("large rug", 9.0, (1.70, 2.40), False, "navy", "grey"),
        ("round rug", 4.0, (1.50, 1.50), True, "teal", "cream"),
        ("runner", 3.0, (0.70, 1.90), False, "olive", "brown"),
        ("bath mat", 0.8, (0.50, 0.75), False, "white", "blue"),
    ):
        thick = 0.004
        if is_round:
            layers = (cylinder(lx / 2, thick, colour="border"), cylinder(0.85 * lx / 2, thick + 0.001))
        else:
            layers = (box((lx, ly, thick), colour="border"), box((lx - 0.2, ly - 0.2, thick + 0.001)))
        yield Design(
            f"{colour} {words}", mass, tuple(layer.visual() for layer in layers), paint(body=colour, border=border)
        )


@category(synset="curtain.n.01", mounting="wall", is_static=True)
def curtain() -> Iterator[Design]:
    """Two panels at the sides of a window, below a rail; only seen."""
    for words, mass, width, height, share, colour in (
        ("curtains", 2.0, 1.40, 1.50, 0.20, "blue"),
        ("long curtains", 3.5, 1.60, 2.20, 0.18, "cream"),
        ("half-drawn curtains", 2.5, 1.40, 1.60, 0.30, "terracotta"),
        ("short curtains", 1.2, 1.00, 1.00, 0.22, "green"),
    ):
        panel = share * width
        rail = bar((0.0, -width / 2, height - 0.015), (0.0, width / 2, height - 0.015), 0.012, "rail")
        cloth = [box((0.03, panel, height - 0.03), (0.0, s * (width - panel) / 2, 0.0)).visual() for s in (-1, 1)]
        yield Design(f"{colour} {words}", mass, (rail, *cloth), paint(body=colour, rail="steel"))


@small(synset="statue.n.01")
def statue() -> Iterator[Design]:
    """A plinth, a body that tapers and a head."""
    for words, mass, width, height, colour in (
        ("figurine", 0.60, 0.060, 0.20, "brass"),
        ("bust", 1.50, 0.090, 0.22, "white"),
        ("abstract statue", 0.90, 0.070, 0.28, "black"),
        ("small figurine", 0.30, 0.045, 0.12, "terracotta"),
    ):
        plinth, head = 0.03, 0.22 * height
        yield Design(
            f"{colour} {words}",
            mass,
            (
                box((width, width, plinth)).weighing(2.0),
                cone(0.42 * width, 0.25 * width, height - plinth - head, (0.0, 0.0, plinth)),
                ellipsoid((0.75 * head, 0.75 * head, 1.1 * head), (0.0, 0.0, height - 1.1 * head)),
            ),
            paint(body=colour),
        )


CATEGORIES: tuple[Category, ...] = (
    vase,
    floor_lamp,
    desk_lamp,
    house_plant,
    potted_plant,
    painting,
    mirror,
    wall_clock,
    ceiling_lamp,
    rug,
    curtain,
    statue,
)
