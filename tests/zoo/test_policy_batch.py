"""Batches of windows: checked when made, moved as one."""

from dataclasses import fields, replace

import pytest
import torch

from zoo.embodiment import NUM_EMBODIMENT
from zoo.policy_batch import PolicyBatch


@pytest.fixture
def batch():
    """Two windows of three steps, one camera of 4 x 6 pixels, two boxes."""
    shape = (2, 3)
    ints = {name: torch.zeros(shape, dtype=torch.int64) for name in ("actions", "previous_actions", "time_ids")}
    return PolicyBatch(
        keys=("a", "b"),
        tasks=("object_nav_type",) * 2,
        goals=("find a mug", "find a bed"),
        frames=torch.zeros(*shape, 1, 3, 4, 6, dtype=torch.uint8),
        in_hand=torch.zeros(shape, dtype=torch.int64),
        boxes=torch.zeros(*shape, 1, 2, 5),
        embodiment=torch.full((2, NUM_EMBODIMENT), torch.nan),
        valid_mask=torch.ones(shape, dtype=torch.bool),
        seeds=(1, 2),
        **ints,
    )


def test_moving_moves_every_tensor_and_nothing_else(batch):
    moved = batch.to("meta")
    for field in fields(batch):
        before, after = getattr(batch, field.name), getattr(moved, field.name)
        if isinstance(before, torch.Tensor):
            assert (before.device.type, after.device.type, after.shape) == ("cpu", "meta", before.shape)
        else:
            assert after == before
    assert len(moved) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keys": ("a",)}, r"valid_mask \(2, 3\) of 1 keys, 2 tasks and 2 goals"),
        ({"valid_mask": torch.ones(2, dtype=torch.bool)}, r"valid_mask \(2,\).*expected \(batch, time\)"),
        ({"time_ids": torch.zeros(2, 4)}, r"time_ids \(2, 4\) must be \(batch, time\) \(2, 3\)"),
        ({"frames": torch.zeros(2, 3, 2, 3, 4, 6)}, r"frames \(2, 3, 2, 3, 4, 6\) and boxes \(2, 3, 1, 2, 5\)"),
        ({"frames": torch.zeros(2, 3, 3, 4, 6)}, "have 6 and 5 axes"),
        ({"embodiment": torch.zeros(2, 5)}, r"embodiment \(2, 5\) must be \(2, 19\)"),
    ],
)
def test_shapes_that_disagree_are_refused(batch, changes, message):
    with pytest.raises(ValueError, match=message):
        replace(batch, **changes)
