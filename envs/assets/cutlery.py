"""What one eats, cooks and seasons with."""

from __future__ import annotations

from collections.abc import Iterator

from zoo.envs.assets.design import Category, Design, paint, small, top
from zoo.envs.assets.shapes import ball, box, cone, cylinder, ellipsoid, loft, vessel


@small(synset="chopping_board.n.01")
def cutting_board() -> Iterator[Design]:
    """Held across its thickness, or by a handle."""
    for words, mass, (lx, ly, lz), grip, colour in (
        ("cutting board", 1.0, (0.22, 0.34, 0.020), 0.0, "oak"),
        ("thick cutting board", 1.8, (0.26, 0.36, 0.035), 0.0, "walnut"),
        ("cutting board with a handle", 0.7, (0.18, 0.28, 0.016), 0.11, "birch"),
        ("small cutting board", 0.5, (0.18, 0.24, 0.014), 0.0, "white"),
        ("bread board with a handle", 0.9, (0.20, 0.36, 0.022), 0.12, "oak"),
    ):
        shapes = [box((lx, ly, lz))]
        if grip:
            shapes.append(box((0.045, grip, lz), (0.0, (ly + grip) / 2, 0.0)).named("handle"))
        yield Design(
            f"{colour} {words}", mass, tuple(shapes), paint(body=colour), (top("top", (0.0, 0.0, lz), (lx, ly)),)
        )


@small(synset="spoon.n.01")
def spoon() -> Iterator[Design]:
    """Lies flat; its bowl is an ellipsoid with a flat core."""
    for words, mass, length, bowl_width, thick, colour in (
        ("tablespoon", 0.060, 0.200, 0.042, 0.006, "steel"),
        ("teaspoon", 0.030, 0.140, 0.030, 0.005, "steel"),
        ("wooden spoon", 0.050, 0.300, 0.058, 0.012, "oak"),
        ("serving spoon", 0.090, 0.250, 0.060, 0.007, "brass"),
    ):
        head = 1.5 * bowl_width
        stem = length - head
        yield Design(
            f"{colour} {words}",
            mass,
            (
                box((stem + 0.01, 0.011, thick), (-head / 2, 0.0, 0.0)).named("handle"),
                box((0.55 * head, 0.75 * bowl_width, thick), (stem / 2 + 0.05 * head, 0.0, 0.0)),
                ellipsoid((head, bowl_width, 2.2 * thick), (stem / 2, 0.0, 0.0)),
            ),
            paint(body=colour),
        )


@small(synset="fork.n.01")
def fork() -> Iterator[Design]:
    """Lies flat, with as many tines as it says."""
    for words, mass, length, tines, width, colour in (
        ("dinner fork", 0.055, 0.195, 4, 0.026, "steel"),
        ("dessert fork", 0.035, 0.150, 3, 0.020, "steel"),
        ("salad fork", 0.045, 0.170, 4, 0.028, "brass"),
        ("carving fork", 0.110, 0.280, 2, 0.024, "dark grey"),
    ):
        prong, root, thick = 0.28 * length, 0.12 * length, 0.005
        stem = length - prong - root
        ys = [(i / (tines - 1) - 0.5) * (width - 0.004) for i in range(tines)]
        yield Design(
            f"{colour} {words}",
            mass,
            (
                box((stem, 0.011, thick), (stem / 2, 0.0, 0.0)).named("handle"),
                box((root, width, thick), (stem + root / 2, 0.0, 0.0)),
                *(box((prong, 0.004, thick), (stem + root + prong / 2, y, 0.0)) for y in ys),
            ),
            paint(body=colour),
        )


@small(synset="knife.n.01")
def knife() -> Iterator[Design]:
    """Lies on its side; the blade is a tapered slab."""
    for words, mass, grip, blade, width, colour in (
        ("chef's knife", 0.200, 0.120, 0.190, 0.045, "black"),
        ("paring knife", 0.070, 0.100, 0.090, 0.022, "red"),
        ("bread knife", 0.150, 0.120, 0.210, 0.032, "brown"),
        ("table knife", 0.080, 0.095, 0.115, 0.020, "steel"),
        ("santoku knife", 0.180, 0.120, 0.165, 0.048, "oak"),
    ):
        lower = ((grip, -width / 2), (grip + blade, width / 2 - 0.004), (grip + blade, width / 2), (grip, width / 2))
        yield Design(
            f"{words} with a {colour} handle",
            mass,
            (
                box((grip, 0.024, 0.014), (grip / 2, 0.0, 0.0), "handle").named("handle"),
                loft(lower, lower, 0.003, (0.0, 0.0, 0.0055), "blade").weighing(4.0),
            ),
            paint(handle=colour, blade="steel"),
        )


