"""The page of an evaluation in the simulator: success by task with intervals, why episodes failed, and videos."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from zoo.report.document import document, percent
from zoo.report.files import REPORT, SIMULATOR_FOLDER
from zoo.report.media import file_html

HEAD = ("task", "episodes", "success at the end", "95 %", "", "at any step", "95 %", "SPL", "SEL", "failures")


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
        videos: Files by index of the episode.
        reasons: What is known of failures that were not the policy's at its task, in sentences.
    Returns:
        Path of the page.
    """
    title = f"{summary['policy']} on {summary['benchmark']}"
    sections = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="meta">{escape(_meta(summary))}</p>',
        _tasks(summary["tasks"]),
        *(f'<p class="note">{escape(reason)}</p>' for reason in reasons),
        _cards(results, videos),
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
    return note + _tasks(summary["tasks"]) + _cards([json.loads(line) for line in lines], videos)


def _is_finished(folder: Path) -> bool:
    return (folder / "summary.json").is_file() and (folder / "results.jsonl").is_file()


def _cards(results: Sequence[Mapping[str, Any]], videos: Mapping[int, Path]) -> str:
    by_index = {int(result["index"]): result for result in results}
    cards = [_card(by_index[index], file) for index, file in sorted(videos.items()) if index in by_index]
    return f'<h2>Rollouts</h2><div class="grid">{"".join(cards)}</div>' if cards else ""


def _meta(summary: Mapping[str, Any]) -> str:
    missing = summary["num_episodes"] - summary["num_scored"]
    facts = [f"{summary['num_scored']:,} episodes", f"benchmark {summary['digest'][:12]}"]
    settings = summary["settings"]
    facts += [f"seed {settings['seed']}"] if "seed" in settings else []
    facts += [f"pictures of {', '.join(settings['cameras'])}"] if settings.get("cameras") else []
    facts += [f"{settings['horizon_steps']:,} steps at most"] if settings.get("horizon_steps") else []
    return " · ".join([*facts, *([f"{missing} without a result yet"] if missing else [])])


def _tasks(tasks: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for task in tasks:
        failures = ", ".join(f"{reason} {count}" for reason, count in task["failures"].items()) or "-"
        share = 100 * task["success_at_end"]
        cells = [
            escape(task["task"]),
            str(task["episodes"]),
            percent(task["success_at_end"]),
            _interval(task["ci95"]),
            f'<div class="track"><i style="width:{share:.1f}%"></i></div>',
            percent(task["success_oracle"]),
            _interval(task["ci95_oracle"]),
            percent(task.get("spl")),
            percent(task.get("sel")),
            escape(failures),
        ]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{escape(text)}</th>" for text in HEAD)
    return (
        "<h2>Success</h2>"
        '<p class="note">At the end: the success test held at the last step. At any step: it held at least once. '
        "Intervals are 95 % of Beta(1 + successes, 1 + failures).</p>"
        f'<div class="scroll"><table><tr>{head}</tr>{"".join(rows)}</table></div>'
    )


def _interval(ends: Sequence[float]) -> str:
    return f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f}"


def _card(result: Mapping[str, Any], file: Path) -> str:
    outcome = "succeeds" if result["success_at_end"] else f"fails: {result['failure']}"
    text = f"{result['task']}, {result['category']}, episode {result['index']}"
    detail = f'<p class="note">{escape(result["detail"])}</p>' if result.get("detail") else ""
    return (
        f'<div class="card"><h3>{escape(text)}</h3>{file_html(file)}'
        f'<p class="note">{escape(outcome)} after {result["steps"]} steps</p>{detail}</div>'
    )
