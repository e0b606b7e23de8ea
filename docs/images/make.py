"""The pictures of docs/molmo2.md and docs/points.md, made by the code that they show.

Run, with a data set of each tabletop generator:
    python docs/images/make.py data/tabletop data/tabletop_stills
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image, ImageDraw

from zoo import from_pretrained
from zoo.ask import answer, overlay
from zoo.backbones.tokenizers import words
from zoo.batch import Batch
from zoo.head import Message
from zoo.heads.place_questions import KnownPlaces
from zoo.layout import TokenLayout
from zoo.points import answer_points, answer_text
from zoo.preprocessing.settings import InputSettings
from zoo.processor import Processor
from zoo.report.places import draw_places
from zoo.shards.decode import decode_sample, shown_frames
from zoo.shards.reader import Sample, read_samples, read_shard
from zoo.shards.sampling import FrameSampling

HERE = Path(__file__).parent
GAP = 12
CAPTION = 190  # characters that fit below eight frames
ASKED = {
    "test-000000-00018": ("How many cones are there?", "Point to the cones."),
    "test-000000-00016": ("Track the red object.",),
    "test-000000-00017": ("Track the cyan object.",),
}
"""Of held-out clips: in the second the track follows its object, in the third it stays."""
TEXT = (40, 40, 40)
COLOURS = {"patch": (0, 114, 178), "mark": (86, 180, 233), "text": (170, 170, 170), "question": (230, 159, 0)}
COLOURS["answer"] = (0, 158, 115)
CROPS = ((213, 94, 0), (0, 158, 115), (204, 121, 167), (240, 228, 66), (86, 180, 233), (230, 159, 0))


def processor(patches: int, *, max_crops: int = 8) -> Processor:
    """Molmo2's rules for frames of so many patches of 14 pixels a side."""
    tokenizer = words()
    return Processor(
        tokenizer=tokenizer,
        renderers=(),
        labellers=(),
        vocab_size=tokenizer.vocab_size,
        image_size=(14 * patches, 14 * patches),
        grid=(patches, patches),
        image_window=(2, 2),
        video_window=(3, 3),
        sampling=FrameSampling(max_frames=384),
        inputs=InputSettings(max_crops=max_crops),
    )


def samples(folder: Path, split: str = "test") -> Iterator[Sample]:
    """Of a folder of shards."""
    for shard in sorted((folder / split).glob("*.tar")):
        yield from read_shard(shard)


def stacked(rows: Sequence[Image.Image]) -> Image.Image:
    """Pictures below one another."""
    sheet = Image.new("RGB", (max(r.width for r in rows), sum(r.height + GAP for r in rows) - GAP), "white")
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height + GAP
    return sheet


def beside(pictures: Sequence[Image.Image], titles: Sequence[str]) -> Image.Image:
    """Pictures beside one another, each below its title."""
    height = max(picture.height for picture in pictures) + 18
    sheet = Image.new("RGB", (sum(p.width + GAP for p in pictures) - GAP, height), "white")
    left = 0
    for picture, title in zip(pictures, titles, strict=True):
        ImageDraw.Draw(sheet).text((left, 2), title, fill=TEXT, font_size=12)
        sheet.paste(picture, (left, 18))
        left += picture.width + GAP
    return sheet


def windowed(frame: np.ndarray, boxes: Sequence[Sequence[float]], size: tuple[int, int]) -> Image.Image:
    """A picture with the boxes of its windows, in pixels of the source."""
    picture = Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC)
    x, y = size[0] / frame.shape[1], size[1] / frame.shape[0]
    draw = ImageDraw.Draw(picture)
    for x0, y0, x1, y1 in boxes:
        draw.rectangle((x0 * x, y0 * y, x1 * x, y1 * y), outline=(255, 255, 255))
    return picture


