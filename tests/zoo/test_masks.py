import numpy as np
import pytest

from zoo.errors import DataError
from zoo.masks import InstanceMasks, RunLengthMasks
from zoo.run_lengths import encode

KEYS = (0.0, 0.5, 1.0)


@pytest.fixture
def ids():
    return np.random.default_rng(0).integers(0, 4, (3, 7, 9)).astype(np.uint8)


def both(ids):
    objects = {10: 1, 20: 2, 30: 3}
    rles = {object_id: [encode(picture == value) for picture in ids] for object_id, value in objects.items()}
    return InstanceMasks(ids, KEYS, objects), RunLengthMasks(rles, KEYS, (9, 7))


def test_maps_and_run_lengths_say_the_same_of_every_pixel(ids):
    maps, runs = both(ids)
    frames, objects, rows, columns = (
        axis.reshape(-1) for axis in np.meshgrid(range(3), (10, 20, 30), range(7), range(9), indexing="ij")
    )
    expected = ids[frames, rows, columns] == objects // 10
    for masks in (maps, runs):
        np.testing.assert_array_equal(masks.inside(frames, objects, np.c_[columns, rows]), expected)
        np.testing.assert_array_equal(masks.mask(1, 20), ids[1] == 2)
        areas = masks.areas_px(np.repeat(range(3), 3), np.tile((10, 20, 30), 3))
        np.testing.assert_array_equal(areas, [(picture == value).sum() for picture in ids for value in (1, 2, 3)])


def test_what_is_not_there_holds_nothing(ids):
    for masks in both(ids):
        nowhere = masks.inside([-1, 0, 0, 0, 0], [10, 99, 10, 10, 10], [(4, 4), (4, 4), (9, 4), (4, -0.6), (4, 6.5)])
        assert nowhere[:4].tolist() == [False] * 4
        assert nowhere[4] == (ids[0, 6, 4] == 1)  # 6.5 rounds to the even 6, which is the last row
        assert masks.areas_px([-1, 0], [10, 99]).tolist() == [0, 0]


def test_a_coordinate_is_rounded_to_a_pixel():
    ids = np.zeros((1, 5, 5), np.uint8)
    ids[0, 2, 3] = 1
    masks = InstanceMasks(ids, [1], {0: 1})
    x = [2.4, 2.6, 3.4, 3.6]
    assert masks.inside([0] * 4, [0] * 4, [(value, 2) for value in x]).tolist() == [False, True, True, False]


def test_times_with_one_decimal_find_their_frame():
    masks = InstanceMasks(np.zeros((3, 4, 4), np.uint8), (0.0, 1.0417, 2.0), {0: 1})
    assert masks.frames_of([0, 1.0, 1.1, 1.04, 0.5, 2.05, 2.1]).tolist() == [0, 1, -1, 1, -1, 2, -1]
    assert InstanceMasks(np.zeros((1, 4, 4), np.uint8), [1], {0: 1}).frames_of([1, 2]).tolist() == [0, -1]


def test_images_of_a_set_may_differ_in_size():
    pictures = [np.asarray([[0, 1]]), np.asarray([[1], [0], [1]])]
    masks = InstanceMasks(pictures, (1, 2), {5: 1})
    assert masks.sizes_px.tolist() == [[2, 1], [1, 3]]
    assert masks.inside([0, 1, 1, 1], [5] * 4, [(1, 0), (0, 0), (0, 1), (0, 2)]).tolist() == [True, True, False, True]
    runs = RunLengthMasks({5: [None, encode(pictures[1] == 1)]}, (1, 2), [(2, 1), (1, 3)])
    assert runs.inside([0, 1, 1], [5] * 3, [(1, 0), (0, 0), (0, 1)]).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("keys", "sizes", "rles", "match"),
    [
        ((1.0, 1.0), (4, 4), {0: [None, None]}, "must grow"),
        ((0.0, 1.0), (4, 4), {0: [None]}, "object 0 has 1 masks for 2 frames"),
        ((0.0,), (4, 4), {7: [encode(np.ones((2, 2), bool))]}, r"object 7 has a mask of \[2, 2\]"),
    ],
)
def test_masks_that_do_not_fit_are_refused(keys, sizes, rles, match):
    with pytest.raises(DataError, match=match):
        RunLengthMasks(rles, keys, sizes)


def test_frames_without_a_key_are_refused():
    with pytest.raises(DataError, match="3 frames of masks for 2 keys"):
        InstanceMasks(np.zeros((3, 4, 4), np.uint8), (0.0, 1.0), {0: 1})
