"""What a reader of the questions alone would score: the floor that every result on a data set must be compared with."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class BlindAccuracy:
    """Accuracy of the majority answer of each question text, fitted on one set and measured on another."""

    overall: float
    families: dict[str, float]
    num_questions: int


def blind_accuracy(fit: Iterable[Mapping[str, Any]], measure: Iterable[Mapping[str, Any]]) -> BlindAccuracy:
    """Fit the best text-only predictor and measure it.

    A text that the fitted set lacks is answered with its family's majority answer.

    Args:
        fit: Annotations (`family`, `question`, `answer`) of the training split.
        measure: Annotations of held-out clips.
    Raises:
        ValueError: nothing to measure.
    """
    by_text: dict[str, Counter[str]] = defaultdict(Counter)
    by_family: dict[str, Counter[str]] = defaultdict(Counter)
    for annotation in fit:
        by_text[annotation["question"]][annotation["answer"]] += 1
        by_family[annotation["family"]][annotation["answer"]] += 1
    hits: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    for annotation in measure:
        family = annotation["family"]
        counts = by_text.get(annotation["question"]) or by_family.get(family)
        totals[family] += 1
        hits[family] += counts is not None and counts.most_common(1)[0][0] == annotation["answer"]
    if not totals:
        raise ValueError("blind_accuracy: no annotation to measure on")
    families = {family: hits[family] / totals[family] for family in sorted(totals)}
    return BlindAccuracy(
        overall=sum(hits.values()) / sum(totals.values()), families=families, num_questions=sum(totals.values())
    )
