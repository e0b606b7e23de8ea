"""Changes of clips: what is drawn, that frames share it, and that torchvision's own transforms give the same pixels."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from zoo.datamodules.policy.augmentation import AUGMENTATIONS, ClipChange, augmented, augmented_batch, shifted_hue
from zoo.policy_batch import PolicyBatch

PLAIN = ClipChange(
    colours=(), blur_sigma=0.1, crop=(0, 0, 16, 20), bits=8, is_sharpened=False, is_grey=False
)  # a blur of 0.1 pixels changes nothing


def clip(time=3, height=16, width=20, seed=0):
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randint(0, 256, (time, height, width, 3), dtype=torch.uint8, generator=generator)
    return frames.permute(0, 3, 1, 2)


def draws(name, number=600, size=(16, 20)):
    return [AUGMENTATIONS[name].draw(size, np.random.default_rng(seed)) for seed in range(number)]


def test_no_change_changes_nothing():
    assert torch.equal(PLAIN.apply(clip()), clip())


@pytest.mark.parametrize("name", list(AUGMENTATIONS))
def test_all_frames_of_a_clip_are_changed_alike(name):
    still = clip(time=1).expand(4, -1, -1, -1)
    for change in draws(name, 20):
        made = change.apply(still)
        assert made.shape == still.shape
        assert made.dtype == torch.uint8
        assert all(torch.equal(frame, made[0]) for frame in made)


@pytest.mark.parametrize(
    ("name", "ranges"),
    [
        ("v1", {"brightness": (0.6, 1.4), "contrast": (0.6, 1.4), "saturation": (0.6, 1.4), "hue": (-0.2, 0.2)}),
        ("v2", {"brightness": (0.6, 1.4), "contrast": (0.6, 1.4), "saturation": (0.8, 1.2), "hue": (-0.05, 0.05)}),
    ],
)
def test_colours_are_drawn_from_the_released_ranges(name, ranges):
    amounts = [dict(change.colours) for change in draws(name)]
    for colour, (least, most) in ranges.items():
        drawn = [amount[colour] for amount in amounts]
        margin = 0.02 * (most - least)  # of 600 draws
        assert least <= min(drawn) < least + margin
        assert most - margin < max(drawn) <= most
    assert len({tuple(name for name, _ in change.colours) for change in draws(name)}) == 24  # any order


@pytest.mark.parametrize(
    ("name", "bits", "grey"),
    # v2: a number is kept with 0.2, so the fewest is 4 with 0.2, 5 with 0.8 * 0.2 and so on.
    [("v1", {8: 0.7, 7: 0.3}, 0.2), ("v2", {8: 0.4096, 7: 0.1024, 6: 0.128, 5: 0.16, 4: 0.2}, 0.0)],
)
def test_probabilities_are_the_released_ones(name, bits, grey):
    changes = draws(name, 3000)
    for number, expected in bits.items():
        assert abs(np.mean([change.bits == number for change in changes]) - expected) < 0.04  # deviation below 0.01
    assert abs(np.mean([change.is_sharpened for change in changes]) - 0.5) < 0.04
    assert abs(np.mean([change.is_grey for change in changes]) - grey) < 0.04
    sigmas = [change.blur_sigma for change in changes]
    assert 0.1 <= min(sigmas) < 0.15
    assert 1.95 < max(sigmas) <= 2.0


@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 999))
def test_crops_lie_in_the_picture(height, width, seed):
    top, left, rows, columns = AUGMENTATIONS["v2"].draw((height, width), np.random.default_rng(seed)).crop
    assert top >= 0
    assert left >= 0
    assert 1 <= rows <= height - top
    assert 1 <= columns <= width - left


def test_a_wide_picture_is_cropped_in_the_middle():
    """No crop of 90 % of it has an allowed aspect; torchvision then takes the largest allowed one."""
    for change in draws("v2", 20, size=(224, 384)):
        assert change.crop == (0, (384 - 299) // 2, 224, 299)


@pytest.mark.parametrize(
    ("change", "transform"),
    # Amounts that are whole in binary: transforms round what they draw to float32.
    [
        ({"colours": (("brightness", 1.25),)}, v2.ColorJitter(brightness=(1.25, 1.25))),
        ({"colours": (("contrast", 0.75),)}, v2.ColorJitter(contrast=(0.75, 0.75))),
        ({"colours": (("saturation", 1.25),)}, v2.ColorJitter(saturation=(1.25, 1.25))),
        ({"blur_sigma": 1.5}, v2.GaussianBlur((5, 9), (1.5, 1.5))),
        ({"bits": 5}, v2.RandomPosterize(5, p=1.0)),
        ({"is_sharpened": True}, v2.RandomAdjustSharpness(2, p=1.0)),
        ({"is_grey": True}, v2.RandomGrayscale(p=1.0)),
    ],
)
def test_single_changes_are_torchvision_s(change, transform):
    made = replace(PLAIN, **change).apply(clip())
    assert torch.equal(made, transform(clip()))
    assert not torch.equal(made, clip())


@pytest.mark.parametrize("amount", [-0.5, -0.2, -0.01, 0.0, 0.05, 0.3])
def test_hue_is_shifted_as_torchvision_shifts_it(amount):
    colours = clip(time=8, height=64, width=48)
    colours[0] = colours[0, :1]  # greys, whose hue is undefined
    colours[1, 1:] = colours[1, :1]  # two colours alike
    error = (shifted_hue(colours, amount).int() - functional.adjust_hue(colours, amount).int()).abs()
    assert error.max() <= 1  # fractions are cut off, and float32 sums in another order fall to either side
    assert (error > 0).float().mean() < 1e-3
    assert torch.equal(shifted_hue(colours, amount)[0], colours[0])


def test_frames_are_changed_one_by_one():
    """So a clip may be changed in parts, as it is on a CPU."""
    frames = clip(time=6)
    for change in draws("v1", 12):
        together = change.apply(frames)
        assert torch.equal(together, torch.cat([change.apply(part) for part in frames.split(4)]))


def test_keeping_several_numbers_of_bits_is_keeping_the_fewest():
    one_by_one = v2.Compose([v2.RandomPosterize(bits, p=1.0) for bits in (7, 6, 4)])
    assert torch.equal(replace(PLAIN, bits=4).apply(clip()), one_by_one(clip()))


def test_crops_are_resized_as_torchvision_resizes_them():
    made = replace(PLAIN, crop=(2, 3, 12, 15)).apply(clip())
    assert torch.equal(made, v2.Resize((16, 20), antialias=True)(clip()[:, :, 2:14, 3:18]))


def test_cameras_are_drawn_for_one_by_one():
    frames = torch.stack([clip(), clip()], 1)
    made = augmented(frames, AUGMENTATIONS["v2"], np.random.default_rng(4))
    assert not torch.equal(made[:, 0], made[:, 1])
    assert torch.equal(made, augmented(frames, AUGMENTATIONS["v2"], np.random.default_rng(4)))
    assert made.stride() == torch.empty_like(frames).stride()


def batch_of(frames, lengths, seeds):
    shape = frames.shape[:2]
    numbers = torch.zeros(shape, dtype=torch.int64)
    rows = len(frames)
    return PolicyBatch(
        keys=("k",) * rows, tasks=("t",) * rows, goals=("g",) * rows, frames=frames, actions=numbers,
        previous_actions=numbers, time_ids=numbers, in_hand=numbers, boxes=torch.zeros(*frames.shape[:3], 0, 5),
        embodiment=torch.zeros(rows, 19), valid_mask=torch.arange(shape[1]) < torch.tensor(lengths)[:, None],
        seeds=seeds,
    )  # fmt: skip


def test_a_window_is_changed_by_its_seed_whatever_stands_beside_it():
    frames = torch.stack([clip(), clip(), clip()]).unsqueeze(2)
    frames[1, 2:] = 0
    made = augmented_batch(batch_of(frames, [3, 2, 3], (5, 6, 5)), AUGMENTATIONS["v1"])
    alone = augmented_batch(batch_of(frames[1:2, :2], [2], (6,)), AUGMENTATIONS["v1"])
    assert torch.equal(made.frames[0], made.frames[2])
    assert torch.equal(made.frames[1, :2], alone.frames[0])
    assert not made.frames[1, 2:].any()
    assert torch.equal(frames[0, :, 0], clip())  # what was given is as it was
