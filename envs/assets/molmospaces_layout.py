"""Where the public MolmoSpaces resources lie on disk: scenes, objects, grasps; and what to get where one is absent.

Source: sheet molmospaces sections 12 (resource manager, user libraries) and 14 (grasp files). The resource manager
links everything under one folder, which the variable MLSPACES_ASSETS_DIR names:

    scenes/ithor/FloorPlan<n>_physics.xml          scenes/procthor-10k-val/val_<n>.xml, val_<n>_metadata.json, ...
    objects/thor/..., objects/objaverse/<uid>/<uid>.xml
    grasps/droid/<uid>/<uid>_grasps_filtered.npz, <joint>_grasps_filtered.npz; grasps/droid_objaverse/...
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from zoo.errors import DataError

ROOT_VARIABLE = "MLSPACES_ASSETS_DIR"
GRASP_SETS = {"thor": "droid", "objaverse": "droid_objaverse"}
"""Grasp set of each object set."""

GRASP_INDEX = "grasps_index.json"


def assets_root(folder: str | Path | None = None, *, environment: Mapping[str, str] | None = None) -> Path:
    """The folder with scenes, objects and grasps.

    Args:
        folder: Wins over the environment.
        environment: Process environment.
    Raises:
        DataError: neither names a folder that is there.
    """
    named = folder or (os.environ if environment is None else environment).get(ROOT_VARIABLE)
    if not named:
        raise DataError(
            f"the folder of the MolmoSpaces assets is not known: export {ROOT_VARIABLE}=FOLDER, the one with scenes/, "
            "objects/ and grasps/"
        )
    if not Path(named).is_dir():
        raise DataError(f"{named} is no folder; {ROOT_VARIABLE} names the one with scenes/, objects/ and grasps/")
    return Path(named)


def asset_set_of(path: Path) -> str | None:
    """Name of the asset set that a file belongs to, as `objects/thor`, by the folders in its path."""
    parts = Path(os.path.normpath(path)).parts
    for kind in ("objects", "scenes", "grasps"):
        if kind in parts[:-2]:
            place = len(parts) - 1 - parts[::-1].index(kind)
            return f"{kind}/{parts[place + 1]}" if place + 1 < len(parts) - 1 else None
    return None


def missing(what: str, asset_set: str, root: str | Path | None = None) -> DataError:
    """The error for something of an asset set that is not on disk.

    Args:
        what: The subject of the sentence, with the path that was looked for.
        asset_set: As `scenes/procthor-10k-val`.
        root: Where it was looked for; None says the variable.
    """
    folder = f"{root or '$' + ROOT_VARIABLE}/{asset_set}"
    return DataError(
        f"{what} is not on disk; it is in the MolmoSpaces asset set {asset_set}. Get that set with the "
        f"package molmospaces-resources (or from its archive), put it at {folder}, and export {ROOT_VARIABLE}"
    )


def grasp_file(root: Path, uid: str, *, source: str = "thor", joint: str | None = None) -> Path:
    """The public grasp file of an asset.

    Args:
        root: Of the assets.
        uid: Of the asset.
        source: Its object set, `thor` or `objaverse`.
        joint: Own name of a joint of the asset, for grasps of the part that it moves.
    Raises:
        DataError: the file is not there.
    """
    grasps = GRASP_SETS.get(source)
    if grasps is None:
        raise DataError(f"no grasps belong to the object set {source!r}; there are those of {', '.join(GRASP_SETS)}")
    path = root / "grasps" / grasps / uid / f"{joint or uid}_grasps_filtered.npz"
    if not path.is_file():
        of = f"joint {joint!r} of asset {uid!r}" if joint else f"asset {uid!r}"
        raise missing(f"the grasp file of {of} ({path})", f"grasps/{grasps}", root)
    return path


def user_grasp_file(folder: Path, uid: str, *, robot: str = "droid", joint: str | None = None) -> Path:
    """The grasp file of an asset in a library of the user's own, by its index or, without one, by its place.

    Args:
        folder: Of the library.
        uid: Of the asset.
        robot: Whose gripper.
        joint: Own name of a joint of the asset.
    Raises:
        DataError: the index cannot be read, or names no such file, or the file is not there.
    """
    index = folder / GRASP_INDEX
    path = folder / uid / robot / (f"joint_grasps_{joint}.npz" if joint else "grasps.npz")
    if index.is_file():
        path = folder / _indexed(index, uid, robot, joint)
    if not path.is_file():
        raise DataError(f"asset {uid!r} has no grasps for {robot!r}: {path} is not there; zoo grasps makes such files")
    return path


def _indexed(index: Path, uid: str, robot: str, joint: str | None) -> str:
    try:
        content = json.loads(index.read_text(encoding="utf-8"))
        assets = content["articulated_grasp_paths" if joint else "grasp_paths"].get(robot, {})
        found = assets.get(uid, {}).get(joint) if joint else assets.get(uid)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"cannot read {index}: {type(error).__name__}: {error}; expected grasp_paths {{robot: {{uid: path}}}} and "
            "articulated_grasp_paths {robot: {uid: {joint: path}}}"
        ) from error
    if not isinstance(found, str):
        raise DataError(
            f"{index} names no grasps of asset {uid!r} for {robot!r}" + (f", joint {joint!r}" if joint else "")
        )
    return found
