"""`zoo evaluate`: a policy in the simulator."""

import json as json_format
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zoo import bundled, from_pretrained, registry
from zoo.cli import runs
from zoo.cli.parsing import CommandParser
from zoo.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    from zoo.envs.episodes.benchmark import Benchmark
    from zoo.envs.episodes.results import EpisodeResult
    from zoo.policy import Policy

logger = logging.getLogger(__name__)

SAMPLED = "sampled"
ROOT = Path(runs.ROOT) / "evaluate"


def evaluate(
    *,
    policy: str,
    benchmark: str,
    task: str = "all",
    episodes: int | None = None,
    dataset: str = "procedural",
    split: str = "val",
    arguments: dict[str, Any] | None = None,
    seed: int = 0,
    seeds: str = "",
    workers: int = 1,
    horizon_steps: int | None = None,
    stop_on_success: bool = False,
    cameras: str = "",
    perturb: Literal["prompt", "joints", "camera", "occlusion"] | None = None,
    level: float | None = None,
    occluded: str = "",
    videos: int = 2,
    out: Path | None = None,
    json: Path | None = None,
) -> str:
    """Score a policy on episodes in the simulator.

    Args:
        policy: expert, random, a registered policy, a checkpoint (folder, .ckpt file or bundled name) of a module that
            acts, or the address of a server, as ws://127.0.0.1:8000.
        benchmark: Bundled name or folder of a benchmark, or `sampled` to draw episodes.
        task: Tasks with commas between them; all of the benchmark, or all that can be drawn.
        episodes: Of each task; all of a benchmark, or 50 drawn ones, where nothing is given.
        dataset: Scene planner that draws houses. Only for `sampled`, as the next two.
        split: train, val or test.
        arguments: Of the tasks' samplers, as --arguments.robot ring_body; `zoo show task_sampler NAME` lists them.
        seed: Of the draws, and of what policies draw.
        seeds: Of what policies draw instead, with commas between them, as 0,1,2: the same episodes are run with each,
            in a folder seed_<n> of the run, and their means are told.
        workers: Processes that simulate.
        horizon_steps: Policy steps after which an episode is cut off; by task in seconds where nothing is given.
        stop_on_success: End an episode as soon as its task is done.
        cameras: Names with commas between them whose pictures the policy gets. Where nothing is given, expert and
            random get none, any other policy those that it states, or of all cameras that every episode has.
        perturb: Change every episode: its words, where the arm's joints start, where cameras stand, or how much of
            their pictures is covered.
        level: How much: number of a wording, 0 to draw one (0); radians (0.3); 0 to 100 (40); share of the picture (1).
            Only with perturb.
        occluded: Names of the cameras that are covered, with commas between them; all where nothing is given. Only
            with perturb occlusion.
        videos: Episodes of each task of which the report has a video.
        out: Folder of the run, a new one below runs/evaluate where nothing is given; one that was stopped goes on.
        json: File for the numbers: `tasks` holds one object per task with `task`, `episodes`, `success_at_end`,
            `success_oracle`, `ci95` and `failures`, counted by reason.

    Raises:
        ConfigError: what was typed does not fit together.
        UnknownNameError: no such policy, benchmark or task.
    """
    from dataclasses import replace

    from zoo.envs.episodes.statistics import over_seeds, seeds_table, summary
    from zoo.envs.evaluation.drivers import EXPERT, RANDOM
    from zoo.envs.evaluation.perturb import perturbed
    from zoo.envs.evaluation.pool import WorkerSettings, with_wishes
    from zoo.envs.evaluation.rollout import RolloutSettings
    from zoo.envs.evaluation.runs import evaluate as run_benchmark

    if videos < 0 or workers < 1:
        raise ConfigError(f"videos is {videos} and workers {workers}, expected 0 or more and 1 or more")
    for option, value in (("episodes", episodes), ("horizon_steps", horizon_steps)):
        if value is not None and value < 1:
            raise ConfigError(f"{option} is {value}, expected 1 or more")
    if level is not None and perturb is None:
        raise ConfigError(
            f"level is {level:g} but nothing says of what; add --perturb prompt, joints, camera or occlusion"
        )
    numbers = _seeds(seeds) or (seed,)
    if occluded and perturb != "occlusion":
        raise ConfigError(f"occluded is {occluded!r} but nothing is covered; add --perturb occlusion")
    if benchmark == SAMPLED:
        samplers = {name: _sampler_arguments(name, arguments or {}) for name in _tasks(task)}
        chosen = _sampled(samplers, episodes or 50, dataset=dataset, split=split, seed=seed)
    elif arguments:
        raise ConfigError(
            f"arguments {arguments} are of samplers, and the episodes of {benchmark} are given; to draw some say "
            f"--benchmark {SAMPLED}"
        )
    else:
        chosen = _from_benchmark(benchmark, task, episodes)
    if perturb is not None:
        chosen = perturbed(chosen, perturb, level, cameras=_names(occluded))
    acting = None if policy in (EXPERT, RANDOM) else _policy(policy)
    folder = out or _new_folder(chosen.name, policy)
    settings = WorkerSettings(
        policy=policy,
        rollout=RolloutSettings(horizon_steps=horizon_steps, stop_on_success=stop_on_success, seed=seed),
        cameras=_names(cameras) or (_shared_cameras(chosen) if acting is not None and acting.cameras is None else ()),
    )
    settings = settings if acting is None else with_wishes(settings, acting)
    if perturb in ("camera", "occlusion") and not settings.cameras:
        logger.warning("%s gets no pictures, so %s changes nothing for it; see --cameras", policy, perturb)
    logger.info("results go to %s; after a stop the same command with --out %s goes on", folder, folder)
    tellings, texts = [], []
    for number in numbers:
        place = folder if len(numbers) == 1 else folder / f"seed_{number}"
        drawn = replace(settings, rollout=replace(settings.rollout, seed=number))
        scored = run_benchmark(chosen, drawn, place, policy=acting, num_workers=workers, videos_per_task=videos)
        tellings.append(summary(scored.run))
        texts.append(_told(tellings[-1], tuple(scored.run.results.values()), place))
    numbers_told = tellings[0] if len(numbers) == 1 else over_seeds(tellings)
    if json is not None:
        json.parent.mkdir(parents=True, exist_ok=True)
        json.write_text(json_format.dumps(numbers_told, indent=2) + "\n", encoding="utf-8")
    return "\n\n".join([*texts, *([seeds_table(numbers_told)] if len(numbers) > 1 else [])])