@small(synset="spatula.n.01")
def spatula() -> Iterator[Design]:
    """A blade that widens, of its own mesh."""
    for words, mass, length, (lx, ly), colour in (
        ("spatula", 0.110, 0.310, (0.095, 0.075), "black"),
        ("narrow spatula", 0.090, 0.290, (0.110, 0.050), "red"),
        ("wooden spatula", 0.070, 0.300, (0.080, 0.060), "oak"),
        ("wide spatula", 0.140, 0.330, (0.090, 0.095), "steel"),
    ):
        stem, thick = length - lx, 0.012
        taper = ((stem - 0.005, -0.4 * ly), (length, -0.5 * ly), (length, 0.5 * ly), (stem - 0.005, 0.4 * ly))
        yield Design(
            f"{colour} {words}",
            mass,
            (
                box((stem, 0.018, thick), (stem / 2, 0.0, 0.0), "handle").named("handle"),
                loft(taper, taper, 0.004, colour="body"),
            ),
            paint(body=colour, handle=colour),
        )


@small(synset="ladle.n.01")
def ladle() -> Iterator[Design]:
    """A small vessel at the end of a stem."""
    for words, mass, length, radius, colour in (
        ("soup ladle", 0.160, 0.260, 0.042, "steel"),
        ("small ladle", 0.100, 0.210, 0.032, "steel"),
        ("ladle with a long stem", 0.190, 0.320, 0.044, "black"),
        ("sauce ladle", 0.090, 0.190, 0.030, "red"),
    ):
        height, end = 0.05, length - radius
        yield Design(
            f"{colour} {words}",
            mass,
            (
                *vessel(0.7 * radius, height, wall=0.004, floor=0.006, top_radius=radius),
                box((end - 0.8 * radius, 0.016, 0.010), (-(end + 0.8 * radius) / 2, 0.0, 0.0), "handle")
                .weighing(0.5)
                .named("handle"),
                box((0.02, 0.016, height - 0.01), (-0.85 * radius, 0.0, 0.0), "handle").weighing(0.5),
            ),
            paint(body=colour, handle=colour),
        )


@small(synset="saltshaker.n.01")
def salt_shaker() -> Iterator[Design]:
    """Straight or tapered, with a cap of steel."""
    for words, mass, radius, height, colour in (
        ("salt shaker", 0.12, 0.020, 0.075, "glass"),
        ("tall salt shaker", 0.14, 0.019, 0.105, "white"),
        ("tapered salt shaker", 0.13, 0.025, 0.085, "blue"),
        ("squat salt shaker", 0.11, 0.024, 0.055, "cream"),
    ):
        neck = 0.7 * radius if "tapered" in words else radius
        shape = cone(radius, neck, 0.8 * height) if neck != radius else cylinder(radius, 0.8 * height)
        yield Design(
            f"{colour} {words}",
            mass,
            (shape, cylinder(neck, 0.2 * height, (0.0, 0.0, 0.8 * height), "cap")),
            paint(body=colour, cap="steel"),
        )


@small(synset="pepper_mill.n.01")
def pepper_mill() -> Iterator[Design]:
    """Held by its waist."""
    for words, mass, radius, height, colour in (
        ("pepper mill", 0.22, 0.026, 0.150, "walnut"),
        ("tall pepper mill", 0.30, 0.027, 0.210, "oak"),
        ("small pepper mill", 0.18, 0.024, 0.110, "black"),
        ("white pepper mill", 0.24, 0.028, 0.140, "white"),
    ):
        yield Design(
            f"{colour} {words}" if colour not in words else words,
            mass,
            (
                cylinder(radius, 0.35 * height).weighing(1.5),
                cylinder(0.65 * radius, 0.30 * height, (0.0, 0.0, 0.35 * height)),
                cylinder(0.9 * radius, 0.22 * height, (0.0, 0.0, 0.65 * height)),
                ball(0.065 * height, (0.0, 0.0, 0.87 * height), "knob"),
            ),
            paint(body=colour, knob="steel"),
        )


CATEGORIES: tuple[Category, ...] = (
    cutting_board,
    spoon,
    fork,
    knife,
    spatula,
    ladle,
    salt_shaker,
    pepper_mill,
)
