"""`zoo ask`: put a question to a checkpoint about a video or images, and see what it looked at and points to."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from json import dumps
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from zoo import bundled, from_pretrained
from zoo.errors import ConfigError, DataError
from zoo.head import Head, Message
from zoo.layout import TokenLayout
from zoo.module import ZooModule
from zoo.points import Canvas, Point, PointAnswer, PointQuestion, parse
from zoo.report.places import canvas_of, draw_places
from zoo.shards.decode import IMAGE_SUFFIXES, Clip, decode_image, decode_video
from zoo.shards.encode import encode_mp4

logger = logging.getLogger(__name__)

FRAME_HEIGHT_PX = 160
CAPTION_PX = 40
VIDEO_HEIGHT_PX = 360  # least, of a video with points
NEAREST = Image.Resampling.NEAREST
RUNS, BUNDLED = "runs", "molmo2-tiny"
PICTURES = (".png", ".jpg", ".jpeg", ".webp")


def read_clip(media: list[Path], module: ZooModule) -> Clip:
    """Frames of one video, or of images taken as the frames of a clip, one a second.

    Raises:
        DataError: a file that is missing or no media, or a video among several files.
    """
    for path in media:
        if not path.is_file():
            raise DataError(f"{path} is {'a folder' if path.is_dir() else 'not there'}; give a video, or images")
    if len(media) == 1 and media[0].suffix.lower().lstrip(".") not in IMAGE_SUFFIXES:
        with _named(media[0]):
            return decode_video(media[0].read_bytes(), module.processor.sampling)
    if any(path.suffix.lower().lstrip(".") not in IMAGE_SUFFIXES for path in media):
        raise DataError(f"{len(media)} files: give one video, or images only ({', '.join(IMAGE_SUFFIXES)})")
    frames = []
    for path in media:
        with _named(path):
            frames.append(decode_image(path.read_bytes()).frames[0])
    height, width = frames[0].shape[:2]
    same = [np.asarray(Image.fromarray(frame).resize((width, height))) for frame in frames]
    return Clip(frames=np.stack(same), times_s=np.arange(len(same), dtype=np.float64), indices=np.arange(len(same)))


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def overlay(clip: Clip, layout: TokenLayout, caption: str, points: Sequence[Point] = ()) -> Image.Image:
    """The frames side by side with their times and points, what the model no longer saw shaded, the answer below."""
    height, width = clip.frames.shape[1:3]
    size = (round(width * FRAME_HEIGHT_PX / height), FRAME_HEIGHT_PX)
    sheet = Image.new("RGB", (size[0] * len(clip.frames), FRAME_HEIGHT_PX + CAPTION_PX), "white")
    alive = layout.alive.cpu().numpy()
    shaded = []
    for number, frame in enumerate(clip.frames):
        shade = Image.fromarray((alive[number] * 175 + 80).astype(np.uint8)).resize((width, height), NEAREST)
        picture = Image.composite(Image.fromarray(frame), Image.new("RGB", (width, height), "grey"), shade)
        shaded.append(np.asarray(picture))
    drawn = draw_places(replace(clip, frames=np.stack(shaded)), points, scale=FRAME_HEIGHT_PX / height)
    for number, picture in enumerate(drawn):
        sheet.paste(picture, (number * size[0], 0))
        ImageDraw.Draw(sheet).text(
            (number * size[0] + 4, 4),
            f"{clip.times_s[number]:.1f} s",
            fill="white",
            stroke_width=1,
            stroke_fill="black",
        )
    ImageDraw.Draw(sheet).text((6, FRAME_HEIGHT_PX + 8), caption, fill="black", font_size=16)
    return sheet


def write_video(path: Path, clip: Clip, points: Sequence[Point]) -> None:
    """The shown frames with points on them as an mp4, as fast as they follow one another."""
    height, width = clip.frames.shape[1:3]
    scale = max(VIDEO_HEIGHT_PX / height, 1.0)
    size = (2 * round(width * scale / 2), 2 * round(height * scale / 2))  # even, as H.264 wants them
    frames = [np.asarray(picture.resize(size)) for picture in draw_places(clip, points, scale=scale)]
    duration_s = float(clip.times_s[-1] - clip.times_s[0])
    path.write_bytes(encode_mp4(np.stack(frames), fps=(len(frames) - 1) / duration_s))


def ask(
    question: str,
    media: list[Path],
    *,
    checkpoint: str | None = None,
    head: str | None = None,
    constrained: bool = False,
    json: bool = False,
    out: Path = Path("answer.png"),
) -> str:
    """Answer a question about a video or images.

    Args:
        question: What to ask, in words.
        media: One video, or images that are taken as the frames of a clip.
        checkpoint: A checkpoint folder, the name of a bundled one, a hub id, a .ckpt file or a run folder; the newest
            run below it counts. Left out: the newest run in `runs`, and `molmo2-tiny` where there is none.
        head: Which head answers. Left out: the one whose own questions begin as this one does ("Point to the", "Count
            the", "Track the"), else the checkpoint's first.
        constrained: Let heads that point, count or track write only what can be read as points.
        json: Print the answer as JSON: its text, points in pixels of the source and seconds, and what of them could not
            be read.
        out: PNG of the frames that were looked at, with the answer and what it points to; points in a video are also
            drawn into an mp4 of the same name.

    Returns:
        The answer, and where the picture is.

    Raises:
        ConfigError: no such checkpoint or head, or a picture of another kind.
        DataError: a file that is missing or no media.
    """
    if out.suffix.lower() not in PICTURES:
        raise ConfigError(f"--out {out}: the picture's name ends in one of {', '.join(PICTURES)}")
    module = from_pretrained(_newest_run_or_bundled() if checkpoint is None else checkpoint)
    clip = read_clip(media, module)
    answering = _head(module, question, head)
    if constrained:
        answering.constrain()
    canvas = canvas_of(clip)
    places = PointQuestion(canvas=canvas, kind=answering.asked_kind, style=None, keys=canvas.keys)
    message = Message(head=answering.name, prompt=question, answer="", family="asked", places=places)
    example = module.processor.example(
        key=media[0].name, frames=clip.frames, times_s=clip.times_s, messages=[message], is_video=canvas.is_video
    )
    batch = module.processor.collate([example])
    with torch.no_grad():
        outputs, session = module.model.prefill(batch, batch.turns, module.processor.tokenizer)
        answer = answering.predict(session, batch)[0].answer
    said = parse(answer, canvas)
    out.parent.mkdir(parents=True, exist_ok=True)
    overlay(clip, outputs.layout, f"{question}  {answer}", said.points).save(out)
    files = {"frames": str(out)}
    if said.points and canvas.is_video:
        write_video(out.with_suffix(".mp4"), clip, said.points)
        files["video"] = str(out.with_suffix(".mp4"))
    if json:
        return _as_json(answer, said, canvas, files)
    left_out = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in said.dropped.items())
    lines = [answer, *([f"left out: {left_out}"] if said.points and left_out else [])]
    return "\n".join([*lines, *(f"{name}: {path}" for name, path in files.items())])


def _head(module: ZooModule, question: str, name: str | None) -> Head:
    """The head that answers a question.

    Raises:
        ConfigError: the checkpoint has no head of this name.
    """
    heads = dict(module.heads.items())
    if name is not None and name not in heads:
        raise ConfigError(f"--head {name}: this checkpoint has {', '.join(heads)}")
    if name is not None:
        return heads[name]
    return next((head for head in heads.values() if head.claims(question)), next(iter(heads.values())))


def _as_json(answer: str, said: PointAnswer, canvas: Canvas, files: Mapping[str, str]) -> str:
    key = "time_s" if canvas.is_video else "image"
    points = [
        {key: p.key if canvas.is_video else int(p.key), "object": p.object_id, "x_px": p.x_px, "y_px": p.y_px}
        for p in said.points
    ]
    told = {"answer": answer, "label": said.label, "count": said.count, "points": points, "dropped": said.dropped}
    return dumps(told | files, ensure_ascii=False)


def _newest_run_or_bundled() -> str:
    if any(Path(RUNS).rglob("*.ckpt")) or BUNDLED not in bundled.names():
        return RUNS
    logger.info("no run in %s/ yet: %s answers, which comes with the zoo", RUNS, BUNDLED)
    return BUNDLED
