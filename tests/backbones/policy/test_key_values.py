"""Attention of a step to what its slot holds, against attention over whole sequences."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from zoo.backbones.policy.key_values import (
    KeyValueCache,
    Run,
    attend_by_runs,
    attend_together,
    places_of,
    runs_of,
)

HEADS, HEAD_DIM, MAX_STEPS = 2, 4, 6


@st.composite
def rows_of_slots(draw):
    """Different slots of five in any order, and the steps that each holds."""
    slots = draw(st.permutations(range(5)))[: draw(st.integers(1, 5))]
    lengths = draw(st.lists(st.integers(0, MAX_STEPS - 1), min_size=len(slots), max_size=len(slots)))
    return slots, lengths


def test_runs_are_cut_where_slots_or_lengths_do_not_follow():
    assert runs_of([2, 3, 4, 6, 5], [7, 7, 8, 8, 8]) == (
        Run(slice(0, 2), slice(2, 4), 7),
        Run(slice(2, 3), slice(4, 5), 8),
        Run(slice(3, 4), slice(6, 7), 8),
        Run(slice(4, 5), slice(5, 6), 8),
    )
    assert runs_of(range(8), [999] * 8) == (Run(slice(0, 8), slice(0, 8), 999),)


@given(rows_of_slots())
def test_runs_hold_every_row_once_and_are_as_few_as_can_be(drawn):
    slots, lengths = drawn
    runs = runs_of(slots, lengths)
    held = [
        (slot, run.position)
        for run in runs
        for _, slot in zip(range(run.rows.start, run.rows.stop), range(run.slots.start, run.slots.stop), strict=True)
    ]
    assert held == list(zip(slots, lengths, strict=True))
    for before, after in pairwise(runs):
        assert before.rows.stop == after.rows.start
        assert (before.slots.stop, before.position) != (after.slots.start, after.position)


@given(rows_of_slots(), st.integers(0, 2**31))
def test_both_ways_write_the_step_and_attend_to_their_own_steps_alone(drawn, seed):
    slots, lengths = drawn
    generator = torch.Generator().manual_seed(seed)
    keys, values = torch.randn(2, 5, HEADS, MAX_STEPS, HEAD_DIM, generator=generator)  # what lies behind is no zero
    query, key, value = torch.randn(3, len(slots), HEADS, HEAD_DIM, generator=generator)
    expected_keys, expected_values = keys.clone(), values.clone()
    expected = []
    for row, (slot, length) in enumerate(zip(slots, lengths, strict=True)):
        expected_keys[slot, :, length], expected_values[slot, :, length] = key[row], value[row]
        k, v = expected_keys[slot, :, : length + 1], expected_values[slot, :, : length + 1]
        weights = (k @ query[row].unsqueeze(-1) / HEAD_DIM**0.5).softmax(1)
        expected.append(weights.transpose(1, 2) @ v)
    ways = {
        attend_by_runs: runs_of(slots, lengths),
        attend_together: places_of(slots, lengths, torch.device("cpu")),
    }
    for attend, place in ways.items():
        own_keys, own_values = keys.clone(), values.clone()
        out = attend(place, own_keys, own_values, query, key, value)
        torch.testing.assert_close(out, torch.stack(expected), rtol=1e-5, atol=1e-5)
        assert torch.equal(own_keys, expected_keys)
        assert torch.equal(own_values, expected_values)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_cache_takes_steps_of_other_precision(dtype):
    """As under autocast, whose products are narrower than the weights that the buffers are like."""
    cache = KeyValueCache(
        num_slots=2, max_steps=3, num_layers=1, num_heads=HEADS, head_dim=HEAD_DIM, like=torch.zeros(1)
    )
    query, key, value = torch.randn(3, 2, HEADS, HEAD_DIM).to(dtype)
    out = cache.attend(0, cache.place([0, 1]), query, key, value)
    assert out.dtype == dtype
    assert torch.equal(out, value.flatten(1).unsqueeze(1))  # a first step sees itself alone
    assert torch.equal(cache.keys[0, :, :, 0], key.float())


def test_nothing_is_copied_where_all_slots_go_on_together(monkeypatch):
    cache = KeyValueCache(
        num_slots=3, max_steps=4, num_layers=1, num_heads=HEADS, head_dim=HEAD_DIM, like=torch.zeros(1)
    )
    seen = []
    attention = F.scaled_dot_product_attention
    monkeypatch.setattr(F, "scaled_dot_product_attention", lambda *a, **k: seen.append(a) or attention(*a, **k))
    query, key, value = torch.randn(3, 3, HEADS, HEAD_DIM)
    cache.attend(0, cache.place([0, 1, 2]), query, key, value)
    ((_, keys, values),) = seen
    storages = [buffer.untyped_storage().data_ptr() for buffer in (cache.keys, cache.values)]
    assert [part.untyped_storage().data_ptr() for part in (keys, values)] == storages
