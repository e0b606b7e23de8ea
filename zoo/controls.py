"""Pixels that take away what a question should need, to see what is answered without it."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from zoo.batch import Batch

Control = Literal["shuffled_frames", "blank_video", "other_video"]


def controlled_pixels(batch: Batch, control: Control, generator: torch.Generator) -> Tensor:
    """Pixels that take away what a question should need.

    Args:
        batch: Clips.
        control: `shuffled_frames` permutes the frames of every clip, or the images of a set, and leaves their times;
            images in crops stay as they are; `blank_video` shows grey; `other_video` shows the next clip of the batch
            where it has as many frames.
        generator: Draws the permutations, on the CPU.
    Returns:
        (frames, 3, height, width) uint8.
    """
    if control == "blank_video":
        return torch.full_like(batch.pixels, 128)
    clips = torch.tensor(batch.frames.clip)
    order = torch.arange(len(clips))
    members = [order[clips == c] for c in range(batch.frames.num_clips)]
    is_crop = torch.tensor([tile is not None for tile in batch.frames.tile])
    for c, own in enumerate(members):
        if control == "shuffled_frames" and is_crop[own].any():
            continue
        if control == "shuffled_frames":
            order[own] = own[torch.randperm(len(own), generator=generator)]
        else:
            other = members[(c + 1) % len(members)]
            order[own] = other if len(other) == len(own) else own
    return batch.pixels[order.to(batch.pixels.device)]
