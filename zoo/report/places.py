"""Points and tracks drawn on the frames that they lie in.

A prediction is a filled dot in its object's colour with its number beside it, a truth a ring; a track has a line from
where its object was in the frames before.
"""

from collections.abc import Sequence
from html import escape

import numpy as np
from PIL import Image, ImageDraw

from zoo.points import TAGS, Canvas, Point, parse
from zoo.report.media import THUMBNAIL, jpg_url
from zoo.shards.decode import Clip

COLOURS = (
    *((230, 25, 75), (60, 180, 75), (0, 130, 200), (245, 130, 48), (145, 30, 180)),
    *((0, 160, 160), (240, 50, 230), (255, 225, 25), (128, 60, 0), (0, 0, 128)),
)
"""Of objects 1, 2, ..., from the first on again when they are used up."""

DOT = 0.02
"""Radius of a dot, as a share of the picture's shorter edge."""

LEAST_DOT_PX = 2.0


def colour_of(object_id: int) -> tuple[int, int, int]:
    """(red, green, blue) of an object."""
    return COLOURS[(object_id - 1) % len(COLOURS)]


def canvas_of(clip: Clip) -> Canvas:
    """What points in a clip's shown frames lie on; a single frame is an image, and so is each of several images."""
    if isinstance(clip.frames, tuple):
        return Canvas(sizes_px=tuple((frame.shape[1], frame.shape[0]) for frame in clip.frames))
    height, width = clip.frames.shape[1:3]
    times = tuple(map(float, clip.times_s)) if len(clip.frames) > 1 else None
    return Canvas(sizes_px=((width, height),), times_s=times)


def has_places(text: str) -> bool:
    """Whether a text holds the beginning of a tag."""
    return any(f"<{name}" in text for name in set(TAGS.values()))


def draw_places(
    clip: Clip, points: Sequence[Point], *, truth: Sequence[Point] = (), scale: float | Sequence[float] = 1.0
) -> list[Image.Image]:
    """The frames with points on them.

    Args:
        clip: Shown frames, or images.
        points: Predictions, in pixels of the frames; each is drawn in the frame that is nearest to its time.
        truth: True points, drawn as rings.
        scale: Enlarges the pictures; all, or each by its own.
    Returns:
        One picture a frame.
    """
    canvas = canvas_of(clip)
    keys = np.asarray(canvas.keys)
    scales = [scale] * len(clip.frames) if isinstance(scale, int | float) else scale
    pictures = [_enlarged(frame, by) for frame, by in zip(clip.frames, scales, strict=True)]
    radii = [max(DOT * min(picture.size), LEAST_DOT_PX) for picture in pictures]

    def frame_of(point: Point) -> int:
        return int(np.abs(keys - point.key).argmin())

    def place(point: Point) -> tuple[float, float]:
        # Pillow's whole numbers are the middles of pixels, ours their outer edges.
        by = scales[frame_of(point)]
        return point.x_px * by - 0.5, point.y_px * by - 0.5

    for point in truth:
        frame = frame_of(point)
        _circle(pictures[frame], place(point), 1.8 * radii[frame], outline=(255, 255, 255))
    for frame, (picture, radius) in enumerate(zip(pictures, radii, strict=True)):
        for object_id in {point.object_id for point in points} if canvas.is_video else ():
            path = [p for p in points if p.object_id == object_id and frame_of(p) <= frame]
            if len(path) > 1:
                line = [place(p) for p in sorted(path)]
                ImageDraw.Draw(picture).line(line, fill=colour_of(object_id), width=max(round(radius / 2), 1))
    for point in points:
        picture, radius, (x, y) = pictures[frame_of(point)], radii[frame_of(point)], place(point)
        _circle(picture, (x, y), radius, fill=colour_of(point.object_id), outline=(255, 255, 255))
        ImageDraw.Draw(picture).text(
            (x + radius + 1, y - radius - 8),
            str(point.object_id),
            fill=colour_of(point.object_id),
            stroke_width=1,
            stroke_fill="white",
        )
    return pictures


def _enlarged(frame: np.ndarray, scale: float) -> Image.Image:
    """A picture of at least one pixel."""
    height, width = frame.shape[:2]
    return Image.fromarray(frame).resize((max(round(width * scale), 1), max(round(height * scale), 1)))


def _circle(
    picture: Image.Image,
    centre: tuple[float, float],
    radius: float,
    *,
    outline: tuple[int, int, int],
    fill: tuple[int, int, int] | None = None,
) -> None:
    x, y = centre
    ImageDraw.Draw(picture).ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill, outline=outline)


def strip_of_places(clip: Clip, answer: str, truth: str) -> str:
    """HTML of the frames in which an answer or the truth, as texts, point to something."""
    canvas = canvas_of(clip)
    said, meant = parse(answer, canvas).points, parse(truth, canvas).points
    keys = np.asarray(canvas.keys)
    shown = sorted({int(np.abs(keys - point.key).argmin()) for point in (*said, *meant)})
    scales = [THUMBNAIL / max(frame.shape[:2]) for frame in clip.frames]
    pictures = draw_places(clip, said, truth=meant, scale=scales)
    cells = [
        f'<figure><img alt="" src="{jpg_url(np.asarray(pictures[frame]), THUMBNAIL)}">'
        f"<figcaption>{escape(_caption(canvas, frame))}</figcaption></figure>"
        for frame in shown
    ]
    return f'<div class="strip">{"".join(cells)}</div>' if cells else ""


def _caption(canvas: Canvas, frame: int) -> str:
    text = canvas.key_text(canvas.keys[frame])
    return f"{text} s" if canvas.is_video else f"Image {text}"
