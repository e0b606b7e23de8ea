"""Write an opened scene in the formats of other simulators, each as it begins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from zoo.envs.scenes.compile import compiled
from zoo.envs.scenes.export_mjcf import export_mjcf
from zoo.envs.scenes.export_urdf import export_urdf
from zoo.envs.scenes.export_usd import export_usd
from zoo.envs.scenes.house_folder import make_portable
from zoo.envs.scenes.house_json import write_house
from zoo.envs.scenes.sources import OpenedScene, SpecifiedScene
from zoo.errors import ConfigError

Format = Literal["mjcf", "usd", "urdf", "house_json"]
SUFFIX = {"mjcf": ".xml", "house_json": ".json"}


def export_scene(opened: OpenedScene, kind: Format, path: Path, *, with_ceiling: bool = False) -> Path:
    """Write a scene.

    Args:
        opened: The scene.
        kind: Of the file.
        path: Of the file; of `urdf` a folder.
        with_ceiling: Close rooms from above; the JSON of a house always has ceilings.
    Returns:
        Path of what was written, of `urdf` of the file that lists the others.
    Raises:
        ConfigError: another ending, a ball joint in URDF, or a model without rooms as the JSON of a house.
        MissingLibraryError: usd-core is not installed.
    """
    if kind in SUFFIX and path.suffix != SUFFIX[kind]:
        raise ConfigError(f"cannot write {kind} to {path}: expected a name that ends in {SUFFIX[kind]}")
    if kind == "house_json":
        if not isinstance(opened, SpecifiedScene):
            raise ConfigError(
                f"scene {opened.name!r} is MJCF, which does not say where rooms and walls are; expected scene.json, "
                "the JSON of a house, or a name like procedural/train/12"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        content = write_house(opened.scene, libraries=opened.libraries)
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        return path
    spec = opened.build(with_ceiling=with_ceiling)
    model = compiled(spec, opened.name)
    if kind == "mjcf":
        make_portable(spec, opened.start_positions(model))
        return export_mjcf(spec, path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "usd":
        return export_usd(model, path, data=opened.start(model))
    return export_urdf(model, path, name=opened.name, data=opened.start(model))
