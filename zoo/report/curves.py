"""Curves over training steps, or seconds, as SVG that takes the text colour of the page around it."""

import io
import re
from collections.abc import Mapping

from zoo.report.files import Series

INK = "#010203"  # stands for the page's text colour until the SVG is finished
PALETTE = ("#3b82f6", "#e8833a", "#22a06b", "#b565d9", "#d9486e", "#4aa3b5", "#a08a2e", "#8a8f98")  # on white and black
SMOOTHED_FROM = 60  # points; longer series are drawn faint, with a running mean over them
WINDOW_SHARE = 0.03  # of a series, for the running mean

PANELS: tuple[tuple[str, str], ...] = (
    ("Loss", r"^(train|val)/(.*/)?loss$"),
    ("Validation accuracy", r"^val/(.*/)?accuracy"),
    ("Rounds of rollouts", r"^rollouts/(success|wrong_done|finished|expert_moves)$"),
    ("Learning rate", r"^(lr-|learning_rate)"),
    ("Gradient norm", r"^gradient_norm/"),
    ("Tokens per second", r"tokens_per_s$"),
    ("Samples per second", r"samples_per_s$"),
)
"""Titles, and which columns each panel shows."""

MAX_SERIES = 12  # of a panel; the legend becomes unreadable beyond


def panels(metrics: Mapping[str, Series]) -> list[tuple[str, str]]:
    """(title, SVG) of every panel that has at least one column of two points.

    Args:
        metrics: Series by column.
    """
    drawn = []
    for title, pattern in PANELS:
        chosen = {name: values for name, values in metrics.items() if re.search(pattern, name) and len(values) > 1}
        distinct = _without_repetitions(chosen)
        if distinct:
            drawn.append((title, draw(title, dict(list(distinct.items())[:MAX_SERIES]))))
    return drawn


def draw(title: str, curves: Mapping[str, Series], *, x_label: str = "step", from_zero: bool = False) -> str:
    """One panel.

    Args:
        title: Name of the panel, for readers that do not see it.
        curves: Series by name.
        x_label: What the curves go along.
        from_zero: Heights begin at 0.
    Returns:
        An `<svg>` element.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style = {"svg.fonttype": "none", "svg.hashsalt": title, "font.size": 11, "font.family": "sans-serif"}
    colours = dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK)
    with mpl.rc_context({**style, **colours}):
        figure = Figure(figsize=(5.2, 3.0), layout="constrained")
        axes = figure.add_subplot()
        labels = short_names(list(curves))
        for number, (label, values) in enumerate(zip(labels, curves.values(), strict=True)):
            colour = PALETTE[number % len(PALETTE)]
            steps, heights = [step for step, _ in values], [value for _, value in values]
            if len(values) >= SMOOTHED_FROM:
                axes.plot(steps, heights, color=colour, alpha=0.25, linewidth=0.8)
                heights = running_mean(heights, max(2, int(len(values) * WINDOW_SHARE)))
            axes.plot(
                steps, heights, color=colour, linewidth=1.6, label=label, marker="." if len(values) < 15 else None
            )
        axes.set_xlabel(x_label)
        if from_zero:
            axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color=INK, alpha=0.12, linewidth=0.6)
        if len(curves) > 1:
            figure.legend(loc="outside lower center", frameon=False, fontsize=9, ncols=3)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    return re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', rf'<svg role="img" aria-label="{title}" viewBox="\1">', svg, count=1
    )


def short_names(names: list[str]) -> list[str]:
    """Names of curves without the path parts that all of them begin or end with; families without `accuracy/`."""
    paths = [name.replace("/accuracy/", "/").split("/") for name in names]
    while len(names) > 1 and all(len(path) > 1 and path[0] == paths[0][0] for path in paths):
        paths = [path[1:] for path in paths]
    while len(names) > 1 and all(len(path) > 1 and path[-1] == paths[0][-1] for path in paths):
        paths = [path[:-1] for path in paths]
    return ["/".join(path) for path in paths]


def running_mean(values: list[float], window: int) -> list[float]:
    """Mean of each value and up to `window` - 1 before it."""
    total, means = 0.0, []
    for index, value in enumerate(values):
        total += value - (values[index - window] if index >= window else 0.0)
        means.append(total / min(index + 1, window))
    return means


def _without_repetitions(curves: Mapping[str, Series]) -> dict[str, Series]:
    """The curves, of equal ones only the one with the shortest name: one head logs what the module logs again."""
    kept: dict[str, Series] = {}
    for name in sorted(curves, key=lambda name: (len(name), name)):
        if curves[name] not in kept.values():
            kept[name] = curves[name]
    return dict(sorted(kept.items()))
