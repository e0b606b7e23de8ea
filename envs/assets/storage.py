"""Storage furniture: what opens with drawers, doors and lids."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from zoo.envs.assets.design import Category, Design, MovingPart, category, inside, paint, top
from zoo.envs.assets.joinery import BACK_M, BOARD_M, GAP_M, LID_DAMPING, Style, carcass, door, drawers, lid
from zoo.envs.assets.library import Surface
from zoo.envs.assets.shapes import Shape, box, frame, legs
from zoo.envs.scenes.physics import GRAVITY
from zoo.envs.scenes.specification import Vector

WOODS = (
    ("oak", "birch"),
    ("walnut", "walnut"),
    ("white", "white"),
    ("birch", "cream"),
    ("white", "oak"),
    ("dark grey", "grey"),
)
"""Carcass and front."""


def _chest(
    words: str,
    mass_kg: float,
    size: Vector,
    count: int,
    wood: tuple[str, str],
    *,
    style: Style = "bar",
    foot: float = 0.0,
) -> Design:
    """Drawers from bottom to top in a carcass, on feet or on the ground."""
    depth, width, height = size
    b, body_height = BOARD_M, height - foot
    body = carcass((depth, width, body_height), (0.0, 0.0, foot))
    feet = legs((0.04, 0.04, foot), (depth, width), colour="body") if foot else ()
    opening = (depth, width - 2 * b, body_height - 2 * b)
    return Design(
        f"{wood[0]} {words}",
        mass_kg,
        (*body, *feet),
        paint(body=wood[0], front=wood[1], inside="birch", handle="steel"),
        (top("top", (0.0, 0.0, height), (depth, width)),),
        drawers(count, *opening, (depth / 2, 0.0, foot + b), style=style),
    )


def _shelved(size: Vector, at: Vector, shelves: int) -> tuple[tuple[Shape, ...], tuple[Surface, ...]]:
    """A carcass with boards in it, and the surface of its floor and each board."""
    (depth, width, height), (x, y, z) = size, at
    b, across, along = BOARD_M, width - 2 * BOARD_M, depth - BACK_M - 0.02
    pitch = (height - b) / (shelves + 1)
    boards = tuple(box((along, across, b), (x - 0.006, y, z + (i + 1) * pitch), "body") for i in range(shelves))
    surfaces = tuple(
        inside(f"shelf{i}", (x - 0.006, y, z + i * pitch + b), (along - 0.02, across - 0.02), pitch - b)
        for i in range(shelves + 1)
    )
    return (*carcass(size, at), *boards), surfaces


def _pair_of_doors(
    width: float, height: float, at: Vector, *, style: Style, handle_height: float | None = None
) -> tuple[MovingPart, MovingPart]:
    half, (x, y, z) = (width - GAP_M) / 2, at
    shift = (half + GAP_M) / 2
    return (
        door("door0", half, height, (x, y - shift, z), hinge="left", style=style, handle_height=handle_height),
        door("door1", half, height, (x, y + shift, z), hinge="right", style=style, handle_height=handle_height),
    )


def _cupboard(
    words: str,
    mass_kg: float,
    size: Vector,
    shelves: int,
    doors: int,
    wood: tuple[str, str],
    *,
    style: Style = "bar",
    foot: float = 0.0,
    handle_height: float | None = None,
    hinge: str = "left",
) -> Design:
    """Shelves behind one door or two."""
    depth, width, height = size
    body, surfaces = _shelved((depth, width, height - foot), (0.0, 0.0, foot), shelves)
    feet = legs((0.04, 0.04, foot), (depth, width), colour="body") if foot else ()
    front, leaf = (depth / 2, 0.0, foot + GAP_M), (width - GAP_M, height - foot - 2 * GAP_M)
    if doors == 2:
        moving = _pair_of_doors(*leaf, front, style=style, handle_height=handle_height)
    else:
        moving = (door("door0", *leaf, front, hinge=hinge, style=style, handle_height=handle_height),)
    return Design(
        f"{wood[0]} {words}",
        mass_kg,
        (*body, *feet),
        paint(body=wood[0], front=wood[1], handle="steel"),
        (top("top", (0.0, 0.0, height), (depth, width)), *surfaces),
        moving,
    )


@category(synset="chest_of_drawers.n.01")
def dresser() -> Iterator[Design]:
    """Drawers from bottom to top."""
    for (words, mass, size, count, style, foot), wood in zip(
        (
            ("dresser with three drawers", 38.0, (0.45, 0.80, 0.80), 3, "bar", 0.0),
            ("tall dresser with four drawers", 45.0, (0.45, 0.60, 1.10), 4, "knob", 0.06),
            ("low dresser with two wide drawers", 35.0, (0.48, 1.00, 0.55), 2, "bar", 0.10),
            ("narrow dresser with four drawers", 32.0, (0.40, 0.45, 1.00), 4, "bar", 0.0),
            ("dresser with three drawers and knobs", 40.0, (0.50, 0.90, 0.85), 3, "knob", 0.08),
        ),
        WOODS,
        strict=False,
    ):
        yield _chest(words, mass, size, count, wood, style=style, foot=foot)


@category(synset="stand.n.04")
def nightstand() -> Iterator[Design]:
    """One to three drawers, some above an open space."""
    for (words, mass, size, count, style, foot), wood in zip(
        (
            ("nightstand with one drawer on legs", 11.0, (0.38, 0.45, 0.50), 1, "knob", 0.30),
            ("nightstand with two drawers", 15.0, (0.40, 0.45, 0.52), 2, "bar", 0.05),
            ("small nightstand with one drawer", 9.0, (0.34, 0.38, 0.45), 1, "bar", 0.22),
            ("wide nightstand with two drawers", 18.0, (0.42, 0.58, 0.56), 2, "knob", 0.08),
            ("tall nightstand with three drawers", 17.0, (0.38, 0.42, 0.66), 3, "bar", 0.0),
        ),
        WOODS,
        strict=False,
    ):
        yield _chest(words, mass, size, count, wood, style=style, foot=foot)


@category(synset="file.n.03")
def drawer_unit() -> Iterator[Design]:
    """Of an office, up to a filing cabinet."""
    for words, mass, size, count, wood in (
        ("office drawer unit", 22.0, (0.55, 0.42, 0.60), 3, ("grey", "grey")),
        ("filing cabinet with two drawers", 26.0, (0.60, 0.46, 0.72), 2, ("dark grey", "grey")),
        ("filing cabinet with four drawers", 40.0, (0.60, 0.46, 1.30), 4, ("grey", "white")),
        ("desk-top drawer unit", 6.0, (0.34, 0.28, 0.36), 3, ("birch", "white")),
        ("narrow drawer unit", 16.0, (0.50, 0.30, 0.62), 4, ("white", "teal")),
    ):
        yield _chest(words, mass, size, count, wood)


@category(synset="cabinet.n.01")
def cabinet() -> Iterator[Design]:
    """Shelves behind one door or two."""
    for (words, mass, size, shelves, doors, style, foot), wood in zip(
        (
            ("cabinet with two doors", 34.0, (0.42, 0.80, 0.85), 1, 2, "bar", 0.08),
            ("narrow cabinet with one door", 24.0, (0.38, 0.45, 0.90), 2, 1, "knob", 0.0),
            ("sideboard with two doors", 40.0, (0.45, 1.10, 0.75), 1, 2, "knob", 0.14),
            ("low cabinet with one door", 18.0, (0.40, 0.50, 0.55), 0, 1, "bar", 0.05),
            ("tall cabinet with two doors", 48.0, (0.40, 0.75, 1.25), 3, 2, "bar", 0.05),
        ),
        WOODS,
        strict=False,
    ):
        yield _cupboard(words, mass, size, shelves, doors, wood, style=style, foot=foot)


@category(synset="cabinet.n.01", is_static=True)
def kitchen_cabinet() -> Iterator[Design]:
    """Base cabinets under a worktop, at a counter's height."""
    for (words, width, shelves, doors, hinge), wood in zip(
        (
            ("base cabinet with one door", 0.45, 1, 1, "left"),
            ("base cabinet with two doors", 0.80, 1, 2, "left"),
            ("narrow base cabinet", 0.35, 2, 1, "right"),
            ("wide base cabinet with two doors", 1.00, 1, 2, "left"),
            ("base cabinet with one door, hinged right", 0.55, 1, 1, "right"),
        ),
        (("white", "white"), ("white", "teal"), ("grey", "white"), ("oak", "cream"), ("white", "oak")),
        strict=True,
    ):
        design = _cupboard(
            words,
            28.0 + 20 * width,
            (0.56, width, 0.86),
            shelves,
            doors,
            wood,
            foot=0.1,
            handle_height=0.62,
            hinge=hinge,
        )
        worktop = box((0.63, width, 0.04), (0.025, 0.0, 0.86), "worktop").weighing(2.0)
        under = [surface for surface in design.surfaces if surface.is_inside]
        yield dataclasses.replace(
            design,
            shapes=(*design.shapes, worktop),
            colours={**design.colours, **paint(worktop="dark grey")},
            surfaces=(top("worktop", (0.025, 0.0, 0.90), (0.60, width)), *under),
        )


