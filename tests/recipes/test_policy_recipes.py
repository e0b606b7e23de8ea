"""Every recipe of a policy behaves as a Lightning user expects; a new one is tested by lying in the folder."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from recorded_episodes import episode_files, write_episodes
from transformers import SiglipConfig, SiglipModel

import zoo
from zoo.backbones.policy.spoc import CAMERAS
from zoo.backbones.text_encoders import words_tokenizer
from zoo.checkpoints.recipe import build_module
from zoo.cli import main
from zoo.envs.robots.ring_body import BODIES
from zoo.envs.sampling.chores.vocabulary import TINY_CATEGORIES
from zoo.policy_module import PolicyModule

FOLDER = Path(zoo.__file__).parent / "recipes"


def written(recipe: str) -> dict:
    return yaml.safe_load((FOLDER / f"{recipe}.yaml").read_text())


ALL = sorted(str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.rglob("*.yaml"))
RECIPES = [recipe for recipe in ALL if written(recipe)["model"].get("class_path") == "policy"]
PUBLISHED = {"spoc/paper": 23.4e6, "ring/paper": 24.4e6}
"""Trainable weights (sheet 1.5 and 2.4)."""


@pytest.fixture(scope="session")
def episodes(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "episodes"
    body = BODIES["stretch"].numbers()  # ring/tiny is told of it
    made = [episode_files(f"e{number}", 4 + number, cameras=CAMERAS, embodiment=body) for number in range(4)]
    write_episodes(folder, train=[made], val=[made[:2]], test=[made[2:]])
    return folder


def siglip(folder: Path, **sizes: int) -> None:
    """Both towers and a vocabulary in transformers' layout; without sizes the published configuration alone."""
    tokenizer = words_tokenizer()
    ids = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id}
    config = SiglipConfig(
        text_config={**ids, **sizes},
        vision_config={"image_size": 256, **sizes, **({"image_size": 32} if sizes else {})},
    )
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if sizes:
        SiglipModel(config).save_pretrained(folder)


