"""Photometric and geometric changes of a clip, one draw for all its frames.

Source: sheet spoc_ring_holodeck_graspmolmo 1.7; what torchvision's transforms of the released sets do to uint8 frames,
with an explicit generator. Cameras are drawn for one by one, as released.
Differs: hue is shifted in a fifth of torchvision's time; one value in 10,000 is a grey level off. The release also acts
on augmented pictures, drawn anew at every step; ours are for training alone. Boxes and `shows` stay as recorded, though
the crop moves what they tell of: by an eighth of the width in a picture of 16:9, whose crop is at most 4:3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from zoo.policy_batch import PolicyBatch

AugmentationName = Literal["v1", "v2"]

BLUR_KERNEL = (5, 9)
"""Columns and rows."""
BLUR_SIGMA = (0.1, 2.0)
CROP_SCALE = (0.9, 1.0)
"""Share of the picture's area that is shown."""
CROP_ASPECT = (3 / 4, 4 / 3)
CROP_TRIES = 10
"""As in torchvision, which then takes the largest crop of an allowed aspect from the middle."""
CHUNK_PX = 300_000
"""Pixels that are changed at once on a CPU: more leave its cache. Frames are changed one by one, so nothing differs."""

SHARPNESS = 2.0
SHARPNESS_PROBABILITY = 0.5
TO_UINT8 = (256 - 1e-3) / 255
"""As torchvision turns floats into uint8, whose fractions are cut off."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Augmentation:
    """What a clip may be changed by, in this order: colours, blur, crop, posterise, sharpness, grey.

    Args:
        brightness: Factors lie up to this far from 1.
        contrast: The same.
        saturation: The same.
        hue: Shifts are up to this share of the colour circle either way.
        posterise_bits: Bits that are kept, one after the other.
        posterise_probability: Of each of these.
        grey_probability: That colours are lost.
    """

    brightness: float
    contrast: float
    saturation: float
    hue: float
    posterise_bits: tuple[int, ...]
    posterise_probability: float
    grey_probability: float

    def draw(self, size: tuple[int, int], generator: np.random.Generator) -> ClipChange:
        """Choose how to change one clip.

        Args:
            size: (height, width) of its frames.
            generator: Of this clip.
        """
        colours = [
            ("brightness", float(generator.uniform(1 - self.brightness, 1 + self.brightness))),
            ("contrast", float(generator.uniform(1 - self.contrast, 1 + self.contrast))),
            ("saturation", float(generator.uniform(1 - self.saturation, 1 + self.saturation))),
            ("hue", float(generator.uniform(-self.hue, self.hue))),
        ]
        order = generator.permutation(len(colours))  # torchvision jitters colours in any order
        sigma = float(generator.uniform(*BLUR_SIGMA))
        crop = _draw_crop(size, generator)
        is_kept = generator.random(len(self.posterise_bits)) < self.posterise_probability
        return ClipChange(
            colours=tuple(colours[place] for place in order),
            blur_sigma=sigma,
            crop=crop,
            bits=min((bits for bits, kept in zip(self.posterise_bits, is_kept, strict=True) if kept), default=8),
            is_sharpened=bool(generator.random() < SHARPNESS_PROBABILITY),
            is_grey=bool(generator.random() < self.grey_probability),
        )


AUGMENTATIONS: dict[AugmentationName, Augmentation] = {
    "v1": Augmentation(
        brightness=0.4, contrast=0.4, saturation=0.4, hue=0.2,
        posterise_bits=(7,), posterise_probability=0.3, grey_probability=0.2,
    ),
    "v2": Augmentation(
        brightness=0.4, contrast=0.4, saturation=0.2, hue=0.05,
        posterise_bits=(7, 6, 5, 4), posterise_probability=0.2, grey_probability=0.0,
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipChange:
    """How one clip is changed.

    Args:
        colours: Names and amounts of changes of colour, in the order in which they are made.
        blur_sigma: In pixels.
        crop: (top, left, height, width) of what is shown, in pixels.
        bits: Of a colour value that are kept; keeping several numbers of bits is keeping the fewest.
        is_sharpened: By the factor 2.
        is_grey: All three colours are one.
    """

    colours: tuple[tuple[str, float], ...]
    blur_sigma: float
    crop: tuple[int, int, int, int]
    bits: int
    is_sharpened: bool
    is_grey: bool

    def apply(self, clip: Tensor) -> Tensor:
        """The changed clip.

        Args:
            clip: (time, 3, height, width) uint8 on any device; quickest with channels last in memory.
        Returns:
            The same size and type; the argument is left as it is.
        """
        from torchvision.transforms.v2 import functional

        changes = {
            "brightness": functional.adjust_brightness,
            "contrast": functional.adjust_contrast,
            "saturation": functional.adjust_saturation,
            "hue": shifted_hue,
        }
        size = list(clip.shape[2:])
        for name, amount in self.colours:
            clip = changes[name](clip, amount)
        clip = functional.gaussian_blur(clip, list(BLUR_KERNEL), [self.blur_sigma] * 2)
        clip = functional.resized_crop(clip, *self.crop, size, antialias=True)
        if self.bits < 8:
            clip = functional.posterize(clip, self.bits)
        if self.is_sharpened:
            clip = functional.adjust_sharpness(clip, SHARPNESS)
        return functional.rgb_to_grayscale(clip, 3) if self.is_grey else clip


def augmented(frames: Tensor, augmentation: Augmentation, generator: np.random.Generator) -> Tensor:
    """Change the clip of every camera of one episode by a draw of its own.

    Args:
        frames: (time, cameras, 3, height, width) uint8 on any device, of one window.
        augmentation: What is drawn from.
        generator: Of the episode.
    Returns:
        The same size, type and order in memory.
    """
    made = torch.empty_like(frames)
    height, width = frames.shape[3:]
    step = len(frames) if frames.is_cuda else max(1, CHUNK_PX // (height * width))
    for camera in range(frames.shape[1]):
        change = augmentation.draw((height, width), generator)
        for start in range(0, len(frames), step):
            part = slice(start, start + step)
            made[part, camera] = change.apply(frames[part, camera])
    return made


def shifted_hue(clip: Tensor, amount: float) -> Tensor:
    """Turn the colour circle, keeping the largest and the smallest of a pixel's colours.

    Args:
        clip: (time, 3, height, width) uint8.
        amount: Share of the circle, from -0.5 to 0.5.
    """
    red, green, blue = clip.transpose(0, 1).float().contiguous().unbind(0)
    high, low = torch.maximum(torch.maximum(red, green), blue), torch.minimum(torch.minimum(red, green), blue)
    chroma = high - low
    is_red, is_green = red == high, green == high
    # In sixths of the circle from red on: distance to the largest colour, and where that one stands.
    sixths = torch.where(is_red, green - blue, torch.where(is_green, blue - red, red - green)).div_(chroma.clamp(min=1))
    sixths.add_(torch.where(is_red, 6 * amount, torch.where(is_green, 2 + 6 * amount, 4 + 6 * amount)))
    sixths.sub_((sixths / 6).floor_().mul_(6))
    low.mul_(TO_UINT8)
    chroma.mul_(TO_UINT8)
    made = torch.empty_like(clip)
    made[:, 0] = torch.addcmul(low, chroma, (sixths - 3).abs_().sub_(1).clamp_(0, 1))
    made[:, 1] = torch.addcmul(low, chroma, (sixths - 2).abs_().neg_().add_(2).clamp_(0, 1))
    made[:, 2] = torch.addcmul(low, chroma, (sixths - 4).abs_().neg_().add_(2).clamp_(0, 1))
    return made


def augmented_batch(batch: PolicyBatch, augmentation: Augmentation) -> PolicyBatch:
    """Change every window of a batch, by draws from its seed; padding stays black."""
    frames = torch.zeros_like(batch.frames)
    lengths = batch.valid_mask.sum(1).tolist()  # the one wait for the device; saves the work on padding
    for row, (length, seed) in enumerate(zip(lengths, batch.seeds, strict=True)):
        frames[row, :length] = augmented(batch.frames[row, :length], augmentation, np.random.default_rng(seed))
    return replace(batch, frames=frames)


def _draw_crop(size: tuple[int, int], generator: np.random.Generator) -> tuple[int, int, int, int]:
    """(top, left, height, width) as torchvision's random resized crop draws it."""
    rows, columns = size
    for _ in range(CROP_TRIES):
        area = rows * columns * generator.uniform(*CROP_SCALE)
        aspect = math.exp(generator.uniform(math.log(CROP_ASPECT[0]), math.log(CROP_ASPECT[1])))
        width, height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < width <= columns and 0 < height <= rows:
            top = int(generator.integers(rows - height, endpoint=True))
            left = int(generator.integers(columns - width, endpoint=True))
            return top, left, height, width
    aspect = min(max(columns / rows, CROP_ASPECT[0]), CROP_ASPECT[1])
    width, height = min(columns, round(rows * aspect)), min(rows, round(columns / aspect))
    return (rows - height) // 2, (columns - width) // 2, height, width
