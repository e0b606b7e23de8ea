import math

import numpy as np
import pytest
from two_rooms import DEPTH_M, two_rooms
from wheeled import find, wheeled_env, wheeled_episode

from zoo.envs.experts.chores.viewpoints import Eye, Viewpoints
from zoo.errors import DataError

THINGS = {
    "sofa": ("sofa_0", (3.0, 1.2, 0.0)),
    "mug": ("mug_0", (3.0, 2.8, 0.0)),
    "fridge": ("fridge_0", (6.5, 2.7, 0.0)),
}
SIZE = (384, 224)


@pytest.fixture
def views(monkeypatch):
    episode = find(["sofa"], (1.0, 1.2, 0.0))
    env = wheeled_env(monkeypatch, two_rooms(THINGS), episode)
    yield Viewpoints(env.simulation.world, Eye.of_episode(episode, SIZE))
    env.close()


def test_an_object_ahead_is_seen_well_and_one_behind_is_not(views):
    ahead = np.array([1.0, 1.2, 0.0])
    assert views.is_good("sofa", ahead)
    assert views.look("sofa", ahead).free == 1.0
    behind = views.look("sofa", np.array([1.0, 1.2, math.pi]))
    assert (behind.in_picture, behind.pixels) == (0.0, 0.0)
    assert not views.is_good("sofa", np.array([1.0, 1.2, math.pi]))


def test_walls_hide(views):
    pose = views.facing("fridge", np.array([[DEPTH_M - 0.8, 2.9]]))[0]
    seen = views.look("fridge", pose)
    assert seen.in_picture > 0
    assert seen.free < 0.1
    assert not views.is_good("fridge", pose)


def test_pixels_fall_with_the_square_of_the_distance(views):
    near, far = (views.look("mug", np.array([x, 2.8, 0.0])) for x in (1.8, 0.6))
    assert near.pixels > 3 * far.pixels > 0


def test_the_robot_itself_hides_nothing(views):
    """It stands at (1, 1.2); the eye is asked about a place behind it."""
    assert views.look("sofa", np.array([0.5, 1.2, 0.0])).free == 1.0


def test_distances_are_to_the_box(views):
    centre, half = views.box("sofa")
    places = np.array([[centre[0] - half[0] - 0.7, centre[1]], centre[:2]])
    np.testing.assert_allclose(views.distances_m("sofa", places), (0.7, 0.0), atol=1e-9)


def test_facing_looks_at_the_middle(views):
    pose = views.facing("sofa", np.array([[1.0, 2.5]]))[0]
    centre = views.box("sofa")[0]
    assert pose[2] == pytest.approx(math.atan2(centre[1] - 2.5, centre[0] - 1.0))


def test_the_eye_turns_with_the_base():
    eye = Eye.of_episode(find(["sofa"], (0.0, 0.0, 0.0)), SIZE)
    position, rotation = eye.place(np.array([2.0, 1.0, math.pi / 2]))
    assert position[2] == pytest.approx(eye.position_m[2])
    forward = -rotation[:, 2]
    assert forward[1] > 0.8  # along +y, and down by its pitch
    assert forward[2] == pytest.approx(-math.sin(math.radians(27)), abs=0.01)


def test_an_episode_without_the_camera_is_refused():
    episode = wheeled_episode("room_nav", (0.0, 0.0, 0.0), room_types=["kitchen"])
    without = episode.from_json({**episode.to_json(), "cameras": []}, "episode")
    with pytest.raises(DataError, match="no camera 'navigation_camera' on its robot"):
        Eye.of_episode(without, SIZE)
