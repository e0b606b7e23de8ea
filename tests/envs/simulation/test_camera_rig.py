"""Pictures do not depend on what is left out of them because nobody sees it."""

import math

import numpy as np
import pytest
from two_rooms import DEPTH_M, two_rooms
from wheeled import find, wheeled_env

from zoo.envs.simulation.camera_rig import CameraRig
from zoo.navigation_actions import SpocAction

THINGS = {
    "bed": ("bed_0", (2.6, 1.0, 0.0)),
    "shelf": ("shelf_0", (1.2, 3.2, 0.0)),
    "chair": ("chair_0", (DEPTH_M + 2.0, 1.6, 0.0)),
}
CAMERAS = ("navigation_camera", "manipulation_camera")


@pytest.fixture
def env(monkeypatch):
    env = wheeled_env(monkeypatch, two_rooms(THINGS), find(["chair"], (0.8, 1.6, 0.0)), cameras=CAMERAS)
    yield env
    env.close()


@pytest.mark.render
def test_what_is_out_of_view_does_not_change_a_picture(env, monkeypatch):
    turns = [SpocAction.ROTATE_LEFT] * 6 + [SpocAction.MOVE_AHEAD, SpocAction.ROTATE_LEFT_SMALL] * 2
    shares = []
    for turn in turns:
        observation, *_ = env.step(np.array([turn]))
        shares.append(env._rig._in_view(env._rig._cameras[CAMERAS[0]]).mean())
        with monkeypatch.context() as patch:
            patch.setattr(CameraRig, "_in_view", lambda rig, camera: np.ones(rig._model.ngeom, bool))
            everything = env._rig.pictures(CAMERAS)
        for name in CAMERAS:
            np.testing.assert_array_equal(observation[name], everything[name])
    assert np.mean(shares) < 0.6


@pytest.mark.render
def test_shadows_and_mirrors_need_everything(env):
    camera, rig = env._rig._cameras[CAMERAS[0]], env._rig
    assert not rig._in_view(camera).all()
    rig.shadows = True
    assert rig._in_view(camera).all()
    rig.shadows = False
    env.simulation.model.mat_reflectance[0] = 0.5
    assert rig._in_view(camera).all()


@pytest.mark.render
def test_pixels_that_something_hides(env):
    """Through the door the chair shows; behind the wall it does not, but would if it were alone."""
    world, groups = env.simulation.world, env.simulation.model.geom_group.copy()

    def pixels(y, yaw=0.0):
        env.simulation.view.set_base_pose([2.0, y, 0, math.cos(yaw / 2), 0, 0, math.sin(yaw / 2)])
        env.simulation.act(SpocAction.SUB_DONE)
        env.simulation.actions.mover.move(SpocAction.DONE.effect)  # poses of what pictures show
        return [count(CAMERAS[0], "chair") for count in (world.visible_pixels, world.unoccluded_pixels)]

    shown, whole = pixels(1.6)
    assert 0 < shown <= whole
    hidden, alone = pixels(3.3, yaw=-0.4)
    assert hidden < alone
    assert pixels(1.6, yaw=math.pi) == [0, 0]
    np.testing.assert_array_equal(env.simulation.model.geom_group, groups)
