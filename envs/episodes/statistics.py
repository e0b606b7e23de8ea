"""Numbers of a run: success with intervals, smoothness, weighted success of navigation; as CSV, JSON and text.

Source: sheet molmospaces section 8 (intervals, jerk, CSV columns); sheet spoc_ring sections 1.14 (SPL, SEL, rooms
visited) and 2.7 (collisions).
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, get_args

import numpy as np
from scipy.special import betaincinv

from zoo.envs.episodes.results import EpisodeResult, FailureReason, Run
from zoo.envs.navigation.metrics import weighted_by_length
from zoo.errors import ConfigError

LEVEL = 0.95
TOLD_FAILURES = frozenset(get_args(FailureReason)) - {"horizon", "wrong_stop"}
"""Those of which more is to be said than that the policy did not do its task."""
OVERALL = "OVERALL"
SEED_NUMBERS = {
    "success_at_end": "ci95",
    "success_oracle": "ci95_oracle",
    "spl": "ci95_spl",
    "sel": "ci95_sel",
    "rooms_visited": "ci95_rooms_visited",
}
"""Shares that are averaged over seeds, and the names of their intervals."""
COLLISION_NUMBERS = ("steps", "collisions", "collision_rate", "collision_free")
GROUPS = {"tasks": "task", "categories": "category", "embodiments": "embodiment"}
"""Names of the groups of a summary, and what names one of them."""
NAVIGATION_HEAD = ("rooms", "collisions", "steps")
ONCE = "bodies of one episode each"
CSV_COLUMNS = (
    "policy",
    "category",
    "successes",
    "total",
    "success_rate_pct",
    "ci_95_low_pct",
    "ci_95_high_pct",
    "oracle_successes",
    "oracle_rate_pct",
    "oracle_ci_95_low_pct",
    "oracle_ci_95_high_pct",
    "jerk_joint_mean",
    "jerk_joint_std",
)
"""Names and order of the public scoring script."""


class Jerk(NamedTuple):
    """Over the steps of an episode: mean and standard deviation of the L2 norm over joints, rad/s^3."""

    mean: float
    std: float


def beta_interval(successes: float, total: int) -> tuple[float, float]:
    """Equal-tailed 95 % interval of a success rate, from Beta(1 + successes, 1 + failures): a flat prior.

    Args:
        successes: Or the sum of shares, each 0 to 1. They spread no more than zeros and ones of the same mean do, so
            the interval of their mean is rather too wide than too narrow.
        total: How many.
    Raises:
        ConfigError: there are more successes than trials, or negative numbers.
    """
    if not 0 <= successes <= total:
        raise ConfigError(f"{successes} successes of {total}: expected 0 to {max(total, 0)}")
    tail = (1 - LEVEL) / 2
    low, high = betaincinv(1 + successes, 1 + total - successes, np.array([tail, 1 - tail]))
    return float(low), float(high)


def joint_jerk(positions: np.ndarray, dt: float) -> Jerk | None:
    """How unsteadily joints moved: their third finite difference over dt^3.

    Args:
        positions: (steps, joints) joint positions, one row a step, radians or metres.
        dt: Seconds between rows.
    Returns:
        None for fewer than four steps, which have no third difference.
    Raises:
        ConfigError: positions have another shape, or dt is not above 0.
    """
    rows = np.asarray(positions, np.float64)
    if rows.ndim != 2 or dt <= 0:
        raise ConfigError(f"jerk of an array of shape {rows.shape} at dt {dt}: expected (steps, joints) and dt above 0")
    if len(rows) < 4:
        return None
    norms = np.linalg.norm(np.diff(rows, n=3, axis=0), axis=1) / dt**3
    return Jerk(float(norms.mean()), float(norms.std()))


def path_weighted_success(results: Sequence[EpisodeResult]) -> float | None:
    """SPL: mean of success times shortest length over the longer of it and the length of the way taken.

    Returns:
        None if no result has a shortest length, which navigation has, or if a success lacks a length.
    """
    return _weighted(results, [(result.shortest_length_m, result.path_length_m) for result in results])


def length_weighted_success(results: Sequence[EpisodeResult]) -> float | None:
    """SEL: as SPL, with steps of the expert and of the policy: turns and arm movements count as well.

    Returns:
        None if no result has steps of an expert, or if a success lacks them.
    """
    return _weighted(results, [(result.expert_steps, result.steps) for result in results])


def summary(run: Run) -> dict[str, Any]:
    """Success by task, as plain JSON.

    Returns:
        `policy`, `benchmark`, `digest`, `settings`, `num_episodes` asked for, `num_scored`, and `tasks`: by task
        `episodes`, `success_at_end` and `success_oracle` as shares with the intervals `ci95` and `ci95_oracle`, and
        `failures` counted by reason; `spl`, `sel` and `rooms_visited` with `ci95_spl` and so on, `steps`, `collisions`
        an episode, `collision_rate` a step and the share `collision_free` where the results allow them. If any results
        count collisions, which are those of robots that move in discrete steps, the same by `categories` and by
        `embodiments`; all bodies with a single episode are one group there.
    """
    header = run.header
    results = list(run.results.values())
    content = {
        "policy": header.policy,
        "benchmark": header.benchmark,
        "digest": header.digest,
        "settings": dict(header.settings),
        "num_episodes": header.num_episodes,
        "num_scored": len(run.results),
        "tasks": _summaries("task", results, lambda one: one.task),
    }
    if any(one.collisions is not None for one in results):
        content["categories"] = _summaries("category", results, lambda one: f"{one.task}: {one.category}")
        counts = Counter(one.embodiment for one in results)
        content["embodiments"] = _summaries(
            "embodiment", results, lambda one: str(one.embodiment) if counts[one.embodiment] > 1 else ONCE
        )
    return content


def over_seeds(summaries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over runs of one policy on the same episodes with other draws, as plain JSON.

    Args:
        summaries: Of the runs.
    Returns:
        As `summary` has them: `policy`, `benchmark`, `digest`, `num_episodes`; `seeds`; `tasks` and, where there are,
        `categories` and `embodiments`, in which every number is the mean over runs, `<number>_by_seed` lists a share,
        and `failures` are those of all runs. Intervals are those of one run with this mean: the episodes are the same
        in all of them, so more runs do not tell more about other episodes.
    """
    first = summaries[0]
    same = {name: first[name] for name in ("policy", "benchmark", "digest", "num_episodes")}
    told = same | {"seeds": [content["settings"].get("seed") for content in summaries]}
    for groups, what in GROUPS.items():
        if groups in first:
            by_name = [{group[what]: group for group in content[groups]} for content in summaries]
            told[groups] = [{what: name} | _over_runs([runs[name] for runs in by_name]) for name in by_name[0]]
    return told


