"""Crockery, cookware, bottles and jars."""

from __future__ import annotations

from collections.abc import Iterator

from zoo.envs.assets.design import Category, Design, paint, small, top
from zoo.envs.assets.shapes import Shape, box, cone, cylinder, floor_square, frame, rod, vessel

FLOOR_M = 0.006  # thickness of the bottom of crockery
WALL_M = 0.005


def _loop(radius: float, low: float, high: float, reach: float) -> tuple[Shape, ...]:
    """A mug's handle, on +x: a grip that stands off by `reach` and is held at both ends."""
    thick, wide, x = 0.010, 0.014, radius + reach
    arm = (reach + thick, wide, thick)
    return (
        box(arm, (radius + (reach - thick) / 2, 0.0, low), "handle"),
        box(arm, (radius + (reach - thick) / 2, 0.0, high - thick), "handle"),
        box((thick, wide, high - low), (x, 0.0, low), "handle").named("handle"),
    )


@small(synset="mug.n.04")
def mug() -> Iterator[Design]:
    """Hollow, with a handle on +x; held by the handle or the rim."""
    for words, mass, radius, top_radius, height, reach, colour, handle in (
        ("straight mug", 0.35, 0.040, 0.040, 0.095, 0.030, "white", "white"),
        ("tall mug", 0.37, 0.038, 0.038, 0.115, 0.032, "blue", "blue"),
        ("low wide mug", 0.36, 0.047, 0.047, 0.075, 0.028, "red", "white"),
        ("flared mug", 0.34, 0.033, 0.045, 0.095, 0.030, "yellow", "yellow"),
        ("tapered mug", 0.38, 0.046, 0.038, 0.100, 0.032, "green", "white"),
        ("slim mug", 0.30, 0.034, 0.034, 0.100, 0.028, "black", "black"),
        ("soup mug", 0.42, 0.040, 0.054, 0.080, 0.032, "terracotta", "brown"),
        ("small mug", 0.28, 0.036, 0.036, 0.080, 0.026, "teal", "white"),
    ):
        side = min(radius, top_radius) - WALL_M / 2 if radius != top_radius else radius
        grip = _loop(side, 0.2 * height, 0.85 * height, reach + max(radius, top_radius) - side)
        yield Design(
            f"{colour} {words}",
            mass,
            (*vessel(radius, height, wall=WALL_M, floor=FLOOR_M, top_radius=top_radius), *grip),
            paint(body=colour, handle=handle),
        )


@small(synset="cup.n.01")
def cup() -> Iterator[Design]:
    """Hollow, without a handle."""
    for words, mass, radius, top_radius, height, colour in (
        ("tumbler", 0.20, 0.033, 0.038, 0.100, "glass"),
        ("straight cup", 0.22, 0.036, 0.036, 0.090, "white"),
        ("tea bowl", 0.18, 0.028, 0.042, 0.065, "teal"),
        ("paper cup", 0.02, 0.028, 0.041, 0.110, "cream"),
        ("tooth cup", 0.15, 0.035, 0.035, 0.105, "pink"),
        ("espresso cup", 0.12, 0.022, 0.031, 0.058, "brown"),
    ):
        yield Design(
            f"{colour} {words}",
            mass,
            vessel(radius, height, wall=0.004, floor=FLOOR_M, top_radius=top_radius),
            paint(body=colour),
        )


@small(synset="bowl.n.03")
def bowl() -> Iterator[Design]:
    """Small ones are picked up by the rim, large ones hold what is put in."""
    for words, mass, radius, top_radius, height, colour in (
        ("cereal bowl", 0.45, 0.045, 0.080, 0.060, "white"),
        ("soup bowl", 0.50, 0.055, 0.090, 0.055, "blue"),
        ("deep bowl", 0.48, 0.045, 0.075, 0.075, "red"),
        ("large salad bowl", 0.90, 0.075, 0.125, 0.090, "oak"),
        ("fruit bowl", 0.80, 0.080, 0.140, 0.070, "teal"),
        ("mixing bowl", 0.70, 0.070, 0.115, 0.110, "steel"),
        ("straight bowl", 0.55, 0.088, 0.088, 0.060, "green"),
        ("dessert bowl", 0.30, 0.040, 0.065, 0.045, "yellow"),
    ):
        yield Design(
            f"{colour} {words}",
            mass,
            vessel(radius, height, wall=WALL_M, floor=FLOOR_M, top_radius=top_radius),
            paint(body=colour),
            (top("inside", (0.0, 0.0, FLOOR_M), floor_square(radius, WALL_M)),),
        )


