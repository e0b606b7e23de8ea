"""Small things that lie about: for reading, writing and washing, and the boxes and baskets they are kept in."""

from __future__ import annotations

import math
from collections.abc import Iterator

from zoo.envs.assets.design import Category, Design, category, paint, small, top
from zoo.envs.assets.shapes import bar, box, cone, cylinder, ellipsoid, floor_square, frame, ring, rod, vessel


@small(synset="book.n.02")
def book() -> Iterator[Design]:
    """Lies flat; grasped across its thickness, or its width where that is small."""
    for words, mass, (lx, ly, lz), colour in (
        ("novel", 0.35, (0.13, 0.20, 0.028), "red"),
        ("thick book", 0.75, (0.15, 0.23, 0.050), "navy"),
        ("thin book", 0.20, (0.14, 0.21, 0.014), "green"),
        ("small book", 0.15, (0.075, 0.11, 0.018), "black"),
        ("large picture book", 0.95, (0.24, 0.30, 0.022), "orange"),
        ("dictionary", 0.90, (0.14, 0.19, 0.062), "brown"),
    ):
        cover, inset = 0.003, 0.004
        pages = box((lx - inset, ly - 2 * inset, lz - 2 * cover), (-inset / 2, 0.0, cover), "pages")
        spine = box((cover, ly, lz - 2 * cover), ((cover - lx) / 2, 0.0, cover))
        boards = box((lx, ly, cover)), box((lx, ly, cover), (0.0, 0.0, lz - cover))
        yield Design(f"{colour} {words}", mass, (*boards, pages, spine), paint(body=colour, pages="cream"))


@small(synset="newspaper.n.03")
def newspaper() -> Iterator[Design]:
    """Folded, lies flat; what is printed is only seen."""
    for words, mass, (lx, ly, lz) in (
        ("folded newspaper", 0.20, (0.19, 0.29, 0.012)),
        ("thick newspaper", 0.35, (0.20, 0.30, 0.022)),
        ("newspaper folded twice", 0.20, (0.15, 0.19, 0.024)),
        ("tabloid", 0.15, (0.15, 0.27, 0.010)),
    ):
        headline = box((0.12 * lx, 0.8 * ly, 0.0005), (0.35 * lx, 0.0, lz), "ink").visual()
        column = box((0.55 * lx, 0.35 * ly, 0.0005), (-0.05 * lx, 0.2 * ly, lz), "ink").visual()
        yield Design(words, mass, (box((lx, ly, lz)), headline, column), paint(body="cream", ink="grey"))


@small(synset="cellular_telephone.n.01")
def phone() -> Iterator[Design]:
    """Lies on its back."""
    for words, mass, (lx, ly, lz), colour in (
        ("phone", 0.18, (0.072, 0.148, 0.009), "black"),
        ("small phone", 0.14, (0.064, 0.130, 0.008), "white"),
        ("large phone", 0.23, (0.078, 0.165, 0.009), "navy"),
        ("thick phone in a case", 0.25, (0.078, 0.155, 0.014), "red"),
    ):
        screen = box((lx - 0.006, ly - 0.010, 0.0005), (0.0, 0.0, lz), "screen").visual()
        yield Design(f"{colour} {words}", mass, (box((lx, ly, lz)), screen), paint(body=colour, screen="dark grey"))


@small(synset="remote_control.n.01")
def remote_control() -> Iterator[Design]:
    """Lies on its back, keys up."""
    for words, mass, (lx, ly, lz), rows, colour in (
        ("remote control", 0.12, (0.045, 0.17, 0.020), 5, "black"),
        ("slim remote control", 0.06, (0.036, 0.14, 0.012), 3, "white"),
        ("long remote control", 0.15, (0.050, 0.22, 0.024), 7, "dark grey"),
        ("small remote control", 0.04, (0.035, 0.09, 0.014), 2, "grey"),
    ):
        keys = [
            box((0.022, 0.008, 0.002), (0.0, (i - (rows - 1) / 2) * 0.8 * ly / rows, lz), "keys").visual()
            for i in range(rows)
        ]
        yield Design(f"{colour} {words}", mass, (box((lx, ly, lz)), *keys), paint(body=colour, keys="red"))


