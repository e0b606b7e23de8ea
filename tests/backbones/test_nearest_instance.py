import numpy as np
import pytest
from scenes import SIZE, disc_scene

from zoo import registry
from zoo.errors import DataError
from zoo.metrics import mask_scores
from zoo.points import Point
from zoo.segmenter import Clip

KEYS = (0.0, 0.5, 1.0)
GONE = (np.nan, np.nan)
CENTRES = [[(10, 10), (40, 30)], [(14, 10), GONE], [(18, 10), (40, 30)]]


@pytest.fixture
def scene():
    masks, points = disc_scene(CENTRES, keys=KEYS)
    frames = np.zeros((len(KEYS), SIZE[1], SIZE[0], 3), np.uint8)
    return Clip(frames=frames, times_s=KEYS, masks=masks), points


def truth(clip):
    return {number: np.stack([clip.masks.mask(frame, number) for frame in range(3)]) for number in (0, 1)}


def test_true_points_give_the_true_masks(scene):
    clip, points = scene
    segmented = registry.build("segmenter", "nearest-instance").segment(clip, points)
    assert mask_scores(segmented, truth(clip), objects="matched").scores == {"j": 1.0, "f": 1.0, "j_and_f": 1.0}
    # One point in the last frame is enough to have an object in all.
    last = registry.build("segmenter", "nearest-instance").segment(clip, [points[-1]._replace(object_id=8)])
    np.testing.assert_array_equal(last[8], truth(clip)[1])


def test_the_nearest_point_in_time_says_which_object_is_meant(scene):
    clip, _ = scene
    switched = [Point(0.0, 3, 10, 10), Point(1.0, 3, 40, 30)]
    masks = registry.build("segmenter", "nearest-instance").segment(clip, switched)[3]
    np.testing.assert_array_equal(masks[0], truth(clip)[0][0])
    np.testing.assert_array_equal(masks[1], truth(clip)[0][1])  # as near to both: the earlier one
    np.testing.assert_array_equal(masks[2], truth(clip)[1][2])


def test_a_point_beside_an_object_means_it_within_reach(scene):
    clip, _ = scene
    beside = [Point(0.0, 0, 17.5, 10.5)]  # 3 px from the disc, of a diagonal of 80
    for reach, is_meant in ((0.0, False), (2.9 / 80, False), (3.1 / 80, True)):
        masks = registry.build("segmenter", "nearest-instance", reach=reach).segment(clip, beside)
        assert masks[0].any() == is_meant
    outside = [Point(0.0, 0, 64.0, 48.0)]  # the far corner, which is no pixel's
    assert not registry.build("segmenter", "nearest-instance").segment(clip, outside)[0].any()


def test_what_it_cannot_do_is_said(scene):
    clip, points = scene
    segmenter = registry.build("segmenter", "nearest-instance")
    with pytest.raises(DataError, match="the clip has no masks"):
        segmenter.segment(Clip(frames=clip.frames, times_s=KEYS), points)
    with pytest.raises(DataError, match=r"a point at 0.3 s; its frames lie at 0 to 1 s"):
        segmenter.segment(clip, [Point(0.3, 0, 1, 1)])
    with pytest.raises(ValueError, match="reach must be 0 or more, got -1"):
        registry.build("segmenter", "nearest-instance", reach=-1)
