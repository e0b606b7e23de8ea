from copy import deepcopy

import pytest
import torch
from timm.layers import Attention
from timm.models.vision_transformer import Block, VisionTransformer

from zoo.backbones.vit import TimmVisionEncoder, from_timm, vit_tiny
from zoo.errors import ConfigError
from zoo.frames import Frames
from zoo.layout import TokenLayout
from zoo.pruning.random import RandomPruner
from zoo.pruning_pass import PruningPass


def one_frame_a_clip(frames: int, grid: tuple[int, int]) -> TokenLayout:
    facts = Frames(
        clip=tuple(range(frames)), time_s=(0.0,) * frames, size_px=((28, 28),) * frames, window=((1, 1),) * frames
    )
    return TokenLayout.of_frames(facts, grid)


def our_encoder() -> TimmVisionEncoder:
    """timm's SigLIP layout with `SIZES`, patches of 7 in 28 pixels."""
    vit = VisionTransformer(
        img_size=28,
        patch_size=7,
        embed_dim=48,
        depth=3,
        num_heads=4,
        mlp_ratio=2,
        class_token=False,
        num_classes=0,
        global_pool="",
        act_layer="gelu_tanh",
    )
    return TimmVisionEncoder(vit=vit, mean=(0.5,) * 3, std=(0.5,) * 3, feature_blocks=(-1, 0)).eval()


@pytest.mark.parametrize("class_token", [False, True])
def test_blocks_equal_timms_own_forward(class_token):
    vit = VisionTransformer(
        img_size=28,
        patch_size=7,
        embed_dim=48,
        depth=3,
        num_heads=4,
        class_token=class_token,
        reg_tokens=2 * class_token,
        num_classes=0,
        global_pool="",
        init_values=0.3,
        qk_norm=True,
    )
    theirs = deepcopy(vit).eval()
    ours = TimmVisionEncoder(vit=vit, mean=(0.5,) * 3, std=(0.5,) * 3, feature_blocks=(2,)).eval()
    assert ours.vit.state_dict().keys() == theirs.state_dict().keys()
    pixels = torch.randn(3, 3, 28, 28)
    with torch.no_grad():
        expected = theirs.forward_features(pixels)[:, vit.num_prefix_tokens :]
        states = ours.final_norm(ours(pixels, one_frame_a_clip(3, (4, 4))).states)
    torch.testing.assert_close(states.view(3, 16, 48), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("class_token", [False, True])
def test_survivors_run_packed_as_each_frame_would_alone(class_token):
    vit = VisionTransformer(
        img_size=28,
        patch_size=7,
        embed_dim=48,
        depth=3,
        num_heads=4,
        class_token=class_token,
        num_classes=0,
        global_pool="",
    )
    encoder = TimmVisionEncoder(vit=vit, mean=(0.5,) * 3, std=(0.5,) * 3, feature_blocks=(2, 0)).eval()
    pixels, layout = torch.randn(3, 3, 28, 28), one_frame_a_clip(3, (4, 4))
    pruning = PruningPass(pruners=[RandomPruner(remove=0.4, site="vit.block[0]")], clip_seeds=(4, 5, 6))
    with torch.no_grad():
        together = encoder(pixels, layout, pruning)
        for frame in range(3):
            alone = encoder(
                pixels[frame : frame + 1],
                one_frame_a_clip(1, (4, 4)),
                PruningPass(pruners=pruning.pruners, clip_seeds=(4 + frame,)),
            )
            own = together.layout.frame_of_token == frame
            assert own.sum() == 10  # 16 - floor(0.4 * 16)
            torch.testing.assert_close(together.states[own], alone.states, rtol=1e-5, atol=1e-5)


def test_checkpointed_blocks_give_the_same_gradients():
    pixels, layout = torch.randn(2, 3, 48, 48), one_frame_a_clip(2, (6, 6))
    encoder = vit_tiny(image_size=48, hidden_size=32, num_blocks=2, num_heads=2, stem_channels=16)
    gradients = []
    for encoder.activation_checkpointing in (False, True):
        encoder.zero_grad()
        encoder(pixels, layout).states.square().sum().backward()
        gradients.append([p.grad.clone() for p in encoder.vit.blocks.parameters()])
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(recomputed, plain, rtol=1e-5, atol=1e-6)


def test_pixels_are_normalised_as_the_weights_expect():
    pixels = torch.tensor([0, 255, 51], dtype=torch.uint8).view(1, 3, 1, 1)
    assert our_encoder().normalise(pixels).flatten().tolist() == pytest.approx([-1, 1, -0.6])


def test_timm_still_has_the_parts_that_the_block_loop_calls():
    """The loop reads timm's attribute names; a release that renames them must fail here, not in a user's run."""
    block = Block(8, 2)
    assert type(block.attn) is Attention
    for name in ("norm1", "ls1", "drop_path1", "norm2", "mlp", "ls2", "drop_path2"):
        assert hasattr(block, name), name
    for name in (
        "qkv",
        "q_norm",
        "k_norm",
        "norm",
        "gate",
        "proj",
        "proj_drop",
        "num_heads",
        "head_dim",
        "scale",
        "attn_dim",
    ):
        assert hasattr(block.attn, name), name


def test_an_unknown_timm_name_is_answered_with_near_ones():
    with pytest.raises(ConfigError, match="vit_base_patch16_siglip_224"):
        from_timm("vit_base_patch16_siglip_223")


def test_a_network_of_other_blocks_is_refused():
    with pytest.raises(ConfigError, match="plain VisionTransformer"):
        from_timm("resnet18")


def test_a_feature_block_that_does_not_exist_is_refused():
    with pytest.raises(ConfigError, match="feature block 4 of 4 blocks"):
        vit_tiny(feature_blocks=(4,))


@pytest.mark.parametrize(("feature_blocks", "norm_features", "runs"), [((0, 1), False, 2), ((-1,), True, 3)])
def test_what_no_feature_needs_is_idle_and_the_rest_gets_a_gradient(feature_blocks, norm_features, runs):
    encoder = vit_tiny(
        image_size=48, hidden_size=32, num_blocks=3, num_heads=2, stem_channels=16, feature_blocks=feature_blocks
    )
    encoder.norm_features = norm_features
    encoder(torch.randn(2, 3, 48, 48), one_frame_a_clip(2, (6, 6))).states.square().sum().backward()
    idle = {id(parameter) for module in encoder.idle() for parameter in module.parameters()}
    assert {id(p) for p in encoder.parameters() if p.grad is None} == idle
    assert len(encoder.units()) == 3
    assert bool(idle) == (runs < 3)


@pytest.mark.parametrize(("patch_size", "grid"), [(8, (8, 14)), (16, (4, 7))])
def test_the_tiny_one_takes_pictures_that_are_no_squares(patch_size, grid):
    encoder = vit_tiny(
        image_size=(64, 112), patch_size=patch_size, hidden_size=16, num_blocks=1, num_heads=2, stem_channels=16
    )
    assert (encoder.image_size, encoder.grid) == ((64, 112), grid)
    states = encoder.stem(torch.randn(2, 3, 64, 112))
    assert states.shape == (2, grid[0] * grid[1], 16)
