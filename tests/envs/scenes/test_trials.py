"""Lifts and openings: what is stuck, held or blocked is found, with whoever is to blame; sleeping changes nothing."""

import pytest
from box_house import LIBRARIES, door, house, thing

from zoo.envs.scenes.compile import compile_scene
from zoo.envs.scenes.gates import check, check_inventory
from zoo.envs.scenes.inventory import Inventory
from zoo.envs.simulator import mujoco


def findings(report, gate):
    return {finding.joint or finding.object: finding for finding in report.findings if finding.gate == gate}


def test_what_is_free_to_go_up_is_lifted_and_the_heavy_is_not_judged():
    report = check(house([thing("mug", "mug", 1.0, 1.0), thing("crate", "crate", 2.0, 2.0)]), LIBRARIES)
    assert findings(report, "lift").keys() == {"mug"}
    assert findings(report, "lift")["mug"].measured >= 0.05
    assert report.untested == {"crate": "32.0 kg is more than 30 N lift"}
    assert report.passed


def test_what_is_stuck_inside_another_is_to_go():
    scene = house([thing("cabinet", "cabinet", 2.0, 2.0), thing("box", "crate", 2.0, 2.0, 0.12, scale=0.34)])
    # The box is 0.136 m high on the drawer's bottom at 0.12 m; 0.48 - 0.256 m are free above it: it can be lifted.
    assert findings(check(scene, LIBRARIES), "lift")["box"].passed
    # 4.4 cm are free above a mug in a cabinet of 0.4 the size.
    small = house([thing("cabinet", "cabinet", 2.0, 2.0, scale=0.4), thing("mug", "mug", 2.0, 2.0, 0.048)])
    found = findings(check(small, LIBRARIES), "lift")["mug"]
    assert not found.passed
    assert found.measured < 0.05
    assert found.reason.endswith("stuck inside 'cabinet'")
    assert found.culprits == ("mug",)


def test_what_is_held_down_is_said_but_stays():
    scene = house([thing("mug", "mug", 2.0, 2.0), thing("crate", "crate", 2.0, 2.0, 0.1)])
    found = findings(check(scene, LIBRARIES), "lift")["mug"]
    assert not found.passed
    assert "held by" in found.reason
    assert "crate" in found.reason
    assert found.culprits == ()


def test_drawers_and_doors_open():
    scene = house([thing("cabinet", "cabinet", 2.0, 3.0), thing("half", "cabinet", 6.0, 3.0, joints={"slide": 0.15})])
    found = findings(check(scene, LIBRARIES), "articulation")
    assert found.keys() == {"cabinet/slide", "half/slide", "door/hinge"}
    assert all(finding.passed and finding.measured >= 0.667 for finding in found.values()), found


def test_blockers_are_named_and_contents_are_not():
    scene = house(
        [
            thing("cabinet", "cabinet", 2.0, 3.0),
            thing("mug", "mug", 2.0, 3.0, 0.12),  # in the drawer
            thing("crate", "crate", 2.5, 3.0),  # 1 cm before its handle
            thing("bystander", "crate", 3.0, 1.0),
        ]
    )
    found = findings(check(scene, LIBRARIES), "articulation")["cabinet/slide"]
    assert not found.passed
    assert found.measured < 0.667
    assert found.culprits == ("crate",)
    assert "blocked by 'crate'" in found.reason


def test_a_door_behind_which_something_stands_is_blocked():
    scene = house([thing("crate", "crate", 3.7, 1.75)])
    found = findings(check(scene, LIBRARIES), "articulation")["door/hinge"]
    assert not found.passed
    assert found.culprits == ("crate",)


def test_a_stiff_door_fails_without_a_culprit():
    stiff = door(stiffness=7.0, damping=12.0, friction_loss=12.0)  # the stiffest of the sheet's section 17
    found = findings(check(house(openings=[stiff]), LIBRARIES), "articulation")["door/hinge"]
    assert not found.passed
    assert found.culprits == ()
    assert found.reason.endswith("blocked by no free object")


def test_sleeping_changes_no_lift_and_no_opening():
    scene = house(
        [
            thing("table", "table", 2.0, 2.0),
            thing("mug", "mug", 2.0, 2.0, 0.75),
            thing("ball", "ball", 1.2, 3.5),
            thing("cabinet", "cabinet", 6.0, 3.0),
            thing("inside", "mug", 6.0, 3.0, 0.12),
            thing("crate", "crate", 6.52, 3.0),
        ]
    )
    model = compile_scene(scene, LIBRARIES)
    asleep = check_inventory(Inventory.of_scene(scene, model))
    model.tree_sleep_policy[:] = mujoco.mjtSleepPolicy.mjSLEEP_NEVER.value
    awake = check_inventory(Inventory.of_scene(scene, model))
    assert not all(finding.passed for finding in awake.findings)  # the crate is in the drawer's way
    for gate in ("lift", "articulation"):
        one, other = findings(asleep, gate), findings(awake, gate)
        assert one.keys() == other.keys()
        for name, finding in one.items():
            assert finding.passed == other[name].passed
            assert finding.measured == pytest.approx(other[name].measured, abs=0.01)


def test_a_joint_that_begins_ajar_is_pushed_both_ways():
    middle = house([thing("cabinet", "cabinet", 2.0, 3.0, joints={"slide": 0.17})])
    assert findings(check(middle, LIBRARIES), "articulation")["cabinet/slide"].passed
    blocked = house([thing("cabinet", "cabinet", 2.0, 3.0, joints={"slide": 0.17}), thing("crate", "crate", 2.67, 3.0)])
    found = findings(check(blocked, LIBRARIES), "articulation")["cabinet/slide"]
    assert not found.passed
    assert found.measured == pytest.approx(0.51, abs=0.06)  # 17 of 35 cm inwards, and one outwards
    assert found.culprits == ("crate",)
