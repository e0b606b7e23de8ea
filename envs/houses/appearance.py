"""How a house looks: materials of floors, walls and ceilings by room type, colours of furniture, lamps.

Source: sheet molmospaces section 17, adapted: textures by category, colours of real interiors, lamp position, tilt and
brightness varied, random on and off with at least one on. One house keeps to a few woods and fabrics.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from zoo.envs.assets.library import AssetFacts
from zoo.envs.draws import between, pick, weighted
from zoo.envs.houses.footprints import Rect
from zoo.envs.scenes.specification import Colour, Light, Material, Pattern, Vector

Rgb = tuple[float, float, float]

WOODS: tuple[Rgb, ...] = (
    (0.72, 0.54, 0.34),
    (0.60, 0.42, 0.26),
    (0.45, 0.30, 0.18),
    (0.36, 0.24, 0.16),
    (0.80, 0.66, 0.46),
    (0.86, 0.78, 0.64),
    (0.55, 0.50, 0.45),
)
TILES: tuple[Rgb, ...] = (
    (0.90, 0.90, 0.88),
    (0.78, 0.78, 0.76),
    (0.62, 0.63, 0.64),
    (0.84, 0.78, 0.68),
    (0.70, 0.78, 0.80),
    (0.40, 0.42, 0.44),
)
CARPETS: tuple[Rgb, ...] = ((0.70, 0.65, 0.58), (0.60, 0.60, 0.62), (0.50, 0.46, 0.42), (0.45, 0.50, 0.56))
PAINTS: tuple[Rgb, ...] = (
    (0.94, 0.93, 0.90),
    (0.92, 0.88, 0.80),
    (0.86, 0.87, 0.88),
    (0.80, 0.86, 0.84),
    (0.82, 0.86, 0.92),
    (0.92, 0.84, 0.78),
    (0.78, 0.80, 0.70),
    (0.88, 0.80, 0.84),
    (0.60, 0.68, 0.72),
)
OUTSIDE: tuple[Rgb, ...] = ((0.88, 0.86, 0.82), (0.70, 0.45, 0.36), (0.76, 0.74, 0.70), (0.62, 0.66, 0.70))
FABRICS: tuple[Rgb, ...] = (
    (0.45, 0.47, 0.50),
    (0.72, 0.68, 0.62),
    (0.25, 0.33, 0.45),
    (0.45, 0.52, 0.42),
    (0.60, 0.38, 0.30),
    (0.86, 0.84, 0.80),
    (0.55, 0.42, 0.50),
)

FLOORS: dict[str, dict[Pattern, float]] = {
    "living_room": {"planks": 0.75, "noise": 0.15, "tiles": 0.1},
    "dining_room": {"planks": 0.75, "tiles": 0.25},
    "bedroom": {"planks": 0.55, "noise": 0.45},
    "office": {"planks": 0.6, "noise": 0.4},
    "hallway": {"planks": 0.6, "tiles": 0.4},
    "kitchen": {"tiles": 0.6, "planks": 0.25, "checker": 0.15},
    "bathroom": {"tiles": 0.8, "checker": 0.2},
    "laundry_room": {"tiles": 0.8, "plain": 0.2},
}
WET = ("bathroom", "laundry_room", "kitchen")
TILED_WALL_CHANCE = 0.45
"""Of rooms with water."""

_FLOOR_COLOURS: dict[Pattern, tuple[Rgb, ...]] = {
    "planks": WOODS,
    "noise": CARPETS,
    "tiles": TILES,
    "checker": TILES,
    "plain": TILES,
}
_TILE_M: dict[Pattern, tuple[float, float]] = {
    "planks": (0.8, 1.2),
    "noise": (0.6, 1.0),
    "tiles": (0.5, 1.0),
    "checker": (0.6, 1.0),
    "plain": (1.0, 1.0),
}

ART: tuple[Rgb, ...] = (
    (0.75, 0.35, 0.28),
    (0.85, 0.70, 0.40),
    (0.30, 0.45, 0.60),
    (0.40, 0.55, 0.42),
    (0.90, 0.88, 0.82),
    (0.25, 0.28, 0.35),
    (0.70, 0.55, 0.65),
)
ART_PARTS = ("canvas", "motif")
"""Parts of paintings, each of a colour of its own."""

METALS: tuple[Rgb, ...] = ((0.72, 0.74, 0.76), (0.78, 0.62, 0.30), (0.12, 0.12, 0.13), (0.50, 0.42, 0.34))
STONES: tuple[Rgb, ...] = ((0.25, 0.26, 0.28), (0.80, 0.79, 0.76), (0.55, 0.52, 0.48), (0.70, 0.56, 0.38))
SHADES: tuple[Rgb, ...] = ((0.94, 0.91, 0.84), (0.86, 0.76, 0.60), (0.55, 0.58, 0.62), (0.35, 0.36, 0.38))
ACCENTS: dict[str, tuple[Rgb, ...]] = {
    "handle": METALS,
    "legs": WOODS,
    "worktop": STONES,
    "shade": SHADES,
    "cover": FABRICS,
    "border": FABRICS,
}
"""Parts that have one colour throughout a house."""

WOODEN = ("dining table", "coffee table", "desk", "side table", "shelf", "tv stand", "bench", "dresser", "nightstand")
UPHOLSTERED = ("sofa", "armchair", "bed", "ottoman", "rug")
MAIN_PARTS = ("body", "front", "fabric", "cushion", "seat", "top", "frame")
"""Parts that take a colour of the house where the description names none."""

COLOUR_WORDS = frozenset(
    re.findall(
        "[a-z]+",
        "white cream grey gray black steel brass oak walnut birch brown terracotta red orange yellow green olive teal "
        "blue navy purple pink glass gold silver beige dark light wooden metal copper ivory turquoise",
    )
)
"""An asset whose description has one of these keeps its main colour, or `red sofa` would name a blue one."""

LAMP_BRIGHTNESS = (0.45, 0.65)
LAMP_SHIFT_M = 0.5
LAMP_TILT = 0.15  # of the direction; the sheet's full radian would light the walls of neighbours
LAMP_OFF_CHANCE = 0.08
SUN_CHANCE = 0.4


class Style:
    """Materials and colours that one house keeps to.

    Args:
        rng: Source of all randomness.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.woods = [varied(rng, pick(rng, WOODS)) for _ in range(2)]
        self.fabrics = [varied(rng, pick(rng, FABRICS)) for _ in range(2)]
        self.accents = {part: varied(rng, pick(rng, colours), 0.03) for part, colours in ACCENTS.items()}
        self.outside = varied(rng, pick(rng, OUTSIDE))
        self.ceiling = Material(rgba=opaque(varied(rng, (0.95, 0.95, 0.94), 0.03)), specular=0.0, shininess=0.0)
        self.floor_of_all = _floor(rng, "living_room") if rng.random() < 0.5 else None

    def colours(self, rng: np.random.Generator, facts: AssetFacts) -> dict[str, Colour]:
        """Colours for parts of furniture and of what hangs; what a description tells of colour stays true."""
        if facts.is_pickupable:
            return {}
        words = set(re.findall("[a-z]+", facts.description.lower()))
        found: dict[str, Colour] = {}
        for part in facts.colours:
            if part in self.accents and not any(word in part for word in words if len(word) > 2):
                found[part] = opaque(self.accents[part])
            elif part in ART_PARTS:
                found[part] = opaque(varied(rng, pick(rng, ART)))
            elif part in MAIN_PARTS and facts.category in UPHOLSTERED and not words & COLOUR_WORDS:
                found[part] = opaque(pick(rng, self.fabrics))
            elif part in MAIN_PARTS and facts.category in WOODEN and not words & COLOUR_WORDS:
                found[part] = opaque(pick(rng, self.woods))
        return found

    def floor(self, rng: np.random.Generator, room_type: str) -> Material:
        """Rooms without water may share one floor."""
        if self.floor_of_all is not None and room_type not in WET:
            return self.floor_of_all
        return _floor(rng, room_type)

    def wall(self, rng: np.random.Generator, room_type: str) -> Material:
        """Of all walls of a room, on its side."""
        if room_type in WET and rng.random() < TILED_WALL_CHANCE:
            return _patterned(rng, "tiles", pick(rng, TILES[:5]))
        colour = varied(rng, pick(rng, PAINTS))
        return Material(rgba=opaque(colour), specular=0.05, shininess=0.05)

    def outer_wall(self) -> Material:
        return Material(rgba=opaque(self.outside), specular=0.0, shininess=0.0)

    def doors(self) -> list[Material]:
        """Of door leaves: painted white, or one of the house's woods."""
        white = Material(rgba=(0.93, 0.92, 0.9, 1.0), specular=0.2)
        return [white, *(Material(rgba=opaque(wood), specular=0.15) for wood in self.woods)]


