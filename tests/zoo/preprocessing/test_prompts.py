import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import ConfigError
from zoo.preprocessing.prompts import (
    DEMO_STYLES,
    choice_question,
    drawn_choice_question,
    joined,
    style_prefix,
    subtitle_text,
)
from zoo.preprocessing.settings import InputSettings


def prefix(style, rule, *, training=False, characters=0, hint=65, seed=0):
    return style_prefix(
        style,
        rule=rule,
        num_characters=characters,
        length_hint=hint,
        generator=np.random.default_rng(seed),
        training=training,
    )


@pytest.mark.parametrize(
    ("style", "rule", "expected"),
    [
        ("vqa2", "style", "vqa2:"),
        ("user_qa", "style", ""),
        ("video_multiple_choice", "style", ""),
        ("vqa2", "none", ""),
        ("long_caption", "style_and_length", "long_caption 65:"),
        ("pointing", "style_and_length", "pointing:"),
    ],
)
def test_styles_stand_before_what_no_person_would_ask(style, rule, expected):
    assert prefix(style, rule) == expected


def test_no_hint_at_inference_leaves_the_style():
    assert prefix("long_caption", "style_and_length", hint=None) == "long_caption:"


def test_hints_say_roughly_how_long_and_are_left_out_in_a_tenth():
    drawn = [prefix("long_caption", "style_and_length", training=True, characters=1500, seed=s) for s in range(2000)]
    hints = [int(text.split()[1][:-1]) for text in drawn if text != "long_caption:"]
    assert 0.87 < len(hints) / len(drawn) < 0.93
    assert np.mean(hints) == pytest.approx(99.5, abs=0.3)  # floored
    assert np.std(hints) * 15 == pytest.approx(25, abs=2)


def test_prefix_and_question_are_joined_by_a_space():
    assert joined("vqa2:", "How many?") == "vqa2: How many?"
    assert joined("", "How many?") == "How many?"
    assert joined("long_caption 65:", "") == "long_caption 65:"


def test_pointing_and_choices_are_asked_as_a_person_would():
    assert {"pointing", "video_point_track_per_frame", "science_qa", "long_caption", "video_count"} <= DEMO_STYLES


def test_choices_at_evaluation():
    prompt, answers = choice_question("What colour?", ["red", "blue"])
    assert prompt == "What colour?\nOnly return the correct answer option.\nA. red\nB. blue"
    assert answers == ("A. red", "B. blue")


@given(st.lists(st.text("abc{}d", min_size=1, max_size=5), min_size=2, max_size=30, unique=True), st.integers(0, 2**16))
def test_drawn_forms_show_every_choice_and_answers_differ(choices, seed):
    prompt, answers = drawn_choice_question("What {is} it?", choices, np.random.default_rng(seed))
    assert "What {is} it?" in prompt
    assert all(choice in prompt for choice in choices)
    assert len(set(answers)) == len(answers) == len(choices)
    assert all(answer in prompt for answer in answers)


def test_a_tenth_of_the_drawn_forms_is_that_of_evaluation():
    standard, _ = choice_question("Q?", ["x", "y"])
    forms = [drawn_choice_question("Q?", ["x", "y"], np.random.default_rng(s))[0] for s in range(1500)]
    assert 0.08 < forms.count(standard) / len(forms) < 0.13
    assert len(set(forms)) > 40


LINES = [
    {"start_s": 0.0, "end_s": 1.25, "text": "hello"},
    {"start_s": 4.0, "end_s": 5.0, "text": "you"},
    {"start_s": 20.0, "end_s": 22.0, "text": "later"},
]


def test_subtitles_near_a_frame_are_shown():
    assert subtitle_text(LINES, [0.0, 6.0]) == "subtitle\n0.0 - 1.2 hello\n4.0 - 5.0 you"
    assert subtitle_text(LINES, [10.0]) == subtitle_text([], [0.0]) == ""
    assert subtitle_text(LINES, [6.1]) == ""
    assert subtitle_text(LINES, [21.0]) == "subtitle\n20.0 - 22.0 later"


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"max_crops": -1}, "max_crops is -1"),
        ({"max_images": 0, "eval_max_frames": 0}, "max_images is 0.*eval_max_frames is 0"),
        ({"max_aspect_ratio": 0.5}, "max_aspect_ratio is 0.5, expected 1 or more, or null"),
        ({"pointing_crops_share": 1.5}, "1.5, expected 0 to 1"),
        ({"frame_marks": "video"}, "frame_marks is 'video', expected one of frame, image, clip"),
        ({"prompts": "all"}, "prompts is 'all'"),
    ],
)
def test_impossible_settings_are_refused_at_once(arguments, match):
    with pytest.raises(ConfigError, match=match):
        InputSettings(**arguments)


def test_crops_differ_between_training_and_evaluation():
    settings = InputSettings(max_crops=8, eval_max_crops=24, pointing_crops_share=0.3)
    assert settings.crops(training=True) == 8
    assert settings.crops(training=False) == 24
    assert settings.crops(training=True, pointing_draw=0.2) == 24
    assert settings.crops(training=True, pointing_draw=0.4) == 8
    assert InputSettings(max_crops=8).crops(training=False) == 8
