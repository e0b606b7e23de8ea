"""Questions about videos: choices, styles, categories, subtitles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from molmo2_rows import ask, cap_qa, lines, made, media, subtitle_qa

from zoo.datamodules.readers.molmo2.answers import multiple_choice
from zoo.errors import DataError


@pytest.fixture
def read(tmp_path):
    media(tmp_path / "media")

    def read(name, rows, **arguments):
        source = lines(tmp_path / "rows.jsonl", rows)
        root = str(tmp_path / "media")
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        return [s.record for s in made(name, source, out, media_root=root, val_share=0.0, **arguments)]

    return read


def test_rows_about_one_video_are_branches_of_one_sample(read):
    (record,) = read("molmo2_ask_model_anything", [ask(), ask(question="Who else?", answer=" She. ")])
    assert [(note["question"], note["answer"], note["style"]) for note in record["annotations"]] == [
        ("Why does he run?", "He is late.", "user_qa"),
        ("Who else?", "She.", "user_qa"),
    ]
    assert record["meta"]["id"] == "abc"


def test_the_right_answer_is_among_its_choices_once(read):
    (record,) = read("molmo2_video_cap_qa", [cap_qa()])
    (note,) = record["annotations"]
    assert (note["answer"], note["family"], note["style"]) == (
        "on the roof", "object location", "video_multiple_choice",
    )  # fmt: skip
    assert sorted(note["choices"]) == ["in the car", "on the roof", "under the bed"]


@given(question=st.text("abc ", min_size=1).filter(str.strip), wrong=st.sets(st.sampled_from("bcdefgh"), min_size=1))
def test_choices_have_an_order_that_hangs_on_the_question(question, wrong):
    values = {"Question": question, "Answer": "a", "NegativeAnswers": sorted(wrong)}
    note = multiple_choice(values)
    assert note == multiple_choice(values)
    assert sorted(note["choices"]) == ["a", *sorted(wrong)]
    assert [one for one in note["choices"] if one != "a"] == sorted(wrong)


def test_right_answers_are_at_every_place():
    places = {
        multiple_choice({"Question": f"q{n}", "Answer": "a", "NegativeAnswers": ["b", "c", "d"]})["choices"].index("a")
        for n in range(60)
    }
    assert places == {0, 1, 2, 3}


def test_long_questions_come_many_a_row(read):
    rows = [{"video_id": "abc", "qa_list": [cap_qa(), cap_qa(Question="Why?")]}]
    (record,) = read("molmo2_video_cap_qa", rows)
    assert [note["question"] for note in record["annotations"]] == ["Where is the cat?", "Why?"]


def test_subtitles_are_those_of_the_video_once(read):
    spoken = [{"start": 2, "end": 3, "text": " yes "}, {"start": 3, "end": 4, "text": "  "}]
    (record,) = read("molmo2_video_subtitle_qa", [subtitle_qa(subtitle=spoken), subtitle_qa(Question="Why?")])
    assert record["subtitles"] == [{"start_s": 2, "end_s": 3, "text": "yes"}]
    assert len(record["annotations"]) == 2


@pytest.mark.parametrize(
    ("name", "row", "words"),
    [
        ("molmo2_ask_model_anything", ask(answer=" "), "an empty answer"),
        ("molmo2_ask_model_anything", ask(question=None), "question None, expected a text"),
        ("molmo2_video_cap_qa", cap_qa(NegativeAnswers=["on the roof"]), "no answer that differs"),
        ("molmo2_video_cap_qa", cap_qa(NegativeAnswers="[1"), "no JSON"),
        ("molmo2_video_cap_qa", cap_qa(NegativeAnswers=None), "no answer that differs"),
        ("molmo2_video_cap_qa", {"video_id": "abc", "qa_list": []}, "qa_list is empty"),
        ("molmo2_video_cap_qa", {"video_id": "abc", "qa_list": ["x"]}, "qa_list holds 'x', expected an object"),
        ("molmo2_video_cap_qa", {"video_id": "abc", "Q": "x"}, "no column Question, Answer, NegativeAnswers and no qa"),
        ("molmo2_video_subtitle_qa", subtitle_qa(subtitle=[]), "no subtitle with a text"),
        ("molmo2_video_subtitle_qa", subtitle_qa(subtitle=[{"start": 4, "end": 1, "text": "x"}]), "from 4 to 1 s"),
        ("molmo2_video_subtitle_qa", subtitle_qa(subtitle=[{"start": "4", "end": 1, "text": "x"}]), "start is '4'"),
    ],
)
def test_rows_that_cannot_be_understood_are_named(read, name, row, words, caplog):
    good = {"molmo2_ask_model_anything": ask, "molmo2_video_cap_qa": cap_qa, "molmo2_video_subtitle_qa": subtitle_qa}
    assert len(read(name, [row, good[name]()])) == 1
    assert "rows.jsonl, line 1: " in caplog.text
    assert words in caplog.text
    with pytest.raises(DataError, match=r"line 1: .*on_bad_sample=skip"):
        read(name, [row, good[name]()], on_bad_sample="raise")
