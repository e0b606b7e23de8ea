"""The conventional batch is the same conversation in another shape."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.conversations import TREES, examples_of
from zoo.bench.padding import padded_batch, rows_within, single_annotations
from zoo.packing import PackLimits
from zoo.processor import MessageTree


def test_padded_rows_get_the_logits_of_the_branches_of_a_tree(module):
    examples = examples_of(module.processor)
    singles = single_annotations(examples)
    assert [len(single.branches) for single in singles] == [1] * sum(branches for _, branches in TREES)
    assert [s.num_tokens for s in singles] == sorted(s.num_tokens for s in singles)
    batch = padded_batch(module.processor, singles)
    longest = singles[-1].num_tokens
    assert batch.runs == ((longest,),) * len(singles)
    with torch.no_grad():
        padded, packed = module(batch), module(module.processor.collate(singles))
    # float32 sums in another order
    torch.testing.assert_close(padded.logits, packed.logits, rtol=0, atol=1e-5)
    assert torch.equal(padded.targets, packed.targets)
    assert torch.equal(padded.weights, packed.weights)
    for turn, single in zip(batch.turns, singles, strict=True):
        assert batch.input_ids[slice(*turn.answer)].tolist() == list(single.branches[0][2])
        assert batch.input_ids[slice(*turn.prefix)].tolist() == list(single.prefix)


def test_a_row_of_two_branches_is_refused(module):
    processor = module.processor
    with pytest.raises(ValueError, match=r"a row holds one branch, got \[1, 2\]"):
        padded_batch(processor, examples_of(processor, [(1, 1), (1, 2)]))


@given(
    lengths=st.lists(st.integers(1, 60), max_size=20),
    max_tokens=st.integers(1, 200),
    max_frames=st.integers(1, 12),
)
def test_rows_keep_the_limits_with_their_padding(lengths, max_tokens, max_frames):
    rows = [
        MessageTree(key=str(n), times_s=(0.0, 0.5), is_video=True, prefix=(1,) * length, branches=())
        for n, length in enumerate(sorted(lengths))
    ]
    groups = list(rows_within(rows, PackLimits(max_tokens=max_tokens, max_frames=max_frames)))
    assert [row for group in groups for row in group] == rows
    for group in groups:
        padded = len(group) * max(row.num_tokens for row in group)
        assert len(group) == 1 or (padded <= max_tokens and 2 * len(group) <= max_frames)
