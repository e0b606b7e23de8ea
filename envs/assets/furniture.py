"""Tables, counters and shelves: furniture to put things on."""

from __future__ import annotations

import math
from collections.abc import Iterator

from zoo.envs.assets.design import Category, Design, category, paint, top
from zoo.envs.assets.joinery import BACK_M, BOARD_M, drawer
from zoo.envs.assets.shapes import Shape, box, cylinder, floor_square, legs, vessel
from zoo.envs.scenes.specification import Colour, Vector


def _four_legged(
    words: str, mass_kg: float, size: Vector, board: float, leg: float, colours: tuple[str, str], *, apron: float = 0.0
) -> Design:
    """A board on four legs, with an apron below it where one is asked for."""
    lx, ly, lz = size
    under = lz - board
    shapes: list[Shape] = [
        box((lx, ly, board), (0.0, 0.0, under), "top"),
        *legs((leg, leg, under), (lx - 0.04, ly - 0.04)),
    ]
    if apron:
        shapes.append(box((lx - 0.12, ly - 0.12, apron), (0.0, 0.0, under - apron), "legs"))
    return Design(
        f"{colours[0]} {words}", mass_kg, tuple(shapes), _two(colours), (top("top", (0.0, 0.0, lz), (lx, ly)),)
    )


def _round(words: str, mass_kg: float, radius: float, height: float, board: float, colours: tuple[str, str]) -> Design:
    """A disc on a column with a foot; its surface is the square within the disc."""
    side, foot = math.sqrt(2) * radius, 0.03
    shapes = (
        cylinder(radius, board, (0.0, 0.0, height - board), "top"),
        cylinder(max(0.03, 0.08 * radius), height - board - foot, (0.0, 0.0, foot), "legs"),
        cylinder(0.65 * radius, foot, colour="legs").weighing(2.0),
    )
    return Design(
        f"{colours[0]} {words}", mass_kg, shapes, _two(colours), (top("top", (0.0, 0.0, height), (side, side)),)
    )


def _two(colours: tuple[str, str]) -> dict[str, Colour]:
    return paint(top=colours[0], legs=colours[1])


def _panelled(words: str, mass_kg: float, size: Vector, board: float, colours: tuple[str, str]) -> Design:
    """A board on two side panels."""
    lx, ly, lz = size
    panels = [box((lx - 0.04, 0.04, lz - board), (0.0, s * (ly / 2 - 0.08), 0.0), "legs") for s in (-1, 1)]
    tie = box((0.03, ly - 0.20, 0.10), (0.0, 0.0, lz - board - 0.10), "legs")
    board_shape = box((lx, ly, board), (0.0, 0.0, lz - board), "top")
    return Design(
        f"{colours[0]} {words}",
        mass_kg,
        (board_shape, *panels, tie),
        _two(colours),
        (top("top", (0.0, 0.0, lz), (lx, ly)),),
    )


@category(synset="dining_table.n.01")
def dining_table() -> Iterator[Design]:
    """On four legs, on one column, or on two panels."""
    yield _four_legged("dining table", 32.0, (0.85, 1.50, 0.75), 0.03, 0.07, ("oak", "oak"), apron=0.07)
    yield _round("round dining table", 30.0, 0.55, 0.75, 0.03, ("walnut", "walnut"))
    yield _panelled("dining table on panels", 40.0, (0.90, 1.80, 0.76), 0.04, ("white", "oak"))
    yield _four_legged("square dining table", 24.0, (0.85, 0.85, 0.74), 0.03, 0.06, ("birch", "white"))
    yield _four_legged("long dining table", 45.0, (0.95, 2.10, 0.75), 0.04, 0.08, ("walnut", "black"), apron=0.06)


@category(synset="coffee_table.n.01")
def coffee_table() -> Iterator[Design]:
    """As high as a sofa's seat."""
    yield _four_legged("coffee table", 12.0, (0.55, 1.00, 0.42), 0.03, 0.05, ("oak", "oak"))
    yield _round("round coffee table", 11.0, 0.40, 0.42, 0.03, ("white", "brass"))
    yield _panelled("coffee table on panels", 14.0, (0.60, 1.10, 0.38), 0.04, ("walnut", "walnut"))
    yield _four_legged("square coffee table", 13.0, (0.75, 0.75, 0.40), 0.03, 0.06, ("glass", "black"))


@category(synset="desk.n.01")
def desk() -> Iterator[Design]:
    """Some have a drawer under the board."""
    yield _four_legged("desk", 22.0, (0.65, 1.20, 0.74), 0.025, 0.05, ("birch", "white"))
    yield _panelled("desk on panels", 28.0, (0.70, 1.40, 0.75), 0.03, ("oak", "oak"))
    yield _four_legged("small desk", 15.0, (0.50, 0.90, 0.74), 0.022, 0.04, ("white", "steel"))
    for words, mass, (lx, ly, lz), colours in (
        ("desk with a drawer", 30.0, (0.65, 1.30, 0.75), ("walnut", "walnut")),
        ("writing desk with a drawer", 20.0, (0.52, 1.00, 0.76), ("cream", "oak")),
    ):
        yield _with_drawer(words, mass, (lx, ly, lz), colours)


