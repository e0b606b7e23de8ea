"""What one sits and lies on."""

from __future__ import annotations

from collections.abc import Iterator

from zoo.envs.assets.design import Category, Design, category, paint, top
from zoo.envs.assets.shapes import box, cylinder, legs


@category(synset="bed.n.01", is_static=True)
def bed() -> Iterator[Design]:
    """The head is at the back."""
    for words, mass, (length, width), high, head, colour, cover in (
        ("single bed", 45.0, (2.00, 0.95), 0.48, 0.95, "oak", "blue"),
        ("double bed", 75.0, (2.05, 1.50), 0.52, 1.05, "walnut", "cream"),
        ("king-size bed", 95.0, (2.10, 1.85), 0.55, 1.15, "grey", "white"),
        ("low bed", 50.0, (2.00, 1.25), 0.36, 0.75, "birch", "olive"),
        ("child's bed", 30.0, (1.65, 0.80), 0.40, 0.75, "white", "pink"),
    ):
        frame, board = 0.12, 0.05
        mattress = high - 0.12 - frame
        lying = length - board
        shapes = (
            *legs((0.07, 0.07, 0.12), (length, width), colour="body"),
            box((length, width, frame), (0.0, 0.0, 0.12)),
            box((lying - 0.02, width - 0.04, mattress), (board / 2, 0.0, 0.12 + frame), "cover"),
            box((board, width, head - 0.12 - frame), ((board - length) / 2, 0.0, 0.12 + frame)),
            *(
                box((0.36, 0.40 * width, 0.10), (board - length / 2 + 0.22, s * 0.24 * width, high), "pillow")
                for s in ((-1, 1) if width > 1.3 else (0,))
            ),
        )
        surface = top("mattress", (0.22, 0.0, high), (lying - 0.46, width - 0.04))
        yield Design(f"{words} of {colour}", mass, shapes, paint(body=colour, cover=cover, pillow="white"), (surface,))


def _upholstered(
    words: str,
    mass_kg: float,
    size: tuple[float, float, float],
    seat: float,
    arm: float,
    colour: str,
    *,
    feet: float = 0.06,
) -> Design:
    """A back, two arms and a seat on feet."""
    lx, ly, lz = size
    back, between = 0.20, ly - 2 * arm
    deep = lx - back
    shapes = (
        *legs((0.05, 0.05, feet), (lx - 0.04, ly - 0.04)),
        box((lx, ly, 0.5 * seat - feet), (0.0, 0.0, feet)),
        box((back, ly, lz - 0.5 * seat), ((back - lx) / 2, 0.0, 0.5 * seat)),
        box((deep, between, 0.5 * seat), (back / 2, 0.0, 0.5 * seat), "cushion"),
        *(box((deep, arm, seat + 0.18 - 0.5 * seat), (back / 2, s * (ly - arm) / 2, 0.5 * seat)) for s in (-1, 1)),
    )
    surface = top("seat", (back / 2, 0.0, seat), (deep, between))
    return Design(f"{colour} {words}", mass_kg, shapes, paint(body=colour, cushion=colour, legs="walnut"), (surface,))


@category(synset="sofa.n.01")
def sofa() -> Iterator[Design]:
    """A seat between arms, for two or three."""
    yield _upholstered("sofa", 60.0, (0.90, 2.00, 0.85), 0.44, 0.18, "grey")
    yield _upholstered("two-seater sofa", 45.0, (0.85, 1.50, 0.82), 0.43, 0.15, "teal")
    yield _upholstered("large sofa", 75.0, (0.98, 2.40, 0.80), 0.42, 0.24, "cream")
    yield _upholstered("slim sofa", 50.0, (0.78, 1.80, 0.88), 0.45, 0.08, "navy", feet=0.14)
    yield _upholstered("leather sofa", 65.0, (0.92, 2.10, 0.78), 0.43, 0.22, "brown", feet=0.04)


@category(synset="armchair.n.01")
def armchair() -> Iterator[Design]:
    """A seat between arms, for one."""
    yield _upholstered("armchair", 28.0, (0.85, 0.90, 0.88), 0.44, 0.16, "olive")
    yield _upholstered("slim armchair", 20.0, (0.72, 0.70, 0.85), 0.44, 0.08, "yellow", feet=0.16)
    yield _upholstered("wide armchair", 34.0, (0.92, 1.05, 0.80), 0.42, 0.22, "brown")
    yield _upholstered("high armchair", 27.0, (0.80, 0.80, 1.05), 0.46, 0.14, "red", feet=0.10)


