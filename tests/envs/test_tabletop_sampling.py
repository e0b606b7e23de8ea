"""Random scenes: inside the view, apart from each other, and free of hints."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from zoo.envs.tabletop_sampling import MAX_OBJECTS, sample_scene
from zoo.envs.tabletop_scene import COLOURS, DIRECTIONS, SHAPES, SIZES_M


@pytest.fixture(scope="module")
def scenes():
    rng = np.random.default_rng(5)
    return [sample_scene(rng, num_objects=1 + index % MAX_OBJECTS) for index in range(600)]


def test_the_same_seed_gives_the_same_scene():
    first, second = (sample_scene(np.random.default_rng(3), num_objects=4) for _ in range(2))
    assert first == second
    assert first != sample_scene(np.random.default_rng(4), num_objects=4)


def test_scenes_are_as_specified(scenes):
    for index, scene in enumerate(scenes):
        assert len(scene.objects) == 1 + index % MAX_OBJECTS
        assert len({item.colour for item in scene.objects}) == len(scene.objects)
        assert {item.colour for item in scene.objects} <= set(COLOURS)
        assert {item.shape for item in scene.objects} <= set(SHAPES)
        assert {item.size for item in scene.objects} <= set(SIZES_M)
        assert len(scene.events) <= min(3, len(scene.objects))
        assert len({event.actor for event in scene.events}) == len(scene.events)
        times = [event.time_s for event in scene.events]
        assert times == sorted(times)
        assert all(late - early >= 0.6 for early, late in itertools.pairwise(times))
        for event in scene.events:
            assert (event.target is not None) == (event.action == "hit")
            assert event.target != event.actor


def test_objects_start_in_view_and_entering_ones_out_of_view(scenes):
    for scene in scenes:
        entering = {event.actor for event in scene.events if event.action == "enter"}
        for index, item in enumerate(scene.objects):
            plane, depth = scene.camera.project(np.array(item.position_m))
            assert depth > 0.2
            assert (np.abs(plane).max() > 1) == (index in entering)


def test_objects_stand_apart(scenes):
    for scene in scenes:
        for first in range(len(scene.objects)):
            for second in range(first):
                a, b = scene.objects[first], scene.objects[second]
                assert math.dist(a.position_m[:2], b.position_m[:2]) > a.radius_m + b.radius_m + 0.03


def test_small_objects_are_recognisable_in_a_72_pixel_picture(scenes):
    for scene in scenes:
        for item in scene.objects:
            plane, depth = scene.camera.project(np.array(item.position_m))
            if np.abs(plane).max() < 1:
                pixels = 72 * item.radius_m / (depth * math.tan(math.radians(scene.camera.fov_y_deg) / 2))
                assert pixels >= (5 if item.size == "small" else 9)


def within_chance(counts: Counter, kinds: int, sigmas: float = 4.5) -> bool:
    total = sum(counts.values())
    spread = math.sqrt(total / kinds * (1 - 1 / kinds))
    return len(counts) == kinds and all(abs(n - total / kinds) <= sigmas * spread for n in counts.values())


def test_looks_are_uniform(scenes):
    items = [item for scene in scenes for item in scene.objects]
    assert within_chance(Counter(item.colour for item in items), len(COLOURS))
    # Shapes and sizes lean one way within a clip, so clips and not objects are the independent draws.
    firsts = [scene.objects[0] for scene in scenes]
    assert within_chance(Counter(item.shape for item in firsts), len(SHAPES))
    assert within_chance(Counter(item.size for item in firsts), len(SIZES_M))


def test_pushes_go_everywhere_alike(scenes):
    directions = Counter()
    for scene in scenes:
        for event in scene.events:
            if event.action != "hit":
                right, forward = (
                    float(np.dot(event.velocity, axis)) for axis in (scene.camera.right, scene.camera.forward)
                )
                across, along = ("left", "right")[right > 0], ("toward", "away")[forward > 0]
                directions[across if abs(right) > abs(forward) else along] += 1
    assert within_chance(directions, len(DIRECTIONS))