@small(synset="plate.n.04")
def plate() -> Iterator[Design]:
    """A disc with a raised rim, and a foot below it that leaves room for a finger."""
    for words, mass, radius, rim, colour in (
        ("dinner plate", 0.60, 0.090, 0.130, "white"),
        ("side plate", 0.35, 0.065, 0.092, "blue"),
        ("deep plate", 0.65, 0.085, 0.115, "cream"),
        ("large plate", 0.80, 0.105, 0.145, "green"),
        ("flat plate", 0.55, 0.100, 0.125, "dark grey"),
        ("dessert plate", 0.40, 0.070, 0.100, "pink"),
    ):
        height = 0.032 if words == "deep plate" else 0.022
        yield Design(
            f"{colour} {words}",
            mass,
            vessel(radius, height, wall=0.008, floor=FLOOR_M, top_radius=rim),
            paint(body=colour),
            (top("middle", (0.0, 0.0, FLOOR_M), floor_square(radius, WALL_M)),),
        )


@small(synset="tray.n.01")
def tray() -> Iterator[Design]:
    """Held by its rim."""
    for words, mass, (lx, ly, lz), colour in (
        ("serving tray", 0.90, (0.30, 0.42, 0.045), "oak"),
        ("small tray", 0.50, (0.20, 0.30, 0.035), "black"),
        ("square tray", 0.80, (0.32, 0.32, 0.040), "white"),
        ("deep tray", 0.85, (0.26, 0.36, 0.070), "teal"),
        ("cafeteria tray", 0.70, (0.33, 0.45, 0.030), "brown"),
    ):
        wall = 0.008
        yield Design(
            f"{colour} {words}",
            mass,
            (box((lx, ly, wall)), *frame((lx, ly, lz - wall), wall, (0.0, 0.0, wall), "rim")),
            paint(body=colour, rim=colour),
            (top("middle", (0.0, 0.0, wall), (lx - 2 * wall - 0.01, ly - 2 * wall - 0.01)),),
        )


@small(synset="frying_pan.n.01")
def pan() -> Iterator[Design]:
    """Its handle is on +x."""
    for words, mass, radius, top_radius, height, handle, colour in (
        ("frying pan", 1.1, 0.105, 0.125, 0.050, 0.17, "black"),
        ("small frying pan", 0.7, 0.080, 0.096, 0.045, 0.15, "steel"),
        ("saute pan", 1.4, 0.115, 0.115, 0.065, 0.18, "dark grey"),
        ("wok", 1.2, 0.080, 0.145, 0.085, 0.18, "black"),
        ("crepe pan", 0.9, 0.110, 0.122, 0.025, 0.17, "red"),
    ):
        z, start = 0.8 * height, radius + 0.8 * (top_radius - radius) - 0.004
        yield Design(
            f"{colour} {words}",
            mass,
            (
                *(
                    shape.weighing(3.0)
                    for shape in vessel(radius, height, wall=WALL_M, floor=FLOOR_M, top_radius=top_radius)
                ),
                box((handle, 0.022, 0.014), (start + handle / 2, 0.0, z - 0.014), "handle").named("handle"),
            ),
            paint(body=colour, handle="black"),
            (top("inside", (0.0, 0.0, FLOOR_M), floor_square(radius, WALL_M)),),
        )


@small(synset="pot.n.01")
def pot() -> Iterator[Design]:
    """A handle on either side."""
    for words, mass, radius, height, colour in (
        ("cooking pot", 1.4, 0.105, 0.125, "steel"),
        ("low pot", 1.3, 0.120, 0.085, "red"),
        ("small pot", 0.9, 0.088, 0.095, "dark grey"),
        ("deep pot", 1.6, 0.100, 0.150, "steel"),
        ("casserole", 2.0, 0.125, 0.100, "teal"),
    ):
        grips = [
            box((0.07, 0.028, 0.012), (0.0, s * (radius + 0.014), 0.8 * height), "handle").named(f"handle{i}")
            for i, s in enumerate((-1, 1))
        ]
        yield Design(
            f"{colour} {words}",
            mass,
            (*vessel(radius, height, wall=WALL_M, floor=FLOOR_M), *grips),
            paint(body=colour, handle="black"),
            (top("inside", (0.0, 0.0, FLOOR_M), floor_square(radius, WALL_M)),),
        )


