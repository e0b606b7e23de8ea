"""`zoo ask`: put a question to a checkpoint about a video or images, and see what it looked at."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from zoo import bundled, from_pretrained
from zoo.errors import ConfigError, DataError
from zoo.head import Message
from zoo.layout import TokenLayout
from zoo.module import ZooModule
from zoo.shards.decode import IMAGE_SUFFIXES, Clip, decode_image, decode_video

logger = logging.getLogger(__name__)

FRAME_HEIGHT_PX = 160
CAPTION_PX = 40
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


def overlay(clip: Clip, layout: TokenLayout, caption: str) -> Image.Image:
    """The frames side by side with their times, what the model no longer saw shaded, the answer below."""
    height, width = clip.frames.shape[1:3]
    size = (round(width * FRAME_HEIGHT_PX / height), FRAME_HEIGHT_PX)
    sheet = Image.new("RGB", (size[0] * len(clip.frames), FRAME_HEIGHT_PX + CAPTION_PX), "white")
    alive = layout.alive.cpu().numpy()
    for number, frame in enumerate(clip.frames):
        shade = Image.fromarray((alive[number] * 175 + 80).astype(np.uint8)).resize(size, Image.Resampling.NEAREST)
        picture = Image.fromarray(frame).resize(size)
        sheet.paste(Image.composite(picture, Image.new("RGB", size, "grey"), shade), (number * size[0], 0))
        ImageDraw.Draw(sheet).text(
            (number * size[0] + 4, 4),
            f"{clip.times_s[number]:.1f} s",
            fill="white",
            stroke_width=1,
            stroke_fill="black",
        )
    ImageDraw.Draw(sheet).text((6, FRAME_HEIGHT_PX + 8), caption, fill="black", font_size=16)
    return sheet


def ask(question: str, media: list[Path], *, checkpoint: str | None = None, out: Path = Path("answer.png")) -> str:
    """Answer a question about a video or images.

    Args:
        question: What to ask, in words.
        media: One video, or images that are taken as the frames of a clip.
        checkpoint: A checkpoint folder, the name of a bundled one, a hub id, a .ckpt file or a run folder; the newest
            run below it counts. Left out: the newest run in `runs`, and `molmo2-tiny` where there is none.
        out: PNG of the frames that were looked at, with the answer.

    Returns:
        The answer, and where the picture is.

    Raises:
        ConfigError: no such checkpoint, or a picture of another kind.
        DataError: a file that is missing or no media.
    """
    if out.suffix.lower() not in PICTURES:
        raise ConfigError(f"--out {out}: the picture's name ends in one of {', '.join(PICTURES)}")
    module = from_pretrained(_newest_run_or_bundled() if checkpoint is None else checkpoint)
    clip = read_clip(media, module)
    head = next(iter(module.heads))
    message = Message(head=head, prompt=question, answer="", family="asked")
    example = module.processor.example(
        key=media[0].name, frames=clip.frames, times_s=clip.times_s, messages=[message], is_video=len(clip.frames) > 1
    )
    batch = module.processor.collate([example])
    with torch.no_grad():
        outputs, session = module.model.prefill(batch, batch.turns, module.processor.tokenizer)
        answer = module.heads[head].predict(session, batch)[0].answer
    out.parent.mkdir(parents=True, exist_ok=True)
    overlay(clip, outputs.layout, f"{question}  {answer}").save(out)
    return f"{answer}\nframes: {out}"


def _newest_run_or_bundled() -> str:
    if any(Path(RUNS).rglob("*.ckpt")) or BUNDLED not in bundled.names():
        return RUNS
    logger.info("no run in %s/ yet: %s answers, which comes with the zoo", RUNS, BUNDLED)
    return BUNDLED
