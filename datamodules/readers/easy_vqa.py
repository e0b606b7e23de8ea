"""Reader of easy-VQA: 5,000 drawings of one coloured shape with 48,248 questions, all inside the wheel `easy-vqa`.

Source: the package easy-vqa 1.0 on PyPI (MIT). 64 x 64 PNG, 13 answers; 4,000 images to train on and 1,000 to test on.
The questions give away 67 % of the answers: two thirds ask whether something is there, or is not.

Pictures of the wheel's training half get labels beside their questions: the pixels that differ from the background, and
what their own questions and answers tell about the figure. The head `grounding` learns from them, without which shapes
stay at chance for hundreds of steps. Pictures of its test half get none.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from zoo.datamodules.readers.files import MediaFile
from zoo.datamodules.readers.reader import Entry, Reader
from zoo.generator import GeneratedSample
from zoo.libraries import optional
from zoo.shards.decode import decode_image
from zoo.shards.faults import MAX_BAD_SHARE, FaultCounter, OnBadSample

SHAPES = ("circle", "rectangle", "triangle")
COLOURS = ("red", "green", "blue", "yellow", "teal", "black", "gray", "brown")
FIGURE = 1  # in masks
CONTRAST = 48  # of 255, in any channel, between a figure and its background; measured: figures differ by 105 or more


class EasyVqa(Reader):
    """Questions about drawings of one coloured shape, from the wheel easy-vqa.

    Args:
        val_share: Share of the training images that becomes the split val, in [0, 1).
        samples_per_shard: Images in one tar.
        on_bad_sample: Skip images that cannot be read, each with a warning, or end at the first.
        max_bad_share: Share of bad samples at which the source counts as broken, in [0, 1].
    """

    name: ClassVar[str] = "easy_vqa"
    version: ClassVar[int] = 2
    unit: ClassVar[str] = "image"
    example_args: ClassVar[dict[str, Any]] = {"samples_per_shard": 4}

    def __init__(
        self,
        *,
        val_share: float = 0.05,
        samples_per_shard: int = 250,
        on_bad_sample: OnBadSample = "raise",
        max_bad_share: float = MAX_BAD_SHARE,
    ) -> None:
        super().__init__(
            val_share=val_share,
            samples_per_shard=samples_per_shard,
            on_bad_sample=on_bad_sample,
            max_bad_share=max_bad_share,
        )

    def entries(self, faults: FaultCounter) -> Iterator[Entry]:
        wheel = optional("easy_vqa", extra="easy-vqa", purpose="read the data set easy_vqa")
        train = wheel.get_train_questions(), wheel.get_train_image_paths()
        test = wheel.get_test_questions(), wheel.get_test_image_paths()
        for split, (questions, paths) in (("train", train), ("test", test)):
            asked: dict[int, list[dict[str, Any]]] = defaultdict(list)
            for question, answer, image in zip(*questions, strict=True):
                note = {"family": family(answer), "question": question, "answer": answer, "temporal": False}
                asked[image].append(note)
            for image, annotations in sorted(asked.items()):
                faults.num_good += 1
                yield Entry(
                    key=f"{split}-{image:05d}",
                    where=f"easy_vqa {split} image {image}",
                    media=MediaFile(paths[image]),
                    annotations=annotations,
                    split=split,
                    meta={"figure": figure(annotations)} if split == "train" else {},
                )

    def read(self, entry: Entry) -> GeneratedSample:
        made = super().read(entry)
        text = entry.meta.get("figure")
        if not text:
            return made
        record = {**made.record, "instances": [{"id": FIGURE, "text": text}]}
        return GeneratedSample(record, made.media, {"masks": figure_mask(decode_image(made.media).frames)})


def figure(annotations: Sequence[Mapping[str, Any]]) -> str:
    """What a picture's questions tell about its figure: "red circle", one of the two, or nothing.

    What is asked of ("what color is the circle?"), what is answered, what is said to be there and what is denied to be
    missing is there.
    """
    told = []
    for note in annotations:
        words = re.findall("[a-z]+", note["question"].lower())
        is_denied = note["answer"] == ("yes" if {"no", "not"} & set(words) else "no")
        told += [note["answer"]] if is_denied else [note["answer"], *words]
    found = (next((word for word in told if word in names), "") for names in (COLOURS, SHAPES))
    return " ".join(filter(None, found))


def figure_mask(frames: np.ndarray) -> np.ndarray:
    """Where a picture differs from its background, which is its most common colour.

    Args:
        frames: (frames, height, width, 3) uint8.
    Returns:
        (frames, height, width) uint8: `FIGURE` or 0.
    """
    background = np.median(frames, axis=(1, 2), keepdims=True)
    return ((np.abs(frames - background) > CONTRAST).any(-1) * FIGURE).astype(np.uint8)


def family(answer: str) -> str:
    """What is asked for: whether something is there, a shape, or a colour."""
    if answer in ("yes", "no"):
        return "presence"
    return "shape" if answer in SHAPES else "colour"
