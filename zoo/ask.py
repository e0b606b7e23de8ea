"""`zoo ask`: put a question to a checkpoint about a video or images, and see what it looked at and points to."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from json import dumps
from pathlib import Path
from typing import Any

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
from zoo.shards.decode import IMAGE_SUFFIXES, Clip, decode_image, decode_video, still_clip
from zoo.shards.encode import encode_mp4

logger = logging.getLogger(__name__)

FRAME_HEIGHT_PX = 160
CAPTION_PX = 40
LEAST_WIDTH_PX = 160
WIDEST = 4
"""Times the height that a drawn frame may be wide."""
VIDEO_HEIGHT_PX = 360  # least, of a video with points
NEAREST = Image.Resampling.NEAREST
RUNS, BUNDLED = "runs", "molmo2-tiny"
PICTURES = (".png", ".jpg", ".jpeg", ".webp")


def read_clip(media: list[Path], module: ZooModule, *, as_clip: bool = False) -> Clip:
    """Frames of one video, or images.

    Args:
        media: One video, or images.
        module: Which will look at them.
        as_clip: Several images are the frames of a clip, one a second.
    Raises:
        DataError: no file, one that is missing or no media, a video among several files, or more images than the
            checkpoint looks at.
    """
    if not media:
        raise DataError("no file; give a video, or images")
    for path in media:
        if not path.is_file():
            raise DataError(f"{path} is {'a folder' if path.is_dir() else 'not there'}; give a video, or images")
    if len(media) == 1 and media[0].suffix.lower().lstrip(".") not in IMAGE_SUFFIXES:
        with _named(media[0]):
            return decode_video(media[0].read_bytes(), module.processor.asked_sampling)
    if any(path.suffix.lower().lstrip(".") not in IMAGE_SUFFIXES for path in media):
        raise DataError(f"{len(media)} files: give one video, or images only ({', '.join(IMAGE_SUFFIXES)})")
    processor = module.processor
    most = processor.asked_sampling.max_frames if as_clip else processor.inputs.eval_max_images
    if len(media) > most:
        raise DataError(f"{len(media)} images; this checkpoint looks at {most} at once, leave some out")
    clips = []
    for path in media:
        with _named(path):
            clips.append(decode_image(path.read_bytes()))
    frames = [clip.frames[0] for clip in clips]
    if not as_clip:
        return clips[0] if len(clips) == 1 else still_clip(frames)
    height, width = frames[0].shape[:2]
    same = [np.asarray(Image.fromarray(frame).resize((width, height))) for frame in frames]
    return Clip(frames=np.stack(same), times_s=np.arange(len(same), dtype=np.float64), indices=np.arange(len(same)))


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a checkpoint answered, and what it looked at.

    Args:
        question: What was asked.
        text: What was written.
        said: What of that could be read as points or a number.
        canvas: What the points lie on.
        clip: The shown frames.
        layout: Where the tokens came from that were left at the end.
    """

    question: str
    text: str
    said: PointAnswer
    canvas: Canvas
    clip: Clip
    layout: TokenLayout

    @property
    def has_video(self) -> bool:
        """Whether there are points that move, or come and go."""
        return bool(self.said.points) and self.canvas.is_video

    def left_out(self) -> str:
        """What of an answer with points could not be read, in words; empty where that is nothing."""
        counts = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in self.said.dropped.items())
        return f"left out: {counts}" if self.said.points and counts else ""

    def told(self) -> dict[str, Any]:
        """The answer as JSON has it: points in pixels of the source, and seconds or the number of the image."""
        said, is_video = self.said, self.canvas.is_video
        key = "time_s" if is_video else "image"
        points = [
            {key: p.key if is_video else int(p.key), "object": p.object_id, "x_px": p.x_px, "y_px": p.y_px}
            for p in said.points
        ]
        told = {"answer": self.text, "label": said.label, "count": said.count}
        return told | {"points": points, "dropped": dict(said.dropped)}


def answer(
    module: ZooModule,
    question: str,
    media: list[Path],
    *,
    head: str | None = None,
    constrained: bool = False,
    as_clip: bool = False,
) -> Answer:
    """Answer a question about a video or images.

    Args:
        module: Who answers.
        question: What to ask, in words.
        media: One video, or images.
        head: Which head answers; None: the one that the question seems to be meant for.
        constrained: Let a head that points, counts or tracks write only what can be read as points.
        as_clip: Several images are the frames of a clip, one a second.

    Raises:
        ConfigError: no question, no such head, or one that cannot be constrained.
        DataError: a file that is missing or no media, or too many.
    """
    if not question.strip():
        raise ConfigError("no question; ask something in words, such as 'What colour is the cube?'")
    answering = _head(module, question, head)
    with answering.constrain() if constrained else nullcontext():
        clip = read_clip(media, module, as_clip=as_clip)
        canvas = canvas_of(clip)
        places = PointQuestion(canvas=canvas, kind=answering.asked_kind, style=None, keys=canvas.keys)
        message = Message(head=answering.name, prompt=question, answer="", family="asked", places=places)
        example = module.processor.example(
            key=media[0].name, frames=clip.frames, times_s=clip.times_s, messages=[message], is_video=canvas.is_video
        )
        batch = module.processor.collate([example])
        with torch.no_grad():
            outputs, session = module.model.prefill(batch, batch.turns, module.processor.tokenizer)
            text = answering.predict(session, batch)[0].answer
    said = parse(text, canvas)
    return Answer(question=question, text=text, said=said, canvas=canvas, clip=clip, layout=outputs.layout)


