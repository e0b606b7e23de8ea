"""A page of the ways of all episodes of an evaluation, from above: thumbnails that can be chosen by what they show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from zoo.report.document import document
from zoo.report.files import TRAJECTORY_FOLDER
from zoo.report.media import data_url

PAGE = "trajectories.html"

LEGEND = (
    '<p class="note">From above: <span class="way"></span> the way from start (green disc) to end (red square; in a '
    "red ring where the policy said done), orange what was sought, a diamond where a sub-goal was said to be reached, "
    "a larger disc where something was to be picked up. Lines at the ends point where the robot faced.</p>"
)

SCRIPT = """<script>
const choices = [...document.querySelectorAll(".filters select")];
function choose() {
  let shown = 0;
  for (const way of document.querySelectorAll(".ways figure")) {
    way.hidden = !choices.every((one) => !one.value || way.dataset[one.name] === one.value);
    shown += !way.hidden;
  }
  document.getElementById("shown").textContent = shown;
}
choices.forEach((one) => one.addEventListener("change", choose));
choose();
</script>"""


def trajectory_files(folder: Path) -> dict[int, Path]:
    """Pictures of an evaluation's folder, by index of the episode, ascending."""
    return dict(sorted((int(file.stem), file) for file in (folder / TRAJECTORY_FOLDER).glob("*.png")))


def write_trajectory_page(folder: Path, title: str, results: Iterable[Mapping[str, Any]]) -> Path | None:
    """Make `trajectories.html` of the pictures in an evaluation's folder, over an older one; none without pictures.

    Args:
        folder: Of the run.
        title: Of the page.
        results: One object an episode, with `index`, `task`, `category`, `success_at_end`, `steps` and `failure`.
    """
    files = trajectory_files(folder)
    shown = [(result, files[int(result["index"])]) for result in results if int(result["index"]) in files]
    if not shown:
        return None
    path = folder / PAGE
    unfinished = path.with_suffix(".part")
    unfinished.write_text(document(title, _sections(title, shown)), encoding="utf-8")
    unfinished.replace(path)
    return path


def plan_html(file: Path | None) -> str:
    """A picture from above beside a video; nothing where there is none."""
    if file is None:
        return ""
    return f'<img class="plan" alt="the way from above" src="{data_url(file.read_bytes(), "image/png")}">'


def outcome(result: Mapping[str, Any]) -> str:
    """How an episode ended, in words."""
    end = "succeeds" if result["success_at_end"] else f"fails: {result['failure']}"
    return f"{end} after {result['steps']} steps"


def _sections(title: str, shown: Sequence[tuple[Mapping[str, Any], Path]]) -> list[str]:
    results = [result for result, _ in shown]
    choices = [
        _choice("task", [str(result["task"]) for result in results]),
        _choice("category", [str(result["category"]) for result in results]),
        _choice("outcome", [_outcome_class(result) for result in results]),
    ]
    return [
        f"<h1>{escape(title)}</h1>",
        LEGEND,
        f'<div class="filters">{"".join(choices)}'
        f'<span class="note"><span id="shown">{len(shown)}</span> of {len(shown)} episodes</span></div>',
        f'<div class="ways">{"".join(_way(result, file) for result, file in shown)}</div>',
        SCRIPT,
    ]


def _choice(name: str, values: Iterable[str]) -> str:
    """A list of what occurs, with how often; one value alone leaves nothing to choose."""
    values = list(values)
    counts = {value: values.count(value) for value in sorted(set(values))}
    if len(counts) < 2:
        return ""
    options = "".join(
        f'<option value="{escape(value)}">{escape(value)} ({count})</option>' for value, count in counts.items()
    )
    return f'<label>{name} <select name="{name}"><option value="">all</option>{options}</select></label>'


def _outcome_class(result: Mapping[str, Any]) -> str:
    return "success" if result["success_at_end"] else str(result["failure"])


def _way(result: Mapping[str, Any], file: Path) -> str:
    data = {"task": result["task"], "category": result["category"], "outcome": _outcome_class(result)}
    attributes = " ".join(f'data-{name}="{escape(str(value))}"' for name, value in data.items())
    caption = f"{result['index']}: {result['task']}, {result['category']}"
    return (
        f'<figure class="{"good" if result["success_at_end"] else "bad"}" {attributes}>'
        f'<img loading="lazy" alt="the way of episode {result["index"]}" '
        f'src="{data_url(file.read_bytes(), "image/png")}">'
        f"<figcaption>{escape(caption)}<br>{escape(outcome(result))}</figcaption></figure>"
    )
