import pickle
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader

from zoo.checkpoints.lightning_checkpoint import RECIPE_KEY, check_allowed, class_paths, find_checkpoint, load_module
from zoo.errors import ConfigError

RECIPE = {
    "class_path": "zoo.module.ZooModule",
    "init_args": {
        "vision": {
            "class_path": "zoo.backbones.vit.vit_tiny",
            "init_args": {"image_size": 48, "hidden_size": 32, "num_blocks": 3, "num_heads": 2, "stem_channels": 16},
        },
        "connector": {"class_path": "zoo.backbones.attention_pool.AttentionPool", "init_args": {"head_dim": 16}},
        "language": {
            "class_path": "zoo.backbones.decoder.qwen3_tiny",
            "init_args": {"hidden_size": 32, "num_layers": 3, "num_heads": 2},
        },
        "tokenizer": {"class_path": "zoo.backbones.tokenizers.words"},
        "heads": [{"class_path": "zoo.heads.qa.QuestionAnswering", "init_args": {"max_new_tokens": 3}}],
        "max_frames": 4,
    },
}


@pytest.fixture
def saved(module, batch_of, tmp_path) -> Path:
    """A checkpoint in a run folder, as `zoo fit` leaves it."""
    module.hparams.update({RECIPE_KEY: RECIPE})
    run = Trainer(
        accelerator="cpu",
        logger=False,
        max_steps=1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    run.fit(module, DataLoader([batch_of(module)], batch_size=None))
    file = tmp_path / "runs" / "version_0" / "checkpoints" / "last.ckpt"
    run.save_checkpoint(file)
    return file


def test_a_module_comes_back_from_its_own_recipe(saved, module, batch_of):
    again = load_module(saved)
    batch = batch_of(module)
    with torch.no_grad():
        torch.testing.assert_close(again(batch).logits, module.eval()(batch).logits, rtol=0, atol=0)
    assert not again.training


def test_a_run_folder_means_its_newest_checkpoint(saved):
    assert find_checkpoint(saved.parents[2]) == saved


def test_a_folder_without_one_says_what_to_give(tmp_path):
    with pytest.raises(ConfigError, match=r"give a \.ckpt file or a run folder"):
        find_checkpoint(tmp_path)


class Planted:
    def __reduce__(self):
        return (print, ("run",))


def test_a_pickle_is_not_executed(tmp_path, capsys):
    file = tmp_path / "evil.ckpt"
    torch.save({"state_dict": {}, "hyper_parameters": Planted()}, file)
    with pytest.raises(ConfigError, match="cannot|not a checkpoint that can be read safely"):
        load_module(file)
    file.write_bytes(pickle.dumps(Planted()))
    with pytest.raises(ConfigError, match="not a checkpoint that can be read safely"):
        load_module(file)
    assert "run" not in capsys.readouterr().out


def test_a_recipe_may_name_registered_components_only(saved):
    content = torch.load(saved, weights_only=True)
    content["hyper_parameters"][RECIPE_KEY]["init_args"]["heads"] = [{"class_path": "subprocess.Popen"}]
    torch.save(content, saved)
    with pytest.raises(ConfigError, match=r"names subprocess\.Popen, which no registered component is"):
        load_module(saved)


def test_weights_that_do_not_fit_are_named(saved):
    content = torch.load(saved, weights_only=True)
    content["state_dict"].pop("model.extra_embedding.weight")
    torch.save(content, saved)
    with pytest.raises(ConfigError, match=r"missing \['model\.extra_embedding\.weight'\]"):
        load_module(saved)


def test_a_checkpoint_without_a_recipe_is_refused(saved):
    content = torch.load(saved, weights_only=True)
    content["hyper_parameters"] = {}
    torch.save(content, saved)
    with pytest.raises(ConfigError, match="holds no recipe"):
        load_module(saved)


def test_class_paths_are_found_at_any_depth():
    assert sorted(class_paths({"a": [{"class_path": "x", "init_args": {"b": {"class_path": "y"}}}]})) == ["x", "y"]
    check_allowed(RECIPE)