@small(synset="pen.n.01")
def pen() -> Iterator[Design]:
    """A round stem; its clip keeps it from rolling away."""
    for words, mass, length, radius, colour in (
        ("ball pen", 0.010, 0.140, 0.0050, "blue"),
        ("marker", 0.020, 0.135, 0.0090, "black"),
        ("fountain pen", 0.025, 0.138, 0.0065, "navy"),
        ("thick crayon", 0.015, 0.090, 0.0070, "red"),
    ):
        start, end, z = -length / 2 + 0.012, length / 2, radius
        yield Design(
            f"{colour} {words}",
            mass,
            (
                bar((start, 0.0, z), (end, 0.0, z), radius),
                bar((-length / 2, 0.0, z), (start, 0.0, z), 0.4 * radius, "tip"),
                box((0.045, 0.6 * radius, 2 * radius), (end - 0.0225, 0.8 * radius, 0.0), "clip"),
            ),
            paint(body=colour, tip="steel", clip="grey"),
            rolls=True,
        )


@small(synset="pencil.n.01")
def pencil() -> Iterator[Design]:
    """Flat sides, so that it does not roll."""
    for words, mass, length, width, colour in (
        ("pencil", 0.007, 0.175, 0.0075, "yellow"),
        ("short pencil", 0.004, 0.095, 0.0072, "red"),
        ("carpenter's pencil", 0.012, 0.170, 0.0120, "orange"),
        ("coloured pencil", 0.008, 0.165, 0.0085, "green"),
    ):
        point = 0.015
        along = length - point
        yield Design(
            f"{colour} {words}",
            mass,
            (
                box((along, width, 0.0075), (point / 2, 0.0, 0.0)),
                bar((-length / 2, 0.0, 0.00375), (-length / 2 + point, 0.0, 0.00375), 0.002, "tip"),
            ),
            paint(body=colour, tip="birch"),
        )


@small(synset="candle.n.01")
def candle() -> Iterator[Design]:
    """Free-standing, or thin in a heavy holder."""
    for words, mass, radius, height, dish, colour in (
        ("pillar candle", 0.40, 0.034, 0.120, 0.0, "cream"),
        ("short candle", 0.20, 0.033, 0.060, 0.0, "red"),
        ("tea light", 0.02, 0.019, 0.018, 0.0, "white"),
        ("candle in a holder", 0.35, 0.012, 0.180, 0.040, "navy"),
        ("thick candle", 0.45, 0.035, 0.095, 0.0, "green"),
    ):
        shapes = [cylinder(radius, height, (0.0, 0.0, 0.012 if dish else 0.0))]
        if dish:
            shapes.append(cylinder(dish, 0.012, colour="holder").weighing(6.0))
        lift = height + (0.012 if dish else 0.0)
        shapes.append(cylinder(0.0015, 0.010, (0.0, 0.0, lift), "wick").visual())
        colours = paint(body=colour, wick="black", **({"holder": "brass"} if dish else {}))
        yield Design(f"{colour} {words}", mass, tuple(shapes), colours)


@small(synset="bar_soap.n.01")
def soap_bar() -> Iterator[Design]:
    """A block, or an ellipsoid with a flat core to lie on."""
    for words, mass, (lx, ly, lz), colour in (
        ("bar of soap", 0.10, (0.080, 0.055, 0.028), "cream"),
        ("small bar of soap", 0.04, (0.055, 0.038, 0.018), "pink"),
        ("block of soap", 0.15, (0.068, 0.064, 0.048), "olive"),
        ("oval bar of soap", 0.09, (0.085, 0.052, 0.030), "teal"),
    ):
        shapes = (box((0.75 * lx, 0.75 * ly, lz)), ellipsoid((lx, ly, lz))) if "oval" in words else (box((lx, ly, lz)),)
        yield Design(f"{colour} {words}", mass, shapes, paint(body=colour))


@small(synset="sponge.n.01")
def sponge() -> Iterator[Design]:
    """Some have a scourer on top."""
    for words, mass, (lx, ly, lz), scourer in (
        ("kitchen sponge", 0.015, (0.095, 0.065, 0.030), 0.006),
        ("thick sponge", 0.030, (0.120, 0.070, 0.045), 0.0),
        ("small sponge", 0.010, (0.075, 0.050, 0.025), 0.005),
        ("bath sponge", 0.040, (0.140, 0.078, 0.055), 0.0),
    ):
        shapes = [box((lx, ly, lz - scourer))]
        if scourer:
            shapes.append(box((lx, ly, scourer), (0.0, 0.0, lz - scourer), "scourer"))
        colours = paint(body="yellow", **({"scourer": "green"} if scourer else {}))
        yield Design(words, mass, tuple(shapes), colours)


