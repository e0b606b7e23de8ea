"""The fusion against a literal one of torch's parts; sheet sections 1.5, 1.16 and 5.2."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from zoo.backbones.policy.fusion import ConvolutionalFusion, GoalConvolution, TransformerFusion
from zoo.backbones.policy.goal import Goal, GoalAdapter
from zoo.errors import ConfigError
from zoo.text_encoder import TextFeatures

SIZES = {"patch_channels": 6, "num_cameras": 2, "hidden_size": 8, "num_layers": 3, "num_heads": 2}


def goal_of(batch, tokens=4, channels=8):
    states = torch.randn(batch, tokens, channels)
    return Goal(tokens=states, mask=None, pooled=states[:, -1])


@pytest.mark.parametrize("num_boxes", [0, 4])
def test_the_fusion_is_torch_s_encoder_read_at_its_first_token(num_boxes):
    fusion = TransformerFusion(**SIZES, num_boxes=num_boxes, dropout=0.0, intermediate_size=16)
    weights = fusion.state_dict()
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
    encoder.load_state_dict({name: t for name, t in weights.items() if name.startswith("layers.")}, strict=True)
    patches, goal = torch.randn(2, 3, 2, 6, 16, 16), goal_of(2)
    boxes = 100 * torch.rand(2, 3, 2, 2, 5) if num_boxes else None

    expected = []
    for row in range(2):
        for time in range(3):
            tokens = [weights["token"][None]]
            for camera in range(2):
                grid = F.adaptive_avg_pool2d(patches[row, time, camera], (7, 12)).flatten(1).T  # (84, 6)
                for number in (0, 2):  # the 1 x 1 convolutions as matrices
                    matrix = weights[f"compressor.{number}.weight"][..., 0, 0]
                    grid = F.relu(F.linear(grid, matrix, weights[f"compressor.{number}.bias"]))
                grid = F.relu(fusion.adapter[1](fusion.adapter[0](grid)))
                tokens.append(grid + weights["cameras"][camera])
            tokens.append(goal.tokens[row])
            if num_boxes:
                tokens.append(fusion.boxes(boxes[row : row + 1, time : time + 1])[0, 0])
            expected.append(encoder(torch.cat(tokens)[None])[0, 0])
    got = fusion(patches, goal, boxes)
    assert got.shape == (2, 3, 8)
    torch.testing.assert_close(got.flatten(0, 1), torch.stack(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("num_boxes", "count"), [(0, 1 + 168 + 65), (4, 1 + 168 + 65 + 20)])
def test_published_number_of_tokens(num_boxes, count):
    text = TextFeatures(
        states=torch.randn(2, 64, 5), attention_mask=torch.ones(2, 64, dtype=torch.bool), pooled=torch.randn(2, 5)
    )
    goal = GoalAdapter(text_channels=5, hidden_size=8, has_pooled_token=True)(text)
    fusion = TransformerFusion(**SIZES, num_boxes=num_boxes)
    boxes = torch.zeros(2, 3, 2, 2, 5) if num_boxes else None
    tokens, mask = fusion.tokens(torch.randn(2, 3, 2, 6, 7, 12), goal, boxes)
    assert tokens.shape == (2 * 3, count, 8)
    assert mask is None


def test_the_mask_of_a_padded_text_lies_on_its_tokens():
    fusion = TransformerFusion(**SIZES, num_boxes=1, grid=(1, 2))
    goal = Goal(tokens=torch.randn(2, 3, 8), mask=torch.tensor([[True, True, False], [True] * 3]), pooled=None)
    _, mask = fusion.tokens(torch.randn(2, 2, 2, 6, 1, 2), goal, torch.zeros(2, 2, 2, 1, 5)[:, :, :1])
    hidden = [(row, token) for row, token in (~mask).nonzero().tolist()]
    assert hidden == [(0, 1 + 4 + 2), (1, 1 + 4 + 2)]  # both steps of the first row
    assert mask.shape == (4, 1 + 4 + 3 + 5)


def test_pooled_vector_is_the_last_text_token():
    text = TextFeatures(
        states=torch.randn(1, 2, 5), attention_mask=torch.tensor([[True, False]]), pooled=torch.randn(1, 5)
    )
    adapter = GoalAdapter(text_channels=5, hidden_size=8, has_pooled_token=True)
    goal = adapter(text)
    torch.testing.assert_close(goal.tokens[:, -1], adapter.adapter(text.pooled))
    assert goal.mask.tolist() == [[True, False, True]]
    plain = GoalAdapter(text_channels=5, hidden_size=8, has_pooled_token=False)(text)
    assert plain.tokens.shape == (1, 2, 8)


def test_a_pooled_vector_of_another_size_is_no_token():
    text = TextFeatures(
        states=torch.randn(1, 2, 5), attention_mask=torch.ones(1, 2, dtype=torch.bool), pooled=torch.randn(1, 6)
    )
    with pytest.raises(ConfigError, match="states of 5 channels and a pooled vector of 6"):
        GoalAdapter(text_channels=5, hidden_size=8, has_pooled_token=True)(text)


def test_goal_convolution_is_the_published_one():
    convolution = GoalConvolution(patch_channels=6, pooled_channels=5)
    assert convolution.out_channels == 2688
    sizes = [(layer.in_channels, layer.out_channels) for layer in convolution.modules() if isinstance(layer, nn.Conv2d)]
    assert sizes == [(6, 128), (128, 32), (64, 128), (128, 32)]
    patches, pooled = torch.randn(2, 3, 2, 6, 7, 12), torch.randn(2, 5)
    out = convolution(patches, pooled)
    assert out.shape == (2, 3, 2 * 2688)
    goal = F.relu(convolution.goal[1](convolution.goal[0](pooled[1:])))
    frame = convolution.compressor(patches[1, 2, 1][None])
    tiled = goal[:, :, None, None].repeat(1, 1, 7, 12)
    one = convolution.combiner(torch.cat([frame, tiled], dim=1)).flatten()
    torch.testing.assert_close(out[1, 2, 2688:], one, rtol=1e-5, atol=1e-5)


def test_convolutional_fusion_reads_both_cameras_at_the_trunk_s_width():
    fusion = ConvolutionalFusion(patch_channels=6, pooled_channels=8, num_cameras=2, hidden_size=10, grid=(2, 2))
    out = fusion(torch.randn(2, 3, 2, 6, 4, 4), goal_of(2), None)
    assert out.shape == (2, 3, 10)
    assert fusion.adapter[0].in_features == 2 * 32 * 4
