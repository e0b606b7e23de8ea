"""A benchmark: a folder of episodes, what it was made with, and how it is cut into shards.

Source: sheet molmospaces section 6 (files), 5 (horizon), 24 rule 7 (asset sets are pinned by content).

`benchmark.json` is a list of episodes; `benchmark_metadata.json` beside it is optional and describes. The older layout
has one file an episode, `house_<index>/episode_<number>.json`.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from zoo.envs.episodes.fields import FAILED, Count, Fault, sentence
from zoo.envs.episodes.records import Record, dump_json, load_json
from zoo.envs.episodes.schema import Episode, content_hash
from zoo.errors import ConfigError, DataError, UnknownNameError
from zoo.registry import near

EPISODES_FILE = "benchmark.json"
METADATA_FILE = "benchmark_metadata.json"
BUNDLED = Path(__file__).parents[1] / "benchmarks"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Metadata(Record):
    """What is said about a benchmark; none of it is needed to run it.

    Args:
        description: For people.
        created_at: ISO time.
        num_episodes: How many there were when it was written.
        num_houses: Different houses.
        task_cls_counts: Episodes by task class.
        object_category_counts: Episodes by kind of object.
        robot_counts: Episodes by robot.
        episode_length_stats: min, max, mean and median steps of the recordings.
        camera_system_class: Camera system of the recordings.
        source_data_date: Of the recordings, YYYY-MM-DD.
        benchmark_created_date: YYYY-MM-DD.
        asset_digests: By asset library, the content hash of every asset that the episodes use; other content is
            refused, further assets are not. Ours, not public.
    """

    description: str | None = None
    created_at: str | None = None
    num_episodes: Count | None = None
    num_houses: Count | None = None
    task_cls_counts: Mapping[str, Count] | None = None
    object_category_counts: Mapping[str, Count] | None = None
    robot_counts: Mapping[str, Count] | None = None
    episode_length_stats: Mapping[str, float] | None = None
    camera_system_class: str | None = None
    source_data_date: str | None = None
    benchmark_created_date: str | None = None
    asset_digests: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Benchmark:
    """Episodes in their order, which numbers them.

    Args:
        name: Of its folder.
        episodes: At least one.
        metadata: What is said about them.
    """

    name: str
    episodes: tuple[Episode, ...]
    metadata: Metadata = dataclasses.field(default_factory=Metadata)

    @classmethod
    def of(
        cls,
        name: str,
        episodes: Sequence[Episode],
        *,
        description: str,
        created_at: str,
        asset_digests: Mapping[str, Mapping[str, str]],
    ) -> Self:
        """A new benchmark with counted metadata.

        Args:
            name: Of the folder that it will get.
            episodes: In their order.
            description: For people.
            created_at: ISO time; given, so that a seed makes the same bytes at any time.
            asset_digests: Of every asset that they use, by library.
        Raises:
            ConfigError: there is no episode.
        """
        if not episodes:
            raise ConfigError(f"benchmark {name!r} has no episode, expected at least one")
        lengths = [one.source.episode_length for one in episodes if one.source and one.source.episode_length]
        metadata = Metadata(
            description=description,
            created_at=created_at,
            num_episodes=len(episodes),
            num_houses=len({episode.house for episode in episodes}),
            task_cls_counts=_counts(episode.task.task_cls for episode in episodes),
            object_category_counts=_counts(episode.category for episode in episodes),
            robot_counts=_counts(episode.robot.robot_name for episode in episodes),
            episode_length_stats=_length_stats(lengths) if lengths else None,
            benchmark_created_date=created_at[: len("YYYY-MM-DD")],
            asset_digests={name: dict(sorted(asset_digests[name].items())) for name in sorted(asset_digests)},
        )
        return cls(name=name, episodes=tuple(episodes), metadata=metadata)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a benchmark in either layout.

        Raises:
            DataError: a file is missing or no JSON, or episodes are broken; the first faults of all of them are named.
        """
        episodes = _read_episodes(folder)
        metadata = Metadata()
        if (folder / METADATA_FILE).exists():
            metadata = Metadata.from_json(load_json(folder / METADATA_FILE), str(folder / METADATA_FILE))
        if metadata.num_episodes not in (None, len(episodes)):
            logger.warning(
                "%s holds %d episodes, but %s says %d", folder, len(episodes), METADATA_FILE, metadata.num_episodes
            )
        return cls(name=folder.resolve().name, episodes=episodes, metadata=metadata)

    def save(self, folder: Path) -> None:
        """Write both files, one episode a line.

        Raises:
            ConfigError: there is a benchmark already; results would no longer belong to what they were scored on.
        """
        check_new(folder)
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / METADATA_FILE, dump_json(self.metadata.to_json()) + "\n")
        lines = ",\n".join(dump_json(episode.to_json()) for episode in self.episodes)
        _write(folder / EPISODES_FILE, f"[\n{lines}\n]\n")

    @property
    def digest(self) -> str:
        """SHA-256 of the episodes, whatever the order of their keys; results carry it."""
        return content_hash([episode.to_json() for episode in self.episodes])

    def check_assets(self, installed: Mapping[str, Mapping[str, str]]) -> None:
        """Refuse to run with assets of other content than the episodes were made with.

        Args:
            installed: Digests of assets, by library.
        Raises:
            ConfigError: a pinned library or asset is absent or has another content; the first of them are named.
        """
        faults = []
        for library, pinned in self.metadata.asset_digests.items():
            found = installed.get(library)
            if found is None:
                faults.append(
                    f"asset library {library!r} is not installed (installed: {', '.join(installed) or 'none'})"
                )
                continue
            faults += [f"{library} has no asset {uid!r}" for uid in pinned if uid not in found]
            faults += [
                f"{library}'s {uid!r} has content {found[uid]}, expected {digest}"
                for uid, digest in pinned.items()
                if found.get(uid, digest) != digest
            ]
        if faults:
            raise ConfigError(
                f"benchmark {self.name!r} was made with other assets: {sentence(faults)}. Install the pinned version; "
                "with other assets success rates cannot be compared"
            )


