"""Drawing a benchmark once and for all: its episodes, the houses they are in, and which assets they need."""

from __future__ import annotations

import itertools
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from zoo import registry
from zoo.envs.assets.library import Split
from zoo.envs.episodes.benchmark import Benchmark, check_new
from zoo.envs.episodes.schema import Episode
from zoo.envs.episodes.tasks import ChoresTask
from zoo.envs.evaluation.drivers import ExpertDriver
from zoo.envs.evaluation.pool import NEVER
from zoo.envs.evaluation.rollout import RolloutSettings, run_episode
from zoo.envs.houses.frozen import HOUSES_FILE, write_houses
from zoo.envs.sampling.sampler import SamplingReport, sample_episodes
from zoo.envs.scenes.specification import Scene
from zoo.envs.simulation.environment import NO_ARGUMENTS, EpisodeEnv
from zoo.envs.simulation.houses import house
from zoo.errors import ConfigError

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
    arguments: Mapping[str, Any] | Sequence[Mapping[str, Any]] = NO_ARGUMENTS,
) -> Benchmark:
    """Draw a benchmark and write it with its houses; nothing is left out for being hard.

    Args:
        folder: New; its name is the benchmark's. Episodes name it as their data set, so a scene planner must be
            registered under this name: a `FrozenHouses` of the folder's `houses.json.gz`.
        tasks: Registry names of task samplers.
        count: Episodes of each, with each of the arguments.
        created_at: ISO time.
        dataset: Registry name of the scene planner that draws.
        split: Of houses and instances of assets.
        seed: Of the draws.
        arguments: Of the samplers, where they take any; or several, of one robot each, say: all are drawn in turn, in
            houses of seeds that follow `seed`.
    Raises:
        ConfigError: the folder holds a benchmark already, or a number is out of its range.
    """
    check_new(folder)  # before minutes of drawing
    drawn: list[Episode] = []
    told = []
    variants = [arguments] if isinstance(arguments, Mapping) else list(arguments)
    if not variants:
        raise ConfigError("freeze: no arguments at all; leave them out, or give one mapping or more")
    for task, (number, chosen) in itertools.product(tasks, enumerate(variants)):
        report = SamplingReport()
        found = sample_episodes(
            task, dataset=dataset, split=split, count=count, seed=seed + number, arguments=chosen, report=report
        )
        drawn += tqdm(found, total=count, desc=f"drawing {task}", unit="episode", leave=False)
        told.append(f"{task}: {report.text()}")
        logger.info("%s", told[-1])
    each = f" with each of {len(variants)} arguments" if len(variants) > 1 else ""
    drawn = with_expert_lengths(drawn)
    numbers = {index: number for number, index in enumerate(sorted({episode.house_index for episode in drawn}))}
    episodes = [replace(one, scene_dataset=folder.name, house_index=numbers[one.house_index]) for one in drawn]
    scenes = [house(dataset, split, index).scene for index in numbers]
    benchmark = Benchmark.of(
        folder.name,
        episodes,
        description=f"{count} episodes a task{each}, drawn from {dataset}/{split} with seed {seed}. {'. '.join(told)}",
        created_at=created_at,
        asset_digests=_digests(scenes, episodes),
    )
    benchmark.save(folder)
    write_houses(scenes, split, folder / HOUSES_FILE)
    return benchmark


def with_expert_lengths(episodes: Iterable[Episode]) -> list[Episode]:
    """Run the expert on episodes of CHORES, and write down how many steps it took where it succeeded.

    The success that is weighted by the length of episodes divides by it (sheet spoc_ring section 1.14).
    """
    told = []
    env: EpisodeEnv | None = None
    key: Any = None
    for index, episode in enumerate(tqdm(episodes, desc="experts", unit="episode", leave=False)):
        steps = None
        if isinstance(episode.task, ChoresTask):
            wanted = episode.robot.robot_name, episode.img_resolution  # what is seen is counted in pixels
            if env is None or key != wanted:
                if env is not None:
                    env.close()
                key = wanted
                env = EpisodeEnv(
                    robot=episode.robot.robot_name,
                    robot_arguments=episode.robot.arguments,
                    image_size=episode.img_resolution,
                    horizon_steps=NEVER,
                )
            result = run_episode(env, episode, index, ExpertDriver(), RolloutSettings())
            steps = result.steps if result.success_at_end else None
        known = episode if steps is None else replace(episode, task=replace(episode.task, expert_length=steps))
        told.append(known)
    if env is not None:
        env.close()
    return told


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
