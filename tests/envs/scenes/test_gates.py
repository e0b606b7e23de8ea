"""All gates over a scene: the sound pass, without a trace; reports repeat."""

import json

import numpy as np
import pytest
from box_house import LIBRARIES, crowded_house, house, thing

from zoo.envs.scenes.compile import compile_scene
from zoo.envs.scenes.gate_limits import SHEET_LIMITS, GateLimits
from zoo.envs.scenes.gates import GateRun, check, check_inventory
from zoo.envs.scenes.inventory import Inventory
from zoo.envs.scenes.report import pass_rates


def findings(report, gate):
    return {finding.joint or finding.object: finding for finding in report.findings if finding.gate == gate}


@pytest.fixture(scope="module")
def crowded():
    return check(crowded_house(80), LIBRARIES)


def test_a_sound_house_of_eighty_objects_passes(crowded):
    assert crowded.passed, crowded.failures
    rates = pass_rates([crowded])
    assert {gate: rate.checked for gate, rate in rates.items()} == {
        "intersection": 80,
        "stability": 73,  # 60 mugs, 12 drawers, a door
        "lift": 60,
        "articulation": 13,
    }
    assert all(rate.rate == 1.0 for rate in rates.values())


def test_reports_are_plain_json_and_repeat(crowded):
    small = house([thing("table", "table", 2.0, 2.0), thing("mug", "mug", 2.0, 2.0, 0.75)])
    first, second = (json.dumps(check(small, LIBRARIES).to_json()) for _ in range(2))
    assert first == second
    assert json.loads(json.dumps(crowded.to_json()))["pass_rates"]["lift"] == {
        "checked": 60,
        "passed": 60,
        "rate": 1.0,
    }


def test_checking_changes_neither_model_nor_start():
    scene = house([thing("ball", "ball", 2.0, 2.0, 0.5)])
    inventory = Inventory.of_scene(scene, compile_scene(scene, LIBRARIES))
    flags, qpos = inventory.model.opt.enableflags, inventory.start.qpos.copy()
    check_inventory(inventory)
    assert inventory.model.opt.enableflags == flags
    np.testing.assert_array_equal(inventory.start.qpos, qpos)


def test_limits_are_arguments():
    scene = house([thing("mug", "mug", 1.0, 1.0)])
    report = check(scene, LIBRARIES, limits=GateLimits(lift_s=0.05, lift_m=0.5))
    assert "mug" in report.untested  # no such force: 0.5 m in 0.05 s
    slow = check(scene, LIBRARIES, limits=GateLimits(push_s=0.1))
    assert not findings(slow, "articulation")["door/hinge"].passed


def test_one_may_step_off_after_a_gate():
    scene = house([thing("crate", "crate", 0.2, 2.0)])
    run = GateRun(Inventory.of_scene(scene, compile_scene(scene, LIBRARIES)), SHEET_LIMITS)
    gate, found = next(iter(run))
    assert gate == "intersection"
    assert run.report(found).seconds.keys() == {"intersection"}