def strip(kinds: Sequence[str], width: int) -> Image.Image:
    """A sequence of tokens, each a bar in its kind's colour."""
    bar = np.array([COLOURS[kind] for kind in kinds], np.uint8)[None]
    picture = Image.fromarray(bar).resize((width, 22), Image.Resampling.NEAREST)
    legend = Image.new("RGB", (width, 18), "white")
    left = 0
    for kind, colour in COLOURS.items():
        count = sum(kind == one for one in kinds)
        ImageDraw.Draw(legend).rectangle((left, 4, left + 10, 14), fill=colour)
        ImageDraw.Draw(legend).text((left + 14, 2), f"{kind} {count}", fill=TEXT, font_size=12)
        left += 100
    return stacked([picture, legend])


def kinds_of(batch: Batch) -> list[str]:
    """What each token of a batch is."""
    kinds = []
    asked = {place for turn in batch.turns for place in range(*turn.prompt)}
    told = {place for turn in batch.turns for place in range(*turn.answer)}
    for place, (is_patch, is_vision) in enumerate(zip(batch.is_patch.tolist(), batch.is_vision.tolist(), strict=True)):
        kind = "patch" if is_patch else "mark" if is_vision else "text"
        kinds.append("question" if place in asked else "answer" if place in told else kind)
    return kinds


def tokens_of_a_clip(sample: Sample) -> Image.Image:
    """Frames of a clip with their windows, and the sequence that they become."""
    zoo = processor(27)
    clip = decode_sample(sample, zoo.sampling)
    annotation = sample.record["annotations"][0]
    message = Message(head="qa", prompt=annotation["question"], answer=annotation["answer"], family="f")
    made = zoo.example(key="a", frames=clip.frames, times_s=clip.times_s, messages=[message])
    batch = zoo.collate([made])
    layout, _ = TokenLayout.of_frames(batch.frames, zoo.grid).pool()
    pictures = []
    for number, frame in enumerate(clip.frames[:4]):
        boxes = layout.box_xyxy_px[layout.frame_of_token == number].tolist()
        pictures.append(windowed(frame, boxes, (190, 190)))
    titles = [f"{time:.1f} s: 81 windows of 3 x 3 patches" for time in clip.times_s[:4]]
    frames = beside(pictures, titles)
    return stacked([frames, strip(kinds_of(batch), frames.width)])


def tokens_of_an_image(sample: Sample) -> Image.Image:
    """An image as a whole and in crops, with the windows of both."""
    zoo = processor(27)
    small = decode_sample(sample, zoo.sampling).frames[0]
    image = np.array(Image.fromarray(small[24:120]).resize((864, 576), Image.Resampling.BICUBIC))
    message = Message(head="qa", prompt="How many objects are there?", answer="6", family="f")
    made = zoo.example(key="a", frames=[image], times_s=np.zeros(1), messages=[message], is_video=False)
    batch = zoo.collate([made])
    layout, _ = TokenLayout.of_frames(batch.frames, zoo.grid).pool()
    is_whole = layout.frame_of_token == 0
    size = (396, 264)
    whole = windowed(image, layout.box_xyxy_px[is_whole].tolist(), size)
    crops = windowed(image, layout.box_xyxy_px[~is_whole].tolist(), size)
    draw, scale = ImageDraw.Draw(crops), size[0] / image.shape[1]
    for number, box in enumerate(batch.frames.box_xyxy_px[1:]):
        inset = 2 * (number % 3)
        x0, y0, x1, y1 = (side * scale for side in box)
        draw.rectangle((x0 + inset, y0 + inset, x1 - inset - 1, y1 - inset - 1), outline=CROPS[number], width=2)
    tiling = made.tilings[0]
    titles = [
        f"the whole: {int(is_whole.sum())} windows of 2 x 2 patches",
        f"{tiling.rows} x {tiling.columns} crops with shared margins: {int((~is_whole).sum())} windows",
    ]
    pictures = beside([whole, crops], titles)
    return stacked([pictures, strip(kinds_of(batch), pictures.width)])


