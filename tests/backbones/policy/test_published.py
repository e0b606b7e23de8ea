"""Published trunks: sizes and parts; sheet sections 1.5, 1.16 and 2.4."""

import typing

import pytest
import torch
from torch import nn

from zoo import registry
from zoo.backbones.policy.fusion import ConvolutionalFusion
from zoo.backbones.policy.llama_decoder import LlamaBlock, LlamaDecoder
from zoo.backbones.policy.ring import ring_tiny
from zoo.backbones.policy.spoc import SpocSizes, Variant, spoc_tiny
from zoo.backbones.policy.temporal_decoder import RecurrentDecoder
from zoo.errors import ConfigError


def build(name, **arguments):
    with torch.device("meta"):
        return registry.build("policy_trunk", name, **arguments)


def millions(*modules: nn.Module) -> float:
    return sum(p.numel() for module in modules for p in module.parameters()) / 1e6


def test_parameters_of_the_main_trunk():
    trunk = build("spoc-siglip-3")
    head = nn.Linear(512, 20)
    assert millions(trunk, head) == pytest.approx(23.4, rel=0.01)
    fusion = trunk.fusion
    assert millions(fusion.compressor) == pytest.approx(0.66, rel=0.01)
    assert millions(fusion.adapter, trunk.goal) == pytest.approx(0.66, rel=0.01)
    assert millions(fusion.layers) == pytest.approx(9.46, rel=0.01)
    assert millions(trunk.decoder) == pytest.approx(12.61, rel=0.01)
    assert millions(trunk.step_embedding, head) == pytest.approx(0.02, abs=0.005)


def test_parameters_of_ring():
    trunk = build("ring")
    heads = (nn.Linear(512, 20), nn.Linear(512, 1))
    assert millions(trunk.fusion, trunk.goal) == pytest.approx(10.8, rel=0.01)
    assert millions(trunk.decoder) == pytest.approx(13.6, rel=0.01)
    assert millions(trunk, *heads) == pytest.approx(24.4, rel=0.01)
    assert millions(trunk, build("ring"), *heads) == pytest.approx(48.9, rel=0.01)  # the critic is a second copy


@pytest.mark.parametrize(
    ("name", "patches", "text", "fusion", "decoder"),
    [
        ("spoc-small-3", 384, 512, (3, 512, 8), (3, 512, 8)),
        ("spoc-small-6", 384, 512, (6, 512, 8), (6, 512, 8)),
        ("spoc-base-3", 768, 512, (3, 512, 8), (3, 512, 8)),
        ("spoc-base-6", 768, 512, (6, 768, 8), (6, 768, 8)),
        ("spoc-siglip-3", 768, 768, (3, 512, 8), (3, 512, 8)),
        ("spoc-siglip-base-3-6", 768, 768, (3, 768, 8), (6, 768, 12)),
        ("spoc-siglip-base-6", 768, 768, (6, 512, 8), (6, 512, 8)),
        ("spoc-siglip-base-6-3", 768, 768, (6, 768, 12), (3, 768, 12)),
        ("spoc-siglip-base-6-6", 768, 768, (6, 768, 12), (6, 768, 12)),
        ("spoc-siglip-base-12-12", 768, 768, (12, 768, 12), (12, 768, 12)),
        ("spoc-siglip-large-3", 1024, 1024, (3, 512, 8), (3, 512, 8)),
        ("spoc-clip-resnet-50-3", 2048, 512, (3, 512, 8), (3, 512, 8)),
        ("ring", 768, 768, (3, 512, 8), (3, 512, 8)),
    ],
)
def test_published_sizes(name, patches, text, fusion, decoder):
    trunk = build(name)
    assert (trunk.inputs.patch_channels, trunk.inputs.text_channels) == (patches, text)
    layer = trunk.fusion.layers[0]
    assert (len(trunk.fusion.layers), trunk.fusion.token.numel(), layer.self_attn.num_heads) == fusion
    assert layer.linear1.out_features == 2048
    assert (len(trunk.decoder.layers), trunk.hidden_size, trunk.decoder.num_heads) == decoder
    assert trunk.fusion.grid == (7, 12)
    assert trunk.goal.has_pooled_token == ("siglip" in name or name == "ring")


def test_the_other_width_has_its_own_heads():
    trunk = build("spoc-siglip-base-6-3", hidden_size=512)
    assert (trunk.hidden_size, trunk.fusion.layers[0].self_attn.num_heads, trunk.decoder.num_heads) == (512, 8, 8)


def test_variants_change_one_part():
    plain = build("spoc-siglip-3")
    boxed, convolved, recurrent = (build("spoc-siglip-3", variant=v) for v in typing.get_args(Variant)[1:])
    assert (plain.inputs.boxes_per_camera, boxed.inputs.boxes_per_camera) == (0, 2)
    assert boxed.fusion.boxes.slots.shape == (20, 512)
    assert isinstance(convolved.fusion, ConvolutionalFusion)
    assert millions(convolved.decoder) == millions(plain.decoder) == millions(boxed.decoder)
    assert isinstance(recurrent.decoder, RecurrentDecoder)
    assert (recurrent.decoder.gru.num_layers, recurrent.decoder.gru.hidden_size) == (3, 512)
    assert millions(recurrent.fusion) == millions(plain.fusion)


def test_ring_without_the_goal_in_its_decoder():
    plain, seeing = ring_tiny(goal_in_decoder=False), ring_tiny()
    assert isinstance(plain.decoder, LlamaDecoder)
    assert all(type(layer) is LlamaBlock for layer in plain.decoder.layers)
    assert millions(plain) < millions(seeing)
    assert not plain.inputs.has_in_hand


def test_ring_with_the_fusion_of_spoc_without_a_transformer():
    convolved = ring_tiny(variant="nonTxEnc")
    assert isinstance(convolved.fusion, ConvolutionalFusion)
    assert isinstance(convolved.decoder, LlamaDecoder)
    assert millions(convolved.decoder) == millions(ring_tiny().decoder)


def test_emb_siglip_has_the_published_widths():
    trunk = build("emb-siglip-gru")
    assert trunk.convolution.out_channels == 2688
    assert (trunk.decoder.gru.input_size, trunk.decoder.gru.hidden_size) == (2 * 2688 + 12, 512)
    assert trunk.decoder.gru.num_layers == 1


@pytest.mark.parametrize(("heads", "size"), [(3, 16), (0, 16), (3, 9)])
def test_heads_that_do_not_divide_the_channels_are_refused(heads, size):
    with pytest.raises(ConfigError, match=f"hidden_size {size} with fusion_heads {heads}"):
        spoc_tiny(hidden_size=size, num_heads=heads)


def test_decoder_heads_are_checked_too():
    with pytest.raises(ConfigError, match="decoder_heads 5"):
        SpocSizes(patch_channels=1, text_channels=1, has_pooled_token=False, decoder_heads=5)


@pytest.mark.parametrize("name", [name for name in registry.names("policy_trunk") if name.endswith("-tiny")])
def test_cameras_in_another_order_are_refused(name):
    with pytest.raises(ConfigError, match="alphabetical order"):
        build(name, cameras=["navigation", "manipulation"])


def test_one_camera_will_do():
    assert build("spoc-tiny", cameras=["front"]).fusion.cameras.shape == (1, 128)