@pytest.fixture(scope="session")
def small_siglip(tmp_path_factory) -> Path:
    """Towers with the channels that published trunks want, and little else."""
    folder = tmp_path_factory.mktemp("parts") / "siglip"
    siglip(folder, hidden_size=768, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    return folder


@pytest.fixture
def options(episodes, small_siglip, tmp_path, monkeypatch):
    """Flags that let a recipe run in seconds on recorded episodes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/siglip-base").symlink_to(small_siglip)

    def of(recipe: str) -> list[str]:
        return [
            *("--config", recipe, f"--data.path={episodes}", "--data.generator=null", "--data.window.length=4"),
            *("--data.batch_size=2", "--data.num_workers=0", "--trainer.devices=1", "--trainer.strategy=auto"),
            *(f"--trainer.default_root_dir={tmp_path}", "--trainer.accelerator=cpu"),
            "--trainer.enable_progress_bar=false",
        ]

    return of


def test_there_are_recipes():
    assert {"spoc/tiny", "spoc/paper", "ring/tiny", "ring/paper"} <= set(RECIPES)


@pytest.mark.parametrize("recipe", RECIPES)
def test_fast_dev_run_touches_every_stage(recipe, options):
    for command in ("fit", "validate", "test", "predict"):
        assert main([command, *options(recipe), "--trainer.fast_dev_run=true"]) == 0


@pytest.mark.parametrize("recipe", ["spoc/tiny", "ring/tiny"])
def test_a_run_is_trained_stored_and_acts(recipe, options, tmp_path):
    short = ["--trainer.max_steps=2", "--trainer.val_check_interval=1", "--trainer.limit_val_batches=1"]
    assert main(["fit", *options(recipe), *short]) == 0
    assert main(["validate", *options(recipe), "--ckpt_path=last", "--trainer.limit_val_batches=1"]) == 0
    assert list((tmp_path / recipe).rglob("report.html"))
    assert main(["convert", "checkpoint", str(tmp_path / recipe), "--out", str(tmp_path / "trained")]) == 0
    policy = zoo.from_pretrained(tmp_path / "trained").policy()
    policy.reset({0: {"instruction": "find a bed", "seed": 3, "embodiment": BODIES["stretch"].numbers()}})
    width, height = policy.image_size
    seen = {name: np.zeros((1, height, width, 3), np.uint8) for name in policy.cameras}
    felt = {"in_hand": np.zeros((1, 1), np.int64), "last_action_success": np.ones((1, 1), np.int64)}
    assert policy.act({**seen, **felt}, [0]).shape == (1, 1, 1)


@pytest.mark.parametrize("recipe", RECIPES)
def test_its_printed_config_is_a_recipe_again(recipe, options, tmp_path, capsys):
    assert main(["fit", *options(recipe), "--print_config"]) == 0
    printed = capsys.readouterr().out
    again = tmp_path / "again.yaml"
    again.write_text(printed)
    assert main(["fit", "--config", str(again), "--print_config"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == yaml.safe_load(printed)


@pytest.mark.parametrize("recipe", PUBLISHED)
def test_published_sizes_are_built_without_weights(recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    siglip(tmp_path / "data/siglip-base")
    with torch.device("meta"):
        module = build_module(written(recipe)["model"], weights_follow=True)
    assert isinstance(module, PolicyModule)
    trained = sum(p.numel() for p in module.parameters() if p.requires_grad)
    assert trained == pytest.approx(PUBLISHED[recipe], rel=0.01)
    assert sum(p.numel() for p in module.model.vision.parameters()) == pytest.approx(86e6, rel=0.02)
    assert module.model.vision.grid == (16, 16)
    assert module.processor.image_size == (256, 256)


@pytest.mark.parametrize(
    ("recipe", "windows", "steps"), [("spoc/paper", 224, (20_000, 50_000)), ("ring/paper", 240, (80_000, 80_000))]
)
def test_papers_have_the_published_batches_and_rates(recipe, windows, steps):
    spec = written(recipe)
    data, trainer = spec["data"]["init_args"], spec["trainer"]
    assert data["batch_size"] * trainer["devices"] == windows
    assert data["window"]["length"] == 100
    assert steps[0] <= trainer["max_steps"] <= steps[1]
    rates = {group["learning_rate"] for group in spec["model"]["init_args"]["optimiser"].values()}
    assert rates == {2e-4}


@pytest.mark.parametrize("recipe", ["spoc/tiny", "ring/tiny"])
def test_tiny_recipes_look_for_the_twelve(recipe):
    spec = written(recipe)
    model, generator = spec["model"]["init_args"], spec["data"]["init_args"]["generator"]["init_args"]
    assert tuple(generator["categories"]) == TINY_CATEGORIES
    assert generator["image_size"] == model["picture_size"]


@pytest.mark.parametrize("system", ["spoc", "ring"])
def test_dagger_goes_on_with_the_model_and_the_pictures_of_tiny(system):
    tiny, dagger = written(f"{system}/tiny"), written(f"{system}/dagger")
    models = [dict(spec["model"]["init_args"]) for spec in (tiny, dagger)]
    for model in models:
        del model["optimiser"]
    assert models[0] == models[1]
    data = dagger["data"]["init_args"]
    assert data["generator"] == tiny["data"]["init_args"]["generator"]
    same = ["task", "categories", "dataset", "image_size", "episodes_per_house", "cameras", "shows_categories"]
    same += ["robot", "random_bodies"]
    imitated, own = data["generator"]["init_args"], data["rollouts"]["init_args"]
    assert {name: own.get(name) for name in same} == {name: imitated.get(name) for name in same}
    assert own["seed"] != imitated.get("seed", 0)  # other houses
    assert dagger["trainer"]["max_steps"] % data["steps_per_round"] == 0