def _over_runs(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One group of episodes in several runs."""
    total = min(run["episodes"] for run in runs)
    told: dict[str, Any] = {"episodes": total}
    for name, interval in SEED_NUMBERS.items():
        values = [run[name] for run in runs if name in run]
        if len(values) == len(runs):
            mean = float(np.mean(values))
            told |= {name: mean, interval: list(beta_interval(mean * total, total)), f"{name}_by_seed": values}
    for name in COLLISION_NUMBERS:
        if all(name in run for run in runs):
            told[name] = float(np.mean([run[name] for run in runs]))
    failures = sum((Counter(run["failures"]) for run in runs), Counter())
    return told | {"failures": dict(failures.most_common())}


def seeds_table(content: dict[str, Any]) -> str:
    """Means over seeds as text for a terminal."""
    lines = [f"{content['policy']} on {content['benchmark']}, seeds {', '.join(map(str, content['seeds']))}"]
    for task in content["tasks"]:
        parts = [
            f"{label} {_per_cent(task[name])} ({', '.join(map(_per_cent, task[f'{name}_by_seed']))}; "
            f"95 % {_interval(task[SEED_NUMBERS[name]])})"
            for name, label in (("success_at_end", "at end"), ("spl", "SPL"), ("sel", "SEL"))
            if name in task
        ]
        lines.append(f"{task['task']}, {task['episodes']} episodes: {', '.join(parts)}")
    return "\n".join([*lines, *_group_tables(content)])


def csv_text(run: Run) -> str:
    """One row a category, in the order of their names, and one over all, with `CSV_COLUMNS`.

    Shares are per cent with two decimals, as the public script writes them; jerk is mean and standard deviation over
    episodes of each episode's mean, empty where no episode has one.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    groups = _grouped(list(run.results.values()), lambda one: one.category)
    for category in sorted(groups):
        writer.writerow(_csv_row(run.header.policy, category, groups[category]))
    writer.writerow(_csv_row(run.header.policy, OVERALL, list(run.results.values())))
    return stream.getvalue()


def as_table(content: dict[str, Any]) -> str:
    """A summary as text for a terminal: one line a task, failures by number, then categories and embodiments."""
    missing = content["num_episodes"] - content["num_scored"]
    note = [f"{missing} of {content['num_episodes']} episodes have no result yet."] if missing else []
    parts = [_table("task", content["tasks"], has_failures=True), *note, *_group_tables(content)]
    return "\n".join([f"{content['policy']} on {content['benchmark']}", *parts])


def _group_tables(content: dict[str, Any]) -> list[str]:
    """Tables of categories and embodiments, each with an empty line above."""
    parts: list[str] = []
    for groups, what in GROUPS.items():
        if groups != "tasks" and len(content.get(groups, ())) > 1:  # one alone is the line of its task again
            parts += ["", _table(what, content[groups])]
    return parts


def _table(what: str, groups: Sequence[dict[str, Any]], *, has_failures: bool = False) -> str:
    is_navigation = any("collisions" in group for group in groups)
    head = (what, "episodes", "at end", "95 %", "oracle", "95 %", "SPL", "SEL")
    rows = [(*head, *NAVIGATION_HEAD * is_navigation, *("failures",) * has_failures)]
    for group in groups:
        cells = [group[what], str(group["episodes"])]
        cells += [_per_cent(group["success_at_end"]), _interval(group["ci95"])]
        cells += [_per_cent(group["success_oracle"]), _interval(group["ci95_oracle"])]
        cells += [_per_cent(group.get("spl")), _per_cent(group.get("sel"))]
        if is_navigation:
            cells += [
                _per_cent(group.get("rooms_visited")),
                _number(group.get("collisions")),
                _number(group.get("steps")),
            ]
        if has_failures:
            cells.append(", ".join(f"{reason} {count}" for reason, count in group["failures"].items()) or "-")
        rows.append(tuple(cells))
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def reasons(results: Iterable[EpisodeResult]) -> tuple[str, ...]:
    """What is known beyond its number of each kind of failure, by one episode that had it; in order of the episodes."""
    first: dict[tuple[str, str], str] = {}
    for result in results:
        if result.failure in TOLD_FAILURES and result.detail:
            text = f"{result.failure}, such as episode {result.index} ({result.task}): {result.detail}"
            first.setdefault((result.failure, result.task), text)
    return tuple(first.values())


def _grouped(results: Sequence[EpisodeResult], label: Callable[[EpisodeResult], str]) -> dict[str, list[EpisodeResult]]:
    groups: dict[str, list[EpisodeResult]] = {}
    for result in results:
        groups.setdefault(label(result), []).append(result)
    return groups


def _summaries(
    what: str, results: Sequence[EpisodeResult], label: Callable[[EpisodeResult], str]
) -> list[dict[str, Any]]:
    """One object a group, its name under `what`."""
    return [{what: name} | _group_summary(group) for name, group in _grouped(results, label).items()]


def _group_summary(results: Sequence[EpisodeResult]) -> dict[str, Any]:
    total = len(results)
    at_end = sum(result.success_at_end for result in results)
    oracle = sum(result.success_oracle for result in results)
    failures = Counter(result.failure for result in results if result.failure is not None)
    content: dict[str, Any] = {
        "episodes": total,
        "success_at_end": at_end / total,
        "ci95": list(beta_interval(at_end, total)),
        "success_oracle": oracle / total,
        "ci95_oracle": list(beta_interval(oracle, total)),
        "failures": dict(sorted(failures.items(), key=lambda item: (-item[1], item[0]))),
    }
    rooms = [result.rooms_visited for result in results if result.rooms_visited is not None]
    means = {
        "spl": (path_weighted_success(results), total),
        "sel": (length_weighted_success(results), total),
        "rooms_visited": (float(np.mean(rooms)) if rooms else None, len(rooms)),
    }
    for name, (value, count) in means.items():
        if value is not None:
            content |= {name: value, f"ci95_{name}": list(beta_interval(value * count, count))}
    return content | _collisions(results)


def _collisions(results: Sequence[EpisodeResult]) -> dict[str, Any]:
    """Of the episodes that count them: how often the base was blocked."""
    counted = [(result.collisions, result.steps) for result in results if result.collisions is not None]
    if not counted:
        return {}
    return {
        "steps": float(np.mean([steps for _, steps in counted])),
        "collisions": float(np.mean([number for number, _ in counted])),
        "collision_rate": float(np.mean([number / max(steps, 1) for number, steps in counted])),
        "collision_free": float(np.mean([number == 0 for number, _ in counted])),
    }


def _csv_row(policy: str, category: str, results: Sequence[EpisodeResult]) -> list[Any]:
    total = len(results)
    at_end = sum(result.success_at_end for result in results)
    oracle = sum(result.success_oracle for result in results)
    jerks = [result.jerk_mean for result in results if result.jerk_mean is not None]
    smoothness = [f"{np.mean(jerks):.6f}", f"{np.std(jerks):.6f}"] if jerks else ["", ""]
    return [policy, category, at_end, total, *_shares(at_end, total), oracle, *_shares(oracle, total), *smoothness]


def _shares(successes: int, total: int) -> list[str]:
    rate = successes / total if total else 0.0
    return [f"{100 * share:.2f}" for share in (rate, *beta_interval(successes, total))]


def _weighted(results: Sequence[EpisodeResult], lengths: Sequence[tuple[float | None, float | None]]) -> float | None:
    """Mean over all results of success times best / max(best, taken); failures need no lengths."""
    if all(best is None for best, _ in lengths):
        return None
    total = 0.0
    for result, (best, taken) in zip(results, lengths, strict=True):
        if result.success_at_end:
            if best is None or taken is None:
                return None
            total += weighted_by_length(True, best, taken)
    return total / len(results)


def _per_cent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def _interval(ends: Sequence[float]) -> str:
    return f"{100 * ends[0]:.1f}-{100 * ends[1]:.1f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
