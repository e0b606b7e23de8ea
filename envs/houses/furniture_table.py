"""What stands in which type of room: categories, counts, chances, places, and what comes with what.

Order matters: what a room is for comes first and gets the best place. A category that a library lacks is skipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Place = Literal["wall", "corner", "row", "middle"]
"""`row` stands at a wall too, side by side with what stands in a row already."""

CompanionPlace = Literal["beside", "around", "at", "before", "facing", "anywhere"]
"""Next to it at the same wall, around it, drawn up to its front, in front of it, at the opposite wall, at any wall."""


@dataclass(frozen=True, slots=True)
class Companion:
    """What comes with a piece.

    Args:
        categories: Any one of them; all pieces of one group are of one instance.
        place: Where, seen from its host.
        count: Least and most.
        chance: Of the group.
    """

    categories: tuple[str, ...]
    place: CompanionPlace
    count: tuple[int, int] = (1, 1)
    chance: float = 1.0


@dataclass(frozen=True, slots=True)
class Want:
    """What a room wants.

    Args:
        categories: Any one of them that the library has.
        place: Where.
        count: Least and most.
        chance: Of each; 1 for what the room is for.
        companions: What comes with each.
        only_without: Not in a house that has such a room.
    """

    categories: tuple[str, ...]
    place: Place
    count: tuple[int, int] = (1, 1)
    chance: float = 1.0
    companions: tuple[Companion, ...] = ()
    only_without: str = ""

    @property
    def is_must(self) -> bool:
        return self.chance == 1.0


_CHAIRS = Companion(("chair",), "around", (2, 6))
_DESK = (Companion(("chair",), "at", chance=0.95),)
_NIGHTSTANDS = Companion(("nightstand", "side table"), "beside", (1, 2), 0.95)
_PLANT = Want(("house plant",), "corner", chance=0.4)
_LAMP = Want(("floor lamp",), "corner", chance=0.35)
_BIN = Want(("garbage can",), "corner", chance=0.5)

FURNITURE: dict[str, tuple[Want, ...]] = {
    "living_room": (
        Want(
            ("sofa",),
            "wall",
            companions=(
                Companion(("coffee table",), "before", chance=0.85),
                Companion(("tv stand",), "facing", chance=0.9),
                Companion(("side table",), "beside", (1, 2), 0.5),
            ),
        ),
        Want(("dining table",), "middle", chance=0.5, companions=(_CHAIRS,), only_without="dining_room"),
        Want(("shelf", "cabinet"), "wall", (1, 2), 0.7),
        Want(("armchair",), "corner", (1, 2), 0.6),
        Want(("dresser", "cabinet", "drawer unit"), "wall", chance=0.5),
        Want(("desk",), "wall", chance=0.2, companions=_DESK),
        _PLANT,
        _LAMP,
        _PLANT,
        Want(("ottoman", "storage chest"), "corner", chance=0.35),
        Want(("garbage can",), "corner", chance=0.3),
        Want(("rug",), "middle", chance=0.6),
    ),
    "kitchen": (
        Want(("fridge",), "row"),
        Want(("counter top",), "row", (1, 2)),
        Want(("sink",), "row"),
        Want(("kitchen cabinet",), "row"),
        Want(("oven",), "row"),
        Want(("dishwasher",), "row", chance=0.7),
        Want(("kitchen cabinet",), "row", (1, 2), 0.6),
        Want(("dining table",), "middle", chance=0.7, companions=(_CHAIRS,), only_without="dining_room"),
        Want(("garbage can",), "corner", chance=0.8),
        Want(("shelf",), "wall", chance=0.2),
        Want(("stool",), "corner", (1, 2), 0.2),
        _PLANT,
    ),
    "dining_room": (
        Want(("dining table",), "middle", companions=(Companion(("chair",), "around", (4, 8)),)),
        Want(("cabinet", "dresser"), "wall", chance=0.8),
        Want(("shelf", "cabinet"), "wall", chance=0.5),
        Want(("side table",), "corner", chance=0.4),
        _PLANT,
        _LAMP,
        Want(("rug",), "middle", chance=0.2),
    ),
    "bedroom": (
        Want(("bed",), "wall", companions=(_NIGHTSTANDS,)),
        Want(("wardrobe",), "wall", chance=0.85),
        Want(("dresser", "drawer unit"), "wall", chance=0.6),
        Want(("desk",), "wall", chance=0.4, companions=_DESK),
        Want(("armchair", "ottoman", "storage chest"), "corner", chance=0.4),
        Want(("shelf",), "wall", chance=0.35),
        Want(("tv stand",), "wall", chance=0.15),
        Want(("laundry hamper",), "corner", chance=0.35),
        Want(("safe",), "corner", chance=0.1),
        _PLANT,
        _LAMP,
        _BIN,
        Want(("rug",), "middle", chance=0.5),
        Want(("basketball",), "corner", chance=0.12),
    ),
    "bathroom": (
        Want(("toilet",), "wall"),
        Want(("sink",), "wall"),
        Want(("bath tub",), "corner", chance=0.65),
        Want(("cabinet", "drawer unit", "shelf", "side table"), "wall", chance=0.9),
        Want(("washing machine",), "wall", chance=0.2, only_without="laundry_room"),
        Want(("laundry hamper",), "corner", chance=0.5),
        _BIN,
        Want(("stool",), "corner", chance=0.2),
    ),
    "office": (
        Want(("desk",), "wall", (1, 2), companions=_DESK),
        Want(("shelf", "cabinet"), "wall", (1, 2), 0.8),
        Want(("drawer unit",), "wall", chance=0.7),
        Want(("safe",), "corner", chance=0.3),
        Want(("armchair",), "corner", chance=0.4),
        Want(("garbage can",), "corner", chance=0.8),
        _PLANT,
        _LAMP,
        Want(("rug",), "middle", chance=0.3),
    ),
    "laundry_room": (
        Want(("washing machine",), "row", (1, 2)),
        Want(("counter top", "kitchen cabinet"), "row"),
        Want(("sink",), "row", chance=0.4),
        Want(("laundry hamper",), "corner", (1, 2), 0.9),
        Want(("shelf", "cabinet"), "wall", chance=0.6),
        Want(("bucket",), "corner", chance=0.5),
        _BIN,
    ),
    "hallway": (
        Want(("side table", "dresser", "cabinet"), "wall", chance=0.9),
        Want(("bench",), "wall", chance=0.5),
        Want(("shelf",), "wall", chance=0.3),
        _PLANT,
        _LAMP,
    ),
}
"""By room type."""

ON_TOP: dict[str, tuple[tuple[str, float], ...]] = {
    "tv stand": (("television", 0.95),),
    "desk": (("laptop", 0.6), ("desk lamp", 0.5)),
    "nightstand": (("desk lamp", 0.45), ("alarm clock", 0.4)),
    "side table": (("desk lamp", 0.2),),
    "counter top": (("microwave", 0.45), ("coffee maker", 0.3)),
    "bed": (("pillow", 0.5),),
    "sofa": (("pillow", 0.4), ("pillow", 0.3)),
    "dresser": (("television", 0.1),),
}
"""What stands at the back of a host's first open surface and faces as the host does, with its chance."""

