"""What preprocessing costs: whole examples, ids and pixels, against transformers' Molmo2 processor with one setting.

Both sides get the same decoded pictures and the same question, and take turns within each round; the quickest round
counts, because other programs can only slow it down. Ours ends with uint8 pixels, which are normalised on the device of
the model; theirs with normalised float32 patches and pooling indices.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from tokenizers import AddedToken

from zoo.backbones.tokenizers import IM_END, IM_START, FastTokenizer, words
from zoo.checkpoints.molmo2_inputs import released_settings
from zoo.errors import ConfigError
from zoo.head import Message
from zoo.preprocessing.settings import InputSettings
from zoo.preprocessing.vision_tokens import TOKEN_TEXTS
from zoo.processor import Processor
from zoo.shards.sampling import FrameSampling

if TYPE_CHECKING:
    from transformers.models.molmo2 import Molmo2Processor

OURS, THEIRS = "ours", "theirs"
QUESTION = "What colour is the cube?"


class Pictures(NamedTuple):
    """What one example shows.

    Args:
        name: In the result.
        width: Pixels.
        height: Pixels.
        count: Frames of a clip, or images.
        is_video: Frames of a clip.
    """

    name: str
    width: int
    height: int
    count: int
    is_video: bool


CASES = (
    Pictures("image 300 x 200", 300, 200, 1, False),
    Pictures("image 640 x 480", 640, 480, 1, False),
    Pictures("image 1920 x 1080", 1920, 1080, 1, False),
    Pictures("4 images 640 x 480", 640, 480, 4, False),
    Pictures("16 frames 144 x 144", 144, 144, 16, True),
    Pictures("16 frames 640 x 360", 640, 360, 16, True),
    Pictures("16 frames 1280 x 720", 1280, 720, 16, True),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class InputsCost:
    """Result of `measure_inputs`.

    Args:
        seconds: By case, of each side the seconds of every round.
    """

    seconds: Mapping[str, Mapping[str, Sequence[float]]]

    def ratio(self, case: str) -> float:
        """Examples a second of ours over theirs."""
        return min(self.seconds[case][THEIRS]) / min(self.seconds[case][OURS])

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        rows = [
            {"case": case, "ratio": self.ratio(case), **{f"{side}_s": min(taken) for side, taken in sides.items()}}
            for case, sides in self.seconds.items()
        ]
        return {"rows": rows, "ratio": min(row["ratio"] for row in rows)}

    def as_text(self) -> str:
        """One line for each case."""
        lines = [f"{'one example of':<24}{'ours ms':>10}{'theirs ms':>12}{'ratio':>9}"]
        lines += [
            f"{row['case']:<24}{row['ours_s'] * 1e3:>10.1f}{row['theirs_s'] * 1e3:>12.1f}{row['ratio']:>9.2f}"
            for row in self.as_dict()["rows"]
        ]
        return "\n".join(lines)


def measure_inputs(*, cases: Sequence[Pictures] = CASES, rounds: int = 5) -> InputsCost:
    """Time both sides on random pictures.

    Args:
        cases: What is shown.
        rounds: Turns of both sides, after one that is not counted.
    Raises:
        ConfigError: no round.
    """
    if rounds < 1:
        raise ConfigError(f"bench: {rounds} rounds, expected one or more")
    processor = molmo2_processor()
    reference = transformers_processor(processor)
    generator = np.random.default_rng(0)
    taken: dict[str, dict[str, list[float]]] = {}
    for case in cases:
        frames = generator.integers(0, 256, (case.count, case.height, case.width, 3), dtype=np.uint8)
        work = {OURS: _ours(processor, case, frames), THEIRS: _theirs(reference, case, frames)}
        taken[case.name] = {side: [] for side in work}
        for turn in range(rounds + 1):
            for side in (OURS, THEIRS) if turn % 2 else (THEIRS, OURS):
                begin = time.perf_counter()
                work[side]()
                if turn:
                    taken[case.name][side].append(time.perf_counter() - begin)
    return InputsCost(seconds=taken)


def molmo2_processor() -> Processor:
    """The zoo's processor with Molmo2's sizes over the shipped words."""
    tokenizer = words().tokenizer
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in TOKEN_TEXTS.values()])
    template = f"{IM_START}user\n{{prompt}}{IM_END}\n{IM_START}assistant\n"
    own = FastTokenizer(tokenizer=tokenizer, bos=IM_END, eos=IM_END, prompt_template=template)
    return Processor(
        tokenizer=own,
        renderers=(),
        labellers=(),
        vocab_size=own.vocab_size,
        image_size=(378, 378),
        grid=(27, 27),
        image_window=(2, 2),
        video_window=(3, 3),
        sampling=FrameSampling(max_frames=128),
        inputs=InputSettings(max_crops=8),
    )


def transformers_processor(processor: Processor) -> Molmo2Processor:
    """The processor of transformers with the same settings and vocabulary."""
    from transformers import PreTrainedTokenizerFast
    from transformers.models.molmo2 import Molmo2ImageProcessor, Molmo2Processor, Molmo2VideoProcessor

    settings = released_settings(processor)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=processor.tokenizer.tokenizer, eos_token=IM_END)
    return Molmo2Processor(
        Molmo2ImageProcessor(**settings["image"]),
        Molmo2VideoProcessor(**settings["video"]),
        tokenizer,
        chat_template="",
        **settings["joint"],
    )


def _ours(processor: Processor, case: Pictures, frames: np.ndarray) -> Callable[[], Any]:
    message = Message(head="qa", prompt=QUESTION, answer="", family="bench")
    times_s = np.arange(case.count) / 2 if case.is_video else np.zeros(case.count)
    return lambda: processor.example(
        key="bench", frames=frames, times_s=times_s, messages=[message], is_video=case.is_video
    )


def _theirs(reference: Molmo2Processor, case: Pictures, frames: np.ndarray) -> Callable[[], Any]:
    turn = f"{IM_START}user\n{QUESTION}{IM_END}\n{IM_START}assistant\n"
    if case.is_video:
        metadata = {"fps": 2.0, "total_num_frames": case.count, "frames_indices": list(range(case.count))}
        return lambda: reference(
            videos=frames,
            text=f"<|video|>{turn}",
            videos_kwargs={"do_sample_frames": False, "video_metadata": metadata},
            return_tensors="pt",
        )
    shown = "".join(f"Image {number + 1}<|image|>" for number in range(case.count)) if case.count > 1 else "<|image|>"
    return lambda: reference(images=list(frames), text=shown + turn, return_tensors="pt")
