"""The comparison with transformers is one of equals: both sides compute the same."""

import copy

import pytest
import torch

from zoo.bench.molmo2 import RECIPE, example_batch, measure_molmo2, padded_tensors
from zoo.checkpoints.recipe import build_module
from zoo.errors import ConfigError


@pytest.fixture
def recipe():
    """The bench's, smaller."""
    small = copy.deepcopy(RECIPE)
    small["init_args"]["vision"]["init_args"] |= {"hidden_size": 144, "intermediate_size": 80}
    small["init_args"]["language"]["init_args"] |= {"hidden_size": 64, "intermediate_size": 96, "num_layers": 2}
    small["init_args"]["vision"]["init_args"] |= {"num_blocks": 4, "num_heads": 2, "feature_blocks": [3, 1]}
    return small


@torch.no_grad()
def test_padded_rows_hold_what_the_pack_holds(recipe):
    module = build_module(recipe).eval()
    batch = example_batch(module, (2, 4, 1), 3)
    padded = padded_tensors(module, batch)
    outputs = module(batch)
    wanted = padded.labels >= 0
    torch.testing.assert_close(module.logits(**padded.inputs)[wanted], outputs.logits, rtol=1e-4, atol=1e-4)
    assert torch.equal(padded.labels[wanted], outputs.targets)
    assert torch.equal(padded.weights[wanted], outputs.weights)


def test_it_tells_three_speedups(recipe):
    cost = measure_molmo2(examples=2, new_tokens=2, rounds=1, recipe=recipe)
    told = cost.as_dict()
    assert [row["what"] for row in told["rows"]] == ["packed", "single", "decode"]
    assert all(told[f"{row['what']}_speedup"] == row["speedup"] > 0 for row in told["rows"])
    assert 0 < told["padded_fill"] < 1
    assert cost.as_text().count("\n") == 4


def test_nothing_cannot_be_measured():
    with pytest.raises(ConfigError, match="8 examples, 48 tokens, 0 rounds: one of each at least"):
        measure_molmo2(rounds=0)