def check_new(folder: Path) -> None:
    """Refuse a folder that holds a benchmark.

    Raises:
        ConfigError: there is one.
    """
    if (folder / EPISODES_FILE).exists():
        raise ConfigError(f"{folder / EPISODES_FILE} exists, and a benchmark does not change; choose another folder")


def benchmark_names(folder: Path = BUNDLED) -> tuple[str, ...]:
    """Every benchmark that comes with the package."""
    return tuple(sorted(path.parent.name for path in folder.glob(f"*/{EPISODES_FILE}")))


def find_benchmark(name_or_path: str, folder: Path = BUNDLED) -> Path:
    """The folder of a benchmark.

    Args:
        name_or_path: A folder, its `benchmark.json`, or the name of a bundled benchmark; a path that exists wins.
        folder: Where the bundled ones are.
    Raises:
        UnknownNameError: neither; near names.
    """
    path = Path(name_or_path)
    if path.name == EPISODES_FILE and path.is_file():
        return path.parent
    if path.is_dir() and ((path / EPISODES_FILE).exists() or _legacy_files(path)):
        return path
    names = benchmark_names(folder)
    if name_or_path in names:
        return folder / name_or_path
    if path.is_dir():
        raise UnknownNameError(
            f"folder {name_or_path} is no benchmark: it has neither {EPISODES_FILE} nor house_*/episode_*.json"
        )
    similar = near(name_or_path, names)
    hint = f" Near: {', '.join(similar)}." if similar else ""
    raise UnknownNameError(
        f"no benchmark {name_or_path!r}.{hint} Bundled: {', '.join(names) or 'none'}. A folder with {EPISODES_FILE} "
        "works as well"
    )


