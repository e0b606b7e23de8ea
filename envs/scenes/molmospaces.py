"""Public MolmoSpaces scenes on the user's disk: MJCF, metadata and map of a house by family, split and number.

Source: sheet molmospaces sections 1 (splits of iTHOR), 12 (files of a house, metadata). Bodies are called
`lemma_hash_count_bodyindex_room`; the metadata says what each is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from PIL import Image, UnidentifiedImageError

from zoo.envs.assets.library import Split
from zoo.envs.assets.molmospaces_layout import asset_set_of, assets_root, missing
from zoo.envs.scenes.export_mjcf import referenced_files
from zoo.envs.scenes.json_cursor import Cursor
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError, DataError

FAMILIES = ("ithor", "procthor-10k", "procthor-objaverse", "holodeck-objaverse")
SUFFIX = re.compile(r"(_ceiling|_physics)$")
LARGEST_TRAIN, LARGEST_VAL, LARGEST_TEST = 12, 24, 30
"""Of the number of an iTHOR scene modulo 100."""

Variant = Literal["base", "ceiling"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneObject:
    """What the metadata says of one object of a scene.

    Args:
        body: Its root body.
        asset_id: Identifier in the object set.
        category: As the release calls it.
        kind: Of object: thor_obj, objaverse_obj, custom_obj, temp_object.
        is_static: It has no free joint.
        room_id: Number of its room; 0 where it is unknown.
        parent: Body of what it stands on, "" for the floor.
        children: Bodies of what stands on it.
        joints: Own name in the asset, by name in the scene.
        bodies: As `joints`.
        sites: As `joints`.
        size_m: Of its box, where the metadata has one.
    """

    body: str
    asset_id: str
    category: str
    kind: str
    is_static: bool
    room_id: int
    parent: str
    children: tuple[str, ...]
    joints: Mapping[str, str]
    bodies: Mapping[str, str]
    sites: Mapping[str, str]
    size_m: tuple[float, float, float] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedScene:
    """A scene of the public release.

    Args:
        spec: Its specification, to which robots may be added.
        path: Of the MJCF.
        metadata: As parsed, unknown fields and all.
        objects: Those that are in the model, by root body, in the order of the metadata.
        absent: Bodies that the metadata has and the model has not.
        map_path: Of the occupancy map, where there is one.
        rooms: Names by number, where the map says them.
    """

    spec: mujoco.MjSpec
    path: Path
    metadata: Mapping[str, Any]
    objects: Mapping[str, SceneObject]
    absent: tuple[str, ...]
    map_path: Path | None
    rooms: Mapping[int, str]

    def object(self, body: str) -> SceneObject:
        """Of a body.

        Raises:
            DataError: the scene has no such object; says so where the metadata has it and the model has not.
        """
        if body not in self.objects:
            where = "the metadata has it, the model does not" if body in self.absent else "the metadata has none"
            raise DataError(f"scene {self.path.name} has no object {body!r}: {where}")
        return self.objects[body]

    def of_category(self, category: str) -> tuple[SceneObject, ...]:
        """Objects of a category, whatever its case."""
        return tuple(item for item in self.objects.values() if item.category.lower() == category.lower())

    def joints_of(self, body: str) -> tuple[str, ...]:
        """Names of the hinges and slides of an object in the model, in its order."""
        root = self.spec.body(self.object(body).body)
        moving = (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE)
        return tuple(joint.name for joint in root.find_all("joint") if joint.type in moving)


def scene_path(family: str, split: Split, index: int, *, root: Path, variant: Variant = "base") -> Path:
    """Where the MJCF of a house lies.

    Args:
        family: One of `FAMILIES`.
        split: Which part of it.
        index: Number of the house; of iTHOR that of its FloorPlan, which decides the split.
        root: Folder of the assets.
        variant: With the ceiling or, for maps and cameras above, without.
    Raises:
        ConfigError: an unknown family, or an iTHOR number of another split.
    """
    if family not in FAMILIES:
        raise ConfigError(f"no scene family {family!r}; expected one of {', '.join(FAMILIES)}")
    end = "" if variant == "base" else "_ceiling"
    if family == "ithor":
        if ithor_split(index) != split:
            raise ConfigError(f"FloorPlan{index} is of the split {ithor_split(index)!r}, not {split!r}")
        return root / "scenes" / family / f"FloorPlan{index}_physics{end}.xml"
    return root / "scenes" / f"{family}-{split}" / f"{split}_{index}{end}.xml"


def ithor_split(index: int) -> Split:
    """Split of an iTHOR scene by its number modulo 100."""
    number = index % 100
    if not 1 <= number <= LARGEST_TEST:
        raise ConfigError(f"there is no FloorPlan{index}; numbers modulo 100 go from 1 to {LARGEST_TEST}")
    return "train" if number <= LARGEST_TRAIN else "val" if number <= LARGEST_VAL else "test"


def load_house(
    family: str, split: Split, index: int, *, root: str | Path | None = None, variant: Variant = "base"
) -> LoadedScene:
    """A house of the release.

    Args:
        family: As of `scene_path`.
        split: As of `scene_path`.
        index: As of `scene_path`.
        root: Folder of the assets; None is that of MLSPACES_ASSETS_DIR.
        variant: As of `scene_path`.
    Raises:
        ConfigError: as `scene_path`.
        DataError: it is not on disk (with the asset set to get), or cannot be read.
    """
    folder = assets_root(root)
    return load_scene(scene_path(family, split, index, root=folder, variant=variant))


def load_scene(path: str | Path) -> LoadedScene:
    """A scene from its MJCF, with the metadata and map that lie beside it.

    Raises:
        DataError: the file is not there or no MJCF, the metadata is not what the release writes, or meshes and pictures
            that the scene refers to are not on disk (with the asset set to get).
    """
    path = Path(path)
    if not path.is_file():
        raise missing(f"the scene {path}", asset_set_of(path) or "scenes/<family>-<split>")
    try:
        spec = mujoco.MjSpec.from_file(str(path))
    except ValueError as error:
        raise DataError(f"cannot read the scene {path}: {error}") from error
    _check_files(spec, path)
    metadata = _read_metadata(path)
    found = _objects(Cursor(metadata, path.name.removesuffix(".xml") + "_metadata"))
    bodies = {body.name for body in spec.bodies}
    beside = _beside(path, "_map.png")
    return LoadedScene(
        spec=spec,
        path=path,
        metadata=metadata,
        objects={name: item for name, item in found.items() if name in bodies},
        absent=tuple(name for name in found if name not in bodies),
        map_path=beside,
        rooms=_room_names(beside) if beside else {},
    )


def _check_files(spec: mujoco.MjSpec, path: Path) -> None:
    absent = [file for _, file in referenced_files(spec) if not file.is_file()]
    if absent:
        what = f"{absent[0]}, one of {len(absent)} files that {path.name} refers to," if len(absent) > 1 else absent[0]
        raise missing(f"{what}", asset_set_of(absent[0]) or asset_set_of(path) or "objects/thor")


def _beside(path: Path, end: str) -> Path | None:
    """The file of a scene with another ending, with or without the suffixes of the MJCF."""
    stem = path.stem
    while True:
        if path.with_name(stem + end).is_file():
            return path.with_name(stem + end)
        shorter = SUFFIX.sub("", stem)
        if shorter == stem:
            return None
        stem = shorter


def _read_metadata(path: Path) -> dict[str, Any]:
    beside = _beside(path, "_metadata.json")
    if beside is None:
        raise DataError(
            f"the scene {path} has no metadata beside it, expected {SUFFIX.sub('', path.stem)}_metadata.json"
        )
    try:
        content = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {beside}: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{beside} holds {type(content).__name__}, expected an object with objects")
    return content


def _objects(root: Cursor) -> dict[str, SceneObject]:
    objects = root.need("objects")
    return {body: _scene_object(body, objects.get(body)) for body in objects.object()}


def _scene_object(body: str, raw: Cursor) -> SceneObject:
    names = raw.get("name_map")
    maps = {kind: _names(names.get(kind)) if names else {} for kind in ("joints", "bodies", "sites")}
    box = raw.get("boundingBox")
    return SceneObject(
        body=body,
        asset_id=raw.need("asset_id").text(),
        category=raw.need("category").text(),
        kind=raw.get("object_enum").text("") if not isinstance(raw.get("object_enum").value, int) else "",
        is_static=raw.get("is_static").flag(False),
        room_id=int(raw.get("room_id").number(0)),
        parent=raw.get("parent").text(""),
        children=tuple(child.text() for child in raw.get("children").list()),
        size_m=box.xyz() if box else None,
        **maps,
    )


def _names(raw: Cursor) -> dict[str, str]:
    return {name: raw.get(name).text() for name in raw.object()}


def _room_names(path: Path) -> dict[int, str]:
    """What the text of a map says of its rooms; maps without it are no fault."""
    try:
        with Image.open(path) as picture:
            text = getattr(picture, "text", {}).get("room_ids_to_name")
    except (OSError, UnidentifiedImageError) as error:
        raise DataError(f"cannot read the map {path}: {error}") from error
    if text is None:
        return {}
    try:
        return {int(number): str(name) for number, name in json.loads(text).items()}
    except (ValueError, AttributeError) as error:
        raise DataError(f"the map {path} names its rooms {text[:60]!r}, expected a JSON object by number") from error
