"""The page of an evaluation in the simulator: success with intervals by task, category and body, why episodes failed,
and what was seen beside the way from above.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from zoo.report.document import NO_NUMBER, document, percent
from zoo.report.files import REPORT, SIMULATOR_FOLDER
from zoo.report.media import file_html
from zoo.report.trajectories import (
    LEGEND,
    PAGE,
    outcome,
    plan_html,
    trajectory_files,
    write_trajectory_page,
)

HEAD = ("episodes", "success at the end", "95 %", "", "at any step", "95 %", "SPL", "SEL")
NAVIGATION_HEAD = ("rooms visited", "collisions", "steps")
"""Of robots that move in discrete steps, an episode."""


def write_rollout_report(
    folder: Path,
    summary: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    videos: Mapping[int, Path],
    *,
    reasons: Sequence[str] = (),
) -> Path:
    """Make `report.html` of an evaluation, over an older one.

    Args:
        folder: Of the run.
        summary: As `zoo.envs.episodes.statistics.summary` makes it.
        results: One object an episode, with `index`, `task`, `category`, `success_at_end`, `steps` and `failure`.
        videos: Files by index of the episode. Beside each stands the picture of its way, where the folder has one;
            a page of their own shows those of all episodes.
        reasons: What is known of failures that were not the policy's at its task, in sentences.
    Returns:
        Path of the page.
    """
    title = f"{summary['policy']} on {summary['benchmark']}"
    ways = write_trajectory_page(folder, f"Ways of {title}", results)
    sections = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="meta">{escape(_meta(summary))}</p>',
        _success(summary),
        *(f'<p class="note">{escape(reason)}</p>' for reason in reasons),
        _rollouts(results, videos, folder, PAGE if ways else ""),
    ]
    path = folder / REPORT
    unfinished = path.with_suffix(".part")
    unfinished.write_text(document(title, sections), encoding="utf-8")
    unfinished.replace(path)
    return path


def latest_rollouts(run_folder: Path) -> str:
    """The newest evaluation of a training run as sections of its page; nothing where there is none that was finished.

    Args:
        run_folder: With `simulator/step_<n>/`, each as `zoo evaluate` leaves a run.
    """
    finished = sorted(folder for folder in (run_folder / SIMULATOR_FOLDER).glob("step_*") if _is_finished(folder))
    if not finished:
        return ""
    folder = finished[-1]
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    lines = (folder / "results.jsonl").read_text(encoding="utf-8").splitlines()[1:]  # the first is the header
    videos = {int(file.stem): file for file in (folder / "videos").glob("*.mp4")}
    step = int(folder.name.removeprefix("step_"))
    note = f'<p class="note">In the simulator, after {step:,} steps: {escape(_meta(summary))}</p>'
    link = f"{SIMULATOR_FOLDER}/{folder.name}/{PAGE}" if (folder / PAGE).is_file() else ""
    return note + _success(summary) + _rollouts([json.loads(line) for line in lines], videos, folder, link)


def _is_finished(folder: Path) -> bool:
    return (folder / "summary.json").is_file() and (folder / "results.jsonl").is_file()


def _rollouts(results: Sequence[Mapping[str, Any]], videos: Mapping[int, Path], folder: Path, link: str) -> str:
    """Cards of the episodes with a video, and a link to the page of all ways."""
    by_index, plans = {int(result["index"]): result for result in results}, trajectory_files(folder)
    shown = {index: file for index, file in sorted(videos.items()) if index in by_index}
    has_plans = not plans.keys().isdisjoint(shown)
    cards = [_card(by_index[index], file, plans.get(index)) for index, file in shown.items()]
    parts = [
        f'<p class="meta"><a href="{escape(link)}">The ways of all episodes from above</a></p>' if link else "",
        LEGEND if has_plans else "",
        f'<div class="grid{" wide" if has_plans else ""}">{"".join(cards)}</div>' if cards else "",
    ]
    return f"<h2>Rollouts</h2>{''.join(parts)}" if any(parts) else ""


def _meta(summary: Mapping[str, Any]) -> str:
    missing = summary["num_episodes"] - summary["num_scored"]
    facts = [f"{summary['num_scored']:,} episodes", f"benchmark {summary['digest'][:12]}"]
    settings = summary["settings"]
    facts += [f"seed {settings['seed']}"] if "seed" in settings else []
    facts += [f"pictures of {', '.join(settings['cameras'])}"] if settings.get("cameras") else []
    facts += [f"{settings['horizon_steps']:,} steps at most"] if settings.get("horizon_steps") else []
    return " · ".join([*facts, *([f"{missing} without a result yet"] if missing else [])])


def _success(summary: Mapping[str, Any]) -> str:
    """Tables by task, and of robots that move in discrete steps by category and body, where there are several."""
    tables = [_table("task", summary["tasks"])]
    for what, title in (("category", "categories"), ("embodiment", "embodiments")):
        groups = summary.get(title, ())
        if len(groups) > 1:  # one alone is its task's line again
            tables.append(f"<h2>Success by {what}</h2>{_table(what, groups)}")
    return (
        "<h2>Success</h2>"
        '<p class="note">At the end: the success test held at the last step. At any step: it held at least once. '
        f"Intervals are 95 % of Beta(1 + successes, 1 + failures).</p>{''.join(tables)}"
    )


def _table(what: str, groups: Sequence[Mapping[str, Any]]) -> str:
    is_navigation = any("collisions" in group for group in groups)
    rows = []
    for group in groups:
        cells = [
            escape(group[what]),
            str(group["episodes"]),
            percent(group["success_at_end"]),
            _interval(group["ci95"]),
            f'<div class="track"><i style="width:{100 * group["success_at_end"]:.1f}%"></i></div>',
            percent(group["success_oracle"]),
            _interval(group["ci95_oracle"]),
            percent(group.get("spl")),
            percent(group.get("sel")),
        ]
        if is_navigation:
            cells += [percent(group.get("rooms_visited")), _mean(group.get("collisions")), _mean(group.get("steps"))]
        failures = escape(", ".join(f"{reason} {count}" for reason, count in group["failures"].items()) or NO_NUMBER)
        rows.append(f'<tr>{"".join(f"<td>{cell}</td>" for cell in cells)}<td class="text">{failures}</td></tr>')
    titles = (what, *HEAD, *NAVIGATION_HEAD * is_navigation, "failures")
    head = "".join(f"<th>{escape(text)}</th>" for text in titles)
    return f'<div class="scroll"><table><tr>{head}</tr>{"".join(rows)}</table></div>'


def _mean(value: Any) -> str:
    return f"{value:.1f}" if isinstance(value, int | float) else NO_NUMBER


def _interval(ends: Sequence[float]) -> str:
    return f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f}"


def _card(result: Mapping[str, Any], file: Path, plan: Path | None) -> str:
    text = f"{result['task']}, {result['category']}, episode {result['index']}"
    detail = f'<p class="note">{escape(result["detail"])}</p>' if result.get("detail") else ""
    seen = file_html(file) if plan is None else f'<div class="pair">{file_html(file)}{plan_html(plan)}</div>'
    return f'<div class="card"><h3>{escape(text)}</h3>{seen}<p class="note">{escape(outcome(result))}</p>{detail}</div>'