def _told(content: dict[str, Any], results: "tuple[EpisodeResult, ...]", folder: Path) -> str:
    """Numbers of one run as text; writes its report."""
    from zoo.envs.episodes.statistics import as_table, reasons
    from zoo.envs.evaluation.runs import VIDEOS
    from zoo.report.rollouts import write_rollout_report

    files = {int(file.stem): file for file in (folder / VIDEOS).glob("*.mp4")}
    why = reasons(results)
    report = write_rollout_report(folder, content, [one.to_json() for one in results], files, reasons=why)
    return "\n".join([as_table(content), *why, f"report: {report}"])


def _seeds(text: str) -> tuple[int, ...]:
    """Whole numbers of 0 or more, no two of them equal."""
    names = _names(text)
    if not all(name.isdecimal() for name in names) or len(set(map(int, names))) < len(names):
        raise ConfigError(f"seeds is {text!r}, expected different whole numbers with commas between them, as 0,1,2")
    return tuple(map(int, names))


def _tasks(text: str) -> tuple[str, ...]:
    """Names of tasks that can be drawn."""
    if text == "all":
        return registry.names("task_sampler")
    names = _names(text)
    for name in names:
        registry.find("task_sampler", name)
    return names


def _sampler_arguments(task: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """What was typed for a sampler, checked against what it takes."""
    registry.check_arguments("task_sampler", task, arguments)
    parser = CommandParser(prog="zoo evaluate")
    parser.add_class_arguments(registry.load("task_sampler", task), "arguments", as_group=False)
    return parser.parse_object({"arguments": arguments}, defaults=False).as_dict().get("arguments", {})


def _sampled(tasks: Mapping[str, dict[str, Any]], count: int, *, dataset: str, split: str, seed: int) -> "Benchmark":
    """Episodes drawn for this run, none left out for being hard; what samplers rejected is told.

    Args:
        tasks: Arguments of their samplers, by name.
        count: Episodes of each.
        dataset: Scene planner.
        split: Of its houses.
        seed: Of the draws.
    """
    from tqdm import tqdm

    from zoo.envs.episodes.benchmark import Benchmark
    from zoo.envs.sampling.sampler import SamplingReport, sample_episodes

    drawn = []
    for name, arguments in tasks.items():
        report = SamplingReport()
        found = sample_episodes(
            name, dataset=dataset, split=split, count=count, seed=seed, arguments=arguments, report=report
        )
        drawn += tqdm(found, total=count, desc=f"drawing {name}", unit="episode", leave=False)
        logger.info("%s: %s", name, report.text())
    return Benchmark.of(
        f"{SAMPLED}_{split}_{seed}",
        drawn,
        description=f"{count} episodes of each of {', '.join(tasks)}, houses {dataset}/{split}, seed {seed}",
        created_at="1970-01-01T00:00:00Z",  # drawn anew in every run, the same each time
        asset_digests={},
    )


def _from_benchmark(name: str, tasks: str, count: int | None) -> "Benchmark":
    """A benchmark on disk, or its first episodes of some tasks."""
    from dataclasses import replace

    from zoo.envs.episodes.benchmark import Benchmark, find_benchmark
    from zoo.envs.evaluation.runs import first_of_each_task

    whole = Benchmark.load(find_benchmark(name))
    names = [episode.task.name or episode.task.task_cls for episode in whole.episodes]
    asked = set(names) if tasks == "all" else set(_names(tasks))
    if unknown := asked - set(names):
        raise ConfigError(
            f"benchmark {name!r} has no task {', '.join(sorted(unknown))}; it has {', '.join(sorted(set(names)))}"
        )
    kept = tuple(episode for episode, task in zip(whole.episodes, names, strict=True) if task in asked)
    chosen = replace(whole, episodes=kept)
    return chosen if count is None else first_of_each_task(chosen, count)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


def _shared_cameras(benchmark: "Benchmark") -> tuple[str, ...]:
    """Names of the cameras that every episode has, in the order of the first."""
    have = [[camera.name for camera in episode.cameras] for episode in benchmark.episodes]
    return tuple(name for name in have[0] if all(name in names for names in have))


def _policy(name: str) -> "Policy":
    """A policy that acts in this process."""
    from zoo.envs.evaluation.drivers import EXPERT, RANDOM
    from zoo.policy import ActingModule

    if name.startswith(("ws://", "wss://")):
        from zoo.envs.serving.client import RemotePolicy

        remote = RemotePolicy(name)
        remote.greet()
        return remote
    if name in bundled.names() or Path(name).exists():
        module = from_pretrained(name)
        if not isinstance(module, ActingModule):
            able = ", ".join(getattr(module, "heads", ())) or "nothing that acts"
            raise ConfigError(
                f"checkpoint {name} does not act, it has {able}; expected a module with policy(), expert, random, a "
                f"registered policy ({', '.join(registry.names('policy'))}), or the address of a server"
            )
        return module.policy()
    offered = (EXPERT, RANDOM, *bundled.names(), *registry.names("policy"))
    if name in offered or ":" in name:
        return registry.build("policy", name)
    if "/" in name or name.endswith(".ckpt"):
        raise ConfigError(f"policy {name!r}: no such folder or file; zoo fit leaves checkpoints below {runs.ROOT}/")
    close = registry.near(name, offered)
    hint = f"Near: {', '.join(close)}. " if close else ""
    raise UnknownNameError(
        f"no policy {name!r}. {hint}Offered: {', '.join(offered)}, the folder of a run or checkpoint, or the address "
        "of a server"
    )


def _new_folder(benchmark: str, policy: str) -> Path:
    name = "".join(letter if letter.isalnum() else "_" for letter in policy)
    folder = ROOT / benchmark / name
    return folder / f"version_{runs.next_version(folder)}"
