"""`zoo bench pruning --train`, from a recipe and a checkpoint folder to the report."""

import json
from pathlib import Path

import pytest

TRAIN = ("bench", "pruning", "--train")
SMALL = ("--methods=none,random", "--steps=2", "--out=sweep")


@pytest.mark.render
def test_it_trains_tests_and_reports_and_then_only_reports(zoo, video_recipe):
    from zoo.cli.sweeping import builder, content_of

    video_recipe.write_text(video_recipe.read_text().replace("path: clips}", "path: clips, batch_size: 4}"))
    # A checkpoint of the recipe's own model, as it begins.
    module = builder(None)(content_of(video_recipe)).model
    module.save_pretrained("dense")
    flags = (f"--recipe={video_recipe}", "--ckpt_path=dense", *SMALL, "--test_frames_scale=1,2")
    answer = zoo(*TRAIN, *flags)
    assert answer.code == 0, answer.err
    assert not Path("config.yaml").exists() and not Path("lightning_logs").exists() and not Path("checkpoints").exists()
    cells = sorted(Path("sweep").glob("*-frames*.json"))
    assert len(cells) == 8 and all(json.loads(cell.read_text())["questions"]["correct"] for cell in cells)
    before = [cell.stat().st_mtime_ns for cell in cells]
    timed = {"method": "random", "remove": 0.5, "frames": 8, "forward_speedup": 1.5, "flops_speedup": 2.0}
    Path("speeds.json").write_text(json.dumps({"rows": [timed | {"train_speedup": None, "train_flops_speedup": None}]}))
    again = zoo(*TRAIN, *flags, "--json=told.json", "--speeds=speeds.json")
    assert again.code == 0, again.err
    assert "0 of 4 runs to make" in again.err
    assert [cell.stat().st_mtime_ns for cell in cells] == before
    assert Path("sweep/trained.png").is_file() and Path("sweep/untrained.png").is_file()
    rows = json.loads(Path("told.json").read_text())["rows"]
    assert len(rows) == 8 and [row["method"] for row in rows[:2]] == ["none", "random"]
    windows = {(row["method"], row["frames_scale"]): row["windows"] for row in rows}
    assert windows["random", 2.0] == windows["none", 1.0] == 2 * windows["random", 1.0]
    only = zoo("bench", "pruning", "--report_only", "--out=sweep", "--methods=none,random")
    assert only.code == 0 and only.out.splitlines()[:9] == again.out.splitlines()[:9]
    assert Path("sweep/report.md").read_text().startswith("| method | remove | trained | frames | windows |")


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--train", "--ckpt_path=nowhere"), "ckpt_path: no file nowhere"),
        (("--train", "--recipe=nothing/here"), "no recipe 'nothing/here'"),
        (("--train", "--speeds=none.json"), "speeds: none.json is no JSON of zoo bench pruning"),
        (("--train", "--seeds=0,x"), "seeds is '0,x', expected numbers with commas between them"),
        (("--train",), "type --ckpt_path molmo2-tiny"),
        (("--train", "--methods=random(", "--ckpt_path=molmo2-tiny"), "'(' is not closed"),
        (("--report_only", "--out=nothing"), "nothing holds no finished cell"),
        (("--steps=3", "--out=x"), "--steps, --out: told without --train"),
        (
            ("--train", "--frames=16,32,64", "--rounds=3"),
            "--frames, --rounds: told with --train, where nothing is timed",
        ),
        (("--report_only", "--compile"), "--compile: told with --report_only, where nothing is timed"),
    ],
)
def test_mistakes_are_one_sentence(mistake, flags, text):
    assert text in mistake("bench", "pruning", *flags)


def test_a_model_without_pruners(mistake, recipe):
    text = mistake(*TRAIN, f"--recipe={recipe}", *SMALL, "--trained=only")
    assert "small.yaml: regression takes no pruner" in text


def test_a_file_that_is_no_recipe(mistake, tmp_path):
    (tmp_path / "no.yaml").write_text("trainer: {max_steps: 3}\n")
    assert "no.yaml has no model and data" in mistake(*TRAIN, "--recipe=no.yaml", *SMALL, "--trained=only")
