"""Pictures of what pruners save: speed-up over frames, and accuracy against measured speed-up with its Pareto front."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.bench.pruning_cost import DENSE
from zoo.errors import ConfigError
from zoo.report.curves import PALETTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Point = tuple[float, float]
"""Speed-up and accuracy, of both the higher the better."""

Accuracies = Mapping[tuple[str, float], float]
"""By method and share."""

PANELS = (
    ("forward", "forward_speedup", "flops_speedup"),
    ("training step", "train_speedup", "train_flops_speedup"),
)
"""Title, measured speed-up and its bound, as rows call them."""


def pareto_front(points: Sequence[Point]) -> list[int]:
    """The places of the points that no other one beats, by growing first coordinate.

    A point is beaten by one that is at least as high in both coordinates and higher in one; equal points stand
    together.
    """
    order = sorted(range(len(points)), key=lambda place: points[place], reverse=True)
    front: list[int] = []
    highest = -math.inf
    for place in order:
        second = points[place][1]
        if second > highest or (front and points[place] == points[front[-1]]):
            front.append(place)
            highest = second
    return front[::-1]


def read_accuracies(path: Path) -> dict[tuple[str, float], float]:
    """Accuracies that were measured elsewhere, by method and share.

    Args:
        path: JSON, `{"rows": [{"method": ..., "remove": ..., "accuracy": ...}]}`; `none` needs no `remove`.
    Raises:
        ConfigError: no such file, or something else in it.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
        return {
            (row["method"], 0.0 if row["method"] == DENSE else float(row["remove"])): float(row["accuracy"])
            for row in rows
        }
    except FileNotFoundError as error:
        raise ConfigError(f"accuracy: there is no file {path}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f'accuracy: {path} must be {{"rows": [{{"method": "stts", "remove": 0.5, "accuracy": 0.6}}]}}; {error!r}'
        ) from error


def with_accuracies(rows: Sequence[Mapping[str, Any]], accuracies: Accuracies) -> list[dict[str, Any]]:
    """Rows with `accuracy`, None where it is unknown, and `on_front`, among the rows of the same number of frames and
    the dense model.
    """
    found = [dict(row, accuracy=accuracies.get((row["method"], row["remove"])), on_front=False) for row in rows]
    for frames in {row["frames"] for row in found}:
        known = [row for row in found if row["frames"] == frames and row["accuracy"] is not None]
        points = [(row["forward_speedup"], row["accuracy"]) for row in known] + _dense_point(accuracies)
        for place in pareto_front(points):
            if place < len(known):
                known[place]["on_front"] = True
    return found


def _dense_point(accuracies: Accuracies) -> list[Point]:
    return [(1.0, accuracies[DENSE, 0.0])] if (DENSE, 0.0) in accuracies else []


def save_plot(rows: Sequence[Mapping[str, Any]], path: Path, accuracies: Accuracies | None = None) -> None:
    """Write a picture: one panel each for forward passes and training steps, and one for accuracies where given.

    Args:
        rows: As `PruningCost.as_dict` gives them.
        path: PNG.
        accuracies: By method and share; shown at the most frames.
    """
    from matplotlib.figure import Figure

    panels = [panel for panel in PANELS if any(row[panel[1]] is not None for row in rows)]
    figure = Figure(figsize=(4.6 * (len(panels) + bool(accuracies)), 3.8), layout="constrained")
    axes = figure.subplots(1, len(panels) + bool(accuracies), squeeze=False)[0]
    for axis, (title, measured, bound) in zip(axes, panels, strict=False):
        _speedups(axis, rows, measured, bound)
        axis.set(title=title, xlabel="frames of a clip", ylabel="times faster than dense")
    axes[0].legend(frameon=False, fontsize=8)
    if accuracies:
        _accuracies(axes[-1], rows, accuracies)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.15, linewidth=0.6)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def _series(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, float], list[Mapping[str, Any]]]:
    found: dict[tuple[str, float], list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["method"], row["remove"]), []).append(row)
    return found


def _speedups(axis: Axes, rows: Sequence[Mapping[str, Any]], measured: str, bound: str) -> None:
    for number, ((method, remove), own) in enumerate(_series(rows).items()):
        shown = sorted((row for row in own if row[measured] is not None), key=lambda row: row["frames"])
        frames, colour = [row["frames"] for row in shown], PALETTE[number % len(PALETTE)]
        axis.plot(frames, [row[measured] for row in shown], marker="o", color=colour, label=f"{method} {remove:g}")
        axis.plot(frames, [row[bound] for row in shown], linestyle=":", color=colour)
    axis.plot([], [], linestyle=":", color="grey", label="bound, counted in FLOPs")
    axis.axhline(1.0, color="grey", linewidth=0.8)
    ticks = sorted({row["frames"] for row in rows})
    axis.set_xscale("log", base=2)
    axis.set_xticks(ticks, [str(tick) for tick in ticks])


def _accuracies(axis: Axes, rows: Sequence[Mapping[str, Any]], accuracies: Accuracies) -> None:
    most = max(row["frames"] for row in rows)
    shown = [row for row in rows if row["frames"] == most and (row["method"], row["remove"]) in accuracies]
    names = [f"{row['method']} {row['remove']:g}" for row in shown]
    points = [(row["forward_speedup"], accuracies[row["method"], row["remove"]]) for row in shown]
    dense = _dense_point(accuracies)
    points, names = points + dense, names + ["dense"] * len(dense)
    for number, (point, name) in enumerate(zip(points, names, strict=True)):
        axis.plot(*point, marker="o", color=PALETTE[number % len(PALETTE)])
        axis.annotate(name, point, xytext=(4, 4), textcoords="offset points", fontsize=8)
    front = [points[place] for place in pareto_front(points)]
    axis.plot([x for x, _ in front], [y for _, y in front], color="grey", linewidth=0.8, label="Pareto front", zorder=0)
    axis.scatter([x for x, _ in front], [y for _, y in front], s=120, facecolors="none", edgecolors="grey")
    axis.set(title=f"{most} frames", xlabel="forward, times faster than dense", ylabel="accuracy")
    axis.legend(frameon=False, fontsize=8)
