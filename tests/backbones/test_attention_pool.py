import pytest
import torch
from transformers.models.molmo2.configuration_molmo2 import Molmo2AdapterConfig
from transformers.models.molmo2.modeling_molmo2 import Molmo2Adapter

from zoo.backbones.attention_pool import AttentionPool
from zoo.errors import ConfigError

NAMES = {
    f"{theirs}.{kind}": f"{ours}.{kind}"
    for theirs, ours, kinds in (
        ("image_pooling_2d.q_proj", "query", ("weight", "bias")),
        ("image_pooling_2d.k_proj", "key", ("weight", "bias")),
        ("image_pooling_2d.v_proj", "value", ("weight", "bias")),
        ("image_pooling_2d.o_proj", "output", ("weight", "bias")),
        ("image_projector.gate_proj", "gate", ("weight",)),
        ("image_projector.up_proj", "up", ("weight",)),
        ("image_projector.down_proj", "down", ("weight",)),
    )
    for kind in kinds
}


def literal(pool, features, table):
    """Sheet A1.2, one window at a time."""
    out = []
    for row in table:
        patches = features[row[row >= 0]]
        q = pool.query(patches.mean(0)).view(pool.num_heads, 1, pool.head_dim)
        k, v = (
            x(patches).view(len(patches), pool.num_heads, pool.head_dim).transpose(0, 1) for x in (pool.key, pool.value)
        )
        weights = (q @ k.transpose(1, 2) * pool.head_dim**-0.5).softmax(-1)
        pooled = pool.output((weights @ v).flatten())
        out.append(pool.down(torch.nn.functional.silu(pool.gate(pooled)) * pool.up(pooled)))
    return torch.stack(out)


@pytest.fixture
def pool():
    pool = AttentionPool(head_dim=8)
    pool.build(vision_size=16, num_features=2, hidden_size=12, intermediate_size=20)
    return pool


def test_windows_of_any_size_equal_the_literal_rule(pool):
    features = torch.randn(30, 32)
    table = torch.randint(0, 30, (7, 9))
    table[1, 4:], table[2, 1:] = -1, -1
    torch.testing.assert_close(pool(features, table), literal(pool, features, table), rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_vectors_equal_those_of_transformers_molmo2(pool):
    config = Molmo2AdapterConfig(
        vision_feature_layer=[-1, -2],
        hidden_size=16,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
        intermediate_size=20,
        text_hidden_size=12,
    )
    theirs = Molmo2Adapter(config).eval()
    pool.load_state_dict({ours: theirs.state_dict()[name] for name, ours in NAMES.items()}, strict=True)
    features = torch.randn(3, 10, 32)
    table = torch.randint(0, 30, (7, 9))
    table[1, 4:], table[2, 1:] = -1, -1
    expected = theirs(features, table).last_hidden_state
    torch.testing.assert_close(pool(features.flatten(0, 1), table), expected, rtol=1e-4, atol=1e-5)


def test_every_weight_gets_a_gradient(pool):
    pool(torch.randn(18, 32), torch.arange(18).view(2, 9)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in pool.parameters() if p is not pool.key.bias)


def test_heads_that_do_not_divide_the_channels_are_refused():
    with pytest.raises(ConfigError, match="head_dim 72 does not divide 64"):
        AttentionPool().build(vision_size=64, num_features=1, hidden_size=8, intermediate_size=8)


def test_normed_vectors_begin_at_the_size_that_is_asked_for():
    pool = AttentionPool(head_dim=8, norm_output=True, output_scale=0.14)
    pool.build(vision_size=16, num_features=2, hidden_size=12, intermediate_size=20)
    vectors = pool(torch.randn(30, 32), torch.randint(0, 30, (7, 9)))
    torch.testing.assert_close(vectors.pow(2).mean(1).sqrt(), torch.full((7,), 0.14), rtol=1e-3, atol=0)


def test_a_scale_without_a_norm_is_refused():
    with pytest.raises(ConfigError, match="output_scale 0.14 without a norm; set norm_output to true"):
        AttentionPool(output_scale=0.14)
