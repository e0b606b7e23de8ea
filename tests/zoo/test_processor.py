import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.batch import IGNORE_INDEX
from zoo.errors import DataError
from zoo.head import Message
from zoo.packing import PackSize
from zoo.preprocessing.vision_tokens import VisionToken
from zoo.pruning.random import RandomPruner
from zoo.shards.reader import Sample


def message(answer="red", **arguments):
    return Message(head="qa", prompt="What colour is the cube?", answer=answer, family="attribute", **arguments)


def example(processor, *, frames=2, messages=(), is_video=True):
    return processor.example(
        key="a",
        frames=np.zeros((frames, 30, 50, 3), np.uint8),
        times_s=np.arange(frames) / 2,
        messages=list(messages),
        is_video=is_video,
    )


def test_a_video_prefix_reads_as_the_sheet_says(module):
    processor, base = module.processor, module.model.language.vocab_size
    ids = example(processor).prefix
    text, frame = (
        processor.tokenizer.encode,
        [base + VisionToken.FRAME_START, *[base + 2] * 4, base + VisionToken.FRAME_END],
    )
    assert list(ids) == [*text("0.0 "), *frame, *text(" 0.5 "), *frame]


def test_an_image_has_no_timestamp_and_the_finer_window(module):
    base = module.model.language.vocab_size
    ids = example(module.processor, frames=1, is_video=False).prefix
    assert list(ids) == [
        base + VisionToken.LOW_RES_IM_START,
        *[base + VisionToken.IM_PATCH] * 9,
        base + VisionToken.IM_END,
    ]


def test_labels_are_the_next_tokens_of_answers_only(module):
    processor = module.processor
    batch = processor.collate([example(processor, messages=[message(), message("small ball")])])
    for turn in batch.turns:
        answer = list(batch.input_ids[slice(*turn.answer)])
        assert batch.labels[turn.answer[0] - 1 : turn.answer[1] - 1].tolist() == answer
        assert answer[-1] == processor.tokenizer.eos_id
    labelled = sum(turn.answer[1] - turn.answer[0] for turn in batch.turns)
    assert int((batch.labels != IGNORE_INDEX).sum()) == labelled == int((batch.loss_weights > 0).sum())


def test_branches_restart_where_the_prefix_ends(module):
    processor = module.processor
    batch = processor.collate([example(processor, messages=[message(), message("large")])] * 2)
    prefix = batch.runs[0][0]
    for turn in batch.turns:
        assert batch.position_ids[turn.prompt[0]] == prefix
        assert batch.position_ids[turn.prefix[0]] == 0


def test_a_later_turn_repeats_the_turns_before_it_and_is_learnt_from_alone(module):
    processor, text = module.processor, module.processor.tokenizer.encode
    asked = processor.tokenizer.prompt(message().prompt)
    made = example(processor, messages=[message("3", history=((message().prompt, "red"),))])
    ((_, prompt, answer),) = made.branches
    assert list(prompt) == [*asked, *text("red"), processor.tokenizer.eos_id, *asked]
    batch = processor.collate([made])
    assert int((batch.labels != IGNORE_INDEX).sum()) == len(answer)


@pytest.mark.parametrize(("rule", "expected"), [("flat", 1.0), ("paper", 4 / 3**0.5), ("code", 2 / 3**0.5 / 4**0.5)])
def test_answer_weights_follow_the_sheet(module_of, rule, expected):
    processor = module_of(answer_weight=rule).processor
    assert processor.token_weight(message(), 3, 4) == pytest.approx(expected)
    assert processor.token_weight(message(weight=0.5), 3, 4) == pytest.approx(expected / 2)


@pytest.mark.parametrize("rule", ["flat", "paper", "code"])
@pytest.mark.parametrize(("targets", "branches"), [(1, 1), (300, 4)])
def test_flat_weights_are_those_of_every_token_whatever_the_rule(module_of, rule, targets, branches):
    processor = module_of(answer_weight=rule).processor
    assert processor.token_weight(message(weight=0.1, is_flat=True), targets, branches) == 0.1


def test_a_flat_message_weighs_its_length_beside_others(module_of):
    processor = module_of(answer_weight="code").processor
    flat = message("the large blue cube is left of the ball", weight=0.1, is_flat=True)
    batch = processor.collate([example(processor, messages=[message("red"), flat])])
    learnt = batch.loss_weights[batch.labels != IGNORE_INDEX]
    length = len(processor.tokenizer.encode(flat.answer)) + 1  # the end token weighs what the others do
    assert int((learnt == 0.1).sum()) == length
    assert learnt.sum().item() == pytest.approx(0.1 * length + 2 * (2 / 2) ** 0.5)


@given(
    branches=st.lists(st.lists(st.sampled_from(["red", "", "small ball", "3"]), max_size=4), min_size=1, max_size=4),
    frames=st.integers(1, 3),
)
@settings(max_examples=40, deadline=None)
def test_collated_examples_are_consistent(module_once, branches, frames):
    processor = module_once.processor
    batch = processor.collate(
        [example(processor, frames=frames, messages=[message(a) for a in answers]) for answers in branches]
    )
    assert [sum(runs) for runs in batch.runs] == [
        example(processor, frames=frames, messages=[message(a) for a in answers]).num_tokens for answers in branches
    ]
    assert int(batch.is_patch.sum()) == len(batch.frames) * 4
    assert bool((batch.is_vision >= batch.is_patch).all())
    assert bool(((batch.labels == IGNORE_INDEX) == (batch.loss_weights == 0)).all())
    assert len(batch.turns) == sum(map(len, branches))
    assert batch.targets_of("qa", "cpu").sum() == (batch.labels != IGNORE_INDEX).sum()
    assert batch.targets_of("other", "cpu").sum() == 0