def horizon_steps(
    episodes: Sequence[Episode], policy_dt: float, *, steps: int | None = None, seconds: float | None = None
) -> int:
    """Policy steps after which an episode is cut off.

    Args:
        episodes: Those that share the horizon.
        policy_dt: Seconds a policy step.
        steps: As the user asked.
        seconds: As the user asked; not together with `steps`. Without either the episodes say it, all the same.
    Returns:
        At least 1; seconds are rounded to the nearest step, as the public evaluation does.
    Raises:
        ConfigError: both are given, or one makes no sense, or the episodes say nothing or different things.
    """
    if policy_dt <= 0:
        raise ConfigError(f"policy_dt is {policy_dt}, expected seconds above 0")
    if steps is not None and seconds is not None:
        raise ConfigError(f"the horizon is given twice, {steps} steps and {seconds:g} s; leave one of them out")
    if steps is not None:
        if steps < 1:
            raise ConfigError(f"the horizon is {steps} steps, expected at least 1")
        return steps
    if seconds is None:
        stated = sorted({episode.task.task_horizon_sec for episode in episodes} - {None})
        is_silent = any(episode.task.task_horizon_sec is None for episode in episodes)
        if is_silent or len(stated) != 1:
            found = ", ".join(f"{value:g} s" for value in stated) + (" and none" if is_silent and stated else "")
            raise ConfigError(
                f"the episodes state {found or 'no'} task_horizon_sec, expected one for all of them; give a horizon in "
                "steps or seconds"
            )
        seconds = stated[0]
    if seconds <= 0:
        raise ConfigError(f"the horizon is {seconds:g} s, expected more than 0")
    return max(1, round(seconds / policy_dt))


def round_robin(num_episodes: int, worker: int, num_workers: int) -> range:
    """Every `num_workers`-th episode: shards of about equal work, whatever the order."""
    _check_shard(num_episodes, worker, num_workers)
    return range(worker, num_episodes, num_workers)


def contiguous(num_episodes: int, worker: int, num_workers: int) -> range:
    """Neighbours together: fewer houses a shard. Shards differ by at most one episode."""
    _check_shard(num_episodes, worker, num_workers)
    return range(worker * num_episodes // num_workers, (worker + 1) * num_episodes // num_workers)


def _check_shard(num_episodes: int, worker: int, num_workers: int) -> None:
    if num_episodes < 0 or not 0 <= worker < num_workers:
        raise ConfigError(
            f"shard {worker} of {num_workers} of {num_episodes} episodes: expected a shard from 0 to one less than "
            "their number, and no negative number of episodes"
        )


def _read_episodes(folder: Path) -> tuple[Episode, ...]:
    """Episodes of either layout."""
    file = folder / EPISODES_FILE
    if file.exists():
        content = load_json(file)
        if not isinstance(content, list) or not content:
            shown = "an empty list" if content == [] else type(content).__name__
            raise DataError(f"{file} holds {shown}, expected a list of episodes")
        items = [(f"episode {index}", item) for index, item in enumerate(content)]
    else:
        file, paths = folder, _legacy_files(folder)
        if not paths:
            raise DataError(f"{folder} has neither {EPISODES_FILE} nor house_*/episode_*.json; is it a benchmark?")
        items = [(f"episode {i}, {path.relative_to(folder)}", load_json(path)) for i, path in enumerate(paths)]
    episodes, faults = [], []
    for place, item in items:
        found: list[Fault] = []
        episodes.append(Episode.read(item, "", found))
        faults += [f"{place}: {fault}" for fault in found]
    if faults:
        num_broken = sum(episode is FAILED for episode in episodes)
        raise DataError(f"{file}: {num_broken} of {len(episodes)} episodes are broken: {sentence(faults)}")
    return tuple(episodes)


def _legacy_files(folder: Path) -> list[Path]:
    """By the text of their names, as the public loader sorts them: seeds may come from an episode's place."""
    houses = sorted(path for path in folder.glob("house_*") if path.is_dir())
    return [path for house in houses for path in sorted(house.glob("episode_*.json"))]


def _counts(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def _length_stats(lengths: Sequence[int]) -> dict[str, Any]:
    return {
        "min": float(min(lengths)),
        "max": float(max(lengths)),
        "mean": statistics.fmean(lengths),
        "median": float(statistics.median(lengths)),
    }


def _write(file: Path, text: str) -> None:
    unfinished = file.with_name(f".{file.name}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, file)
