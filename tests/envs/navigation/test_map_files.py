"""PNG maps: lossless round trip, published layout, refusals."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from zoo.envs.navigation.map_files import read_map, write_map
from zoo.envs.navigation.occupancy import OccupancyMap, build_map
from zoo.errors import ConfigError, DataError

WORLD_TO_MAP = [[-200.0, 0.0, 0.0, 400.5], [0.0, -200.0, 0.0, 300.25]]  # published: x runs up, y to the left
MAP_TO_WORLD = [[-0.005, 0.0, 2.0025], [0.0, -0.005, 1.50125], [0.0, 0.0, 0.0]]
FIELDS = {
    "world_to_map": json.dumps(WORLD_TO_MAP),
    "map_to_world": json.dumps(MAP_TO_WORLD),
    "px_per_m": "200.0",
    "room_ids_to_name": json.dumps({"3": "room_2", "260": "room_7"}),
}


def save(path, pixels: np.ndarray, fields: dict[str, str]) -> None:
    text = PngInfo()
    for name, content in fields.items():
        text.add_text(name, content)
    Image.fromarray(pixels).save(path, pnginfo=text)


def published(rows: int = 4, columns: int = 6) -> np.ndarray:
    pixels = np.zeros((rows, columns, 3), np.uint8)
    pixels[1:3, 1:4, :2] = 255
    pixels[1:3, 1:3, 2] = 3
    pixels[1:3, 3, 2] = 260 % 256
    return pixels


def assert_equal(first: OccupancyMap, second: OccupancyMap) -> None:
    for name in ("blocked", "rooms", "world_to_map", "map_to_world"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert first.room_names == second.room_names
    assert first.px_per_m == second.px_per_m


def test_a_house_survives_the_round_trip(house, tmp_path):
    scene, model, data = house(2, 2)
    occupancy = build_map(model, data, scene=scene)
    write_map(tmp_path / "house_map.png", occupancy)
    assert_equal(read_map(tmp_path / "house_map.png"), occupancy)


finite = st.floats(-1e6, 1e6)


@given(st.data())
def test_any_map_survives_the_round_trip(tmp_path_factory, data):
    shape = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    occupancy = OccupancyMap(
        blocked=data.draw(arrays.arrays(bool, shape)),
        rooms=data.draw(arrays.arrays(np.uint8, shape)),
        room_names=data.draw(st.dictionaries(st.integers(0, 255), st.text(st.characters(codec="utf-8"), max_size=9))),
        world_to_map=data.draw(arrays.arrays(np.float64, (2, 4), elements=finite)),
        map_to_world=data.draw(arrays.arrays(np.float64, (3, 3), elements=finite)),
        px_per_m=data.draw(st.floats(1e-3, 1e4)),
    )
    path = tmp_path_factory.getbasetemp() / "any.png"
    write_map(path, occupancy)
    assert_equal(read_map(path), occupancy)


def test_a_published_map(tmp_path):
    save(tmp_path / "train_1_map.png", published(), FIELDS)
    occupancy = read_map(tmp_path / "train_1_map.png")
    np.testing.assert_array_equal(~occupancy.blocked, published()[..., 0] > 0)
    assert occupancy.room_names == {3: "room_2", 4: "room_7"}  # the blue byte of id 260 is 4
    assert occupancy.px_per_m == 200.0
    point = occupancy.point_of([1, 3])
    assert occupancy.room_at(point) == "room_7"
    assert occupancy.is_free(point)
    np.testing.assert_allclose(point, [2.0025 - 0.005 * 1.5, 1.50125 - 0.005 * 3.5])


def test_a_published_map_without_rooms_is_grey(tmp_path):
    fields = {**FIELDS, "room_ids_to_name": "null"}
    save(tmp_path / "FloorPlan1_map.png", published()[..., 0], fields)
    occupancy = read_map(tmp_path / "FloorPlan1_map.png")
    np.testing.assert_array_equal(~occupancy.blocked, published()[..., 0] > 0)
    assert occupancy.room_names == {}
    assert not occupancy.rooms.any()


def test_what_is_written_has_the_published_layout(tmp_path, map_of):
    write_map(tmp_path / "a.png", map_of("1#2 11."))
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == "RGB"
        pixels, text = np.array(picture), picture.info
    np.testing.assert_array_equal(pixels[..., 0], [[255, 0, 255], [255, 255, 255]])
    np.testing.assert_array_equal(pixels[..., 0], pixels[..., 1])
    np.testing.assert_array_equal(pixels[..., 2], [[1, 0, 2], [1, 1, 0]])
    assert json.loads(text["room_ids_to_name"]) == {"1": "room_1", "2": "room_2"}
    assert np.shape(json.loads(text["world_to_map"])) == (2, 4)
    assert np.shape(json.loads(text["map_to_world"])) == (3, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"world_to_map": None}, "no text field world_to_map"),
        ({"px_per_m": None, "map_to_world": None}, "no text field map_to_world, px_per_m"),
        ({"world_to_map": "[[1, 2], [3, 4]]"}, r"world_to_map is \[\[1, 2\].*expected 2 x 4 numbers"),
        ({"world_to_map": "[[1, 2], [3]]"}, "expected 2 x 4 numbers"),
        ({"map_to_world": '"rotation"'}, "map_to_world is rotation, expected 3 x 3 numbers"),
        ({"map_to_world": "[[NaN,0,0],[0,1,0],[0,0,0]]"}, "expected 3 x 3 numbers"),
        ({"px_per_m": "many"}, "px_per_m is no JSON"),
        ({"px_per_m": "-3"}, "px_per_m is -3, expected a number above 0"),
        ({"px_per_m": "true"}, "px_per_m is True"),
        ({"room_ids_to_name": "[1, 2]"}, "expected names by whole number"),
        ({"room_ids_to_name": '{"a": "kitchen"}'}, "expected names by whole number"),
        ({"room_ids_to_name": '{"1": 5}'}, "expected names by whole number"),
        ({"room_ids_to_name": '{"1": "a", "257": "b"}'}, "'a' and 'b' have one id, 1"),
    ],
)
def test_broken_text_fields(tmp_path, change, message):
    fields = {name: content for name, content in {**FIELDS, **change}.items() if content is not None}
    save(tmp_path / "broken.png", published(), fields)
    with pytest.raises(DataError, match=message) as caught:
        read_map(tmp_path / "broken.png")
    assert "broken.png" in str(caught.value)


def test_broken_pictures(tmp_path):
    with pytest.raises(DataError, match=r"there is no map .*absent\.png"):
        read_map(tmp_path / "absent.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(DataError, match="no readable PNG"):
        read_map(tmp_path / "text.png")
    save(tmp_path / "good.png", published(40, 60), FIELDS)
    content = (tmp_path / "good.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[:-40])
    with pytest.raises(DataError, match="no readable PNG"):
        read_map(tmp_path / "cut.png")
    Image.fromarray(published()).save(tmp_path / "picture.jpg")
    with pytest.raises(DataError, match="is JPEG with mode RGB"):
        read_map(tmp_path / "picture.jpg")
    pixels = published()
    pixels[1, 1, 1] = 0
    save(tmp_path / "torn.png", pixels, FIELDS)
    with pytest.raises(DataError, match="red and green disagree"):
        read_map(tmp_path / "torn.png")


def test_only_png_is_written(tmp_path, map_of):
    with pytest.raises(ConfigError, match=r"got 'a\.npz'; name it 'a\.png'"):
        write_map(tmp_path / "a.npz", map_of("..."))
