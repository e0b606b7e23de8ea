"""`--ckpt_path FOLDER`: a checkpoint folder in the four training commands, and in `zoo ask`."""

from pathlib import Path

import pytest
import torch
import yaml
from checkpoint_parts import RECIPE
from PIL import Image

import zoo as library
from zoo.envs.tabletop import Tabletop

pytestmark = pytest.mark.render
QUICK = (
    *("--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--trainer.limit_val_batches=1"),
    *("--trainer.limit_test_batches=1", "--trainer.limit_predict_batches=1", "--data.num_workers=0"),
)


@pytest.fixture(scope="session")
def clips(tmp_path_factory) -> Path:
    """A handful of rendered clips with questions."""
    folder = tmp_path_factory.mktemp("folders") / "clips"
    Tabletop(train_clips=4, val_clips=2, test_clips=2, samples_per_shard=2).generate(folder, workers=0)
    return folder


@pytest.fixture
def data(clips) -> tuple[str, ...]:
    return ("--data=shards", f"--data.path={clips}", "--data.batch_size=2", *QUICK)


@pytest.fixture
def model(tmp_path) -> Path:
    """A recipe that says the model only, `small.yaml` in the folder that commands run in."""
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump({"model": RECIPE}))
    return path


@pytest.fixture
def folder(zoo) -> Path:
    """A checkpoint folder, `made` in the folder that commands run in."""
    return library.from_recipe(RECIPE).save_pretrained("made")


def column(path, name):
    header, *rows = path.read_text().splitlines()
    place = header.split(",").index(name)
    return [float(row.split(",")[place]) for row in rows if row.split(",")[place]]


def newest_run():
    return max(Path("runs").rglob("version_*"), key=lambda path: path.stat().st_mtime)


def test_a_folder_measures_like_the_run_it_was_made_of(zoo, model, data):
    assert zoo("fit", "--config", model, *data, "--trainer.max_steps=1").code == 0
    answer = zoo("convert", "checkpoint", "runs", "--out", "made", "--licence=mit", "--data=four clips")
    assert (answer.code, answer.out) == (0, "made\n"), answer.err
    assert "license: mit" in Path("made/README.md").read_text()
    (file,) = Path("runs").rglob("*.ckpt")
    losses = []
    for given in (file, "made"):
        answer = zoo("validate", "--config", model, *data, "--ckpt_path", given)
        assert answer.code == 0, answer.err
        losses += column(newest_run() / "metrics.csv", "val/loss")
    assert losses[0] == losses[1]


def test_a_folder_brings_its_model_and_flags_beat_it(zoo, folder, data):
    tokens = []
    for pruner in ([], ["--model.pruner=random", "--model.pruner.init_args.remove=0.5"]):
        answer = zoo("validate", *data, f"--ckpt_path={folder}", *pruner)
        assert answer.code == 0, answer.err
        tokens += column(newest_run() / "metrics.csv", "val/vision_tokens")
    assert tokens[1] == pytest.approx(tokens[0] / 2, rel=0.05)
    kept = yaml.safe_load((newest_run() / "config.yaml").read_text())["model"]["init_args"]
    assert kept["max_frames"] == 4
    assert kept["pruner"]["class_path"] == "zoo.pruning.random.RandomPruner"


@pytest.mark.parametrize("command", ["test", "predict"])
def test_a_folder_is_tested_and_predicts(zoo, folder, data, command):
    answer = zoo(command, *data, f"--ckpt_path={folder}")
    assert answer.code == 0, answer.err


def test_a_run_folder_means_its_newest_checkpoint(zoo, data, model):
    assert zoo("fit", "--config", model, *data, "--trainer.max_steps=1").code == 0
    answer = zoo("validate", "--config", model, *data, f"--ckpt_path={newest_run()}")
    assert answer.code == 0, answer.err


def test_training_begins_with_the_weights_of_a_folder(zoo, folder, data):
    frozen = [f"--model.optimiser.{part}.learning_rate=0" for part in ("vision", "language")]
    rate = "--model.optimiser.connector.learning_rate=1e-3"
    answer = zoo("fit", *data, f"--ckpt_path={folder}", "--trainer.max_steps=1", *frozen, rate)
    assert answer.code == 0, answer.err
    (file,) = newest_run().rglob("*.ckpt")
    content = torch.load(file, weights_only=True)
    assert content["global_step"] == 1
    before = library.from_pretrained(folder).state_dict()
    same = {name for name, tensor in content["state_dict"].items() if torch.equal(tensor, before[name])}
    assert {name for name in before if name.startswith(("model.vision.", "model.language."))} <= same
    again = zoo("convert", "checkpoint", file, "--out=again")
    assert again.code == 0, again.err
    assert library.from_pretrained("again").state_dict().keys() == before.keys()


def test_new_adapters_go_over_the_weights_of_a_folder_and_are_merged(zoo, folder, data):
    before = library.from_pretrained(folder).state_dict()
    flags = (f"--ckpt_path={folder}", "--trainer.max_steps=1", "--model.lora.language.rank=2", "--seed_everything=99")
    answer = zoo("fit", *data, *flags)
    assert answer.code == 0, answer.err
    run = newest_run()
    answer = zoo("convert", "checkpoint", run, "--merge", "--out=merged")
    assert answer.code == 0, answer.err
    plain, adapted = library.from_pretrained("merged"), library.from_pretrained(run)
    assert (plain.is_adapted, adapted.is_adapted) == (False, True)
    table = "model.language.model.model.embed_tokens.weight"
    assert torch.equal(plain.state_dict()[table], before[table])  # frozen, and not of seed 99


def test_asking_a_folder(zoo, folder):
    Image.new("RGB", (60, 40), "red").save("one.png")
    answer = zoo("ask", "What colour?", "one.png", "--checkpoint", folder)
    assert answer.code == 0, answer.err
    assert Path("answer.png").exists()


@pytest.mark.parametrize("command", ["fit", "validate", "test", "predict", "ask"])
def test_a_folder_that_is_no_checkpoint_is_refused_in_one_sentence(mistake, tmp_path, command):
    Path("other").mkdir()
    Path("other/config.json").write_text('{"model_type": "llama"}')
    Path("one.png").write_bytes(b"")
    typed = ["ask", "Why?", "one.png", "--checkpoint=other"] if command == "ask" else [command, "--ckpt_path=other"]
    assert "other is no checkpoint of molmo-zoo" in mistake(*typed)


def test_a_folder_for_another_model_is_refused_in_one_sentence(mistake, folder, data, recipe):
    said = mistake("validate", *data, f"--ckpt_path={folder}", "--model.language.hidden_size=64")
    assert "made does not fit the model: other sizes" in said
    recipe.write_text("model: {class_path: regression, init_args: {encoder: small}}\ndata: numbers\n")
    said = mistake("validate", "--config", recipe, f"--ckpt_path={folder}")
    assert "is for a module of molmo-zoo's, this is a Regression" in said


def test_a_foreign_class_is_refused_in_one_sentence(mistake, folder, data):
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"qa"', '"subprocess.Popen"'))
    assert "names subprocess.Popen, which no registered head is" in mistake("validate", *data, f"--ckpt_path={folder}")


def test_a_folder_that_was_cut_short_is_refused(mistake, model, data, folder):
    (folder / "config.json").unlink()
    told = mistake("validate", "--config", model, *data, f"--ckpt_path={folder}")
    assert "made is no checkpoint folder, it has no config.json, and no run folder" in told
