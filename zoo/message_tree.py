"""A sample as token ids: what its branches share, the branches, and the frames that they are about.

Source: Molmo2 sheet A6.3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from zoo.frames import Frames
from zoo.head import Message
from zoo.preprocessing.crops import Tile, Tiling

Branch = tuple[Message, tuple[int, ...], tuple[int, ...]]
"""A message, its prompt's ids, and its answer's ids with the end token."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MessageTree:
    """One sample as token ids, which needs no decoded frame: a prefix and its branches.

    Args:
        key: Sample key.
        times_s: (frames,) seconds; 0 for each image.
        is_video: Frames of a clip rather than images, or nothing but text.
        prefix: Ids of the shared tokens.
        branches: Questions and answers, in order.
        sizes_px: (width, height) of each image; of a clip one, once it is decoded.
        tilings: Of each image that is cut into crops, else None; empty for a clip.
    """

    key: str
    times_s: tuple[float, ...]
    is_video: bool
    prefix: tuple[int, ...]
    branches: tuple[Branch, ...]
    sizes_px: tuple[tuple[int, int], ...] = ()
    tilings: tuple[Tiling | None, ...] = ()

    def runs_of_ids(self) -> Iterator[tuple[int, ...]]:
        """The prefix, then every prompt and answer."""
        yield self.prefix
        for _, prompt, answer in self.branches:
            yield prompt
            yield answer

    @property
    def num_tokens(self) -> int:
        return len(self.prefix) + sum(len(prompt) + len(answer) for _, prompt, answer in self.branches)

    @property
    def num_frames(self) -> int:
        """Frames that the vision encoder sees: of a cropped image the whole and its crops."""
        return len(self.times_s) + sum(tiling.num_crops for tiling in self.tilings if tiling is not None)

    def tiles(self) -> Iterator[tuple[int, Tile | None]]:
        """(number of the time, place among crops) of every frame that the vision encoder sees."""
        for number in range(len(self.times_s)):
            yield number, None
            tiling = self.tilings[number] if self.tilings else None
            for tile in () if tiling is None else tiling.tiles():
                yield number, tile


@dataclass(frozen=True, kw_only=True, slots=True)
class Example(MessageTree):
    """A message tree and the frames that it is about.

    Args:
        pixels: (frames, 3, height, width) uint8.
        patch_words: (pairs, 3) int64, patch of the example, id of a word about what it shows, 1 where one frame
            alone does not tell the word.
    """

    pixels: Tensor
    patch_words: Tensor


def frames_of(
    examples: Sequence[Example], grid: tuple[int, int], *, image_window: tuple[int, int], video_window: tuple[int, int]
) -> Frames:
    """The frames of examples one behind the other; those of text alone have none, and no clip.

    Args:
        examples: In the order of a batch.
        grid: (rows, columns) of patches of a frame or crop.
        image_window: Patches pooled into one token of an image, (rows, columns).
        video_window: The same for a video frame.
    """
    shown = [example for example in examples if example.times_s]
    places = [(clip, e, number, tile) for clip, e in enumerate(shown) for number, tile in e.tiles()]
    sizes = tuple(e.sizes_px[0 if e.is_video else number] for _, e, number, _ in places)
    tiles = tuple(tile for _, _, _, tile in places)
    is_cropped = any(tile is not None for tile in tiles)
    boxes = tuple(
        (0.0, 0.0, float(size[0]), float(size[1])) if tile is None else tile.box(grid, size)
        for tile, size in zip(tiles, sizes, strict=True)
    )
    return Frames(
        clip=tuple(clip for clip, _, _, _ in places),
        time_s=tuple(e.times_s[number] for _, e, number, _ in places),
        size_px=sizes,
        window=tuple(video_window if e.is_video else image_window for _, e, _, _ in places),
        box_xyxy_px=boxes if is_cropped else (),
        tile=tiles if is_cropped else (),
        is_video=tuple(e.is_video for _, e, _, _ in places),
    )
