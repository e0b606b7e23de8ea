"""Occupancy maps as PNG files, in the layout of MolmoSpaces.

Source: sheet molmospaces section 12. Red and green are 255 where a cell is free and 0 where it is blocked, blue is the
room id; the text fields world_to_map, map_to_world, px_per_m and room_ids_to_name hold JSON. Published maps of houses
without rooms are grey pictures. Published room ids are one more than a geom's index, of which the picture keeps the
lowest byte; names are looked up by that byte.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from zoo.envs.navigation.occupancy import OccupancyMap
from zoo.errors import ConfigError, DataError

REQUIRED = ("world_to_map", "map_to_world", "px_per_m")
ROOM_NAMES = "room_ids_to_name"


def write_map(path: str | Path, occupancy: OccupancyMap) -> None:
    """Write a PNG that `read_map` reads back without loss.

    Raises:
        ConfigError: another suffix, or a room id that does not fit into a byte.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ConfigError(f"a map is a PNG file, got {path.name!r}; name it {path.with_suffix('.png').name!r}")
    ids = {*occupancy.room_names, int(occupancy.rooms.max(initial=0)), int(occupancy.rooms.min(initial=0))}
    if min(ids) < 0 or max(ids) > 255:
        raise ConfigError(f"room ids must be 0 to 255 to be stored in a PNG, got {min(ids)} to {max(ids)}")
    free = np.where(occupancy.blocked, np.uint8(0), np.uint8(255))
    text = PngInfo()
    for name in ("world_to_map", "map_to_world"):
        text.add_text(name, json.dumps(getattr(occupancy, name).tolist()))
    text.add_text("px_per_m", json.dumps(float(occupancy.px_per_m)))
    text.add_text(ROOM_NAMES, json.dumps({str(index): name for index, name in occupancy.room_names.items()}))
    pixels = np.stack([free, free, occupancy.rooms.astype(np.uint8)], axis=2)
    Image.fromarray(pixels).save(path, pnginfo=text, compress_level=3)  # a third of the default's time


def read_map(path: str | Path) -> OccupancyMap:
    """Read a PNG of ours or of MolmoSpaces.

    Raises:
        DataError: no such file, no PNG, a text field is missing or malformed, or red and green disagree.
    """
    path = Path(path)
    try:
        with Image.open(path) as picture:
            kind, mode, text = picture.format, picture.mode, dict(picture.info)
            pixels = np.array(picture)
    except FileNotFoundError as error:
        raise DataError(f"there is no map {path}; make it with `zoo scene new`") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:  # PIL: SyntaxError for a broken PNG
        raise DataError(f"{path} is no readable PNG: {error}") from error
    if kind != "PNG" or mode not in ("RGB", "RGBA", "L", "1"):
        raise DataError(f"{path} is {kind} with mode {mode}, expected a PNG with three channels, or one without rooms")
    missing = [name for name in REQUIRED if name not in text]
    if missing:
        raise DataError(f"{path} has no text field {', '.join(missing)}; it is a picture, not an occupancy map")
    pixels = pixels if pixels.ndim == 3 else np.stack([pixels.astype(np.uint8)] * 2 + [np.zeros_like(pixels)], axis=2)
    if not np.array_equal(pixels[..., 0] > 0, pixels[..., 1] > 0):
        raise DataError(f"{path}: red and green disagree, both must be 255 where a cell is free and 0 where it is not")
    return OccupancyMap(
        blocked=pixels[..., 0] == 0,
        rooms=pixels[..., 2].astype(np.uint8),
        room_names=_room_names(path, text.get(ROOM_NAMES, "{}")),
        world_to_map=_matrix(path, text, "world_to_map", (2, 4)),
        map_to_world=_matrix(path, text, "map_to_world", (3, 3)),
        px_per_m=_positive(path, text),
    )


def _json(path: Path, name: str, content: str) -> Any:
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: text field {name} is no JSON: {error}") from error


def _matrix(path: Path, text: dict[str, str], name: str, shape: tuple[int, int]) -> np.ndarray:
    content = _json(path, name, text[name])
    try:
        matrix = np.array(content, np.float64)
    except (TypeError, ValueError):  # ragged, or not of numbers
        matrix = np.zeros(0)
    if matrix.shape != shape or not np.isfinite(matrix).all():
        raise DataError(f"{path}: text field {name} is {str(content)[:80]}, expected {shape[0]} x {shape[1]} numbers")
    return matrix


def _positive(path: Path, text: dict[str, str]) -> float:
    value = _json(path, "px_per_m", text["px_per_m"])
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise DataError(f"{path}: text field px_per_m is {value!r}, expected a number above 0")
    return float(value)


def _room_names(path: Path, content: str) -> dict[int, str]:
    names = _json(path, ROOM_NAMES, content)
    if names is None:
        return {}
    if not isinstance(names, dict) or not all(key.isdigit() and isinstance(value, str) for key, value in names.items()):
        raise DataError(f"{path}: text field {ROOM_NAMES} is {str(names)[:80]}, expected names by whole number")
    result: dict[int, str] = {}
    for key, name in names.items():
        byte = int(key) % 256
        if result.setdefault(byte, name) != name:
            raise DataError(f"{path}: rooms {result[byte]!r} and {name!r} have one id, {byte}, in the picture's blue")
    return result
