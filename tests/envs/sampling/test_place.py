import dataclasses
import math

import numpy as np
import pytest

from zoo.envs.assets.library import AssetFacts
from zoo.envs.sampling.place import is_large_enough, is_receptacle
from zoo.envs.sampling.words import NAMED_COLOURS
from zoo.envs.tasks.place import box_gap

PLATE = AssetFacts(
    uid="plate_0", category="plate", synset="plate.n.04", description="plate", size_m=(0.25, 0.25, 0.02), mass_kg=0.4
)


def receptacles(found):
    task = found.episode.task
    return [task.place_receptacle_name, *getattr(task, "other_receptacle_names", ())]


@pytest.mark.parametrize(
    ("task", "least"), [("pick_and_place", 0.15), ("pick_and_place_color", 0.15), ("pick_and_place_next_to", 0.30)]
)
def test_receptacles_stand_on_the_same_surface_within_reach(drawn, task, least):
    found = drawn(task)
    world, target = found.simulation.world, found.episode.task.pickup_obj_name
    host = world.root(found.episode.task.receptacle_name)
    centre, half = world.box(target)
    for name in receptacles(found):
        apart = np.linalg.norm(world.position(name)[:2] - world.position(target)[:2])
        assert least - 0.01 <= apart <= 0.50 + 0.01
        assert found.distance(name) <= 0.70 + 0.01
        assert world.roots_of_geoms(world.supporting_geoms(name)) == {host}
        assert set(world.contacts(name).roots.tolist()) == {host}
        other, other_half = world.box(name)
        assert abs((centre - half)[2] - (other - other_half)[2]) <= 0.05


def test_the_receptacle_is_an_asset_of_the_split(drawn):
    found = drawn("pick_and_place")
    added = found.episode.scene_modifications.added_objects
    assert list(added) == receptacles(found)
    assert set(added) <= set(found.episode.scene_modifications.object_poses)
    for asset in added.values():
        library, _, uid = asset.partition(":")
        facts = found.sampler.library(library).facts()[uid]
        assert facts.split == found.place.scene.split
        assert is_receptacle(facts)
        assert is_large_enough(facts, found.sampler.stage(found.place).facts[found.episode.task.pickup_obj_name])
    assert " and place it in or on the " in found.episode.language.task_description


def test_next_to_begins_apart(drawn):
    found = drawn("pick_and_place_next_to")
    task = found.episode.task
    assert box_gap(found.simulation.world, task.pickup_obj_name, task.place_receptacle_name) > 0.06
    assert " and place it next to the " in found.episode.language.task_description


def test_copies_have_colours_of_their_own(drawn):
    found = drawn("pick_and_place_color")
    task, names = found.episode.task, receptacles(found)
    assert 2 <= len(names) <= 3
    assert set(task.object_colors) == set(names) == set(found.episode.scene_modifications.added_objects)
    assert len(set(found.episode.scene_modifications.added_objects.values())) == 1
    by_rgba = {rgba: name for name, rgba in NAMED_COLOURS.items()}
    colours = [by_rgba[tuple(task.object_colors[name])] for name in names]
    assert len(set(colours)) == len(colours)
    assert f" the {colours[0]} " in found.episode.language.task_description
    assert set(task.other_receptacle_start_poses) == set(names[1:])
    model = found.simulation.model
    for name in names:
        geoms = model.body_rootid[model.geom_bodyid] == found.simulation.world.root(name)
        np.testing.assert_allclose(model.geom_rgba[geoms], np.broadcast_to(task.object_colors[name], (geoms.sum(), 4)))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"category": "mug"}, False),
        ({"size_m": (0.16, 0.25, 0.02)}, False),
        ({"size_m": (0.25, 0.51, 0.02)}, False),
        ({"size_m": (0.25, 0.25, 0.16)}, False),
        ({"is_static": True}, False),
    ],
)
def test_what_counts_as_a_receptacle(change, expected):
    assert is_receptacle(dataclasses.replace(PLATE, **change)) == expected


def test_targets_longer_than_the_receptacle_do_not_fit():
    diagonal = math.hypot(0.25, 0.25)
    assert is_large_enough(PLATE, dataclasses.replace(PLATE, size_m=(diagonal - 0.001, 0.0, 0.1)))
    assert not is_large_enough(PLATE, dataclasses.replace(PLATE, size_m=(diagonal + 0.001, 0.0, 0.1)))
