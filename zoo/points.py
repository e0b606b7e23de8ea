"""Points and tracks as text: what a model writes when it is asked to point, count or follow, and how it is read back.

    <points coords="2.5 1 312 644;4.0 2 087 401 3 590 388">red cup</points>

is one point at 2.5 s and two at 4.0 s: groups are a key and then number, x, y in thousandths of the picture.

Source: Molmo2 sheet A8. Agrees with the released models' format, with `;` between groups; earlier separators are read.
Differs: a tag that was cut off at the token limit is read up to there, and what was left out is counted by reason.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple

from zoo.errors import DataError

if TYPE_CHECKING:
    from zoo.masks import Masks


class Point(NamedTuple):
    """A place in a frame or image.

    Args:
        key: Seconds for a clip, the image's number counted from 1 otherwise.
        object_id: Which object; the same in all frames of a track.
        x_px: Pixels of the source from the left; 0 at the outer edge of the first pixel.
        y_px: The same from the top.
    """

    key: float
    object_id: int
    x_px: float
    y_px: float


Kind = Literal["points", "tracks", "ground", "single_point"]
"""Every object once; every object in every frame; in its first and last frame only; one object from a seed point on."""

Style = Literal["point", "point_count", "count_point", "count"]
"""The tag alone; the tag, then how many; how many, then the tag; how many."""

Reason = Literal["no_tag", "malformed", "repeated_id", "out_of_range", "past_the_end", "unknown_image"]
"""Why something was left out: no tag and no count at all; numbers that are no group or no triple; an id twice in a
frame; a coordinate above 1000; a time behind the last frame; a number that no image has."""

KINDS: tuple[Kind, ...] = ("points", "tracks", "ground", "single_point")
STYLES: tuple[Style, ...] = ("point", "point_count", "count_point", "count")
TAGS: Mapping[Kind, Literal["points", "tracks"]] = {
    "points": "points",
    "tracks": "tracks",
    "ground": "tracks",
    "single_point": "tracks",
}
SCALE = 1000
"""Coordinates are thousandths of the picture's width and height."""

NOTHING = "There are none."