@small(synset="atomizer.n.01")
def spray_bottle() -> Iterator[Design]:
    """Held by the neck or the head."""
    for words, mass, radius, height, colour in (
        ("spray bottle", 0.55, 0.035, 0.250, "blue"),
        ("small spray bottle", 0.20, 0.026, 0.160, "glass"),
        ("tall spray bottle", 0.70, 0.036, 0.285, "green"),
        ("plant mister", 0.35, 0.040, 0.190, "white"),
    ):
        body = 0.62 * height
        yield Design(
            f"{colour} {words}",
            mass,
            (
                cylinder(radius, body),
                cone(radius, 0.012, 0.14 * height, (0.0, 0.0, body)),
                cylinder(0.011, 0.12 * height, (0.0, 0.0, 0.76 * height), "trigger"),
                box((0.085, 0.024, 0.12 * height), (0.015, 0.0, 0.88 * height), "trigger"),
                rod((0.04, 0.0, 0.87 * height), (0.03, 0.0, 0.74 * height), 0.004, "trigger"),
            ),
            paint(body=colour, trigger="white" if colour != "white" else "grey"),
        )


@small(synset="alarm_clock.n.01")
def alarm_clock() -> Iterator[Design]:
    """Held across its depth."""
    for words, mass, width, height, is_round, colour in (
        ("round alarm clock", 0.30, 0.095, 0.105, True, "red"),
        ("digital alarm clock", 0.25, 0.140, 0.060, False, "black"),
        ("cube alarm clock", 0.20, 0.075, 0.075, False, "white"),
        ("large round alarm clock", 0.42, 0.120, 0.130, True, "brass"),
    ):
        depth, face = 0.05, 0.002
        if is_round:
            r, lift = width / 2, height - width
            z = lift + r
            case = bar((-depth / 2, 0.0, z), (depth / 2, 0.0, z), r)
            dial = bar((depth / 2, 0.0, z), (depth / 2 + face, 0.0, z), 0.85 * r, "face").visual()
            shapes = (box((depth, 0.6 * width, lift + 0.2 * r)), case, dial)
        else:
            dial = box((face, 0.85 * width, 0.7 * height), (depth / 2 + face / 2, 0.0, 0.15 * height), "face").visual()
            shapes = (box((depth, width, height)), dial)
        yield Design(f"{colour} {words}", mass, shapes, paint(body=colour, face="white" if is_round else "navy"))


@small(synset="watch.n.01")
def watch() -> Iterator[Design]:
    """The strap lies straight."""
    for words, mass, radius, strap, width, colour in (
        ("wrist watch", 0.060, 0.019, 0.22, 0.018, "brown"),
        ("sports watch", 0.080, 0.023, 0.24, 0.024, "black"),
        ("small watch", 0.035, 0.014, 0.18, 0.012, "brass"),
        ("square watch", 0.055, 0.018, 0.21, 0.020, "navy"),
    ):
        thick = 0.010
        case = (
            box((2 * radius, 2 * radius, thick), colour="case")
            if "square" in words
            else cylinder(radius, thick, colour="case")
        )
        face = cylinder(0.85 * radius, 0.0005, (0.0, 0.0, thick), "face").visual()
        yield Design(
            f"{colour} {words}",
            mass,
            (case, box((width, strap, 0.004)), face),
            paint(body=colour, case="steel", face="white"),
        )


@small(synset="key_ring.n.01")
def key_chain() -> Iterator[Design]:
    """A fob, a ring and keys spread like a fan."""
    for words, mass, keys, fob, colour in (
        ("key chain with two keys", 0.045, 2, 0.030, "red"),
        ("key chain with one key", 0.025, 1, 0.022, "blue"),
        ("key chain with three keys", 0.065, 3, 0.034, "black"),
        ("car key", 0.060, 1, 0.055, "dark grey"),
    ):
        shapes = [box((fob, 0.7 * fob, 0.010), (-fob / 2 - 0.012, 0.0, 0.0))]
        shapes += ring(0.014, 0.004, 0.003, colour="metal", sides=6)
        for i in range(keys):
            turn = 0.6 * (i - (keys - 1) / 2)
            start = 0.012 * math.cos(turn), 0.012 * math.sin(turn), 0.003
            end = 0.060 * math.cos(turn), 0.060 * math.sin(turn), 0.003
            shapes.append(bar(start, end, 0.003, "metal"))
        yield Design(words, mass, tuple(shapes), paint(body=colour, metal="brass"))


