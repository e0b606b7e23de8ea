import pytest

from zoo.metrics import FamilyAccuracy


def test_accuracy_is_counted_overall_and_per_family():
    metric = FamilyAccuracy()
    metric.update(["count", "zählen", "count"], [True, False, False])
    metric.update(["count"], [True])
    metric.update([], [])
    scores = {name: value.item() for name, value in metric.compute().items()}
    assert scores == pytest.approx({"accuracy": 0.5, "accuracy/count": 2 / 3, "accuracy/zählen": 0.0})


def test_nothing_counted_is_nothing_said():
    assert FamilyAccuracy().compute() == {}


def test_two_processes_that_met_different_families_agree():
    one, two = FamilyAccuracy(), FamilyAccuracy()
    one.update(["count"], [True])
    two.update(["order", "count"], [False, False])
    both = FamilyAccuracy()
    for name in ("families", "correct"):
        setattr(both, name, getattr(one, name) + getattr(two, name))  # what a gather does to concatenated states
    assert {n: v.item() for n, v in both.compute().items()} == pytest.approx(
        {"accuracy": 1 / 3, "accuracy/count": 0.5, "accuracy/order": 0.0}
    )
