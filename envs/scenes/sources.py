"""Open a scene by what people type: a folder, a file of any format that is read here, or the name of a house.

train_12/                       as `zoo scene new` writes it, or any folder with one scene
scene.json, house.json          a scene of ours; a house of AI2-THOR, ProcTHOR or Holodeck
val_7.xml                       MJCF; metadata and map beside it are used
procedural/train/12             a house of a scene planner
procthor-10k/val/7              a house of the public MolmoSpaces release, where its files are on disk
procedural/train/0:50           fifty houses
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo import registry
from zoo.envs.assets.library import AssetLibrary
from zoo.envs.assets.molmospaces_layout import assets_root
from zoo.envs.navigation.map_files import read_map
from zoo.envs.navigation.occupancy import OccupancyMap, build_map, door_bodies
from zoo.envs.scenes.compile import build_spec, compiled, start_positions, start_state
from zoo.envs.scenes.doors import joint_name
from zoo.envs.scenes.house_folder import SCENE_FILE
from zoo.envs.scenes.house_json import read_house
from zoo.envs.scenes.inventory import Inventory
from zoo.envs.scenes.molmospaces import FAMILIES, SUFFIX, load_scene, scene_path
from zoo.envs.scenes.specification import Scene
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError, DataError, UnknownNameError

NAME = re.compile(r"(?P<dataset>[\w.-]+)/(?P<split>train|val|test)/(?P<first>\d+)(:(?P<stop>\d+))?")
EXPECTED = "expected a folder, scene.json, the JSON of a house, MJCF, or a name like procedural/train/12"
HALF_OPEN = 0.5  # of its range: a door that begins farther closed than this is thought open where reach is asked


class OpenedScene(ABC):
    """A scene, whatever it came from.

    Args:
        name: Of the scene.
        remarks: What is not as the file said; "" where nothing is to be said.
    """

    name: str
    remarks: str = ""

    @abstractmethod
    def build(self, *, with_ceiling: bool = False) -> mujoco.MjSpec:
        """Its specification, made anew."""

    def compile(self) -> mujoco.MjModel:
        """Its model, without ceilings.

        Raises:
            DataError: MuJoCo refuses it.
        """
        return compiled(self.build(), self.name)

    @abstractmethod
    def start(self, model: mujoco.MjModel) -> mujoco.MjData:
        """The state in which it begins, of the model of its specification."""

    @abstractmethod
    def start_positions(self, model: mujoco.MjModel) -> Mapping[str, float]:
        """Of joints that do not begin where the model has them, by name."""

    @abstractmethod
    def inventory(self, model: mujoco.MjModel) -> Inventory:
        """Objects and doors of the model."""

    @abstractmethod
    def plan(self, model: mujoco.MjModel, data: mujoco.MjData) -> OccupancyMap:
        """Map of its floor in a state, on which closed doors are open."""


@dataclass(frozen=True, kw_only=True)
class SpecifiedScene(OpenedScene):
    """A scene that is known in types.

    Args:
        scene: All of it.
        libraries: Asset libraries by the names that it uses.
        remarks: What reading changed.
    """

    scene: Scene
    libraries: Mapping[str, AssetLibrary]
    remarks: str = ""

    @property
    def name(self) -> str:
        return self.scene.name

    def build(self, *, with_ceiling: bool = False) -> mujoco.MjSpec:
        return build_spec(self.scene, self.libraries, with_ceiling=with_ceiling)

    def start(self, model: mujoco.MjModel) -> mujoco.MjData:
        return start_state(model, self.scene)

    def start_positions(self, model: mujoco.MjModel) -> Mapping[str, float]:
        return start_positions(model, self.scene)

    def inventory(self, model: mujoco.MjModel) -> Inventory:
        return Inventory.of_scene(self.scene, model)

    def plan(self, model: mujoco.MjModel, data: mujoco.MjData) -> OccupancyMap:
        leaves = {hole.name: joint_name(hole) for _, hole in self.scene.doors if hole.leaf is not None}
        closed = [name for name, joint in leaves.items() if _openness(model, data, joint) < HALF_OPEN]
        return build_map(model, data, scene=self.scene, skip_bodies=closed)


@dataclass(frozen=True, kw_only=True)
class MjcfScene(OpenedScene):
    """A scene of which only the model is known, and what lies beside its file.

    Args:
        name: Of the file.
        path: The file.
        objects: Root bodies that count as objects.
        map_path: Of its occupancy map, where there is one.
        remarks: What is missing.
    """

    name: str
    path: Path
    objects: tuple[str, ...]
    map_path: Path | None = None
    remarks: str = ""

    def build(self, *, with_ceiling: bool = False) -> mujoco.MjSpec:
        """The file, or with the ceiling the file beside it that has one."""
        ceiling = self.path.with_name(f"{self.path.stem}_ceiling.xml")
        return mujoco.MjSpec.from_file(str(ceiling if with_ceiling and ceiling.is_file() else self.path))

    def start(self, model: mujoco.MjModel) -> mujoco.MjData:
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        return data

    def start_positions(self, model: mujoco.MjModel) -> Mapping[str, float]:
        return {}

    def inventory(self, model: mujoco.MjModel) -> Inventory:
        return Inventory(model, self.start(model), objects=self.objects, name=self.name)

    def plan(self, model: mujoco.MjModel, data: mujoco.MjData) -> OccupancyMap:
        if self.map_path is not None:
            return read_map(self.map_path)
        return build_map(model, data, skip_bodies=door_bodies(model))


class SceneSources:
    """Opens scenes; planners and asset libraries are made once.

    Args:
        planner_options: Arguments of scene planners, as `num_rooms`.
    """

    def __init__(self, **planner_options: Any) -> None:
        self._options = planner_options
        self._planners: dict[str, Any] = {}
        self._libraries: dict[str, AssetLibrary] = {}

    def open(self, text: str) -> OpenedScene:
        """Open one scene.

        Raises:
            UnknownNameError: nothing is called so.
            ConfigError: a name of several scenes.
            DataError: it cannot be read.
        """
        path = Path(text)
        if path.is_dir():
            path = _scene_in(path)
        if path.is_file():
            return self._mjcf(path) if path.suffix == ".xml" else self._json(path)
        if NAME.fullmatch(text) is None:
            raise UnknownNameError(f"no scene {text!r}: there is no such file; {EXPECTED}")
        (dataset, split, index), *more = _names(text)
        if more:
            raise ConfigError(f"{text} names {len(more) + 1} scenes, expected one, as {dataset}/{split}/{index}")
        if dataset in FAMILIES:
            return self._mjcf(scene_path(dataset, split, index, root=assets_root()))
        return self.planned(dataset, split, index)

    def planned(self, planner: str, split: str, index: int) -> SpecifiedScene:
        """A house of a scene planner.

        Args:
            planner: Registry name.
            split: train, val or test.
            index: Within the split.
        Raises:
            UnknownNameError: no such planner.
            ConfigError: it does not take the options.
        """
        if planner not in self._planners:
            registry.check_arguments("scene_planner", planner, self._options)
            self._planners[planner] = registry.build("scene_planner", planner, **self._options)
        return self.specified(self._planners[planner].plan(split, index))

    def specified(self, scene: Scene, remarks: str = "") -> SpecifiedScene:
        """A scene with the libraries that it names.

        Raises:
            UnknownNameError: one of them is not there.
        """
        libraries = {name: self._library(name) for name in sorted({item.library for item in scene.objects})}
        return SpecifiedScene(scene=scene, libraries=libraries, remarks=remarks)

    def _library(self, name: str) -> AssetLibrary:
        if name not in self._libraries:
            self._libraries[name] = registry.build("asset_library", name)
        return self._libraries[name]

    def _json(self, path: Path) -> SpecifiedScene:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:  # UnicodeDecodeError is a ValueError
            raise DataError(f"cannot read the scene {path}: {error}; {EXPECTED}") from error
        if isinstance(content, Mapping) and "format" in content:
            return self.specified(Scene.from_json(content))
        reading = read_house(content, libraries={"primitives": self._library("primitives")}, name=path.stem)
        return self.specified(reading.scene, reading.summary() if reading.changes else "")

    @staticmethod
    def _mjcf(path: Path) -> MjcfScene:
        stems = [path.stem]
        while (base := SUFFIX.sub("", stems[-1])) != stems[-1]:
            stems.append(base)
        known = any(path.with_name(f"{stem}_metadata.json").is_file() for stem in stems)
        if known or not path.is_file():
            loaded = load_scene(path)
            return MjcfScene(
                name=base, path=path, objects=tuple(loaded.objects), map_path=loaded.map_path, remarks=_absent(loaded)
            )
        try:
            spec = mujoco.MjSpec.from_file(str(path))
        except ValueError as error:
            raise DataError(f"cannot read the scene {path}: {error}") from error
        model = compiled(spec, str(path))
        remarks = f"no {base}_metadata.json beside it: every body with a joint counts as an object"
        return MjcfScene(name=base, path=path, objects=_moving_roots(model), remarks=remarks)


def expand(texts: Iterable[str]) -> tuple[str, ...]:
    """Names of single scenes: ranges such as procedural/train/0:50 become as many names, all else stays.

    Raises:
        ConfigError: an empty range.
    """
    found: list[str] = []
    for text in texts:
        if Path(text).exists() or NAME.fullmatch(text) is None:
            found.append(text)
        else:
            found += ["/".join(map(str, name)) for name in _names(text)]
    return tuple(found)


def _names(text: str) -> list[tuple[str, Any, int]]:
    match = NAME.fullmatch(text)
    assert match is not None, text
    first = int(match["first"])
    stop = first + 1 if match["stop"] is None else int(match["stop"])
    if stop <= first:
        raise ConfigError(f"{text} names no scene: expected first:end with an end beyond the first, as 0:50")
    return [(match["dataset"], match["split"], index) for index in range(first, stop)]


def _scene_in(folder: Path) -> Path:
    if (folder / SCENE_FILE).is_file():
        return folder / SCENE_FILE
    models = sorted(path for path in folder.glob("*.xml") if not path.stem.endswith("_ceiling"))
    if len(models) != 1:
        raise DataError(f"folder {folder} has no {SCENE_FILE} and {len(models)} MJCF files; name one of its files")
    return models[0]


def _openness(model: mujoco.MjModel, data: mujoco.MjData, joint: str) -> float:
    low, high = model.joint(joint).range
    return float((data.qpos[model.joint(joint).qposadr[0]] - low) / (high - low))


def _absent(loaded: Any) -> str:
    if not loaded.absent:
        return ""
    return f"{len(loaded.absent)} objects of the metadata are not in the model, first {loaded.absent[0]!r}"


def _moving_roots(model: mujoco.MjModel) -> tuple[str, ...]:
    """Bodies at the world with a joint on them or on what hangs at them, and a name."""
    roots = sorted({int(model.body_rootid[body]) for body in model.jnt_bodyid})
    return tuple(name for root in roots if (name := model.body(root).name))