def seen_frames(clip: Clip, layout: TokenLayout, points: Sequence[Point] = (), *, height_px: int) -> list[Image.Image]:
    """The frames at most this high with points on them, what the model no longer saw shaded."""
    alive = layout.alive.cpu().numpy()
    wholes = [number for number, tile in enumerate(layout.frames.tile) if tile is None]
    shaded, scales = [], []
    for number, frame in zip(wholes, clip.frames, strict=True):
        height, width = frame.shape[:2]
        shade = Image.fromarray((alive[number] * 175 + 80).astype(np.uint8)).resize((width, height), NEAREST)
        picture = Image.composite(Image.fromarray(frame), Image.new("RGB", (width, height), "grey"), shade)
        shaded.append(np.asarray(picture))
        scales.append(min(height_px / height, WIDEST * height_px / width))
    frames = tuple(shaded) if isinstance(clip.frames, tuple) else np.stack(shaded)
    return draw_places(replace(clip, frames=frames), points, scale=scales)


def overlay(clip: Clip, layout: TokenLayout, caption: str, points: Sequence[Point] = ()) -> Image.Image:
    """The frames side by side with their times and points, what the model no longer saw shaded, the answer below."""
    drawn = seen_frames(clip, layout, points, height_px=FRAME_HEIGHT_PX)
    canvas = canvas_of(clip)
    width = max(sum(picture.width for picture in drawn), LEAST_WIDTH_PX)
    sheet = Image.new("RGB", (width, FRAME_HEIGHT_PX + CAPTION_PX), "white")
    left = 0
    for key, picture in zip(canvas.keys, drawn, strict=True):
        sheet.paste(picture, (left, 0))
        label = f"{key:.1f} s" if canvas.is_video else f"Image {key:g}" if len(drawn) > 1 else ""
        ImageDraw.Draw(sheet).text((left + 4, 4), label, fill="white", stroke_width=1, stroke_fill="black")
        left += picture.width
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
    as_clip: bool = False,
    json: bool = False,
    out: Path = Path("answer.png"),
) -> str:
    """Answer a question about a video or images.

    Args:
        question: What to ask, in words.
        media: One video, or images.
        checkpoint: A checkpoint folder, the name of a bundled one, a hub id, a .ckpt file or a run folder; the newest
            run below it counts. Left out: the newest run in `runs`, and `molmo2-tiny` where there is none.
        head: Which head answers. Left out: the one whose own questions begin as this one does ("Point to the", "Count
            the", "Track the"), else the checkpoint's first.
        constrained: Let heads that point, count or track write only what can be read as points.
        as_clip: Take several images as the frames of a clip, one a second, rather than as images of their own.
        json: Print the answer as JSON: its text, points in pixels of the source and seconds or the image's number, and
            what of them could not be read.
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
    answered = answer(load(checkpoint), question, media, head=head, constrained=constrained, as_clip=as_clip)
    points = answered.said.points
    out.parent.mkdir(parents=True, exist_ok=True)
    overlay(answered.clip, answered.layout, f"{question}  {answered.text}", points).save(out)
    files = {"frames": str(out)}
    if answered.has_video:
        write_video(out.with_suffix(".mp4"), answered.clip, points)
        files["video"] = str(out.with_suffix(".mp4"))
    if json:
        return dumps(answered.told() | files, ensure_ascii=False)
    lines = [answered.text, *filter(None, [answered.left_out()])]
    return "\n".join([*lines, *(f"{name}: {path}" for name, path in files.items())])


def load(checkpoint: str | None) -> ZooModule:
    """Who answers: see `ask`.

    Raises:
        ConfigError: a checkpoint that answers nothing in words.
    """
    name = newest_run_or_bundled() if checkpoint is None else checkpoint
    module = from_pretrained(name)
    if not isinstance(module, ZooModule):
        raise ConfigError(
            f"{name} is a {type(module).__name__}, which acts and answers nothing: zoo evaluate --policy {name}"
        )
    return module


def heads_that_answer(module: ZooModule) -> dict[str, Head]:
    """Heads that questions can be put to, by name.

    Raises:
        ConfigError: there is none.
    """
    heads = {name: head for name, head in module.heads.items() if head.answers}
    if not heads:
        raise ConfigError(f"this checkpoint answers nothing; its heads only teach: {', '.join(module.heads)}")
    return heads


def _head(module: ZooModule, question: str, name: str | None) -> Head:
    """The head that answers a question.

    Raises:
        ConfigError: the checkpoint has no head of this name that answers, or none at all.
    """
    heads = heads_that_answer(module)
    if name is not None and name not in heads:
        raise ConfigError(f"--head {name}: this checkpoint has {', '.join(heads)}")
    if name is not None:
        return heads[name]
    return next((head for head in heads.values() if head.claims(question)), next(iter(heads.values())))


def newest_run_or_bundled() -> str:
    """The checkpoint that answers where none was named."""
    if any(Path(RUNS).rglob("*.ckpt")) or BUNDLED not in bundled.names():
        return RUNS
    logger.info("no run in %s/ yet: %s answers, which comes with the zoo", RUNS, BUNDLED)
    return BUNDLED
