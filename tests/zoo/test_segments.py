from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.trees import TREES, packed
from zoo.segments import PREFIX_BRANCH, Segments, similar


def literal_mask(runs, is_vision, causal, local_attention=10**6):
    """Sheet A6.2 and A6.3, one pair at a time; a token's place is counted along its prefix and its own branch."""
    segment, branch, place = [], [], []
    for number, lengths in enumerate(runs):
        for run, length in enumerate(lengths):
            segment += [number] * length
            branch += [PREFIX_BRANCH if run == 0 else run - 1] * length
            place += range(lengths[0] * (run > 0), lengths[0] * (run > 0) + length)
    size = len(segment)
    mask = torch.zeros(size, size, dtype=torch.bool)
    for i in range(size):
        for j in range(size):
            near = j <= i and place[i] - place[j] < local_attention
            order = not causal or near or bool(is_vision[i] and is_vision[j])
            mask[i, j] = segment[i] == segment[j] and order and branch[i] <= branch[j]
    return mask


def test_dense_mask_is_the_rule_of_the_sheet():
    *_, segments = packed(TREES)
    assert torch.equal(segments.dense_mask(), literal_mask(TREES, segments.is_vision, causal=True))


@pytest.mark.parametrize("local_attention", [1, 3, 9])
def test_local_attention_counts_back_along_a_tokens_own_path(local_attention):
    *_, segments = packed(TREES, local_attention=local_attention)
    expected = literal_mask(TREES, segments.is_vision, causal=True, local_attention=local_attention)
    assert torch.equal(segments.dense_mask(), expected)


def test_local_attention_that_reaches_everywhere_changes_nothing():
    *_, segments = packed(((7, 3, 4), (9,)))
    assert segments.within(11) is segments.within(None) is segments
    assert segments.within(10) is segments.within(10) is not segments  # layers share its masks


def test_survivors_look_back_over_living_tokens():
    *_, segments = packed(((6, 4, 3), (8,)), local_attention=4)
    keep = torch.ones(21, dtype=torch.bool)
    keep[[1, 2, 7, 15]] = False
    expected = Segments(runs=((4, 3, 3), (7,)), is_vision=segments.is_vision[keep], local_attention=4)
    assert torch.equal(segments.keep(keep).dense_mask(), expected.dense_mask())


@pytest.mark.parametrize(("causal", "local_attention"), [(False, 4), (True, 0)])
def test_local_attention_needs_an_order_and_a_length(causal, local_attention):
    with pytest.raises(ValueError, match=f"local_attention {local_attention} must be positive"):
        Segments(runs=((5,),), causal=causal, local_attention=local_attention)


@given(st.lists(st.integers(0, 40), max_size=12))
@settings(max_examples=60)
def test_similar_lengths_cover_every_filled_one_once_and_waste_little(lengths):
    groups = similar(lengths)
    assert sorted(n for group in groups for n in group) == [n for n, length in enumerate(lengths) if length]
    for group in groups:
        longest, shortest = max(lengths[n] for n in group), min(lengths[n] for n in group)
        assert longest - shortest <= max(8, longest / 8)


def test_vision_flags_of_another_length_are_refused():
    with pytest.raises(ValueError, match="the segments hold 4 tokens"):
        Segments.plain((4,), is_vision=torch.ones(3, dtype=torch.bool))


def grouped(runs):
    """A packed sequence whose vision tokens have groups, in blocks as images lie."""
    *_, segments = packed(runs)
    group = torch.arange(segments.num_tokens) // 3
    return segments, group, replace(segments, vision_group=group)


def test_groups_part_the_vision_tokens_of_an_example():
    segments, group, narrow = grouped(TREES)
    text = Segments(runs=TREES).dense_mask()
    both = (segments.is_vision[:, None] & segments.is_vision) & (group[:, None] == group)
    assert torch.equal(narrow.dense_mask(), text | (both & segments.dense_mask()))
    assert bool((narrow.dense_mask() <= segments.dense_mask()).all())
    assert not torch.equal(narrow.dense_mask(), segments.dense_mask())


def test_one_group_is_the_wider_rule():
    segments, group, _ = grouped(TREES)
    assert torch.equal(replace(segments, vision_group=group * 0).dense_mask(), segments.dense_mask())


def test_groups_go_along_when_tokens_leave():
    segments, group, narrow = grouped(TREES)
    keep = torch.rand(segments.num_tokens) < 0.7
    expected = replace(segments.keep(keep), vision_group=group[keep])
    assert torch.equal(narrow.keep(keep).dense_mask(), expected.dense_mask())
