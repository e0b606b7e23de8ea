"""Houses with variety to train on: rooms, val and test as in `homes`, furniture of train houses as nowhere else."""

import dataclasses
import hashlib
import json
from collections import defaultdict

import pytest

from zoo import registry
from zoo.envs.assets.primitives import PrimitiveLibrary
from zoo.envs.assets.varied import VariedLibrary
from zoo.envs.houses.appearance import ACCENTS
from zoo.envs.houses.generator import Homes
from zoo.envs.houses.varied import VariedHomes
from zoo.envs.sampling.chores.vocabulary import TINY_CATEGORIES
from zoo.envs.scenes.specification import Scene
from zoo.errors import ConfigError

HOMES, VARIED = Homes(), VariedHomes()
FACTS = VariedLibrary().facts()
NUM_HOUSES = 40


def text(scene):
    return json.dumps(scene.to_json(), sort_keys=True)


@pytest.fixture(scope="module")
def houses():
    return [VARIED.plan("train", index) for index in range(NUM_HOUSES)]


def test_it_is_registered_beside_homes():
    assert isinstance(registry.build("scene_planner", "varied_homes"), VariedHomes)
    assert isinstance(registry.build("asset_library", "varied_primitives"), VariedLibrary)


@pytest.mark.parametrize("split", ["val", "test"])
def test_other_splits_are_those_of_homes_byte_for_byte(split):
    for seed, index in ((0, 0), (0, 7), (0, 101), (2, 3)):
        assert text(VariedHomes(seed=seed).plan(split, index)) == text(Homes(seed=seed).plan(split, index))


def test_train_houses_have_the_rooms_of_homes(houses):
    for index in range(5):
        mine, other = houses[index], HOMES.plan("train", index)
        assert [(room.room_type, room.polygon_m) for room in mine.rooms] == [
            (room.room_type, room.polygon_m) for room in other.rooms
        ]
        assert (mine.walls, mine.lights) == (other.walls, other.lights)
        assert text(mine) != text(other)


def test_furniture_is_varied_in_shape_and_colour(houses):
    designs, paints = defaultdict(set), defaultdict(set)
    for scene in houses:
        for item in scene.objects:
            category = FACTS[item.asset].category
            designs[category].add(item.asset)
            paints[category].add(tuple(sorted(item.colours.items())))
    for category in TINY_CATEGORIES:
        assert len(designs[category]) >= 10, category
        assert len(paints[category]) >= 10, category


def test_the_same_house_again_and_back_from_json(houses):
    assert text(VariedHomes().plan("train", 11)) == text(houses[11])
    assert Scene.from_json(json.loads(text(houses[11]))) == houses[11]
    assert text(VariedHomes(seed=1).plan("train", 11)) != text(houses[11])


def test_the_share_is_of_what_no_hand_lifts(houses):
    assert not any(item.colours for scene in houses for item in scene.objects if FACTS[item.asset].is_pickupable)
    sinks = [item for scene in houses for item in scene.objects if FACTS[item.asset].category == "sink"]
    assert 0.5 < sum("tap" in item.colours for item in sinks) / len(sinks) < 0.9
    plain = VariedHomes(repainted_share=0.0).plan("train", 0)
    fixtures = [item for item in plain.objects if FACTS[item.asset].category in ("sink", "toilet", "garbage can")]
    assert all(set(item.colours) <= set(ACCENTS) for item in fixtures)


def test_bad_input_is_told():
    with pytest.raises(ConfigError, match="repainted_share is 2.0, expected a share from 0 to 1"):
        VariedHomes(repainted_share=2.0)
    with pytest.raises(ConfigError, match="house -1 of split 'train'"):
        VARIED.plan("train", -1)
    with pytest.raises(ConfigError, match="house 0 of split 'dev'"):
        VARIED.plan("dev", 0)


def test_what_was_there_before_is_as_it_was():
    """Digests are those of the library and of houses before there was any variety."""
    assert PrimitiveLibrary().digest == "06f1bc274a586c830b71819eb0b0724f"
    found = hashlib.blake2b(digest_size=16)
    for planner in (registry.build("scene_planner", "procedural"), HOMES):
        for split in ("train", "val", "test"):
            found.update(text(dataclasses.replace(planner.plan(split, 4), name="house")).encode())
    assert found.hexdigest() == "b704f82a316f21afea85c709839baf03"
