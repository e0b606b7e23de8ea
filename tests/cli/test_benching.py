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
