"""The house that an episode names: its specification, what is in it, and how it begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any

from zoo import registry
from zoo.envs.assets.library import AssetLibrary
from zoo.envs.scenes.compile import build_spec, start_positions
from zoo.envs.scenes.specification import Scene
from zoo.envs.simulation.world import ObjectFacts
from zoo.envs.simulator import mujoco
from zoo.errors import DataError

KEPT_HOUSES, KEPT_PARTS = 4, 8


@dataclass(frozen=True, kw_only=True, slots=True)
class House:
    """One house, ready to get a robot.

    Args:
        scene: Its description.
        objects: What is in it, by root body; doors are among them.
        build: Makes its specification anew; specifications are changed by whoever gets one.
    """

    scene: Scene
    objects: Mapping[str, ObjectFacts]
    build: Callable[[], mujoco.MjSpec]

    def start_positions(self, model: mujoco.MjModel) -> Mapping[str, float]:
        """Of joints that do not begin at 0, by name."""
        return start_positions(model, self.scene)


def house(dataset: str, split: str, index: int) -> House:
    """A house by the name that episodes give it.

    Args:
        dataset: Registry name of a scene planner.
        split: train, val or test.
        index: Within data set and split.
    Raises:
        UnknownNameError: no planner of that name.
    """
    return _house(registry.load("scene_planner", dataset), dataset, split, index)


@lru_cache(maxsize=KEPT_HOUSES)
def _house(planner: type[Any], dataset: str, split: str, index: int) -> House:
    """One of the last that were asked for; the planner's class tells apart what was registered under one name."""
    scene = _built("scene_planner", dataset, planner).plan(split, index)
    return house_of(replace(scene, dataset=dataset, split=split, index=index))  # what finds it again


def forget_houses() -> None:
    """Make the next ones anew, as in a process that has seen none; libraries and planners stay."""
    _house.cache_clear()


@lru_cache(maxsize=KEPT_PARTS)
def _built(kind: str, name: str, component: type[Any]) -> Any:
    """A planner or a library; each costs as much as a house to make."""
    del component
    return registry.build(kind, name)


def house_of(scene: Scene) -> House:
    """A house from its description.

    Raises:
        UnknownNameError: it names an asset library, or an asset, that is not there.
    """
    names = sorted({item.library for item in scene.objects})
    libraries = {name: library(name) for name in names}
    built = cache(lambda: build_spec(scene, libraries))  # a copy costs a tenth of it
    return House(scene=scene, objects=_objects(scene, libraries), build=lambda: built().copy())


def library(name: str) -> AssetLibrary:
    """An asset library; the last ones are kept.

    Raises:
        UnknownNameError: there is none of this name.
    """
    return _built("asset_library", name, registry.load("asset_library", name))


def _objects(scene: Scene, libraries: Mapping[str, AssetLibrary]) -> dict[str, ObjectFacts]:
    objects = {}
    for item in scene.objects:
        facts = libraries[item.library].facts().get(item.asset)
        if facts is None:
            raise DataError(
                f"scene {scene.name!r} names asset {item.asset!r}, which library {item.library!r} does not have; the "
                "scene was made with another version of it"
            )
        objects[item.name] = ObjectFacts(
            name=item.name,
            category=facts.category,
            room=item.room,
            is_static=item.is_static or facts.is_static,
        )
    doors = [hole for _, hole in scene.doors if hole.leaf is not None]
    return objects | {hole.name: ObjectFacts(name=hole.name, category="door", is_static=True) for hole in doors}
