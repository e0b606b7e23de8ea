"""Verification in simulation: what holds, what does not, and that the quick way agrees with the thorough one."""

import dataclasses

import grasp_assets
import numpy as np
import pytest

from zoo.envs.grasps.shake import TIMINGS, ArticulatedCheck, RigidCheck, _shaking
from zoo.envs.robots import gripper
from zoo.envs.scenes.physics import TIMESTEP_S
from zoo.errors import DataError

DOWN = np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, -1.0, 0], [0, 0, 0, 1]])
"""Looks down, fingers open along x."""
FORWARD = np.array([[0, 0, -1.0, 0], [1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
"""Looks along -x, fingers open along z."""


def at(pose, *position_m):
    placed = pose.copy()
    placed[:3, 3] = position_m
    return placed


TOP = at(DOWN, 0, 0, 0.08)  # of a box of 10 cm: tips 4 cm below its upper side
RIM = at(np.diag([1.0, -1.0, -1.0, 1.0]), 0, 0.0425, 0.09)  # of a mug, from above, one finger inside
LOST = {f"lost while shaken along {axis}" for axis in "xyz"}
CLEAR_CASES = {
    "box": (grasp_assets.box(), TOP, {"held"}),
    "sphere": (grasp_assets.sphere(), at(DOWN, 0, 0, 0.035), {"held"}),
    "rim": (grasp_assets.mug(), RIM, {"held"}),
    "beside": (grasp_assets.box(), at(DOWN, 0.3, 0, 0.08), {"not both fingers touch"}),
    "slippery": (grasp_assets.box(is_slippery=True, mass_kg=1.0), TOP, LOST),
    "too heavy": (grasp_assets.box(mass_kg=500.0), TOP, LOST),
}


@pytest.mark.parametrize("name", CLEAR_CASES)
@pytest.mark.parametrize("mode", ["quick", "thorough"])
def test_clear_cases(name, mode):
    asset, pose, expected = CLEAR_CASES[name]
    assert RigidCheck(asset, mode).verdict(pose) in expected


@pytest.mark.parametrize("mode", ["quick", "thorough"])
@pytest.mark.parametrize("is_stuck", [False, True])
def test_drawer(mode, is_stuck):
    drawer = grasp_assets.Drawer(is_stuck=is_stuck)
    check = ArticulatedCheck(drawer, drawer.facts.articulations[0], mode)
    verdict = check.verdict(at(FORWARD, 0.055, 0, 0))
    assert (verdict == "held") != is_stuck
    assert not is_stuck or verdict in ("lost on the joint's way", "the joint moves too little")


def test_open_hand_collides():
    check = RigidCheck(grasp_assets.box())
    assert check.verdict(at(DOWN, 0.04, 0, 0.08)) == "the open hand collides"  # a finger inside the box
    assert check.verdict(at(DOWN, 0, 0, 0.0)) == "the open hand collides"  # the palm
    ledge = grasp_assets.box(size_m=(0.03, 0.1, 0.1))
    ledge.shapes = [*ledge.shapes, {"type": grasp_assets.BOX, "size": [0.06, 0.05, 0.005], "pos": [0, 0, 0.14]}]
    assert RigidCheck(ledge).verdict(TOP) == "the open hand collides"  # only on its way


def test_drawer_in_the_way():
    drawer = grasp_assets.Drawer()
    check = ArticulatedCheck(drawer, drawer.facts.articulations[0])
    assert check.verdict(at(FORWARD, 0.02, 0, 0)) == "the open hand collides"


def test_thorough_approach_must_not_push_the_part():
    """A finger runs into the bar of a front that gives way inwards."""
    drawer = grasp_assets.Drawer(travel_m=-0.3)
    check = ArticulatedCheck(drawer, drawer.facts.articulations[0], "thorough")
    assert check.verdict(at(FORWARD, 0.055, 0, 0.048)) == "the approach moves the joint"


def test_checks_do_not_depend_on_those_before():
    check = RigidCheck(grasp_assets.mug())
    poses = [RIM, at(DOWN, 0.3, 0, 0.05)]
    first = [check.verdict(pose) for pose in poses]
    assert [check.verdict(pose) for pose in reversed(poses)] == first[::-1]


def test_the_hand_goes_where_it_is_told():
    """At full excursion the tool frame is within 5 mm of the path, and it starts exactly at the grasp."""
    check = RigidCheck(grasp_assets.box())
    assert check._start(TOP)
    site = check.data.site(gripper.GripperNames("hand/").tcp)
    np.testing.assert_allclose(site.xpos, TOP[:3, 3], atol=1e-9)
    assert check._close()
    np.testing.assert_allclose(site.xpos, TOP[:3, 3], atol=1e-3)
    path, _ = _shaking(TIMINGS["quick"].cycle, 1)
    peak = int(path.argmax())
    turn = check.data.mocap_quat[0].copy()
    assert check._follow(TOP[:3, 3] + path[: peak + 1, None] * [0, 0, 1], np.tile(turn, (peak + 1, 1)))
    np.testing.assert_allclose(site.xpos - TOP[:3, 3], [0, 0, path[peak]], atol=5e-3)


@pytest.mark.parametrize(("mode", "low", "high"), [("quick", 1.0, 2.2), ("thorough", 0.025, 0.1)])
def test_shaking_is_as_strong_as_the_text_says(mode, low, high):
    timing = TIMINGS[mode]
    path, tested = _shaking(timing.cycle, timing.cycles)
    assert len(path) == timing.cycle * timing.cycles
    assert np.abs(path).max() == pytest.approx(0.1, rel=0.03)
    assert path[-1] == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(np.abs(path[sorted(tested)]), 0.1, rtol=1e-3)
    assert len(tested) == 2 * timing.cycles
    speed = np.diff(path, prepend=0) / TIMESTEP_S
    acceleration = np.abs(np.diff(speed, prepend=0)).max() / TIMESTEP_S
    assert low < acceleration / 9.8 < high


def test_numbers_of_the_sheet():
    thorough = TIMINGS["thorough"]
    assert (thorough.back_m, thorough.wait, thorough.pause, thorough.close) == (0.3, (3000, 500), 300, 300)
    assert (thorough.cycle, thorough.cycles, thorough.turn) == (2000, 2, 5000)


def test_facts_that_the_model_does_not_bear_out():
    drawer = grasp_assets.Drawer()
    part = dataclasses.replace(drawer.facts.articulations[0], handle="knob")
    with pytest.raises(DataError, match=r"asset 'drawer' lacks the joint 'slide' or the handle 'knob'"):
        ArticulatedCheck(drawer, part)
