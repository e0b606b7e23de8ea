"""Small pictures of what lies before an object show of it what the whole picture shows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from two_rooms import two_rooms
from wheeled import find

from zoo.envs.data_engine.sight import Pyramid, RecordingEnv, boxes_reach_into, spheres_reach_into
from zoo.envs.simulation import simulation
from zoo.navigation_actions import SpocAction

EYE, ROTATION = np.zeros(3), np.eye(3)  # looks along -z
PYRAMID = Pyramid(np.array([-1.0, 1.0, -0.5, 0.5]), far_m=4.0)


@pytest.mark.parametrize(
    ("centre", "radius", "expected"),
    [
        ((0, 0, -2), 0.1, True),
        ((0, 0, 2), 0.1, False),
        ((0, 0, 0.05), 0.1, True),
        ((0, 0, -4.2), 0.1, False),
        ((0, 0, -4.2), 0.3, True),
        ((3, 0, -2), 0.5, False),
        ((3, 0, -2), 0.8, True),
        ((0, 1.5, -2), 0.4, False),
        ((0, 1.5, -2), 0.5, True),
    ],
)
def test_spheres(centre, radius, expected):
    found = spheres_reach_into(np.array([centre], float), np.array([radius]), EYE, ROTATION, PYRAMID)
    assert found.tolist() == [expected]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_what_holds_a_point_of_the_pyramid_reaches_into_it(seed):
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.01, 4.0)
    point = np.array([rng.uniform(-1, 1) * depth, rng.uniform(-0.5, 0.5) * depth, -depth])
    half = rng.uniform(0.01, 3.0, 3)
    centre = point + rng.uniform(-1, 1, 3) * half
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    assert boxes_reach_into((centre + signs * half)[None], EYE, ROTATION, PYRAMID).all()
    assert spheres_reach_into(centre[None], np.array([np.linalg.norm(half)]), EYE, ROTATION, PYRAMID).all()


@pytest.mark.render
def test_the_whole_picture_tells_the_same_and_is_drawn_once_a_step(monkeypatch):
    place = two_rooms(
        {"near": ("chair_0", (2.0, 2.5, 0.0)), "arm": ("armchair_0", (3.0, 0.6, 0)), "bed": ("bed_0", (6.0, 1.7, 0.0))}
    )
    monkeypatch.setattr(simulation, "house", lambda *_: place)
    episode = find(["near"], (0.8, 1.7, 0.3), size=(64, 48))
    given = {"robot": "stretch", "cameras": ("navigation_camera",), "image_size": (64, 48), "horizon_steps": 100}
    plain, whole = RecordingEnv(**given), RecordingEnv(categories=["bed", "chair"], **given)
    try:
        for env in (plain, whole):
            env.reset(options={"episode": episode})
        roots = [plain.simulation.world.root(name) for name in plain.simulation.world.objects]
        for _ in range(12):
            for env in (plain, whole):
                env.step(np.array([SpocAction.ROTATE_LEFT]))
            assert whole.seen_all("navigation_camera", roots) == plain.seen_all("navigation_camera", roots)
            owners = whole._rig.owners("navigation_camera")
            assert whole._rig.owners("navigation_camera") is owners
            (cells,) = whole.shows()
            for bit, names in enumerate((["bed"], ["near", "arm"])):  # an armchair is a chair
                own = np.isin(owners, [whole.simulation.world.root(name) for name in names])
                found = {(row * 8 // 48, column * 14 // 64) for row, column in np.argwhere(own)}
                assert found == set(map(tuple, np.argwhere(cells >> bit & 1)))
    finally:
        plain.close()
        whole.close()


@pytest.mark.render
def test_small_pictures_agree_with_whole_ones(monkeypatch):
    place = two_rooms(
        {"mug": ("mug_0", (2.0, 2.5, 0.1)), "bed": ("bed_0", (6.0, 1.7, 0.0)), "sofa": ("sofa_0", (3.0, 0.6, 0))}
    )
    monkeypatch.setattr(simulation, "house", lambda *_: place)
    episode = find(["bed"], (1.2, 1.7, 0.0), size=(64, 48))
    cameras = tuple(camera.name for camera in episode.cameras)
    env = RecordingEnv(robot=episode.robot.robot_name, cameras=cameras, image_size=(64, 48), horizon_steps=100)
    try:
        env.reset(options={"episode": episode})
        world, shown = env.simulation.world, 0
        for _ in range(12):
            env.step(np.array([SpocAction.ROTATE_LEFT]))
            for camera in cameras:
                ids = env._rig._drawn(camera).geom_ids()  # the whole picture
                roots = np.where(ids >= 0, world.model.body_rootid[world.model.geom_bodyid[ids]], -1)
                together = env.seen_all(camera, [world.root(name) for name in world.objects])
                for name, one in zip(world.objects, together, strict=True):
                    rows, columns = np.nonzero(roots == world.root(name))
                    env._rig._seen.clear()
                    seen = env.seen(camera, world.root(name))
                    assert seen == one
                    assert seen.pixels == len(rows)
                    if len(rows):
                        shown += 1
                        assert seen.box == (columns.min(), rows.min(), columns.max(), rows.max())
        assert shown
    finally:
        env.close()
