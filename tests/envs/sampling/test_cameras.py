import dataclasses

import numpy as np
import pytest

from zoo.envs.robots.cameras import axes_of, looking_at
from zoo.envs.sampling.cameras import records, sees

SIZE = (160, 120)
UP, ASIDE = np.array([0, 0, 0.4]), np.array([0.5, 0, 0])


@pytest.fixture
def situation(drawn):
    found = drawn("pick")
    stage = found.sampler.stage(found.place)
    name = found.episode.task.pickup_obj_name
    return stage, name, stage.world.box(name)[0]


def test_a_camera_above_sees_what_is_below(situation):
    stage, name, place = situation
    above = looking_at("top", place + UP, place, fovy_deg=60, up=(1, 0, 0))
    assert sees(stage, above, name, size=SIZE)


def test_it_does_not_see_behind_itself_or_through_furniture(situation):
    stage, name, place = situation
    away = looking_at("away", place + UP, place + 5 * UP, fovy_deg=60, up=(1, 0, 0))
    assert not sees(stage, away, name, size=SIZE)
    below = looking_at("below", [*place[:2], 0.01], place, fovy_deg=60, up=(1, 0, 0))
    assert not sees(stage, below, name, size=SIZE)


def test_what_is_beside_the_picture_is_not_seen(situation):
    stage, name, place = situation
    aside = looking_at("aside", place + UP, place + ASIDE, fovy_deg=20, up=(0, 1, 0))
    assert not sees(stage, aside, name, size=SIZE)


def test_records_are_where_the_cameras_are(drawn):
    found = drawn("pick")
    placed = found.sampler.camera_system.nominal()
    for camera, record in zip(placed, records(placed), strict=True):
        forward, _ = axes_of(record.camera_quaternion)
        ahead = np.subtract(record.lookat_offset, record.camera_offset)
        np.testing.assert_allclose(ahead / np.linalg.norm(ahead), forward, atol=1e-9)
        assert record.reference_body_names == (f"robot_0/{camera.body}",)
    world = dataclasses.replace(placed[0], body=None)
    (record,) = records([world])
    forward, up = axes_of(world.quat_wxyz)
    np.testing.assert_allclose(record.forward, forward)
    np.testing.assert_allclose(record.up, up)
    assert record.type == "exocentric"
