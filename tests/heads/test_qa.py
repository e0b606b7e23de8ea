import numpy as np
import pytest

from zoo.head import Message
from zoo.heads.qa import QuestionAnswering, judged, normalised
from zoo.metrics import SHORT_SCORES
from zoo.shards.reader import Sample
from zoo.shards.schema import SHORT_SCORES as RECORDED

RECORD = {
    "annotations": [
        {"family": "count", "question": f"How many {n}?", "answer": str(n), "temporal": n == 2} for n in range(5)
    ],
    "descriptions": [{"request": "Describe.", "text": "red cube, blue ball"}],
}
SAMPLE = Sample("clip", "shard", RECORD, {})


def render(training=True, **arguments):
    return QuestionAnswering(**arguments).renderer()(SAMPLE, None, np.random.default_rng(0), training=training)


def test_annotations_become_messages():
    messages = render()
    assert [(m.prompt, m.answer, m.temporal) for m in messages] == [
        (f"How many {n}?", str(n), n == 2) for n in range(5)
    ]


def test_earlier_turns_come_along():
    turn = {"question": "What is it?", "answer": "a cube"}
    note = {"family": "f", "question": "What colour?", "answer": "red", "temporal": False, "history": [turn]}
    sample = Sample("clip", "shard", {"annotations": [note, {**note, "history": []}]}, {})
    first, second = QuestionAnswering().renderer()(sample, None, np.random.default_rng(0), training=True)
    assert first.history == (("What is it?", "a cube"),)
    assert second.history == ()


def test_questions_are_drawn_without_repeats_and_in_order():
    prompts = [m.prompt for m in render(max_questions=3)]
    assert len(prompts) == 3
    assert prompts == sorted(set(prompts))


def test_descriptions_are_learnt_from_and_never_scored():
    *_, described = render(description_weight=2.0)
    assert (described.prompt, described.answer, described.weight) == ("Describe.", "red cube, blue ball", 2.0)
    assert not described.is_scored
    assert all(m.is_scored for m in render(training=False, description_weight=2.0))
    assert len(render()) == 5


def test_tests_ask_everything():
    assert len(render(training=False, max_questions=2)) == 5


@pytest.mark.parametrize(("text", "expected"), [("  Red ", "red"), ("two  words.", "two words"), ("", "")])
def test_answers_are_compared_without_case_and_spaces(text, expected):
    assert normalised(text) == expected


CHOICE = {"family": "f", "question": "What colour?", "answer": "blue", "temporal": False, "choices": ["red", "blue"]}


def test_listed_choices_are_answered_as_they_are_written():
    sample = Sample("clip", "shard", {"annotations": [CHOICE | {"style": "vqa2"}]}, {})
    head = QuestionAnswering(lists_choices=True)
    (asked,) = head.renderer()(sample, None, np.random.default_rng(0), training=False)
    assert asked.prompt == "What colour?\nOnly return the correct answer option.\nA. red\nB. blue"
    assert (asked.answer, asked.style) == ("B. blue", "vqa2")
    for seed in range(40):
        (drawn,) = head.renderer()(sample, None, np.random.default_rng(seed), training=True)
        assert drawn.answer in drawn.prompt and "red" not in drawn.answer
    (hidden,) = QuestionAnswering().renderer()(sample, None, np.random.default_rng(0), training=False)
    assert (hidden.prompt, hidden.answer) == ("What colour?", "blue")


def message(answer, **how):
    return Message(head="qa", prompt="?", answer=answer, family="f", **how)


@pytest.mark.parametrize(
    ("text", "is_right"),
    [
        ("B. blue", True),
        ("b", True),
        ("(B)", True),
        ("Blue.", True),
        ("the answer is B", True),
        ("A", False),
        ("", False),
    ],
)
def test_a_listed_choice_may_be_named_by_its_letter(text, is_right):
    assert judged(text, message("B. blue", choices=("red", "blue"))) == (is_right, {})


def test_letters_mean_nothing_where_no_choices_are_listed():
    assert judged("B", message("blue")) == (False, {})


@pytest.mark.parametrize(
    ("score", "text", "references", "expected"),
    [
        ("vqa_score", "a dog", ["dog", "dog", "cat"], 2 / 9 * 2),  # leaving out: 1/3, 1/3, 2/3
        ("relaxed_accuracy", "104", ["100"], 1.0),
        ("relaxed_accuracy", "106", ["100"], 0.0),
        ("anls", "hallo", ["hello"], 0.8),
        ("anls", "hallo", [], 0.8),
    ],
)
def test_short_answers_are_scored_as_their_annotation_says(score, text, references, expected):
    annotation = {"family": "f", "question": "?", "answer": "hello", "temporal": False, "score": score}
    sample = Sample("a", "s", {"annotations": [annotation | ({"references": references} if references else {})]}, {})
    (asked,) = QuestionAnswering().renderer()(sample, None, np.random.default_rng(0), training=False)
    correct, scores = judged(text, asked)
    assert correct is None
    assert scores == {score: pytest.approx(expected)}
    (learnt,) = QuestionAnswering().renderer()(sample, None, np.random.default_rng(0), training=True)
    assert (learnt.score, learnt.references) == (None, ())


def test_names_of_scores_are_those_that_records_may_have():
    assert tuple(SHORT_SCORES) == RECORDED
