"""Objects of an installed robosuite as assets: cans, milk, bread, bottles, doors. Needs the package `robosuite`.

Its objects are MJCF files with sites that bound them (`bottom_site`, `top_site`, `horizontal_radius_site`), so that
listing them builds nothing. Only the files are used: the package itself, which wants older versions of MuJoCo, is never
imported. Collections of robots, such as mujoco_menagerie, hold nothing that stands in a house and are no libraries.
"""

from __future__ import annotations

import hashlib
import importlib.util
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from zoo.envs.assets.library import DIGEST_BYTES, Asset, AssetFacts, AssetLibrary
from zoo.envs.assets.mjcf_asset import MjcfAsset
from zoo.errors import DataError, MissingLibraryError, UnknownNameError
from zoo.registry import near

OBJECTS = Path("models") / "assets" / "objects"

KNOWN: Mapping[str, tuple[str, str, float]] = MappingProxyType(
    {
        "bottle": ("bottle", "bottle.n.01", 0.3),
        "bread": ("bread", "bread.n.01", 0.1),
        "can": ("can", "can.n.01", 0.35),
        "cereal": ("cereal box", "box.n.01", 0.4),
        "lemon": ("lemon", "lemon.n.01", 0.1),
        "milk": ("milk carton", "carton.n.02", 0.5),
    }
)
"""Category, synset and usual mass in kilograms of the objects that are household things; others are test pieces."""


class RobosuiteObjects(AssetLibrary):
    """Objects that robosuite ships.

    Args:
        folder: Of the package, the one with `models/`; None finds the installed one.

    Raises:
        MissingLibraryError: it is not installed.
        DataError: the folder has no objects, or one of them has no bounding sites.
    """

    example_args: ClassVar[dict[str, Any]] = {"folder": "/data/robosuite"}

    def __init__(self, *, folder: str | None = None) -> None:
        root = Path(folder) if folder else _installed()
        self._folder = root / OBJECTS
        if not self._folder.is_dir():
            raise DataError(f"{root} has no {OBJECTS}: expected the folder of the package robosuite, 1.4 or newer")

    def facts(self) -> Mapping[str, AssetFacts]:
        return self._facts

    def asset(self, uid: str) -> Asset:
        file = self._file(uid)
        return MjcfAsset(self._facts[uid], file)

    def digest_of(self, uid: str) -> str:
        return hashlib.blake2b(self._file(uid).read_bytes(), digest_size=DIGEST_BYTES).hexdigest()

    def _file(self, uid: str) -> Path:
        if uid not in self._facts:
            close = near(uid, tuple(self._facts))
            raise UnknownNameError(
                f"robosuite has no object {uid!r}. Near: {', '.join(close) or 'none'}. There: {', '.join(self._facts)}"
            )
        return self._folder / f"{uid}.xml"

    @cached_property
    def _facts(self) -> Mapping[str, AssetFacts]:
        found = {path.stem: path for path in sorted(self._folder.glob("*.xml")) if path.stem in KNOWN}
        return MappingProxyType({uid: _facts_of(uid, path) for uid, path in found.items()})


def _installed() -> Path:
    spec = importlib.util.find_spec("robosuite")
    if spec is None or not spec.submodule_search_locations:
        raise MissingLibraryError(
            "robosuite is not installed; its objects are its files: pip install --no-deps robosuite, or give its folder"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _facts_of(uid: str, path: Path) -> AssetFacts:
    try:
        sites = {site.get("name"): site for site in ET.parse(path).getroot().iter("site")}
        bottom, top, side = (
            [float(value) for value in sites[f"{name}_site"].get("pos", "").split()]
            for name in ("bottom", "top", "horizontal_radius")
        )
        (*_, low), (*_, high), (radius_x, radius_y, _) = bottom, top, side
    except (OSError, ET.ParseError, KeyError, ValueError) as error:
        raise DataError(
            f"{path} is no object of robosuite ({type(error).__name__}: {error}); expected the sites bottom_site, "
            "top_site and horizontal_radius_site"
        ) from error
    category, synset, mass_kg = KNOWN[uid]
    return AssetFacts(
        uid=uid,
        category=category,
        synset=synset,
        description=category,
        size_m=(2 * abs(radius_x), 2 * abs(radius_y), high - low),
        mass_kg=mass_kg,
        mounting="surface",
        is_pickupable=True,
    )
