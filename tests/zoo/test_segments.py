import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.trees import TREES, packed
from zoo.segments import PREFIX_BRANCH, Segments, similar


def literal_mask(runs, is_vision, causal):
    """Sheet A6.2 and A6.3, one pair at a time."""
    segment, branch = [], []
    for number, lengths in enumerate(runs):
        for run, length in enumerate(lengths):
            segment += [number] * length
            branch += [PREFIX_BRANCH if run == 0 else run - 1] * length
    size = len(segment)
    mask = torch.zeros(size, size, dtype=torch.bool)
    for i in range(size):
        for j in range(size):
            order = not causal or j <= i or bool(is_vision[i] and is_vision[j])
            mask[i, j] = segment[i] == segment[j] and order and branch[i] <= branch[j]
    return mask


def test_dense_mask_is_the_rule_of_the_sheet():
    *_, segments = packed(TREES)
    assert torch.equal(segments.dense_mask(), literal_mask(TREES, segments.is_vision, causal=True))


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
