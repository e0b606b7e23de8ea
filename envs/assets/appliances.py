"""Kitchen and laundry machines, and the screens of a household."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from zoo.envs.assets.design import Category, Design, MovingPart, category, inside, paint, small, top
from zoo.envs.assets.joinery import GAP_M, LID_DAMPING, carcass, door, drawer, flap
from zoo.envs.assets.library import Surface
from zoo.envs.assets.shapes import Shape, bar, box, cone, cylinder
from zoo.envs.scenes.physics import GRAVITY
from zoo.envs.scenes.specification import Vector


@category(synset="refrigerator.n.01", is_static=True)
def fridge() -> Iterator[Design]:
    """Shelves behind a door; some have a freezer with a door of its own, above or below."""
    for words, mass, (depth, width, height), freezer, hinge, colour in (
        ("fridge with a freezer on top", 70.0, (0.60, 0.62, 1.70), 0.45, "left", "steel"),
        ("tall fridge", 60.0, (0.58, 0.58, 1.75), 0.0, "right", "white"),
        ("under-counter fridge", 32.0, (0.54, 0.52, 0.85), 0.0, "left", "white"),
        ("wide fridge with a freezer on top", 85.0, (0.66, 0.75, 1.80), 0.55, "right", "dark grey"),
        ("retro fridge", 50.0, (0.56, 0.55, 1.30), 0.0, "left", "teal"),
    ):
        wall = 0.04
        main = height - freezer
        shapes, surfaces = shelved_carcass((depth, width, main), (0.0, 0.0, 0.0), wall, max(1, round(main / 0.45) - 1))
        front = (depth / 2, 0.0, GAP_M)
        doors = [door("door0", width - 0.01, main - 2 * GAP_M, front, hinge=hinge, thickness=0.04, handle_length=0.3)]
        if freezer:
            more, freezer_surfaces = shelved_carcass(
                (depth, width, freezer), (0.0, 0.0, main), wall, 0, first=len(surfaces)
            )
            shapes, surfaces = (*shapes, *more), (*surfaces, *freezer_surfaces)
            above = (depth / 2, 0.0, main + GAP_M)
            doors.append(
                door("door1", width - 0.01, freezer - 2 * GAP_M, above, hinge=hinge, thickness=0.04, handle_length=0.2)
            )
        yield Design(
            f"{colour} {words}",
            mass,
            shapes,
            paint(body=colour, front=colour, inside="white", handle="steel"),
            (top("top", (0.0, 0.0, height), (depth, width)), *surfaces),
            tuple(doors),
        )


def shelved_carcass(
    size: Vector, at: Vector, wall: float, count: int, *, first: int = 0
) -> tuple[tuple[Shape, ...], tuple[Surface, ...]]:
    """A thick-walled carcass with boards, and the surfaces in it, numbered from `first`."""
    (depth, width, height), (x, y, z) = size, at
    board, pitch = 0.012, (height - 2 * wall) / (count + 1)
    across, along = width - 2 * wall, depth - 0.06
    boards = tuple(
        box((along, across, board), (x, y, z + wall + (i + 1) * pitch - board), "inside") for i in range(count)
    )
    surfaces = tuple(
        inside(f"shelf{first + i}", (x, y, z + wall + i * pitch), (along - 0.02, across - 0.02), pitch - board)
        for i in range(count + 1)
    )
    return (*carcass(size, at, board=wall), *boards), surfaces


@category(synset="microwave.n.02", mounting="surface")
def microwave() -> Iterator[Design]:
    """A cavity behind a door, and a panel of controls beside it."""
    for words, mass, (depth, width, height), hinge, colour in (
        ("microwave", 12.0, (0.36, 0.48, 0.28), "left", "steel"),
        ("small microwave", 10.0, (0.32, 0.44, 0.26), "left", "white"),
        ("large microwave", 15.0, (0.40, 0.54, 0.31), "left", "black"),
        ("microwave with controls on the left", 12.5, (0.36, 0.50, 0.29), "right", "grey"),
    ):
        wall, panel = 0.02, 0.11
        side = 1.0 if hinge == "left" else -1.0
        cavity = width - panel
        y = -side * panel / 2
        body = carcass((depth, cavity, height), (0.0, y, 0.0), board=wall)
        controls = box((depth, panel, height), (0.0, side * cavity / 2, 0.0), "panel")
        yield Design(
            f"{colour} {words}",
            mass,
            (*body, controls),
            paint(body=colour, panel="dark grey", front="black", handle="steel"),
            (
                top("top", (0.0, 0.0, height), (depth, width)),
                inside("floor", (0.0, y, wall), (depth - 0.06, cavity - 2 * wall - 0.02), height - 2 * wall),
            ),
            (
                door(
                    "door0",
                    cavity - GAP_M,
                    height - 0.01,
                    (depth / 2, y, 0.005),
                    hinge=hinge,
                    thickness=0.025,
                    handle_length=0.16,
                ),
            ),
        )


@category(synset="oven.n.01", is_static=True)
def oven() -> Iterator[Design]:
    """A range: hob on top, oven behind a door that lets down, in some a drawer below."""
    for words, mass, width, storage, colour in (
        ("range with a pan drawer", 55.0, 0.60, 0.16, "white"),
        ("wide range with a pan drawer", 70.0, 0.75, 0.18, "steel"),
        ("narrow range", 45.0, 0.50, 0.0, "white"),
        ("range with a deep oven", 52.0, 0.60, 0.0, "black"),
    ):
        depth, height, wall, panel = 0.60, 0.90, 0.035, 0.12
        foot = 0.08 if not storage else 0.02
        low = foot + storage
        tall = height - low - panel
        shapes = [
            *carcass((depth, width, tall), (0.0, 0.0, low), board=wall),
            box((depth, width, panel), (0.0, 0.0, height - panel), "body"),
            *(cylinder(r, 0.004, (x, y * width / 4, height), "hob").visual() for x, y, r in _PLATES),
        ]
        shapes.append(box((depth, width, 0.02 if storage else foot), colour="body"))
        moving: list[MovingPart] = [flap("door0", width - 0.01, tall - GAP_M, (depth / 2, 0.0, low + GAP_M / 2))]
        if storage:
            sides = [box((depth, wall, storage), (0.0, s * (width - wall) / 2, foot), "body") for s in (-1, 1)]
            shapes += sides
            moving.append(
                drawer("drawer0", (depth - 0.01, width - 2 * wall, storage), (depth / 2, 0.0, foot), rim=0.03)
            )
        rack = 0.5 * (tall - 2 * wall)
        shapes.append(box((depth - 0.1, width - 2 * wall, 0.008), (0.0, 0.0, low + wall + rack - 0.008), "rack"))
        size = (depth - 0.12, width - 2 * wall - 0.02)
        yield Design(
            f"{colour} {words}",
            mass,
            tuple(shapes),
            paint(body=colour, front=colour, hob="black", rack="steel", inside="grey", handle="steel"),
            (
                top("hob", (0.0, 0.0, height), (depth - 0.02, width - 0.02)),
                inside("floor", (0.0, 0.0, low + wall), size, rack - 0.01),
                inside("rack", (0.0, 0.0, low + wall + rack), size, rack),
            ),
            tuple(moving),
        )


_PLATES = ((-0.13, -1, 0.08), (-0.13, 1, 0.09), (0.13, -1, 0.09), (0.13, 1, 0.08))
"""x in metres, y in quarters of the width, radius: hot plates of a hob."""


@category(synset="dishwasher.n.01", is_static=True)
def dishwasher() -> Iterator[Design]:
    """A cavity behind a door that lets down."""
    for words, mass, width, height, colour in (
        ("dishwasher", 42.0, 0.60, 0.85, "white"),
        ("narrow dishwasher", 36.0, 0.45, 0.85, "steel"),
        ("built-in dishwasher", 40.0, 0.60, 0.82, "dark grey"),
        ("half-height dishwasher", 24.0, 0.55, 0.55, "white"),
    ):
        depth, wall = 0.58, 0.03
        yield Design(
            f"{colour} {words}",
            mass,
            carcass((depth, width, height), board=wall),
            paint(body=colour, front=colour, handle="steel"),
            (
                top("top", (0.0, 0.0, height), (depth, width)),
                inside("floor", (0.0, 0.0, wall), (depth - 0.08, width - 2 * wall - 0.04), height - 2 * wall),
            ),
            (flap("door0", width - 0.01, height - 0.02, (depth / 2, 0.0, 0.01)),),
        )


@category(synset="washer.n.03", is_static=True)
def washing_machine() -> Iterator[Design]:
    """A round door before a drum, hinged on one side."""
    for words, mass, (depth, width, height), hinge, colour in (
        ("washing machine", 65.0, (0.58, 0.60, 0.85), "left", "white"),
        ("slim washing machine", 55.0, (0.45, 0.60, 0.85), "left", "grey"),
        ("washing machine, door on the right", 68.0, (0.60, 0.60, 0.86), "right", "dark grey"),
        ("small washing machine", 48.0, (0.50, 0.50, 0.70), "left", "white"),
    ):
        hole, low = 0.36, 0.5 * height - 0.18
        x, rim = depth / 2 - 0.03, (width - hole) / 2
        shapes = (
            box((depth, width, low), colour="body"),
            box((depth, width, height - low - hole), (0.0, 0.0, low + hole), "body"),
            box((depth, rim, hole), (0.0, (hole + rim) / 2, low), "body"),
            box((depth, rim, hole), (0.0, -(hole + rim) / 2, low), "body"),
            box((0.06, hole, hole), (0.03 - depth / 2, 0.0, low), "body"),
        )
        leaf = door("door0", hole + 0.06, hole, (depth / 2, 0.0, low), hinge=hinge, handle_length=0.1, thickness=0.03)
        pane = bar(
            (x + 0.03 + GAP_M, 0.0, low + hole / 2), (x + 0.06 + GAP_M, 0.0, low + hole / 2), hole / 2 + 0.03, "front"
        )
        yield Design(
            f"{colour} {words}",
            mass,
            shapes,
            paint(body=colour, front="black", handle="steel"),
            (
                top("top", (0.0, 0.0, height), (depth, width)),
                inside("drum", (0.02, 0.0, low), (depth - 0.14, hole - 0.04), hole),
            ),
            (dataclasses.replace(leaf, shapes=(pane, *leaf.shapes[1:])),),
        )


@category(synset="toaster.n.02", mounting="surface")
def toaster() -> Iterator[Design]:
    """Its lever is at the side."""
    for words, mass, (depth, width, height), colour in (
        ("two-slice toaster", 1.4, (0.17, 0.28, 0.19), "steel"),
        ("long-slot toaster", 1.6, (0.13, 0.38, 0.19), "white"),
        ("four-slice toaster", 2.2, (0.26, 0.29, 0.19), "black"),
        ("retro toaster", 1.5, (0.18, 0.27, 0.20), "red"),
    ):
        slots = 4 if depth > 0.2 else 2 if width < 0.35 else 1
        xs = [(i - (slots - 1) / 2) * depth / (slots + 0.5) for i in range(slots)]
        yield Design(
            f"{colour} {words}",
            mass,
            (
                box((depth, width, height), colour="body"),
                box((0.025, 0.03, 0.012), (0.0, width / 2 + 0.015, 0.12), "lever"),
                *(box((0.022, 0.7 * width, 0.001), (x, 0.0, height), "slot").visual() for x in xs),
            ),
            paint(body=colour, lever="black", slot="black" if colour != "black" else "grey"),
        )


@category(synset="coffee_maker.n.01", mounting="surface")
def coffee_maker() -> Iterator[Design]:
    """A column with a pot, or a drip tray, below its head."""
    for words, mass, (depth, width, height), pot, colour in (
        ("filter coffee maker", 2.2, (0.24, 0.19, 0.33), 0.060, "black"),
        ("tall coffee maker", 2.6, (0.25, 0.18, 0.38), 0.055, "steel"),
        ("small coffee maker", 1.6, (0.20, 0.16, 0.27), 0.050, "white"),
        ("espresso machine", 4.5, (0.30, 0.24, 0.32), 0.0, "red"),
    ):
        column = 0.4 * depth
        shapes = [
            box((depth, width, 0.03), colour="body"),
            box((column, width, height - 0.03), ((column - depth) / 2, 0.0, 0.03), "body"),
            box((depth - column, width, 0.3 * height), (column / 2, 0.0, 0.7 * height), "body"),
        ]
        if pot:
            shapes.append(cylinder(pot, 0.4 * height, (column / 2, 0.0, 0.03), "pot"))
        surfaces = (
            () if pot else (top("drip tray", (column / 2, 0.0, 0.03), (depth - column - 0.02, width), 0.6 * height),)
        )
        yield Design(
            f"{colour} {words}", mass, tuple(shapes), paint(body=colour, **({"pot": "glass"} if pot else {})), surfaces
        )


@small(synset="kettle.n.01")
def kettle() -> Iterator[Design]:
    """Held by the handle behind it."""
    for words, mass, radius, height, colour in (
        ("tall kettle", 1.0, 0.070, 0.20, "steel"),
        ("low kettle", 0.9, 0.085, 0.14, "red"),
        ("small kettle", 0.7, 0.062, 0.16, "white"),
        ("large kettle", 1.2, 0.080, 0.21, "black"),
    ):
        back = -(radius + 0.045)
        yield Design(
            f"{colour} {words}",
            mass,
            (
                cylinder(radius, 0.02, colour="base"),
                cone(radius, 0.7 * radius, height - 0.02, (0.0, 0.0, 0.02)),
                box((0.07, 0.022, 0.018), (back + 0.045, 0.0, height - 0.025), "handle"),
                box((0.018, 0.022, 0.6 * height), (back, 0.0, 0.4 * height - 0.007), "handle").named("handle"),
                box((0.05, 0.025, 0.02), (0.8 * radius, 0.0, 0.75 * height), "body"),
                cylinder(0.015, 0.02, (0.0, 0.0, height), "handle"),
            ),
            paint(body=colour, base="black", handle="black"),
        )


@category(synset="television_receiver.n.01", mounting="surface")
def television() -> Iterator[Design]:
    """A screen on one wide foot or on two narrow ones."""
    for words, mass, width, feet in (
        ("television on a foot", 9.0, 0.95, False),
        ("large television on two feet", 16.0, 1.30, True),
        ("small television", 5.0, 0.65, False),
        ("very large television", 21.0, 1.50, True),
    ):
        height, thick, lift = 0.58 * width, 0.045, 0.06
        stand = (
            [box((0.24, 0.04, 0.02), (0.0, s * 0.35 * width, 0.0), "foot") for s in (-1, 1)]
            if feet
            else [box((0.24, 0.4 * width, 0.02), colour="foot")]
        )
        necks = (
            [box((0.03, 0.03, lift - 0.02), (0.0, s * 0.35 * width, 0.02), "foot") for s in (-1, 1)]
            if feet
            else [box((0.03, 0.12, lift - 0.02), (0.0, 0.0, 0.02), "foot")]
        )
        yield Design(
            words,
            mass,
            (
                *(shape.weighing(3.0) for shape in stand),
                *necks,
                box((thick, width, height), (0.0, 0.0, lift), "body"),
                box((0.002, width - 0.03, height - 0.03), (thick / 2, 0.0, lift + 0.015), "screen").visual(),
            ),
            paint(body="black", foot="dark grey", screen="navy"),
        )


@small(synset="laptop.n.01")
def laptop() -> Iterator[Design]:
    """The screen turns on the back edge of the base; it starts closed."""
    for words, mass, depth, width, colour in (
        ("laptop", 1.6, 0.230, 0.330, "grey"),
        ("small laptop", 1.1, 0.200, 0.290, "white"),
        ("large laptop", 2.3, 0.255, 0.375, "black"),
        ("thin laptop", 1.2, 0.215, 0.305, "navy"),
    ):
        base, screen, gap = 0.014, 0.007, 0.003
        z = base + gap
        moment = -GRAVITY * 0.33 * mass * depth / 2  # of the screen, a third of the whole
        leaf = (
            box((depth, width, screen), (0.0, 0.0, z), "body"),
            box((depth - 0.03, width - 0.02, 0.001), (0.0, 0.0, z - 0.0005), "screen").visual(),
            box((0.022, 0.08, screen), (depth / 2 + 0.011, 0.0, z), "body").named("screen_handle"),
        )
        yield Design(
            f"{colour} {words}",
            mass,
            (
                box((depth, width, base), colour="body"),
                box((0.10, 0.85 * width, 0.001), (-0.035, 0.0, base), "keys").visual(),
                box((0.06, 0.10, 0.001), (0.07, 0.0, base), "keys").visual(),
            ),
            paint(body=colour, keys="dark grey", screen="black"),
            moving=(
                MovingPart(
                    name="screen",
                    kind="hinge",
                    axis=(0.0, -1.0, 0.0),
                    anchor_m=(-depth / 2, 0.0, z),
                    reach=2.1,
                    shapes=leaf,
                    part="lid",
                    damping=LID_DAMPING,
                    friction_loss=1.5 * moment,
                ),
            ),
        )


CATEGORIES: tuple[Category, ...] = (
    fridge,
    microwave,
    oven,
    dishwasher,
    washing_machine,
    toaster,
    coffee_maker,
    kettle,
    television,
    laptop,
)
