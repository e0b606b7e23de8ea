"""Files in the layout of released SPOC and RING policies: our outputs are those of the network that wrote them."""

import pytest
import torch
from released_policies import CAMERAS, GRID, SeparateRing, Spoc
from safetensors.torch import save_file

from zoo.backbones.policy.fusion import TransformerFusion
from zoo.backbones.policy.fusion_trunk import FusionTrunk
from zoo.backbones.policy.goal import GoalAdapter
from zoo.backbones.policy.llama_decoder import LlamaDecoder
from zoo.backbones.policy.ring import ACTION_IDS as RING_IDS
from zoo.backbones.policy.spoc import SpocSizes, spoc, spoc_siglip_3
from zoo.checkpoints.spoc import fill_released, read_released, trunk_weights
from zoo.errors import ConfigError
from zoo.heads.navigation import NavigationHead
from zoo.policy_trunk import PolicySteps, TrunkInputs
from zoo.text_encoder import TextFeatures

SIZES = {"patches": 6, "text": 5, "channels": 16, "heads": 2, "layers": 2}
TIME = 4
EXACT = {"rtol": 1e-4, "atol": 1e-5}
"""Float32, other orders of summation."""


def spoc_trunk(**changes):
    sizes = SpocSizes(
        patch_channels=6,
        text_channels=5,
        has_pooled_token=True,
        hidden_size=16,
        fusion_layers=2,
        fusion_heads=2,
        decoder_layers=2,
        decoder_heads=2,
        grid=GRID,
    )
    return spoc(sizes=sizes, **changes).eval()


def ring_trunk():
    return FusionTrunk(
        inputs=TrunkInputs(patch_channels=6, text_channels=5, cameras=CAMERAS, actions=RING_IDS, has_in_hand=False),
        goal=GoalAdapter(text_channels=5, hidden_size=16, has_pooled_token=True),
        fusion=TransformerFusion(
            patch_channels=6, num_cameras=2, hidden_size=16, num_layers=2, num_heads=2, grid=GRID, num_boxes=0
        ),
        decoder=LlamaDecoder(hidden_size=16, num_layers=2, num_heads=2),
    ).eval()


def head_of(**arguments):
    head = NavigationHead(**arguments)
    head.build(hidden_size=16)
    return head


@pytest.fixture
def seen():
    """What one episode shows, for their networks and for ours."""
    pictures = {camera: torch.randn(TIME, 6, *GRID) for camera in CAMERAS}
    boxes = {camera: 40 * torch.rand(TIME, 2, 5) for camera in CAMERAS}
    text = torch.randn(7, 5)
    actions, in_hand = torch.tensor([20, 0, 3, 19]), torch.tensor([0, 1, 1, 0])

    def steps(*, has_in_hand=True, has_boxes=False):
        return PolicySteps(
            patches=torch.stack([pictures[camera] for camera in CAMERAS], dim=1)[None],
            text=TextFeatures(
                states=text[None, :-1], attention_mask=torch.ones(1, 6, dtype=torch.bool), pooled=text[None, -1]
            ),
            previous_actions=actions[None],
            time_ids=torch.arange(TIME)[None],
            in_hand=in_hand[None] if has_in_hand else None,
            boxes=torch.stack([boxes[camera] for camera in CAMERAS], dim=1)[None] if has_boxes else None,
        )

    return pictures, boxes, text, actions, in_hand, steps


@pytest.fixture
def save(tmp_path):
    """Write a network as its own trainer does."""

    def write(network, *, layout, **changes):
        tensors = dict(network.state_dict())
        if layout == "spoc":
            tensors = {f"model.{name}": tensor for name, tensor in tensors.items()}
        tensors |= changes
        tensors = {name: tensor for name, tensor in tensors.items() if tensor is not None}
        key = {"spoc": "state_dict", "ring": "model_state_dict"}[layout]
        file = tmp_path / {"spoc": "model.ckpt", "ring": "steps.pt"}[layout]
        torch.save({key: tensors, "train_steps": 5, "epoch": 1}, file)
        return file

    return write


@torch.no_grad()
@pytest.mark.parametrize("has_boxes", [False, True])
@pytest.mark.parametrize("cameras", [CAMERAS, ("manipulation_camera", "navigation_camera")])
def test_spoc_s_logits(seen, save, has_boxes, cameras):
    pictures, boxes, text, actions, in_hand, steps = seen
    theirs = Spoc(**SIZES, has_boxes=has_boxes).eval()
    trunk, head = spoc_trunk(variant="double_det" if has_boxes else "plain", cameras=cameras), head_of()
    fill_released(save(theirs, layout="spoc"), "spoc", trunk=trunk, head=head)
    expected = theirs(pictures, text, actions, in_hand, boxes if has_boxes else None)
    torch.testing.assert_close(head(trunk(steps(has_boxes=has_boxes)))[0], expected, **EXACT)


@torch.no_grad()
def test_ring_s_logits_and_the_values_of_its_second_network(seen, save):
    pictures, _, text, actions, _, steps = seen
    theirs = SeparateRing(**SIZES).eval()
    trunk, critic, head = ring_trunk(), ring_trunk(), head_of(has_critic=True, navigation_only=False)
    fill_released(save(theirs, layout="ring"), "ring", trunk=trunk, head=head, critic=critic)
    shown = steps(has_in_hand=False)
    torch.testing.assert_close(head(trunk(shown))[0], theirs(pictures, text, actions)[0], **EXACT)
    expected = theirs.critic_tsfm(pictures, text, actions)[1]
    torch.testing.assert_close(head.values(critic(shown))[0], expected, **EXACT)


