import json

import pytest


@pytest.fixture
def clips(zoo, recipe):
    """A handful of rendered clips, and a recipe that reads them."""
    pytest.importorskip("mujoco")
    flags = ("--train_clips=8", "--val_clips=2", "--test_clips=2", "--samples_per_shard=4", "--workers=0")
    answer = zoo("generate", "tabletop", "--out=clips", *flags)
    assert answer.code == 0, answer.err
    recipe.write_text(
        "model:\n  class_path: vlm\n  init_args:\n"
        "    vision: vit-tiny\n    language: qwen3-tiny\n    tokenizer: words\n"
        "    connector: {class_path: attention_pool, init_args: {head_dim: 32}}\n    heads: [qa]\n    max_frames: 4\n"
        "data: {class_path: shards, init_args: {path: clips}}\n"
    )
    return recipe


@pytest.mark.render
def test_bench_data_prints_and_writes_the_ratio(zoo, clips):
    answer = zoo("bench", "data", clips, "--samples=8", "--batch_size=4", "--rounds=1", "--json=cost.json")
    assert answer.code == 0, answer.err
    assert "ratio" in answer.out
    with open("cost.json") as file:
        assert json.load(file)["ratio"] > 0


def test_bench_data_needs_shards(mistake, recipe):
    assert "Numbers reads no shards" in mistake("bench", "data", recipe)
