"""Questions, statements and their balance, from facts written by hand and from facts drawn at random."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from zoo.envs.tabletop_facts import ClipFacts, ObjectFacts
from zoo.envs.tabletop_questions import FAMILIES, QuestionBalancer, candidates, deeds, descriptions, statements
from zoo.envs.tabletop_scene import COLOURS, DIRECTIONS, SHAPES, SIZES_M
from zoo.shards.blind import blind_accuracy


def item(colour: str, shape: str, size: str, *, onset_s=None, direction=None, view="stayed") -> ObjectFacts:
    return ObjectFacts(
        colour=colour,
        shape=shape,
        size=size,
        moved=onset_s is not None,
        onset_s=onset_s,
        direction=direction,
        view=view,
    )


# Red is pushed to the right into blue; later green flies in from the left; the small ball stays in front of all.
CLIP = ClipFacts(
    objects=(
        item("red", "cube", "large", onset_s=0.4, direction="right"),
        item("blue", "cube", "small", onset_s=0.6, direction="right"),
        item("green", "cone", "small", onset_s=1.2, direction="right", view="entered"),
        item("yellow", "ball", "small"),
    ),
    touched=frozenset({(0, 1)}),
    apart=frozenset({(0, 2), (0, 3), (2, 3)}),
    sides={(0, 1): "left", (1, 0): "right"},
    right_of={(0, 1): False, (1, 0): True, (0, 3): False, (3, 0): True, (1, 3): True, (3, 1): False},
    behind={},
)


def answers(facts: ClipFacts, seed: int = 0) -> dict[str, str]:
    return {q.text: q.answer for q in candidates(facts, np.random.default_rng(seed))}


EXPECTED = {
    "How many objects are there?": "4",
    "How many cubes are there?": "2",
    "How many cylinders are there?": "0",
    "How many small objects are there?": "3",
    "What shape is the green object?": "cone",
    "What size is the red object?": "large",
    "What colour is the only ball?": "yellow",
    "What colour is the only large object?": "red",
    "What colour is the only small cube?": "blue",
    "Where is the red object, seen from the blue object?": "left",
    "How many objects moved?": "3",
    "Did the yellow object move?": "no",
    "Did the green object move?": "yes",
    "What colour is the object that did not move?": "yellow",
    "In which direction did the blue object move?": "right",
    "Has the green object entered, left or stayed in view?": "entered",
    "Has the yellow object entered, left or stayed in view?": "stayed",
    "What colour is the object that entered the view?": "green",
}
NEVER = [
    "What colour is the only cube?",  # there are two
    "What colour is the only small object?",
    "What colour is the object that moved?",  # three did
    "What colour is the object that moved first?",  # 0.2 s are too little
    "What colour is the object that moved second?",
    "In which direction did the yellow object move?",
    "What colour is the object furthest left?",  # green is nowhere for certain
    "What colour is the object that left the view?",
    "What colour is the object that the blue object touched?",  # blue against yellow is not clear
]


@pytest.mark.parametrize("text", EXPECTED)
def test_a_clear_question_has_its_answer(text):
    assert answers(CLIP)[text] == EXPECTED[text]


@pytest.mark.parametrize("text", NEVER)
def test_an_unclear_question_is_not_asked(text):
    assert text not in answers(CLIP)


def test_touch_questions_name_both_orders_and_only_clear_pairs():
    texts = [answers(CLIP, seed) for seed in range(40)]
    seen = {
        text: answer for each in texts for text, answer in each.items() if text.startswith("Did") and "touch" in text
    }
    assert seen["Did the red object touch the blue object?"] == "yes"
    assert seen["Did the blue object touch the red object?"] == "yes"
    assert seen["Did the green object touch the yellow object?"] == "no"
    assert not any("blue" in text and "yellow" in text for text in seen), "neither touched nor apart"
    assert answers(CLIP)["What colour is the object that the red object touched?"] == "blue"


def test_pair_questions_name_both_orders():
    texts = {
        text: answer for seed in range(40) for text, answer in answers(CLIP, seed).items() if "further left" in text
    }
    assert texts["Which object is further left, the red one or the blue one?"] == "red"
    assert texts["Which object is further left, the blue one or the red one?"] == "red"
    assert texts["Which object is further left, the blue one or the yellow one?"] == "yellow"


def test_order_is_asked_where_it_is_clear():
    objects = (
        item("red", "cube", "large", onset_s=0.9, direction="left"),
        item("blue", "ball", "small", onset_s=0.3, direction="left"),
    )
    facts = ClipFacts(objects=objects, touched=frozenset(), apart=frozenset(), sides={}, right_of={}, behind={})
    assert answers(facts)["What colour is the object that moved first?"] == "blue"
    assert answers(facts)["What colour is the object that moved second?"] == "red"
    assert "the blue object moved first" in statements(facts)


def test_every_question_is_well_formed():
    for question in candidates(CLIP, np.random.default_rng(0)):
        assert question.family in FAMILIES
        assert question.answer in question.choices
        assert question.text.endswith("?")
        assert " " not in question.answer


def test_only_order_families_are_temporal():
    temporal = {q.family for q in candidates(CLIP, np.random.default_rng(0)) if q.temporal}
    assert temporal == {"direction", "view"}
    # One object enters and none leaves: shuffled frames still tell which it is, so this one is not temporal.
    flags = {q.text: q.temporal for q in candidates(CLIP, np.random.default_rng(0))}
    assert flags["What colour is the object that entered the view?"] is False


def test_statements():
    assert statements(CLIP) == [
        "there are 4 objects",
        "the red object is a large cube",
        "the blue object is a small cube",
        "the green object is a small cone",
        "the yellow object is a small ball",
        "the red object is left of the blue object",
        "the blue object is right of the red object",
        "the red object moved",
        "the blue object moved",
        "the green object moved",
        "the yellow object did not move",
        "the red object moved to the right",
        "the blue object moved to the right",
        "the green object moved to the right",
        "the red object touched the blue object",
        "the green object entered the view",
    ]


def test_descriptions_name_objects_and_deeds_in_one_fixed_order():
    assert descriptions(CLIP) == [
        ("Describe the objects.", "blue small cube, green small cone, red large cube, yellow small ball"),
        (
            "Describe what happened.",
            "blue moved right, green moved right entered the view, red moved right, yellow stood still",
        ),
    ]


def test_deeds_are_told_object_by_object():
    assert deeds(CLIP) == ["moved right", "moved right", "moved right entered the view", "stood still"]


def random_facts(rng: np.random.Generator) -> ClipFacts:
    """Clips as lopsided as a simulator's: few objects move, touches are rare, most stay in view, cubes are common."""
    count = int(rng.integers(1, 7))
    objects = []
    for colour in rng.permutation(list(COLOURS))[:count]:
        moved = rng.random() < 0.4
        objects.append(
            item(
                str(colour),
                str(rng.choice(SHAPES, p=[0.4, 0.3, 0.2, 0.1])),
                str(rng.choice(list(SIZES_M), p=[0.7, 0.3])),
                onset_s=float(rng.uniform(0.2, 2)) if moved else None,
                direction=str(rng.choice(DIRECTIONS, p=[0.4, 0.3, 0.2, 0.1])) if moved else None,
                view=str(rng.choice(["stayed", "left", "entered"], p=[0.8, 0.1, 0.1])),
            )
        )
    pairs = [(a, b) for a in range(count) for b in range(a + 1, count)]
    touched = {pair for pair in pairs if rng.random() < 0.15}
    place = rng.permutation(count)
    right_of = {(a, b): bool(place[a] > place[b]) for a in range(count) for b in range(count) if a != b}
    return ClipFacts(
        objects=tuple(objects),
        touched=frozenset(touched),
        apart=frozenset(set(pairs) - touched),
        sides={pair: "right" if holds else "left" for pair, holds in right_of.items() if rng.random() < 0.5},
        right_of=right_of,
        behind=right_of,
    )


