import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from trunk_fixtures import build_module

from zoo.heads.caption import Caption, statement_scores, statements_of
from zoo.shards.reader import Sample

TRUE = ("there are 2 objects", "the red object is a large cube", "the red object moved")


def render(record, training=True, **arguments):
    return Caption(**arguments).renderer()(
        Sample("clip", "shard", record, {}), None, np.random.default_rng(0), training=training
    )


def test_captions_weigh_by_token_where_asked():
    record = {"descriptions": [{"request": "Describe.", "text": "A cat.", "style": "video_long_caption"}]}
    (flat,) = render(record, token_weight=0.1)
    assert (flat.weight, flat.is_flat, flat.style) == (0.1, True, "video_long_caption")
    (divided,) = render(record, weight=0.5)
    assert (divided.weight, divided.is_flat) == (0.5, False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("There are 2  objects. The red object moved.", ("there are 2 objects", "the red object moved")),
        ("it is 1.5 m tall! Is it? yes; it is", ("it is 1.5 m tall", "is it", "yes", "it is")),
        ("a\nb\n\n c.", ("a", "b", "c")),
        ("The cube. the cube ... the  CUBE", ("the cube",)),
        (" . .. \n ", ()),
        ("", ()),
    ],
)
def test_a_text_is_split_into_distinct_statements(text, expected):
    assert statements_of(text) == expected


@given(st.text())
def test_splitting_what_was_split_changes_nothing(text):
    said = statements_of(text)
    assert statements_of(" ".join(f"{s}." for s in said)) == said
    assert len(set(said)) == len(said)
    assert all(said)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (TRUE, (1, 1, 1)),
        (TRUE[:1], (1, 1 / 3, 1 / 2)),
        ((TRUE[0], "the red object is a small cube"), (1 / 2, 1 / 3, 2 / 5)),
        (("nonsense",), (0, 0, 0)),
        ((), (0, 0, 0)),
    ],
)
def test_scores_of_a_caption(said, expected):
    assert tuple(statement_scores(said, TRUE).values()) == pytest.approx(expected)


def test_repeating_a_true_sentence_raises_nothing():
    once = "The red object moved. The red object is blue."
    often = once + " The red object moved." * 9
    assert statement_scores(statements_of(often), TRUE) == statement_scores(statements_of(once), TRUE)


@given(st.lists(st.sampled_from("abcdef")), st.sets(st.sampled_from("abcdef"), min_size=1))
def test_f1_is_the_harmonic_mean_of_precision_and_recall(letters, true):
    scores = statement_scores(statements_of(". ".join(letters)), true)
    total = scores["precision"] + scores["recall"]
    harmonic = 2 * scores["precision"] * scores["recall"] / total if total else 0
    assert scores["f1"] == pytest.approx(harmonic)
    assert all(0 <= score <= 1 for score in scores.values())


@pytest.mark.parametrize("training", [True, False])
def test_true_statements_become_one_text(training):
    (message,) = render(
        {"statements": list(TRUE), "descriptions": [{"request": "r", "text": "t"}]}, training, weight=0.5
    )
    assert message.answer == "there are 2 objects. the red object is a large cube. the red object moved."
    assert statements_of(message.answer) == TRUE
    assert (message.family, message.weight, message.is_scored) == ("caption", 0.5, True)


def test_descriptions_are_learnt_from_where_nothing_can_be_judged():
    record = {"statements": [], "descriptions": [{"request": "Describe.", "text": "a red cube"}]}
    (message,) = render(record)
    assert (message.prompt, message.answer, message.is_scored) == ("Describe.", "a red cube", False)
    assert render(record, training=False) == []
    assert render({}) == []


class Says:
    """A session that generates given texts."""

    def __init__(self, turns, texts):
        self.turns, self.texts = turns, texts
        self.logits = torch.zeros(len(texts), 1)

    def generate(self, *, max_new_tokens, decoding, generator):
        return list(range(len(self.texts)))

    def decode(self, ids):
        return self.texts[ids]


def test_every_clip_has_its_own_scores_and_clips_are_averaged():
    head = Caption()
    module = build_module(heads=[head])
    examples = [
        module.processor.example(
            key=f"clip{number}",
            frames=np.zeros((1, 48, 48, 3), np.uint8),
            times_s=np.zeros(1),
            messages=render({"statements": list(true)}, training=False),
        )
        for number, true in enumerate((TRUE, TRUE[:1]))
    ]
    batch = module.processor.collate(examples)
    texts = ["There are 2 objects. There are 2 objects. The sky is green.", "there are 2 objects"]
    first, second = head.predict(Says(batch.turns, texts), batch)
    assert (first.key, first.correct) == ("clip0", None)
    assert first.parts == (("there are 2 objects", True), ("the sky is green", False))
    assert first.scores == pytest.approx({"precision": 1 / 2, "recall": 1 / 3, "f1": 2 / 5})
    assert second.scores == {"precision": 1, "recall": 1, "f1": 1}
    metrics = head.metrics()
    metrics.update([first])
    metrics.update([second])
    means = {name: value.item() for name, value in metrics.compute().items()}
    assert means == pytest.approx({"precision": 3 / 4, "recall": 2 / 3, "f1": 7 / 10})


@pytest.mark.slow
def test_captions_of_two_clips_are_learnt():
    module = build_module(heads=[Caption(max_new_tokens=64)]).train()
    others = ("there is 1 object", "the blue object is a small ball", "the blue object did not move")
    examples = [
        module.processor.example(
            key=f"clip{number}",
            frames=np.full((2, 48, 48, 3), 60 + 130 * number, np.uint8),
            times_s=np.arange(2) / 2,
            messages=render({"statements": list(true)}),
        )
        for number, true in enumerate((TRUE, others))
    ]
    batch = module.processor.collate(examples)
    optimizer = torch.optim.AdamW(module.parameters(), lr=3e-3)
    for _ in range(150):
        loss, _ = module._losses(module(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    module.eval()
    with torch.no_grad():
        answers = module.answer(batch)
    assert [answer.scores["f1"] for answer in answers] == [1, 1]
    assert statements_of(answers[1].answer) == others
