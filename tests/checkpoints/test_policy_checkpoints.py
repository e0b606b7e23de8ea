"""Policies in checkpoint folders and .ckpt files."""

import json
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from lightning.pytorch import Trainer
from safetensors.torch import load_file, save_file
from tiny_policy import tiny_batch
from torch.utils.data import DataLoader
from transformers import SiglipConfig, SiglipModel

import zoo
from zoo.ask import load
from zoo.backbones.text_encoders import words_tokenizer
from zoo.checkpoints.card import Training
from zoo.checkpoints.converters import checkpoint
from zoo.checkpoints.recipe import build_module
from zoo.cli.folders import fill
from zoo.errors import ConfigError
from zoo.policy_module import PolicyModule

RATE = {"learning_rate": 1e-3, "warmup_steps": 0}
VISION = {"image_size": [32, 48], "patch_size": 16, "hidden_size": 16, "num_blocks": 1, "num_heads": 2}
SMALL = {"hidden_size": 16, "num_layers": 1, "num_heads": 2}
TRUNK = {"patch_channels": 16, "text_channels": 16, "has_pooled_token": False, "grid": [2, 3], **SMALL}


def recipe(**changes) -> dict:
    parts = {
        "vision": {"class_path": "vit-tiny", "init_args": VISION},
        "text": {"class_path": "t5-tiny", "init_args": {**SMALL, "max_tokens": 24}},
        "trunk": {"class_path": "spoc-tiny", "init_args": TRUNK},
        "head": {"class_path": "navigation", "init_args": {"choice": "greedy"}},
        "picture_size": [96, 64],
        "optimiser": dict.fromkeys(("vision", "text", "trunk", "head"), RATE),
    }
    return {"class_path": "policy", "init_args": {**parts, **changes}}


@pytest.fixture
def module() -> PolicyModule:
    return build_module(recipe()).eval()


def logits(module, batch) -> torch.Tensor:
    with torch.no_grad():
        return module.eval()(batch).logits


def test_a_folder_gives_the_same_policy_back(module, tmp_path):
    module.save_pretrained(tmp_path / "a")
    loaded = zoo.from_pretrained(tmp_path / "a")
    batch = tiny_batch(module)
    assert torch.equal(logits(loaded, batch), logits(module, batch))
    assert loaded.policy().image_size == (96, 64)
    assert loaded.model.head.choice == "greedy"
    loaded.save_pretrained(tmp_path / "b")
    assert (tmp_path / "b/config.json").read_bytes() == (tmp_path / "a/config.json").read_bytes()


def test_its_card_says_what_it_is(module, tmp_path):
    module.save_pretrained(tmp_path / "walker")
    card = (tmp_path / "walker/README.md").read_text()
    assert "A policy of [molmo-zoo]" in card
    assert "pipeline_tag: robotics" in card
    assert "| trunk | `spoc-tiny` |" in card
    assert "zoo evaluate --policy walker" in card


def test_its_card_tells_of_episodes_and_not_of_answers(module, tmp_path):
    task = {"task": "object_nav_type", "episodes": 100, "success_at_end": 0.625, "ci95": [0.5, 0.75], "sel": 0.4}
    bodies = [{"embodiment": name, "episodes": 50, "success_at_end": 0.5, "ci95": [0.4, 0.6]} for name in ("a1", "go1")]
    scores = {"benchmark": "nav100", "tasks": [task], "embodiments": bodies, "seeds": [0, 1, 2]}
    module.save_pretrained(tmp_path / "walker", training=Training(results=scores))
    card = (tmp_path / "walker/README.md").read_text()
    assert "| object_nav_type | 100 | 62.5% | 50.0% to 75.0% | 40.0% |  |" in card
    assert "| with go1 | 50 | 50.0% | 40.0% to 60.0% |  |  |" in card
    assert "Means of 3 runs" in card
    assert ModelCard(card).data.eval_results[0].metric_value == 0.625
    answers = {"split": "held-out", "questions": 8, "accuracy": 0.75, "blind": None, "families": {}}
    with pytest.raises(ConfigError, match="answers, and a PolicyModule has success rates"):
        module.save_pretrained(tmp_path / "other", training=Training(results=answers))
    assert not (tmp_path / "other").exists()


def test_a_run_checkpoint_gives_the_policy_back(module, tmp_path):
    batch = tiny_batch(module)
    run = Trainer(
        accelerator="cpu", logger=False, max_steps=2, enable_progress_bar=False, default_root_dir=tmp_path,
        enable_model_summary=False,
    )  # fmt: skip
    run.fit(module, DataLoader([batch] * 2, batch_size=None))
    (file,) = Path(run.checkpoint_callback.dirpath).glob("*.ckpt")
    torch.load(file, weights_only=True)
    assert torch.equal(logits(zoo.from_pretrained(file), batch), logits(module, batch))