def balanced(seed: int, clips: int = 250, per_clip: int = 24) -> list[dict]:
    rng = np.random.default_rng(seed)
    balancer = QuestionBalancer(per_clip=per_clip)
    picked = [balancer.pick(candidates(random_facts(rng), rng), rng) for _ in range(clips)]
    assert max(len(questions) for questions in picked) <= per_clip
    for questions in picked:
        assert len({q.text for q in questions}) == len(questions)
    return [q.annotation() for questions in picked for q in questions]


def test_balancing_evens_out_what_the_clips_do_not():
    counts: dict[str, Counter] = defaultdict(Counter)
    for annotation in balanced(0):
        counts[annotation["question"]][annotation["answer"]] += 1
    for text in ("How many objects moved?", "How many balls are there?", "How many small objects are there?"):
        assert max(counts[text].values()) - min(counts[text].values()) <= 2
        assert len(counts[text]) == 4
    shapes = counts["What shape is the red object?"]
    assert set(shapes) == set(SHAPES)
    assert max(shapes.values()) - min(shapes.values()) <= 2


def test_a_blind_reader_stays_near_chance():
    fit = [annotation for seed in range(8) for annotation in balanced(seed)]
    measure = [annotation for seed in range(8, 11) for annotation in balanced(seed)]
    blind = blind_accuracy(fit, measure)
    assert blind.overall < 0.4
    chance = {"count": 0.25, "moved": 0.45, "direction": 0.25, "view": 0.33, "order": 0.125, "touch": 0.5}
    for family, floor in chance.items():
        assert blind.families[family] < floor + 0.06, family


def test_without_balancing_a_blind_reader_would_know_more():
    rng = np.random.default_rng(0)
    everything = [[q.annotation() for q in candidates(random_facts(rng), rng)] for _ in range(1500)]
    flat = [annotation for clip in everything[:1000] for annotation in clip]
    rest = [annotation for clip in everything[1000:] for annotation in clip]
    assert blind_accuracy(flat, rest).families["touch"] > 0.6
    assert blind_accuracy(flat, rest).families["view"] > 0.6
