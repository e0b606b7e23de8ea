"""Every recipe behaves as a Lightning user expects; a new one is tested by lying in the folder."""

import json
from pathlib import Path

import pytest
import yaml
from transformers import LlamaConfig, LlamaForCausalLM, SiglipVisionConfig, SiglipVisionModel

import zoo
from zoo.backbones.tokenizers import words
from zoo.cli import main
from zoo.cli.training import RecipeCLI
from zoo.datamodules.mixture import Group, Member, check_groups, weights_of
from zoo.envs.tabletop import Tabletop
from zoo.optimisation import OptimiserSettings

FOLDER = Path(zoo.__file__).parent / "recipes"
ALL = sorted(str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.rglob("*.yaml"))


def written(recipe: str) -> dict:
    return yaml.safe_load((FOLDER / f"{recipe}.yaml").read_text())


RECIPES = [recipe for recipe in ALL if written(recipe)["model"].get("class_path") == "vlm"]
"""Those that name a video-language model; policies are tested in test_policy_recipes.py, and what goes on from a
checkpoint in tests/cli/test_finetuning.py."""

POLICIES = [recipe for recipe in ALL if written(recipe)["model"].get("class_path") == "policy"]

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


@pytest.fixture(scope="session")
def small_siglip(tmp_path_factory) -> Path:
    """A vision encoder with the blocks and heads of the published one, and few channels."""
    folder = tmp_path_factory.mktemp("parts") / "siglip"
    sizes = {"hidden_size": 72, "intermediate_size": 32, "num_hidden_layers": 26, "num_attention_heads": 2}
    SiglipVisionModel(SiglipVisionConfig(**sizes, image_size=70, patch_size=14)).save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def folders_of_recipes(tmp_path, small_llama, small_siglip):
    """What a user fetches or converts once, in the working directory of every test."""
    (tmp_path / "data").mkdir()
    for name in ("smollm2", "qwen3-4b"):
        (tmp_path / "data" / name).symlink_to(small_llama)
    (tmp_path / "data" / "siglip2").symlink_to(small_siglip)


SHORT = 8  # tokens; an untrained model never ends an answer by itself


IMAGE_PX = 168  # a side with room for overlapping crops, in whole windows; recipes of published size have 378


def smaller(recipe: str) -> list[str]:
    """Flags that let a recipe run in seconds: short answers, and small frames where it names their size."""
    model = written(recipe)["model"]["init_args"]
    for head in model["heads"]:
        arguments = head.setdefault("init_args", {})
        if "max_new_tokens" in arguments:
            arguments["max_new_tokens"] = min(SHORT, arguments["max_new_tokens"])
    flags = [f"--model.heads={json.dumps(model['heads'])}"]
    if isinstance(model["vision"], dict) and isinstance(model["vision"].get("init_args", {}).get("image_size"), list):
        flags += [f"--model.vision.init_args.image_size=[{IMAGE_PX}, {IMAGE_PX}]", "--model.max_frames=4"]
    return flags


ONE_PROCESS = ("--trainer.devices=1", "--trainer.strategy=auto", "--trainer.accumulate_grad_batches=1")
"""Recipes of published size ask for several GPUs."""


def options(recipe: str, clips: Path, root: Path) -> list[str]:
    return [
        *("--config", recipe, *smaller(recipe)),
        *(f"--data.path={clips}", "--data.mixture=null", "--data.generator=null", "--data.packing=null"),
        *("--data.batch_size=2", "--data.num_workers=0", *ONE_PROCESS),
        *(f"--trainer.default_root_dir={root}", "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"),
    ]


def test_there_are_recipes():
    assert "molmo2/tiny" in RECIPES
    assert set(ALL) - set(RECIPES) - set(POLICIES) == {"molmo2/lora"}


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


def test_pictures_come_before_clips():
    data = RecipeCLI(["--config", "molmo2/tiny"]).datamodule
    steps = data.shares["data/tabletop"].after / data.batch_size
    assert data.shares["data/tabletop_stills"].after == 0
    assert 0 < steps < written("molmo2/tiny")["trainer"]["max_steps"]


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


# -- Molmo2's stages ----------------------------------------------------------------------------------------------


STAGES = {"molmo2/pretrain": (0, 2536, 16), "molmo2/sft": (128, 16384, 128), "molmo2/long_context": (384, 36864, 384)}
"""Frames of a clip, tokens of a pack and frames of a pack (sheet A6.5, A7.2)."""


@pytest.mark.parametrize("recipe", STAGES)
def test_stages_have_the_published_lengths_and_rates(recipe):
    max_frames, tokens, frames = STAGES[recipe]
    spec = written(recipe)
    model, data = (spec[part]["init_args"] for part in ("model", "data"))
    assert model.get("max_frames", 0) == max_frames
    assert (data["packing"]["max_tokens"], data["packing"]["max_frames"]) == (tokens, frames)
    rates = {name: (group["learning_rate"], group["warmup_steps"]) for name, group in model["optimiser"].items()}
    first = {"vision": (6e-6, 2000), "connector": (2e-4, 200), "language": (2e-5, 2000)}
    later = {"vision": (5e-6, 200), "connector": (5e-6, 200), "language": (1e-5, 200)}
    assert rates == (first if recipe == "molmo2/pretrain" else later)
    packs = spec["trainer"]["devices"] * spec["trainer"]["accumulate_grad_batches"]
    assert packs == 128
    defaults = OptimiserSettings()
    assert (defaults.betas, defaults.eps, defaults.final_share, defaults.clip_norm) == ((0.9, 0.95), 1e-6, 0.1, 1.0)


def groups_of(recipe: str) -> dict[str, Group]:
    mixture = written(recipe)["data"]["init_args"]["mixture"]
    groups = {
        name: Group(rate=group["rate"], paths={path: Member(**how) for path, how in group["paths"].items()})
        for name, group in mixture.items()
    }
    check_groups(groups)
    return groups


@pytest.mark.parametrize("recipe", ["molmo2/sft", "molmo2/long_context"])
def test_groups_have_the_published_shares(recipe):
    groups = groups_of(recipe)
    total = sum(group.rate for group in groups.values())
    shares = [round(100 * group.rate / total, 1) for group in groups.values()]
    assert shares == [13.6, 18.2, 22.7, 13.6, 13.6, 9.1, 9.0, 0.0]  # the sheet rounds 9.05 up


def test_single_rates_come_out_as_published():
    """Sheet A7.3 names some rates in per cent; sizes are those of A10, and of PixMo's public sets."""
    sizes = {
        "data/molmo2/cap": 104_000,
        "data/molmo2/ask_model_anything": 43_210,  # videos: all questions about one are a sample
        "data/molmo2/multi_image_qa": 45_000,
        "data/pixmo/cap_qa": 190_000,
        "data/pixmo/ask_model_anything": 71_000,
    }
    group = groups_of("molmo2/sft")["captions_and_long_answers"]
    weights = weights_of({"own": group}, sizes.__getitem__)
    percent = {path.removeprefix("data/"): round(13.6 * weight, 1) for path, weight in weights.items()}
    assert percent == {
        "molmo2/cap": pytest.approx(3.4, abs=0.11),
        "molmo2/ask_model_anything": pytest.approx(1.5, abs=0.11),
        "molmo2/multi_image_qa": pytest.approx(1.5, abs=0.11),
        "pixmo/cap": pytest.approx(2.3, abs=0.11),
        "pixmo/cap_qa": pytest.approx(3.1, abs=0.11),
        "pixmo/ask_model_anything": pytest.approx(1.9, abs=0.11),
    }
