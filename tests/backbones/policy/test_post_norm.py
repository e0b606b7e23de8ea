"""Our layers against torch's own, with the same weights."""

import pytest
import torch
from torch import nn

from zoo.backbones.policy.goal import Goal
from zoo.backbones.policy.post_norm import EncoderLayer
from zoo.backbones.policy.temporal_decoder import TransformerDecoder

SIZES = {"hidden_size": 12, "num_heads": 3, "intermediate_size": 20, "dropout": 0.0}
MASK = torch.tensor([[True] * 7, [True] * 4 + [False] * 3])


def gradients(out, *modules):
    out.square().sum().backward()
    return [{name: p.grad for name, p in module.named_parameters()} for module in modules]


@pytest.mark.parametrize("mask", [None, MASK])
def test_encoder_layer_is_torch_s(mask):
    ours = EncoderLayer(**SIZES)
    theirs = nn.TransformerEncoderLayer(12, 3, 20, 0.0, batch_first=True)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    tokens = torch.randn(2, 7, 12)
    expected = theirs(tokens, src_key_padding_mask=None if mask is None else ~mask)
    real = torch.ones(2, 7, dtype=torch.bool) if mask is None else mask
    got = ours(tokens, tokens, mask)
    torch.testing.assert_close(got[real], expected[real], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours(tokens[:, :2], tokens, mask), expected[:, :2], rtol=1e-5, atol=1e-6)
    (mine,), (its,) = gradients(got[real], ours), gradients(expected[real], theirs)
    torch.testing.assert_close(mine, its, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mask", [None, MASK])
def test_decoder_is_torch_s(mask):
    ours = TransformerDecoder(num_layers=2, **SIZES)
    layer = nn.TransformerDecoderLayer(12, 3, 20, 0.0, batch_first=True)
    theirs = nn.TransformerDecoder(layer, 2)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    states, memory = torch.randn(2, 5, 12), torch.randn(2, 7, 12)
    causal = nn.Transformer.generate_square_subsequent_mask(5)
    padding = None if mask is None else torch.zeros(2, 7).masked_fill(~mask, -torch.inf)
    expected = theirs(states, memory, tgt_mask=causal, memory_key_padding_mask=padding)
    got = ours(states, Goal(tokens=memory, mask=mask, pooled=memory[:, 0]))
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)
    (mine,), (its,) = gradients(got, ours), gradients(expected, theirs)
    torch.testing.assert_close(mine, its, rtol=1e-4, atol=1e-5)


def test_dropout_falls_on_the_same_places_of_a_layer():
    ours = EncoderLayer(**(SIZES | {"dropout": 0.4}))
    assert {m.p for m in (ours.dropout, ours.dropout1, ours.dropout2)} == {0.4} == {ours.self_attn.dropout}
    tokens = torch.randn(1, 7, 12)
    assert not torch.equal(ours(tokens, tokens, None), ours(tokens, tokens, None))
    ours.eval()
    assert torch.equal(ours(tokens, tokens, None), ours(tokens, tokens, None))


def test_bfloat16_on_a_cpu_learns_what_float32_learns():
    layer = EncoderLayer(hidden_size=16, num_heads=2, intermediate_size=32, dropout=0.0)
    tokens = torch.randn(3, 7, 16)
    gradients = []
    for is_half in (False, True):
        layer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_half):
            layer(tokens, tokens, None).float().square().mul(tokens).sum().backward()
        gradients.append(layer.self_attn.in_proj_weight.grad.clone())
    assert (gradients[1] - gradients[0]).norm() < 0.05 * gradients[0].norm()
