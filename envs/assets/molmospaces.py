"""Assets of MolmoSpaces on the user's disk: a public object set, or a library of the user's own in the same layout.

Source: sheet molmospaces sections 12 (index of user libraries) and 13 (metadata records). A user's library has an
`assets_index.json`; a public set (`objects/thor`, `objects/objaverse`) is listed by its file names, and its records,
which the release keeps in an LMDB database, come from a JSON object of records by identifier. Only assets with a record
are listed; others can be built by name.

Boxes in records are in Unity's axes in public sets and in those of the file in user libraries. Files are taken to look
along +y, which is Unity's front in the public frame.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, cast, get_args

from zoo.envs.assets.library import DIGEST_BYTES, Asset, AssetFacts, AssetLibrary, Split
from zoo.envs.assets.mjcf_asset import MjcfAsset
from zoo.envs.assets.molmospaces_layout import assets_root, missing
from zoo.errors import DataError, UnknownNameError
from zoo.registry import near

INDEX = "assets_index.json"
FRONT_YAW = math.pi / 2
SUFFIXES = ("", "_mesh", "_prim")
"""Of the files of one THOR asset, the preferred first: as it is, colliding with meshes, with primitives."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """Files of an asset; `record` is what its metadata says, None where there is none."""

    path: Path
    record: Mapping[str, Any] | None


class MolmoSpacesAssets(AssetLibrary):
    """Assets of a MolmoSpaces folder.

    Args:
        folder: With `assets_index.json`, or a public set such as `objects/thor`; None is the folder `objects/` and the
            source in MLSPACES_ASSETS_DIR.
        source: Which public set, where no folder is given.
        records: JSON file with the metadata records of a public set by identifier.

    Raises:
        DataError: the folder is not there (with the asset set to get), or an index or record cannot be read.
    """

    example_args: ClassVar[dict[str, Any]] = {"folder": "/data/assets"}

    def __init__(self, *, folder: str | None = None, source: str = "thor", records: str | None = None) -> None:
        root = None if folder else assets_root()
        self._folder = Path(folder) if folder else assets_root() / "objects" / source
        if not self._folder.is_dir():
            raise missing(f"the folder of assets {self._folder}", f"objects/{source}", root)
        self._source, self._records = source, Path(records) if records else None

    def facts(self) -> Mapping[str, AssetFacts]:
        return self._facts

    def asset(self, uid: str) -> Asset:
        entry = self._entry(uid)
        if not entry.path.is_file():
            raise missing(f"the model of asset {uid!r} ({entry.path})", f"objects/{self._source}")
        return MjcfAsset(self._facts.get(uid) or _unrecorded(uid), entry.path, front_yaw=FRONT_YAW)

    def digest_of(self, uid: str) -> str:
        """Of an asset's record and model (by its size in bytes: public sets are too large to be read)."""
        entry = self._entry(uid)
        size = entry.path.stat().st_size if entry.path.is_file() else -1
        content = json.dumps([size, entry.record], sort_keys=True)
        return hashlib.blake2b(content.encode(), digest_size=DIGEST_BYTES).hexdigest()

    def _entry(self, uid: str) -> _Entry:
        entry = self._entries.get(uid)
        if entry is None:
            close = near(uid, tuple(self._entries))
            raise UnknownNameError(
                f"{self._folder} has no asset {uid!r}. Near: {', '.join(close) or 'none'}. It has {len(self._entries)} "
                "assets; those of the public sets objects/thor and objects/objaverse are installed one by one"
            )
        return entry

    @cached_property
    def _entries(self) -> Mapping[str, _Entry]:
        index = self._folder / INDEX
        return self._indexed(index) if index.is_file() else self._found()

    @cached_property
    def _facts(self) -> Mapping[str, AssetFacts]:
        is_public = not (self._folder / INDEX).is_file()
        return MappingProxyType(
            {
                uid: facts_of_record(uid, entry.record, is_unity_box=is_public)
                for uid, entry in self._entries.items()
                if entry.record is not None
            }
        )

    def _indexed(self, index: Path) -> Mapping[str, _Entry]:
        entries = {}
        for uid, value in _object(index).items():
            paths = [value.get(key) if isinstance(value, dict) else None for key in ("object_path", "metadata_path")]
            if not all(isinstance(path, str) for path in paths):
                raise DataError(f"{index}: {uid!r} is {value!r}, expected object_path and metadata_path")
            model, record = (self._folder / cast("str", path) for path in paths)
            entries[uid] = _Entry(model, _object(record))
        return dict(sorted(entries.items()))

    def _found(self) -> Mapping[str, _Entry]:
        records = _object(self._records) if self._records else {}
        files = {path.stem: path for path in sorted(self._folder.rglob("*.xml")) if "_old" not in path.stem.lower()}
        entries = {}
        for stem, path in files.items():
            uid = next((stem.removesuffix(end) for end in SUFFIXES[1:] if stem.endswith(end)), stem)
            best = next(files[uid + end] for end in SUFFIXES if uid + end in files)
            beside = path.with_name(f"{uid}.json")
            record = records.get(uid) or (_object(beside) if beside.is_file() else None)
            entries[uid] = _Entry(best, record)
        return dict(sorted(entries.items()))


def facts_of_record(uid: str, record: Any, *, is_unity_box: bool) -> AssetFacts:
    """What a metadata record says of an asset.

    Args:
        uid: Identifier of the asset.
        record: Parsed JSON: category, synset, description, mass, boundingBox, primaryProperty, split.
        is_unity_box: The box is (across, up, deep) rather than (across, deep, up).
    Raises:
        DataError: one of category, mass and box is missing or of another kind.
    """
    if not isinstance(record, Mapping):
        raise DataError(f"the record of asset {uid!r} is {record!r}, expected an object")
    box = record.get("boundingBox")
    numbers = [box.get(axis) for axis in "xyz"] if isinstance(box, Mapping) else []
    if len(numbers) != 3 or not all(_is_number(value) and value > 0 for value in numbers):
        raise DataError(
            f"the record of asset {uid!r} has the boundingBox {box!r}, expected lengths x, y and z in metres"
        )
    category, mass = record.get("category"), record.get("mass")
    if not isinstance(category, str) or not _is_number(mass):
        raise DataError(
            f"the record of asset {uid!r} has category {category!r} and mass {mass!r}, expected text and kg"
        )
    across, second, third = (float(value) for value in numbers)
    deep, up = (third, second) if is_unity_box else (second, third)
    use, split = record.get("primaryProperty"), record.get("split", "train")
    return AssetFacts(
        uid=uid,
        category=category,
        synset=str(record.get("synset") or ""),
        description=str(record.get("description") or record.get("description_long") or category),
        size_m=(deep, across, up),
        mass_kg=float(mass),
        is_static=use == "Static",
        is_pickupable=use == "CanPickup",
        split=split if split in get_args(Split) else "train",
    )


def _unrecorded(uid: str) -> AssetFacts:
    """Of an asset without a record; the file gives its size and mass."""
    return AssetFacts(uid=uid, category="", synset="", description=uid, size_m=(0.0, 0.0, 0.0), mass_kg=0.0)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _object(path: Path) -> dict[str, Any]:
    """A JSON object out of a file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} holds {type(content).__name__}, expected an object")
    return content
