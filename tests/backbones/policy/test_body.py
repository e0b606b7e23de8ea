"""What trunks are told of bodies."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from policy_steps import random_steps

from zoo import registry
from zoo.backbones.policy.body import BodyEmbedding
from zoo.envs.robots.ring_body import BODIES, draw_embodiment
from zoo.errors import ConfigError

NAVIGATION, BOTH = ["navigation_camera"], ["manipulation_camera", "navigation_camera"]


def bodies(count: int, seed: int = 0) -> torch.Tensor:
    generator = np.random.default_rng(seed)
    return torch.from_numpy(np.stack([draw_embodiment(generator).vector() for _ in range(count)]))


def heard(embedding: BodyEmbedding) -> torch.Tensor:
    """What its first layer is given of drawn bodies."""
    given = []
    embedding.layers[0].register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    embedding(bodies(500))
    return given[0]


def test_the_ranges_of_the_paper_become_minus_one_to_one():
    numbers = heard(BodyEmbedding(cameras=BOTH, hidden_size=4))
    assert numbers.abs().max() <= 1.001
    is_drawn = torch.ones(19, dtype=torch.bool)
    is_drawn[[3, 12, 13]] = False  # the first camera looks ahead; pictures have the encoder's size
    assert (numbers.amax(0) - numbers.amin(0))[is_drawn].min() > 1.2
    assert not numbers[:, 12:14].any()


def test_cameras_that_are_not_looked_through_are_left_out():
    assert not heard(BodyEmbedding(cameras=NAVIGATION, hidden_size=4))[:, [1, 4, 5, 9, 10, 11]].any()


def test_a_body_beyond_the_drawn_ones_is_told_as_the_last_of_them():
    embedding = BodyEmbedding(cameras=BOTH, hidden_size=4)
    long = torch.from_numpy(BODIES["a1"].vector())
    longest_drawn = long.clone()
    longest_drawn[8], longest_drawn[18] = 0.2, 0.5  # camera and box, forward
    assert (long - longest_drawn)[[8, 18]].min() > 0.05
    torch.testing.assert_close(embedding(long[None]), embedding(longest_drawn[None]))


def test_it_begins_nearly_silent():
    assert 0 < BodyEmbedding(cameras=BOTH, hidden_size=4)(bodies(100)).abs().max() < 0.05


def test_a_camera_that_the_numbers_do_not_describe():
    with pytest.raises(ConfigError, match="manipulation_camera alone, and it looks through wrist"):
        BodyEmbedding(cameras=["navigation_camera", "wrist"], hidden_size=4)


def test_the_body_of_a_row_matters_to_it_alone_and_must_be_told():
    trunk = registry.build("policy_trunk", "ring-tiny", patch_channels=6, hidden_size=16, knows_body=True).eval()
    torch.nn.init.normal_(trunk.body.layers[2].weight)
    first, second, third = bodies(3)
    steps = replace(random_steps(trunk.inputs, batch=2, time=3), embodiment=torch.stack([first, second]))
    before, after = (trunk(told) for told in (steps, replace(steps, embodiment=torch.stack([first, third]))))
    torch.testing.assert_close(after[0], before[0])
    assert (after[1] - before[1]).abs().amax(-1).min() > 1e-3
    with pytest.raises(ConfigError, match="0 descriptions of bodies, not 1"):
        trunk(replace(steps, embodiment=None))
    with pytest.raises(ValueError, match=r"embodiment \(1, 19\) must be"):
        replace(steps, embodiment=bodies(1))
