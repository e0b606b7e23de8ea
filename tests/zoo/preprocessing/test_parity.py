"""The zoo's inputs against those of transformers' Molmo2 processor: ids, pixels, pooling, vision tokens."""

import numpy as np
import pytest
import torch
from released_inputs import END, ours, own_tokenizer, theirs

from zoo.head import Message
from zoo.layout import TokenLayout
from zoo.preprocessing.vision_tokens import NOT_VISION, TOKEN_TEXTS

QUESTION = "What colour is the cube?"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return own_tokenizer(tmp_path_factory.mktemp("released"))


def message(prompt=QUESTION, **arguments):
    return Message(head="qa", prompt=prompt, answer="", family="f", **arguments)


def chat(processor, *, images=0, videos=0, turns=(QUESTION,)):
    shown = [{"type": "image"}] * images + [{"type": "video"}] * videos
    first = {"role": "user", "content": [*shown, {"type": "text", "text": turns[0]}]}
    rest = [{"role": "user" if n % 2 else "assistant", "content": text} for n, text in enumerate(turns[1:])]
    return processor.apply_chat_template([first, *rest], tokenize=False, add_generation_prompt=True)


def patches(pixels, patch=14):
    """(frames, 3, height, width) uint8 as transformers gives frames: normalised vectors of patches, channels last."""
    frames, _, height, width = pixels.shape
    cut = pixels.view(frames, 3, height // patch, patch, width // patch, patch).permute(0, 2, 4, 3, 5, 1)
    return cut.reshape(frames, -1, patch * patch * 3)


def as_uint8(values):
    """Normalised values back to grey levels; that these come out whole shows that the normalisation is ours."""
    levels = values * 127.5 + 127.5
    torch.testing.assert_close(levels, levels.round(), rtol=0, atol=1e-4)  # float32 of numbers up to 255
    return levels.round().to(torch.uint8)


def windows_of(table):
    """What each window pools, whatever the order inside it."""
    return table.sort(dim=1, descending=True).values


def check(processor, example, reference, *, kind):
    batch = processor.collate([example])
    assert batch.input_ids.tolist() == reference["input_ids"][0].tolist()
    names = (
        ("pixel_values", "image_token_pooling") if kind == "image" else ("pixel_values_videos", "video_token_pooling")
    )
    pixels, pooling = (reference[name] for name in names)
    assert torch.equal(patches(batch.pixels), as_uint8(pixels))
    layout = TokenLayout.of_frames(batch.frames, processor.grid)
    pooled, table = layout.pool()
    assert pooled.num_tokens == int(batch.is_patch.sum()) == len(pooling)
    expected = windows_of(pooling.long())
    assert torch.equal(windows_of(table), expected[:, : table.shape[1]])
    assert bool((expected[:, table.shape[1] :] < 0).all())
    return layout


def images(generator, count, *, most=260):
    sides = generator.integers(4, most, (count, 2))
    return [generator.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in sides]


def check_images(tokenizer, pictures, *, crop_px, max_crops, margins, marks=None):
    reference, processor = (
        theirs(crop_px=crop_px, max_crops=max_crops, margins=margins, **(marks or {})),
        ours(
            tokenizer,
            crop_px=crop_px,
            max_crops=max_crops,
            overlap_margins=margins,
            max_aspect_ratio=None,
            **OWN_MARKS.get(str(marks), {}),
        ),
    )
    made = processor.example(
        key="a",
        frames=pictures,
        times_s=np.zeros(len(pictures)),
        messages=[message()],
        is_video=False,
        training=True,
    )
    expected = reference(
        images=pictures,
        text=chat(reference, images=len(pictures)),
        images_kwargs={"input_data_format": "channels_last"},
        return_tensors="pt",
    )
    check(processor, made, expected, kind="image")
    is_vision = processor.collate([made]).is_vision
    vision = set(reference.image_token_ids)
    assert is_vision.tolist() == [i in vision for i in expected["input_ids"][0].tolist()]
    assert len(vision) == len(TOKEN_TEXTS) - len(NOT_VISION)


MARKS = (
    {"image_use_col_tokens": False},
    {"use_single_crop_col_tokens": True},
    {"use_single_crop_start_token": False},
)
OWN_MARKS = dict(
    zip(map(str, MARKS), ({"image_columns": False}, {"low_res_columns": True}, {"low_res_start": False}), strict=True)
)


@pytest.mark.parametrize("seed", range(5))
def test_single_images_of_any_size(tokenizer, seed):
    generator = np.random.default_rng(seed)
    for _ in range(24):
        margins = tuple(generator.integers(0, 4, 2).tolist())
        max_crops = int(generator.integers(1, 13))
        check_images(tokenizer, images(generator, 1), crop_px=98, max_crops=max_crops, margins=margins)


@pytest.mark.parametrize(
    ("width", "height", "max_crops"), [(640, 480, 8), (333, 777, 24), (112, 112, 8), (1, 10_000, 8), (10_000, 1, 24)]
)
def test_images_at_full_size(tokenizer, width, height, max_crops):
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    check_images(tokenizer, [picture], crop_px=378, max_crops=max_crops, margins=(4, 4))


@pytest.mark.parametrize("marks", MARKS, ids=str)
def test_marks_round_images(tokenizer, marks):
    pictures = images(np.random.default_rng(1), 1)
    check_images(tokenizer, pictures, crop_px=98, max_crops=4, margins=(1, 1), marks=marks)


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_several_images(tokenizer, count):
    generator = np.random.default_rng(count)
    for _ in range(5):
        check_images(tokenizer, images(generator, count), crop_px=98, max_crops=6, margins=(2, 1))


@pytest.mark.parametrize("frame_tokens", [True, False])
def test_videos_of_any_length(tokenizer, frame_tokens):
    generator = np.random.default_rng(7)
    reference = theirs(crop_px=84, use_frame_special_tokens=frame_tokens)
    processor = ours(tokenizer, crop_px=84, frame_marks="frame" if frame_tokens else "image")
    for _ in range(50):
        count = int(generator.integers(1, 9))
        fps = float(generator.choice([2, 5, 10, 23.976, 24, 25, 29.97, 30, 60]))
        indices = np.sort(generator.choice(3000, count, replace=False))
        height, width = generator.integers(5, 120, 2)
        frames = generator.integers(0, 256, (count, height, width, 3), dtype=np.uint8)
        made = processor.example(key="a", frames=frames, times_s=indices / fps, messages=[message()])
        metadata = {"fps": fps, "frames_indices": indices.tolist(), "total_num_frames": 3000}
        expected = reference(
            videos=torch.from_numpy(frames).permute(0, 3, 1, 2),
            text=chat(reference, videos=1),
            videos_kwargs={"do_sample_frames": False, "video_metadata": metadata},
            return_tensors="pt",
        )
        check(processor, made, expected, kind="video")


def test_columns_in_videos(tokenizer):
    reference = theirs(crop_px=84, video_use_col_tokens=True)
    processor = ours(tokenizer, crop_px=84, video_columns=True)
    frames = np.random.default_rng(0).integers(0, 256, (2, 20, 30, 3), dtype=np.uint8)
    made = processor.example(key="a", frames=frames, times_s=np.arange(2) / 2, messages=[message()])
    expected = reference(
        videos=torch.from_numpy(frames).permute(0, 3, 1, 2),
        text=chat(reference, videos=1),
        videos_kwargs={"do_sample_frames": False, "video_metadata": {"fps": 2.0, "total_num_frames": 2}},
        return_tensors="pt",
    )
    check(processor, made, expected, kind="video")


@pytest.mark.parametrize("num_turns", [1, 3, 5])
def test_conversations_without_pictures(tokenizer, num_turns):
    turns = [QUESTION, "red", "And the ball?", "blue; small", "How many are there?"][:num_turns]
    reference, processor = theirs(), ours(tokenizer)
    history = tuple(zip(turns[:-1:2], turns[1::2], strict=True))
    asked = message(turns[-1], history=history)
    made = processor.example(key="a", frames=(), times_s=np.zeros(0), messages=[asked], is_video=False)
    expected = reference(text=chat(reference, turns=turns), return_tensors="pt")["input_ids"][0].tolist()
    assert processor.collate([made]).input_ids.tolist() == expected
    assert expected[0] == tokenizer.bos_id == tokenizer.eos_id == tokenizer.tokenizer.token_to_id(END)


def test_a_conversation_about_images(tokenizer):
    pictures = images(np.random.default_rng(3), 2)
    reference, processor = theirs(crop_px=98, margins=(1, 1)), ours(tokenizer, crop_px=98, overlap_margins=(1, 1))
    asked = message("And then?", history=((QUESTION, "red"),))
    made = processor.example(
        key="a", frames=pictures, times_s=np.zeros(2), messages=[asked], is_video=False, training=True
    )
    text = chat(reference, images=2, turns=[QUESTION, "red", "And then?"])
    expected = reference(images=pictures, text=text, return_tensors="pt")
    check(processor, made, expected, kind="image")
