"""RING's decoder against a literal one of torch's parts; sheet section 2.4 and molmoact_molmobot 12."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from zoo.backbones.policy.goal import Goal
from zoo.backbones.policy.llama_decoder import LlamaDecoder, feed_forward_size
from zoo.backbones.policy.temporal_decoder import TransformerDecoder

GOAL = Goal(tokens=torch.randn(2, 3, 8), mask=torch.tensor([[True, True, False], [True] * 3]), pooled=torch.zeros(2, 8))


def norm(weights, name, states):
    layer = nn.RMSNorm(8, eps=1e-5)
    layer.load_state_dict({"weight": weights[f"{name}.weight"]})
    return layer(states)


def attention(weights, name, states, memory, **masks):
    layer = nn.MultiheadAttention(8, 2, bias=False, batch_first=True)
    joined = torch.cat([weights[f"{name}.{part}.weight"] for part in ("wq", "wk", "wv")])
    layer.load_state_dict({"in_proj_weight": joined, "out_proj.weight": weights[f"{name}.wo.weight"]})
    return layer(states, memory, memory, need_weights=False, **masks)[0]


def literal(weights, states, sees_goal):
    causal = torch.ones(states.shape[1], states.shape[1], dtype=torch.bool).triu(1)
    for layer in ("layers.0", "layers.1"):
        normed = norm(weights, f"{layer}.attention_norm", states)
        states = states + attention(weights, f"{layer}.attention", normed, normed, attn_mask=causal)
        last = f"{layer}.ffn_norm"
        if sees_goal:
            query, memory = norm(weights, last, states), norm(weights, f"{layer}.ffn_norm_kv", GOAL.tokens)
            states = states + attention(weights, f"{layer}.cross_attention", query, memory, key_padding_mask=~GOAL.mask)
            last = f"{layer}.cross_ffn_norm"
        normed = norm(weights, last, states)
        w1, w2, w3 = (weights[f"{layer}.feed_forward.{part}.weight"] for part in ("w1", "w2", "w3"))
        states = states + F.linear(F.silu(F.linear(normed, w1)) * F.linear(normed, w3), w2)
    return F.linear(norm(weights, "norm", states), weights["output.weight"])


@pytest.mark.parametrize("sees_goal", [True, False])
def test_the_decoder_is_the_published_one(sees_goal):
    decoder = LlamaDecoder(hidden_size=8, num_layers=2, num_heads=2, sees_goal=sees_goal).eval()
    for name, parameter in decoder.named_parameters():
        if "norm" in name:
            nn.init.uniform_(parameter, 0.5, 1.5)
    states = torch.randn(2, 5, 8)
    expected = literal(decoder.state_dict(), states, sees_goal)
    torch.testing.assert_close(decoder(states, GOAL), expected, rtol=1e-5, atol=1e-5)


def test_feed_forward_width():
    assert feed_forward_size(512) == 1536
    assert feed_forward_size(96) == 256


def test_weights_have_the_published_names():
    decoder = LlamaDecoder(hidden_size=8, num_layers=1, num_heads=2)
    attention = [f"{part}.{w}" for part in ("attention", "cross_attention") for w in ("wq", "wk", "wv", "wo")]
    norms = ["attention_norm", "ffn_norm", "ffn_norm_kv", "cross_ffn_norm"]
    block = [*attention, *norms, *(f"feed_forward.{w}" for w in ("w1", "w2", "w3"))]
    assert set(decoder.state_dict()) == {*(f"layers.0.{n}.weight" for n in block), "norm.weight", "output.weight"}


def test_only_what_parts_add_is_dropped():
    decoder = LlamaDecoder(hidden_size=8, num_layers=1, num_heads=2, dropout=1.0)
    states = torch.randn(2, 5, 8)
    torch.testing.assert_close(decoder(states, GOAL), decoder.output(decoder.norm(states)))


def test_published_buffers():
    with torch.device("meta"):
        cache = LlamaDecoder(hidden_size=512, num_layers=3, num_heads=8).new_cache(num_slots=224, max_steps=320)
    assert len(cache.keys) == len(cache.values) == 3
    assert sorted(cache.keys[0].shape) == sorted((224, 320, 8, 64))


@pytest.mark.parametrize("made", [LlamaDecoder, TransformerDecoder])
def test_the_thousandth_step_is_that_of_the_whole_episode(made):
    decoder = made(hidden_size=8, num_layers=2, num_heads=2).eval()
    goal = Goal(*(part[:1] for part in GOAL))
    cache = decoder.new_cache(num_slots=1, max_steps=1000)
    states = torch.randn(1, 1000, 8)
    with torch.no_grad():
        for time in range(1000):
            last = decoder.step(states[:, time : time + 1], goal, cache, [0])
            cache.advance([0])
        torch.testing.assert_close(last, decoder(states, goal)[:, -1:], rtol=0, atol=1e-5)
