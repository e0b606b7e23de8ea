"""Layouts of clips by their lengths, for tests of pruners that need no trunk."""

from zoo.frames import Frames
from zoo.layout import TokenLayout


def layout_of_clips(
    *lengths: int,
    images: tuple[int, ...] = (),
    grid: tuple[int, int] = (6, 6),
    window: tuple[int, int] = (3, 3),
    size_px: tuple[int, int] = (24, 24),
) -> TokenLayout:
    """Clips in a row, one token a patch; `images` are numbers of clips that are no videos."""
    clip = tuple(number for number, length in enumerate(lengths) for _ in range(length))
    count = len(clip)
    frames = Frames(
        clip=clip,
        time_s=tuple(map(float, range(count))),
        size_px=(size_px,) * count,
        window=(window,) * count,
        is_video=tuple(c not in images for c in clip),
    )
    return TokenLayout.of_frames(frames, grid)
