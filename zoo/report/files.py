"""The files of a run folder that a report is made of, and how each is read.

Written by Lightning: `config.yaml`, `metrics.csv`. Written by `zoo.callbacks`: the others; a test run also keeps a copy
of the training curves of the run whose checkpoint it tests, and a resumed run those of the runs that it continues.
"""

import csv
import json
import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONFIG = "config.yaml"
METRICS = "metrics.csv"
EARLIER_METRICS = "earlier_metrics.csv"
TRAINING_METRICS = "training_metrics.csv"
THROUGHPUT = "throughput.json"
RESULTS = "results.json"
SAMPLES = "samples.json"
PREDICTIONS = "predictions.jsonl"
MEDIA_FOLDER = "media"
SIMULATOR_FOLDER = "simulator"
TRAJECTORY_FOLDER = "trajectories"
REPORT = "report.html"

Series = list[tuple[int, float]]
"""(step, value) pairs in the order of the file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFiles:
    """What a run folder holds.

    Args:
        folder: The run folder.
        config: Text of the configuration; None where there is none.
        metrics: Series by column, of this run and of the training it tests.
        throughput: Speed of training; None where nothing was trained.
        results: Accuracies of an evaluation; None where there was none.
        samples: Example clips with predictions; None where there are none.
        missing: Sentences about what is not there, or does not parse.
    """

    folder: Path
    config: str | None
    metrics: dict[str, Series]
    throughput: dict[str, Any] | None
    results: dict[str, Any] | None
    samples: dict[str, Any] | None
    missing: tuple[str, ...]


def read_run(folder: Path) -> RunFiles:
    """Read whatever is there.

    Raises:
        FileNotFoundError: no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no run folder {folder}")
    missing: list[str] = []

    def read(name: str, parse: Callable[[Path], Any], without: str) -> Any:
        path = folder / name
        if not path.is_file():
            missing.append(f"{name}: {without}")
            return None
        try:
            return parse(path)
        except (ValueError, csv.Error) as error:
            missing.append(f"{name} does not parse: {error}")
            return None

    config = read(CONFIG, _text, "the configuration was not saved")
    metrics = read(METRICS, read_metrics, "no CSVLogger wrote into this folder, so there are no curves") or {}
    if (folder / EARLIER_METRICS).is_file():
        earlier = read(EARLIER_METRICS, read_metrics, "") or {}
        metrics = {name: earlier.get(name, []) + metrics.get(name, []) for name in [*earlier, *metrics]}
    if (folder / TRAINING_METRICS).is_file():
        metrics = (read(TRAINING_METRICS, read_metrics, "") or {}) | metrics
    return RunFiles(
        folder=folder,
        config=config,
        metrics=metrics,
        throughput=read(THROUGHPUT, _json_object, "nothing was trained in this run"),
        results=read(RESULTS, _json_object, "no evaluation was finished; run zoo test"),
        samples=read(SAMPLES, _json_object, "no clip was answered in this run"),
        missing=tuple(missing),
    )


def read_metrics(path: Path) -> dict[str, Series]:
    """Columns of a CSVLogger's file as series over steps; empty cells and numbers that are none are left out."""
    series: dict[str, Series] = defaultdict(list)
    with path.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            step = _number(row.get("step"))
            for name, cell in row.items():
                value = _number(cell)
                if name not in (None, "step", "epoch") and step is not None and value is not None:
                    series[name].append((int(step), value))
    return dict(series)


def copy_metrics(run: Path, target: Path, *, before_step: int | None = None) -> None:
    """Write the metrics of a run, and of the runs that it continued, into one file; none where it has none.

    Args:
        run: Folder of the run.
        target: File to write.
        before_step: Leave out rows from this step on.
    """
    columns: dict[str, None] = {}  # in the order of their first appearance
    rows: list[dict[str, str]] = []
    for name in (EARLIER_METRICS, METRICS):
        if (run / name).is_file():
            with (run / name).open(newline="", encoding="utf-8") as stream:
                reader = csv.DictReader(stream, restkey="", restval="")
                rows += [row for row in reader if before_step is None or (_number(row.get("step")) or 0) < before_step]
                columns |= dict.fromkeys(reader.fieldnames or ())
    if columns:
        with target.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(columns), restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)


def _number(cell: Any) -> float | None:
    try:
        value = float(cell)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _json_object(path: Path) -> dict[str, Any]:
    value = json.loads(_text(path))
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, found {type(value).__name__}")  # noqa: TRY004 - a fault of the text
    return value