@torch.no_grad()
def test_ring_s_actor_alone(seen, save):
    pictures, _, text, actions, _, steps = seen
    theirs = SeparateRing(**SIZES).eval()
    trunk, head = ring_trunk(), head_of()
    fill_released(save(theirs, layout="ring"), "ring", trunk=trunk, head=head)
    expected = theirs(pictures, text, actions)[0]
    torch.testing.assert_close(head(trunk(steps(has_in_hand=False)))[0], expected, **EXACT)


def test_tensors_alone_do_as_well(save, tmp_path):
    theirs = Spoc(**SIZES)
    found = read_released(save(theirs, layout="spoc"), "spoc")
    assert not any("_encoder." in name and name.startswith("visual_encoder.image") for name in found)
    save_file({f"model.{name}": tensor for name, tensor in found.items()}, tmp_path / "policy.safetensors")
    again = read_released(tmp_path / "policy.safetensors", "spoc")
    assert again.keys() == found.keys()
    fill_released(tmp_path / "policy.safetensors", "spoc", trunk=spoc_trunk(), head=head_of())


def test_every_weight_of_the_published_trunk_has_a_name():
    trunk = spoc_siglip_3(variant="double_det")
    weights = trunk_weights(trunk, "spoc")
    assert {weight.own for weight in weights} == {name for name, _ in trunk.named_parameters()}
    stored = [name for weight in weights for name in weight.stored]
    assert len(stored) == len(set(stored))
    assert "visual_encoder.visual_sensor_token_raw_manipulation_camera" in stored
    assert "decoder.layers.2.multihead_attn.out_proj.bias" in stored


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"model.decoder.layers.1.norm3.weight": None}, r"missing: decoder\.layers\.1\.norm3\.weight"),
        ({"model.decoder.layers.2.norm3.weight": torch.ones(16)}, r"unexpected: decoder\.layers\.2\.norm3"),
        ({"model.visual_encoder.fusion_token": torch.ones(8)}, r"other sizes: visual_encoder\.fusion_token \(8,\)"),
        ({"model.time_encoder.div_term": torch.ones(8)}, r"other frequencies than the published: time_encoder"),
        ({"model.object_in_hand_embed.weight": None}, r"missing: object_in_hand_embed"),
    ],
)
def test_other_weights_than_the_trunk_s(save, change, match):
    trunk, head = spoc_trunk(), head_of()
    before = {name: tensor.clone() for name, tensor in trunk.state_dict().items()}
    with pytest.raises(ConfigError, match=match):
        fill_released(save(Spoc(**SIZES), layout="spoc", **change), "spoc", trunk=trunk, head=head)
    assert all(torch.equal(tensor, before[name]) for name, tensor in trunk.state_dict().items())


def test_a_trunk_of_another_shape(save):
    with pytest.raises(ConfigError, match=r"missing: .*bbox_pos_encoder"):
        fill_released(
            save(Spoc(**SIZES), layout="spoc"), "spoc", trunk=spoc_trunk(variant="double_det"), head=head_of()
        )
    with pytest.raises(ConfigError, match=r"unexpected: .*bbox_pos_encoder"):
        fill_released(save(Spoc(**SIZES, has_boxes=True), layout="spoc"), "spoc", trunk=spoc_trunk(), head=head_of())


@pytest.mark.parametrize("variant", ["gru", "nonTxEnc"])
def test_variants_that_were_not_released(save, variant):
    file = save(Spoc(**SIZES), layout="spoc")
    with pytest.raises(ConfigError, match="which no released spoc policy has"):
        fill_released(file, "spoc", trunk=spoc_trunk(variant=variant), head=head_of())


def test_the_other_one_s_trunk(save):
    file = save(Spoc(**SIZES), layout="spoc")
    with pytest.raises(ConfigError, match=r"the trunk has decoder\.layers\.0.*which no released spoc policy has"):
        fill_released(file, "spoc", trunk=ring_trunk(), head=head_of())
    with pytest.raises(ConfigError, match="SPOC's policies have no critic"):
        fill_released(file, "spoc", trunk=spoc_trunk(), head=head_of(has_critic=True))
    with pytest.raises(ConfigError, match="leave the critic out"):
        fill_released(file, "spoc", trunk=spoc_trunk(), head=head_of(), critic=spoc_trunk())


class Harm:
    """Would write a file when it is unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return (open, (str(self.file), "w"))


def test_files_that_are_none(save, tmp_path):
    with pytest.raises(ConfigError, match="no file"):
        read_released(tmp_path / "nothing.ckpt", "spoc")
    harmful = tmp_path / "harm.ckpt"
    torch.save({"state_dict": {}, "args": Harm(tmp_path / "harm")}, harmful)
    with pytest.raises(ConfigError, match=r"cannot be read safely .*keep its tensors alone"):
        read_released(harmful, "spoc")
    assert not (tmp_path / "harm").exists()
    file = save(Spoc(**SIZES), layout="spoc")
    with pytest.raises(ConfigError, match="holds no 'model_state_dict'"):
        read_released(file, "ring")
    with pytest.raises(ConfigError, match="layout 'poliformer' of a released policy; one of spoc, ring"):
        read_released(file, "poliformer")
    torch.save({"state_dict": {"other": torch.ones(1)}}, tmp_path / "other.ckpt")
    with pytest.raises(ConfigError, match="holds no tensor of a spoc policy"):
        read_released(tmp_path / "other.ckpt", "spoc")