def _with_drawer(words: str, mass_kg: float, size: Vector, colours: tuple[str, str]) -> Design:
    """A board on legs, and under its middle a box with a drawer."""
    (lx, ly, lz), board, high, wide = size, 0.025, 0.13, 0.50
    depth, low = lx - 0.08, lz - board - high
    b, under = BOARD_M, lz - board
    shapes = (
        box((lx, ly, board), (0.0, 0.0, under), "top"),
        *legs((0.05, 0.05, under), (lx - 0.04, ly - 0.04)),
        box((depth, wide, b), (0.0, 0.0, low), "legs"),
        box((depth, b, high - b), (0.0, (wide - b) / 2, low + b), "legs"),
        box((depth, b, high - b), (0.0, -(wide - b) / 2, low + b), "legs"),
        box((BACK_M, wide - 2 * b, high - b), (BACK_M / 2 - depth / 2, 0.0, low + b), "legs"),
    )
    opening = (depth - BACK_M, wide - 2 * b, high - b)
    colour_map = {**_two(colours), **paint(front=colours[0], inside="birch", handle="brass")}
    tray = drawer("drawer0", opening, (depth / 2, 0.0, low + b), style="knob", rim=0.0)
    return Design(
        f"{colours[0]} {words}", mass_kg, shapes, colour_map, (top("top", (0.0, 0.0, lz), (lx, ly)),), (tray,)
    )


@category(synset="table.n.02")
def side_table() -> Iterator[Design]:
    """Small, and a console for a wall."""
    yield _four_legged("side table", 6.0, (0.40, 0.45, 0.55), 0.022, 0.035, ("oak", "oak"))
    yield _round("round side table", 7.0, 0.24, 0.55, 0.022, ("white", "black"))
    yield _panelled("side table on panels", 9.0, (0.35, 0.55, 0.50), 0.03, ("walnut", "walnut"))
    yield _four_legged("console table", 12.0, (0.32, 1.00, 0.80), 0.025, 0.04, ("birch", "black"))


@category(synset="counter.n.01", is_static=True)
def counter_top() -> Iterator[Design]:
    """Closed below; the place for what is done standing."""
    for words, mass, (lx, ly, lz), body, worktop in (
        ("kitchen counter", 60.0, (0.60, 1.20, 0.90), "white", "dark grey"),
        ("long kitchen counter", 95.0, (0.62, 2.00, 0.90), "grey", "oak"),
        ("kitchen island", 110.0, (0.90, 1.50, 0.92), "teal", "white"),
        ("short kitchen counter", 35.0, (0.60, 0.60, 0.90), "white", "walnut"),
        ("breakfast bar", 50.0, (0.50, 1.40, 1.05), "oak", "black"),
    ):
        board, plinth = 0.04, 0.10
        shapes = (
            box((lx - 0.10, ly, plinth), (-0.03, 0.0, 0.0), "plinth"),
            box((lx - 0.03, ly, lz - board - plinth), (-0.015, 0.0, plinth)),
            box((lx, ly, board), (0.0, 0.0, lz - board), "worktop"),
        )
        yield Design(
            f"{words} with a {worktop} top",
            mass,
            shapes,
            paint(body=body, worktop=worktop, plinth="dark grey"),
            (top("worktop", (0.0, 0.0, lz), (lx, ly)),),
        )


@category(synset="bookcase.n.01")
def shelf() -> Iterator[Design]:
    """Boards between two sides, with a thin back or without."""
    for words, mass, (lx, ly, lz), boards, has_back, colour in (
        ("tall bookcase", 32.0, (0.30, 0.80, 1.80), 5, True, "oak"),
        ("low bookcase", 18.0, (0.32, 0.90, 0.80), 2, True, "white"),
        ("narrow shelf", 16.0, (0.30, 0.40, 1.60), 5, False, "walnut"),
        ("wide shelf", 36.0, (0.38, 1.40, 1.10), 3, True, "birch"),
        ("open rack", 14.0, (0.40, 0.90, 1.40), 4, False, "steel"),
    ):
        b, foot = 0.02, 0.04
        pitch = (lz - b - foot) / boards
        levels = [foot + i * pitch for i in range(boards + 1)]
        across = ly - 2 * b
        shapes = [box((lx, b, lz), (0.0, s * (ly - b) / 2, 0.0)) for s in (-1, 1)]
        shapes += [box((lx, across, b), (0.0, 0.0, z)) for z in levels]
        if has_back:
            shapes.append(box((0.006, across, lz), (0.003 - lx / 2, 0.0, 0.0)))
        surfaces = tuple(
            top(f"board{i}", (0.0, 0.0, z + b), (lx - 0.02, across - 0.02), pitch - b if i < boards else 1.0)
            for i, z in enumerate(levels)
        )
        yield Design(f"{colour} {words}", mass, tuple(shapes), paint(body=colour), surfaces)


