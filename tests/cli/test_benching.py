import json

import pytest


@pytest.mark.render
def test_bench_data_prints_and_writes_the_ratio(zoo, video_recipe):
    answer = zoo("bench", "data", video_recipe, "--samples=8", "--batch_size=4", "--rounds=1", "--json=cost.json")
    assert answer.code == 0, answer.err
    assert "ratio" in answer.out
    with open("cost.json") as file:
        assert json.load(file)["ratio"] > 0


def test_bench_data_needs_shards(mistake, recipe):
    assert "Numbers reads no shards" in mistake("bench", "data", recipe)
