"""What every registered segmenter promises, and what clips are."""

import pickle

import numpy as np
import pytest
from scenes import SIZE, disc_scene

from zoo import registry
from zoo.errors import DataError
from zoo.segmenter import Clip, Segmenter

NAMES = registry.names("segmenter")


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_segmenter_that_travels_and_answers_nothing_with_nothing(name):
    segmenter = registry.example("segmenter", name)
    assert isinstance(segmenter, Segmenter)
    masks, _ = disc_scene([[(10, 10)]])
    clip = Clip(frames=np.zeros((1, SIZE[1], SIZE[0], 3), np.uint8), times_s=(0.0,), masks=masks)
    assert pickle.loads(pickle.dumps(segmenter)).segment(clip, []) == {}


@pytest.mark.parametrize(
    ("shape", "times", "match"),
    [
        ((2, 48, 64, 3), (0.0,), r"frames \(2, 48, 64, 3\) with 1 times"),
        ((48, 64, 3), (0.0,) * 48, r"expected \(frames, height, width, 3\)"),
        ((1, 64, 48, 3), (0.0,), r"masks of 1 frames of \[64, 48\] pixels for 1 frames of \[48, 64\]"),
    ],
)
def test_a_clip_whose_parts_do_not_fit_is_refused(shape, times, match):
    masks, _ = disc_scene([[(10, 10)]])
    with pytest.raises(DataError, match=match):
        Clip(frames=np.zeros(shape, np.uint8), times_s=times, masks=masks)