@pytest.fixture(scope="module")
def module_once():
    from trunk_fixtures import build_module

    return build_module()


def test_frames_are_squashed_without_antialias(module):
    frames = np.zeros((1, 96, 96, 3), np.uint8)
    frames[:, ::2] = 200  # halving both sides averages a bright and a dark row exactly
    made = module.processor.example(key="a", frames=frames, times_s=np.zeros(1), messages=[])
    assert made.pixels.dtype == torch.uint8
    assert made.pixels.unique().tolist() == [100]
    assert made.sizes_px == ((96, 96),)


def test_it_travels_to_loader_workers(module):
    processor = pickle.loads(pickle.dumps(module.processor))
    assert processor.tokenizer.encode("red cube") == module.processor.tokenizer.encode("red cube")


def test_a_clip_without_frames_is_refused(module):
    with pytest.raises(DataError, match="a: 0 frames for a clip"):
        example(module.processor, frames=0)


def tree(processor, messages, *, frames=2, max_tokens=None, is_video=True):
    return processor.tree(
        key="a", times_s=np.arange(frames) / 2, messages=messages, is_video=is_video, max_tokens=max_tokens
    )


def test_a_tree_says_the_size_of_its_example_before_anything_is_decoded(module):
    processor = module.processor
    messages = [message(), message("small ball")]
    planned, made = tree(processor, messages), example(processor, messages=messages)
    assert processor.size(planned) == processor.size(made) == PackSize(tokens=made.num_tokens, frames=2)
    assert (planned.prefix, planned.branches) == (made.prefix, made.branches)
    frames = np.zeros((2, 30, 50, 3), np.uint8)
    assert torch.equal(processor.with_frames(planned, frames).pixels, made.pixels)


def test_what_does_not_fit_is_cut_from_the_branches(module):
    processor = module.processor
    messages = [message("small ball"), message("red"), message("large")]
    whole = tree(processor, messages)
    (_, prompt, first), (_, _, second), *_ = whole.branches
    filled = len(whole.prefix) + len(prompt) + len(first)

    def branches(max_tokens):
        return tree(processor, messages, max_tokens=max_tokens).branches

    assert branches(whole.num_tokens) == whole.branches
    assert branches(filled) == whole.branches[:1]
    assert branches(filled + len(prompt)) == whole.branches[:1]  # room for the question alone
    assert branches(filled + len(prompt) + 1)[1] == (messages[1], prompt, second[:1])
    assert branches(filled - 1)[0] == (messages[0], prompt, first[:-1])
    batch = processor.collate(
        [processor.with_frames(tree(processor, messages, max_tokens=filled - 1), np.zeros((2, 30, 50, 3), np.uint8))]
    )
    assert batch.labels[batch.labels != IGNORE_INDEX].tolist() == list(first[:-1])


def test_a_branch_that_is_too_long_leaves_room_for_a_later_one(module):
    processor = module.processor
    long, short = message()._replace(prompt="What colour is the cube? " * 9), message()
    room = tree(processor, [short]).num_tokens
    assert [m for m, _, _ in tree(processor, [long, short], max_tokens=room).branches] == [short]


def test_a_limit_without_room_for_any_question_is_a_fault_of_the_sample(module):
    processor = module.processor
    least = tree(processor, [message()]).num_tokens - 1  # two answer tokens, one of which fits
    assert tree(processor, [message()], max_tokens=least).num_tokens == least
    with pytest.raises(DataError, match=f"a: no question fits beside 2 frames into {least - 1} tokens"):
        tree(processor, [message()], max_tokens=least - 1)


@pytest.mark.parametrize(("site", "windows"), [("vit.block[0]", 4), ("vit.output", 4), ("llm.layer[0]", 8)])
def test_packs_are_planned_on_what_pruners_leave_for_the_language_model(module_of, site, windows):
    processor = module_of(RandomPruner(remove=0.5, site=site)).processor
    planned = tree(processor, [message()])
    assert processor.size(planned).tokens == planned.num_tokens - 8 + windows
    assert tree(processor, [message()], max_tokens=planned.num_tokens - 8 + windows) == planned


def test_frames_of_another_number_are_a_bug(module):
    with pytest.raises(ValueError, match="a: 3 frames for a tree of 2"):
        module.processor.with_frames(tree(module.processor, [message()]), np.zeros((3, 30, 50, 3), np.uint8))


def test_questions_come_in_a_drawn_order_in_training_alone(module):
    record = {"annotations": [{"family": "f", "question": f"How many {n}?", "answer": "3"} for n in range(12)]}
    sample = Sample("a", "shard", record, {})

    def prompts(seed, *, training):
        messages = module.processor.messages(sample, None, np.random.default_rng(seed), training=training)
        return [m.prompt for m in messages]

    stored = [a["question"] for a in record["annotations"]]
    assert prompts(0, training=False) == stored
    assert prompts(0, training=True) == prompts(0, training=True) != prompts(1, training=True)
    assert sorted(prompts(0, training=True)) == sorted(stored) != prompts(0, training=True)