def draw_lights(rng: np.random.Generator, rects: Sequence[Rect], height_m: float) -> tuple[Light, ...]:
    """A lamp under each room's ceiling, perhaps the sun; at least one lamp is on.

    Args:
        rng: Source of all randomness.
        rects: Of the rooms.
        height_m: Of the ceiling.
    """
    is_on = rng.random(len(rects)) >= LAMP_OFF_CHANCE
    if not is_on.any():
        is_on[int(rng.integers(len(rects)))] = True
    lights = [
        _lamp(rng, f"lamp_{index}", rect, height_m, is_on=bool(on))
        for index, (rect, on) in enumerate(zip(rects, is_on, strict=True))
    ]
    if rng.random() < SUN_CHANCE:
        azimuth, elevation = float(rng.uniform(0, 2 * math.pi)), float(rng.uniform(0.6, 1.3))
        across = math.cos(elevation)
        direction = across * math.cos(azimuth), across * math.sin(azimuth), -math.sin(elevation)
        level = between(rng, 0.15, 0.35)
        sun = Light(
            name="sun",
            position_m=(0.0, 0.0, 10.0),
            direction=_rounded(direction),
            rgb=_rounded((level, level * 0.97, level * 0.9)),
            is_sun=True,
        )
        lights.append(sun)
    return tuple(lights)


