from dataclasses import replace

import pytest
import torch
from tiny_policy import GOALS, tiny_batch, tiny_policy

from zoo import policy_model
from zoo.backbones.policy.spoc import spoc_tiny
from zoo.backbones.text_encoders import t5_tiny
from zoo.backbones.vit import vit_tiny
from zoo.errors import ConfigError
from zoo.heads.navigation import NavigationHead
from zoo.optimisation import PolicyOptimiserSettings
from zoo.policy_model import PolicyModel


@pytest.fixture
def module():
    return tiny_policy().eval()


def seen_pictures(module, monkeypatch) -> list[int]:
    """Numbers of pictures that the vision encoder is given, call by call."""
    counts = []
    encode = module.model.vision.forward
    monkeypatch.setattr(module.model.vision, "forward", lambda x, layout: counts.append(len(x)) or encode(x, layout))
    return counts


def test_padding_is_not_encoded_and_changes_nothing(module, monkeypatch):
    batch = tiny_batch(module, lengths=(5, 2))
    counts = seen_pictures(module, monkeypatch)
    padded = module.model(batch).logits
    assert sum(counts) == (5 + 2) * 2  # cameras
    short = replace(
        batch,
        **{name: getattr(batch, name)[1:, :2] for name in ("frames", "actions", "previous_actions", "time_ids")},
        **{name: getattr(batch, name)[1:, :2] for name in ("in_hand", "boxes", "valid_mask")},
        **{name: getattr(batch, name)[1:] for name in ("keys", "tasks", "goals", "embodiment")},
    )
    torch.testing.assert_close(padded[1:, :2], module.model(short).logits, rtol=1e-5, atol=1e-5)


def test_a_frozen_encoder_sees_pictures_in_turns_and_sees_the_same(module, monkeypatch):
    batch = tiny_batch(module)
    whole = module.model(batch).logits
    module.model.vision.requires_grad_(False)
    monkeypatch.setattr(policy_model, "PICTURES_AT_ONCE", 3)
    counts = seen_pictures(module, monkeypatch)
    torch.testing.assert_close(module.model(batch).logits, whole, rtol=1e-5, atol=1e-5)
    assert counts == [3, 3, 3, 3, 3, 1]


def test_each_goal_is_read_once(module, monkeypatch):
    given = []
    read = module.model.text.read
    monkeypatch.setattr(module.model.text, "read", lambda texts: given.append(texts) or read(texts))
    text = module.model.read(GOALS)
    assert given == [["find a bed", "navigate to an armchair", "go to the sink"]]
    assert torch.equal(text.states[0], text.states[2])
    assert not torch.equal(text.pooled[0], text.pooled[1])


def test_the_goal_and_each_camera_and_the_hand_change_what_is_done(module):
    batch = tiny_batch(module, lengths=(2,))
    before = module.model(batch).logits
    changed = [replace(batch, goals=("go to the sink",)), replace(batch, in_hand=batch.in_hand + 1)]
    for camera in range(2):
        frames = batch.frames.clone()
        frames[:, :, camera] = 255 - frames[:, :, camera]
        changed.append(replace(batch, frames=frames))
    for other in changed:
        assert (module.model(other).logits - before).abs().max() > 1e-4


def test_frozen_parts_stay_in_evaluation_and_take_no_gradient():
    module = tiny_policy(optimiser=PolicyOptimiserSettings())  # the published: both encoders frozen
    module.configure_model()
    module.train()
    assert not module.model.vision.training
    assert not module.model.text.training
    assert module.model.trunk.training
    module.model(tiny_batch(module)).logits.sum().backward()
    with_gradient = {name.split(".")[1] for name, p in module.named_parameters() if p.grad is not None}
    assert with_gradient == {"trunk", "head"}


def test_parts_of_other_sizes_are_refused():
    parts = {"vision": vit_tiny(image_size=32, hidden_size=16, num_blocks=1, num_heads=2), "text": t5_tiny()}
    message = r"model.vision has patches of 16 channels, model.trunk wants 128; .*text has states of 64 .* wants 32"
    with pytest.raises(ConfigError, match=message):
        PolicyModel(**parts, trunk=spoc_tiny(text_channels=32), head=NavigationHead())
