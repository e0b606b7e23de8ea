"""The loading bench: both sides do the same work, and its numbers are consistent."""

import json

import pytest

from zoo.datamodules.bench import measure_loading
from zoo.datamodules.sources import Source
from zoo.errors import ConfigError, DataError
from zoo.shards.reader import read_split


def source_of(folder, split="train"):
    return Source(folder=str(folder), shards=tuple(read_split(folder, split)))


def test_rounds_and_rates_agree(blocks, processor):
    cost = measure_loading(source_of(blocks), processor, samples=11, batch_size=4, rounds=3)
    result = json.loads(json.dumps(cost.as_dict()))
    assert (result["samples"], result["frames"], len(result["rounds"])) == (8, 32, 3)
    assert result["rounds"][0]["ratio"] == pytest.approx(
        result["rounds"][0]["bare_s"] / result["rounds"][0]["loader_s"]
    )
    assert sorted(turn["ratio"] for turn in result["rounds"])[1] == result["ratio_median"]
    assert result["ratio"] == pytest.approx(result["loader"]["samples_per_s"] / result["bare"]["samples_per_s"])
    assert result["loader"]["samples_per_s"] >= 8 / min(turn["loader_s"] for turn in result["rounds"])
    assert result["loader"]["frames_per_s"] == pytest.approx(4 * result["loader"]["samples_per_s"])
    assert f"ratio        {result['ratio']:8.2f}  (single" in cost.as_text()


def test_labels_are_timed_apart_where_a_head_reads_them(blocks, processor):
    reads_labels = type("ReadsLabels", (type(processor),), {"suffixes": frozenset({"mp4", "json", "npz"})})()
    plain, labelled = (measure_loading(source_of(blocks), p, batch_size=5, rounds=1) for p in (processor, reads_labels))
    assert "ratio_with_labels" not in plain.as_dict()
    assert labelled.as_dict()["ratio_with_labels"] > 0
    assert "as training runs it" in labelled.as_text()


@pytest.mark.parametrize("arguments", [{"batch_size": 31}, {"samples": 0}, {"rounds": 0}])
def test_nothing_to_time_is_refused(blocks, processor, arguments):
    with pytest.raises(ConfigError, match="at least one batch and one round"):
        measure_loading(source_of(blocks), processor, **({"batch_size": 2} | arguments))


def test_a_corrupt_clip_ends_the_bench(make_dataset, tmp_path, processor):
    root = make_dataset(tmp_path / "damaged", train=[["a", ("bad", b"no video")]])
    with pytest.raises(DataError, match="'bad'"):
        measure_loading(source_of(root), processor, batch_size=2)
