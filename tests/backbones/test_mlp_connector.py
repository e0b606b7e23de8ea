import pytest
import torch
from transformers import LlavaConfig, LlavaNextVideoConfig
from transformers.models.llava.modeling_llava import LlavaMultiModalProjector
from transformers.models.llava_next_video.modeling_llava_next_video import (
    LlavaNextVideoMultiModalProjector,
    LlavaNextVideoPooler,
)

from zoo.backbones.mlp_connector import MlpConnector
from zoo.frames import window_of_patch

VISION = {
    "model_type": "clip_vision_model",
    "hidden_size": 16,
    "num_attention_heads": 4,
    "image_size": 24,
    "patch_size": 4,
}
TEXT = {"model_type": "llama", "hidden_size": 12, "num_attention_heads": 4}
NAMES = {
    f"{theirs}.{kind}": f"{ours}.{kind}"
    for theirs, ours in (("linear_1", "enter"), ("linear_2", "leave"))
    for kind in ("weight", "bias")
}


def connector_like(projector, num_features=1):
    connector = MlpConnector()
    connector.build(vision_size=16, num_features=num_features, hidden_size=12, intermediate_size=20)
    connector.load_state_dict({NAMES[name]: tensor for name, tensor in projector.state_dict().items()}, strict=True)
    return connector


@torch.no_grad()
@pytest.mark.parametrize("layers", [-2, [-2, -1]])
def test_windows_of_one_patch_equal_transformers_llava(layers):
    config = LlavaConfig(vision_config=VISION, text_config=TEXT, vision_feature_layer=layers)
    theirs = LlavaMultiModalProjector(config)
    count = 1 if isinstance(layers, int) else len(layers)
    features = torch.randn(36, 16 * count)
    ours = connector_like(theirs, count)(features, torch.arange(36).unsqueeze(1))
    torch.testing.assert_close(ours, theirs(features), rtol=1e-5, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("stride", [2, 3])
def test_windows_equal_transformers_llava_next_video(stride):
    config = LlavaNextVideoConfig(vision_config=VISION, text_config=TEXT, spatial_pool_stride=stride)
    theirs = LlavaNextVideoMultiModalProjector(config)
    features = torch.randn(2, 36, 16)
    expected = theirs(LlavaNextVideoPooler(config)(features)).flatten(0, 1)
    window, count = window_of_patch((6, 6), (stride, stride))
    window = torch.as_tensor(window)
    table = torch.stack([(window == w).nonzero().squeeze(1) + 36 * f for f in range(2) for w in range(count)])
    torch.testing.assert_close(connector_like(theirs)(features.flatten(0, 1), table), expected, rtol=1e-5, atol=1e-6)


def test_the_width_between_the_layers_can_be_set():
    connector = MlpConnector(intermediate_size=40)
    connector.build(vision_size=16, num_features=2, hidden_size=12, intermediate_size=20)
    assert connector.enter.weight.shape == (40, 32)
    assert connector.leave.weight.shape == (12, 40)
