"""The blind baseline on numbers that can be counted by hand."""

import pytest

from zoo.shards.blind import blind_accuracy


def annotation(question: str, answer: str, family: str = "f") -> dict:
    return {"family": family, "question": question, "answer": answer}


def test_majority_answer_per_text():
    fit = [annotation("a", "x")] * 3 + [annotation("a", "y")] + [annotation("b", "y", "g")] * 2
    measure = [annotation("a", "x"), annotation("a", "y"), annotation("a", "x"), annotation("b", "x", "g")]
    blind = blind_accuracy(fit, measure)
    assert blind.families == {"f": 2 / 3, "g": 0.0}
    assert blind.overall == 0.5
    assert blind.num_questions == 4


def test_an_unseen_text_gets_its_familys_majority_answer():
    fit = [annotation("a", "x"), annotation("b", "x"), annotation("b", "y")]
    assert blind_accuracy(fit, [annotation("c", "x"), annotation("c", "y")]).overall == 0.5


def test_an_unseen_family_scores_nothing():
    assert blind_accuracy([], [annotation("a", "x")]).overall == 0


def test_nothing_to_measure():
    with pytest.raises(ValueError, match="no annotation"):
        blind_accuracy([annotation("a", "x")], [])
