"""A policy on a benchmark: what was scored is kept, what is missing is run, and the numbers are told."""

from __future__ import annotations

import json
import math
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from tqdm import tqdm

from zoo import registry
from zoo.envs.episodes.benchmark import Benchmark
from zoo.envs.episodes.results import ResultFile, Run, RunHeader
from zoo.envs.episodes.statistics import csv_text, summary
from zoo.envs.evaluation.pool import EpisodePool, WorkerSettings
from zoo.envs.evaluation.trajectories import TRAJECTORIES
from zoo.errors import ConfigError, UnknownNameError
from zoo.policy import Policy

RESULTS, SUMMARY, TABLE, VIDEOS = "results.jsonl", "summary.json", "categories.csv", "videos"


@dataclass(frozen=True, slots=True)
class Scored:
    """Where the results of a run are.

    Args:
        folder: Holds results, summary, table and videos.
        run: The results.
    """

    folder: Path
    run: Run


def evaluate(
    benchmark: Benchmark,
    settings: WorkerSettings,
    folder: Path,
    *,
    policy: Policy | None = None,
    num_workers: int = 1,
    silence_s: float = 300.0,
    videos_per_task: int = 0,
) -> Scored:
    """Run every episode that the folder has no result of, and write the summary.

    Args:
        benchmark: What to run.
        settings: What workers are told.
        folder: Of the run; one that was stopped goes on where it stood.
        policy: Acts in this process, where the settings name neither `expert` nor `random`.
        num_workers: Processes.
        silence_s: As of `EpisodePool`.
        videos_per_task: Episodes of each task of which a video is kept.
    Raises:
        ConfigError: the folder belongs to another run, or assets differ from those of the benchmark.
    """
    with EpisodePool(settings, num_workers=num_workers, policy=policy, silence_s=silence_s) as pool:
        return evaluate_in(pool, benchmark, folder, videos_per_task=videos_per_task)


def evaluate_in(
    pool: EpisodePool,
    benchmark: Benchmark,
    folder: Path,
    *,
    videos_per_task: int = 0,
    max_seconds: float = math.inf,
    is_quiet: bool = False,
) -> Scored:
    """`evaluate` in worker processes that are there already, and stay.

    Args:
        pool: Of the workers and their policy.
        benchmark: See there, as the next two.
        folder: See there.
        videos_per_task: See there.
        max_seconds: Wall time after which no further episode is begun; tasks take turns, so each has its share.
        is_quiet: No progress bar.
    """
    benchmark.check_assets(installed_assets(benchmark.metadata.asset_digests))
    _check_fit(benchmark, pool.settings)
    header = RunHeader(
        policy=pool.settings.policy,
        benchmark=benchmark.name,
        digest=benchmark.digest,
        num_episodes=len(benchmark.episodes),
        settings=_recorded(pool.settings),
    )
    with ResultFile(folder / RESULTS, header) as file:
        order = [index for index in in_turns(benchmark) if index in set(file.run.pending)]
        episodes = {index: benchmark.episodes[index] for index in order}
        videos = {index: folder / VIDEOS / f"{index}.mp4" for index in first_indices(benchmark, videos_per_task)}
        trajectories = {index: folder / TRAJECTORIES / f"{index}.png" for index in order}
        scored = len(benchmark.episodes) - len(episodes)
        with tqdm(total=len(benchmark.episodes), initial=scored, unit="episode", disable=is_quiet) as bar:
            successes = [result.success_at_end for result in file.run.results.values()]
            for result in pool.run(episodes, videos=videos, trajectories=trajectories, max_seconds=max_seconds):
                file.append(result)
                successes.append(result.success_at_end)
                bar.set_postfix_str(f"{sum(successes)} of {len(successes)} succeed", refresh=False)
                bar.update()
        run = file.run
    _write(folder / SUMMARY, json.dumps(summary(run), indent=2) + "\n")
    _write(folder / TABLE, csv_text(run))
    return Scored(folder, run)


def first_indices(benchmark: Benchmark, per_task: int) -> frozenset[int]:
    """The first episodes of each task."""
    return frozenset(index for indices in _by_task(benchmark) for index in indices[:per_task])


def first_of_each_task(benchmark: Benchmark, count: int) -> Benchmark:
    """A benchmark with no more than so many episodes of each task, in their old order."""
    chosen = first_indices(benchmark, count)
    return replace(benchmark, episodes=tuple(e for i, e in enumerate(benchmark.episodes) if i in chosen))


def in_turns(benchmark: Benchmark) -> list[int]:
    """All episodes, the first of each task, then the second of each, and so on."""
    return [index for turn in zip_longest(*_by_task(benchmark)) for index in turn if index is not None]


def _by_task(benchmark: Benchmark) -> list[list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for index, episode in enumerate(benchmark.episodes):
        found[episode.task.task_cls + str(episode.task.task_type)].append(index)
    return list(found.values())


def installed_assets(asked: Mapping[str, Iterable[str]]) -> dict[str, dict[str, str]]:
    """Digests of those assets that are here, by library.

    Args:
        asked: Identifiers of assets, by registry name of their library.
    """
    digests = {}
    for name, uids in asked.items():
        try:
            library = registry.build("asset_library", name)
        except UnknownNameError:
            continue
        digests[name] = {uid: library.digest_of(uid) for uid in uids if uid in library.facts()}
    return digests


def _check_fit(benchmark: Benchmark, settings: WorkerSettings) -> None:
    """Refuse, before anything is scored, what would fail in every episode of a kind.

    Raises:
        UnknownNameError: the houses are of a planner that is not registered.
        ConfigError: an episode lacks a camera whose pictures are asked for, or all of them.
    """
    for dataset in dict.fromkeys(episode.scene_dataset for episode in benchmark.episodes):
        registry.find("scene_planner", dataset)
    for index, episode in enumerate(benchmark.episodes):
        known = [camera.name for camera in episode.cameras]
        missing = [name for name in settings.cameras if name not in known]
        if missing and not (settings.may_lack_cameras and len(missing) < len(settings.cameras)):
            raise ConfigError(
                f"episode {index} of {benchmark.name!r} ({episode.task.name or episode.task.task_cls}) has no camera "
                f"{', '.join(missing)}; it has {', '.join(known) or 'none'}. Name cameras that all episodes have, or "
                "score tasks with other cameras in a run of their own"
            )


def _recorded(settings: WorkerSettings) -> dict[str, Any]:
    """What results depend on, as plain JSON; videos do not count."""
    clocks = None if settings.clocks is None else asdict(settings.clocks)
    rest = {"cameras": settings.cameras, "image_size": settings.image_size, "clocks": clocks}
    return json.loads(json.dumps(asdict(settings.rollout) | rest))


def _write(file: Path, text: str) -> None:
    unfinished = file.with_suffix(f".{os.getpid()}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, file)
