"""The inputs bench: both sides make the same thing, and its arithmetic."""

import json

import numpy as np
import pytest

from zoo.bench.inputs import (
    OURS,
    QUESTION,
    THEIRS,
    InputsCost,
    Pictures,
    _ours,
    _theirs,
    measure_inputs,
    molmo2_processor,
    transformers_processor,
)
from zoo.errors import ConfigError

SMALL = (Pictures("clip", 30, 20, 2, True), Pictures("image", 40, 30, 1, False), Pictures("set", 30, 20, 2, False))


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_both_sides_make_the_same_ids(case):
    processor = molmo2_processor()
    frames = np.zeros((case.count, case.height, case.width, 3), np.uint8)
    made = _ours(processor, case, frames)()
    theirs = _theirs(transformers_processor(processor), case, frames)()
    assert processor.collate([made]).input_ids.tolist() == theirs["input_ids"][0].tolist()
    assert QUESTION in processor.tokenizer.decode(made.branches[0][1])


def test_the_quickest_round_counts():
    cost = InputsCost(seconds={"a": {OURS: [2.0, 1.0], THEIRS: [9.0, 4.0]}, "b": {OURS: [1.0], THEIRS: [3.0]}})
    assert cost.ratio("a") == 4.0
    assert cost.as_dict()["ratio"] == 3.0
    assert json.loads(json.dumps(cost.as_dict()))["rows"][1]["case"] == "b"
    assert "4.00" in cost.as_text()


def test_it_measures_every_case():
    cost = measure_inputs(cases=SMALL[:2], rounds=1)
    assert [row["case"] for row in cost.as_dict()["rows"]] == ["clip", "image"]
    assert all(row["ratio"] > 0 for row in cost.as_dict()["rows"])


def test_no_round_is_refused():
    with pytest.raises(ConfigError, match="0 rounds"):
        measure_inputs(rounds=0)
