"""What every registered head promises; a new one is tested by being registered."""

import pickle

import numpy as np
import pytest
import torch
from trunk_fixtures import build_module

from zoo import registry, run_lengths
from zoo.head import Head
from zoo.shards.decode import ShownFrames
from zoo.shards.reader import Sample

NAMES = registry.names("head")

SHOWN = ShownFrames(times_s=np.arange(2) / 2, indices=np.arange(2), is_video=True)
RLE = {"key": 0.0, "id": 1} | run_lengths.encode(np.eye(48, dtype=bool))

RECORD = {
    "media": "mp4",
    "width": 48,
    "height": 48,
    "points": [
        {"label": "cube", "kind": "points", "points": [[0.0, 1, 9, 9]], "count": 1, "rle": [RLE]},
        {"label": "cube", "kind": "tracks", "points": [[0.0, 1, 9, 9], [0.5, 1, 12, 9]], "rle": [RLE]},
    ],
    "annotations": [{"family": "count", "question": "How many?", "answer": "2", "temporal": False}],
    "statements": ["there are 2 objects", "the red object moved"],
    "descriptions": [{"request": "Describe the objects.", "text": "red cube, blue ball"}],
}


def test_some_head_is_registered():
    assert "qa" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_head_whose_data_half_travels(name):
    head = registry.example("head", name)
    assert isinstance(head, Head)
    pickle.loads(pickle.dumps(head.renderer()))
    assert head.needs
    assert head.metrics() is not head.metrics()


@pytest.mark.parametrize("name", NAMES)
def test_it_learns_answers_and_is_measured_inside_a_module(name):
    head = registry.example("head", name)
    module = build_module(heads=[head])
    processor, sample = module.processor, Sample("clip", "shard", RECORD, {})
    for training in (True, False):
        example = processor.example(
            key="clip",
            frames=np.zeros((2, 48, 48, 3), np.uint8),
            times_s=np.arange(2) / 2,
            messages=processor.messages(sample, SHOWN, np.random.default_rng(0), training=training),
        )
        batch = processor.collate([example, example])
        module.train(training)
        loss, terms = module._losses(module(batch), batch)
        assert torch.isfinite(loss)
        assert all(term.startswith(f"{head.name}/") for term in terms)
    asked = [turn for turn in batch.turns if turn.message.is_scored]
    with torch.no_grad():
        answers = module.answer(batch)
    assert [(p.head, p.prompt) for p in answers] == [(head.name, turn.message.prompt) for turn in asked]
    assert bool(answers) == head.answers
    metrics = head.metrics()
    metrics.update(answers)
    scores = metrics.compute()
    assert bool(scores) == bool(answers)
    assert all(0 <= score <= 1 for score in scores.values())
