"""A file in SPOC's layout becomes a checkpoint folder that loads as a policy with the same weights."""

import pytest
import torch
import yaml
from released_policies import Ring, Spoc

import zoo
from zoo.checkpoints.released_policy import policy
from zoo.errors import ConfigError
from zoo.policy_module import PolicyModule

SIZES = {"patch_channels": 16, "text_channels": 16, "hidden_size": 16, "num_layers": 2, "num_heads": 2}
MODEL = {
    "class_path": "policy",
    "init_args": {
        "vision": {
            "class_path": "vit-tiny",
            "init_args": {
                "image_size": [32, 48],
                "patch_size": 16,
                "hidden_size": 16,
                "num_blocks": 1,
                "num_heads": 2,
                "stem_channels": 16,
            },
        },
        "text": {
            "class_path": "siglip-text-tiny",
            "init_args": {"hidden_size": 16, "num_layers": 1, "num_heads": 2, "max_tokens": 24, "frozen": True},
        },
        "trunk": {"class_path": "spoc-tiny", "init_args": {**SIZES, "grid": [2, 3]}},
        "head": {"class_path": "navigation"},
    },
}


@pytest.fixture
def recipe(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump({"model": MODEL, "trainer": {"max_steps": 1}}))
    return str(file)


@pytest.fixture
def released(tmp_path):
    """A file whose feed-forward networks are as wide as the tiny trunk's."""
    network = Spoc(patches=16, text=16, channels=16, heads=2, layers=2, width=64)
    file = tmp_path / "spoc.ckpt"
    torch.save({"state_dict": {f"model.{name}": tensor for name, tensor in network.state_dict().items()}}, file)
    return file, network


def test_a_released_policy_as_a_checkpoint_folder(recipe, released, tmp_path):
    file, network = released
    folder = policy(file, release="spoc", recipe=recipe, out=tmp_path / "out", licence="apache-2.0")
    module = zoo.from_pretrained(folder)
    assert isinstance(module, PolicyModule)
    trunk = module.model.trunk
    assert torch.equal(trunk.fusion.token, network.visual_encoder.fusion_token)
    assert torch.equal(module.model.head.actor.weight, network.action_classifier.weight)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "apache-2.0" in card
    assert "# spoc: spoc" in card


def test_a_released_ring_sees_as_released_whatever_the_recipe_of_the_paper_does(tmp_path):
    network = Ring(patches=16, text=16, channels=16, heads=2, layers=2, width=64)
    file = tmp_path / "ring.pt"
    torch.save({"model_state_dict": network.state_dict()}, file)
    recipe = tmp_path / "ring.yaml"
    arguments = MODEL["init_args"] | {"trunk": {"class_path": "ring-tiny", "init_args": {**SIZES, "grid": [2, 3]}}}
    recipe.write_text(yaml.safe_dump({"model": {"class_path": "policy", "init_args": {**arguments, "resize": "pad"}}}))
    module = zoo.from_pretrained(policy(file, release="ring", recipe=str(recipe), out=tmp_path / "out"))
    assert module.processor.resize == "bicubic"
    assert torch.equal(module.model.trunk.fusion.token, network.visual_encoder.fusion_token)


def test_a_file_that_is_not_there_is_named_before_anything_is_built(recipe, tmp_path):
    with pytest.raises(ConfigError, match=r"no file .*spoc\.ckpt; expected a released policy"):
        policy(tmp_path / "spoc.ckpt", release="spoc", recipe=recipe, out=tmp_path / "out")


def test_recipes_that_are_of_no_policy(recipe, released, tmp_path):
    file, _ = released
    with pytest.raises(ConfigError, match="no recipe 'nothing'"):
        policy(file, release="spoc", recipe="nothing", out=tmp_path / "out")
    other = tmp_path / "other.yaml"
    for text, match in (("trainer: {}", "has no model"), ("[", "is no YAML"), ("model: {a: 1}", "has no model")):
        other.write_text(text)
        with pytest.raises(ConfigError, match=match):
            policy(file, release="spoc", recipe=str(other), out=tmp_path / "out")
    with pytest.raises(ConfigError, match="makes a ZooModule; give that of a policy"):
        policy(file, release="spoc", recipe="molmo2/tiny", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_weights_of_another_policy(recipe, tmp_path):
    other = Spoc(patches=16, text=16, channels=16, heads=2, layers=1, width=64)
    file = tmp_path / "other.ckpt"
    torch.save({"state_dict": {f"model.{name}": tensor for name, tensor in other.state_dict().items()}}, file)
    with pytest.raises(ConfigError, match=r"missing: decoder\.layers\.1"):
        policy(file, release="spoc", recipe=recipe, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