@small(synset="bottle.n.01")
def bottle() -> Iterator[Design]:
    """A body, a shoulder, a neck and a cap."""
    for words, mass, radius, height, neck, colour, cap in (
        ("water bottle", 0.55, 0.033, 0.215, 0.013, "glass", "blue"),
        ("small bottle", 0.35, 0.028, 0.150, 0.012, "brown", "brass"),
        ("oil bottle", 0.90, 0.034, 0.270, 0.013, "olive", "black"),
        ("wide bottle", 0.80, 0.040, 0.190, 0.018, "white", "red"),
        ("sauce bottle", 0.45, 0.029, 0.185, 0.010, "red", "white"),
        ("squat bottle", 0.50, 0.038, 0.130, 0.015, "teal", "black"),
    ):
        body, shoulder = 0.62 * height, 0.14 * height
        yield Design(
            f"{colour} {words}",
            mass,
            (
                cylinder(radius, body).weighing(1.5),
                cone(radius, neck, shoulder, (0.0, 0.0, body)),
                cylinder(neck, height - body - shoulder - 0.015, (0.0, 0.0, body + shoulder)),
                cylinder(1.15 * neck, 0.015, (0.0, 0.0, height - 0.015), "cap"),
            ),
            paint(body=colour, cap=cap),
        )


@small(synset="wine_bottle.n.01")
def wine_bottle() -> Iterator[Design]:
    """High shoulders or a neck that slopes; the label is only seen."""
    for words, mass, radius, height, body, colour in (
        ("wine bottle with shoulders", 1.25, 0.0375, 0.300, 0.62, "green"),
        ("wine bottle with a sloping neck", 1.30, 0.040, 0.295, 0.45, "olive"),
        ("slender wine bottle", 1.15, 0.036, 0.330, 0.50, "brown"),
        ("half bottle of wine", 0.70, 0.031, 0.240, 0.60, "green"),
    ):
        low, shoulder = body * height, (0.78 - body) * height
        yield Design(
            f"{colour} {words}",
            mass,
            (
                cylinder(radius, low).weighing(1.4),
                cone(radius, 0.014, shoulder, (0.0, 0.0, low)),
                cylinder(0.0145, height - low - shoulder, (0.0, 0.0, low + shoulder), "neck"),
                cylinder(1.005 * radius, 0.35 * low, (0.0, 0.0, 0.3 * low), "label").visual(),
            ),
            paint(body=colour, neck="black", label="cream"),
        )


@small(synset="jar.n.01")
def jar() -> Iterator[Design]:
    """Full, with its cap on."""
    for words, mass, radius, height, colour, cap in (
        ("jam jar", 0.45, 0.033, 0.095, "purple", "gold"),
        ("tall jar", 0.55, 0.032, 0.150, "glass", "steel"),
        ("small jar", 0.25, 0.028, 0.065, "orange", "white"),
        ("honey jar", 0.50, 0.035, 0.080, "gold", "black"),
        ("pickle jar", 0.60, 0.034, 0.125, "olive", "green"),
    ):
        yield Design(
            f"{colour} {words}",
            mass,
            (
                cylinder(radius, height - 0.022),
                cylinder(0.88 * radius, 0.006, (0.0, 0.0, height - 0.022)),
                cylinder(0.95 * radius, 0.016, (0.0, 0.0, height - 0.016), "cap"),
            ),
            paint(body=colour, cap=cap),
        )


@small(synset="teapot.n.01")
def teapot() -> Iterator[Design]:
    """Full, with its lid on; held by the handle behind it."""
    for words, mass, radius, height, colour in (
        ("teapot", 0.8, 0.075, 0.115, "white"),
        ("tall teapot", 0.9, 0.065, 0.150, "blue"),
        ("small teapot", 0.5, 0.058, 0.090, "brown"),
        ("flat teapot", 0.7, 0.085, 0.085, "teal"),
    ):
        back = -(radius + 0.03)
        low, high = 0.30 * height, 0.80 * height
        yield Design(
            f"{colour} {words}",
            mass,
            (
                cone(0.75 * radius, radius, 0.45 * height),
                cone(radius, 0.45 * radius, 0.45 * height, (0.0, 0.0, 0.45 * height)),
                cylinder(0.012, 0.1 * height, (0.0, 0.0, 0.9 * height)),
                rod((0.8 * radius, 0.0, 0.4 * height), (radius + 0.04, 0.0, 0.75 * height), 0.009),
                box((0.045, 0.016, 0.012), (back + 0.0225, 0.0, low), "handle"),
                box((0.06, 0.016, 0.012), (back + 0.03, 0.0, high - 0.012), "handle"),
                box((0.012, 0.016, high - low), (back, 0.0, low), "handle").named("handle"),
            ),
            paint(body=colour, handle=colour),
        )


CATEGORIES: tuple[Category, ...] = (
    mug,
    cup,
    bowl,
    plate,
    tray,
    pan,
    pot,
    bottle,
    wine_bottle,
    jar,
    teapot,
)
