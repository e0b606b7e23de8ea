"""A batch: examples packed into one sequence without padding, and the frames that they show.

Source: Molmo2 sheet A3, A5, A6.3. Differs: packed instead of padded; a plain example is a message tree with one branch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from zoo.frames import Frames
from zoo.head import Message
from zoo.host_facts import on_device
from zoo.segments import Segments

IGNORE_INDEX = -100
"""Label of positions without a target."""


class Turn(NamedTuple):
    """One branch of an example: a message and where its tokens lie. A tuple for the reason that `Message` is one.

    Args:
        example: Number of the example in the batch.
        message: What is asked and answered.
        prefix: (start, stop) of the example's shared tokens, packed indices.
        prompt: (start, stop) of the question, up to the token that predicts the answer's first.
        answer: (start, stop) of the answer and its end token; empty where the answer is unknown.
    """

    example: int
    message: Message
    prefix: tuple[int, int]
    prompt: tuple[int, int]
    answer: tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Examples in a row, packed.

    Args:
        keys: Sample key of each example.
        pixels: (frames, 3, height, width) uint8.
        frames: What the frames are; clip c belongs to the c-th example that has frames.
        clip_seeds: One integer a clip, derived from its sample key.
        input_ids: (tokens,) int64; ids from the vocabulary's size on are vision tokens.
        position_ids: (tokens,) int64; branches restart where the prefix ends.
        runs: Of each example, tokens of its prefix and of its branches.
        is_vision: (tokens,) bool, the set of sheet A6.1.
        is_patch: (tokens,) bool, places of pooled windows, in the layout's order.
        labels: (tokens,) int64, the next token where it is a target, else IGNORE_INDEX.
        loss_weights: (tokens,) float32, 0 where there is no target.
        turns: All branches of all examples.
        patch_words: (pairs, 3) int64, patch, id of a word about what it shows, 1 where one frame alone does not
            tell the word.
        empty_word: Id that names a window without a named patch.
    """

    keys: tuple[str, ...]
    pixels: Tensor
    frames: Frames
    clip_seeds: tuple[int, ...]
    input_ids: Tensor
    position_ids: Tensor
    runs: tuple[tuple[int, ...], ...]
    is_vision: Tensor
    is_patch: Tensor
    labels: Tensor
    loss_weights: Tensor
    turns: tuple[Turn, ...]
    patch_words: Tensor
    empty_word: int

    def __post_init__(self) -> None:
        total = sum(map(sum, self.runs))
        for name in ("input_ids", "position_ids", "is_vision", "is_patch", "labels", "loss_weights"):
            if getattr(self, name).shape != (total,):
                raise ValueError(f"{name} is {tuple(getattr(self, name).shape)}, the examples hold {total} tokens")
        if len(self.pixels) != len(self.frames):
            raise ValueError(f"{len(self.pixels)} frames of pixels, {len(self.frames)} described")

    def __len__(self) -> int:
        return len(self.keys)

    def _map(self, change) -> Batch:
        tensors = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: change(v) for k, v in tensors.items() if isinstance(v, Tensor)})

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        return self._map(lambda tensor: tensor.pin_memory())

    def with_pixels(self, pixels: Tensor) -> Batch:
        """The same questions about other pixels, for controls."""
        return replace(self, pixels=pixels)

    def pixels_of(self, example: int) -> Tensor:
        """(frames, 3, height, width) uint8 of one example; no frames where it is text alone."""
        ends = torch.tensor([sum(run) for run in self.runs]).cumsum(0).tolist()
        is_seen = [bool(self.is_patch[start:end].any()) for start, end in pairwise([0, *ends])]
        if not is_seen[example]:
            return self.pixels[:0]
        return self.pixels[on_device(self.frames.clip, self.pixels.device) == sum(is_seen[:example])]

    def targets_of(self, head: str, device: torch.device | str) -> Tensor:
        """(targets,) bool: which of the batch's targets, in sequence order, belong to a head."""
        owner = torch.tensor([turn.message.head == head for turn in self.turns], dtype=torch.bool)
        counts = torch.tensor([turn.answer[1] - turn.answer[0] for turn in self.turns], dtype=torch.int64)
        return owner.repeat_interleave(counts).to(device)

    def stream(self, states: Tensor, vision_group: Tensor | None = None) -> TokenStream:
        """The whole sequence as it enters the language model.

        Args:
            states: (tokens, channels), its embeddings.
            vision_group: See `Segments`.
        """
        segments = Segments(
            # A single branch, which holds no vision tokens, attends as plain text behind the prefix does: cheaper so.
            runs=tuple((sum(runs),) if len(runs) == 2 else runs for runs in self.runs),
            is_vision=self.is_vision if len(self.frames) else None,
            vision_group=vision_group if len(self.frames) else None,
            device=self.input_ids.device,
        )
        return TokenStream(
            states=states,
            position_ids=self.position_ids,
            segments=segments,
            is_patch=self.is_patch,
            index=torch.arange(len(states), device=states.device),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenStream:
    """A packed sequence on its way through the language model; shrinks when tokens leave.

    Args:
        states: (tokens, channels).
        position_ids: (tokens,) int64.
        segments: Who may attend to whom.
        is_patch: (tokens,) bool, pooled windows.
        index: (tokens,) int64, place of each token in the batch's full sequence.
    """

    states: Tensor
    position_ids: Tensor
    segments: Segments
    is_patch: Tensor
    index: Tensor

    def keep(self, keep: Tensor) -> TokenStream:
        """The stream of the tokens where `keep` (tokens,) bool is true; positions stay as they are."""
        return TokenStream(
            states=self.states[keep],
            position_ids=self.position_ids[keep],
            segments=self.segments.keep(keep),
            is_patch=self.is_patch[keep],
            index=self.index[keep],
        )

    def keep_patches(self, keep: Tensor) -> TokenStream:
        """The stream without the patch tokens where `keep` (patch tokens,) bool is false."""
        everything = torch.ones_like(self.is_patch)
        everything[self.is_patch] = keep
        return self.keep(everything)

    def renumbered(self, kept: Tensor) -> Tensor:
        """Position ids of the survivors as if the removed tokens of the prefix had never been there (sheet B8, rule a).

        Args:
            kept: (tokens,) bool; whatever is removed lies in a prefix.
        Returns:
            (survivors,) int64.
        """
        removed = (~kept).long().cumsum(0)
        starts = on_device(self.segments.starts, removed.device).clamp(max=len(removed) - 1)
        before = (removed - (~kept).long())[starts][self.segments.segment_ids]
        return (self.position_ids - (removed - before))[kept]

    def with_states(self, states: Tensor) -> TokenStream:
        return replace(self, states=states)

    def within(self, local_attention: int | None) -> TokenStream:
        """The stream as a layer sees it whose tokens look back at most this far; see `Segments.within`."""
        segments = self.segments.within(local_attention)
        return self if segments is self.segments else replace(self, segments=segments)


def seeds_of(keys: Sequence[str]) -> tuple[int, ...]:
    """A stable integer for each sample key, independent of process and platform."""
    from zlib import crc32

    return tuple(crc32(key.encode()) for key in keys)
