import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.batch import IGNORE_INDEX
from zoo.errors import DataError
from zoo.head import Message
from zoo.processor import VisionToken


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
    assert made.size_px == (96, 96)


def test_it_travels_to_loader_workers(module):
    processor = pickle.loads(pickle.dumps(module.processor))
    assert processor.tokenizer.encode("red cube") == module.processor.tokenizer.encode("red cube")


def test_an_image_of_two_frames_is_refused(module):
    with pytest.raises(DataError, match="a: 2 frames for an image"):
        example(module.processor, is_video=False)


def test_a_clip_without_frames_is_refused(module):
    with pytest.raises(DataError, match="a: 0 frames for a clip"):
        example(module.processor, frames=0)
