"""Templates and verb pools of the sheet, section 1.12, spelled out here."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import DataError
from zoo.goal_texts import GO_TO, PICK_UP, TEMPLATES, goal_text, noun, with_article

MUG = {"synsets": ["mug.n.04"]}
SPECS = {
    "object_nav_type": (MUG, "{go} a mug"),
    "object_nav_room": (MUG | {"room_types": ["living_room"]}, "{go} a mug in the living room"),
    "object_nav_affordance": (
        MUG | {"affordance": "drinking from"},
        "{go} something that is best used for drinking from",
    ),
    "object_nav_local_ref": (
        MUG | {"reference_type": "near", "reference_synsets": ["apple.n.01", "dining_table.n.01"]},
        "{go} a mug near an apple and a dining table",
    ),
    "object_nav_description": (MUG | {"description": "red straight mug"}, "{go} the red straight mug"),
    "object_nav_rel_attribute": (
        MUG | {"rel_attribute": "largest", "room_types": ["kitchen"]},
        "{go} the largest mug in the kitchen",
    ),
    "room_nav": ({"room_types": ["office"]}, "{go} an office"),
    "room_visit": ({"num_rooms_in_house": 5}, "visit all 5 rooms of this house"),
    "pickup_type": (MUG, "{pick} a mug"),
    "fetch_type": (MUG, "{go} a mug and {pick_it}"),
}


def spec_of(task):
    return {"task_type": task, **SPECS[task][0]}


def wordings(template):
    picks = ("pick it up", *(f"{verb} it" for verb in PICK_UP if verb != "pick up"))
    return {template.format(go=go, pick=verb, pick_it=it) for go in GO_TO for verb in PICK_UP for it in picks}


@pytest.mark.parametrize("task", sorted(SPECS))
def test_every_wording_of_a_template_is_drawn_and_no_other(task):
    spec, expected = spec_of(task), wordings(SPECS[task][1])
    assert {goal_text(spec, np.random.default_rng(seed)) for seed in range(500)} == expected


def test_there_is_a_template_for_each_of_the_ten_tasks():
    assert set(SPECS) == set(TEMPLATES)
    assert len(TEMPLATES) == 10


def test_distances_are_to_a_reference():
    spec = spec_of("object_nav_rel_attribute") | {
        "rel_attribute": "closest to",
        "reference_synsets": ["refrigerator.n.01"],
        "room_types": [],
    }
    assert goal_text(spec, np.random.default_rng(0)).endswith("the mug closest to the fridge")


def test_a_house_of_one_room_is_not_in_the_plural():
    spec = {"task_type": "room_visit", "num_rooms_in_house": 1}
    assert goal_text(spec, np.random.default_rng(0)) == "visit the only room of this house"


@pytest.mark.parametrize(
    ("synset", "word"),
    [("mug.n.04", "mug"), ("dining_table.n.01", "dining table"), ("ashcan.n.01", "garbage can")],
)
def test_words_of_synsets(synset, word):
    assert noun(synset) == word


@given(st.sampled_from(["apple", "egg", "oven", "iron", "umbrella"]), st.sampled_from(["mug", "sofa", "bed"]))
def test_articles(vowel, consonant):
    assert with_article(vowel) == f"an {vowel}"
    assert with_article(consonant) == f"a {consonant}"


def test_the_same_draws_make_the_same_words():
    spec = spec_of("fetch_type")
    assert goal_text(spec, np.random.default_rng(3)) == goal_text(spec, np.random.default_rng(3))


def test_an_unknown_task_is_named_with_one_near_it():
    with pytest.raises(DataError, match=r"'object_nav_typ' cannot be worded; near: object_nav_type"):
        goal_text(MUG | {"task_type": "object_nav_typ"}, np.random.default_rng(0))


@pytest.mark.parametrize("task", sorted(set(SPECS)))
def test_a_missing_field_is_named(task):
    with pytest.raises(DataError, match=f"a goal of {task} needs "):
        goal_text({"task_type": task}, np.random.default_rng(0))


def test_an_empty_target_is_no_goal():
    with pytest.raises(DataError, match=r"needs synsets, which is \[\]"):
        goal_text({"task_type": "object_nav_type", "synsets": []}, np.random.default_rng(0))
