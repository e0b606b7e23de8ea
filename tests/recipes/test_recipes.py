"""Every recipe behaves as a Lightning user expects; a new one is tested by lying in the folder."""

from pathlib import Path

import pytest
import yaml
from transformers import LlamaConfig, LlamaForCausalLM

import zoo
from zoo.backbones.tokenizers import words
from zoo.cli import main
from zoo.envs.tabletop import Tabletop

FOLDER = Path(zoo.__file__).parent / "recipes"
RECIPES = sorted(str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.rglob("*.yaml"))

pytestmark = pytest.mark.render


@pytest.fixture(scope="session")
def clips(tmp_path_factory) -> Path:
    """A data set of a few clips in the layout that the recipes' generators make."""
    folder = tmp_path_factory.mktemp("data") / "tabletop"
    Tabletop(train_clips=8, val_clips=4, test_clips=4, samples_per_shard=4).generate(folder, workers=0)
    return folder


@pytest.fixture(scope="session")
def small_llama(tmp_path_factory) -> Path:
    """A language model and its vocabulary, in the layout of the public ones that recipes stand on."""
    folder = tmp_path_factory.mktemp("parts") / "llama"
    words().save_files(folder)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(**sizes, vocab_size=512)).save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def folders_of_recipes(tmp_path, small_llama):
    """What a user fetches or converts once, in the working directory of every test."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "smollm2").symlink_to(small_llama)


def options(recipe: str, clips: Path, root: Path) -> list[str]:
    return [
        *("--config", recipe),
        *(f"--data.path={clips}", "--data.generator=null", "--data.batch_size=2", "--data.num_workers=0"),
        *(f"--trainer.default_root_dir={root}", "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"),
    ]


def test_there_are_recipes():
    assert "molmo2/tiny" in RECIPES


@pytest.mark.parametrize("recipe", RECIPES)
def test_its_printed_config_is_a_recipe_again(recipe, capsys, tmp_path):
    assert main(["fit", "--config", recipe, "--model.pruner=random", "--print_config"]) == 0
    printed = capsys.readouterr().out
    parsed = yaml.safe_load(printed)
    assert parsed["model"]["init_args"]["pruner"]["class_path"].endswith("RandomPruner")
    again = tmp_path / "again.yaml"
    again.write_text(printed)
    assert main(["fit", "--config", str(again), "--print_config"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == parsed


@pytest.mark.parametrize("recipe", RECIPES)
def test_fast_dev_run_touches_every_stage(recipe, clips, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in ("fit", "validate", "test", "predict"):
        assert main([command, *options(recipe, clips, tmp_path), "--trainer.fast_dev_run=true"]) == 0


def test_a_caption_head_is_added_by_flag(clips, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = [*options("molmo2/tiny", clips, tmp_path), "--model.heads+=caption", "--model.heads.max_new_tokens=24"]
    short = ["--trainer.max_steps=1", "--trainer.val_check_interval=1", "--trainer.limit_val_batches=1"]
    assert main(["fit", *given, *short]) == 0
    assert main(["test", *given, "--trainer.limit_test_batches=1", "--ckpt_path=last"]) == 0
    printed = capsys.readouterr().out
    assert "held-out caption: precision" in printed
    assert "  blank video: precision" in printed
    (report,) = (tmp_path / "molmo2/tiny").rglob("version_1/report.html")
    assert "Scored answers" in report.read_text()


@pytest.mark.parametrize("recipe", RECIPES)
def test_it_trains_on_packs_by_flag(recipe, clips, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    packs = ("--data.packing.max_tokens=1000", "--data.packing.max_frames=128", "--data.packing.pool=4")
    assert main(["fit", *options(recipe, clips, tmp_path), *packs, "--trainer.fast_dev_run=true"]) == 0


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_run_is_trained_measured_asked_and_reported(recipe, clips, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = options(recipe, clips, tmp_path)
    short = ["--trainer.max_steps=2", "--trainer.val_check_interval=1", "--trainer.limit_val_batches=1"]
    assert main(["fit", *given, *short]) == 0
    capsys.readouterr()
    counts = []
    for pruner in (["--model.pruner=none"], ["--model.pruner=random", "--model.pruner.init_args.remove=0.5"]):
        assert main(["validate", *given, "--ckpt_path=last", "--trainer.limit_val_batches=1", *pruner]) == 0
        counts.append(vision_tokens(capsys.readouterr().out))
    assert counts[1] == pytest.approx(counts[0] / 2, rel=0.05)  # one checkpoint, two pruners, by flag
    assert main(["test", *given, "--ckpt_path=last", "--trainer.limit_test_batches=1"]) == 0
    printed = capsys.readouterr().out
    assert "held-out accuracy" in printed
    assert "blind baseline" in printed
    run = tmp_path / recipe
    assert list(run.rglob("report.html"))
    assert main(["predict", *given, "--ckpt_path=last", "--trainer.limit_predict_batches=1"]) == 0


def vision_tokens(table: str) -> float:
    """The number that Lightning's table shows for `val/vision_tokens`."""
    row = next(line for line in table.splitlines() if "val/vision_tokens" in line)
    return float("".join(c for c in row.split("val/vision_tokens")[1] if c.isdigit() or c == "."))
