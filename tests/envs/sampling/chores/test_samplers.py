"""What holds for the episodes of all ten samplers."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from zoo import registry
from zoo.envs.episodes.records import dump_json
from zoo.envs.episodes.schema import Episode
from zoo.envs.robots.ring_body import EmbodimentParams
from zoo.envs.sampling.chores.fetch import FetchTypeSampler, PickupTypeSampler
from zoo.envs.sampling.chores.objects import (
    ObjectNavAffordanceSampler,
    ObjectNavDescriptionSampler,
    ObjectNavRoomSampler,
    ObjectNavTypeSampler,
)
from zoo.envs.sampling.chores.relations import ObjectNavLocalRefSampler, ObjectNavRelAttributeSampler
from zoo.envs.sampling.chores.rooms import RoomNavSampler, RoomVisitSampler
from zoo.envs.sampling.chores.vocabulary import AFFORDANCES, BROADER, TINY_CATEGORIES, counts_as, with_broader
from zoo.envs.sampling.sampler import RejectedError
from zoo.envs.scenes.physics import collides
from zoo.envs.simulation import simulation
from zoo.envs.simulation.simulation import Simulation
from zoo.envs.tasks.chores import ObjectChore
from zoo.errors import ConfigError, UnknownNameError
from zoo.goal_texts import TEMPLATES

SAMPLERS = (
    ObjectNavTypeSampler,
    ObjectNavRoomSampler,
    ObjectNavAffordanceSampler,
    ObjectNavDescriptionSampler,
    ObjectNavRelAttributeSampler,
    ObjectNavLocalRefSampler,
    RoomNavSampler,
    RoomVisitSampler,
    PickupTypeSampler,
    FetchTypeSampler,
)


@pytest.fixture(scope="module", params=SAMPLERS, ids=lambda kind: kind.task)
def sampler(request):
    return request.param()


def test_every_task_has_one():
    assert {kind.task for kind in SAMPLERS} == set(TEMPLATES)


def test_an_episode_sets_up_in_its_house(sampler, drawn, home, monkeypatch):
    monkeypatch.setattr(simulation, "house", lambda *_: home)
    for episode in drawn(sampler)[:2]:
        begun = Simulation(episode)
        task = registry.load("task", episode.task.name).from_episode(episode.task.fields())
        task.bind(begun.world)
        assert not task.judge().success
        if isinstance(task, ObjectChore):
            assert task.targets == episode.task_relevant_objects
        np.testing.assert_allclose(begun.view.base_pose(), episode.task.robot_base_pose, atol=1e-9)
        assert begun.free_poses().keys() == episode.scene_modifications.object_poses.keys()
        model, data, own = begun.model, begun.data, begun.world.robot_root
        geoms = data.contact.geom[: data.ncon]
        with_others = (model.body_rootid[model.geom_bodyid[geoms]] == own).sum(axis=1) == 1
        deep = data.contact.dist[: data.ncon] < -1e-3
        assert not (with_others & deep & collides(model)[geoms].all(axis=1)).any()  # it touches nothing


def test_json_round_trip_and_the_same_bytes_for_the_same_draws(sampler, drawn, home):
    episode = drawn(sampler)[0]
    assert Episode.from_json(json.loads(dump_json(episode.to_json())), "episode") == episode
    assert len({episode.key for episode in drawn(sampler)}) == len(drawn(sampler))
    again = type(sampler)()
    seeds = iter(range(100))
    while True:
        try:
            repeated = again.sample(home, np.random.default_rng(next(seeds)))
        except RejectedError:
            continue
        break
    assert dump_json(repeated.to_json()) == dump_json(episode.to_json())


def test_the_instruction_is_worded_from_the_fields(sampler, drawn):
    for episode in drawn(sampler):
        assert episode.task.task_type == sampler.task
        assert episode.language.task_description
        named = [*episode.task.room_types, episode.task.affordance or "", episode.task.rel_attribute or ""]
        assert all(word.replace("_", " ") in episode.language.task_description for word in named)


def test_a_sampler_from_elsewhere_words_its_goal_itself(home):
    class Tour(RoomVisitSampler):
        def instruction(self, record, rng):
            return f"show me all {record.num_rooms_in_house} rooms"

    told = Tour().sample(home, np.random.default_rng(0)).language.task_description
    assert told == "show me all 3 rooms"


def test_a_house_with_nothing_in_it(sampler, bare):
    if sampler.task in ("room_nav", "room_visit"):
        assert sampler.sample(bare, np.random.default_rng(0)).task_relevant_objects == ()
        return
    with pytest.raises(RejectedError) as caught:
        type(sampler)().sample(bare, np.random.default_rng(0))
    assert caught.value.is_hopeless
    assert caught.value.reason in (
        "house without target",
        "nothing to compare",
        "nothing near two things, or on another",
    )


def test_random_bodies_are_all_different_and_bring_their_pictures(drawn):
    episodes = drawn(ObjectNavTypeSampler(robot="ring_body", random_bodies=True))
    bodies = [EmbodimentParams.from_json(episode.robot.arguments["body"]) for episode in episodes]
    assert len({body.size_m for body in bodies}) == len(episodes)
    for episode, body in zip(episodes, bodies, strict=True):
        assert episode.img_resolution == (body.width, body.height)
        assert len(episode.cameras) == len(body.cameras)


def test_random_bodies_with_pictures_of_one_size(drawn):
    episodes = drawn(ObjectNavTypeSampler(robot="ring_body", random_bodies=True, image_size=(112, 64)))
    bodies = [EmbodimentParams.from_json(episode.robot.arguments["body"]) for episode in episodes]
    assert {(body.width, body.height) for body in bodies} == {(112, 64)} == {one.img_resolution for one in episodes}


def test_options_reach_the_episode(home):
    sampler = ObjectNavTypeSampler(image_size=(128, 72), horizon_steps=300, categories=["sofa"], max_path_m=8.0)
    episode = sampler.sample(home, np.random.default_rng(1))
    assert episode.img_resolution == (128, 72)
    assert episode.task.task_horizon_sec == pytest.approx(60.0)  # at five steps a second
    assert episode.task.synsets == ("sofa.n.01",)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"robot": "rby1"}, "stretch or ring_body, not for robot 'rby1'"),
        ({"random_bodies": True}, "robot='ring_body' alone"),
        ({"min_path_m": 5.0, "max_path_m": 4.0}, "expected 0 <= min < max"),
        ({"horizon_steps": 0}, "horizon_steps is 0"),
    ],
)
def test_arguments_that_make_no_sense(arguments, message):
    with pytest.raises(ConfigError, match=message):
        ObjectNavTypeSampler(**arguments)


def test_what_has_no_hand_fetches_nothing():
    with pytest.raises(ConfigError, match="for stretch, not for robot 'ring_body'"):
        FetchTypeSampler(robot="ring_body")


def test_cameras_that_are_left_out_change_nothing_else(home):
    alone = ObjectNavTypeSampler(cameras=["navigation_camera"]).sample(home, np.random.default_rng(0))
    whole = ObjectNavTypeSampler().sample(home, np.random.default_rng(0))
    assert [camera.name for camera in whole.cameras] == ["navigation_camera", "manipulation_camera"]
    assert alone == replace(whole, cameras=whole.cameras[:1])
    RoomNavSampler(cameras=["manipulation_camera"])  # pictures do not decide where it is


@pytest.mark.parametrize(
    ("cameras", "message"),
    [
        (["wrist"], "cameras wrist; robot 'stretch' has navigation_camera, manipulation_camera"),
        ([], "cameras are none; robot 'stretch' has navigation_camera"),
        (["manipulation_camera"], "expected navigation_camera among them: success asks what it sees"),
    ],
)
def test_cameras_that_will_not_do(cameras, message):
    with pytest.raises(ConfigError, match=message):
        ObjectNavTypeSampler(cameras=cameras)


def test_an_unknown_category_is_named_with_one_near_it(home):
    with pytest.raises(UnknownNameError, match="no asset category 'soffa'; near: sofa"):
        ObjectNavTypeSampler(categories=["soffa"]).sample(home, np.random.default_rng(0))


def test_ways_are_of_the_asked_length(home):
    """Measured in a straight line, which is never longer."""
    near = ObjectNavTypeSampler(min_path_m=1.0, max_path_m=2.0)
    for seed in range(3):
        try:
            episode = near.sample(home, np.random.default_rng(seed))
        except RejectedError:
            continue
        boxes = [near.site(home).box(name) for name in episode.task_relevant_objects]
        base = np.array(episode.task.robot_base_pose[:2])
        gaps = [np.linalg.norm(np.maximum(np.abs(base - c[:2]) - h[:2], 0)) for c, h in boxes]
        assert min(gaps) <= 2.0 + 1.75 + 1e-6


def test_vocabulary_is_of_our_assets():
    facts = registry.build("asset_library", "primitives").facts().values()
    synsets, categories = {one.synset for one in facts}, {one.category for one in facts}
    assert set(BROADER) | set(BROADER.values()) <= synsets
    assert {name for names in AFFORDANCES.values() for name in names} <= categories
    assert len(TINY_CATEGORIES) == 12
    for category in TINY_CATEGORIES:
        assert {one.split for one in facts if one.category == category} == {"train", "val", "test"}


def test_hyponyms_count_and_hypernyms_do_not():
    assert counts_as("armchair.n.01", "chair.n.01")
    assert not counts_as("chair.n.01", "armchair.n.01")
    assert counts_as("mug.n.04", "mug.n.04")
    assert with_broader("wine_bottle.n.01") == ("wine_bottle.n.01", "bottle.n.01")


def test_all_instances_count_with_hyponyms_the_own_category_first(home):
    sampler = ObjectNavTypeSampler()
    site = sampler.site(home)
    for category in site.categories(None):
        names = site.counting_as(category)
        own = [name for name in site.visible if site.facts[name].category == category]
        assert names[: len(own)] == own
        assert {site.facts[name].synset for name in names} <= {
            one.synset for one in site.facts.values() if counts_as(one.synset, site.synset_of(category))
        }


def test_rooms_of_object_nav_room(drawn, home):
    rooms = {item.name: item.room for item in home.scene.objects}
    for episode in drawn(ObjectNavRoomSampler()):
        assert {rooms[name] for name in episode.task_relevant_objects} <= set(episode.task.room_ids)
        assert {home.scene.room(name).room_type for name in episode.task.room_ids} == set(episode.task.room_types)


def test_room_nav_begins_elsewhere(drawn, home):
    for episode in drawn(RoomNavSampler()):
        x, y = episode.task.robot_base_pose[:2]
        inside = [
            room.name
            for room in home.scene.rooms
            if min(p[0] for p in room.polygon_m) <= x <= max(p[0] for p in room.polygon_m)
            and min(p[1] for p in room.polygon_m) <= y <= max(p[1] for p in room.polygon_m)
        ]
        assert inside
        assert not set(inside) & set(episode.task.room_ids)


def test_pickups_begin_near(drawn, home):
    sampler = PickupTypeSampler()
    for episode in drawn(sampler):
        base = np.array(episode.task.robot_base_pose[:2])
        site = sampler.site(home)
        apart = [math.dist(base, site.box(name)[0][:2]) for name in episode.task_relevant_objects]
        assert min(apart) <= 2.0 + 1.0
        assert all(site.facts[name].is_pickupable for name in episode.task_relevant_objects)
