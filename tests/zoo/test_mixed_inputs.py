"""Clips, images in crops, image sets and text alone in one batch: the trunk answers as it does one by one."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from zoo.controls import controlled_pixels
from zoo.errors import ConfigError, DataError
from zoo.head import Message
from zoo.heads.grounding import WordGrounding
from zoo.layout import TokenLayout
from zoo.packing import PackSize
from zoo.preprocessing.settings import InputSettings
from zoo.preprocessing.vision_tokens import VisionToken
from zoo.pruning.random import RandomPruner
from zoo.shards.reader import Sample

CROPPED = InputSettings(max_crops=4, overlap_margins=(1, 0), max_images=3, eval_max_images=4)
QUESTION = Message(head="qa", prompt="What colour is the cube?", answer="red", family="f")
SIZES = {"clip": ((40, 56),) * 3, "image": ((90, 33),), "set": ((20, 30), (130, 70), (9, 9)), "text": ()}


@pytest.fixture
def module(module_of):
    return module_of(inputs=CROPPED, image_size=48)


def pictures(kind):
    generator = np.random.default_rng(len(kind))
    return [generator.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in SIZES[kind]]


def example(processor, kind, **arguments):
    frames = pictures(kind)
    times = np.arange(len(frames)) / 2 if kind == "clip" else np.zeros(len(frames))
    messages = arguments.pop("messages", [QUESTION, QUESTION._replace(prompt="How many?", answer="3")])
    return processor.example(
        key=kind, frames=frames, times_s=times, messages=messages, is_video=kind == "clip", **arguments
    )


def answers_logits(module, examples):
    batch = module.processor.collate(examples)
    with torch.no_grad():
        outputs = module.model(batch)
    return batch, outputs


def test_a_mixed_batch_is_what_its_examples_are_alone(module):
    processor = module.processor
    kinds = ["text", "image", "clip", "text", "set", "image"]
    examples = [replace(example(processor, kind), key=f"{n}") for n, kind in enumerate(kinds)]
    batch, together = answers_logits(module, examples)
    assert batch.frames.num_clips == 4
    assert len(batch.clip_seeds) == 4
    alone = [answers_logits(module, [one])[1].logits for one in examples]
    torch.testing.assert_close(together.logits, torch.cat(alone), rtol=1e-4, atol=1e-5)  # float32, other kernels
    assert processor.size(examples[1]) == PackSize(examples[1].num_tokens, examples[1].num_frames)
    assert len(batch.pixels) == sum(one.num_frames for one in examples)


def test_a_batch_knows_the_pixels_of_each_example(module):
    examples = [example(module.processor, kind) for kind in ("text", "image", "clip", "text", "set")]
    batch = module.processor.collate(examples)
    for number, one in enumerate(examples):
        assert torch.equal(batch.pixels_of(number), one.pixels)


def test_only_text_is_a_batch_without_frames(module):
    batch, outputs = answers_logits(module, [example(module.processor, "text")])
    assert len(batch.frames) == 0
    assert batch.pixels.shape == (0, 3, 48, 48)
    assert torch.isfinite(outputs.logits).all()


@pytest.mark.parametrize("site", ["pixels", "vit.block[1]", "vit.output", "llm.layer[1]"])
def test_pruners_count_the_windows_of_crops(module_of, site):
    module = module_of(RandomPruner(remove=0.5, site=site), inputs=CROPPED, image_size=48)
    examples = [example(module.processor, kind) for kind in ("set", "clip", "text", "image")]
    batch, outputs = answers_logits(module, examples)
    windows = TokenLayout.of_frames(batch.frames, module.processor.grid).windows_per_clip
    left = tuple(n - n // 2 for n in windows)
    assert tuple(torch.bincount(outputs.layout.clip_of_token).tolist()) == left
    if site != "llm.layer[1]":
        sizes = [module.processor.size(one).tokens for one in examples]
        assert sum(sizes) == len(outputs.hidden)


def test_an_image_in_crops_reads_as_the_sheet_says(module):
    processor, first = module.processor, module.model.language.vocab_size
    made = example(processor, "image")
    (tiling,) = made.tilings
    rows, columns = (-(-side // 2) for side in tiling.stitched(processor.grid))
    patch = first + VisionToken.IM_PATCH
    row = [patch] * columns + [first + VisionToken.IM_COL]
    low = [first + VisionToken.LOW_RES_IM_START, *[patch] * 9, first + VisionToken.IM_END]
    assert list(made.prefix) == [*low, first + VisionToken.IM_START, *row * rows, first + VisionToken.IM_END]


def test_one_pair_of_marks_may_stand_round_a_clip(module_of):
    processor = module_of(inputs=InputSettings(frame_marks="clip")).processor
    first, text = processor.vocab_size, processor.tokenizer.encode
    patches = [first + VisionToken.IM_PATCH] * 4
    ids = [first + VisionToken.FRAME_START, *text("0.0 "), *patches, *text(" 0.5 "), *patches, *text(" 1.0 "), *patches]
    assert list(example(processor, "clip").prefix) == [*ids, first + VisionToken.FRAME_END]


def test_subtitles_follow_the_frames(module_of):
    processor = module_of().processor
    lines = [{"start_s": 0.0, "end_s": 0.5, "text": "a red cube"}]
    plain, told = example(processor, "clip"), example(processor, "clip", subtitles=lines)
    assert told.prefix[: len(plain.prefix)] == plain.prefix
    assert processor.tokenizer.decode(told.prefix[len(plain.prefix) :]) == "subtitle\n0.0 - 0.5 a red cube"
    silent = module_of(inputs=InputSettings(subtitles=False)).processor
    assert example(silent, "clip", subtitles=lines).prefix == plain.prefix


def test_too_many_images_are_one_sentence(module):
    frames = [np.zeros((8, 8, 3), np.uint8)] * 20
    for training, most, name in ((True, 3, "max_images"), (False, 4, "eval_max_images")):
        with pytest.raises(DataError, match=rf"^a: 20 images, {most} are allowed; raise model\.inputs\.{name} or"):
            module.processor.example(
                key="a", frames=frames, times_s=np.zeros(20), messages=[QUESTION], is_video=False, training=training
            )


@pytest.mark.parametrize("is_video", [True, False])
def test_a_picture_without_pixels_is_one_sentence(module, is_video):
    frames = [np.zeros((8, 8, 3), np.uint8), np.zeros((0, 8, 3), np.uint8)]
    with pytest.raises(DataError, match="^a: picture 2 is 8 x 0 pixels and shows nothing"):
        module.processor.example(key="a", frames=frames, times_s=np.zeros(2), messages=[], is_video=is_video)
    with pytest.raises(DataError, match="^a: picture 1 is 0 x 8 pixels"):
        module.processor.tree(key="a", times_s=np.zeros(1), messages=[], is_video=False, sizes_px=[(0, 8)])


@pytest.mark.parametrize("size", [(1, 10_000), (10_000, 1)])
def test_a_very_long_image_is_one_sentence(module, size):
    frames = [np.zeros((8, 8, 3), np.uint8), np.zeros((*size[::-1], 3), np.uint8)]
    sentence = f"^a: picture 2 is {size[0]} x {size[1]} pixels, longer than 200 times its shorter side; cut it, or"
    with pytest.raises(DataError, match=sentence):
        module.processor.example(key="a", frames=frames, times_s=np.zeros(2), messages=[QUESTION], is_video=False)


def test_a_very_long_image_is_cut_like_any_where_that_is_asked_for(module_of):
    module = module_of(inputs=replace(CROPPED, max_aspect_ratio=None), image_size=48)
    made = module.processor.example(
        key="a", frames=[np.zeros((1, 10_000, 3), np.uint8)], times_s=np.zeros(1), messages=[QUESTION], is_video=False
    )
    assert made.tilings[0].num_crops <= 4
    assert torch.isfinite(answers_logits(module, [made])[1].logits).all()


def record(**changes):
    return {"media": "jpg", "width": 33, "height": 90, "num_frames": 1, "annotations": []} | changes


def test_planned_crops_are_those_of_the_decoded_image(module):
    processor = module.processor
    sample = Sample("a", "shard", record(), {"jpg": b""})
    planned = processor.plan(sample, times_s=np.zeros(1), messages=[QUESTION])
    made = example(processor, "image", messages=[QUESTION], training=True)
    assert (planned.prefix, planned.tilings, planned.num_frames) == (made.prefix, made.tilings, made.num_frames)
    assert torch.equal(processor.with_frames(planned, pictures("image")).pixels, made.pixels)
    with pytest.raises(DataError, match="^a: images of 30 x 20 pixels, the record says 33 x 90"):
        processor.with_frames(planned, pictures("set")[:1])


def test_a_share_of_images_to_point_into_gets_more_crops(module_of):
    settings = InputSettings(max_crops=1, eval_max_crops=9, pointing_crops_share=0.3, overlap_margins=(1, 0))
    processor = module_of(inputs=settings).processor
    pointing = QUESTION._replace(style="pointing")

    def crops(key, message, *, training=True):
        tree = processor.tree(
            key=key, times_s=np.zeros(1), messages=[message], is_video=False, sizes_px=[(500, 500)], training=training
        )
        return tree.tilings[0].num_crops

    many = [crops(f"k{n}", pointing) for n in range(300)]
    assert 0.22 < many.count(9) / 300 < 0.38
    assert many == [crops(f"k{n}", pointing) for n in range(300)]
    assert {crops(f"k{n}", QUESTION) for n in range(50)} == {1}
    assert crops("k", QUESTION, training=False) == 9


def test_styles_stand_before_the_first_turn(module_of):
    processor = module_of(inputs=InputSettings(prompts="style")).processor
    record = {
        "annotations": [
            {"family": "f", "question": "How many?", "answer": "3", "style": "vqa2"},
            {
                "family": "f",
                "question": "And balls?",
                "answer": "2",
                "style": "vqa2",
                "history": [{"question": "How many cubes?", "answer": "1"}],
            },
            {"family": "f", "question": "Who?", "answer": "x", "style": "user_qa"},
        ]
    }
    made = processor.messages(Sample("a", "s", record, {}), None, np.random.default_rng(0), training=False)
    assert [m.prompt for m in made] == ["vqa2: How many?", "And balls?", "Who?"]
    assert made[1].history == (("vqa2: How many cubes?", "1"),)


def test_evaluation_may_show_more_frames(module_of):
    processor = module_of(inputs=InputSettings(eval_max_frames=7, sampling="fps")).processor
    plain = Sample("a", "s", {}, {})
    assert processor.sampling_of(plain, training=True).max_frames == 4
    assert processor.sampling_of(plain, training=False).max_frames == 7
    assert processor.sampling_of(plain, training=False).mode == "fps"


def test_a_clip_whose_tracks_have_a_rate_is_shown_at_that_rate(module_of):
    processor = module_of().processor
    tracks = {"label": "x", "kind": "tracks", "objects": [0]}
    for fps, expected in ((None, "last_frame"), (1.0, "fps")):
        sample = Sample("a", "s", {"points": [tracks | {"fps": fps}]}, {})
        sampling = processor.sampling_of(sample, training=True)
        assert sampling.mode == expected
        assert sampling.frame_rate == (fps or processor.sampling.frame_rate)


def test_shuffling_leaves_crops_where_they_are(module):
    batch = module.processor.collate([example(module.processor, kind) for kind in ("image", "clip")])
    cropped = module.processor.collate([example(module.processor, "image")])
    generator = torch.Generator().manual_seed(1)
    shuffled = controlled_pixels(batch, "shuffled_frames", generator)
    assert torch.equal(shuffled[: len(cropped.pixels)], cropped.pixels)
    assert not torch.equal(shuffled[len(cropped.pixels) :], batch.pixels[len(cropped.pixels) :])


def test_heads_that_label_patches_refuse_crops(module_of):
    with pytest.raises(ConfigError, match=r"grounding labels patches of whole images .* set model\.inputs\.max_crops"):
        module_of(inputs=CROPPED, heads=[WordGrounding()])