@category(synset="cabinet.n.01", mounting="wall", is_static=True)
def wall_cabinet() -> Iterator[Design]:
    """Kitchen cabinets to hang above a counter; handles are low."""
    for words, size, shelves, doors, hinge, wood in (
        ("wall cabinet with one door", (0.33, 0.40, 0.65), 1, 1, "left", ("white", "white")),
        ("wall cabinet with two doors", (0.33, 0.80, 0.65), 1, 2, "left", ("white", "teal")),
        ("tall wall cabinet", (0.33, 0.50, 0.90), 2, 1, "right", ("oak", "cream")),
        ("low wall cabinet with two doors", (0.35, 0.90, 0.45), 0, 2, "left", ("grey", "white")),
    ):
        yield _cupboard(words, 18.0, size, shelves, doors, wood, hinge=hinge, handle_height=0.14)


@category(synset="wardrobe.n.01", is_static=True)
def wardrobe() -> Iterator[Design]:
    """As tall as a person, with few shelves."""
    for (words, mass, size, shelves, doors, style), wood in zip(
        (
            ("wardrobe with two doors", 75.0, (0.58, 1.00, 2.00), 1, 2, "bar"),
            ("narrow wardrobe with one door", 50.0, (0.55, 0.55, 1.90), 2, 1, "bar"),
            ("wide wardrobe with two doors", 90.0, (0.60, 1.30, 2.10), 1, 2, "knob"),
            ("low wardrobe with two doors", 60.0, (0.55, 0.90, 1.60), 2, 2, "bar"),
        ),
        WOODS,
        strict=False,
    ):
        yield _cupboard(words, mass, size, shelves, doors, wood, style=style, foot=0.06, handle_height=0.95)


