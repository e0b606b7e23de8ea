"""From predictions to results, as JSON and as a table: accuracies by family with their controls and baseline, and mean
scores of answers that are neither right nor wrong as a whole.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from lightning.pytorch import Trainer

from zoo.head import Prediction
from zoo.metrics.scored import Tally, add_tally
from zoo.report.page import percent
from zoo.shards.blind import BlindAccuracy
from zoo.shards.reader import Sample

Item = TypeVar("Item")

SPLIT_NAMES = {"train": "training", "validate": "validation", "test": "held-out", "predict": "predicted"}


@runtime_checkable
class SampleSource(Protocol):
    """A datamodule that can be asked for samples without running its loaders."""

    def records(self, stage: Any) -> Iterator[dict[str, Any]]:
        """JSON of every sample of a stage: train, validate, test or predict."""

    def samples(self, stage: Any, keys: Collection[str]) -> dict[str, Sample]:
        """Whole samples of a stage by key."""


def gather(trainer: Trainer, items: list[Item]) -> list[Item]:
    """The items of all ranks, rank by rank; must be called on every rank."""
    if trainer.world_size == 1:
        return items
    import torch.distributed

    parts: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(parts, items)
    return [item for part in parts for item in part]


def results_of(
    predictions: Sequence[Prediction],
    *,
    stage: str,
    controls: Mapping[str, Sequence[Prediction]] | None = None,
    blind: BlindAccuracy | None = None,
    checkpoint: str | None = None,
) -> dict[str, Any]:
    """Accuracies and mean scores as plain JSON.

    Args:
        predictions: Scored answers; at least one.
        stage: Which part of the data was asked about: train, validate, test or predict.
        controls: Answers to the same questions about altered pixels, by name of the control.
        blind: Baseline over the same questions.
        checkpoint: Path of the weights.
    Returns:
        `accuracy`, `questions`, `blind`, `families` (each with `accuracy`, `questions`, `temporal`, `blind` and
        `controls`) and `controls` (each with `accuracy` over all and `temporal` over the families that need the order
        of frames); `scored`, by family, the `answers` that carry scores instead, their mean `scores`, those under
        `controls`, and as `tables` their tallies: by `<score>/<group>` and bin the `share` and the `cases` in it.
    """
    scored = _scored(predictions, controls or {})
    predictions = _judged(predictions)
    controls = {name: judged for name, answers in (controls or {}).items() if (judged := _judged(answers))}
    under = {name: _by_family(answers) for name, answers in controls.items()}
    families = {}
    for family, answers in _by_family(predictions).items():
        families[family] = {
            "questions": len(answers),
            "accuracy": _accuracy(answers),
            "temporal": all(answer.temporal for answer in answers),
            "blind": blind.families.get(family) if blind else None,
            "controls": {name: _accuracy(by_family.get(family, [])) for name, by_family in under.items()},
        }
    return {
        "split": SPLIT_NAMES[stage],
        "checkpoint": checkpoint,
        "questions": len(predictions),
        "accuracy": _accuracy(predictions),
        "temporal_accuracy": _accuracy([answer for answer in predictions if answer.temporal]),
        "blind": blind.overall if blind else None,
        "families": families,
        "controls": {
            name: {
                "accuracy": _accuracy(answers),
                "temporal": _accuracy([answer for answer in answers if answer.temporal]),
            }
            for name, answers in controls.items()
        },
        "scored": scored,
    }


def _judged(predictions: Sequence[Prediction]) -> list[Prediction]:
    """Answers that are right or wrong as a whole."""
    return [answer for answer in predictions if answer.correct is not None]


def _scored(predictions: Sequence[Prediction], controls: Mapping[str, Sequence[Prediction]]) -> dict[str, Any]:
    """Mean scores by family of the answers that are neither."""
    under = {name: _by_family([a for a in answers if a.correct is None]) for name, answers in controls.items()}
    return {
        family: {
            "answers": len(answers),
            "scores": _means(answers),
            "controls": {name: _means(by_family[family]) for name, by_family in under.items() if family in by_family},
            "tables": _tables(answers),
        }
        for family, answers in _by_family([a for a in predictions if a.correct is None]).items()
    }


def _tables(answers: Sequence[Prediction]) -> dict[str, dict[str, dict[str, float]]]:
    tables: dict[str, dict[str, Tally]] = defaultdict(dict)
    for answer in answers:
        for name, (hits, cases) in answer.tallies.items():
            table, _, bin_name = name.rpartition("/")
            add_tally(tables[table], bin_name, hits, cases)
    return {
        table: {
            name: {"share": hits / cases, "cases": cases} for name, (hits, cases) in sorted(bins.items(), key=_size)
        }
        for table, bins in sorted(tables.items())
    }


def _size(item: tuple[str, Tally]) -> tuple[int, str]:
    """Bins in the order of their lower limits."""
    limit = re.match(r"\d+", item[0])
    return int(limit[0]) if limit else 0, item[0]


def _means(answers: Sequence[Prediction]) -> dict[str, float]:
    """Of every score, over the answers that have it."""
    names = dict.fromkeys(name for answer in answers for name in answer.scores)
    given = {name: [answer.scores[name] for answer in answers if name in answer.scores] for name in names}
    return {name: sum(scores) / len(scores) for name, scores in given.items()}


def results_text(results: Mapping[str, Any]) -> str:
    """A table of the families, then the lines that sum up; a star marks temporal families."""
    lines = _accuracy_lines(results) if results["questions"] else []
    for family, entry in results["scored"].items():
        lines.append(f"{results['split']} {family}: {_shares(entry['scores'])} ({entry['answers']:,} answers)")
        lines += [f"  {name.replace('_', ' ')}: {_shares(scores)}" for name, scores in entry["controls"].items()]
        for name, bins in entry["tables"].items():
            cells = (f"{bin_name} {percent(cell['share'])} ({cell['cases']:,.0f})" for bin_name, cell in bins.items())
            lines.append(f"  {name.replace('/', ' by ').replace('_', ' ')}: {', '.join(cells)}")
    return "\n".join(lines)


def _shares(scores: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {percent(share)}" for name, share in scores.items())


def _accuracy_lines(results: Mapping[str, Any]) -> list[str]:
    controls = list(results["controls"])
    head = ["family", "questions", "accuracy", "blind", *(name.replace("_", " ") for name in controls)]
    rows = [
        _cells(f"{name} *" if scores["temporal"] else name, scores, [scores["controls"].get(c) for c in controls])
        for name, scores in results["families"].items()
    ]
    rows.append(_cells("all", results, [results["controls"][name]["accuracy"] for name in controls]))
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = ["  ".join(_pad(cell, width, column) for column, (cell, width) in enumerate(zip(row, widths, strict=True)))
             for row in [head, *rows]]  # fmt: skip
    if any(scores["temporal"] for scores in results["families"].values()):
        lines.append("* the answer depends on the order of frames")
        taken = [f"{name.replace('_', ' ')} {percent(results['controls'][name]['temporal'])}" for name in controls]
        lines.append("; ".join([f"temporal families: {percent(results['temporal_accuracy'])}", *taken]))
    lines.append(f"{results['split']} accuracy: {percent(results['accuracy'])} ({results['questions']:,} questions)")
    if results["blind"] is not None:
        lines.append(f"blind baseline: {percent(results['blind'])}")
    return lines


def _by_family(predictions: Sequence[Prediction]) -> dict[str, list[Prediction]]:
    grouped: dict[str, list[Prediction]] = defaultdict(list)
    for prediction in predictions:
        grouped[prediction.family].append(prediction)
    return dict(sorted(grouped.items()))


def _accuracy(predictions: Sequence[Prediction]) -> float | None:
    return sum(answer.correct for answer in predictions) / len(predictions) if predictions else None


def _cells(name: str, scores: Mapping[str, Any], controls: Sequence[float | None]) -> list[str]:
    return [name, f"{scores['questions']:,}", *map(percent, (scores["accuracy"], scores["blind"], *controls))]


def _pad(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column == 0 else cell.rjust(width)