_TAG = re.compile(r'<(points|tracks)\s[^<>"]*?coords="([^"<>]*)(?:"[^<>]*>?([^<]*)(?:</\1>)?)?')
_GROUPS = re.compile(r"[;,:\t]")
_KEY = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_ID = re.compile(r"[0-9]{1,9}")
_COORDINATE = re.compile(r"[0-9]{3,4}")
_WHOLE = re.compile(r"\s*([0-9]{1,9})\s*\.?\s*")
_TOTALS = (
    re.compile(r"\ba total of ([0-9]{1,9})\b", re.IGNORECASE),
    re.compile(r"\btotal number\b.*?\bis ([0-9]{1,9})\b", re.IGNORECASE | re.DOTALL),
    re.compile(r"\bthere (?:are|is) ([0-9]{1,9})\b", re.IGNORECASE),
)
_NONE = re.compile(r"\bnone\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Canvas:
    """What points lie on: the shown frames of a clip, or images.

    Args:
        sizes_px: (width, height) of each image in order, pixels; of a clip one, for all frames.
        times_s: Seconds of a clip's shown frames, growing; None: images.
    Raises:
        ValueError: no picture, an empty one, a clip of several sizes, or times that do not grow.
    """

    sizes_px: tuple[tuple[int, int], ...]
    times_s: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not self.sizes_px or min(map(min, self.sizes_px)) < 1:
            raise ValueError(f"pictures of {self.sizes_px} pixels; expected one or more, at least 1 x 1")
        if self.times_s is None:
            return
        times = self.times_s
        if len(self.sizes_px) != 1:
            raise ValueError(f"a clip has one size for all frames, got {len(self.sizes_px)}")
        if not times or any(late <= early for early, late in pairwise(times)) or times[0] < 0:
            raise ValueError(f"times of frames must be given, grow, and start at 0 s or later, got {times}")

    @property
    def is_video(self) -> bool:
        return self.times_s is not None

    @property
    def keys(self) -> tuple[float, ...]:
        """Of all frames or images, in order."""
        return self.times_s if self.times_s is not None else tuple(map(float, range(1, len(self.sizes_px) + 1)))

    def key_text(self, key: float) -> str:
        """As written in a tag: seconds with one decimal, as timestamps before frames have; or an image's number."""
        return f"{key:.1f}" if self.is_video else str(int(key))

    def size_px(self, key: float) -> tuple[int, int]:
        """(width, height) of the picture with this key."""
        return self.sizes_px[0 if self.is_video else int(key) - 1]

    def read_key(self, text: str) -> float | Reason:
        """The key that a number stands for, or why it stands for none.

        A time that is written as a shown frame's becomes that frame's own time, of two alike the first; another one
        up to the last frame stays as it is.
        """
        if not _KEY.fullmatch(text):
            return "malformed"
        number = float(text)
        if self.times_s is None:
            return number if number.is_integer() and 1 <= number <= len(self.sizes_px) else "unknown_image"
        written = f"{number:.1f}"
        for time in self.times_s:
            if f"{time:.1f}" == written:
                return time
        return number if number < self.times_s[-1] else "past_the_end"


def ordered_points(points: Iterable[Point]) -> list[Point]:
    """By key, then x, then y, with ids 1, 2, ... over all of them (the rule of `points`)."""
    ordered = sorted(points, key=lambda point: (point.key, point.x_px, point.y_px))
    return [point._replace(object_id=number) for number, point in enumerate(ordered, 1)]


def ordered_tracks(points: Iterable[Point]) -> list[Point]:
    """By key, then id; ids 1, 2, ... in the order in which objects appear, by x and y in a frame (rule of `tracks`)."""
    ids: dict[int, int] = {}
    ordered = sorted(points, key=lambda point: (point.key, point.x_px, point.y_px))
    renamed = [point._replace(object_id=ids.setdefault(point.object_id, len(ids) + 1)) for point in ordered]
    return sorted(renamed, key=lambda point: (point.key, point.object_id))


def first_and_last(points: Iterable[Point]) -> list[Point]:
    """Of each object's track the first and the last point (the rule of `ground`), by key and id."""
    ends: dict[int, list[Point]] = {}
    for point in sorted(points, key=lambda point: point.key):
        ends.setdefault(point.object_id, [point])[1:] = [point]
    kept = [point for first, *last in ends.values() for point in dict.fromkeys((first, *last))]
    return sorted(kept, key=lambda point: (point.key, point.object_id))


def asked_points(points: Iterable[Point], kind: Kind, *, seed: Point | None = None) -> list[Point]:
    """The part of what is known that an answer of this kind holds; ids stay as they are.

    Args:
        points: All that is known of the objects; an object that cannot be seen in a frame has none there.
        kind: Of the question.
        seed: The point that a question of kind `single_point` shows; its answer covers later frames.
    Raises:
        ValueError: `single_point` without a seed.
    """
    match kind:
        case "points" | "tracks":
            return list(points)
        case "ground":
            return first_and_last(points)
        case "single_point":
            if seed is None:
                raise ValueError("single_point: the question's seed point is missing")
            return [point for point in points if point.key > seed.key]


def answer_points(points: Iterable[Point], kind: Kind, *, seed: Point | None = None) -> list[Point]:
    """The same, ordered and numbered as an answer has it."""
    asked = asked_points(points, kind, seed=seed)
    return ordered_points(asked) if kind == "points" else ordered_tracks(asked)


def tag(points: Sequence[Point], label: str, canvas: Canvas, *, name: Literal["points", "tracks"]) -> str:
    """Points as a tag.

    Args:
        points: At least one, ordered by key as `answer_points` gives them.
        label: What they are; angle brackets are left out.
        canvas: What they lie on.
        name: Of the tag.
    Raises:
        DataError: a point outside of its picture, or of an image that is not there.
        ValueError: no point.
    """
    if not points:
        raise ValueError("a tag without points; say NOTHING instead")
    groups: dict[str, dict[int, str]] = {}
    for point in points:
        if not canvas.is_video and point.key not in canvas.keys:
            raise DataError(f"point of image {point.key:g}; images are numbered 1 to {len(canvas.sizes_px)}")
        width, height = canvas.size_px(point.key)
        if not (0 <= point.x_px <= width and 0 <= point.y_px <= height):
            raise DataError(f"point ({point.x_px}, {point.y_px}) lies outside of its {width} x {height} pixels")
        place = f"{round(SCALE * point.x_px / width):03d} {round(SCALE * point.y_px / height):03d}"
        # Two frames less than 0.1 s apart can have one name; an id stands once under it.
        groups.setdefault(canvas.key_text(point.key), {}).setdefault(point.object_id, place)
    coords = ";".join(
        f"{key} {' '.join(f'{number} {place}' for number, place in group.items())}" for key, group in groups.items()
    )
    return f'<{name} coords="{coords}">{_plain(label)}</{name}>'


def _plain(label: str) -> str:
    return " ".join(label.replace("<", " ").replace(">", " ").split())


def count_of(points: Iterable[Point]) -> int:
    """Objects that the points stand for."""
    return len({point.object_id for point in points})


def answer_text(
    points: Sequence[Point], label: str, canvas: Canvas, *, kind: Kind, style: Style = "point", count: int | None = None
) -> str:
    """The whole answer to a question for points or numbers.

    Args:
        points: As `answer_points` gives them; may be empty where the style is `count` or nothing is there.
        label: What they are.
        canvas: What they lie on.
        kind: Of the question.
        style: Of the answer.
        count: How many there are, where the points do not tell; None: they tell.
    Raises:
        DataError: a point outside of its picture, or of an image that is not there.
    """
    number = count_of(points) if count is None else count
    if style == "count":
        return str(number)
    if not points:
        return NOTHING
    text = tag(points, label, canvas, name=TAGS[kind])
    match style:
        case "point":
            return text
        case "point_count":
            return f"Counting the {text} shows a total of {number}."
        case "count_point":
            return f"There are {number} {text}."


TIME_TOLERANCE_S = 0.05 + 1e-6
"""Times are written with one decimal, so a time that is this near to another one is the same."""


def on_grid(keys: Sequence[float], fps: float | None) -> tuple[float, ...]:
    """Times that lie on a grid of so many frames a second from 0 on; all of them where there is no rate."""
    if fps is None:
        return tuple(keys)
    return tuple(key for key in keys if abs(key - round(key * fps) / fps) <= TIME_TOLERANCE_S)


@dataclass(frozen=True, kw_only=True, slots=True)
class PointQuestion:
    """What a question for places is about: what its answer may say, is read by and scored against.

    Args:
        canvas: What the model looks at.
        kind: Of the question.
        style: Of the answer; None: any.
        keys: Frames or images that an answer may name, growing; a part of the canvas's.
        points: What is true, with the ids that objects have in `masks`; None where nobody knows.
        count: How many there are; None where nobody knows.
        masks: Of the objects, by which answers are scored; None where there are none.
        fps: Frames a second that tracks are to cover; None: all that are shown.
    """

    canvas: Canvas
    kind: Kind
    style: Style | None
    keys: tuple[float, ...]
    points: tuple[Point, ...] | None = None
    count: int | None = None
    masks: "Masks | None" = None
    fps: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PointAnswer:
    """What a text says.

    Args:
        points: The valid ones in the order of the text, in pixels of the source.
        label: Of the first tag; empty without one.
        count: How many the text says that there are, else how many it points to; None where it says neither.
        dropped: How many pieces were left out, by reason; without reasons that did not occur.
    """

    points: tuple[Point, ...]
    label: str = ""
    count: int | None = None
    dropped: Mapping[Reason, int] = field(default_factory=dict)


def parse(text: str, canvas: Canvas) -> PointAnswer:
    """Read an answer; whatever the text, what is valid in it is returned and the rest counted.

    Args:
        text: What a model wrote.
        canvas: What it looked at.
    """
    dropped: Counter[Reason] = Counter()
    points: list[Point] = []
    labels: list[str] = []
    for match in _TAG.finditer(text):
        points += _read_groups(match[2], canvas, dropped)
        labels.append((match[3] or "").strip())
    count = _count(_TAG.sub(" ", text), points, canvas, has_tag=bool(labels))
    if not labels and count is None:
        dropped["no_tag"] += 1
    return PointAnswer(points=tuple(points), label=labels[0] if labels else "", count=count, dropped=dict(dropped))


def _read_groups(coords: str, canvas: Canvas, dropped: Counter[Reason]) -> Iterator[Point]:
    seen: set[tuple[float, int]] = set()
    for group in _GROUPS.split(coords):
        if not group.strip():
            continue
        head, *numbers = group.split()
        key = canvas.read_key(head)
        triples = list(_triples(numbers, dropped))
        if isinstance(key, str):
            dropped[key] += max(len(triples), 1)
            continue
        if not numbers:
            dropped["malformed"] += 1
        width, height = canvas.size_px(key)
        for object_id, x, y in triples:
            if max(x, y) > SCALE:
                dropped["out_of_range"] += 1
            elif (key, object_id) in seen:
                dropped["repeated_id"] += 1
            else:
                seen.add((key, object_id))
                yield Point(key, object_id, x * width / SCALE, y * height / SCALE)


def _triples(numbers: Sequence[str], dropped: Counter[Reason]) -> Iterator[tuple[int, int, int]]:
    """Id, x, y; behind numbers that are none the next such triple goes on, and each run of them is one piece."""
    place, is_lost = 0, False
    while place < len(numbers):
        triple = numbers[place : place + 3]
        if len(triple) == 3 and _ID.fullmatch(triple[0]) and all(map(_COORDINATE.fullmatch, triple[1:])):
            yield int(triple[0]), int(triple[1]), int(triple[2])
            place, is_lost = place + 3, False
        else:
            dropped["malformed"] += not is_lost
            place, is_lost = place + 1, True


def _count(rest: str, points: Sequence[Point], canvas: Canvas, *, has_tag: bool) -> int | None:
    """The number that a text without its tags says (sheet A8): of images the points count, where there are any."""
    if has_tag and not canvas.is_video:
        return len(points)
    if whole := _WHOLE.fullmatch(rest):
        return int(whole[1])
    for total in _TOTALS:
        if said := total.search(rest):
            return int(said[1])
    if _NONE.search(rest) and not has_tag:
        return 0
    return count_of(points) if has_tag else None
