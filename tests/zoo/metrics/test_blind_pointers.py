import numpy as np
import pytest
from scenes import disc_scene

from zoo.masks import InstanceMasks
from zoo.metrics import every_object_points, image_point_scores, nearest_object_points, track_scores, video_point_scores

GONE = (np.nan, np.nan)
# In a picture of 64 x 48 the second object begins nearest to the centre, and the third comes later, nearer.
CENTRES = [[(8, 8), (40, 24), GONE], [(8, 8), (50, 24), (32, 24)], [(8, 8), GONE, (32, 24)]]
KEYS = (0.0, 1.0, 2.0)


def test_the_nearest_object_of_the_first_frame_is_followed():
    masks, _ = disc_scene(CENTRES, keys=KEYS)
    assert [tuple(point) for point in nearest_object_points(masks, each_frame=True)] == [(0, 1, 40, 24), (1, 1, 50, 24)]
    assert [tuple(point) for point in nearest_object_points(masks, each_frame=False)] == [(0, 1, 40, 24)]


def test_every_object_is_named_where_it_first_appears_or_in_all_frames():
    masks, true = disc_scene(CENTRES, keys=KEYS)
    once = every_object_points(masks, each_frame=False)
    assert [tuple(point) for point in once] == [(0, 0, 8, 8), (0, 1, 40, 24), (1, 2, 32, 24)]
    assert every_object_points(masks, each_frame=True) == true
    assert track_scores(every_object_points(masks, each_frame=True, fps=1.0), true, masks).scores["hota"] == 1.0


@pytest.mark.parametrize("asked", [1, 2, 3])
def test_all_of_three_have_the_f1_that_is_said_and_more_than_one_at_random(asked):
    masks, true = disc_scene([[(8, 8), (40, 24), (20, 40)]], keys=(1,))
    everything = every_object_points(masks, each_frame=False)
    assert image_point_scores(everything, true[:asked], masks).scores["f1"] == pytest.approx(2 * asked / (3 + asked))
    single = np.mean([image_point_scores([point], true[:asked], masks).scores["f1"] for point in everything])
    assert single == pytest.approx(2 * asked / (3 * (1 + asked)))
    assert single < 2 * asked / (3 + asked)


def test_points_lie_in_their_objects_even_where_the_middle_does_not():
    ring = np.zeros((1, 20, 20), np.uint8)
    ring[0, 2:18, 2:18] = 1
    ring[0, 5:15, 5:15] = 0
    masks = InstanceMasks(ring, (0.0,), {4: 1})
    (point,) = every_object_points(masks, each_frame=False)
    assert masks.inside([0], [4], [point[2:]]).all()
    assert video_point_scores([point], [point], masks, duration_s=1.0).scores["f1"] == 1.0


def test_nothing_visible_nothing_said():
    masks, _ = disc_scene([[GONE]], keys=(0.0,))
    assert nearest_object_points(masks, each_frame=True) == []
    assert every_object_points(masks, each_frame=True) == []