@category(synset="safe.n.01")
def safe() -> Iterator[Design]:
    """Thick walls and one door."""
    for words, mass, (depth, width, height), colour in (
        ("small safe", 12.0, (0.28, 0.34, 0.26), "dark grey"),
        ("cube safe", 22.0, (0.36, 0.38, 0.38), "black"),
        ("upright safe", 40.0, (0.42, 0.42, 0.62), "grey"),
        ("low safe for a laptop", 15.0, (0.36, 0.46, 0.24), "olive"),
    ):
        wall = 0.03
        yield Design(
            f"{colour} {words}",
            mass,
            carcass((depth, width, height), board=wall),
            paint(body=colour, front=colour, handle="steel"),
            (
                top("top", (0.0, 0.0, height), (depth, width)),
                inside("floor", (0.0, 0.0, wall), (depth - 0.05, width - 2 * wall - 0.02), height - 2 * wall),
            ),
            (door("door0", width - 0.01, height - 0.01, (depth / 2, 0.0, 0.005), thickness=0.03, handle_length=0.1),),
        )


@category(synset="chest.n.02")
def storage_chest() -> Iterator[Design]:
    """A lid over one large space."""
    for words, mass, (depth, width, height), colour in (
        ("blanket chest", 16.0, (0.42, 0.90, 0.45), "walnut"),
        ("toy chest", 10.0, (0.38, 0.65, 0.40), "blue"),
        ("tall chest", 13.0, (0.45, 0.60, 0.55), "birch"),
        ("low chest", 11.0, (0.40, 0.75, 0.32), "olive"),
    ):
        yield _lidded(f"{colour} {words}", mass, (depth, width, height), BOARD_M, colour)


@category(synset="box.n.01", mounting="surface", is_pickupable=True)
def box_with_lid() -> Iterator[Design]:
    """Small enough for a hand; friction holds the lid, which lifts by its lip."""
    for words, mass, size, colour in (
        ("jewellery box", 0.60, (0.12, 0.18, 0.08), "walnut"),
        ("keepsake box", 0.80, (0.16, 0.22, 0.10), "oak"),
        ("tea box", 0.70, (0.14, 0.24, 0.09), "green"),
        ("small tool box", 1.20, (0.16, 0.30, 0.12), "red"),
        ("recipe box", 0.45, (0.12, 0.15, 0.11), "cream"),
        ("sewing box", 0.90, (0.18, 0.26, 0.12), "teal"),
    ):
        design = _lidded(f"{colour} {words}", mass, size, 0.008, colour)
        (cover,) = design.moving
        volume_m3 = sum(shape.volume_m3() for shape in (*design.shapes, *cover.shapes))
        lid_kg = mass * sum(shape.volume_m3() for shape in cover.shapes) / volume_m3
        held = dataclasses.replace(
            cover,
            friction_loss=1.5 * lid_kg * -GRAVITY * (size[0] / 2 + 0.01),  # half as much again as its weight's moment
            damping=LID_DAMPING,
            is_counterbalanced=False,
        )
        yield dataclasses.replace(design, moving=(held,))


def _lidded(description: str, mass_kg: float, size: Vector, board: float, colour: str) -> Design:
    """A box with a lid on struts."""
    depth, width, height = size
    shapes = (
        box((depth, width, board)),
        *frame((depth, width, height - 2 * board - 0.003), board, (0.0, 0.0, board)),
    )
    floor = inside("floor", (0.0, 0.0, board), (depth - 2 * board - 0.01, width - 2 * board - 0.01), height - 2 * board)
    cover = lid("lid", (depth, width, board), (0.0, 0.0, height - board), grip=min(0.12, 0.4 * width))
    return Design(description, mass_kg, shapes, paint(body=colour, lid=colour, handle="brass"), (floor,), (cover,))


CATEGORIES: tuple[Category, ...] = (
    dresser,
    nightstand,
    drawer_unit,
    cabinet,
    kitchen_cabinet,
    wall_cabinet,
    wardrobe,
    safe,
    storage_chest,
    box_with_lid,
)
