"""What a run with adapters leaves behind is enough to rebuild its module, whatever its frozen weights came from."""

import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from checkpoint_parts import RECIPE, recipe_of_folders
from lightning.pytorch import Trainer
from safetensors.torch import load_file
from torch.utils.data import DataLoader
from trunk_fixtures import build_batch

import zoo
from zoo.checkpoints.adapter import load_adapter, save_adapter
from zoo.checkpoints.converters import checkpoint
from zoo.checkpoints.recipe import recipe_of
from zoo.errors import ConfigError
from zoo.lora import is_adapter

LORA = {"language": {"rank": 2, "alpha": 4}, "vision": {"rank": 2, "alpha": 4, "targets": ["attn.qkv"]}}
FAST = {part: {"learning_rate": 1e-2, "warmup_steps": 0} for part in ("vision", "connector", "language")}

ASKED = """
import sys
import torch
import zoo
sys.path.insert(0, sys.argv[1])
from trunk_fixtures import build_batch
module = zoo.from_pretrained(sys.argv[2])
with torch.no_grad():
    torch.save(module(build_batch(module)).logits, sys.argv[3])
"""


def recipe(root: Path, base: str) -> dict:
    made = recipe_of_folders(root) if base == "files" else deepcopy(RECIPE)
    made["init_args"] |= {"lora": LORA, "optimiser": FAST}
    return made


@pytest.fixture(params=["random", "files"])
def run(request, tmp_path):
    """A module that took three steps, and its checkpoint, as `zoo fit` leaves it."""
    torch.manual_seed(5)
    module = zoo.from_recipe(recipe(tmp_path / "parts", request.param))
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        max_steps=3,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(module, DataLoader([build_batch(module)] * 3, batch_size=None))
    file = tmp_path / "runs" / "version_0" / "checkpoints" / "last.ckpt"
    trainer.save_checkpoint(file)
    return module.eval(), file


def logits(module) -> torch.Tensor:
    with torch.no_grad():
        return module(build_batch(module)).logits


def test_a_checkpoint_leaves_out_what_comes_from_files_and_nothing_else(run, request):
    module, file = run
    stored = torch.load(file, weights_only=True)["state_dict"]
    absent = {name for name, _ in module.named_parameters(remove_duplicate=False)} - stored.keys()
    assert bool(absent) == (request.node.callspec.params["run"] == "files")
    assert all(name.startswith(("model.language.", "model.vision.")) and not is_adapter(name) for name in absent)


def test_a_fresh_process_rebuilds_the_module(run, tmp_path):
    module, file = run
    answer = tmp_path / "logits.pt"
    fakes = Path(__file__).parents[1] / "fakes"
    folder = checkpoint(file, out=tmp_path / "folder")
    for given in (file, folder):
        done = subprocess.run(
            [sys.executable, "-c", ASKED, str(fakes), str(given), str(answer)],
            env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        torch.testing.assert_close(torch.load(answer), logits(module), rtol=1e-5, atol=1e-5)  # another thread count


def test_a_folder_holds_adapters_and_their_base(run, tmp_path):
    module, _ = run
    again = zoo.from_pretrained(module.save_pretrained(tmp_path / "folder"))
    assert again.is_adapted
    assert torch.equal(logits(again), logits(module))
    with again.whole(), module.whole():
        own, other = again.state_dict(), module.state_dict()
    assert own.keys() == other.keys()
    assert all(torch.equal(own[name], other[name]) for name in own)


def test_merged_weights_make_a_folder_of_a_plain_model(run, tmp_path):
    module, file = run
    folder = Path(checkpoint(file, out=tmp_path / "merged", merge=True))
    assert not any(map(is_adapter, load_file(folder / "model.safetensors")))
    assert '"lora"' not in (folder / "config.json").read_text()
    again = zoo.from_pretrained(folder)
    assert not again.is_adapted
    torch.testing.assert_close(logits(again), logits(module), rtol=1e-5, atol=1e-5)  # A B x against (W + A B) x


def test_a_plain_run_has_nothing_to_merge(module, tmp_path):
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False)
    trainer.strategy.connect(module)
    file = tmp_path / "runs" / "version_0" / "checkpoints" / "last.ckpt"
    trainer.save_checkpoint(file)
    with pytest.raises(ConfigError, match="there is no adapter to merge"):
        checkpoint(file, merge=True)
    assert not (tmp_path / "runs" / "version_0" / "pretrained").exists()


def test_adapters_that_no_recipe_knows_of_are_not_written_into_a_folder(run, tmp_path):
    module, _ = run
    save_adapter(module, tmp_path / "adapter")
    plain = deepcopy(recipe_of(module))
    del plain["init_args"]["lora"]
    base = zoo.from_recipe(plain)
    load_adapter(base, tmp_path / "adapter", same_weights=False)
    with pytest.raises(ConfigError, match=r"loaded over it; say module\.merge_adapters\(\) first"):
        base.save_pretrained(tmp_path / "folder")
    assert not (tmp_path / "folder").exists()
    expected = logits(base)
    base.merge_adapters()
    again = zoo.from_pretrained(base.save_pretrained(tmp_path / "folder"))
    torch.testing.assert_close(logits(again), expected, rtol=1e-5, atol=1e-5)
