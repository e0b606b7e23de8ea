import pytest
import torch
from safetensors.torch import load_file
from transformers import Dinov2Config, Dinov2Model, Dinov2WithRegistersConfig, Dinov2WithRegistersModel

from zoo.backbones.dinov2 import dinov2_tiny, encoder_of_config, resampled_positions, timm_weights
from zoo.errors import ConfigError
from zoo.frames import Frames
from zoo.layout import TokenLayout
from zoo.pruning.random import RandomPruner
from zoo.pruning_pass import PruningPass

SIZES = {
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "image_size": 28,
    "patch_size": 7,
}
KINDS = {0: (Dinov2Model, Dinov2Config), 4: (Dinov2WithRegistersModel, Dinov2WithRegistersConfig)}


def one_frame_a_clip(frames, grid):
    facts = Frames(
        clip=tuple(range(frames)), time_s=(0.0,) * frames, size_px=((28, 28),) * frames, window=((1, 1),) * frames
    )
    return TokenLayout.of_frames(facts, grid)


def network(registers, gated=False):
    """transformers' own with every weight random, layer scales and tokens too."""
    model, config = KINDS[registers]
    made = model(config(**SIZES, use_swiglu_ffn=gated)).eval()
    for parameter in made.parameters():
        parameter.data.normal_(std=0.3 if parameter.ndim == 1 else parameter.shape[-1] ** -0.5)
    return made


def ours_with(weights, config, image_size=None):
    encoder = encoder_of_config(config, image_size=image_size, feature_blocks=(-1, 0), norm_features=False).eval()
    encoder.vit.load_state_dict(timm_weights(weights, grid=encoder.grid), strict=True)
    return encoder


@torch.no_grad()
@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("registers", KINDS)
def test_states_equal_those_of_transformers(registers, gated):
    theirs = network(registers, gated)
    ours = ours_with(theirs.state_dict(), theirs.config)
    pixels = torch.randn(2, 3, 28, 28)
    expected = theirs(pixel_values=pixels, output_hidden_states=True)
    last, first = ours(pixels, one_frame_a_clip(2, (4, 4))).states.split(48, dim=1)
    prefix = 1 + registers
    assert ours.num_prefix_tokens == prefix
    torch.testing.assert_close(first.view(2, 16, 48), expected.hidden_states[1][:, prefix:], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        ours.final_norm(last).view(2, 16, 48), expected.last_hidden_state[:, prefix:], rtol=1e-4, atol=1e-4
    )


@torch.no_grad()
@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("registers", KINDS)
def test_a_saved_folder_and_a_network_in_memory_give_the_same_weights(registers, gated, tmp_path):
    theirs = network(registers, gated)
    theirs.save_pretrained(tmp_path)
    read = timm_weights(load_file(tmp_path / "model.safetensors"), grid=(4, 4))
    held = timm_weights(theirs.state_dict(), grid=(4, 4))
    assert read.keys() == held.keys()
    for name, tensor in held.items():
        torch.testing.assert_close(read[name], tensor, rtol=0, atol=0)


@torch.no_grad()
@pytest.mark.parametrize("size", [(21, 42), (42, 56)])
@pytest.mark.parametrize("registers", KINDS)
def test_positions_are_resampled_as_transformers_does(registers, size):
    theirs = network(registers)
    ours = ours_with(theirs.state_dict(), theirs.config, image_size=size)
    assert ours.grid == (size[0] // 7, size[1] // 7)
    pixels = torch.randn(2, 3, *size)
    expected = theirs(pixel_values=pixels).last_hidden_state[:, 1 + registers :]
    last = ours(pixels, one_frame_a_clip(2, ours.grid)).states[:, :48]
    torch.testing.assert_close(ours.final_norm(last).view_as(expected), expected, rtol=1e-4, atol=1e-4)


def test_positions_of_no_square_are_refused():
    with pytest.raises(ConfigError, match="12 position embeddings are no square grid"):
        resampled_positions(torch.zeros(1, 12, 8), (3, 4), antialias=False)


def test_other_activations_are_refused():
    with pytest.raises(ConfigError, match="activation 'relu'"):
        encoder_of_config(Dinov2Config(**SIZES, hidden_act="relu"))


@pytest.mark.parametrize(
    ("statistics", "white"), [("imagenet", [2.2489, 2.4286, 2.64]), ("clip", [1.9303, 2.0749, 2.1459])]
)
def test_pixels_are_normalised_as_asked(statistics, white):
    pixels = torch.full((1, 3, 1, 1), 255, dtype=torch.uint8)
    encoder = dinov2_tiny(hidden_size=32, num_blocks=1, normalisation=statistics)
    assert encoder.normalise(pixels).flatten().tolist() == pytest.approx(white, abs=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("registers", [0, 4])
def test_survivors_keep_their_class_and_register_tokens(registers, gated):
    encoder = dinov2_tiny(
        image_size=(56, 84), hidden_size=32, num_blocks=3, num_registers=registers, gated=gated, feature_blocks=(2, 0)
    ).eval()
    assert encoder.grid == (4, 6)
    pixels, layout = torch.randn(3, 3, 56, 84), one_frame_a_clip(3, (4, 6))
    pruners = [RandomPruner(remove=0.5, site="vit.block[0]")]
    together = encoder(pixels, layout, PruningPass(pruners=pruners, clip_seeds=(4, 5, 6)))
    for frame in range(3):
        own = together.layout.frame_of_token == frame
        pruning = PruningPass(pruners=pruners, clip_seeds=(4 + frame,))
        alone = encoder(pixels[frame : frame + 1], one_frame_a_clip(1, (4, 6)), pruning)
        assert own.sum() == 12
        torch.testing.assert_close(together.states[own], alone.states, rtol=1e-5, atol=1e-5)


def test_every_weight_gets_a_gradient():
    encoder = dinov2_tiny(image_size=(28, 42), hidden_size=32, num_blocks=2, gated=True)
    encoder(torch.randn(2, 3, 28, 42), one_frame_a_clip(2, (2, 3))).states.square().sum().backward()
    silent = [name for name, p in encoder.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    assert silent == []
