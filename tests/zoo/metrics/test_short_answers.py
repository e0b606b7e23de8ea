import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.metrics import anls, choice_index, relaxed_accuracy, vqa_score
from zoo.metrics.short_answers import vqa_text


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("The Red  Cup.", "red cup"),
        ("two dogs", "2 dogs"),
        ("None", "0"),
        ("I dont know", "i don't know"),
        ("blue/green", "blue green"),
        ("wait, what?", "wait what"),
        ("1,000", "1000"),
        ("3.5 miles.", "3.5 miles"),
        ("it's", "it's"),
        ("were", "were"),  # the letters of we're, but a word of its own
    ],
)
def test_vqa_compares_plain_text(text, plain):
    assert vqa_text(text) == plain


def test_vqa_leaves_each_reference_out_in_turn():
    ten = ["cat"] * 3 + ["a dog"] * 7
    # 3 of 10 say cat: leaving out one of them leaves 2 (2/3), leaving out another leaves 3 (1).
    assert vqa_score("Cat", ten) == pytest.approx((3 * 2 / 3 + 7 * 1) / 10)
    assert vqa_score("dog", ten) == 1.0
    assert vqa_score("bird", ten) == 0.0
    assert vqa_score("cat", ["cat"]) == 1.0
    assert vqa_score("cat", ["the cat"] + ["dog"] * 9) == pytest.approx(0.3)
    with pytest.raises(ValueError, match="no reference"):
        vqa_score("cat", [])


@pytest.mark.parametrize(
    ("answer", "reference", "is_right"),
    [
        ("105", "100", True),
        ("105.1", "100", False),
        ("95", "100", True),
        ("-95", "100", False),
        ("50%", "0.5", True),
        ("12 %", "12%", True),
        ("12", "12%", False),
        ("0", "0", True),
        ("0.01", "0", False),
        ("United States", "united states", True),
        ("States", "United States", False),
        ("nan", "nan", True),  # a text
        ("inf", "7", False),
        ("1e2", "100", True),
    ],
)
def test_relaxed_accuracy_forgives_five_percent(answer, reference, is_right):
    assert relaxed_accuracy(answer, ["something else", reference]) == float(is_right)


def test_anls_is_the_similarity_to_the_nearest_reference_above_a_half():
    assert anls("Kitten", ["sitting"]) == pytest.approx(1 - 3 / 7)  # three edits
    assert anls("abcd", ["abxy"]) == 0.0  # two of four: a half is nothing
    assert anls("abcde", ["abcxy"]) == pytest.approx(0.6)
    assert anls("hello", ["yellow", "Hello"]) == 1.0
    assert anls(" a  big\ncat", ["A big cat "]) == 1.0
    assert anls("", ["word"]) == 0.0
    assert anls("", [""]) == 1.0
    assert anls("word", []) == 0.0


CHOICES = ["red", "dark red", "a blue cube", "B"]


@pytest.mark.parametrize(
    ("answer", "index"),
    [
        ("A", 0),
        ("b)", 1),
        ("(C)", 2),
        ("c) something", 2),
        ("Dark red.", 1),
        ("The answer is C", 2),
        ("Answer: (a)", 0),
        ("a blue cube", 2),
        ("It is a blue cube, I think", 2),
        ("A blue ball", None),
        ("B", 3),  # the text of a choice comes before its letter
        ("E", None),
        ("it is dark red", None),  # red is in it as well
        ("", None),
    ],
)
def test_a_choice_is_named_by_letter_or_text(answer, index):
    assert choice_index(answer, CHOICES) == index


@given(st.text(max_size=12), st.text(max_size=12))
def test_any_text_has_a_score(one, other):
    for score in (vqa_score, relaxed_accuracy, anls):
        assert 0.0 <= score(one, [other]) <= 1.0
        assert score(one, [one]) == 1.0
    assert choice_index(one, ["x", "y"]) in (0, 1, None)
