"""Surface materials between the house JSON, which names Unity's, and ours, which are a colour and a pattern.

A Unity material is a name in a database of pictures that we do not have, and at times a colour that overrides it. The
colour is kept; a name decides the pattern by the words in it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from zoo.envs.scenes.json_cursor import Cursor
from zoo.envs.scenes.specification import Colour, Material, Pattern

EXTENSION = "zoo"
"""Key under which the house JSON carries what only our scenes have."""

WALL = Material(rgba=(0.86, 0.85, 0.82, 1.0))
FLOOR = Material(rgba=(0.62, 0.46, 0.32, 1.0), pattern="planks", second_rgba=(0.52, 0.38, 0.26, 1.0))
CEILING = Material(rgba=(0.95, 0.95, 0.95, 1.0))

_BY_WORD: tuple[tuple[tuple[str, ...], Material], ...] = (
    (
        ("wood", "plank", "parquet", "laminate"),
        FLOOR,
    ),
    (
        ("tile", "tiled", "ceramic"),
        Material(rgba=(0.83, 0.83, 0.81, 1.0), pattern="tiles", second_rgba=(0.6, 0.6, 0.58, 1.0), tile_m=0.3),
    ),
    (
        ("brick",),
        Material(rgba=(0.6, 0.31, 0.24, 1.0), pattern="tiles", second_rgba=(0.75, 0.72, 0.68, 1.0), tile_m=0.22),
    ),
    (
        ("carpet", "rug", "fabric", "wallpaper"),
        Material(rgba=(0.6, 0.57, 0.53, 1.0), pattern="noise", second_rgba=(0.54, 0.51, 0.47, 1.0), tile_m=0.5),
    ),
    (
        ("marble", "granite", "stone", "concrete", "cement"),
        Material(rgba=(0.74, 0.73, 0.71, 1.0), pattern="noise", second_rgba=(0.66, 0.65, 0.63, 1.0)),
    ),
    (("white", "drywall", "paint", "plaster"), WALL),
)


def read_colour(raw: Cursor) -> Colour:
    """RGBA of an object with r, g, b and perhaps a."""
    red, green, blue = (raw.need(channel).number() for channel in "rgb")
    return (red, green, blue, raw.get("a").number(1.0))


def read_material(raw: Cursor, default: Material) -> Material:
    """What a material of the JSON looks like.

    Args:
        raw: A name, an object with `name` and `color`, or nothing.
        default: Without a name that says more.
    """
    if isinstance(raw.value, str) or not raw:
        return _by_name(raw.text(""), default)
    if raw.get(EXTENSION):
        fields = raw.get(EXTENSION).object()
        return Material(**{key: tuple(v) if isinstance(v, list) else v for key, v in _known(fields).items()})
    named = _by_name(raw.get("name").text(""), default)
    if not raw.get("color"):
        return named
    colour = read_colour(raw.get("color"))
    pattern: Pattern = named.pattern if raw.get("name").value else "plain"
    red, green, blue, alpha = colour
    return dataclasses.replace(
        named, rgba=colour, pattern=pattern, second_rgba=(0.85 * red, 0.85 * green, 0.85 * blue, alpha)
    )


def write_material(material: Material, note: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The JSON of a material, exact under our extension.

    Args:
        material: Ours.
        note: Of `material_note`; the foreign name and colour stay.
    """
    return {**(_native(material) if note is None else note), EXTENSION: dataclasses.asdict(material)}


def material_note(raw: Cursor, material: Material) -> dict[str, Any] | None:
    """What `write_material` needs in order to restore a foreign material; None where it would write the same."""
    if not isinstance(raw.value, dict):
        return {"name": raw.value} if raw else None
    foreign = {key: value for key, value in raw.value.items() if key != EXTENSION}
    return None if foreign == _native(material) else foreign


def _native(material: Material) -> dict[str, Any]:
    return {"name": "", "color": dict(zip("rgba", material.rgba, strict=True))}


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    names = {part.name for part in dataclasses.fields(Material)}
    return {key: value for key, value in fields.items() if key in names}


def _by_name(name: str, default: Material) -> Material:
    lower = name.lower()
    return next((material for words, material in _BY_WORD if any(word in lower for word in words)), default)
