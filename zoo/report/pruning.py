"""Pictures of what token pruners left of a clip: the frames with what is gone darkened, heat maps of scores, a video.

Kept patches show their pixels as they are, inside a thin line that runs on the outside; patches that were merged into
another window are half dimmed and hatched, dropped ones dark and without colour. Free of torch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from zoo.report.files import Series
from zoo.report.media import THUMBNAIL
from zoo.shards.encode import encode_frames

DROPPED, MERGED, KEPT = 0, 1, 2
"""What became of a patch."""

LEGEND = {KEPT: "kept", MERGED: "merged into a kept one", DROPPED: "dropped"}
COUNTS = ("windows", "entered", "remaining")
"""Fields of `KeptPatches` that count windows, one number a frame."""

DROPPED_LIGHT, MERGED_LIGHT = 0.3, 0.6  # of the light that is left
LINE_COLOUR, HATCH_COLOUR, NO_SCORE_COLOUR = (255, 221, 51), (102, 194, 255), (150, 150, 150)
LINES_AN_EDGE = 200  # widths of the line that fit into a picture's shorter edge
HATCH_LINES = 6  # widths of the line from one stripe to the next

COLUMNS = 8  # frames side by side in a sheet
MAX_SHEET_FRAMES = 32  # of longer clips a sheet shows so many, evenly spaced
MARGIN_PX, GAP_PX, TEXT_PX, LEAST_WIDTH_PX = 118, 4, 20, 620
BAR_PX = 12  # width of a colour bar
SWATCH_PX, SWATCH_COLOUR = (14, 22), (200, 120, 90)  # height and width of what explains a colour
CAPTION_PX = 54  # above a video's frames
VIDEO_PX = (360, 720)  # height of a video's frames, at least and at most
VIDEO_FPS = (2.0, 8.0)  # slowest and quickest; between them a clip plays as fast as its frames follow one another
SCORE_COLOURS = "viridis"


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptPatches:
    """What pruners left of one clip.

    Args:
        pruners: Who acted, and where, in words.
        state: (frames, rows, columns) uint8: DROPPED, MERGED or KEPT, at the end of the language model.
        windows: Of each frame, before anything left.
        entered: Of each frame, those that entered the language model.
        remaining: Of each frame, those that were still there after its last layer.
        scores: (frames, rows, columns) float32 by site; NaN where nothing was scored.
    """

    pruners: str
    state: np.ndarray
    windows: tuple[int, ...]
    entered: tuple[int, ...]
    remaining: tuple[int, ...]
    scores: Mapping[str, np.ndarray]

    def counts(self) -> dict[str, Any]:
        """What a report reads again, as JSON has it."""
        return {key: value for key, value in asdict(self).items() if key not in ("state", "scores")}


def summary(counts: Mapping[str, Any]) -> str:
    """How many windows of a clip were kept, in words."""
    total, entered, remaining = (sum(counts[name]) for name in COUNTS)
    share = f"{100 * remaining / max(total, 1):.0f} %"
    if entered == remaining:
        return f"{remaining} of {total} windows kept ({share})"
    return f"{entered} of {total} windows enter the language model, {remaining} remain after its last layer ({share})"


def curves_of(entry: Any) -> dict[str, Series]:
    """(time in seconds, windows of that frame) by line of the curve; nothing where the entry is of another shape.

    Args:
        entry: What a run recorded: `times_s`, and the lists that `COUNTS` names.
    """
    if not isinstance(entry, Mapping):
        return {}
    columns = [entry.get(name) for name in ("times_s", *COUNTS)]
    if not all(isinstance(c, list) and c and all(isinstance(n, int | float) for n in c) for c in columns):
        return {}
    times_s, shown, entered, remaining = columns
    if any(len(column) != len(times_s) for column in columns):
        return {}
    if entered == remaining:
        lines = {"shown": shown, "kept": remaining}
    else:
        lines = {} if entered == shown else {"shown": shown}
        lines |= {"enter the language model": entered, "remain after its last layer": remaining}
    return {name: list(zip(times_s, column, strict=True)) for name, column in lines.items()}


# -- one frame ------------------------------------------------------------------------------------------------------


def spread(cells: np.ndarray, height: int, width: int) -> np.ndarray:
    """(rows, columns) values of patches as (height, width): each pixel takes that of the patch under its middle."""
    rows, columns = (
        ((np.arange(size) + 0.5) * count / size).astype(np.int64)
        for size, count in zip((height, width), cells.shape, strict=True)
    )
    return cells[rows[:, None], columns]


def overlay(frame: np.ndarray, state: np.ndarray) -> np.ndarray:
    """A frame on which only what was kept looks as it did.

    Args:
        frame: (height, width, 3) uint8 RGB.
        state: (rows, columns) of patches: DROPPED, MERGED or KEPT.
    """
    pixels, picture = spread(state, *frame.shape[:2]), frame.copy()
    grey = np.asarray(Image.fromarray(frame).convert("L"))
    dropped, merged = pixels == DROPPED, pixels == MERGED
    picture[dropped] = (DROPPED_LIGHT * grey[dropped]).astype(np.uint8)[:, None]
    if merged.any():
        picture[merged] = (MERGED_LIGHT / 2 * (frame[merged] + grey[merged].astype(np.float32)[:, None])).astype(
            np.uint8
        )
        picture[merged & hatch(*frame.shape[:2])] = HATCH_COLOUR
    picture[outline(pixels == KEPT)] = LINE_COLOUR
    return picture


def line_px(height: int, width: int) -> int:
    """Width of a thin line on a picture of this size."""
    return max(round(min(height, width) / LINES_AN_EDGE), 1)


def outline(kept: np.ndarray, *, lines: int = 1) -> np.ndarray:
    """(height, width) bool: pixels that were not kept, next to some that were; so many thin lines wide."""
    width = lines * line_px(*kept.shape)
    near = kept.copy()
    for shift in range(1, width + 1):
        near[shift:] |= kept[:-shift]
        near[:-shift] |= kept[shift:]
    down = near.copy()
    for shift in range(1, width + 1):
        near[:, shift:] |= down[:, :-shift]
        near[:, :-shift] |= down[:, shift:]
    return near & ~kept


def hatch(height: int, width: int) -> np.ndarray:
    """(height, width) bool: thin diagonal stripes."""
    line = line_px(height, width)
    return (np.arange(height)[:, None] + np.arange(width)) % (HATCH_LINES * line) < line


def score_limits(scores: np.ndarray) -> tuple[float, float] | None:
    """Lowest and highest score; None where none is a number. What is infinite is drawn as the highest or lowest."""
    finite = scores[np.isfinite(scores)]
    return (float(finite.min()), float(finite.max())) if finite.size else None


def heat_map(scores: np.ndarray, height: int, width: int, limits: tuple[float, float] | None) -> np.ndarray:
    """(height, width, 3) uint8: scores as colours, grey and striped where there is none.

    Args:
        scores: (rows, columns) float, NaN where nothing was scored.
        height: Of the picture, pixels.
        width: The same.
        limits: Scores of the darkest and the brightest colour, over the whole clip.
    """
    low, high = limits or (0.0, 0.0)
    cells = np.clip(scores, low, high)
    scaled = (cells - low) / (high - low) if high > low else np.where(np.isnan(scores), np.nan, 0.5)
    picture = _colours(np.nan_to_num(spread(scaled, height, width)))
    missing = spread(np.isnan(scores), height, width)
    picture[missing] = NO_SCORE_COLOUR
    picture[missing & hatch(height, width)] = (255, 255, 255)
    return picture


def _colours(scaled: np.ndarray) -> np.ndarray:
    """(..., 3) uint8 of values in [0, 1]."""
    from matplotlib import colormaps

    return colormaps[SCORE_COLOURS](scaled, bytes=True)[..., :3]


# -- all frames -----------------------------------------------------------------------------------------------------


def sheet(frames: Sequence[np.ndarray], times_s: Sequence[float], kept: KeptPatches) -> Image.Image:
    """The frames of a clip with their times, below each what was kept of it and how it was scored, and a legend.

    Args:
        frames: (height, width, 3) uint8 RGB each.
        times_s: Of each, seconds.
        kept: What was left of them.
    """
    shown = np.linspace(0, len(frames) - 1, min(len(frames), MAX_SHEET_FRAMES)).round().astype(int).tolist()
    small = {number: _scaled(frames[number], THUMBNAIL / max(frames[number].shape[:2])) for number in shown}
    height, width = small[0].shape[:2]
    rows = [("what there was", small), ("what was kept", {n: overlay(small[n], kept.state[n]) for n in shown})]
    limits = {site: score_limits(scores) for site, scores in kept.scores.items()}
    for site, scores in kept.scores.items():
        maps = {number: heat_map(scores[number], height, width, limits[site]) for number in shown}
        rows.append((f"score at\n{site}", {n: _with_outline(maps[n], kept.state[n]) for n in shown}))
    lines = [shown[start : start + COLUMNS] for start in range(0, len(shown), COLUMNS)]
    line_height = TEXT_PX + GAP_PX + len(rows) * (height + GAP_PX)
    size = (
        max(MARGIN_PX + min(len(shown), COLUMNS) * (width + GAP_PX), LEAST_WIDTH_PX),
        2 * TEXT_PX + GAP_PX + len(lines) * line_height + TEXT_PX,
    )
    page = Image.new("RGB", size, "white")
    part = f"; {len(shown)} of {len(frames)} frames" if len(shown) < len(frames) else ""
    _text(page, (GAP_PX, GAP_PX), f"{summary(kept.counts())}{part}", size=16)
    _text(page, (GAP_PX, GAP_PX + TEXT_PX), kept.pruners)
    for number, line in enumerate(lines):
        top = 2 * TEXT_PX + GAP_PX + number * line_height
        for column, frame in enumerate(line):
            left = MARGIN_PX + column * (width + GAP_PX)
            count = f"{kept.remaining[frame]} of {kept.windows[frame]}"
            _text(page, (left, top + GAP_PX), f"{times_s[frame]:.2f} s: {count} kept")
            for row, (_, pictures) in enumerate(rows):
                page.paste(Image.fromarray(pictures[frame]), (left, top + TEXT_PX + row * (height + GAP_PX)))
        for row, (label, _) in enumerate(rows):
            _text(page, (GAP_PX, top + TEXT_PX + row * (height + GAP_PX)), label)
        for row, site in enumerate(kept.scores, start=2):
            _colour_bar(page, top + TEXT_PX + row * (height + GAP_PX), height, limits[site])
    _legend(page, (MARGIN_PX, size[1] - TEXT_PX), kept, with_scores=True)
    return page


def video(frames: Sequence[np.ndarray], times_s: Sequence[float], kept: KeptPatches) -> bytes:
    """All shown frames with what is gone darkened, and above them time, count and legend; an mp4 to be looped.

    Args:
        frames: (height, width, 3) uint8 RGB each, all of one size.
        times_s: Of each, seconds.
        kept: What was left of them.
    """
    duration_s = times_s[-1] - times_s[0]
    rate = (len(frames) - 1) / duration_s if duration_s > 0 else VIDEO_FPS[0]
    return encode_frames(_video_frames(frames, times_s, kept), fps=float(np.clip(rate, *VIDEO_FPS)))


def _video_frames(frames: Sequence[np.ndarray], times_s: Sequence[float], kept: KeptPatches) -> Iterator[np.ndarray]:
    height = frames[0].shape[0]
    scale = float(np.clip(height, *VIDEO_PX)) / height
    for number, frame in enumerate(frames):
        picture = overlay(_scaled(frame, scale), kept.state[number])
        rows, columns = picture.shape[:2]
        size = (max(columns, VIDEO_PX[0]), rows + CAPTION_PX)
        page = Image.new("RGB", (2 * -(-size[0] // 2), 2 * -(-size[1] // 2)), "white")  # even, as H.264 wants it
        page.paste(Image.fromarray(picture), ((page.width - columns) // 2, CAPTION_PX))
        count = f"{kept.remaining[number]} of {kept.windows[number]} windows kept"
        # Above, because a player lays its controls over the lower edge.
        _text(page, (GAP_PX, GAP_PX), f"{times_s[number]:.2f} s: {count}", size=16)
        _legend(page, (GAP_PX, TEXT_PX + 3 * GAP_PX), kept)
        yield np.asarray(page)


def _scaled(frame: np.ndarray, scale: float) -> np.ndarray:
    height, width = frame.shape[:2]
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return frame if size == (width, height) else np.asarray(Image.fromarray(frame).resize(size))


def _with_outline(picture: np.ndarray, state: np.ndarray) -> np.ndarray:
    picture[outline(spread(state, *picture.shape[:2]) == KEPT, lines=2)] = (255, 255, 255)
    return picture


def _text(page: Image.Image, place: tuple[int, int], text: str, *, size: int = 13) -> None:
    ImageDraw.Draw(page).text(place, text, fill="black", font_size=size)


def _legend(page: Image.Image, place: tuple[int, int], kept: KeptPatches, *, with_scores: bool = False) -> None:
    """One swatch for each thing that can be seen."""
    colour = np.full((*SWATCH_PX, 3), SWATCH_COLOUR, np.uint8)
    swatches = [
        (text, overlay(colour, np.full((1, 1), state, np.uint8)), LINE_COLOUR if state == KEPT else "black")
        for state, text in LEGEND.items()
        if state == KEPT or (kept.state == state).any()
    ]
    if with_scores and any(np.isnan(scores).any() for scores in kept.scores.values()):
        swatches.append(("gone before it was scored", heat_map(np.full((1, 1), np.nan), *SWATCH_PX, None), "black"))
    left, top = place
    height, width = SWATCH_PX
    for text, swatch, line in swatches:
        page.paste(Image.fromarray(swatch), (left, top))
        ImageDraw.Draw(page).rectangle((left, top, left + width, top + height), outline=line)
        _text(page, (left + width + 6, top - 1), text)
        left += width + 24 + round(ImageDraw.Draw(page).textlength(text, font_size=13))


def _colour_bar(page: Image.Image, top: int, height: int, limits: tuple[float, float] | None) -> None:
    """In the margin, beside the heat maps that it explains."""
    if limits is None:
        _text(page, (GAP_PX, top + 2 * TEXT_PX), "no number")
        return
    start, end = top + 2 * TEXT_PX, top + height
    bar = _colours(np.linspace(1, 0, max(end - start, 2)))[:, None].repeat(BAR_PX, 1)
    page.paste(Image.fromarray(bar), (GAP_PX, start))
    _text(page, (GAP_PX + BAR_PX + 6, start - 2), f"{limits[1]:.3g}")
    _text(page, (GAP_PX + BAR_PX + 6, end - 15), f"{limits[0]:.3g}")
