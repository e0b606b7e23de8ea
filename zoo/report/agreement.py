"""How well simulation predicts reality, as a table and as a picture of one rate over the other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.envs.episodes.correlation import Rates
from zoo.report.curves import PALETTE


def as_table(report: Mapping[str, Any]) -> str:
    """Text: one line a task and one over all, then what was left out, and why.

    Args:
        report: As `zoo.envs.episodes.correlation.correlation_report` makes it.
    """
    rows = [("task", "pairs", "R", "95 %", "rank R", "95 %", "rank violation"), *map(_cells, report["correlations"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += [f"left out: {why}" for why in report["skipped"].values()]
    for side, where in (("only_simulated", "first"), ("only_real", "second")):
        if report[side]:
            pairs = ", ".join("/".join(pair) for pair in report[side])
            lines.append(f"only in the {where} file: {pairs}")
    return "\n".join(lines)


def save_scatter(simulated: Rates, real: Rates, path: Path) -> None:
    """Write a picture: every pair of policy and task that both sides have, a colour a task, one standard deviation of
    the rates as whiskers, and the diagonal on which simulation would say the truth.

    Args:
        simulated: Success rates by policy and task.
        real: The same.
        path: PNG.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 5.0), layout="constrained")
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color="grey", linewidth=0.8, zorder=0)
    shared = [pair for pair in simulated if pair in real]
    for number, task in enumerate(dict.fromkeys(task for _, task in shared)):
        own = [pair for pair in shared if pair[1] == task]
        axis.errorbar(
            [simulated[pair].value for pair in own],
            [real[pair].value for pair in own],
            xerr=[_deviation(simulated[pair].value, simulated[pair].episodes) for pair in own],
            yerr=[_deviation(real[pair].value, real[pair].episodes) for pair in own],
            fmt="o",
            color=PALETTE[number % len(PALETTE)],
            elinewidth=0.8,
            label=task,
        )
        for policy, _ in own:
            place = (simulated[policy, task].value, real[policy, task].value)
            axis.annotate(policy, place, xytext=(4, 4), textcoords="offset points", fontsize=7)
    axis.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
    axis.set(xlabel="success in simulation", ylabel="success in the real world")
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.15, linewidth=0.6)
    axis.legend(frameon=False, fontsize=8, loc="upper left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, format="png")


def _cells(one: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        one["task"],
        str(one["pairs"]),
        f"{one['pearson']:.3f}",
        _interval(one["pearson_ci95"]),
        f"{one['spearman']:.3f}",
        _interval(one["spearman_ci95"]),
        f"{one['mean_maximum_rank_violation']:.3f}",
    )


def _interval(ends: tuple[float, float]) -> str:
    low, high = ends
    return f"[{low:.2f}, {high:.2f}]"


def _deviation(rate: float, episodes: int) -> float:
    """Standard deviation of Beta(1 + s, 1 + n - s), the distribution that the intervals are drawn from."""
    first, second = 1 + rate * episodes, 1 + (1 - rate) * episodes
    both = first + second
    return (first * second / (both**2 * (both + 1))) ** 0.5
