"""Samples of every kind out of one shard become examples of one batch, planned and then decoded."""

import io

import numpy as np
import pytest
from PIL import Image

from zoo.datamodules.preparation import materialise, plan
from zoo.errors import DataError
from zoo.preprocessing.settings import InputSettings
from zoo.shards.encode import encode_mp4
from zoo.shards.reader import Sample, read_shard
from zoo.shards.writer import ShardWriter, shard_name

ASKED = [{"family": "f", "question": "How many?", "answer": "3", "temporal": False}]


def record(key, **changes):
    base = {"schema": "video_qa", "version": 1, "key": key, "media": "jpg", "width": 20, "height": 12, "num_frames": 1}
    return base | {"fps": 4.0, "annotations": ASKED, "statements": [], "meta": {}} | changes


def picture(width, height):
    buffer = io.BytesIO()
    noise = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    path = tmp_path_factory.mktemp("mixed") / shard_name(0)
    sizes = [{"width": w, "height": h} for w, h in ((20, 12), (9, 40))]
    frames = np.random.default_rng(0).integers(0, 256, (6, 16, 24, 3), dtype=np.uint8)
    lines = [{"start_s": 0.0, "end_s": 0.4, "text": "two cubes"}]
    with ShardWriter(path) as writer:
        writer.write(record("one", media="png"), picture(20, 12))
        writer.write(record("set", media="png", num_frames=2, images=sizes), (picture(20, 12), picture(9, 40)))
        writer.write(record("text", media="text", width=0, height=0, num_frames=0), ())
        clip = {"media": "mp4", "width": 24, "height": 16, "num_frames": 6, "subtitles": lines}
        writer.write(record("clip", **clip), encode_mp4(frames, fps=4.0))
    return path


@pytest.fixture
def processor(module_of):
    inputs = InputSettings(max_crops=2, eval_max_crops=4, overlap_margins=(1, 0), eval_max_frames=3)
    return module_of(inputs=inputs, image_size=48).processor


@pytest.mark.parametrize("training", [True, False])
def test_every_kind_is_planned_and_decoded(shard, processor, training):
    prepared = []
    for sample in read_shard(shard):
        planned = plan(sample, processor, seed=0, epoch=0, max_tokens=4000, training=training)
        made = materialise(planned, processor, labels=False)
        assert (made.prefix, made.branches) == (planned.tree.prefix, planned.tree.branches)
        assert len(made.pixels) == planned.tree.num_frames
        prepared.append(made)
    by_key = {made.key: made for made in prepared}
    assert [len(by_key[key].tilings) for key in ("one", "set", "text", "clip")] == [1, 2, 0, 0]
    assert by_key["text"].num_frames == 0
    assert by_key["clip"].num_frames == 3 + training  # of at most 4, and 3 at evaluation
    assert "two cubes" in processor.tokenizer.decode(by_key["clip"].prefix)
    batch = processor.collate(prepared)
    assert batch.frames.num_clips == 3
    assert len(batch.turns) == 4


def test_an_image_of_another_size_than_recorded_names_shard_and_key(shard, processor):
    sample = next(read_shard(shard))
    other = Sample(sample.key, "there.tar", sample.record | {"width": 40}, sample.files)
    with pytest.raises(DataError, match=r"^there\.tar: sample one: images of 20 x 12 pixels, the record says 40 x 12"):
        materialise(plan(other, processor, seed=0, epoch=0, max_tokens=4000), processor, labels=False)


def test_too_many_images_name_shard_and_key(shard, module_of):
    processor = module_of(inputs=InputSettings(max_images=1)).processor
    samples = {sample.key: sample for sample in read_shard(shard)}
    with pytest.raises(DataError, match=r"shard-000000\.tar: sample set: 2 images, 1 are allowed"):
        plan(samples["set"], processor, seed=0, epoch=0)
    assert plan(samples["set"], processor, seed=0, epoch=0, training=False).tree.num_frames == 2
