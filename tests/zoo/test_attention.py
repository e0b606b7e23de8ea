from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.trees import TREES, packed
from zoo import attention
from zoo.attention import attend, executing, received_attention
from zoo.segments import Segments


@pytest.mark.parametrize("vision", [False, True])
@pytest.mark.parametrize(
    ("runs", "causal"),
    [
        (TREES, True),
        (((7,), (30,), (28,), (0,), (3,)), True),
        (((9,), (9,), (9,)), False),
        (((9,), (4,)), False),
        (((5, 2),), True),
    ],
)
@pytest.mark.parametrize("kv_heads", [2, 4])
def test_three_executions_agree(runs, causal, vision, kv_heads):
    query, key, value, segments = packed(runs, kv_heads=kv_heads, causal=causal, vision=vision and causal)
    dense, by_segment, flex = (attend(query, key, value, segments, execution=e) for e in ("dense", "segments", "flex"))
    torch.testing.assert_close(by_segment, dense, rtol=1e-5, atol=1e-5)  # float32 re-ordering
    torch.testing.assert_close(flex, dense, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("vision", [False, True])
@pytest.mark.parametrize("runs", [TREES, ((7,), (30,), (28,), (0,), (3,)), ((5, 40),)])
@pytest.mark.parametrize("local_attention", [1, 6, 11])
def test_three_executions_agree_on_local_attention(runs, local_attention, vision):
    query, key, value, segments = packed(runs, vision=vision, local_attention=local_attention)
    dense, by_segment, flex = (attend(query, key, value, segments, execution=e) for e in ("dense", "segments", "flex"))
    torch.testing.assert_close(by_segment, dense, rtol=1e-5, atol=1e-5)  # float32 re-ordering
    torch.testing.assert_close(flex, dense, rtol=1e-5, atol=1e-5)
    everywhere = attend(query, key, value, Segments(runs=runs, is_vision=segments.is_vision), execution="dense")
    assert not torch.allclose(dense, everywhere, atol=1e-3)


@pytest.mark.parametrize("runs", [TREES, ((7,), (30,), (28,), (0,), (3,)), ((5, 40),)])
def test_three_executions_agree_on_groups_of_vision_tokens(runs):
    query, key, value, segments = packed(runs)
    narrow = replace(segments, vision_group=torch.arange(segments.num_tokens) // 3)
    dense, by_segment, flex = (attend(query, key, value, narrow, execution=e) for e in ("dense", "segments", "flex"))
    torch.testing.assert_close(by_segment, dense, rtol=1e-5, atol=1e-5)  # float32 re-ordering
    torch.testing.assert_close(flex, dense, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(dense, attend(query, key, value, segments, execution="dense"), atol=1e-3)


@pytest.mark.parametrize("local_attention", [None, 6])
@pytest.mark.parametrize("runs", [TREES, ((7,), (30,), (28,)), ((200,), (190,)), ((210, 3, 4),)])
def test_gradients_of_the_fast_path_are_those_of_the_dense_one(runs, local_attention):
    query, key, value, segments = packed(runs, local_attention=local_attention)
    inputs = [x.requires_grad_() for x in (query, key, value)]
    target = torch.randn_like(query)
    fast, slow = (
        torch.autograd.grad((attend(*inputs, segments, execution=e) * target).sum(), inputs)
        for e in ("segments", "dense")
    )
    for ours, theirs in zip(fast, slow, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("execution", ["segments", "flex"])
@pytest.mark.parametrize("causal", [True, False])
def test_key_bias_is_added_to_the_logits_of_its_key(execution, causal):
    query, key, value, segments = packed(((6,), (6,), (4,)), causal=causal, vision=False)
    bias = torch.randn(16)
    expected = attend(query, key, value, segments, key_bias=bias, execution="dense")
    torch.testing.assert_close(
        attend(query, key, value, segments, key_bias=bias, execution=execution), expected, rtol=1e-5, atol=1e-5
    )
    assert not torch.allclose(expected, attend(query, key, value, segments, execution="dense"), atol=1e-3)


def test_a_segment_answers_as_if_it_were_alone():
    query, key, value, segments = packed(((6,), (9,)), vision=False)
    together = attend(query, key, value, segments)
    alone = attend(query[6:], key[6:], value[6:], Segments.plain((9,)))
    torch.testing.assert_close(together[6:], alone, rtol=1e-5, atol=1e-5)


def test_pair_bias_runs_dense_only():
    query, key, value, segments = packed(((3,),), vision=False)
    with pytest.raises(ValueError, match="use 'dense'"):
        attend(query, key, value, segments, pair_bias=torch.zeros(4, 3, 3), execution="segments")


def test_how_it_is_executed_can_be_said_from_outside(monkeypatch):
    query, key, value, segments = packed(((6,), (4,)), vision=False)
    done, by_segment, flex = [], attention._attend_by_segment, attention._attend_flex
    monkeypatch.setattr(attention, "_attend_by_segment", lambda *given: done.append("segments") or by_segment(*given))
    monkeypatch.setattr(attention, "_attend_flex", lambda *given: done.append("flex") or flex(*given))
    with executing("flex"):
        said = attend(query, key, value, segments)
        with pytest.raises(ValueError, match="use 'dense'"), executing("segments"):
            attend(query, key, value, segments, pair_bias=torch.zeros(4, 10, 10), execution="segments")
        with executing("segments"):
            attend(query, key, value, segments)
        attend(query, key, value, segments, execution="segments")  # who names one is not overruled
        pairwise = attend(query, key, value, segments, pair_bias=torch.zeros(4, 10, 10))  # which only dense can add
    attend(query, key, value, segments)
    assert done == ["flex", "segments", "segments", "segments"]
    torch.testing.assert_close(said, pairwise, rtol=1e-5, atol=1e-5)  # float32 re-ordering


@pytest.mark.parametrize("local_attention", [None, 4])
def test_received_attention_is_a_column_mean_of_the_map(local_attention):
    query, key, _, segments = packed(TREES, local_attention=local_attention)
    rows = torch.tensor([3, 15, 16, 30])
    logits = torch.einsum("qhd,khd->hqk", query, key.repeat_interleave(2, dim=1)) * 8**-0.5
    weights = logits.masked_fill(~segments.dense_mask(), -torch.inf).softmax(-1).mean(0)
    ids = segments.segment_ids
    expected = torch.zeros(len(query))
    for number in range(len(TREES)):
        asking = [r for r in rows.tolist() if ids[r] == number]
        if asking:
            expected[ids == number] = weights[asking].mean(0)[ids == number]
    torch.testing.assert_close(received_attention(query, key, segments, rows), expected, rtol=1e-5, atol=1e-6)


@given(seed=st.integers(0, 2**16))
@settings(max_examples=20)
def test_survivors_attend_as_a_sequence_built_without_the_dead(seed):
    generator = torch.Generator().manual_seed(seed)
    query, key, value, segments = packed(TREES)
    keep = torch.rand(segments.num_tokens, generator=generator) < 0.7
    mask = segments.dense_mask()[keep][:, keep]
    after = segments.keep(keep)
    assert torch.equal(after.dense_mask(), mask)
    expected = attend(query[keep], key[keep], value[keep], after, execution="dense")
    torch.testing.assert_close(
        attend(query[keep], key[keep], value[keep], after, execution="segments"), expected, rtol=1e-5, atol=1e-5
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("local_attention", [None, 6])
def test_compiled_flex_agrees_on_a_gpu(local_attention):
    query, key, value, segments = packed(TREES)
    on_gpu = Segments(runs=TREES, is_vision=segments.is_vision.cuda(), device=torch.device("cuda"))
    on_gpu = on_gpu.within(local_attention)
    inputs = [x.cuda().requires_grad_() for x in (query, key, value)]
    flex, dense = (attend(*inputs, on_gpu, execution=e) for e in ("flex", "dense"))
    torch.testing.assert_close(flex, dense, rtol=1e-2, atol=1e-2)  # TF32 products
