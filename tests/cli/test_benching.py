import inspect
import json
from pathlib import Path

import pytest
from docstring_parser import parse

from zoo.cli.benching import _compared_speed, pruning
from zoo.cli.sweeping import compared_accuracy


@pytest.mark.render
def test_bench_data_prints_and_writes_the_ratio(zoo, video_recipe):
    answer = zoo("bench", "data", video_recipe, "--samples=8", "--batch_size=4", "--rounds=1", "--json=cost.json")
    assert answer.code == 0, answer.err
    assert "ratio" in answer.out
    with open("cost.json") as file:
        assert json.load(file)["ratio"] > 0


def test_bench_data_needs_shards(mistake, recipe):
    assert "Numbers reads no shards" in mistake("bench", "data", recipe)


@pytest.mark.render
def test_bench_packing_prints_and_writes_a_row_for_each_number_of_annotations(zoo, video_recipe):
    few = ("--annotations=[1,3]", "--clips=3", "--planned=8", "--rounds=1", "--max_tokens=900", "--max_frames=64")
    answer = zoo("bench", "packing", video_recipe, *few, "--json=cost.json")
    assert answer.code == 0, answer.err
    assert "speedup" in answer.out
    with open("cost.json") as file:
        cost = json.load(file)
    assert [row["annotations"] for row in cost["rows"]] == [1, 3]
    assert all(row["speedup"] > 0 and 0 < row["fill"] <= 1 for row in cost["rows"])
    assert (cost["max_tokens"], cost["planned"]) == (900, 8)


@pytest.mark.render
def test_bench_packing_says_how_many_clips_hold_enough(mistake, video_recipe):
    text = mistake("bench", "packing", video_recipe, "--annotations=[2,5000]", "--clips=3", "--planned=8")
    assert "0 of 8 samples hold 5000 annotations" in text


@pytest.mark.parametrize("half", [_compared_speed, compared_accuracy])
def test_bench_pruning_tells_the_defaults_that_hold(half):
    texts = {text.arg_name: text.description for text in parse(pruning.__doc__).params}
    stated = {name: taken.default for name, taken in inspect.signature(half).parameters.items() if taken.default}
    stated = {name: default for name, default in stated.items() if default not in (None, inspect.Parameter.empty)}
    assert stated
    for name, default in stated.items():
        assert texts[name].endswith(f" {default}."), name
        assert inspect.signature(pruning).parameters[name].default is None, name  # so that what is typed can be told


SMALL = ("--vision=vit-tiny", "--language=qwen3-tiny", "--device=cpu", "--rounds=1")


def test_bench_pruning_prints_and_writes_rows_and_a_plot(zoo):
    lists = ("--methods", "random,none", "--remove", "0.3,0.5", "--frames", "2,3", "--backward_frames", "0")
    answer = zoo("bench", "pruning", *lists, *SMALL, "--json", "c.json")
    assert answer.code == 0, answer.err
    assert "forward" in answer.out and "c.json, c.png" in answer.out
    with open("c.json") as file:
        cost = json.load(file)
    arms = [("random", 0.3), ("random", 0.5), ("none", 0.0)]
    assert [(r["method"], r["remove"], r["frames"]) for r in cost["rows"]] == [(*a, f) for a in arms for f in (2, 3)]
    assert Path("c.png").is_file()


def test_bench_pruning_makes_a_folder_of_its_own_and_marks_the_front(zoo):
    Path("told.json").write_text('{"rows": [{"method": "random", "remove": 0.5, "accuracy": 0.6}]}')
    for number in range(2):
        flags = ("--methods=random", "--remove=0.5", "--frames=2", "--backward_frames=0", "--accuracy=told.json")
        answer = zoo("bench", "pruning", *flags, *SMALL)
        assert answer.code == 0, answer.err
        (row,) = json.loads(Path(f"runs/bench/pruning/version_{number}/pruning.json").read_text())["rows"]
        assert (row["accuracy"], row["on_front"], row["train_speedup"]) == (0.6, True, None)


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        ("--methods=rndom", "no pruner 'rndom'. Near: random"),
        ("--frames=2,x", "frames is '2,x', expected numbers with commas between them"),
        ("--frames=", "frames are []; give one or more"),
        ("--width_divisor=5", "width_divisor is 5"),
        ("--accuracy=nowhere.json", "accuracy: there is no file nowhere.json"),
    ],
)
def test_bench_pruning_refuses_in_one_sentence(mistake, flag, text):
    assert text in mistake("bench", "pruning", "--methods=random", *SMALL, flag)


def test_bench_policy_prints_and_writes_a_row_for_each_trunk_and_step(zoo):
    lists = ("--trunk=spoc-tiny,emb-siglip-gru-tiny", "--steps=2,4", "--rows=1,2")
    answer = zoo("bench", "policy", *lists, "--rounds=1", "--device=cpu", "--json=cost.json")
    assert answer.code == 0, answer.err
    assert "vit-tiny: " in answer.out and "ms a picture" in answer.out
    with open("cost.json") as file:
        rows = json.load(file)["rows"]
    asked = [
        (name, count, step) for name in ("spoc-tiny", "emb-siglip-gru-tiny") for count in (1, 2) for step in (2, 4)
    ]
    assert [(row["trunk"], row["rows"], row["step"]) for row in rows] == asked
    assert all(row["recomputed_ms"] > 0 for row in rows)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--trunk=spok-tiny",), "spoc-tiny"),
        (("--trunk=spoc",), "must be told sizes"),
        (("--steps=ten",), "expected numbers with commas between them"),
        (("--rows=0",), "1 or more of each"),
    ],
)
def test_bench_policy_refuses_what_cannot_be_timed(mistake, flags, told):
    assert told in mistake("bench", "policy", "--rounds=1", "--device=cpu", *flags)
