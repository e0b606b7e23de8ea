"""`zoo grasps`: verified grasps of an asset library, as files."""

import json as json_format
from pathlib import Path
from typing import Literal

from zoo import registry


def grasps(
    *,
    out: Path,
    library: str = "primitives",
    assets: str = "all",
    wanted: int = 40,
    mode: Literal["quick", "thorough"] = "quick",
    seed: int = 0,
    workers: int = 2,
    json: Path | None = None,
) -> str:
    """Make grasps of every object that can be picked up and of every part that opens: sampled, then tried by shaking.

    Args:
        out: Folder of the grasp files, with an index; what is finished there stays, so that a stopped run goes on.
        library: Registry name of the asset library.
        assets: Names of assets and categories with commas between them, as mug_0,kitchen_cabinet; or all.
        wanted: Grasps of each object, and of each part, at which to stop.
        mode: How they are tried: thorough takes as long as MolmoSpaces' own, quick shortens every phase.
        seed: Of what is drawn.
        workers: Processes that try grasps; 0 tries them in this one.
        json: File for the numbers, by category and of every object and part.

    Raises:
        UnknownNameError: no such library, asset or category.
        ConfigError: a number out of range, nothing to grasp, or a folder of other grasps.
        DataError: worker processes died.
    """
    from zoo.envs.grasps.library import GraspSettings, generate_grasps, graspable
    from zoo.envs.grasps.summary import as_table, summary

    settings = GraspSettings(mode=mode, wanted=wanted, seed=seed)
    source = registry.build("asset_library", library)
    names = None if assets == "all" else [name for name in assets.split(",") if name]
    reports = generate_grasps(source, out, settings, uids=graspable(source, names), workers=workers)
    told = summary(reports, source.facts(), settings)
    if json is not None:
        json.parent.mkdir(parents=True, exist_ok=True)
        json.write_text(json_format.dumps(told, indent=1) + "\n", encoding="utf-8")
    return f"{as_table(told)}\n{out}"