@category(synset="chair.n.01")
def chair() -> Iterator[Design]:
    """With a closed back, a ladder of slats, or arms; an office chair on a column."""
    for words, mass, (lx, ly), seat, high, slats, colour in (
        ("chair", 5.0, (0.44, 0.44), 0.45, 0.90, 0, "oak"),
        ("chair with a slatted back", 4.5, (0.42, 0.42), 0.45, 0.95, 3, "walnut"),
        ("low chair", 4.0, (0.42, 0.46), 0.42, 0.75, 0, "white"),
        ("chair with a ladder back", 4.8, (0.43, 0.42), 0.46, 1.02, 4, "black"),
    ):
        post, board = 0.035, 0.03
        rise = high - seat
        x = (post - lx) / 2
        shapes = [box((lx, ly, board), (0.0, 0.0, seat - board), "seat"), *legs((post, post, seat - board), (lx, ly))]
        if slats:
            shapes += [box((post, post, rise), (x, s * (ly - post) / 2, seat), "legs") for s in (-1, 1)]
            shapes += [
                box((0.015, ly - 2 * post, 0.05), (x, 0.0, seat + (i + 1) * rise / slats - 0.05), "seat")
                for i in range(slats)
            ]
        else:
            shapes.append(box((0.025, ly, rise), ((0.025 - lx) / 2, 0.0, seat), "seat"))
        surface = top("seat", (post / 2, 0.0, seat), (lx - post, ly))
        yield Design(f"{colour} {words}", mass, tuple(shapes), paint(seat=colour, legs=colour), (surface,))
    for words, mass, seat, high, colour in (("office chair", 12.0, 0.48, 1.00, "dark grey"),):
        shapes = (
            cylinder(0.30, 0.05, colour="legs").weighing(2.0),
            cylinder(0.03, seat - 0.13, (0.0, 0.0, 0.05), "legs"),
            box((0.48, 0.48, 0.08), (0.0, 0.0, seat - 0.08), "seat"),
            box((0.06, 0.44, high - seat - 0.10), (-0.21, 0.0, seat + 0.10), "seat"),
            box((0.03, 0.08, 0.14), (-0.225, 0.0, seat), "legs"),
        )
        yield Design(
            f"{colour} {words}",
            mass,
            shapes,
            paint(seat=colour, legs="black"),
            (top("seat", (0.03, 0.0, seat), (0.40, 0.46)),),
        )


@category(synset="stool.n.01")
def stool() -> Iterator[Design]:
    """On four legs, or on a column with a heavy foot."""
    for words, mass, (lx, ly), height, is_round, colour in (
        ("stool", 3.0, (0.34, 0.34), 0.45, False, "birch"),
        ("bar stool", 5.5, (0.36, 0.36), 0.72, True, "black"),
        ("low stool", 2.0, (0.30, 0.36), 0.30, False, "teal"),
        ("round stool", 4.0, (0.38, 0.38), 0.46, True, "white"),
    ):
        board = 0.035
        if is_round:
            r = lx / 2
            shapes = (
                cylinder(r, board, (0.0, 0.0, height - board), "seat"),
                cylinder(0.025, height - board - 0.025, (0.0, 0.0, 0.025), "legs"),
                cylinder(0.95 * r, 0.025, colour="legs").weighing(2.5),
            )
            side = 1.4 * r
            surface = top("seat", (0.0, 0.0, height), (side, side))
        else:
            shapes = (
                box((lx, ly, board), (0.0, 0.0, height - board), "seat"),
                *legs((0.035, 0.035, height - board), (lx, ly)),
            )
            surface = top("seat", (0.0, 0.0, height), (lx, ly))
        yield Design(f"{colour} {words}", mass, shapes, paint(seat=colour, legs="steel"), (surface,))


@category(synset="bench.n.01")
def bench() -> Iterator[Design]:
    """A board on two panels."""
    for words, mass, (lx, ly, lz), colour in (
        ("bench", 12.0, (0.36, 1.20, 0.45), "oak"),
        ("long bench", 17.0, (0.38, 1.70, 0.45), "walnut"),
        ("low bench", 8.0, (0.32, 0.90, 0.38), "white"),
        ("wide bench", 14.0, (0.45, 1.10, 0.46), "black"),
    ):
        board = 0.04
        panels = [box((lx - 0.04, 0.05, lz - board), (0.0, s * (ly / 2 - 0.10), 0.0), "legs") for s in (-1, 1)]
        shapes = (box((lx, ly, board), (0.0, 0.0, lz - board), "seat"), *panels)
        yield Design(
            f"{colour} {words}", mass, shapes, paint(seat=colour, legs=colour), (top("seat", (0.0, 0.0, lz), (lx, ly)),)
        )


@category(synset="footstool.n.01")
def ottoman() -> Iterator[Design]:
    """A cushion on feet."""
    for words, mass, (lx, ly, lz), colour in (
        ("ottoman", 7.0, (0.50, 0.60, 0.42), "grey"),
        ("cube ottoman", 5.0, (0.42, 0.42, 0.42), "brown"),
        ("long ottoman", 12.0, (0.48, 1.10, 0.44), "navy"),
        ("low ottoman", 6.0, (0.60, 0.70, 0.34), "cream"),
    ):
        foot = 0.05
        shapes = (*legs((0.05, 0.05, foot), (lx - 0.04, ly - 0.04)), box((lx, ly, lz - foot), (0.0, 0.0, foot)))
        yield Design(
            f"{colour} {words}",
            mass,
            shapes,
            paint(body=colour, legs="walnut"),
            (top("top", (0.0, 0.0, lz), (lx, ly)),),
        )


CATEGORIES: tuple[Category, ...] = (bed, sofa, armchair, chair, stool, bench, ottoman)
