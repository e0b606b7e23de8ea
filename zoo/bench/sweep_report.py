"""What a sweep of pruners found: accuracies by family, and differences to the dense model and to random dropping."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from zoo.bench.paired import DRAWS, Interval, paired_interval
from zoo.bench.pruning_sweep import cells
from zoo.errors import ConfigError

DENSE, CONTROL = "none", "random"
TEMPORAL = "temporal"
Cell = Mapping[str, Any]


@dataclass(kw_only=True)
class Group:
    """Cells that differ in nothing but the seed.

    Args:
        method: Label.
        remove: Share of windows.
        trained: Fine-tuned with the pruner.
        steps: Of training.
        frames_scale: How many times more frames in the test.
        test_clips: Asked about; None: all.
        seeds: Of the cells.
        windows: That entered the language model, a mean over clips, of each cell.
        left: That were left at its end.
        accuracy: Of each cell.
        right: (questions,) float64, share of the seeds that answered right; nan where none was asked.
    """

    method: str
    remove: float
    trained: bool
    steps: int
    frames_scale: float
    test_clips: int | None
    seeds: list[int] = field(default_factory=list)
    windows: list[float] = field(default_factory=list)
    left: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    right: np.ndarray

    @property
    def setting(self) -> tuple[Any, ...]:
        """What a baseline must share, beside the number of frames."""
        return self.trained, self.steps, self.test_clips


@dataclass(frozen=True)
class Questions:
    """Everything that any cell asked.

    Args:
        clip: (questions,) int.
        family: (questions,) str.
        temporal: (questions,) bool.
    """

    clip: np.ndarray
    family: np.ndarray
    temporal: np.ndarray

    def parts(self) -> dict[str, np.ndarray]:
        """Which questions count, by the name of what they are counted for."""
        found = {"all": np.ones(len(self.clip), bool), TEMPORAL: self.temporal}
        return found | {str(family): self.family == family for family in np.unique(self.family)}


@dataclass(frozen=True, kw_only=True)
class SweepReport:
    """Result of `report_of`.

    Args:
        rows: One for each group, with its accuracies and differences.
        families: Of questions; a star in tables marks those that need the order of frames.
        temporal_families: Those.
        setting: What all rows share.
    """

    rows: tuple[dict[str, Any], ...]
    families: tuple[str, ...]
    temporal_families: frozenset[str]
    setting: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"rows": list(self.rows), "families": list(self.families), **self.setting}

    def as_text(self) -> str:
        """Two tables with aligned columns."""
        return "\n\n".join([*(_aligned(table) for table in self._tables()), self._legend()])

    def as_markdown(self) -> str:
        """The same for documentation."""
        return "\n\n".join([*(_markdown(table) for table in self._tables()), self._legend()]) + "\n"

    def _tables(self) -> tuple[list[list[str]], list[list[str]]]:
        varying = {name: {_varying(row, name) for row in self.rows} - {None} for name in ("steps", "frames_scale")}
        told = [name for name, values in varying.items() if len(values) > 1]
        titles = {"steps": "steps", "frames_scale": "frames"}
        head = ["method", "remove", "trained", *(titles[name] for name in told)]
        names = [_row_name(row, told) for row in self.rows]
        summary = [[*head, "windows", "accuracy", "seeds", TEMPORAL, f"vs {DENSE}", f"vs {CONTROL}"]]
        summary += [name + _summary(row) for name, row in zip(names, self.rows, strict=True)]
        stars = [f"{family}{'*' * (family in self.temporal_families)}" for family in self.families]
        families = [[*head, *stars]]
        families += [
            name + [_percent(row["families"].get(family)) for family in self.families]
            for name, row in zip(names, self.rows, strict=True)
        ]
        return summary, families

    def _legend(self) -> str:
        return (
            f"Accuracies in %, means over seeds; `seeds` is their lowest and highest. `windows` is how many of a clip "
            f"enter the language model (> how many are left at its end). Differences are in points, with the 95 % "
            f"interval of a paired bootstrap over {self.setting['clips']:,} clips ({self.setting['questions']:,} "
            f"questions, {DRAWS:,} draws). * needs the order of frames."
        )


def report_of(folder: Path, *, order: Sequence[str] = ()) -> SweepReport:
    """What the cells of a folder say.

    Args:
        folder: Of a sweep.
        order: Labels of methods in the order of the rows; others follow by name.
    Raises:
        ConfigError: no cell.
    """
    found = cells(folder)
    if not found:
        raise ConfigError(f"{folder} holds no finished cell; run it first: zoo bench pruning --train --out {folder}")
    if len({cell["recipe"] for cell in found}) > 1:
        raise ConfigError(f"{folder} holds cells of several recipes, which cannot be compared; move some away")
    groups, questions = grouped(found)
    place = {label: number for number, label in enumerate([*order, *sorted({group.method for group in groups})])}
    place |= {label: number for number, label in enumerate(order)}
    groups.sort(key=lambda g: (g.frames_scale, g.trained, g.steps, place[g.method], g.remove))
    parts = questions.parts()
    families = tuple(name for name in parts if name not in ("all", TEMPORAL))
    return SweepReport(
        rows=tuple(_row(group, groups, questions, parts) for group in groups),
        families=families,
        temporal_families=frozenset(name for name in families if questions.temporal[parts[name]].all()),
        setting={
            "recipe": found[0]["recipe"],
            "weights": found[0].get("weights"),
            "clips": len(np.unique(questions.clip)),
            "questions": len(questions.clip),
        },
    )


def grouped(found: Iterable[Cell]) -> tuple[list[Group], Questions]:
    """Cells by all but their seed, their answers averaged over seeds, question by question."""
    numbers: dict[tuple[str, str, int], int] = {}
    facts: list[tuple[int, str, bool]] = []
    clips: dict[str, int] = {}
    answers: dict[tuple[Any, ...], list[tuple[Cell, np.ndarray, np.ndarray]]] = {}
    for cell in found:
        places = []
        for question, (key, family, temporal) in _asked(cell["questions"]):
            if question not in numbers:
                numbers[question] = len(numbers)
                facts.append((clips.setdefault(key, len(clips)), family, temporal))
            places.append(numbers[question])
        correct = np.frombuffer(cell["questions"]["correct"].encode(), np.uint8) == ord("1")
        name = tuple(cell[n] for n in ("method", "remove", "trained", "steps", "frames_scale", "test_clips"))
        answers.setdefault(name, []).append((cell, np.array(places, int), correct))
    groups = [_group(name, own, len(numbers)) for name, own in answers.items()]
    clip, family, temporal = zip(*facts, strict=True)
    return groups, Questions(np.array(clip), np.array(family), np.array(temporal))


def _asked(packed: Mapping[str, Any]) -> Iterable[tuple[tuple[str, str, int], tuple[str, str, bool]]]:
    """Questions by clip, text and how often that was asked before; with clip, family, and whether it is temporal."""
    before: dict[tuple[str, str], int] = {}
    columns = [[packed[n]["texts"][place] for place in packed[n]["place"]] for n in ("key", "prompt", "family")]
    for key, prompt, family, temporal in zip(*columns, packed[TEMPORAL], strict=True):
        count = before[key, prompt] = before.get((key, prompt), -1) + 1
        yield (key, prompt, count), (key, family, temporal == "1")


def _group(name: tuple[Any, ...], own: Sequence[tuple[Cell, np.ndarray, np.ndarray]], questions: int) -> Group:
    total, count = np.zeros(questions), np.zeros(questions)
    for _, places, correct in own:
        total[places] += correct
        count[places] += 1
    with np.errstate(invalid="ignore"):
        right = total / count
    method, remove, trained, steps, frames_scale, test_clips = name
    group = Group(
        method=method,
        remove=remove,
        trained=trained,
        steps=steps,
        frames_scale=frames_scale,
        test_clips=test_clips,
        right=right,
    )
    for cell, _, correct in sorted(own, key=lambda entry: entry[0]["seed"]):
        group.seeds.append(cell["seed"])
        group.windows.append(cell["windows_entering"])
        group.left.append(cell["windows_left"])
        group.accuracy.append(float(correct.mean()) if len(correct) else float("nan"))
    return group


def _row(
    group: Group, groups: Sequence[Group], questions: Questions, parts: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    asked = np.isfinite(group.right)
    scores = {name: _mean(group.right[counted & asked]) for name, counted in parts.items()}
    return {
        "method": group.method,
        "remove": group.remove,
        "trained": group.trained,
        "steps": group.steps,
        "frames_scale": group.frames_scale,
        "seeds": group.seeds,
        "windows": _mean(group.windows),
        "windows_left": _mean(group.left),
        "accuracy": scores["all"],
        "accuracy_of_seeds": group.accuracy,
        "temporal_accuracy": scores[TEMPORAL],
        "families": {name: score for name, score in scores.items() if name not in ("all", TEMPORAL)},
        "questions": int(asked.sum()),
        f"vs_{DENSE}": _versus(group, _dense_of(group, groups), questions, parts),
        f"vs_{CONTROL}": _versus(group, _control_of(group, groups), questions, parts),
    }


def _dense_of(group: Group, groups: Sequence[Group]) -> Group | None:
    """The dense model with as much training; shown as many frames as in training, where it was asked so."""
    own = [other for other in groups if other.method == DENSE and other.setting == group.setting]
    own = [other for other in own if other.frames_scale in (1.0, group.frames_scale)]
    return min(own, key=lambda other: other.frames_scale != 1.0, default=None)


def _control_of(group: Group, groups: Sequence[Group]) -> Group | None:
    """Random dropping of as many windows of as many frames."""
    alike = (group.setting, group.remove, group.frames_scale)
    own = (g for g in groups if g.method == CONTROL and (g.setting, g.remove, g.frames_scale) == alike)
    return next(own, None)


def _versus(
    group: Group, other: Group | None, questions: Questions, parts: Mapping[str, np.ndarray]
) -> dict[str, Any] | None:
    """Differences over all questions and over the temporal ones; None against itself, or where there is no other."""
    if other is None or other is group:
        return None
    difference = group.right - other.right
    shared = np.isfinite(difference)
    found = {}
    for name in ("all", TEMPORAL):
        counted = shared & parts[name]
        if counted.any():
            found[name] = paired_interval(difference[counted], questions.clip[counted])._asdict()
    return found or None


def _mean(values: Sequence[float] | np.ndarray) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _varying(row: Mapping[str, Any], name: str) -> Any:
    """Untrained rows have no steps, which is told in another column."""
    return None if name == "steps" and not row["trained"] else row[name]


def _row_name(row: Mapping[str, Any], told: Sequence[str]) -> list[str]:
    cells_of_row = {"steps": str(row["steps"]), "frames_scale": f"{row['frames_scale']:g}x"}
    return [row["method"], f"{row['remove']:g}", "yes" if row["trained"] else "no", *(cells_of_row[n] for n in told)]


def _summary(row: Mapping[str, Any]) -> list[str]:
    of_seeds = row["accuracy_of_seeds"]
    spread = f"{_percent(min(of_seeds))}-{_percent(max(of_seeds))} ({len(of_seeds)})" if len(of_seeds) > 1 else "1"
    entering, left = f"{row['windows']:.1f}", f"{row['windows_left']:.1f}"
    return [
        entering if entering == left else f"{entering} > {left}",
        _percent(row["accuracy"]),
        spread,
        _percent(row["temporal_accuracy"]),
        _points(row[f"vs_{DENSE}"]),
        _points(row[f"vs_{CONTROL}"]),
    ]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def _points(versus: Mapping[str, Any] | None) -> str:
    if versus is None:
        return "-"
    interval = Interval(**versus["all"])
    return f"{100 * interval.mean:+.1f} [{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]"


def _aligned(table: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in table]
    return "\n".join("  ".join(line).rstrip() for line in lines)


def _markdown(table: Sequence[Sequence[str]]) -> str:
    head, *rows = table
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rows])
