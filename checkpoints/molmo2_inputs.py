"""Settings of inputs in a released Molmo2 folder, and in the arguments of `vlm`: one and the same, both ways.

Source: Molmo2 sheet A4, A5. A folder comes either with one `processor_config.json` that holds all, as transformers 5
writes it, or with `preprocessor_config.json` and `video_preprocessor_config.json` beside it. What a file leaves out is
the default of transformers' classes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ConfigError

if TYPE_CHECKING:
    from zoo.processor import Processor

JOINT, IMAGE, VIDEO = "processor_config.json", "preprocessor_config.json", "video_preprocessor_config.json"

MODES = {"uniform_last_frame": "last_frame", "fps": "fps"}
"""Names of the released video processors' sampling modes, and ours. transformers' own class has one, and no name."""

BILINEAR = 2
"""Pillow's number of the one interpolation that is used."""
GREY = 0.5
"""Mean and standard deviation that pixels are normalised by, in every channel."""


def input_arguments(folder: Path) -> dict[str, Any]:
    """Arguments of `vlm` that a released folder's processor files state.

    Args:
        folder: Of a released checkpoint, or of a processor that transformers saved.
    Returns:
        `max_frames`, `frame_rate` and `inputs`, as plain JSON.
    Raises:
        ConfigError: a file that does not parse, or a setting that the zoo does not have.
    """
    joint, image, video = files_of(folder)
    _check_pixels(folder, image)
    _check_pixels(folder, video)
    mode = video.get("frame_sample_mode")
    if mode is not None and mode not in MODES:
        raise ConfigError(f"{folder}: frame_sample_mode is {mode!r}, expected one of {', '.join(MODES)}")
    rate = video.get("sampling_fps") if mode == "fps" else None
    has_columns = joint.get("image_use_col_tokens", True)
    low_res_columns = joint.get("use_single_crop_col_tokens")
    return {
        "max_frames": video.get("num_frames", 64),
        "frame_rate": float(rate or video.get("max_fps") or 2),
        "inputs": {
            "max_crops": image.get("max_crops", 8),
            "overlap_margins": list(image.get("overlap_margins", (4, 4))),
            "sampling": "uniform" if mode is None else MODES[mode],
            "image_columns": has_columns,
            "low_res_columns": has_columns if low_res_columns is None else low_res_columns,
            "low_res_start": joint.get("use_single_crop_start_token", True),
            "video_columns": joint.get("video_use_col_tokens", False),
            "frame_marks": "frame" if joint.get("use_frame_special_tokens", True) else "image",
        },
    }


def released_settings(processor: Processor) -> dict[str, dict[str, Any]]:
    """The way back: what transformers' classes are to be made with.

    Returns:
        Arguments of the `image`, the `video` and the `joint` processor.
    Raises:
        ConfigError: a setting that transformers' classes do not have.
    """
    height, width = processor.image_size
    inputs, sampling = processor.inputs, processor.sampling
    if inputs.frame_marks == "clip" or not processor.timestamps or not inputs.max_crops or height != width:
        raise ConfigError(
            "transformers' Molmo2 shows images in square crops and frames with times and marks of their own; here "
            f"max_crops is {inputs.max_crops}, frame_marks {inputs.frame_marks!r}, timestamps {processor.timestamps}, "
            f"and frames are {height} x {width} pixels"
        )
    shared = {
        "size": {"height": height, "width": width},
        "patch_size": height // processor.grid[0],
        "resample": BILINEAR,
        "image_mean": [GREY] * 3,
        "image_std": [GREY] * 3,
        **{f"do_{step}": True for step in ("resize", "rescale", "normalize", "convert_rgb")},
    }
    names = {ours: theirs for theirs, ours in MODES.items()}
    mode = {} if inputs.sampling == "uniform" else {"frame_sample_mode": names[inputs.sampling]}
    if inputs.sampling == "fps":
        mode["sampling_fps"] = sampling.frame_rate
    return {
        "image": {
            **shared,
            "pooling_size": list(processor.image_window),
            "max_crops": inputs.max_crops,
            "overlap_margins": list(inputs.overlap_margins),
        },
        "video": {
            **shared,
            "pooling_size": list(processor.video_window),
            "num_frames": sampling.max_frames,
            "max_fps": sampling.frame_rate,
            **mode,
        },
        "joint": {
            "image_use_col_tokens": inputs.image_columns,
            "use_single_crop_col_tokens": inputs.low_res_columns,
            "use_single_crop_start_token": inputs.low_res_start,
            "video_use_col_tokens": inputs.video_columns,
            "use_frame_special_tokens": inputs.frame_marks == "frame",
        },
    }


def files_of(folder: Path) -> tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]:
    """What is said of both, of images and of video."""
    joint = _read(folder / JOINT)
    image = joint.get("image_processor") or _read(folder / IMAGE)
    video = joint.get("video_processor") or _read(folder / VIDEO)
    return joint, image, video


def _read(file: Path) -> Mapping[str, Any]:
    """A file's object; empty where there is no file."""
    if not file.is_file():
        return {}
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{file} does not parse: {error}") from error
    if not isinstance(read, Mapping):
        raise ConfigError(f"{file} holds {type(read).__name__}, expected an object")
    return read


def _check_pixels(folder: Path, settings: Mapping[str, Any]) -> None:
    """Refuse another interpolation or normalisation than the one there is."""
    expected = {"resample": BILINEAR, "image_mean": [GREY] * 3, "image_std": [GREY] * 3}
    other = {name: settings[name] for name, value in expected.items() if settings.get(name, value) != value}
    if other:
        raise ConfigError(f"{folder}: {other}, expected { ({name: expected[name] for name in other}) }")
