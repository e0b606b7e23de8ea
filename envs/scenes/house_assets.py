"""Which asset of ours stands in for one that a foreign house names: the same, or the nearest size of its category.

Sizes are (x, y, z) of our asset frame (front +x, z up), metres. Foreign catalogues give boxes in Unity's axes
(x across, y up, z front to back).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from zoo.envs.assets.library import AssetFacts, AssetLibrary
from zoo.envs.scenes.json_cursor import Cursor
from zoo.errors import DataError

Size = tuple[float, float, float]

SYNONYMS: dict[str, tuple[str, ...]] = {
    "arm chair": ("armchair", "chair"),
    "basket ball": ("basketball", "ball"),
    "bathtub": ("bath tub",),
    "bookcase": ("shelf",),
    "bookshelf": ("shelf",),
    "box": ("box with lid", "open box"),
    "cell phone": ("phone",),
    "chest": ("storage chest",),
    "couch": ("sofa",),
    "paper towel roll": ("toilet roll",),
    "pepper shaker": ("pepper mill", "salt shaker"),
    "refrigerator": ("fridge",),
    "room decor": ("statue", "vase"),
    "shelving unit": ("shelf", "cabinet"),
    "table top decor": ("vase", "statue"),
    "toilet paper": ("toilet roll",),
    "trash can": ("garbage can",),
    "tv": ("television",),
}
"""Other words for THOR object types, the nearest first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CatalogueEntry:
    """What a foreign catalogue says of an asset: its category, and its size where that is known."""

    category: str
    size_m: Size | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """An asset that stands in for another; `is_same` where it is that very asset."""

    library: str
    facts: AssetFacts
    is_same: bool


def size_from_unity(box: tuple[float, float, float]) -> Size:
    """Our x, y, z extents of a Unity box, whose front is +z."""
    across, up, deep = box
    return (deep, across, up)


def read_catalogue(path: str | Path) -> dict[str, CatalogueEntry]:
    """Categories and sizes of foreign assets by identifier.

    Args:
        path: JSON, either ProcTHOR's `asset-database.json` (category to list of assets) or an object of Objathor
            records by identifier, each with `category` and `boundingBox` in Unity's axes.
    Raises:
        DataError: it is neither.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read the asset catalogue {path}: {error}") from error
    entries = {}
    root = Cursor(content, "catalogue")
    for key in root.object():
        value = root.get(key)
        if isinstance(value.value, list):
            entries.update({r.need("assetId").text(): _entry(r, key) for r in value.list()})
        else:
            entries[key] = _entry(value, value.need("category").text())
    return entries


def _entry(record: Cursor, category: str) -> CatalogueEntry:
    box = record.get("boundingBox")
    return CatalogueEntry(category=category, size_m=size_from_unity(box.xyz()) if box else None)


def words_of(name: str) -> str:
    """`GarbageCan`, `garbage_can-3` and `RoboTHOR_garbage_can_1` in plain words: garbage can."""
    name = re.sub(r"^RoboTHOR_", "", name)
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[_\-|/]+", " ", name)
    return " ".join(word for word in name.lower().split() if not word.isdigit() and word not in ("ai2", "v"))


class AssetMatcher:
    """Finds stand-ins in the libraries that there are.

    Args:
        libraries: Asset libraries by registry name, in order of preference.
        catalogue: What is known of foreign assets, by their identifier.
    """

    def __init__(
        self, libraries: Mapping[str, AssetLibrary], catalogue: Mapping[str, CatalogueEntry] | None = None
    ) -> None:
        self._libraries = libraries
        self._catalogue = catalogue or {}
        self._by_word: dict[str, list[tuple[str, AssetFacts]]] = {}
        for library, source in libraries.items():
            for facts in source.facts().values():
                words = {words_of(facts.category): None, facts.synset.split(".")[0].replace("_", " "): None}
                for word in words:
                    self._by_word.setdefault(word, []).append((library, facts))

    def facts(self, library: str, uid: str) -> AssetFacts | None:
        """Of an asset that a scene names, or None where it is not here."""
        return self._libraries[library].facts().get(uid) if library in self._libraries else None

    def known_size(self, asset_id: str) -> Size | None:
        """Size of a foreign asset, where a library or the catalogue has it."""
        for library in self._libraries.values():
            if asset_id in library.facts():
                return library.facts()[asset_id].size_m
        return self._catalogue[asset_id].size_m if asset_id in self._catalogue else None

    def category(self, asset_id: str, hint: str) -> str:
        """Category of a foreign asset in words: the catalogue's, else what its object is called."""
        entry = self._catalogue.get(asset_id)
        return words_of(entry.category if entry else hint)

    def find(self, asset_id: str, hint: str, size_m: Size | None) -> Match | None:
        """What stands in for an asset.

        Args:
            asset_id: Its identifier.
            hint: What the object is called, for assets that no catalogue names.
            size_m: Its size where that is known; without it the first of the category is taken.
        Returns:
            None where no library has its category.
        """
        for library, source in self._libraries.items():
            if asset_id in source.facts():
                return Match(library=library, facts=source.facts()[asset_id], is_same=True)
        words = self.category(asset_id, hint)
        for word in dict.fromkeys((words, *SYNONYMS.get(words, ()), words.rpartition(" ")[2])):
            candidates = self._by_word.get(word)
            if candidates:
                library, facts = min(candidates, key=lambda found: _mismatch(found[1].size_m, size_m))
                return Match(library=library, facts=facts, is_same=False)
        return None


def _mismatch(size_m: Size, wanted_m: Size | None) -> float:
    """How far two sizes are apart: the sum of the logarithms of their ratios; 0 where nothing is wanted."""
    if wanted_m is None:
        return 0.0
    return sum(abs(math.log(max(a, 1e-3) / max(b, 1e-3))) for a, b in zip(size_m, wanted_m, strict=True))
