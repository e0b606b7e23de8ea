"""Points of rows as the shards' schema has them: what is common to pointing, tracking and sets of images.

Rows give places in percent of a frame, or in pixels of the frames that were annotated. Which pixels of the file these
are is known when the file has been opened, so until then an entry says what its coordinates are relative to
(`frame_size`), and `in_pixels` brings them to the file's own.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from zoo.datamodules.readers.molmo2.values import fields, items
from zoo.datamodules.readers.turns import short
from zoo.errors import DataError
from zoo.points import Kind, Point, Style

PERCENT = (100.0, 100.0)
LATEST_S = 0.5  # behind the last frame: published times lie on a grid of half seconds


def entry(
    *,
    label: str,
    kind: Kind,
    points: Iterable[Point],
    frame_size: tuple[float, float],
    question: str | None = None,
    fps: float | None = None,
    style: Style | None = None,
    count: int | None = None,
    seed: Point | None = None,
    rle: Sequence[Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """One question for points, with `frame_size` beside what the schema has.

    Args:
        label: What is pointed to.
        kind: Of the question.
        points: The truth; places relative to `frame_size`.
        frame_size: (width, height) that the places are given in.
        question: In words; None leaves them to the head.
        fps: Frames per second of tracks.
        style: Of the answer; None leaves it to the head.
        count: How many there are; None where nobody counted.
        seed: From which a single point is followed.
        rle: Masks of the objects in COCO's run lengths: `key`, object's `id`, `size` and `counts` of each.
    Raises:
        DataError: a point lies outside of the frame.
    """
    points = list(points)
    for point in points if seed is None else (seed, *points):
        check_inside(point.x_px, point.y_px, frame_size)
    return {
        "label": label,
        "question": question,
        "kind": kind,
        "fps": fps,
        "style": style,
        "points": [list(point) for point in points],
        "count": count,
        "seed": None if seed is None else list(seed),
        "masks": None,
        "frame_size": list(frame_size),
    } | ({} if rle is None else {"rle": [dict(one) for one in rle]})


def run_lengths(value: Any, column: str, *, key: float, object_id: int) -> dict[str, Any]:
    """A mask of an entry's `rle`.

    Args:
        value: In COCO's form, `counts` a text or a list of numbers.
        column: For the message.
        key: Of its frame.
        object_id: That the points of its object have.
    Raises:
        DataError: it has no size, or no counts.
    """
    rle = fields(value, column)
    if not {"size", "counts"} <= set(rle):
        raise DataError(f"{column} is {short(dict(rle))}, expected size and counts")
    counts = rle["counts"]
    if not isinstance(counts, str):
        counts = compressed(items(rle, "counts"))
    return {"key": key, "id": object_id, "size": list(rle["size"]), "counts": counts}


def compressed(runs: Sequence[int]) -> str:
    """COCO's text of run lengths.

    From the fourth run on, each is stored as its difference to the one two before, in groups of five bits, lowest
    first; a group is one character from "0" on, and bit 32 says that more follow.
    """
    codes = []
    for place, run in enumerate(runs):
        value = run - runs[place - 2] if place > 2 else run
        while True:
            code, value = value & 31, value >> 5
            if value == (-1 if code & 16 else 0):
                codes.append(code)
                break
            codes.append(code | 32)
    return "".join(chr(48 + code) for code in codes)


def check_inside(x: float, y: float, frame_size: tuple[float, float]) -> None:
    """Refuse a point outside of its frame.

    Raises:
        DataError: names the point.
    """
    width, height = frame_size
    if not (0 <= x <= width and 0 <= y <= height):
        raise DataError(f"point ({x:g}, {y:g}) lies outside of its frame of {width:g} x {height:g}")


def in_pixels(entries: Sequence[Mapping[str, Any]], record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Questions for points with places in pixels of the record's own frames or images.

    Args:
        entries: As `entry` made them.
        record: Says how large the frames or images are, and how long the clip is.
    Raises:
        DataError: a time behind the clip's end, or an image that is not there.
    """
    return [_in_pixels(one, record) for one in entries]


def _in_pixels(one: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    width, height = one["frame_size"]
    if "rle" in one:
        _check_masks(one, record)

    def placed(point: Sequence[float]) -> list[float]:
        key, object_id, x, y = point
        size = _size(record, key)
        return [_key(record, key), object_id, x * size[0] / width, y * size[1] / height]

    seed = one["seed"]
    moved = {name: value for name, value in one.items() if name != "frame_size"}
    return moved | {
        "points": [placed(point) for point in one["points"]],
        "seed": None if seed is None else placed(seed),
    }


def _check_masks(one: Mapping[str, Any], record: Mapping[str, Any]) -> None:
    """Refuse masks of other frames than the record's: they cannot be moved as points can."""
    size, own = one["frame_size"], [record["width"], record["height"]]
    if size != own:
        raise DataError(f"masks of {size[0]} x {size[1]} pixels, the video has {own[0]} x {own[1]}; take the original")
    for mask in one["rle"]:
        _key(record, mask["key"])


def _size(record: Mapping[str, Any], key: float) -> tuple[int, int]:
    if record["media"] == "mp4":
        return record["width"], record["height"]
    images = record.get("images", (record,))
    if not 1 <= key <= len(images):
        raise DataError(f"point in image {key:g}, the set has {len(images)}")
    image = images[int(key) - 1]
    return image["width"], image["height"]


def _key(record: Mapping[str, Any], key: float) -> float:
    """The same, but a time that a rounded grid puts behind the last frame is the last frame's."""
    if record["media"] != "mp4":
        return key
    last_s = (record["num_frames"] - 1) / record["fps"]
    if key > last_s + LATEST_S:
        raise DataError(f"point or mask at {key:g} s, the last frame is at {last_s:.3g} s")
    return min(key, last_s)
