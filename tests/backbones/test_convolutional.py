import pytest
import timm
import torch
from tiny_policy import tiny_batch, tiny_policy
from trunk_fixtures import build_batch, build_module

from zoo.backbones.convolutional import clip_resnet_50, resnet_tiny
from zoo.backbones.policy.spoc import spoc_tiny
from zoo.errors import ConfigError
from zoo.policy_model import whole_pictures
from zoo.pruner import Site
from zoo.pruning.random import RandomPruner
from zoo.pruning.stts import STTS
from zoo.pruning.tome import ToMe

SIZE = (16, 24)


def small(**changes):
    return resnet_tiny(**({"image_size": SIZE, "stem_channels": (8, 8), "hidden_size": 16, "num_blocks": 2} | changes))


def pictures(count):
    return torch.randint(256, (count, 3, *SIZE), dtype=torch.uint8)


def test_patches_are_the_cells_of_the_network_row_by_row():
    encoder, shown = small().eval(), pictures(3)
    assert (encoder.grid, encoder.hidden_size) == ((2, 3), 16)
    states = encoder(shown, whole_pictures(3, encoder.grid, shown.device)).states
    cells = encoder.network((shown / 255 - 0.5) / 0.5)
    torch.testing.assert_close(states.view(3, 2, 3, 16), cells.permute(0, 2, 3, 1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("stem_channels", "cell"), [((), 2), ((8, 8), 8), ((8, 8, 8), 16)])
def test_each_convolution_of_the_stem_halves_the_resolution(stem_channels, cell):
    encoder = small(image_size=(32, 48), stem_channels=stem_channels)
    assert encoder.grid == (32 // cell, 48 // cell)
    assert encoder.network(torch.rand(2, 3, 32, 48)).shape == (2, 16, *encoder.grid)


def test_a_patch_sees_what_is_around_it_and_not_the_other_end():
    encoder = small(image_size=(8, 800)).eval()
    shown = torch.randint(256, (1, 3, 8, 800), dtype=torch.uint8)
    other = shown.clone()
    other[..., 400:] = 255 - other[..., 400:]
    layout = whole_pictures(1, encoder.grid, shown.device)
    differs = (encoder(shown, layout).states - encoder(other, layout).states).abs().amax(1) > 1e-6
    assert differs[50:60].any()
    assert not differs[:40].any()


def test_a_policy_learns_to_see_with_it():
    sizes = {"patch_channels": 16, "text_channels": 16, "hidden_size": 16, "num_layers": 1, "num_heads": 2}
    trunk = spoc_tiny(**sizes, grid=(2, 3), has_pooled_token=False)
    module = tiny_policy(vision=small(), trunk=trunk, picture_size=(24, 16), target_weight=0.5)
    module.train()
    batch = tiny_batch(module)
    loss, _ = module._losses(module(batch), batch)
    loss.backward()
    assert [name for name, p in module.model.vision.named_parameters() if p.grad is None] == []


def test_tokens_leave_behind_it_and_no_block_within_is_there():
    module = build_module(vision=resnet_tiny(hidden_size=16))
    assert module.model.vision.sites() == (Site("pixels"), Site("vit.output"))
    batch = build_batch(module)
    for site in ("pixels", "vit.output"):
        module.model.set_pruners([RandomPruner(remove=0.5, site=site)])
        loss, _ = module._losses(module(batch), batch)
        loss.backward()
    for pruner in (STTS(block=0), ToMe()):
        with pytest.raises(ConfigError, match="block"):
            module.model.set_pruners([pruner])


def test_means_of_batch_norms_are_learnt_with_their_weights_and_travel_with_them():
    encoder, shown = small(), pictures(4)
    layout = whole_pictures(4, encoder.grid, shown.device)

    def means():
        return {name: value.clone() for name, value in encoder.state_dict().items() if name.endswith("running_mean")}

    before = means()
    encoder.train()(shown, layout)
    learnt = means()
    assert all(not torch.equal(learnt[name], before[name]) for name in before)
    encoder.requires_grad_(False)
    encoder.train()(shown, layout)
    assert all(torch.equal(kept, learnt[name]) for name, kept in means().items())


def test_clip_has_cells_of_32_pixels_and_sees_as_timm_s_network_does():
    torch.manual_seed(0)
    encoder = clip_resnet_50(image_size=(64, 96)).eval()
    torch.manual_seed(0)
    timms = timm.create_model("resnet50_clip.openai").eval()
    assert (encoder.grid, encoder.hidden_size) == ((2, 3), 2048)
    shown = torch.randint(256, (2, 3, 64, 96), dtype=torch.uint8)
    config = timms.pretrained_cfg
    mean, std = (torch.tensor(config[name]).view(3, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        states = encoder(shown, whole_pictures(2, encoder.grid, shown.device)).states
        expected = timms.forward_features((shown / 255 - mean) / std)
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(states.view(2, 2, 3, -1), expected.permute(0, 2, 3, 1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": (16, 20)}, r"each cell takes 8 pixels; give multiples of 8"),
        ({"num_blocks": 0}, "num_blocks 0; expected one block or more"),
        ({"stem_channels": (4, 8)}, r"stem_channels \[4, 8\].*multiples of 8"),
        ({"stem_channels": (0,)}, "multiples of 8"),
        ({"hidden_size": 12}, "hidden_size 12"),
    ],
)
def test_networks_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        small(**changes)