def attention() -> Image.Image:
    """Which token sees which: a clip with two questions, a text, and an image, packed."""
    zoo = processor(6, max_crops=0)
    frames = np.zeros((2, 84, 84, 3), np.uint8)
    first = Message(head="qa", prompt="what colour?", answer="red", family="f")
    asked = [first, first._replace(prompt="it moved?", answer="no")]
    examples = [
        zoo.example(key="clip", frames=frames, times_s=np.arange(2) / 2, messages=asked),
        zoo.example(key="text", frames=(), times_s=np.zeros(0), messages=asked[:1], is_video=False),
    ]
    batch = zoo.collate(examples)
    sees = batch.stream(torch.zeros(len(batch.input_ids), 1)).segments.dense_mask().numpy()
    colours = np.array([COLOURS[kind] for kind in kinds_of(batch)], np.uint8)
    cell = 7
    pixels = np.full((*sees.shape, 3), 255, np.uint8)
    pixels[sees] = np.broadcast_to(colours[None], (*sees.shape, 3))[sees]
    both_ways = sees & sees.T & ~np.eye(len(sees), dtype=bool)
    pixels[both_ways] = (213, 94, 0)
    mask = Image.fromarray(pixels).resize((cell * len(sees),) * 2, Image.Resampling.NEAREST)
    side = Image.fromarray(colours[:, None]).resize((14, mask.height), Image.Resampling.NEAREST)
    return beside([side, mask], ["", "row: a token; filled: the tokens that it sees; red: both ways"])


def places(sample: Sample, label: str, kind: str) -> Image.Image:
    """A true answer drawn, with its text below."""
    sampling = FrameSampling(max_frames=6)
    clip = decode_sample(sample, sampling)
    known = KnownPlaces(sample, shown_frames(sample, sampling))
    entry = next(e for e in sample.record["points"] if (e["kind"], e["label"]) == (kind, label))
    true = answer_points(known.points(entry), kind)
    drawn = draw_places(clip, true, scale=190 / clip.frames.shape[1])
    titles = [f"{time:.1f} s" for time in clip.times_s] if known.canvas.is_video else [""]
    pictures = beside(drawn, titles)
    text = answer_text(true, label, known.canvas, kind=kind)
    lines = [text[start : start + 120] for start in range(0, len(text), 120)]
    told = Image.new("RGB", (max(pictures.width, 800), 15 * len(lines) + 4), "white")
    ImageDraw.Draw(told).multiline_text((0, 2), "\n".join(lines), fill=TEXT, font_size=12)
    return stacked([pictures, told])


def with_entry(folder: Path, kind: str, most: int) -> tuple[Sample, str]:
    """The first sample with an entry of two or more objects, and the entry's label."""
    for sample in samples(folder):
        for entry in sample.record["points"]:
            if entry["kind"] == kind and 2 <= len(entry.get("objects") or ()) <= most:
                return sample, entry["label"]
    raise SystemExit(f"{folder} holds no entry of kind {kind}")


def answers(clips: Path) -> Image.Image:
    """What the bundled model says about held-out clips, drawn as `zoo ask` draws it."""
    module = from_pretrained("molmo2-tiny")
    found = read_samples(clips, "test", ASKED)
    said = []
    for key, questions in ASKED.items():
        with TemporaryDirectory() as folder:
            video = Path(folder) / "clip.mp4"
            video.write_bytes(found[key].files["mp4"])
            said += [answer(module, question, [video]) for question in questions]
    return stacked([overlay(a.clip, a.layout, f"{a.question}  {a.text}"[:CAPTION], a.said.points) for a in said])


def main(clips: Path, stills: Path) -> None:
    """Write all pictures beside this file."""
    tokens = [tokens_of_a_clip(next(samples(clips))), tokens_of_an_image(next(samples(stills)))]
    stacked(tokens).save(HERE / "tokens.png")
    attention().save(HERE / "attention.png")
    asked = {"points": stills, "tracks": clips}
    rows = [places(*with_entry(folder, kind, 3), kind) for kind, folder in asked.items()]
    stacked(rows).save(HERE / "places.png")
    answers(clips).save(HERE / "answers.png")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
