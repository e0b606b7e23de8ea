"""Metadata in the public layout."""

import json

import pytest
from box_house import LIBRARIES, house, thing

from zoo.envs.scenes.compile import compile_scene
from zoo.envs.scenes.metadata import hash_name, metadata_of, room_ids

FIELDS = {
    "hash_name",
    "asset_id",
    "object_id",
    "category",
    "object_enum",
    "is_static",
    "name_map",
    "mjcf_path",
    "parent",
    "room_id",
    "children",
    "boundingBox",
}


@pytest.fixture(scope="module")
def content():
    scene = house(
        [
            thing("table", "table", 1.0, 3.0, room="kitchen"),
            thing("mug", "mug", 1.0, 3.0, 0.75, room="kitchen", support="table", scale=2.0),
            thing("cabinet", "cabinet", 6.0, 3.0, room="bedroom", is_static=True),
            thing("ball", "ball", 7.0, 1.0),
        ]
    )
    return json.loads(json.dumps(metadata_of(scene, LIBRARIES, compile_scene(scene, LIBRARIES))))


def test_every_object_and_door_has_every_field(content):
    assert list(content["objects"]) == ["table", "mug", "cabinet", "ball", "door"]
    assert all(entry.keys() == FIELDS for entry in content["objects"].values())


def test_support_becomes_parent_and_children(content):
    objects = content["objects"]
    assert (objects["mug"]["parent"], objects["table"]["parent"]) == ("table", None)
    assert objects["table"]["children"] == ["mug"]
    assert objects["mug"]["children"] == []


def test_names_lead_from_the_model_to_the_asset(content):
    maps = content["objects"]["cabinet"]["name_map"]
    assert maps["bodies"] == {"cabinet": "cabinet", "cabinet/drawer": "drawer"}
    assert maps["joints"] == {"cabinet/slide": "slide"}
    assert maps["sites"] == {}
    assert content["objects"]["mug"]["name_map"]["joints"] == {"mug/free": "free"}
    assert content["objects"]["door"]["name_map"]["joints"] == {"door/hinge": "hinge"}


def test_facts_are_the_assets_and_the_scenes(content):
    objects = content["objects"]
    assert {name: entry["is_static"] for name, entry in objects.items()} == {
        "table": True,  # its asset never moves
        "mug": False,
        "cabinet": True,
        "ball": False,
        "door": True,
    }
    assert [objects[name]["room_id"] for name in ("table", "cabinet", "ball", "door")] == [1, 2, 0, 1]
    assert objects["mug"]["boundingBox"] == pytest.approx({"x": 0.16, "y": 0.16, "z": 0.2})
    assert objects["mug"]["category"] == "mug"
    assert {entry["object_enum"] for entry in objects.values()} == {"custom_obj"}
    assert content["rooms"]["2"]["room_type"] == "bedroom"
    assert content["rooms"]["2"]["height_m"] == 2.5


def test_rooms_count_from_one():
    assert room_ids(house()) == {"kitchen": 1, "bedroom": 2}


def test_hashes_tell_assets_apart_and_do_not_change():
    assert hash_name("boxes", "mug") == "156d5c4fd774f7d96dac7e194e531c0d"
    assert hash_name("boxes", "mug") != hash_name("boxes", "table")