@category(synset="shelf.n.01", mounting="wall", is_static=True)
def wall_shelf() -> Iterator[Design]:
    """One board or two on brackets."""
    for words, mass, (lx, ly), board, boards, colour in (
        ("wall shelf", 3.0, (0.22, 0.80), 0.03, 1, "oak"),
        ("long wall shelf", 4.5, (0.24, 1.20), 0.03, 1, "white"),
        ("double wall shelf", 5.0, (0.22, 0.70), 0.02, 2, "walnut"),
        ("small wall shelf", 1.8, (0.18, 0.45), 0.025, 1, "black"),
    ):
        pitch = 0.30
        brackets = [box((0.9 * lx, 0.025, 0.10), (-0.05 * lx, s * 0.35 * ly, 0.0), "bracket") for s in (-1, 1)]
        shelves = [box((lx, ly, board), (0.0, 0.0, 0.10 + i * pitch)) for i in range(boards)]
        sides = [box((0.02, 0.025, pitch), (0.01 - lx / 2, s * 0.35 * ly, 0.10 + board), "bracket") for s in (-1, 1)]
        surfaces = tuple(
            top(f"board{i}", (0.0, 0.0, 0.10 + i * pitch + board), (lx, ly), pitch - board if i < boards - 1 else 0.4)
            for i in range(boards)
        )
        shapes = (*brackets, *shelves, *(sides if boards > 1 else ()))
        yield Design(f"{colour} {words}", mass, shapes, paint(body=colour, bracket="black"), surfaces)


@category(synset="stand.n.04")
def tv_stand() -> Iterator[Design]:
    """A low board with an open shelf below."""
    for words, mass, (lx, ly, lz), colour in (
        ("TV stand", 22.0, (0.40, 1.40, 0.48), "oak"),
        ("small TV stand", 15.0, (0.38, 0.95, 0.50), "white"),
        ("wide TV stand", 28.0, (0.42, 1.80, 0.42), "walnut"),
        ("high TV stand", 20.0, (0.40, 1.10, 0.62), "black"),
    ):
        b, low = 0.025, 0.12
        shapes = (
            box((lx, ly, b), (0.0, 0.0, lz - b)),
            box((lx, ly - 2 * b, b), (0.0, 0.0, low)),
            *(box((lx, b, lz - b), (0.0, s * (ly - b) / 2, 0.0)) for s in (-1, 1)),
            box((lx, b, lz - 2 * b - low), (0.0, 0.0, low + b)),
        )
        half = (ly - 3 * b) / 2
        surfaces = [top("top", (0.0, 0.0, lz), (lx, ly))]
        surfaces += [
            top(f"shelf{i}", (0.0, s * (half + b) / 2, low + b), (lx - 0.02, half - 0.02), lz - low - 2 * b)
            for i, s in enumerate((-1, 1))
        ]
        yield Design(f"{colour} {words}", mass, shapes, paint(body=colour), tuple(surfaces))


@category(synset="ashcan.n.01")
def garbage_can() -> Iterator[Design]:
    """Open at the top."""
    for words, mass, radius, top_radius, height, colour in (
        ("garbage can", 2.0, 0.14, 0.17, 0.45, "grey"),
        ("waste-paper basket", 1.0, 0.11, 0.145, 0.30, "black"),
        ("tall garbage can", 3.5, 0.16, 0.16, 0.62, "steel"),
        ("small bin", 0.9, 0.10, 0.12, 0.26, "white"),
    ):
        yield _bin(f"{colour} {words}", mass, radius, top_radius, height, colour)


@category(synset="hamper.n.02")
def laundry_hamper() -> Iterator[Design]:
    """Open at the top."""
    for words, mass, radius, top_radius, height, colour in (
        ("laundry hamper", 2.5, 0.19, 0.22, 0.58, "cream"),
        ("wicker hamper", 3.0, 0.20, 0.20, 0.55, "oak"),
        ("low laundry basket", 1.6, 0.20, 0.25, 0.32, "blue"),
        ("tall hamper", 2.8, 0.17, 0.19, 0.68, "grey"),
    ):
        yield _bin(f"{colour} {words}", mass, radius, top_radius, height, colour)


def _bin(description: str, mass_kg: float, radius: float, top_radius: float, height: float, colour: str) -> Design:
    wall, floor = 0.008, 0.012
    shapes = vessel(radius, height, wall=wall, floor=floor, top_radius=top_radius)
    surface = top("inside", (0.0, 0.0, floor), floor_square(radius, wall))
    return Design(description, mass_kg, shapes, paint(body=colour), (surface,))


CATEGORIES: tuple[Category, ...] = (
    dining_table,
    coffee_table,
    desk,
    side_table,
    counter_top,
    shelf,
    wall_shelf,
    tv_stand,
    garbage_can,
    laundry_hamper,
)
