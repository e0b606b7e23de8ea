"""Processor files of released folders, in both forms, to arguments of `vlm` and back."""

import json

import pytest
from released_inputs import ours, own_tokenizer, theirs

from zoo.checkpoints.molmo2_inputs import IMAGE, JOINT, VIDEO, input_arguments, released_settings
from zoo.errors import ConfigError
from zoo.preprocessing.settings import InputSettings

IMAGE_SETTINGS = {"max_crops": 24, "overlap_margins": [3, 2], "patch_size": 14, "pooling_size": [2, 2], "resample": 2}
VIDEO_SETTINGS = {"frame_sample_mode": "uniform_last_frame", "num_frames": 384, "max_fps": 2.0, "sampling_fps": 2}
JOINT_SETTINGS = {"use_single_crop_col_tokens": None, "use_frame_special_tokens": False, "image_use_col_tokens": True}


def write(folder, **files):
    for name, content in files.items():
        (folder / {"joint": JOINT, "image": IMAGE, "video": VIDEO}[name]).write_text(json.dumps(content))
    return folder


def test_three_files_of_a_released_folder(tmp_path):
    found = input_arguments(write(tmp_path, joint=JOINT_SETTINGS, image=IMAGE_SETTINGS, video=VIDEO_SETTINGS))
    assert (found["max_frames"], found["frame_rate"]) == (384, 2.0)
    settings = InputSettings(**found["inputs"])
    assert (settings.max_crops, settings.overlap_margins, settings.sampling) == (24, (3, 2), "last_frame")
    assert (settings.frame_marks, settings.low_res_columns) == ("image", True)


def test_one_file_as_transformers_writes_it(tmp_path):
    theirs(crop_px=98, max_crops=6, margins=(1, 2), video_use_col_tokens=True).save_pretrained(tmp_path)
    found = input_arguments(tmp_path)
    assert (found["max_frames"], found["frame_rate"]) == (64, 2.0)
    settings = InputSettings(**found["inputs"])
    assert (settings.max_crops, settings.overlap_margins, settings.sampling) == (6, (1, 2), "uniform")
    assert settings.video_columns and not settings.low_res_columns and settings.frame_marks == "frame"


def test_no_file_means_the_defaults_of_transformers(tmp_path):
    settings = InputSettings(**input_arguments(tmp_path)["inputs"])
    assert settings == InputSettings(max_crops=8, sampling="uniform", low_res_columns=True)


@pytest.mark.parametrize(
    "changes",
    [{}, {"frame_marks": "image", "sampling": "uniform"}, {"sampling": "fps", "video_columns": True}],
    ids=str,
)
def test_the_way_back_and_here_again(tmp_path, changes):
    processor = ours(own_tokenizer(tmp_path / "words"), **changes)
    made = released_settings(processor)
    found = input_arguments(write(tmp_path, **made))
    assert InputSettings(**found["inputs"]) == processor.inputs
    assert (found["max_frames"], found["frame_rate"]) == (384, 2.0)
    theirs(**made["joint"])  # takes them all
    for part, kind in (("image", "image_processor"), ("video", "video_processor")):
        rebuilt = type(getattr(theirs(), kind))(**made[part])
        assert rebuilt.pooling_size == made[part]["pooling_size"]


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ({"video": {"frame_sample_mode": "keyframes"}}, "frame_sample_mode is 'keyframes', expected one of"),
        ({"image": {"image_mean": [0.48, 0.45, 0.4]}}, r"image_mean': \[0.48.*expected {'image_mean': \[0.5"),
        ({"image": {"resample": 3}}, "'resample': 3"),
        ({"joint": [1]}, "holds list, expected an object"),
    ],
)
def test_settings_that_the_zoo_does_not_have_are_named(tmp_path, files, match):
    with pytest.raises(ConfigError, match=match):
        input_arguments(write(tmp_path, **files))


def test_a_file_that_does_not_parse_is_named(tmp_path):
    (tmp_path / JOINT).write_text("{")
    with pytest.raises(ConfigError, match=r"processor_config\.json does not parse"):
        input_arguments(tmp_path)


def test_what_transformers_cannot_say_is_refused(tmp_path):
    processor = ours(own_tokenizer(tmp_path / "words"), frame_marks="clip")
    with pytest.raises(ConfigError, match="frame_marks 'clip'"):
        released_settings(processor)
