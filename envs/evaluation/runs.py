"""A policy on a benchmark: what was scored is kept, what is missing is run, and the numbers are told."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from zoo import registry
from zoo.envs.episodes.benchmark import Benchmark
from zoo.envs.episodes.results import ResultFile, Run, RunHeader
from zoo.envs.episodes.statistics import csv_text, summary
from zoo.envs.evaluation.pool import EpisodePool, WorkerSettings
from zoo.errors import UnknownNameError
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
) -> Scored:
    """Run every episode that the folder has no result of, and write the summary.

    Args:
        benchmark: What to run.
        settings: What workers are told.
        folder: Of the run; one that was stopped goes on where it stood.
        policy: Acts in this process, where the settings name neither `expert` nor `random`.
        num_workers: Processes.
        silence_s: As of `EpisodePool`.
    Raises:
        ConfigError: the folder belongs to another run, or assets differ from those of the benchmark.
    """
    benchmark.check_assets(installed_assets(benchmark.metadata.asset_digests))
    header = RunHeader(
        policy=settings.policy,
        benchmark=benchmark.name,
        digest=benchmark.digest,
        num_episodes=len(benchmark.episodes),
        settings=_recorded(settings),
    )
    with ResultFile(folder / RESULTS, header) as file:
        episodes = {index: benchmark.episodes[index] for index in file.run.pending}
        with (
            EpisodePool(settings, num_workers=num_workers, policy=policy, silence_s=silence_s) as pool,
            tqdm(total=len(benchmark.episodes), initial=len(benchmark.episodes) - len(episodes), unit="episode") as bar,
        ):
            successes: list[bool] = [result.success_at_end for result in file.run.results.values()]
            for result in pool.run(episodes):
                file.append(result)
                successes.append(result.success_at_end)
                bar.set_postfix_str(f"{sum(successes)} of {len(successes)} succeed", refresh=False)
                bar.update()
        run = file.run
    _write(folder / SUMMARY, json.dumps(summary(run), indent=2) + "\n")
    _write(folder / TABLE, csv_text(run))
    return Scored(folder, run)


def video_indices(benchmark: Benchmark, per_task: int) -> frozenset[int]:
    """The first episodes of each task."""
    chosen: dict[str, list[int]] = defaultdict(list)
    for index, episode in enumerate(benchmark.episodes):
        chosen[episode.task.task_cls + str(episode.task.task_type)].append(index)
    return frozenset(index for indices in chosen.values() for index in indices[:per_task])


def installed_assets(asked: Mapping[str, str]) -> dict[str, str]:
    """Digests of those asset libraries that are registered here."""
    digests = {}
    for name in asked:
        try:
            library = registry.build("asset_library", name)
        except UnknownNameError:
            continue
        digests[name] = library.digest
    return digests


def _recorded(settings: WorkerSettings) -> dict[str, Any]:
    """What results depend on, as plain JSON; videos do not count."""
    clocks = None if settings.clocks is None else asdict(settings.clocks)
    rest = {"cameras": settings.cameras, "image_size": settings.image_size, "clocks": clocks}
    return json.loads(json.dumps(asdict(settings.rollout) | rest))


def _write(file: Path, text: str) -> None:
    unfinished = file.with_suffix(f".{os.getpid()}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, file)
