"""What a recipe, or a released folder, says about inputs beside sizes and windows, which belong to the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from zoo.errors import ConfigError
from zoo.preprocessing.prompts import PromptRule
from zoo.shards.sampling import SamplingMode

FrameMarks = Literal["frame", "image", "clip"]


@dataclass(frozen=True, kw_only=True)
class InputSettings:
    """How pictures and prompts become tokens (Molmo2 sheet A3 to A5); the defaults show an image as one frame.

    Args:
        max_crops: Most overlapping crops of an image beside the whole: 8 in Molmo2's training; 0: the whole alone.
        eval_max_crops: The same when nothing is learnt, 24 in Molmo2's evaluation; null: as in training.
        pointing_crops_share: Share of the training images asked to be pointed into that get `eval_max_crops`; 0.3 in
            Molmo2's fine-tuning.
        overlap_margins: Patches that neighbouring crops share, at their (left and top, right and bottom).
        max_images: Most images of a sample in training.
        eval_max_images: Most images of a sample when nothing is learnt.
        max_aspect_ratio: Longer over shorter side up to which an image is taken; null: any, as in transformers.
        eval_max_frames: Most frames of a clip when nothing is learnt; null: the module's `max_frames`.
        sampling: Which frames of a clip are shown: `last_frame`, `fps` or `uniform`; see FrameSampling.
        image_columns: Write a token behind each row of an image's crops.
        low_res_columns: Write one behind each row of the whole image.
        low_res_start: Begin the whole image with a token of its own, not that of the crops; without crops, always.
        video_columns: Write a token behind each row of a frame.
        frame_marks: What stands round frames: `frame` tokens round each, `image` tokens round each, or one pair of
            frame tokens round the whole `clip`.
        subtitles: Write a clip's subtitles behind its frames.
        prompts: `style` begins a question with the name of its kind unless a person would ask it like that;
            `style_and_length` does so always, and says of captions how long they are to be; `none` never.
        length_hint: Length that captions are asked for when nothing is learnt, in 15 characters; null: none.
    """

    max_crops: int = 0
    eval_max_crops: int | None = None
    pointing_crops_share: float = 0.0
    overlap_margins: tuple[int, int] = (4, 4)
    max_images: int = 5
    eval_max_images: int = 20
    max_aspect_ratio: float | None = 200.0
    eval_max_frames: int | None = None
    sampling: SamplingMode = "last_frame"
    image_columns: bool = True
    low_res_columns: bool = False
    low_res_start: bool = True
    video_columns: bool = False
    frame_marks: FrameMarks = "frame"
    subtitles: bool = True
    prompts: PromptRule = "style"
    length_hint: int | None = 65

    def __post_init__(self) -> None:
        object.__setattr__(self, "overlap_margins", tuple(self.overlap_margins))
        least = {"max_crops": 0, "eval_max_crops": 0, "max_images": 1, "eval_max_images": 1, "eval_max_frames": 1}
        faults = [
            f"{name} is {value}, expected {low} or more"
            for name, low in least.items()
            if (value := getattr(self, name)) is not None and value < low
        ]
        if self.max_aspect_ratio is not None and not self.max_aspect_ratio >= 1:
            faults.append(f"max_aspect_ratio is {self.max_aspect_ratio}, expected 1 or more, or null")
        if not 0 <= self.pointing_crops_share <= 1:
            faults.append(f"pointing_crops_share is {self.pointing_crops_share}, expected 0 to 1")
        choices = {"frame_marks": FrameMarks, "prompts": PromptRule, "sampling": SamplingMode}
        faults += [
            f"{name} is {getattr(self, name)!r}, expected one of {', '.join(get_args(kind))}"
            for name, kind in choices.items()
            if getattr(self, name) not in get_args(kind)
        ]
        if faults:
            raise ConfigError(f"model.inputs: {'; '.join(faults)}")

    def crops(self, *, training: bool, pointing_draw: float = 1.0) -> int:
        """Most crops of an image.

        Args:
            training: Something is learnt from it.
            pointing_draw: In [0, 1), drawn for an image that is asked to be pointed into; 1 for any other.
        """
        many = self.max_crops if self.eval_max_crops is None else self.eval_max_crops
        return many if not training or pointing_draw < self.pointing_crops_share else self.max_crops

    def images(self, *, training: bool) -> int:
        """Most images of a sample."""
        return self.max_images if training else self.eval_max_images
