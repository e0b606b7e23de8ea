"""Hand-computed cases are on discs of radius 4 in a picture of 64 x 48 pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import disc_scene

from zoo.masks import InstanceMasks
from zoo.metrics import image_point_scores, pointbench_scores, video_point_scores
from zoo.points import Point

THREE = [[(10, 10), (30, 10), (50, 30)]]


@pytest.fixture
def scene():
    return disc_scene(THREE, keys=(1,))


def at(*places, key=1):
    return [Point(key, number, x, y) for number, (x, y) in enumerate(places)]


def test_two_of_three_found_with_four_points(scene):
    masks, true = scene
    # (11, 11) is in the first disc, (33, 10) in the second, (20, 40) and (55, 40) in none: 2 of 4, and 2 of 3
    scored = image_point_scores(at((33, 10), (11, 11), (20, 40), (55, 40)), true, masks)
    assert scored.scores == pytest.approx({"precision": 2 / 4, "recall": 2 / 3, "f1": 4 / 7})
    # discs of radius 4 have 49 pixels: a square of 7 px
    assert scored.tallies == {
        "recall/mask_size/0-8 px": (2, 3),
        "f1/count/0-5": (pytest.approx(4 / 7), 1),
        "f1/resolution/0-128 px": (pytest.approx(4 / 7), 1),
    }


def test_the_nearest_assignment_over_all_counts_and_not_each_points_own(scene):
    masks, true = scene
    # Both are nearest to the first object; one of them has to be taken for the second, and is not in its disc.
    scored = image_point_scores(at((10, 10), (13, 10)), true[:2], masks)
    assert scored.scores == pytest.approx({"precision": 0.5, "recall": 0.5, "f1": 0.5})


def test_two_points_in_one_object_find_it_once(scene):
    masks, true = scene
    assert image_point_scores(at((10, 10), (11, 10)), true[:1], masks).scores["precision"] == 0.5


def test_without_anything_to_find_silence_is_right(scene):
    masks, true = scene
    assert image_point_scores([], [], masks).scores == {"precision": 1, "recall": 1, "f1": 1}
    assert image_point_scores(at((1, 1)), [], masks).scores == {"precision": 0, "recall": 0, "f1": 0}
    assert image_point_scores([], true, masks).scores == {"precision": 0, "recall": 0, "f1": 0}


def test_a_point_in_the_wrong_image_finds_nothing():
    pictures = np.zeros((2, 48, 64), np.uint8)
    pictures[:, 5:15, 5:15] = 1
    masks = InstanceMasks(pictures, (1, 2), {0: 1})
    true = [Point(1, 0, 10, 10), Point(2, 0, 10, 10)]
    assert image_point_scores([Point(1, 0, 10, 10), Point(1, 1, 9, 9)], true, masks).scores["f1"] == 0.5
    assert image_point_scores([Point(1, 0, 10, 10), Point(2, 1, 9, 9)], true, masks).scores["f1"] == 1.0
    assert image_point_scores([Point(3, 0, 10, 10)], true, masks).scores["f1"] == 0.0


def test_pointbench_wants_every_point_inside(scene):
    masks, true = scene
    target = true[:1]
    assert pointbench_scores(at((10, 10), (11, 11)), target, masks).scores == {"accuracy": 1.0}
    assert pointbench_scores(at((10, 10), (20, 20)), target, masks).scores == {"accuracy": 0.0}
    assert pointbench_scores([], target, masks).scores == {"accuracy": 0.0}
    assert pointbench_scores(at((10, 10), (30, 10)), true[:2], masks).scores == {"accuracy": 1.0}


def test_a_video_point_is_right_at_its_own_time_only():
    # One object moves from x = 10 to x = 30 to x = 50 in two seconds.
    masks, points = disc_scene([[(10, 10)], [(30, 10)], [(50, 10)]], keys=(0.0, 1.0, 2.0))
    truth = [points[1]]
    for key, x, is_right in [(1.0, 30, True), (0.0, 10, True), (0.0, 30, False), (2.0, 50, True), (0.5, 20, False)]:
        scores = video_point_scores([Point(key, 1, x, 10)], truth, masks, duration_s=2.0).scores
        assert scores == dict.fromkeys(("precision", "recall", "f1"), float(is_right)), (key, x)


def test_time_counts_as_much_as_place_in_a_videos_assignment():
    # Objects at one place, 10 s apart, of a clip of 20 s: 50 of 100 in time. The first prediction is 25 of 100 to the
    # right but at the first time, the second at the place of both and the second time.
    centres = [[(10, 10), (np.nan, np.nan)], [(np.nan, np.nan), (10, 10)]]
    masks, true = disc_scene(centres, keys=(0.0, 10.0))
    predicted = [Point(0.0, 1, 26, 10), Point(10.0, 2, 10, 10)]
    assert video_point_scores(predicted, true, masks, duration_s=20.0).scores["f1"] == 0.5
    # One point at the second time is taken for the second object, though both are at its place.
    assert video_point_scores(predicted[1:], true, masks, duration_s=20.0).scores["precision"] == 1.0


def test_a_duration_is_needed(scene):
    masks, true = scene
    with pytest.raises(ValueError, match="duration_s must be above 0, got 0"):
        video_point_scores([], true, masks, duration_s=0)


def test_a_wrong_point_can_raise_precision_because_assignment_is_global():
    # On a line: objects at 10 and 20. A = 18 lies in the second, C = 27 beyond it. A and C together are cheapest as
    # A for the first (8) and C for the second (7). With B = 2, left of the first, A is free for its own.
    masks, true = disc_scene([[(10, 10), (20, 10)]], keys=(1,))
    assert image_point_scores(at((18, 10), (27, 10)), true, masks).scores["precision"] == 0.0
    assert image_point_scores(at((18, 10), (27, 10), (2, 10)), true, masks).scores["precision"] == pytest.approx(1 / 3)


places = st.lists(st.tuples(st.integers(0, 63), st.integers(0, 47)), max_size=8)


@given(places, st.randoms(use_true_random=False))
def test_the_order_of_points_and_their_ids_mean_nothing(predicted, random):
    masks, true = disc_scene(THREE, keys=(1,))
    points = at(*predicted)
    shuffled = [point._replace(object_id=random.randrange(9)) for point in random.sample(points, len(points))]
    ours = image_point_scores(points, true, masks).scores
    # Of several assignments that cost the same any may be taken, and they may differ in hits.
    distances = np.hypot(*(np.asarray(predicted).reshape(-1, 1, 2) - np.asarray(THREE)).transpose(2, 0, 1))
    if len(np.unique(distances.round(6))) == distances.size:
        assert image_point_scores(shuffled, random.sample(true, 3), masks).scores == ours
    assert all(0 <= score <= 1 for score in ours.values())


@given(st.sets(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=1), st.integers(0, 7), st.integers(0, 7))
def test_the_truth_itself_is_perfect_wherever_it_lies_and_a_stray_costs_precision(cells, right, down):
    centres = [[(5 + 10 * x + right, 5 + 10 * y + down) for x, y in sorted(cells)]]
    masks, true = disc_scene(centres, keys=(1,), size=(80, 60))
    assert set(image_point_scores(true, true, masks).scores.values()) == {1.0}
    with_stray = image_point_scores([*true, Point(1, 99, 79, 59)], true, masks).scores
    assert with_stray["recall"] == 1.0
    assert with_stray["precision"] == pytest.approx(len(true) / (len(true) + 1))


@given(places, st.integers(2, 4))
def test_larger_pictures_of_the_same_score_the_same(predicted, scale):
    masks, true = disc_scene(THREE, keys=(1,))
    ids = np.stack(
        [np.kron(masks.mask(0, number), np.ones((scale, scale), bool)) * (number + 1) for number in range(3)]
    )
    large = InstanceMasks(ids.sum(0, keepdims=True), (1,), {0: 1, 1: 2, 2: 3})

    def scaled(points):  # pixel n becomes the pixels from n * scale on
        return [point._replace(x_px=point.x_px * scale, y_px=point.y_px * scale) for point in points]

    ours = image_point_scores(at(*predicted), true, masks).scores
    assert image_point_scores(scaled(at(*predicted)), scaled(true), large).scores == ours
