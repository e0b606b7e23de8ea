"""Files of grasps: NPZ with the poses of the tool frame in the object's frame, and where they lie.

Source: sheet of MolmoSpaces section 14 (format, layouts, twins) and 12 (index of a user library); that rows are poses
of the tool frame rather than of the flange follows from the example in MolmoSpaces' tutorial on custom assets.

Layouts under a root, `joint` being one that the asset can open:
    user    `<uid>/<robot>/grasps.npz`, `<uid>/<robot>/joint_grasps_<joint>.npz`; ours too
    public  `grasps/droid/<uid>/<uid>_grasps_filtered.npz`, `grasps/droid/<uid>/<joint>_grasps_filtered.npz`, and the
            same under `grasps/droid_objaverse`
A `grasps_index.json` in the root, which maps robots, uids and joints to files, is asked first.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import DataError

KEY = "transforms"
INDEX_NAME = "grasps_index.json"
ROBOT = "droid"
PUBLIC_SETS = ("droid", "droid_objaverse")
POSITION_LIMIT_M = 10.0  # no part of an object is farther from its origin; float16 has steps of 8 mm there
ROTATION_TOLERANCE = 0.02  # of R^T R; float16 rounds each entry by up to 0.00025
HALF_TURN = np.diag([-1.0, -1.0, 1.0, 1.0])  # about the approach axis: the same grasp with the fingers exchanged


class MissingGraspsError(DataError):
    """No library has grasps of an asset."""


def grasps_path(uid: str, joint: str | None = None, robot: str = ROBOT) -> Path:
    """Where the grasps of an asset, or of one of its joints, lie within a library in the user layout."""
    return Path(uid) / robot / ("grasps.npz" if joint is None else f"joint_grasps_{joint}.npz")


def write_grasps(path: Path, transforms: np.ndarray) -> None:
    """Write poses as float16; the file is there whole or not at all.

    Args:
        path: Ends in `.npz`.
        transforms: (grasps, 4, 4) poses of the tool frame, in the frame of the object's body, for articulated parts in
            that of the joint's body.
    Raises:
        DataError: they are no poses.
    """
    transforms = np.asarray(transforms, np.float64)
    _check_poses(transforms, str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with partial.open("wb") as file:
        np.savez(file, **{KEY: transforms.astype(np.float16)})
    partial.replace(path)


def read_grasps(path: Path, *, with_twins: bool = True) -> np.ndarray:
    """Poses of a file.

    Args:
        path: What `write_grasps` or MolmoSpaces wrote.
        with_twins: Append each grasp turned by 180 degrees about its approach axis, in the same order.
    Returns:
        (grasps, 4, 4) float64, or twice as many; rotations are orthonormal again.
    Raises:
        DataError: the file is not there, or holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            if KEY not in archive:
                raise DataError(f"{path} holds {', '.join(archive.files) or 'nothing'}, expected an array {KEY!r}")
            stored = archive[KEY]
    except FileNotFoundError as error:
        raise DataError(f"{path} is not there; make some with `zoo grasps --out FOLDER`") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise DataError(f"{path} is no NPZ archive ({error}); expected one with an array {KEY!r}") from error
    if not np.issubdtype(stored.dtype, np.floating):
        raise DataError(f"{path}: {KEY!r} holds {stored.dtype}, expected floats (stored as float16)")
    transforms = stored.astype(np.float64)
    _check_poses(transforms, str(path))
    transforms = orthonormal(transforms)
    return np.concatenate([transforms, transforms @ HALF_TURN]) if with_twins else transforms


def as_stored(transforms: np.ndarray) -> np.ndarray:
    """What reading gives back after writing: (grasps, 4, 4) poses rounded to float16, float64."""
    return orthonormal(np.asarray(transforms, np.float64).astype(np.float16).astype(np.float64))


def orthonormal(transforms: np.ndarray) -> np.ndarray:
    """(grasps, 4, 4) poses whose rotations are the nearest proper ones."""
    clean = transforms.copy()
    left, _, right = np.linalg.svd(transforms[:, :3, :3])
    clean[:, :3, :3] = left @ right  # determinants are positive, which `_check_poses` sees to
    clean[:, 3] = (0.0, 0.0, 0.0, 1.0)
    return clean


