"""Rows in every form that is read, rows that are refused with the reason, and anything at all."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.datamodules.readers.turns import COLUMNS, ROLES, Columns, parse_row
from zoo.errors import DataError
from zoo.shards.schema import validate_record


def parse(values, *, dialogue=True, **columns):
    return parse_row(values, columns=Columns(columns), family="question", dialogue=dialogue)


def note(question, answer, **more):
    return {"family": "question", "temporal": False, "question": question, "answer": answer} | more


LLAVA = {
    "id": "7",
    "image": "coco/7.jpg",
    "conversations": [
        {"from": "human", "value": "<image>\nWhat is on the mat?"},
        {"from": "gpt", "value": "A cat."},
        {"from": "human", "value": "What colour is it?"},
        {"from": "gpt", "value": "Black."},
    ],
}
OPENAI = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": "7.jpg"}},
                {"type": "text", "text": "What is on the mat?"},
            ],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "A cat."}]},
    ]
}
HISTORY = [{"question": "What is on the mat?", "answer": "A cat."}]


def test_llava_turns_see_the_turns_before_them():
    row = parse(LLAVA)
    assert row.media == "coco/7.jpg"
    assert row.annotations == [
        note("What is on the mat?", "A cat."),
        note("What colour is it?", "Black.", history=HISTORY),
    ]


def test_turns_may_be_kept_apart():
    assert [a.get("history") for a in parse(LLAVA, dialogue=False).annotations] == [None, None]


def test_openai_messages_with_parts_and_a_system_turn():
    row = parse(OPENAI)
    assert row.media == "7.jpg"
    assert row.annotations == [note("Be brief.\nWhat is on the mat?", "A cat.")]


@pytest.mark.parametrize(
    "conversation",
    [
        [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}],
        [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}],
        [{"role": "USER", "content": "Q"}, {"role": "model", "content": "A"}],
        [{"role": "user", "content": ["<video>", {"type": "video"}, "Q"]}, {"role": "assistant", "content": "A"}],
        [{"question": "Q", "answer": "A"}],
        [{"user": "Q", "assistant": "A", "source": "x"}],
        json.dumps([{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]),
    ],
)
@pytest.mark.parametrize("column", COLUMNS["conversation"])
def test_forms_of_one_turn(conversation, column):
    assert parse({"image": "a.png", column: conversation}).annotations == [note("Q", "A")]


def test_listed_pairs_stand_alone():
    rows = parse({"image": "a.png", "texts": [{"user": "Q", "assistant": "A"}, {"user": "R", "assistant": "B"}]})
    assert rows.annotations == [note("Q", "A"), note("R", "B")]


def test_turns_of_one_role_in_a_row_are_one():
    said = [("user", "Q"), ("user", "and R"), ("assistant", "A"), ("assistant", "B")]
    turns = [{"role": role, "content": text} for role, text in said]
    assert parse({"image": "a.png", "messages": turns}).annotations == [note("Q\nand R", "A\nB")]


@pytest.mark.parametrize(
    ("answer", "written"), [("red", "red"), (3, "3"), (2.5, "2.5"), (True, "yes"), (False, "no"), (" A b ", "A b")]
)
def test_plain_columns(answer, written):
    row = parse({"path": "v.mp4", "question": "What?", "answer": answer, "category": "x", "temporal": True})
    assert row.annotations == [{"family": "x", "temporal": True, "question": "What?", "answer": written}]


@pytest.mark.parametrize("answer", ["two", 1, "B", "b"])
def test_choices_by_text_place_or_letter(answer):
    row = parse({"video": "v.mp4", "question": "How many?", "answer": answer, "options": ["one", "two", 3]})
    assert row.annotations == [note("How many?", "two", choices=["one", "two", "3"])]


@pytest.mark.parametrize(
    ("row", "answer", "references"),
    [
        ({"answers": ["cat", "dog", "dog"]}, "dog", ["cat", "dog", "dog"]),
        ({"answers": [{"answer": "cat", "answer_id": 1}, {"answer": "dog"}]}, "cat", ["cat", "dog"]),
        ({"answer": "a cat", "references": ["cat", 3]}, "a cat", ["cat", "3"]),
        ({"answer": "a cat", "answers": "cat"}, "a cat", ["cat"]),
    ],
)
def test_several_answers_that_will_do(row, answer, references):
    (read,) = parse({"image": "a.jpg", "question": "What?"} | row).annotations
    assert read == note("What?", answer, references=references)


def test_columns_of_other_names():
    row = parse({"clip": "v.mp4", "q": "What?", "a": "red", "part": "dev"}, media="clip", question="q", answer="a",
                split="part")  # fmt: skip
    assert (row.media, row.split, row.annotations) == ("v.mp4", "val", [note("What?", "red")])


@pytest.mark.parametrize("media", ["a.png", ["a.png"], {"path": "a.png", "bytes": None}, [{"url": "a.png"}]])
def test_forms_of_media(media):
    assert parse({"images": media, "question": "Q", "answer": "A"}).media == "a.png"


def test_a_long_family_is_cut_between_letters():
    row = parse({"image": "a.png", "question": "Q", "answer": "A", "family": "ä" * 40})
    assert row.annotations[0]["family"] == "ä" * 24


CONVERSATION = [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]
BAD = {
    "nothing": ({}, "no column for conversation"),
    "no answer": ({"image": "a.png", "question": "Q"}, r"there are image, question; name yours"),
    "no media": ({"question": "Q", "answer": "A"}, r"no column for media \(media, image"),
    "empty question": ({"image": "a.png", "question": " <image> ", "answer": "A"}, "an empty question"),
    "empty answer": ({"image": "a.png", "question": "Q", "answer": ""}, "an empty answer"),
    "answer of a list": ({"image": "a.png", "question": "Q", "answer": ["A"]}, r"answer \['A'\], expected a text"),
    "half a letter": ({"image": "a.png", "question": "Q", "answer": "\ud800"}, "no valid Unicode"),
    "two images": ({"images": ["a.png", "b.png"], "question": "Q", "answer": "A"}, "2 images or videos"),
    "an address": ({"image": "https://x.org/a.png", "question": "Q", "answer": "A"}, "no path of a file"),
    "inline data": ({"image": "data:image/png;base64,AA", "question": "Q", "answer": "A"}, "no path of a file"),
    "media of a number": ({"image": 7, "question": "Q", "answer": "A"}, "media 7, expected the path"),
    "answer first": ({"image": "a.png", "messages": CONVERSATION[1:]}, "answer 'A' without a question"),
    "no answer behind": ({"image": "a.png", "messages": CONVERSATION[:1]}, "question 'Q' has no answer"),
    "no turns": ({"image": "a.png", "messages": []}, "has no turn"),
    "an unknown role": ({"image": "a.png", "messages": [{"role": "tool", "content": "x"}]}, "turn of role 'tool'"),
    "turn of text": ({"image": "a.png", "messages": ["Q"]}, "turn 'Q', expected an object"),
    "content of a number": ({"image": "a.png", "messages": [{"role": "user", "content": 7}]}, "content 7"),
    "an unknown part": ({"image": "a.png", "messages": [{"role": "user", "content": [{"type": "audio"}]}]}, "audio"),
    "no list": ({"image": "a.png", "messages": 7}, "the conversation is 7"),
    "text that is no JSON": ({"image": "a.png", "messages": "hello"}, "no JSON"),
    "a choice too few": ({"image": "a.png", "question": "Q", "answer": "A", "choices": ["A"]}, "two or more"),
    "no such choice": (
        {"image": "a.png", "question": "Q", "answer": "z", "choices": ["x", "y"]},
        "none of the choices",
    ),
    "no such place": ({"image": "a.png", "question": "Q", "answer": 2, "choices": ["x", "y"]}, "none of the choices"),
    "references of a number": ({"image": "a.png", "question": "Q", "answers": 7}, "references are 7, expected a list"),
    "an unknown split": ({"image": "a.png", "question": "Q", "answer": "A", "split": "misc"}, "split 'misc'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_rows_say_why(name):
    values, words = BAD[name]
    with pytest.raises(DataError, match=words):
        parse(values)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(sorted(ROLES)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "from", "content", "value", "type", "text", "image", "url", "question", "answer"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
ROW = st.dictionaries(st.sampled_from([name for names in COLUMNS.values() for name in names]), JSON, max_size=6)
RECORD = {"schema": "video_qa", "version": 1, "key": "k", "media": "png", "width": 1, "height": 1, "num_frames": 1,
          "fps": 1.0, "statements": [], "meta": {}}  # fmt: skip


@given(values=ROW, dialogue=st.booleans())
def test_any_row_is_read_into_the_schema_or_is_a_data_error(values, dialogue):
    try:
        row = parse(values, dialogue=dialogue)
    except DataError as error:
        assert str(error)  # noqa: PT017 - both outcomes are right, by value
    else:
        validate_record(RECORD | {"annotations": row.annotations})


WORDS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=6)


@given(pairs=st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=5), openai=st.booleans())
def test_round_trip_of_conversations(pairs, openai):
    names = ("role", "content", "user", "assistant") if openai else ("from", "value", "human", "gpt")
    turns = [
        {names[0]: names[2 + place], names[1]: text} for pair in pairs for place, text in enumerate(pair)
    ]  # fmt: skip
    annotations = parse({"image": "a.png", "messages": turns}).annotations
    assert [(a["question"], a["answer"]) for a in annotations] == pairs
    for place, annotation in enumerate(annotations):
        assert [(h["question"], h["answer"]) for h in annotation.get("history", [])] == pairs[:place]
