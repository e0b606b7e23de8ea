"""`zoo scene ...`: make scenes, look at them, check them, write them for other simulators."""

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from zoo.errors import ConfigError, DataError

if TYPE_CHECKING:
    from zoo.envs.scenes.sources import OpenedScene


def new(
    *,
    out: Path,
    planner: str = "procedural",
    split: Literal["train", "val", "test"] = "train",
    index: int = 0,
    rooms: str | None = None,
) -> str:
    """Make a scene: a folder with its description, MJCF with and without ceilings, metadata and map.

    Args:
        out: The folder.
        planner: Registry name of the scene planner.
        split: Whose seeds and asset instances are used.
        index: Number of the scene within the split.
        rooms: Fewest and most rooms, as 3,6; the planner's own where nothing is given.

    Raises:
        ConfigError: what was typed does not fit together.
        UnknownNameError: no such planner.
    """
    from zoo.envs.scenes.house_folder import write_house_folder
    from zoo.envs.scenes.sources import SceneSources

    options = {} if rooms is None else {"num_rooms": _two_numbers(rooms)}
    made = SceneSources(**options).planned(planner, split, index)
    write_house_folder(made.scene, made.libraries, out)
    types = ", ".join(room.room_type.replace("_", " ") for room in made.scene.rooms)
    return f"{out}: {made.name}, {len(made.scene.rooms)} rooms ({types}), {len(made.scene.objects)} objects"


def show(scene: str, *, out: Path | None = None, views: int = 4) -> str:
    """Draw a scene from above, and from inside its largest rooms.

    Args:
        scene: Folder, scene.json, JSON of a house, MJCF, or a name as procedural/train/12.
        out: PNG file; called like the scene where nothing is given.
        views: Rooms to look into, at most.

    Raises:
        UnknownNameError: no such scene.
        ConfigError: another ending, or a negative number of views.
        MissingLibraryError: there is no GL library to draw with.
    """
    from zoo.envs.scenes.pictures import picture

    if views < 0:
        raise ConfigError(f"views is {views}, expected 0 or more")
    opened = _open(scene)
    path = out or Path(f"{opened.name}.png")
    if path.suffix.lower() != ".png":
        raise ConfigError(f"the picture is a PNG file, got {path.name!r}; name it {path.with_suffix('.png').name!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(opened, views=views).save(path)
    return "\n".join([*([f"note: {opened.remarks}"] if opened.remarks else []), str(path)])


def check(
    scenes: list[str],
    *,
    repair: bool = False,
    out: Path | None = None,
    json: Path | None = None,
    strict: bool = False,
    workers: int = 1,
) -> None:
    """Put scenes through the gates: nothing intersects, all rests, all can be lifted, all opens; walk to every room.

    Args:
        scenes: Each as of `zoo scene show`, or many at once, as procedural/train/0:50.
        repair: Take away what the gates blame, until they blame nothing.
        out: Folder for repaired scenes, one folder each, called like the scene.
        json: File for everything that was measured.
        strict: End with exit code 2 if a scene fails.
        workers: Processes that check; 1 is this one.

    Raises:
        UnknownNameError: no such scene.
        ConfigError: `out` without `repair`, MJCF to be repaired, or no worker.
        DataError: a scene fails, and `strict` was given; or a worker died.
    """
    from tqdm import tqdm

    from zoo.envs.scenes.checking import as_text, check_scenes, summary
    from zoo.envs.scenes.house_folder import write_house_folder
    from zoo.envs.scenes.sources import SceneSources, expand

    if out is not None and not repair:
        raise ConfigError("--out is for repaired scenes; add --repair, or leave it out")
    names, sources = expand(scenes), SceneSources()
    found = check_scenes(names, mend=repair, num_workers=workers)
    checks = []
    for one in tqdm(found, desc="checking", total=len(names), unit="scene", leave=False, disable=len(names) == 1):
        checks.append(one)
        if out is not None and one.repaired is not None:
            left = sources.specified(one.repaired)
            write_house_folder(left.scene, left.libraries, out / left.name)
    if json is not None:
        json.parent.mkdir(parents=True, exist_ok=True)
        json.write_text(json_format.dumps(summary(checks), indent=1) + "\n", encoding="utf-8")
    print(as_text(checks))
    failed = [one.report.scene for one in checks if not one.passed]
    if strict and failed:
        raise DataError(f"{len(failed)} of {len(checks)} scenes fail: {', '.join(failed[:5])}; see above")


def export(
    scene: str,
    *,
    format: Literal["mjcf", "usd", "urdf", "house_json"],  # noqa: A002 - what is typed
    out: Path,
    ceiling: bool = False,
) -> str:
    """Write a scene for another simulator.

    Args:
        scene: As of `zoo scene show`.
        format: mjcf; usd for Isaac Sim; urdf, one file an object and a scene JSON, for ManiSkill; house_json as of
            AI2-THOR.
        out: File; for urdf a folder.
        ceiling: Close rooms from above, where the format has models.

    Raises:
        UnknownNameError: no such scene.
        ConfigError: a name that does not fit the format, or MJCF as the JSON of a house.
        MissingLibraryError: the format needs a package that is not installed.
    """
    from zoo.envs.scenes.conversion import export_scene

    return str(export_scene(_open(scene), format, out, with_ceiling=ceiling))


def _open(text: str) -> "OpenedScene":
    from zoo.envs.scenes.sources import SceneSources

    return SceneSources().open(text)


def _two_numbers(text: str) -> tuple[int, int]:
    try:
        low, high = (int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"rooms is {text!r}, expected the fewest and the most with a comma, as 3,6") from error
    return low, high
