"""The gripper's measures, and that it closes, holds and lets go."""

import numpy as np
import pytest

from zoo.envs.robots.gripper import (
    CLOSE_S,
    CTRL_CLOSED,
    HALF_OPENING_M,
    MAX_OPENING_M,
    PAD_THICKNESS_M,
    TCP_OFFSET_M,
    TIP_OFFSET_M,
    GripperNames,
    add_gripper,
    opening_of,
)
from zoo.envs.scenes.physics import set_contact, set_options
from zoo.envs.simulator import mujoco

NAMES = GripperNames("g/")
DOWN = (0, 1, 0, 0)


def scene(*, half_width=0.02, mass=0.1, off_centre=0.0, timestep=0.002, has_cube=True):
    """A gripper on a lift, tool frame at a cube that stands on the floor."""
    spec = mujoco.MjSpec()
    set_options(spec)
    spec.option.timestep = timestep
    hand = spec.worldbody.add_body(name="lift", pos=[0, 0, TCP_OFFSET_M + 0.022], quat=DOWN)
    hand.add_joint(name="lift", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[0, 0, 1])
    hand.add_geom(size=[0.01, 0, 0], mass=1, contype=0, conaffinity=0)
    add_gripper(hand, spec, "g/")
    servo = spec.add_actuator(name="lift", target="lift", trntype=mujoco.mjtTrn.mjTRN_JOINT)
    servo.set_to_position(kp=20000, kv=1000)
    floor = spec.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[1, 1, 0.1])
    set_contact(floor, "structure")
    if has_cube:
        body = spec.worldbody.add_body(name="cube", pos=[0, off_centre, 0.02])
        body.add_freejoint()
        cube = body.add_geom(name="cube", type=mujoco.mjtGeom.mjGEOM_BOX, size=[half_width, half_width, 0.02])
        set_contact(cube, "dynamic")
        cube.mass = mass
    model = spec.compile()
    return model, mujoco.MjData(model)


def run(model, data, seconds):
    for _ in range(round(seconds / model.opt.timestep)):
        mujoco.mj_step(model, data)


def opening(data):
    return opening_of([data.joint(name).qpos[0] for name in NAMES.fingers])


def touching_pads(model, data):
    pairs = {frozenset(model.geom(g).name for g in pair) for pair in data.contact.geom[: data.ncon]}
    return sum(frozenset((pad, "cube")) in pairs for pad in NAMES.pads)


def test_measures_are_those_of_the_sheet():
    model, data = scene(has_cube=False)
    mujoco.mj_kinematics(model, data)
    base, tcp = data.body(NAMES.base), data.site(NAMES.tcp)
    assert np.linalg.norm(tcp.xpos - base.xpos) == pytest.approx(0.155)
    np.testing.assert_allclose(tcp.xmat, base.xmat)
    pads = [data.geom(name).xpos for name in NAMES.pads]
    across = base.xmat.reshape(3, 3)[:, 1]
    assert (pads[0] - pads[1]) @ across == pytest.approx(2 * HALF_OPENING_M)  # along y, the left one at +y
    assert (pads[0] - pads[1]) @ across - PAD_THICKNESS_M == pytest.approx(MAX_OPENING_M)
    half_length = model.geom(NAMES.pads[0]).size[2]
    assert (pads[0] - base.xpos) @ base.xmat.reshape(3, 3)[:, 2] + half_length == pytest.approx(TIP_OFFSET_M)
    assert opening(data) == pytest.approx(0.087)


@pytest.mark.parametrize("timestep", [0.002, 0.004])
def test_it_closes_in_half_a_second_and_opens_again(timestep):
    model, data = scene(has_cube=False, timestep=timestep)
    data.ctrl[0] = CTRL_CLOSED
    run(model, data, 0.3)
    assert 0.02 < opening(data) < 0.06
    run(model, data, CLOSE_S - 0.3 + 0.05)
    assert abs(opening(data)) < 0.002
    data.ctrl[0] = CTRL_CLOSED / 2
    run(model, data, 0.6)
    assert opening(data) == pytest.approx(MAX_OPENING_M / 2, abs=1e-3)
    data.ctrl[0] = 0
    run(model, data, 0.6)
    assert opening(data) == pytest.approx(MAX_OPENING_M, abs=1e-3)


@pytest.mark.parametrize(
    ("mass", "half_width", "off_centre"), [(0.02, 0.005, 0.0), (1.0, 0.02, 0.0), (0.1, 0.02, 0.01), (1.0, 0.04, 0.002)]
)
def test_it_holds_and_lifts(mass, half_width, off_centre):
    model, data = scene(half_width=half_width, mass=mass, off_centre=off_centre)
    data.ctrl[0] = CTRL_CLOSED
    run(model, data, 0.8)
    assert touching_pads(model, data) == 2
    assert opening(data) == pytest.approx(2 * half_width, abs=0.002)
    for height in np.linspace(0, 0.1, 250):
        data.ctrl[1] = -height
        run(model, data, 0.004)
    run(model, data, 0.5)
    assert data.body("cube").xpos[2] - 0.02 == pytest.approx(0.1, abs=0.004)
    assert touching_pads(model, data) == 2
    before = data.body("cube").xpos.copy()
    run(model, data, 2.0)
    assert np.linalg.norm(data.body("cube").xpos - before) < 0.004  # it creeps, but does not slip
    data.ctrl[0] = 0
    run(model, data, 0.6)
    assert data.body("cube").xpos[2] < 0.03


def test_fingers_stay_symmetric_while_they_close():
    model, data = scene(has_cube=False)
    data.ctrl[0] = CTRL_CLOSED
    for _ in range(10):
        run(model, data, 0.05)
        left, right = (data.joint(name).qpos[0] for name in NAMES.fingers)
        assert left == pytest.approx(right, abs=1e-4)