def find_grasps(roots: Sequence[Path], uid: str, joint: str | None = None, robot: str = ROBOT) -> Path:
    """The file of an asset's grasps in the first root that has one.

    Args:
        roots: Folders of grasp libraries, or of MolmoSpaces data, in order of priority.
        uid: Of the asset.
        joint: For the grasps of an articulated part.
        robot: Whose gripper they are for.
    Raises:
        MissingGraspsError: none has it; the places that were looked at.
        DataError: an index cannot be read.
    """
    looked: list[Path] = []
    for root in map(Path, roots):
        for path in (
            *_indexed(root, uid, joint, robot),
            root / grasps_path(uid, joint, robot),
            *_public(root, uid, joint),
        ):
            if path.is_file():
                return path
            looked.append(path)
    what = f"asset {uid!r}" if joint is None else f"joint {joint!r} of asset {uid!r}"
    places = "\n  ".join(map(str, looked)) or "no folder was given"
    raise MissingGraspsError(
        f"no grasps of {what} for robot {robot!r}; looked at\n  {places}\n"
        f"Make them: zoo grasps --assets {uid} --out FOLDER. Those of MolmoSpaces' assets are in "
        "its data set `grasps`, sources droid (THOR) and droid_objaverse, unpacked so that <root>/grasps/droid exists"
    )


def read_index(root: Path) -> dict[str, Any]:
    """The index of a library: `grasp_paths` by robot and uid, `articulated_grasp_paths` by robot, uid and joint.

    Raises:
        DataError: it cannot be read as that.
    """
    path = root / INDEX_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no JSON ({error}); write it anew: zoo.envs.grasps.files.write_index") from error
    rigid = content.get("grasp_paths", {}) if isinstance(content, dict) else None
    parts = content.get("articulated_grasp_paths", {}) if isinstance(content, dict) else None
    if not (_is_nested(rigid, 2) and _is_nested(parts, 3)):
        raise DataError(
            f"{path}: expected grasp_paths {{robot: {{uid: file}}}} and articulated_grasp_paths "
            "{robot: {uid: {joint: file}}}"
        )
    return {"grasp_paths": rigid, "articulated_grasp_paths": parts}


def write_index(root: Path) -> None:
    """Index every file of a library in the user layout."""
    rigid: dict[str, dict[str, str]] = {}
    parts: dict[str, dict[str, dict[str, str]]] = {}
    for path in sorted(root.glob("*/*/*.npz")):
        uid, robot, name = path.relative_to(root).parts
        if name == "grasps.npz":
            rigid.setdefault(robot, {})[uid] = f"{uid}/{robot}/{name}"
        elif name.startswith("joint_grasps_"):
            joint = name.removeprefix("joint_grasps_").removesuffix(".npz")
            parts.setdefault(robot, {}).setdefault(uid, {})[joint] = f"{uid}/{robot}/{name}"
    text = json.dumps({"articulated_grasp_paths": parts, "grasp_paths": rigid}, indent=2, sort_keys=True)
    partial = root / f"{INDEX_NAME}.{os.getpid()}.tmp"
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(root / INDEX_NAME)


def _indexed(root: Path, uid: str, joint: str | None, robot: str) -> list[Path]:
    if not (root / INDEX_NAME).is_file():
        return []
    index = read_index(root)
    if joint is None:
        found = index["grasp_paths"].get(robot, {}).get(uid)
    else:
        found = index["articulated_grasp_paths"].get(robot, {}).get(uid, {}).get(joint)
    return [] if found is None else [root / found]


def _public(root: Path, uid: str, joint: str | None) -> list[Path]:
    name = f"{uid if joint is None else joint}_grasps_filtered.npz"
    return [root / "grasps" / source / uid / name for source in PUBLIC_SETS]


def _is_nested(value: Any, levels: int) -> bool:
    """Whether a value is mappings down to text."""
    if levels == 0:
        return isinstance(value, str)
    return isinstance(value, dict) and all(_is_nested(inner, levels - 1) for inner in value.values())


def _check_poses(transforms: np.ndarray, place: str) -> None:
    if transforms.ndim != 3 or transforms.shape[1:] != (4, 4):
        raise DataError(f"{place}: {KEY!r} has shape {transforms.shape}, expected (grasps, 4, 4)")
    if not np.isfinite(transforms).all() or np.abs(transforms[:, :3, 3]).max(initial=0) > POSITION_LIMIT_M:
        raise DataError(f"{place}: {KEY!r} has positions beyond {POSITION_LIMIT_M:g} m, or NaN; expected metres")
    turns = transforms[:, :3, :3]
    error = np.abs(turns.transpose(0, 2, 1) @ turns - np.eye(3)).max(axis=(1, 2), initial=0)
    is_pose = (error <= ROTATION_TOLERANCE) & (np.linalg.det(turns) > 0)
    is_pose &= (transforms[:, 3] == (0, 0, 0, 1)).all(axis=1)
    if not is_pose.all():
        first = int(np.flatnonzero(~is_pose)[0])
        raise DataError(
            f"{place}: {KEY}[{first}] is no pose (and {int((~is_pose).sum()) - 1} more); expected a rotation, a "
            "position and the row 0 0 0 1"
        )
