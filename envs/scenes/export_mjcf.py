"""Write a specification as one MJCF file and the files that it refers to, so that the folder can be moved.

Those files are on disk or, by name, in the `assets` of the specification.
"""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from zoo.envs.simulator import mujoco
from zoo.errors import DataError

ASSETS = "assets"
"""Folder for meshes, textures and height fields, beside the file."""


def export_mjcf(spec: mujoco.MjSpec, path: str | Path) -> Path:
    """Write `path` and, if the specification refers to files, a folder `assets` beside it.

    Args:
        spec: Of any model; it is not changed.
        path: Of the XML file.
    Returns:
        The path.
    Raises:
        DataError: it does not compile, or a file that it refers to is not there.
    """
    path = Path(path)
    copied = spec.copy()
    names: dict[str, str] = {}
    for element, source in referenced_files(spec, copied):
        if element.file not in spec.assets:
            if not source.is_file():
                raise DataError(f"cannot export {path.name}: {element.name!r} refers to {source}, which is not there")
            element.file = str(source.resolve())
        names.setdefault(element.file, _free_name(source.name, names))
    copied.compiler.meshdir = copied.compiler.texturedir = ""
    try:
        text = copied.to_xml()  # compiles
    except ValueError as error:
        raise DataError(f"cannot export {path.name}: {error}") from error
    root = ET.fromstring(text)
    for element in root.iter():
        if element.get("file") in names:
            element.set("file", f"{ASSETS}/{names[element.get('file')]}")
    path.parent.mkdir(parents=True, exist_ok=True)
    for source, name in names.items():
        (path.parent / ASSETS).mkdir(exist_ok=True)
        target = path.parent / ASSETS / name
        if source in spec.assets:
            target.write_bytes(spec.assets[source])
        else:
            shutil.copyfile(source, target)
    path.write_text(ET.tostring(root, encoding="unicode") + "\n", encoding="utf-8")
    return path


def referenced_files(spec: mujoco.MjSpec, target: mujoco.MjSpec | None = None) -> list[tuple[Any, Path]]:
    """Elements of a specification that are read from files, and the files, relative ones from the model's folder.

    Args:
        spec: Says where they are.
        target: A copy of it, whose elements are returned instead.
    """
    target = target or spec
    base = Path(spec.modelfiledir or ".")
    folders = {"meshes": spec.compiler.meshdir, "textures": spec.compiler.texturedir, "hfields": spec.compiler.meshdir}
    return [
        (element, base / folder / element.file)
        for kind, folder in folders.items()
        for element in getattr(target, kind)
        if element.file
    ]


def _free_name(name: str, taken: dict[str, str]) -> str:
    stem, suffix, count = Path(name).stem, Path(name).suffix, 1
    while name in taken.values():
        count += 1
        name = f"{stem}_{count}{suffix}"
    return name
