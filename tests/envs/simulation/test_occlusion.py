import math

import numpy as np
import pytest

from zoo.envs.episodes.schema import Camera
from zoo.envs.simulation.occlusion import FIELD, cover, occlusion_of, with_occlusion
from zoo.errors import DataError


def camera(**more):
    content = {"type": "exocentric", "name": "exo", "pos": [0, 0, 1], "up": [0, 0, 1], "forward": [1, 0, 0], "fov": 60}
    return Camera.from_json(content | more, "camera")


def test_a_field_that_only_we_know():
    assert occlusion_of(camera()) is None
    covered = with_occlusion(camera(other=1), (0, 0.25, 0.5, 1))
    assert covered.to_json()[FIELD] == [0.0, 0.25, 0.5, 1.0]
    assert covered.to_json()["other"] == 1
    again = Camera.from_json(covered.to_json(), "camera")
    assert occlusion_of(again) == (0, 0.25, 0.5, 1)
    assert occlusion_of(with_occlusion(again, (0, 0, 1, 1))) == (0, 0, 1, 1)
    assert FIELD not in camera().to_json()


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [((0, 0, 1, 1), (0, 4), (0, 6)), ((0, 0.5, 0.5, 1), (2, 4), (0, 3)), ((0.5, 0.5, 0.5, 0.5), (0, 0), (0, 0))],
)
def test_a_box_is_black(box, rows, columns):
    picture = np.full((4, 6, 3), 9, np.uint8)
    expected = picture.copy()
    expected[slice(*rows), slice(*columns)] = 0
    cover(picture, box)
    np.testing.assert_array_equal(picture, expected)


@pytest.mark.parametrize(
    ("stated", "match"),
    [
        (0.5, "zoo_occlusion is 0.5, expected left, top, right and bottom"),
        ([0, 0, 1], "expected left, top"),
        ([0, 0, "1", 1], "expected left, top"),
        ([0, 0, math.nan, 1], "expected left, top"),
        ([0.5, 0, 0.4, 1], "expected 0 <= left <= right"),
        ([0, 0, 1, 1.5], "camera 'exo': .* expected 0 <= left"),
    ],
)
def test_what_is_no_box(stated, match):
    with pytest.raises(DataError, match=match):
        occlusion_of(camera(zoo_occlusion=stated))
