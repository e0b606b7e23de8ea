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


CLOSE = {"rtol": 1e-5, "atol": 1e-5}


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


@pytest.mark.parametrize("is_cast", [False, True])
def test_part_of_the_pictures_is_learnt_from_and_all_are_seen(module, monkeypatch, is_cast):
    batch = tiny_batch(module)
    expected = module.model.see_windows(batch.frames, batch.valid_mask)
    module.model.train()
    counts, learnt = [], []
    encode = module.model.vision.forward

    def seen(pictures, layout):
        made = encode(pictures, layout)
        counts.append(len(pictures))
        learnt.append(made.states.requires_grad)
        return made

    monkeypatch.setattr(module.model.vision, "forward", seen)
    module.model.vision_gradient_share = 0.3
    with torch.autocast("cpu", torch.bfloat16, enabled=is_cast):
        patches = module.model.see_windows(batch.frames, batch.valid_mask)
    (patches * torch.randn(patches.shape)).sum().backward()
    assert (counts, learnt) == ([5, 11], [True, False])  # of 16 pictures
    torch.testing.assert_close(patches.float(), expected, **({"rtol": 0, "atol": 0.1} if is_cast else CLOSE))
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in module.model.vision.parameters())
    module.eval()
    module.model(batch)
    assert counts[2:] == [16]


def test_gradients_of_a_part_are_those_of_its_pictures(module, monkeypatch):
    """What is seen is given on whole; the encoder learns from the drawn pictures as from all, and from no other."""
    batch = tiny_batch(module)
    module.model.train()
    order = torch.randperm(16)
    monkeypatch.setattr(policy_model.torch, "randperm", lambda count: order)
    patches = []
    see = module.model.see
    monkeypatch.setattr(module.model, "see", lambda frames: patches.append(see(frames)) or patches[-1])

    def gradients(share, mask):
        module.zero_grad()
        module.model.vision_gradient_share = share
        module.model(batch)
        weight = torch.randn(patches[-1].shape, generator=torch.Generator().manual_seed(0))
        (patches[-1] * weight * mask).sum().backward()
        return [p.grad.clone() for p in module.model.vision.parameters()]

    mask = torch.zeros(16).index_fill(0, order[:4], 1).view(8, 2, 1, 1, 1)
    for ours, theirs in zip(gradients(0.25, torch.ones_like(mask)), gradients(1.0, mask), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5])
def test_a_share_of_nothing_is_refused(share):
    with pytest.raises(ConfigError, match="vision_gradient_share"):
        tiny_policy(vision_gradient_share=share)


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