def test_a_flag_changes_how_actions_are_chosen_from_trained_weights(module, tmp_path):
    module.save_pretrained(tmp_path / "a")
    other = build_module(recipe(head={"class_path": "navigation", "init_args": {"choice": "sample"}}))
    fill(other, tmp_path / "a", may_start_anew=False)
    batch = tiny_batch(module)
    assert torch.equal(logits(other, batch), logits(module, batch))
    assert other.model.head.choice == "sample"


def test_another_trunk_is_trained_behind_the_encoders_of_a_trained_policy(module, tmp_path):
    module.save_pretrained(tmp_path / "a")
    other = build_module(recipe(trunk={"class_path": "ring-tiny", "init_args": TRUNK}))
    begun = {name: tensor.clone() for name, tensor in other.model.trunk.state_dict().items()}
    with pytest.raises(ConfigError, match=r"has no trained model\.trunk\..* for the part that replaces its own"):
        fill(other, tmp_path / "a", may_start_anew=False)
    fill(other, tmp_path / "a", may_start_anew=True)
    for part in ("vision", "text", "head"):
        theirs = getattr(module.model, part).state_dict()
        assert all(torch.equal(t, theirs[name]) for name, t in getattr(other.model, part).state_dict().items())
    theirs, anew = module.model.trunk.state_dict(), 0
    for name, tensor in other.model.trunk.state_dict().items():  # the fusion is the same in both, the decoder is not
        assert torch.equal(tensor, theirs[name] if name in theirs else begun[name])
        anew += name not in theirs
    assert 0 < anew < len(begun)


def test_a_folder_with_other_inputs_or_weights_is_refused(module, tmp_path):
    module.save_pretrained(tmp_path / "a")
    facts = json.loads((tmp_path / "a/processor_config.json").read_text())
    assert facts["cameras"] == ["manipulation_camera", "navigation_camera"]
    (tmp_path / "a/processor_config.json").write_text(json.dumps({**facts, "resize": "pad"}))
    with pytest.raises(ConfigError, match="resize was pad, is bicubic"):
        zoo.from_pretrained(tmp_path / "a")
    weights = load_file(tmp_path / "a/model.safetensors")
    weights.pop("model.trunk.fusion.token")
    save_file(weights, tmp_path / "a/model.safetensors")
    with pytest.raises(ConfigError, match="missing model.trunk.fusion.token"):
        zoo.from_pretrained(tmp_path / "a")


def test_it_is_no_part_for_a_language_model(module, tmp_path):
    module.save_pretrained(tmp_path / "a")
    from zoo.checkpoints.parts import tokenizer, vision_encoder

    vision_encoder(str(tmp_path / "a"))
    with pytest.raises(ConfigError, match="is a PolicyModule and has no tokenizer; it has vision, text"):
        tokenizer(str(tmp_path / "a"))


@pytest.fixture
def siglip(tmp_path) -> Path:
    """A SigLIP of both towers in transformers' layout, with a vocabulary."""
    folder = tmp_path / "siglip"
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    tokenizer = words_tokenizer()
    config = SiglipConfig(
        text_config={
            **sizes,
            "vocab_size": len(tokenizer),
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
        },
        vision_config={**sizes, "image_size": 32, "patch_size": 16},
    )
    SiglipModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_encoders_from_folders_are_found_in_the_checkpoint_alone(siglip, tmp_path):
    towers = {
        "vision": {"class_path": f"hf:{siglip}", "init_args": {"feature_blocks": [-1], "norm_features": True}},
        "text": f"hf:{siglip}",
        "trunk": {"class_path": "spoc-tiny", "init_args": {**TRUNK, "has_pooled_token": True}},
        "optimiser": {"trunk": RATE, "head": RATE},
    }
    module = build_module(recipe(**towers))
    module.save_pretrained(tmp_path / "a")
    text = module.model.read(["find a bed"])
    siglip.rename(tmp_path / "gone")
    (tmp_path / "a").rename(tmp_path / "moved")
    loaded = zoo.from_pretrained(tmp_path / "moved")
    assert torch.equal(loaded.model.read(["find a bed"]).states, text.states)
    assert loaded.model.text.frozen
    loaded.save_pretrained(tmp_path / "again")
    assert torch.equal(zoo.from_pretrained(tmp_path / "again").model.read(["find a bed"]).states, text.states)


def test_what_only_language_models_do_is_refused(module, tmp_path):
    folder = module.save_pretrained(tmp_path / "a")
    with pytest.raises(ConfigError, match="is a PolicyModule, which acts and answers nothing: zoo evaluate"):
        load(str(folder))
    with pytest.raises(ConfigError, match="is a PolicyModule, which has no adapters and no place in the layout hf"):
        checkpoint(folder, out=tmp_path / "b", to="hf")
