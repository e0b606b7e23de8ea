"""Fixtures of bathroom and kitchen that hold water."""

from __future__ import annotations

from collections.abc import Iterator

from zoo.envs.assets.design import Category, Design, category, paint, top
from zoo.envs.assets.joinery import lid
from zoo.envs.assets.shapes import bar, box, cylinder, floor_square, frame, vessel


@category(synset="toilet.n.02", is_static=True)
def toilet() -> Iterator[Design]:
    """A bowl with a lid that opens, before a cistern whose top is a shelf."""
    for words, mass, width, deep, seat, cistern, colour in (
        ("toilet", 30.0, 0.38, 0.48, 0.40, 0.78, "white"),
        ("high toilet", 34.0, 0.38, 0.50, 0.46, 0.85, "white"),
        ("compact toilet", 26.0, 0.35, 0.42, 0.40, 0.72, "cream"),
        ("wide toilet", 36.0, 0.42, 0.52, 0.42, 0.80, "grey"),
    ):
        tank, wall, lip = 0.18, 0.04, 0.02
        low = 0.55 * seat
        tank_middle = -(deep + tank) / 2
        shapes = (
            box((deep - 0.12, width - 0.10, low)),
            *frame((deep, width, seat - low), wall, (0.0, 0.0, low), "body"),
            box((deep, width, 0.02), (0.0, 0.0, low)),
            box((tank, width, cistern - 0.10), (tank_middle, 0.0, 0.10)),
            cylinder(0.02, 0.01, (tank_middle, 0.0, cistern), "button"),
        )
        back = lip + 0.006  # the lid's edge turns towards the cistern
        size, at = (deep - back, width, lip), (back / 2, 0.0, seat + 0.004)
        cover = lid("lid", size, at, grip=0.10, reach=1.5)
        yield Design(
            f"{colour} {words}",
            mass,
            shapes,
            paint(body=colour, lid=colour, handle=colour, button="steel"),
            (top("cistern", (tank_middle - 0.055, 0.0, cistern), (0.06, width), 0.5),),
            (cover,),
        )


@category(synset="bathtub.n.01", is_static=True)
def bath_tub() -> Iterator[Design]:
    """Its tap is at one end."""
    for words, mass, (lx, ly, lz), colour in (
        ("bath tub", 60.0, (0.75, 1.70, 0.56), "white"),
        ("small bath tub", 45.0, (0.70, 1.40, 0.54), "cream"),
        ("deep bath tub", 70.0, (0.80, 1.60, 0.64), "white"),
        ("wide bath tub", 80.0, (0.95, 1.80, 0.58), "grey"),
    ):
        wall, floor = 0.07, 0.12
        shapes = (
            box((lx, ly, floor)),
            *frame((lx, ly, lz - floor), wall, (0.0, 0.0, floor), "body"),
            cylinder(0.012, 0.12, (0.0, 0.03 - ly / 2, lz), "tap"),
            bar((0.0, 0.03 - ly / 2, lz + 0.10), (0.0, 0.16 - ly / 2, lz + 0.10), 0.012, "tap"),
        )
        surface = top("bottom", (0.0, 0.0, floor), (lx - 2 * wall - 0.02, ly - 2 * wall - 0.02))
        yield Design(f"{colour} {words}", mass, shapes, paint(body=colour, tap="steel"), (surface,))


@category(synset="sink.n.01", is_static=True)
def sink() -> Iterator[Design]:
    """A basin on a column, in a cabinet, or let into a counter."""
    for words, mass, (lx, ly), height, basin, base, colour in (
        ("pedestal sink", 20.0, (0.46, 0.55), 0.85, 0.14, "column", "white"),
        ("vanity sink", 35.0, (0.48, 0.70), 0.86, 0.13, "cabinet", "white"),
        ("kitchen sink", 40.0, (0.60, 0.80), 0.90, 0.18, "cabinet", "steel"),
        ("small sink", 14.0, (0.36, 0.42), 0.84, 0.12, "column", "cream"),
    ):
        wall, floor = 0.04, 0.03
        low = height - basin
        below = (
            box((0.20, 0.18, low - floor), (-0.05, 0.0, 0.0), "base")
            if base == "column"
            else box((lx, ly, low - floor), colour="base")
        )
        back = 0.10  # behind the basin, where the tap stands
        tap = back / 2 - lx / 2
        shapes = (
            below,
            box((lx, ly, floor), (0.0, 0.0, low - floor)),
            *frame((lx - back, ly, basin), wall, (back / 2, 0.0, low), "body"),
            box((back, ly, basin), (tap, 0.0, low)),
            cylinder(0.014, 0.18, (tap, 0.0, height), "tap"),
            bar((tap, 0.0, height + 0.17), (tap + 0.15, 0.0, height + 0.17), 0.012, "tap"),
        )
        inner = top("basin", (back / 2, 0.0, low), (lx - back - 2 * wall - 0.02, ly - 2 * wall - 0.02), basin)
        rim = top("ledge", (tap, ly / 4 + 0.015, height), (back - 0.01, ly / 2 - 0.05), 0.5)
        yield Design(
            words,
            mass,
            shapes,
            paint(body=colour, base="white" if base == "column" else "oak", tap="steel"),
            (inner, rim),
        )


@category(synset="bucket.n.01")
def bucket() -> Iterator[Design]:
    """Too wide for a gripper except at its rim."""
    for words, mass, radius, top_radius, height, colour in (
        ("bucket", 0.8, 0.105, 0.145, 0.27, "blue"),
        ("small bucket", 0.5, 0.080, 0.110, 0.20, "red"),
        ("wide bucket", 1.0, 0.140, 0.180, 0.22, "grey"),
        ("tall bucket", 0.9, 0.110, 0.135, 0.33, "green"),
    ):
        wall, floor = 0.006, 0.008
        yield Design(
            f"{colour} {words}",
            mass,
            vessel(radius, height, wall=wall, floor=floor, top_radius=top_radius),
            paint(body=colour),
            (top("inside", (0.0, 0.0, floor), floor_square(radius, wall)),),
        )


CATEGORIES: tuple[Category, ...] = (toilet, bath_tub, sink, bucket)
