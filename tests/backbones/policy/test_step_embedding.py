"""Tables and sinusoids; sheet sections 1.5 and 1.6."""

import math
from dataclasses import replace

import pytest
import torch
from policy_steps import random_steps

from zoo.backbones.policy import ring, spoc
from zoo.backbones.policy.box_tokens import BoxTokens
from zoo.backbones.policy.sinusoid import sinusoid
from zoo.backbones.policy.step_embedding import StepEmbedding, StepScales
from zoo.errors import ConfigError
from zoo.policy_trunk import TrunkInputs
from zoo.shards.policy_episode import MISSING_BOX

INPUTS = TrunkInputs(patch_channels=2, text_channels=2, cameras=("manipulation", "navigation"), actions=spoc.ACTION_IDS)


@pytest.mark.parametrize("time", [0, 1, 999, 5000])
def test_sinusoid_is_the_published_one_at_any_time(time):
    expected = []
    for i in range(4):
        angle = time / 10_000 ** (2 * i / 8)
        expected += [math.sin(angle), math.cos(angle)]
    # float32 holds an angle of 5000 to 2e-4
    torch.testing.assert_close(sinusoid(torch.tensor([time]), 8), torch.tensor([expected]), rtol=0, atol=5e-4)


def test_a_step_adds_previous_action_hand_and_time():
    embedding = StepEmbedding(inputs=INPUTS, hidden_size=8)
    steps = random_steps(INPUTS, batch=2, time=3)
    expected = (
        embedding.previous_action.weight[steps.previous_actions]
        + embedding.in_hand.weight[steps.in_hand]
        + sinusoid(steps.time_ids, 8)
    )
    torch.testing.assert_close(embedding(steps), expected, rtol=0, atol=1e-6)


def test_tables_have_the_published_rows_and_begin_small():
    embedding = StepEmbedding(inputs=INPUTS, hidden_size=512)
    assert embedding.previous_action.weight.shape == (22, 512)
    assert embedding.in_hand.weight.shape == (3, 512)
    for table in (embedding.previous_action.weight, embedding.in_hand.weight):
        assert 0.009 < table.abs().max() <= 0.01
        assert abs(table.mean()) < 0.001


def test_scales_are_how_loud_the_parts_begin():
    embedding = StepEmbedding(inputs=INPUTS, hidden_size=64, scales=StepScales(table=0.5, time=0.1))
    assert 0.45 < embedding.previous_action.weight.abs().max() <= 0.5
    steps = random_steps(INPUTS, batch=1, time=3)
    tables = embedding.previous_action(steps.previous_actions) + embedding.in_hand(steps.in_hand)
    torch.testing.assert_close(embedding(steps) - tables, 0.1 * sinusoid(steps.time_ids, 64), rtol=0, atol=1e-6)
    with pytest.raises(ConfigError, match=r"scales.table is 0 and scales.time 1.0; expected above 0"):
        StepScales(table=0)


def test_the_two_releases_number_start_and_padding_differently():
    assert (spoc.ACTION_IDS.start, spoc.ACTION_IDS.padding) == (20, 21)
    assert (ring.ACTION_IDS.start, ring.ACTION_IDS.padding) == (21, 20)
    assert spoc.spoc_tiny().inputs.actions == spoc.ACTION_IDS
    assert ring.ring_tiny().inputs.actions == ring.ACTION_IDS


def test_without_a_hand_there_is_no_table_for_it():
    inputs = replace(INPUTS, has_in_hand=False)
    embedding = StepEmbedding(inputs=inputs, hidden_size=8)
    assert [name for name, _ in embedding.named_parameters()] == ["previous_action.weight"]
    assert embedding(random_steps(inputs, batch=1, time=2)).shape == (1, 2, 8)


def test_every_number_of_two_boxes_in_two_cameras_is_a_token():
    boxes = torch.tensor(MISSING_BOX).expand(1, 1, 2, 2, 5).clone()
    boxes[0, 0, 1, 0] = torch.tensor([10.0, 20.0, 30.0, 60.0, 800.0])
    module = BoxTokens(num_boxes=4, hidden_size=8)
    tokens = module(boxes)
    assert tokens.shape == (1, 1, 20, 8)
    assert module.adapter[0].in_features == 32
    area = module.adapter(sinusoid(torch.tensor(800.0), 32)) + module.slots[2 * 5 + 4]
    torch.testing.assert_close(tokens[0, 0, 2 * 5 + 4], area, rtol=1e-5, atol=1e-6)