@small(synset="kleenex.n.01")
def tissue_box() -> Iterator[Design]:
    """A tissue stands out of the top."""
    for words, mass, (lx, ly, lz), colour in (
        ("box of tissues", 0.25, (0.115, 0.23, 0.070), "blue"),
        ("upright box of tissues", 0.18, (0.069, 0.110, 0.130), "pink"),
        ("flat box of tissues", 0.18, (0.120, 0.24, 0.045), "green"),
        ("small box of tissues", 0.12, (0.078, 0.150, 0.060), "white"),
    ):
        tissue = cone(0.025, 0.012, 0.03, (0.0, 0.0, lz), "tissue", sides=6).weighing(0.05)
        yield Design(f"{colour} {words}", mass, (box((lx, ly, lz)), tissue), paint(body=colour, tissue="white"))


@small(synset="toilet_tissue.n.01")
def toilet_roll() -> Iterator[Design]:
    """Stands on its end; panels around the hole of the core."""
    for words, mass, radius, height, hole in (
        ("toilet roll", 0.12, 0.055, 0.100, 0.021),
        ("used toilet roll", 0.06, 0.038, 0.098, 0.021),
        ("large toilet roll", 0.18, 0.062, 0.105, 0.022),
        ("kitchen roll", 0.25, 0.055, 0.230, 0.020),
    ):
        yield Design(words, mass, ring(radius, height, radius - hole), paint(body="white"))


@category(synset="pillow.n.01", mounting="surface", is_pickupable=True)
def pillow() -> Iterator[Design]:
    """A soft edge around a flat core; held by its seam."""
    for words, mass, (lx, ly, lz), colour in (
        ("pillow", 0.80, (0.45, 0.65, 0.13), "white"),
        ("square cushion", 0.50, (0.42, 0.42, 0.13), "teal"),
        ("small cushion", 0.30, (0.30, 0.40, 0.11), "yellow"),
        ("bolster", 0.60, (0.16, 0.55, 0.16), "navy"),
    ):
        core = box((0.82 * lx, 0.82 * ly, 0.85 * lz), colour="body").weighing(1.5)
        edge = ellipsoid((lx, ly, 0.9 * lz), (0.0, 0.0, 0.05 * lz))
        seam = box((lx - 0.02, ly - 0.02, 0.25 * lz), (0.0, 0.0, 0.35 * lz))
        yield Design(f"{colour} {words}", mass, (core, edge, seam), paint(body=colour))


@small(synset="box.n.01")
def open_box() -> Iterator[Design]:
    """Held by a wall; other things go in."""
    for words, mass, (lx, ly, lz), wall, colour in (
        ("cardboard box", 0.25, (0.24, 0.32, 0.14), 0.006, "birch"),
        ("low box", 0.30, (0.22, 0.30, 0.08), 0.007, "white"),
        ("wooden box", 0.80, (0.20, 0.26, 0.12), 0.010, "oak"),
        ("square box", 0.35, (0.24, 0.24, 0.11), 0.006, "blue"),
        ("small box", 0.20, (0.17, 0.20, 0.09), 0.005, "red"),
        ("large box", 0.45, (0.32, 0.44, 0.15), 0.007, "brown"),
    ):
        walls = frame((lx, ly, lz - wall), wall, (0.0, 0.0, wall), "body")
        floor = top("inside", (0.0, 0.0, wall), (lx - 2 * wall - 0.01, ly - 2 * wall - 0.01))
        yield Design(f"{colour} {words}", mass, (box((lx, ly, wall)), *walls), paint(body=colour), (floor,))


@small(synset="basket.n.01")
def basket() -> Iterator[Design]:
    """Round, held by its rim; other things go in."""
    for words, mass, radius, top_radius, height, colour in (
        ("round basket", 0.40, 0.110, 0.140, 0.120, "oak"),
        ("bread basket", 0.30, 0.095, 0.135, 0.080, "birch"),
        ("deep basket", 0.50, 0.120, 0.145, 0.150, "walnut"),
        ("small basket", 0.25, 0.085, 0.100, 0.100, "cream"),
        ("straight basket", 0.45, 0.125, 0.125, 0.130, "brown"),
    ):
        floor, wall = 0.008, 0.008
        yield Design(
            f"{colour} {words}",
            mass,
            vessel(radius, height, wall=wall, floor=floor, top_radius=top_radius),
            paint(body=colour),
            (top("inside", (0.0, 0.0, floor), floor_square(radius, wall)),),
        )


CATEGORIES: tuple[Category, ...] = (
    book,
    newspaper,
    phone,
    remote_control,
    pen,
    pencil,
    candle,
    soap_bar,
    sponge,
    spray_bottle,
    alarm_clock,
    watch,
    key_chain,
    tissue_box,
    toilet_roll,
    pillow,
    open_box,
    basket,
)