WALL_THINGS: dict[str, tuple[tuple[str, tuple[int, int], float], ...]] = {
    "living_room": (("television", (1, 1), 0.8), ("painting", (1, 3), 0.8), ("wall clock", (1, 1), 0.4)),
    "kitchen": (("wall cabinet", (1, 2), 0.7), ("wall clock", (1, 1), 0.5), ("wall shelf", (1, 1), 0.4)),
    "dining_room": (("painting", (1, 2), 0.8), ("mirror", (1, 1), 0.2), ("wall clock", (1, 1), 0.3)),
    "bedroom": (("painting", (1, 2), 0.7), ("mirror", (1, 1), 0.4), ("wall shelf", (1, 1), 0.3)),
    "bathroom": (("mirror", (1, 1), 0.9), ("wall shelf", (1, 1), 0.3), ("painting", (1, 1), 0.1)),
    "office": (("painting", (1, 2), 0.7), ("wall clock", (1, 1), 0.5), ("wall shelf", (1, 2), 0.5)),
    "laundry_room": (("wall shelf", (1, 1), 0.5), ("wall clock", (1, 1), 0.2)),
    "hallway": (("painting", (1, 2), 0.7), ("mirror", (1, 1), 0.6), ("wall clock", (1, 1), 0.2)),
}
"""(category, count, chance of each) by room type."""
