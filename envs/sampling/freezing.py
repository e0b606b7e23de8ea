"""Drawing a benchmark once and for all: its episodes, the houses they are in, and which assets they need."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from zoo import registry
from zoo.envs.assets.library import Split
from zoo.envs.episodes.benchmark import Benchmark, check_new
from zoo.envs.episodes.schema import Episode
from zoo.envs.houses.frozen import HOUSES_FILE, write_houses
from zoo.envs.sampling.sampler import SamplingReport, sample_episodes
from zoo.envs.scenes.specification import Scene
from zoo.envs.simulation.houses import house

logger = logging.getLogger(__name__)


def freeze(
    folder: Path,
    *,
    tasks: Sequence[str],
    count: int,
    created_at: str,
    dataset: str = "procedural",
    split: Split = "test",
    seed: int = 0,
) -> Benchmark:
    """Draw a benchmark and write it with its houses; nothing is left out for being hard.

    Args:
        folder: New; its name is the benchmark's. Episodes name it as their data set, so a scene planner must be
            registered under this name: a `FrozenHouses` of the folder's `houses.json.gz`.
        tasks: Registry names of task samplers.
        count: Episodes of each.
        created_at: ISO time.
        dataset: Registry name of the scene planner that draws.
        split: Of houses and instances of assets.
        seed: Of the draws.
    Raises:
        ConfigError: the folder holds a benchmark already, or a number is out of its range.
    """
    check_new(folder)  # before minutes of drawing
    drawn: list[Episode] = []
    told = []
    for task in tasks:
        report = SamplingReport()
        found = sample_episodes(task, dataset=dataset, split=split, count=count, seed=seed, report=report)
        drawn += tqdm(found, total=count, desc=f"drawing {task}", unit="episode", leave=False)
        told.append(f"{task}: {report.text()}")
        logger.info("%s", told[-1])
    numbers = {index: number for number, index in enumerate(sorted({episode.house_index for episode in drawn}))}
    episodes = [replace(one, scene_dataset=folder.name, house_index=numbers[one.house_index]) for one in drawn]
    scenes = [house(dataset, split, index).scene for index in numbers]
    benchmark = Benchmark.of(
        folder.name,
        episodes,
        description=f"{count} episodes a task, drawn from {dataset}/{split} with seed {seed}. {'. '.join(told)}",
        created_at=created_at,
        asset_digests=_digests(scenes, episodes),
    )
    benchmark.save(folder)
    write_houses(scenes, split, folder / HOUSES_FILE)
    return benchmark


def _digests(scenes: Iterable[Scene], episodes: Iterable[Episode]) -> dict[str, dict[str, str]]:
    """Of every asset that stands in a house or is added by an episode, by library."""
    used = defaultdict(set)
    for scene in scenes:
        for item in scene.objects:
            used[item.library].add(item.asset)
    for episode in episodes:
        for asset in episode.scene_modifications.added_objects.values():
            library, uid = asset.split(":", 1)
            used[library].add(uid)
    libraries = {name: registry.build("asset_library", name) for name in used}
    return {name: {uid: libraries[name].digest_of(uid) for uid in uids} for name, uids in used.items()}