def _lamp(rng: np.random.Generator, name: str, rect: Rect, height_m: float, *, is_on: bool) -> Light:
    x, y = rect.centre
    reach_x, reach_y = min(LAMP_SHIFT_M, rect.width / 4), min(LAMP_SHIFT_M, rect.depth / 4)
    x, y = x + float(rng.uniform(-reach_x, reach_x)), y + float(rng.uniform(-reach_y, reach_y))
    tilt_x, tilt_y = rng.uniform(-LAMP_TILT, LAMP_TILT, 2).tolist()
    level, warmth = float(rng.uniform(*LAMP_BRIGHTNESS)), float(rng.uniform(0.0, 0.15))
    length = math.sqrt(tilt_x**2 + tilt_y**2 + 1)
    return Light(
        name=name,
        position_m=_rounded((x, y, height_m - 0.3)),  # below what hangs from the ceiling, or it would shade itself
        direction=_rounded((tilt_x / length, tilt_y / length, -1 / length)),
        rgb=_rounded((level, level * (1 - warmth / 2), level * (1 - warmth))),
        is_on=is_on,
    )


def _floor(rng: np.random.Generator, room_type: str) -> Material:
    pattern = weighted(rng, FLOORS[room_type])
    return _patterned(rng, pattern, pick(rng, _FLOOR_COLOURS[pattern]))


def _patterned(rng: np.random.Generator, pattern: Pattern, colour: Rgb) -> Material:
    first = varied(rng, colour)
    shade = 0.55 if pattern == "checker" else 0.82
    second = tuple(round(shade * part, 3) for part in first)
    return Material(
        rgba=opaque(first),
        pattern=pattern,
        second_rgba=opaque(second),
        tile_m=between(rng, *_TILE_M[pattern], 0.05),
        specular=between(rng, 0.0, 0.3),
        shininess=between(rng, 0.0, 0.4),
    )


def varied(rng: np.random.Generator, colour: Rgb, reach: float = 0.06) -> Rgb:
    """A colour a little lighter or darker, and a little off its hue."""
    level = float(rng.uniform(-reach, reach))
    r, g, b = (round(min(1.0, max(0.0, c + level + float(rng.uniform(-0.02, 0.02)))), 3) for c in colour)
    return r, g, b


def opaque(colour: Sequence[float]) -> Colour:
    """RGBA of an RGB colour."""
    r, g, b = colour
    return r, g, b, 1.0


def _rounded(vector: Sequence[float]) -> Vector:
    x, y, z = (round(part, 4) for part in vector)
    return x, y, z
