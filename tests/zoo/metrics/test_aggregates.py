import dataclasses

import pytest
import torch

from zoo.head import Prediction
from zoo.metrics import FamilyAccuracy, FamilyScores, MeanScores, Tallies


def answers(families, correct, scores=()):
    return [
        Prediction(
            key="k",
            head="qa",
            family=family,
            prompt="q",
            truth="t",
            answer="a",
            correct=is_right,
            temporal=False,
            scores=dict(scores),
        )
        for family, is_right in zip(families, correct, strict=True)
    ]


def tallied(tallies):
    return dataclasses.replace(answers(["points"], [None])[0], tallies=tallies)


def test_accuracy_is_counted_overall_and_per_family():
    metric = FamilyAccuracy()
    metric.update(answers(["count", "zählen", "count"], [True, False, False]))
    metric.update(answers(["count"], [True]))
    metric.update([])
    metric.update(answers(["caption"], [None]))
    scores = {name: value.item() for name, value in metric.compute().items()}
    assert scores == pytest.approx({"accuracy": 0.5, "accuracy/count": 2 / 3, "accuracy/zählen": 0.0})


def test_nothing_counted_is_nothing_said():
    assert FamilyAccuracy().compute() == {}


def test_two_processes_that_met_different_families_agree():
    one, two = FamilyAccuracy(), FamilyAccuracy()
    one.update(answers(["count"], [True]))
    two.update(answers(["order", "count"], [False, False]))
    both = FamilyAccuracy()
    for name in ("families", "correct"):
        setattr(both, name, getattr(one, name) + getattr(two, name))  # what a gather does to concatenated states
    assert {n: v.item() for n, v in both.compute().items()} == pytest.approx(
        {"accuracy": 1 / 3, "accuracy/count": 0.5, "accuracy/order": 0.0}
    )


def test_scores_are_averaged_over_answers_not_over_batches():
    metric = MeanScores(("precision", "recall"))
    metric.update(answers(["caption"], [None], {"precision": 1.0, "recall": 0.5}))
    metric.update(answers(["caption"] * 3, [None] * 3, {"precision": 0.0, "recall": 0.5}))
    metric.update([])
    assert {n: v.item() for n, v in metric.compute().items()} == pytest.approx({"precision": 0.25, "recall": 0.5})


def test_no_answer_has_no_score():
    assert MeanScores(("f1",)).compute() == {}


def test_scores_are_averaged_by_name_and_family():
    metric = FamilyScores()
    metric.update(answers(["doc", "doc"], [None, None], {"anls": 0.5}) + answers(["count"], [True]))
    metric.update(answers(["doc"], [None], {"anls": 1.0}) + answers(["chart"], [None], {"relaxed_accuracy": 1.0}))
    metric.update([])
    means = {name: value.item() for name, value in metric.compute().items()}
    assert means == pytest.approx({"anls/doc": 2 / 3, "relaxed_accuracy/chart": 1.0})
    assert FamilyScores().compute() == {}


def test_tallies_are_summed_before_they_are_divided():
    metric = Tallies()
    metric.update([tallied({"recall/large": (2, 3)}), tallied({"recall/large": (0, 1), "f1/0-5": (0.5, 1)})])
    metric.update([])
    metric.update([tallied({"f1/0-5": (1.0, 1)}), tallied({})])
    assert {n: v.item() for n, v in metric.compute().items()} == pytest.approx({"recall/large": 0.5, "f1/0-5": 0.75})


def test_tallies_of_two_processes_are_those_of_one():
    one, two, both = Tallies(), Tallies(), Tallies()
    one.update([tallied({"recall/large": (2, 3)})])
    two.update([tallied({"recall/large": (1, 1), "recall/zählt nicht": (0, 2)})])
    both.update([])
    for name in ("tally_names", "counts"):
        setattr(both, name, torch.cat(getattr(one, name) + getattr(two, name)))  # what a gather does
    assert {n: v.item() for n, v in both.compute().items()} == {"recall/large": 0.75, "recall/zählt nicht": 0.0}


def test_a_long_name_is_cut_between_letters():
    metric = Tallies()
    metric.update([tallied({"ä" * 30: (1, 1)}), tallied({"x" + "ä" * 30: (1, 2)})])
    assert set(metric.compute()) == {"ä" * 24, "x" + "ä" * 23}
